"""BatchNormalization that trains through TensorFlow's fused kernel.

Keras 3 composes training-mode batch normalization from separate mean, variance, scale and shift
operations, each of which reads the whole activation from memory. The fused kernel reads it twice.
"""

import keras
from keras import backend, ops


@keras.saving.register_keras_serializable(package="tfcifar")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Drop-in for `keras.layers.BatchNormalization`: same arguments, weights and results to rounding.

    The fused kernel serves channels-last images [n, h, w, c] on the TensorFlow backend; every other case
    (dense inputs, masks, renorm, synchronized, another axis or backend) runs the parent's own code. Statistics
    and weights are float32 under any compute dtype. As in Keras, the moving variance is the biased one.
    """

    def call(self, inputs, training=None, mask=None):
        if not self._fused_kernel_applies(inputs, mask):
            return super().call(inputs, training=training, mask=mask)

        import tensorflow as tf

        channels = inputs.shape[-1]
        scale = self.gamma if self.scale else ops.ones((channels,), "float32")
        offset = self.beta if self.center else ops.zeros((channels,), "float32")
        if not (training and self.trainable):
            outputs, _, _ = tf.compat.v1.nn.fused_batch_norm(
                inputs,
                scale,
                offset,
                mean=self.moving_mean,
                variance=self.moving_variance,
                epsilon=self.epsilon,
                is_training=False,
            )
            return ops.cast(outputs, self.compute_dtype)

        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, scale, offset, epsilon=self.epsilon, is_training=True
        )
        # The kernel returns the unbiased variance (n / (n - 1)); Keras keeps the biased one.
        count = ops.cast(ops.size(inputs) // channels, "float32")
        variance = variance * (count - 1.0) / count
        self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1.0 - self.momentum))
        self.moving_variance.assign(self.moving_variance * self.momentum + variance * (1.0 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)

    def _fused_kernel_applies(self, inputs, mask) -> bool:
        return (
            backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and mask is None
            and not (self.renorm or self.synchronized)
            and backend.standardize_dtype(inputs.dtype) in ("float32", "float16", "bfloat16")
        )
