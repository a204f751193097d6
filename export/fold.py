"""The same network with its linear parts drawn together, as it is run: BatchNorm and scaling inside the convolutions.

A converter folds BatchNorm only where it follows a convolution directly. The fast network has a max-pooling between
them; and what stays outside costs time and, in INT8, one more rounding to 256 steps.
"""

from collections import defaultdict
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

WITH_KERNEL = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
UNUSED = (layers.Dropout, layers.SpatialDropout2D)  # in inference


@dataclass
class Kernel:
    """The weights to be of a layer in WITH_KERNEL."""

    kernel: np.ndarray
    bias: np.ndarray


def fold(model: keras.Model) -> keras.Model:
    """A functional model with the same outputs to rounding, float32, for inference only.

    Folded into a convolution or dense layer are a BatchNorm behind it, also one behind max-pooling where its scale is
    nowhere negative; a ReLU behind it; and a Rescaling before it, where no padding adds zeros that it would have to
    shift. A dense layer on maps becomes a convolution of 1x1, which takes them in TFLite without a Reshape that would
    hold for one image alone. Dropout goes. So it is within each model inside the model.
    """
    graph = _Graph(model)
    kernels: dict[str, Kernel] = {}
    folded: set[str] = set()
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            scale, offset = _scale_and_offset(layer)
            target = graph.kernel_before(layer, folded, rising=bool((scale >= 0).all()))
            if target is not None:
                _fold_after(kernels.setdefault(target.name, _kernel_of(target)), target, scale, offset)
                folded.add(layer.name)
        if isinstance(layer, layers.Rescaling):
            target = graph.kernel_after(layer)
            if target is not None:
                _fold_before(kernels.setdefault(target.name, _kernel_of(target)), layer)
                folded.add(layer.name)

    rectified = set()
    for layer in model.layers:
        if isinstance(layer, layers.ReLU) and _is_plain(layer):
            target = graph.kernel_before(layer, folded, rising=True)
            if target is not None:
                rectified.add(target.name)
                folded.add(layer.name)

    def clone(layer):
        if isinstance(layer, keras.Model):
            return fold(layer)
        if not isinstance(layer, layers.Layer):  # an operation such as keras.ops.add
            return type(layer).from_config(layer.get_config())
        config = layer.get_config() | {"dtype": "float32"}
        if layer.name in kernels:
            config["use_bias"] = True
        if layer.name in rectified:
            config["activation"] = "relu"
        if isinstance(layer, layers.Dense) and graph.is_on_maps(layer):
            names = ("name", "dtype", "activation", "use_bias")
            return layers.Conv2D(layer.units, 1, **{name: config[name] for name in names})
        return type(layer).from_config(config)

    def call(layer, *arguments, **named):
        if layer.name in folded or isinstance(layer, UNUSED):
            return arguments[0]
        return layer(*arguments, **named)

    result = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in result.layers:
        if isinstance(layer, keras.Model) or not layer.weights:
            continue
        of_kernel = kernels.get(layer.name)
        weights = [of_kernel.kernel, of_kernel.bias] if of_kernel else model.get_layer(layer.name).get_weights()
        layer.set_weights([value.reshape(each.shape) for value, each in zip(weights, layer.weights, strict=True)])
    return result


class _Graph:
    """Who gives to whom in a functional model."""

    def __init__(self, model: keras.Model):
        self.before: dict[str, list] = defaultdict(list)  # name -> the operations whose outputs it takes
        self.after: dict[str, list] = defaultdict(list)  # name -> those that take its output
        self.ranks: dict[str, set[int]] = defaultdict(set)  # name -> of the tensors that it takes
        for node in (node for nodes in model._nodes_by_depth.values() for node in nodes):
            for tensor in node.input_tensors:
                giver = tensor._keras_history.operation
                self.before[node.operation.name].append(giver)
                self.after[giver.name].append(node.operation)
                self.ranks[node.operation.name].add(len(tensor.shape))
        for tensor in model.outputs:
            self.after[tensor._keras_history.operation.name].append(None)  # the caller takes it

    def is_on_maps(self, layer: layers.Layer) -> bool:
        return self.ranks[layer.name] == {4}

    def kernel_before(self, layer: layers.Layer, folded: set[str], rising: bool) -> layers.Layer | None:
        """The layer that `layer` can be folded into, over others that are, or None.

        rising: larger values stay larger, so that it may as well come before max-pooling as behind it.
        """
        before = self.before[layer.name]
        while len(before) == 1 and self._is_only_step(before[0]):
            (layer,) = before
            if isinstance(layer, WITH_KERNEL):
                return layer if layer.activation is keras.activations.linear else None
            if layer.name not in folded and not (rising and isinstance(layer, layers.MaxPooling2D)):
                return None
            before = self.before[layer.name]
        return None

    def kernel_after(self, rescaling):
        """The layer that a Rescaling can be folded into, or None."""
        layer = rescaling
        while True:
            if not self._is_only_step(layer):
                return None
            (layer,) = self.after[layer.name]
            if not isinstance(layer, UNUSED):
                break
        shifted = np.any(np.asarray(rescaling.offset) != 0)
        padded = getattr(layer, "padding", "valid") != "valid"
        # A depthwise kernel has its inputs on another axis; none stands there in the models here.
        fits = isinstance(layer, layers.Conv2D | layers.Dense) and getattr(layer, "groups", 1) == 1
        return layer if fits and self._is_only_step(layer) and not (shifted and padded) else None

    def _is_only_step(self, layer: layers.Layer) -> bool:
        """Called once, with one input, and its output goes to one place."""
        return len(self.before[layer.name]) == 1 and len(self.after[layer.name]) == 1


def _is_plain(relu: layers.ReLU) -> bool:
    return relu.max_value is None and not relu.negative_slope and not relu.threshold


def _kernel_of(layer: layers.Layer) -> Kernel:
    outputs = (
        layer.kernel.shape[-1] if not isinstance(layer, layers.DepthwiseConv2D) else np.prod(layer.kernel.shape[2:])
    )
    bias = layer.bias.numpy() if layer.use_bias else np.zeros(outputs)
    return Kernel(layer.kernel.numpy().astype("float64"), bias.astype("float64"))


def _scale_and_offset(norm: layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """What BatchNorm does to each channel: float64 [c] to multiply by, and to add."""
    scale = 1 / np.sqrt(norm.moving_variance.numpy().astype("float64") + norm.epsilon)
    if norm.scale:
        scale = scale * norm.gamma.numpy()
    offset = -norm.moving_mean.numpy() * scale
    return scale, offset + norm.beta.numpy() if norm.center else offset


def _fold_after(kernel: Kernel, layer: layers.Layer, scale: np.ndarray, offset: np.ndarray) -> None:
    kernel.bias = kernel.bias * scale + offset
    if isinstance(layer, layers.DepthwiseConv2D):
        scale = scale.reshape(layer.kernel.shape[2:])
    kernel.kernel = kernel.kernel * scale


def _fold_before(kernel: Kernel, rescaling: layers.Rescaling) -> None:
    inputs = kernel.kernel.shape[-2]
    scale, offset = (
        np.broadcast_to(np.asarray(each, "float64"), (inputs,)) for each in (rescaling.scale, rescaling.offset)
    )
    kernel.bias = kernel.bias + (kernel.kernel * offset[:, None]).sum(tuple(range(kernel.kernel.ndim - 1)))
    kernel.kernel = kernel.kernel * scale[:, None]
