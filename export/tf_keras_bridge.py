"""Rebuild a Keras 3 model in tf_keras, for tools that accept nothing else, and bring its trained weights back.

TensorFlow Model Optimization prunes and quantizes legacy `tf_keras` models only and refuses those of Keras 3
(github.com/tensorflow/model-optimization, issues 1119, 1141, 1167, 1172). This module can be used alone:

    clone = to_tf_keras(model, flatten=True)
    clone = tfmot.sparsity.keras.prune_low_magnitude(clone, ...)      # train it, strip it
    model = from_tf_keras(tfmot.sparsity.keras.strip_pruning(clone), model)
"""

from typing import Any

import keras
import numpy as np
import tf_keras
from keras import Operation
from tf_keras import layers as legacy

from export.bridge_layers import WITHOUT_WEIGHTS, translate_layer, translate_operation
from export.parity import compare, compute_precision
from pipelines.errors import InputError, first_line

TENSOR = "__keras_tensor__"  # how Keras 3 writes in a config which output a call takes


def to_tf_keras(model: keras.Model, images: np.ndarray | None = None, flatten: bool = False) -> tf_keras.Model:
    """The same functional model in tf_keras: same names, same weights, same outputs, computed in float32.

    Args:
        model: functional or sequential, of the layers in `bridge_layers`; models inside it too.
        images: [n, ...], on which outputs are compared besides random ones; of several inputs in their structure.
        flatten: put the layers of models inside it into the model itself; TF-MOT looks at no others.

    Raises:
        InputError: a layer that has no translation, which it names; with `flatten`, layers of different models that
            share a name; or outputs that differ by more than rounding.
    """
    graph = _Graph(flatten)
    clone = graph.rebuild(model)
    graph.copy_weights()
    generator = np.random.RandomState(0)
    shapes = [[size or 32 for size in tensor.shape[1:]] for tensor in model.inputs]
    made_up = [generator.randint(0, 256, (4, *shape)).astype("float32") for shape in shapes]
    batches = [keras.tree.pack_sequence_as(model.input, made_up)]
    for batch in batches if images is None else [*batches, images]:
        outputs = [
            keras.tree.flatten(model(batch, training=False)),
            keras.tree.flatten(clone(_alone(keras.tree.flatten(batch)), training=False)),
        ]
        for expected, received in zip(*outputs, strict=True):
            # Of mixed precision, inner outputs may be half floats; the clone's are float32 throughout.
            expected = keras.ops.convert_to_numpy(keras.ops.cast(expected, "float32"))
            compare(expected, received.numpy(), compute_precision(model), "tf_keras model")
    return clone


def from_tf_keras(clone: tf_keras.Model, model: keras.Model) -> keras.Model:
    """`model` with the weights of `clone`, which was made of it by `to_tf_keras` and trained since.

    Raises:
        InputError: the two have weights in layers of other names or shapes, or in layers that share a name.
    """
    for each in (model, clone):
        _check_names([layer.name for layer in leaf_layers(each) if layer.weights])
    own, trained = ({layer.name: layer for layer in leaf_layers(each) if layer.weights} for each in (model, clone))
    own = {name: layer for name, layer in own.items() if not isinstance(layer, WITHOUT_WEIGHTS)}
    differ = sorted(set(own) ^ set(trained))
    if differ:
        raise InputError(f"tf_keras: expected weights in the same layers, found these in one model only: {differ}.")
    for name, layer in own.items():
        _set_weights(layer, trained[name].get_weights())
    return model


