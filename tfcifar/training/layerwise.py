"""Layer-wise learning rates: the deeper a backbone's layer, the less it should move from what ImageNet taught it.

Howard and Ruder 2018, "Universal Language Model Fine-tuning" (arXiv:1801.06146), where it is called discriminative
fine-tuning.
"""

from typing import Any

import keras

from tfcifar.models.transfer import backbone_of


def rates_by_depth(model: keras.Model, first: float) -> dict[str, float]:
    """Path of each trainable variable of the model's backbone -> what the learning rate is multiplied by.

    first: for the backbone's first layer; from there it rises geometrically to 1 for the last. The head keeps 1.
    """
    layers = [layer for layer in backbone_of(model).layers if layer.weights]
    return {
        weight.path: first ** (1 - depth / max(1, len(layers) - 1))
        for depth, layer in enumerate(layers)
        for weight in layer.weights
    }


class _Layerwise(keras.optimizers.Optimizer):
    """Before an optimizer of Keras: the steps of each variable at its own rate; weight decay stays as it is.

    rates: by path of the variable; 1 for those that it does not name.
    """

    def __init__(self, *args: Any, rates: dict[str, float], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.rates = rates

    def update_step(self, gradient, variable, learning_rate):
        path = self._trainable_variables[self._get_variable_index(variable)].path
        super().update_step(gradient, variable, learning_rate * self.rates.get(path, 1.0))

    def get_config(self):
        return super().get_config() | {"rates": self.rates}


@keras.saving.register_keras_serializable(package="tfcifar")
class LayerwiseAdam(_Layerwise, keras.optimizers.Adam):
    """Adam with a rate for each variable."""


@keras.saving.register_keras_serializable(package="tfcifar")
class LayerwiseSGD(_Layerwise, keras.optimizers.SGD):
    """SGD with a rate for each variable."""
