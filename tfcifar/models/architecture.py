"""What a model consists of: its parts with shapes, parameters, MACs, receptive field, and how they are connected."""

import re
from dataclasses import dataclass, field
from typing import TypeAlias

import keras
from keras import layers

from tfcifar.models.complexity import layer_macs

# "block1_2_conv" and "block1_pool" are parts of block1; a layer that follows no such pattern is a part by itself.
PART = re.compile(r"((?:stage|block|conv)_?\d+(?:[a-z](?=_))?|stem|head|whitening|logits)")
GLOBAL = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)


@dataclass
class Part:
    """Some layers in a row under one name.

    shape: (height, width, channels) or (features,) of what comes out.
    receptive_field: pixels a side of the input that one position of the output sees; None: all of them.
    inputs: names of the parts that it takes from.
    """

    name: str
    shape: tuple = ()
    parameters: int = 0
    macs: int = 0
    receptive_field: int | None = None
    inputs: list[str] = field(default_factory=list)


# Of a tensor: the part that made it, its receptive field and the distance of its positions, in input pixels.
Place: TypeAlias = tuple[str, int | None, int]


def parts_of(model: keras.Model) -> list[Part]:
    """The parts of a functional model in the order of its layers; a nested model's parts stand in its place."""
    parts: dict[str, Part] = {}
    seen: dict[int, Place] = {}
    _walk(model, parts, seen, None)
    return list(parts.values())


def _walk(model: keras.Model, parts: dict[str, Part], seen: dict[int, Place], inputs: Place | None) -> Place:
    """Add the layers of `model` to `parts`; return what `seen` holds of its output."""
    entrance: Place = inputs or ("images", 1, 1)
    found = entrance
    for layer in model.layers:
        # What a nested model gives to the outer one is a tensor that no layer calls its own: it is of the layer before.
        incoming = [seen.get(id(tensor), found) for tensor in keras.tree.flatten(layer.input)]
        if isinstance(layer, layers.InputLayer):
            found = entrance
            if inputs is None:
                parts["images"] = Part("images", tuple(layer.output.shape[1:]), receptive_field=1)
        elif isinstance(layer, keras.Model):
            found = _walk(layer, parts, seen, incoming[0])
        else:
            found = _add(layer, parts, incoming)
        for tensor in keras.tree.flatten(layer.output):
            seen[id(tensor)] = found
    return found


def _add(layer: layers.Layer, parts: dict[str, Part], incoming: list[Place]) -> Place:
    match = PART.match(layer.name)
    name = match[1] if match else layer.name
    part = parts.setdefault(name, Part(name))
    part.parameters += layer.count_params()
    part.macs += layer_macs(layer)
    part.shape = tuple(layer.output.shape[1:])
    part.inputs += [source for source, _, _ in incoming if source != name and source not in part.inputs]
    fields = [size for _, size, _ in incoming if size is not None]
    step = max(step for _, _, step in incoming)
    if len(fields) < len(incoming) or len(part.shape) != 3 or isinstance(layer, GLOBAL):
        part.receptive_field = None
        return name, None, step
    size, step = _grown(layer, max(fields), step)
    part.receptive_field = size
    return name, size, step


def _grown(layer: layers.Layer, size: int, step: int) -> tuple[int, int]:
    """Receptive field and step behind `layer` (Araujo et al. 2019, doi:10.23915/distill.00021)."""
    if isinstance(layer, layers.Resizing):
        return size, step  # pixels of the upscaled image, in which all that follows is counted
    kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None) or (1, 1)
    dilation = getattr(layer, "dilation_rate", (1, 1))
    dilation = dilation[0] if isinstance(dilation, tuple) else dilation
    strides = getattr(layer, "strides", (1, 1))
    stride = strides[0] if isinstance(strides, tuple) else strides
    return size + (kernel[0] - 1) * dilation * step, step * stride