class _Graph:
    """One translation: `made` holds each layer's, so that a layer that is called twice is one layer there too."""

    def __init__(self, flatten: bool):
        self.flatten = flatten
        self.made: dict[int, tuple] = {}

    def rebuild(self, model: keras.Model) -> tf_keras.Model:
        if isinstance(model, keras.Sequential):
            inputs = [tf_keras.Input(model.input_shape[1:], name=f"{model.name}_input")]
        elif isinstance(model, keras.Model) and hasattr(model, "operations"):
            inputs = [
                tf_keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name.split(":")[0])
                for tensor in model.inputs
            ]
        else:
            raise InputError(f"tf_keras: expected a functional or sequential model, received {type(model).__name__}.")
        outputs = self.run(model, inputs)
        if self.flatten:
            _check_names([operation.name for operation, _ in self.made.values()])
        return tf_keras.Model(_alone(inputs), outputs, name=model.name)

    def run(self, model: keras.Model, inputs: list) -> Any:
        """The outputs of `model`, in their structure, as tf_keras tensors made from `inputs`."""
        if isinstance(model, keras.Sequential):
            (outputs,) = inputs
            for layer in model.layers:
                outputs = self.call(layer, [outputs], {})
            return outputs
        config = model.get_config()
        operations = {operation.name: operation for operation in model.operations}
        tensors = {}
        for place, tensor in zip(_places(config["input_layers"]), inputs, strict=True):
            tensors[place] = tensor
        waiting = [
            (operations[layer["name"]], number, node)
            for layer in config["layers"]
            for number, node in enumerate(layer["inbound_nodes"])
        ]
        while waiting:
            later = []
            for operation, number, node in waiting:
                if all(place in tensors for place in _taken(node)):
                    result = self.call(operation, _filled(node["args"], tensors), _filled(node["kwargs"], tensors))
                    for index, tensor in enumerate(result if isinstance(result, list | tuple) else [result]):
                        tensors[operation.name, number, index] = tensor
                else:
                    later.append((operation, number, node))
            if len(later) == len(waiting):
                raise InputError(f"tf_keras: {model.name}: calls that take what nothing gives: {later[0][0].name}.")
            waiting = later
        # Here, and here alone, the calls of a functional model are counted from the one that it was made with.
        given = {
            (name, number + _is_functional(operations[name]), index): tensor
            for (name, number, index), tensor in tensors.items()
        }
        return _structure(config["output_layers"], given)

    def call(self, operation: Operation, arguments: list, named: dict) -> Any:
        # Both are for the training of a Keras 3 model, and are there with their defaults.
        named = {name: each for name, each in named.items() if name not in ("training", "mask") and each is not None}
        if isinstance(operation, keras.Model) and self.flatten:
            return self.run(operation, keras.tree.flatten(arguments))
        if id(operation) not in self.made:
            if isinstance(operation, keras.Model):
                translated = self.rebuild(operation)
            elif isinstance(operation, keras.layers.Layer):
                translated = translate_layer(operation)
            else:
                translated = translate_operation(operation, arguments)
            self.made[id(operation)] = operation, translated
        translated = self.made[id(operation)][1]
        if not isinstance(operation, keras.layers.Layer):  # numbers are in the layer that stands for it
            tensors = [each for each in arguments if not isinstance(each, int | float)]
            return translated(_alone(tensors))
        if isinstance(operation, keras.Model):
            return translated(_alone(keras.tree.flatten(arguments)))
        try:
            return translated(*arguments, **named)
        except (TypeError, ValueError) as error:
            raise InputError(f"tf_keras: the call of {operation.name}: {first_line(error)}") from error

    def copy_weights(self) -> None:
        for operation, translated in self.made.values():
            is_leaf = isinstance(operation, keras.layers.Layer) and not isinstance(operation, keras.Model)
            if is_leaf and not isinstance(operation, WITHOUT_WEIGHTS):
                _set_weights(translated, operation.get_weights())


def _set_weights(layer: legacy.Layer, weights: list[np.ndarray]) -> None:
    shapes, received = ([tuple(each.shape) for each in of] for of in (layer.get_weights(), weights))
    if shapes != received:
        raise InputError(f"tf_keras: {layer.name}: expected weights of the shapes {shapes}, received {received}.")
    layer.set_weights(weights)


def leaf_layers(model: keras.Model | tf_keras.Model) -> list:
    """The layers of a model and of models inside it, in their order, without these models."""
    found = []
    for layer in model.layers:
        found += leaf_layers(layer) if isinstance(layer, keras.Model | tf_keras.Model) else [layer]
    return found


def _alone(values: list) -> Any:
    """One value in place of a list that holds no other."""
    return values[0] if len(values) == 1 else values


def _is_functional(operation: Operation) -> bool:
    return isinstance(operation, keras.Model) and not isinstance(operation, keras.Sequential)


def _check_names(names: list[str]) -> None:
    """Raises InputError for names that occur twice: weights come back by them."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"tf_keras: expected layers of different names, in models inside it too; twice: {twice}.")


def _places(structure: Any) -> list[tuple]:
    """The (layer, call, output) entries of a config's `input_layers`, which nests them as the model does."""
    if _is_place(structure):
        return [tuple(structure)]
    # Sorted, as Keras takes the inputs of a dictionary.
    values = [structure[key] for key in sorted(structure)] if isinstance(structure, dict) else structure
    return [place for each in values for place in _places(each)]


def _structure(structure: Any, tensors: dict) -> Any:
    if _is_place(structure):
        return tensors[tuple(structure)]
    if isinstance(structure, dict):
        return {name: _structure(each, tensors) for name, each in structure.items()}
    return [_structure(each, tensors) for each in structure]


def _is_place(structure: Any) -> bool:
    return isinstance(structure, list | tuple) and len(structure) == 3 and isinstance(structure[0], str)


def _taken(node: Any) -> list[tuple]:
    """Which outputs a call takes."""
    if isinstance(node, dict) and node.get("class_name") == TENSOR:
        return [tuple(node["config"]["keras_history"])]
    if isinstance(node, dict):
        return [place for each in node.values() for place in _taken(each)]
    return [place for each in node for place in _taken(each)] if isinstance(node, list | tuple) else []


def _filled(node: Any, tensors: dict) -> Any:
    """Arguments of a call with tensors in place of their descriptions."""
    if isinstance(node, dict) and node.get("class_name") == TENSOR:
        return tensors[tuple(node["config"]["keras_history"])]
    if isinstance(node, dict):
        return {name: _filled(each, tensors) for name, each in node.items()}
    return [_filled(each, tensors) for each in node] if isinstance(node, list | tuple) else node
