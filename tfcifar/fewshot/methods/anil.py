"""ANIL, "almost no inner loop": the steps change the head alone, on features that were learned for it.

Raghu, Raghu, Bengio and Vinyals 2020, "Rapid Learning or Feature Reuse?", arXiv:1909.09157.
"""

from collections.abc import Sequence

import tensorflow as tf

from tfcifar.fewshot.inner_loop import adapt, cross_entropy
from tfcifar.fewshot.methods.maml import Maml


class Anil(Maml):
    name = "anil"

    def meta_variables(self) -> list:
        return [*self.network.weights, *self.log_rates[-2:]]  # the head's; no others are in use

    def steps_from(
        self, parameters: Sequence[tf.Tensor], images: tf.Tensor, labels: tf.Tensor, second_order: bool = False
    ) -> list[tf.Tensor]:
        *weights, kernel, bias = parameters
        features = self.network.features(weights, images)  # once: no step changes them
        rates = [tf.exp(each.value) for each in self.log_rates[-2:]]
        head = adapt(
            lambda head: cross_entropy(features @ head[0] + head[1], labels),
            [kernel, bias],
            rates,
            self.steps,
            second_order,
        )
        return [*weights, *head]
