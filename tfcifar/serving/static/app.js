// The page at /: an image in, what the server says of it out.
import { SAMPLES } from "./samples.js";
import { ask, Refused, useKey } from "./server.js";

const $ = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const LOW = 0.5; // below it the first class is more likely wrong than right

const HINT = $("caption").textContent;

let models = [];
let image = null; // a Blob
let first = null; // the most probable class of the last answer
let asked = 0; // the number of the newest question: answers to older ones are dropped
let stream = null; // of the camera

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function complain(error) {
  if (!(error instanceof Refused)) console.error(error);
  $("key-form").hidden = error.status !== 401;
  $("error").textContent = error.message;
  $("error").hidden = false;
}

// Models -------------------------------------------------------------------------------------------------------------

const chosen = () => models[$("model").value];
const query = () => `model=${encodeURIComponent(chosen().name)}&version=${chosen().version}`;

// The one called `name` is chosen, or else the first.
async function loadModels(name) {
  $("error").hidden = $("key-form").hidden = true;
  models = (await (await ask("/models")).json()).models;
  $("model").replaceChildren(
    ...models.map((model, index) => {
      const several = models.filter((each) => each.name === model.name).length > 1;
      const option = element("option", several ? `${model.name}, version ${model.version}` : model.name);
      option.value = index;
      return option;
    }),
  );
  $("model").value = Math.max(0, models.findIndex((each) => each.name === name));
  showCard();
}

function size(bytes) {
  const [unit, by] = bytes < 1e6 ? ["kB", 1e3] : ["MB", 1e6];
  return `${(bytes / by).toFixed(1)} ${unit}`;
}

function showCard() {
  const { card, class_names: names, image_shape: [height, width], platform, calibrated } = chosen();
  const [split, metrics] = Object.entries(card?.metrics ?? {}).sort().at(0) ?? []; // test before validation
  const rows = [["Classes", names.length > 20 ? `${names.length}` : `${names.length}: ${names.join(", ")}`]];
  if (metrics) rows.push(["Accuracy", `${percent(metrics.accuracy)} of ${metrics.n.toLocaleString("en")} ${split} images`]);
  if (card?.bytes) rows.push(["Size", size(card.bytes)]);
  rows.push(["Sees", `${width} × ${height} pixels`], ["Runs on", platform]);
  rows.push(["Probabilities", calibrated ? "calibrated" : "not calibrated"]);
  $("card").replaceChildren(...rows.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}

// Answers ------------------------------------------------------------------------------------------------------------

async function classify(again = false) {
  const mine = ++asked;
  clear();
  if (!image || !models.length) return;
  $("answer").textContent = "Looking …";
  const started = performance.now();
  try {
    const response = await ask(`/predict?top=5&${query()}`, image);
    const answer = await response.json();
    if (mine === asked) showAnswer(answer, performance.now() - started, response.headers.get("Server-Timing"));
  } catch (error) {
    if (mine !== asked) return;
    if (error.status === 404 && !again) {
      await loadModels(chosen().name).catch(complain); // another version has taken over since the page was loaded
      if (mine === asked) classify(true);
      return;
    }
    $("answer").textContent = "No result.";
    complain(error);
  }
}

function clear() {
  first = null;
  $("classes").replaceChildren();
  for (const id of ["error", "notice", "explain"]) $(id).hidden = true;
  $("answer").textContent = "No image yet.";
  $("details").textContent = "";
  showOverlay(null);
}

function showAnswer(answer, milliseconds, timing) {
  first = answer.classes[0];
  $("answer").textContent = `${first.name}, ${percent(first.probability)}`;
  const doubts = [];
  if (answer.foreign) doubts.push("it is unlike the images that the model knows");
  if (first.probability < LOW) doubts.push("no class is probable");
  $("notice").textContent = `This may be none of the model’s classes: ${doubts.join(", and ")}.`;
  $("notice").hidden = !doubts.length;
  $("classes").replaceChildren(...answer.classes.map(classRow));
  const inside = timing?.match(/dur=([\d.]+)/)?.[1];
  $("details").textContent = [
    `Probabilities are ${answer.calibrated ? "" : "not "}calibrated.`,
    `Uncertainty ${percent(answer.uncertainty)} (0%: sure, 100%: all classes alike).`,
    `${milliseconds.toFixed(0)} ms${inside ? `, ${Number(inside).toFixed(1)} of them in the model` : ""}.`,
  ].join(" ");
  $("explain").hidden = !chosen().explains;
}

function classRow({ name, probability }) {
  const row = element("li");
  const track = element("div", undefined, "track");
  const bar = element("div", undefined, "bar");
  bar.style.width = `${100 * probability}%`;
  track.setAttribute("aria-hidden", "true");
  track.append(bar);
  row.append(element("span", name, "name"), element("span", percent(probability), "percent"), track);
  return row;
}

async function explain() {
  if ($("explain").getAttribute("aria-pressed") === "true") {
    showOverlay(null);
    return;
  }
  const mine = asked;
  $("caption").textContent = "Looking …";
  try {
    const blob = await (await ask(`/explain?${query()}`, image)).blob();
    if (mine === asked) showOverlay(blob);
  } catch (error) {
    if (mine !== asked) return;
    showOverlay(null);
    complain(error);
  }
}

function showOverlay(blob) {
  URL.revokeObjectURL($("overlay").src);
  $("overlay").hidden = !blob;
  $("preview").hidden = Boolean(blob) || !$("preview").hasAttribute("src") || Boolean(stream);
  $("explain").setAttribute("aria-pressed", Boolean(blob));
  if (!blob) {
    $("caption").textContent = $("frame").hasAttribute("data-empty") ? HINT : "";
    return;
  }
  $("overlay").src = URL.createObjectURL(blob);
  $("overlay").alt = `Grad-CAM for ${first.name}`;
  $("caption").textContent = `What the model saw, brighter where it speaks for ${first.name}.`;
}

// Images -------------------------------------------------------------------------------------------------------------

function take(blob) {
  closeCamera();
  image = blob;
  URL.revokeObjectURL($("preview").src);
  $("preview").src = URL.createObjectURL(blob);
  $("frame").removeAttribute("data-empty");
  classify();
}

function takeFirst(files) {
  if (files?.length) take(files[0]);
}

async function openCamera() {
  if (stream) {
    closeCamera();
    showOverlay(null);
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    complain(new Refused(`The camera cannot be used: ${error.message}`));
    return;
  }
  $("video").srcObject = stream;
  await $("video").play();
  $("frame").removeAttribute("data-empty");
  $("video").hidden = $("shoot").hidden = false;
  $("camera").textContent = "Close the camera";
  showOverlay(null);
}

function closeCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  $("video").hidden = $("shoot").hidden = true;
  $("camera").textContent = "Camera";
}

