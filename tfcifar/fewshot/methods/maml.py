"""MAML: weights, and rates, from which a few steps of gradient descent lead far.

Finn, Abbeel and Levine 2017, arXiv:1703.03400; the learned rates after Li et al. 2017, "Meta-SGD", arXiv:1707.09835,
one for each tensor as in Antoniou, Edwards and Storkey 2019, arXiv:1810.09502.
"""

import tensorflow as tf

from tfcifar.fewshot.inner_loop import cross_entropy
from tfcifar.fewshot.methods.gradient import GradientMethod, Task


class Maml(GradientMethod):
    """The gradient of the query loss goes through the steps themselves."""

    name = "maml"
    second_order = True

    def task_gradients(self, task: Task, num_classes: int) -> tuple[list[tf.Tensor], tf.Tensor]:
        support_images, support_labels, query_images, query_labels = task
        with tf.GradientTape() as tape:
            start = [*self.network.start(), *self.network.new_head(num_classes)]
            adapted = self.steps_from(start, support_images, support_labels, self.second_order)
            loss = cross_entropy(self.network.logits(adapted, query_images), query_labels)
        return tape.gradient(loss, [each.value for each in self.meta_variables()]), loss


class FirstOrderMaml(Maml):
    """The steps count as constants: a third of the cost."""

    name = "fomaml"
    second_order = False
