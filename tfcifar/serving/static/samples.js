// Small drawings to try a model with; [name, what paints it on 128 x 128]. The last one is of no class on purpose.

function shape(context, colour, points) {
  context.fillStyle = colour;
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.fill();
}

function disc(context, colour, x, y, radius, height = radius) {
  context.fillStyle = colour;
  context.beginPath();
  context.ellipse(x, y, radius, height, 0, 0, 2 * Math.PI);
  context.fill();
}

function ground(context, above, below, horizon) {
  const sky = context.createLinearGradient(0, 0, 0, horizon);
  sky.addColorStop(0, above);
  sky.addColorStop(1, "#eef3f6");
  context.fillStyle = sky;
  context.fillRect(0, 0, 128, horizon);
  context.fillStyle = below;
  context.fillRect(0, horizon, 128, 128 - horizon);
}

function ship(context) {
  ground(context, "#7fb4de", "#2c5f86", 78);
  shape(context, "#8c2f2b", [[14, 74], [114, 74], [100, 96], [28, 96]]);
  shape(context, "#f4f4f0", [[34, 58], [88, 58], [88, 74], [34, 74]]);
  shape(context, "#30343b", [[50, 36], [60, 36], [60, 58], [50, 58]]);
  shape(context, "#30343b", [[68, 40], [78, 40], [78, 58], [68, 58]]);
  context.strokeStyle = "#cfe0ec";
  for (const y of [102, 112, 121]) {
    context.beginPath();
    for (let x = 0; x <= 128; x += 8) context.lineTo(x, y + 2 * ((x / 8) % 2));
    context.stroke();
  }
}

function airplane(context) {
  ground(context, "#4f97d6", "#d8e8f3", 128);
  disc(context, "#ffffffaa", 30, 100, 26, 9);
  disc(context, "#ffffffaa", 98, 26, 22, 7);
  shape(context, "#b9c0c8", [[56, 62], [76, 62], [48, 104], [36, 104]]);
  shape(context, "#9aa3ad", [[60, 58], [80, 58], [66, 30], [58, 30]]);
  disc(context, "#eceff2", 66, 60, 48, 9);
  shape(context, "#2f6fb5", [[18, 58], [36, 56], [22, 34], [12, 34]]);
  for (let x = 48; x < 100; x += 9) disc(context, "#41536a", x, 58, 2);
}

function truck(context) {
  ground(context, "#b9d2e4", "#6d6f73", 92);
  shape(context, "#e6e3da", [[12, 40], [80, 40], [80, 92], [12, 92]]);
  shape(context, "#c23b2e", [[84, 56], [104, 56], [116, 74], [116, 92], [84, 92]]);
  shape(context, "#cfe6f3", [[90, 61], [102, 61], [110, 74], [90, 74]]);
  for (const x of [30, 60, 98]) {
    disc(context, "#22252a", x, 94, 11);
    disc(context, "#a9adb3", x, 94, 5);
  }
}

function frog(context) {
  ground(context, "#5d7a3a", "#7a6a48", 84);
  disc(context, "#5aa02c", 64, 84, 40, 26);
  disc(context, "#4a8a22", 28, 96, 17, 12);
  disc(context, "#4a8a22", 100, 96, 17, 12);
  disc(context, "#6bb53a", 64, 60, 28, 20);
  for (const x of [48, 80]) {
    disc(context, "#6bb53a", x, 42, 11);
    disc(context, "#f5e663", x, 41, 7);
    disc(context, "#1c1f14", x, 41, 3);
  }
  context.strokeStyle = "#2f5a14";
  context.lineWidth = 3;
  context.beginPath();
  context.arc(64, 56, 18, 0.2 * Math.PI, 0.8 * Math.PI);
  context.stroke();
}

function pattern(context) {
  for (let x = 0; x < 128; x += 16) {
    for (let y = 0; y < 128; y += 16) {
      context.fillStyle = (x + y) % 32 ? "#f2b705" : "#7a1fa2";
      context.fillRect(x, y, 16, 16);
    }
  }
}

export const SAMPLES = [["ship", ship], ["airplane", airplane], ["truck", truck], ["frog", frog], ["pattern", pattern]];