function shoot() {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [$("video").videoWidth, $("video").videoHeight];
  canvas.getContext("2d").drawImage($("video"), 0, 0);
  canvas.toBlob(take, "image/jpeg", 0.95);
}

function addSample([name, paint]) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 128;
  paint(canvas.getContext("2d"));
  const button = element("button");
  button.type = "button";
  button.append(canvas, element("span", name));
  button.addEventListener("click", () => canvas.toBlob(take));
  $("samples").append(button);
}

SAMPLES.forEach(addSample);
$("preview").addEventListener("load", () => $("preview").classList.toggle("small", $("preview").naturalWidth < 200));
$("preview").addEventListener("error", () => {
  $("preview").removeAttribute("src"); // the server says what is wrong with it
  $("preview").hidden = true;
  $("frame").toggleAttribute("data-empty", !stream);
  $("caption").textContent = stream ? "" : HINT;
});
$("file").addEventListener("change", () => {
  takeFirst($("file").files);
  $("file").value = ""; // the same file again is a change, too
});
document.addEventListener("paste", (event) => takeFirst(event.clipboardData?.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", () => document.body.classList.remove("dragging"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  takeFirst(event.dataTransfer?.files);
});
$("camera").hidden = !navigator.mediaDevices?.getUserMedia; // browsers have it for https and this machine only
$("camera").addEventListener("click", openCamera);
$("shoot").addEventListener("click", shoot);
$("explain").addEventListener("click", explain);
$("model").addEventListener("change", () => {
  showCard();
  classify();
});
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey($("key").value);
  loadModels().then(() => classify(), complain);
});
loadModels().catch(complain);
