"""A few steps of gradient descent as a function of where they start, so that they can be differentiated themselves.

Finn, Abbeel and Levine 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", arXiv:1703.03400.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfcifar.models.multi_task import CLASSES


def adapt(
    loss: Callable[[list], tf.Tensor],
    parameters: Sequence[tf.Tensor],
    rates: Sequence[tf.Tensor],
    steps: int,
    second_order: bool = True,
) -> list[tf.Tensor]:
    """Take `steps` steps of gradient descent on `loss`.

    The result can be differentiated with respect to `parameters` and `rates`. Without `second_order` the gradients of
    the steps count as constants: the first-order approximation of the paper's section 5.2.

    Args:
        loss: of a list of tensors like `parameters`, a scalar.
        rates: learning rates, one for each of `parameters`, each a scalar or of its shape.
    """
    parameters = list(parameters)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            value = loss(parameters)
        gradients = tape.gradient(value, parameters, unconnected_gradients="zero")
        if not second_order:
            gradients = [tf.stop_gradient(each) for each in gradients]
        parameters = [each - rate * step for each, rate, step in zip(parameters, rates, gradients, strict=True)]
    return parameters


class Network:
    """A Keras model as a function of its weights, with a new head in the place of its own.

    The head starts from zero in each task: then it can have any number of classes, and none of them comes first (Kao,
    Chiu and Chen 2022, arXiv:2106.15367). Normalization layers compute as in inference.
    """

    def __init__(self, model: keras.Model):
        self.body = body_of(model)
        self.weights = self.body.trainable_variables
        self.constants = [each.value for each in self.body.non_trainable_variables]

    @property
    def width(self) -> int:
        """Features that the head sees."""
        return self.body.output_shape[-1]

    def start(self) -> list[tf.Tensor]:
        """The body's weights as they are now."""
        return [tf.convert_to_tensor(each) for each in self.weights]

    def new_head(self, num_classes: int) -> list[tf.Tensor]:
        """Kernel [width, num_classes] and bias [num_classes], of zeros."""
        return [tf.zeros([self.width, num_classes]), tf.zeros([num_classes])]

    def features(self, weights: Sequence[tf.Tensor], images: tf.Tensor) -> tf.Tensor:
        """float32 [n, width] of the body with `weights` in the place of its own."""
        features, _ = self.body.stateless_call(weights, self.constants, images, training=False)
        return features

    def logits(self, parameters: Sequence[tf.Tensor], images: tf.Tensor) -> tf.Tensor:
        """Args: parameters: weights of the body, then kernel and bias of a head."""
        *weights, kernel, bias = parameters
        return self.features(weights, images) @ kernel + bias


def body_of(model: keras.Model) -> keras.Model:
    """What a model with a layer "logits" computes before it."""
    return keras.Model(model.input, model.get_layer(CLASSES).input)


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Mean over the images; labels: int [n]."""
    soft = tf.one_hot(labels, logits.shape[-1])  # the kernel for whole labels has no second derivative on every device
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(soft, logits))
