"""Which channels of a network belong together: what has to go when one of them goes.

A convolution or dense layer makes new channels and reads all those before it. Every other layer here hands channels on,
each by itself, or joins them: what is added up must be removed together, as on both sides of a residual connection.
"""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from pipelines.errors import InputError
from tfcifar.models.activations import FusedGelu
from tfcifar.models.convolution import FastConv2D
from tfcifar.models.normalization import FusedBatchNormalization
from tfcifar.models.whitening import PatchWhitening

MIXING = (layers.Conv2D, FastConv2D, PatchWhitening, layers.Dense)
TYING = (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum)
PASSING = (
    layers.BatchNormalization, FusedBatchNormalization, layers.Activation, layers.ReLU, layers.LeakyReLU, FusedGelu,
    layers.Dropout, layers.SpatialDropout2D, layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalMaxPooling2D,
    layers.GlobalAveragePooling2D, layers.ZeroPadding2D, layers.Cropping2D, layers.UpSampling2D, layers.Rescaling,
    layers.DepthwiseConv2D,
)  # fmt: skip
# Activations that treat each channel by itself; softmax, for one, does not.
ELEMENTWISE = (
    "linear", "relu", "relu6", "leaky_relu", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "exponential",
    "gelu", "silu", "swish", "hard_sigmoid", "hard_silu", "hard_swish",
)  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Channels that the same layers make, each with its like in all of them.

    layers: names of convolutions and dense layers.
    channels: int [c], ids; each can be removed or stay.
    """

    layers: tuple[str, ...]
    channels: np.ndarray


@dataclass(frozen=True)
class ChannelGraph:
    """The channels of a model, by ids 0..count-1: what is removed together has one id.

    outputs: name of a layer -> int [c], the ids of its output's channels.
    inputs: the same of what convolutions and dense layers read.
    groups: all that can be removed; the channels of images, whitened patches and logits cannot.
    """

    count: int
    outputs: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]
    groups: tuple[Group, ...]

    @property
    def removable(self) -> int:
        """How many ids are in groups."""
        return sum(len(group.channels) for group in self.groups)


def trace_channels(model: keras.Model) -> ChannelGraph:
    """Follow the channels of a functional model, channels last, from its input to its outputs.

    Raises:
        InputError: a layer that it cannot follow, which it names.
    """
    if not hasattr(model, "operations"):
        raise InputError(f"channels: expected a functional model, received {type(model).__name__}.")
    calls = {layer["name"]: len(layer["inbound_nodes"]) for layer in model.get_config()["layers"]}
    tracer = _Tracer()
    tensors: dict[int, np.ndarray] = {}
    for layer in model.operations:
        if calls[layer.name] > 1:
            raise _cannot_follow(layer, f"it is called {calls[layer.name]} times")
        if isinstance(layer, layers.InputLayer):
            found = tracer.fixed(layer.output.shape[-1])
        else:
            _check_kind(layer)
            found = tracer.follow(layer, [tensors[id(tensor)] for tensor in keras.tree.flatten(layer.input)])
        tensors[id(layer.output)] = tracer.outputs[layer.name] = found
    for tensor in keras.tree.flatten(model.output):
        tracer.fix(tensors[id(tensor)])
    return tracer.result()


class _Tracer:
    """Ids of channels, joined as layers are followed (a union-find forest)."""

    def __init__(self):
        self.parents: list[int] = []
        self.outputs: dict[str, np.ndarray] = {}
        self.inputs: dict[str, np.ndarray] = {}
        self.mixing: list[str] = []
        self.unremovable: list[int] = []

    def new(self, count: int) -> np.ndarray:
        first = len(self.parents)
        self.parents += range(first, first + count)
        return np.arange(first, first + count)

    def fix(self, channels: np.ndarray) -> np.ndarray:
        self.unremovable += channels.tolist()
        return channels

    def fixed(self, count: int) -> np.ndarray:
        return self.fix(self.new(count))

    def root(self, channel: int) -> int:
        while self.parents[channel] != channel:
            channel = self.parents[channel]
        return channel

    def follow(self, layer: keras.layers.Layer, incoming: list[np.ndarray]) -> np.ndarray:
        """The ids of a layer's output channels, of those of its inputs."""
        kind = type(layer)
        if kind in MIXING:
            self.inputs[layer.name] = incoming[0]
            self.mixing.append(layer.name)
            # The filters of a whitening come in pairs of both signs, and are few.
            return self.fixed(layer.filters) if kind is PatchWhitening else self.new(layer.output.shape[-1])
        if kind is layers.Concatenate:
            return np.concatenate(incoming)
        if kind in TYING:
            first, *others = incoming
            for other in others:
                if len(other) != len(first):
                    raise _cannot_follow(layer, f"it joins {len(first)} channels to {len(other)}")
                for a, b in zip(first, other, strict=True):
                    self.parents[self.root(b)] = self.root(a)
            return first
        if kind is layers.Rescaling and max(np.size(layer.scale), np.size(layer.offset)) > 1:
            self.fix(incoming[0])  # numbers of its own for each channel, which are no weights
        return incoming[0]

    def result(self) -> ChannelGraph:
        roots = np.array([self.root(channel) for channel in range(len(self.parents))])
        names, ids = np.unique(roots, return_inverse=True)
        unremovable = set(ids[self.unremovable].tolist())
        made_by: dict[int, list[str]] = {}
        for name in self.mixing:
            for channel in ids[self.outputs[name]]:
                made_by.setdefault(int(channel), []).append(name)
        groups: dict[tuple[str, ...], list[int]] = {}
        for channel, makers in made_by.items():
            if channel not in unremovable:
                groups.setdefault(tuple(makers), []).append(channel)
        return ChannelGraph(
            len(names),
            {name: ids[channels] for name, channels in self.outputs.items()},
            {name: ids[channels] for name, channels in self.inputs.items()},
            tuple(Group(makers, np.array(channels)) for makers, channels in groups.items()),
        )


def _check_kind(layer: keras.layers.Layer) -> None:
    """Raises InputError for a layer of no known kind, or one set up to mix channels or to have them before the last."""
    known = (*MIXING, *TYING, *PASSING, layers.Concatenate)
    if type(layer) not in known:
        raise _cannot_follow(layer, f"known: {', '.join(sorted({each.__name__ for each in known}))}")
    last = len(layer.output.shape) - 1
    axis = getattr(layer, "axis", -1)
    if getattr(layer, "data_format", None) == "channels_first" or axis not in (-1, last):
        raise _cannot_follow(layer, "expected channels last")
    if getattr(layer, "groups", 1) != 1:
        raise _cannot_follow(layer, f"its convolution is in {layer.groups} groups")
    if getattr(layer, "depth_multiplier", 1) != 1:
        raise _cannot_follow(layer, f"it makes {layer.depth_multiplier} channels of each")
    activation = getattr(layer, "activation", None)
    name = keras.activations.serialize(activation) if activation is not None else "linear"
    if name not in ELEMENTWISE:
        raise _cannot_follow(layer, f"its activation is {name}; known: {', '.join(ELEMENTWISE)}")


def _cannot_follow(layer: keras.layers.Layer, why: str) -> InputError:
    return InputError(f"channels: cannot follow the layer {layer.name}, a {type(layer).__name__}: {why}.")
