"""What the meta-learned methods share: a few steps of gradient descent from weights that were learned for it."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfcifar.fewshot.inner_loop import Network, adapt, cross_entropy
from tfcifar.fewshot.methods import Learned
from tfcifar.fewshot.methods.feature_head import with_head

# Of all outer gradients together, which is about 1 in the first iterations: one episode with a huge loss does not throw
# the weights far away, and no usual step is shortened.
OUTER_CLIP_NORM = 10.0
Task = tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]  # the fields of an `Episode`, in their order


class GradientMethod:
    """Steps of gradient descent on the support images.

    Args:
        model: with a layer "logits", whose place a head for the task takes.
        rates: inner learning rates, one for each weight of the body, then those of the head's kernel and bias.
        steps: of gradient descent in a task, in meta-training and afterwards.
    """

    name: str
    learns_rates = True

    def __init__(self, model: keras.Model, rates: Sequence[float], steps: int):
        self.model, self.steps = model, steps
        self.network = Network(model)
        # As logarithms, so that no update makes one negative.
        self.log_rates = [keras.Variable(np.log(rate), dtype="float32", name="log_rate") for rate in rates]
        self.images = tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8)
        self.graphs: dict[int, tuple] = {}

    @property
    def rates(self) -> list[float]:
        return [float(np.exp(each.numpy())) for each in self.log_rates]

    def meta_variables(self) -> list:
        """What meta-training changes: the weights of the body, and the rates where they are learned."""
        return [*self.network.weights, *(self.log_rates if self.learns_rates else [])]

    def task_gradients(self, task: Task, num_classes: int) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Gradients of one task for `meta_variables`, and the loss of its query images after the steps."""
        raise NotImplementedError

    def make_outer_optimizer(self, iterations: int, learning_rate: float) -> keras.optimizers.Optimizer:
        """Of meta-training; its rate falls to zero."""
        schedule = keras.optimizers.schedules.CosineDecay(learning_rate, iterations)
        return keras.optimizers.Adam(schedule, global_clipnorm=OUTER_CLIP_NORM)

    def steps_from(
        self, parameters: Sequence[tf.Tensor], images: tf.Tensor, labels: tf.Tensor, second_order: bool = False
    ) -> list[tf.Tensor]:
        """`parameters`, of body and head, after the steps on these images."""

        def loss(parameters):
            return cross_entropy(self.network.logits(parameters, images), labels)

        rates = [tf.exp(each.value) for each in self.log_rates]
        return adapt(loss, parameters, rates, self.steps, second_order)

    def learn(self, images: np.ndarray, labels: np.ndarray, num_classes: int) -> Learned:
        adapted, logits = self._graphs_for(num_classes)
        parameters = adapted(images, labels)

        def to_model() -> keras.Model:
            *weights, kernel, bias = parameters
            body = keras.models.clone_model(self.network.body)
            body.set_weights(self.network.body.get_weights())
            for variable, value in zip(body.trainable_variables, weights, strict=True):
                variable.assign(value)
            return with_head(body, kernel.numpy(), bias.numpy())

        return Learned(lambda images: logits(parameters, images).numpy(), to_model)

    def _graphs_for(self, num_classes: int) -> tuple:
        """Compiled for so many classes and any number of images: the steps, and the logits after them."""
        if num_classes not in self.graphs:

            def adapted(images, labels):
                start = [*self.network.start(), *self.network.new_head(num_classes)]
                return self.steps_from(start, images, labels)

            head = self.network.new_head(num_classes)
            parameters = [tf.TensorSpec(each.shape) for each in [*self.network.weights, *head]]
            self.graphs[num_classes] = (
                tf.function(adapted, input_signature=[self.images, tf.TensorSpec([None], tf.int64)]),
                tf.function(self.network.logits, input_signature=[parameters, self.images]),
            )
        return self.graphs[num_classes]
