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

    Where several devices share a batch (`tf.distribute`), the statistics are those of the whole batch, by one
    exchange of two numbers a channel in each pass: training then gives what one device would give.
    """

    def call(self, inputs, training=None, mask=None):
        shared = training and self.trainable and _sharing_devices() > 1
        if shared or not self._fused_kernel_applies(inputs, mask):
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

    def _moments(self, inputs, mask):
        if _sharing_devices() == 1:
            return super()._moments(inputs, mask)
        import tensorflow as tf

        mean, variance = tf.nn.moments(inputs, self._reduction_axes)  # of this device's part, as large as the others
        # Measured from a number near the mean, the same on all devices, so that large means cancel nothing.
        near = tf.convert_to_tensor(self.moving_mean)
        offset = mean - near
        local = tf.stack([offset, variance + offset**2])
        offset, square = tf.unstack(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, local))
        return near + offset, tf.maximum(square - offset**2, 0.0)

    def _fused_kernel_applies(self, inputs: keras.KerasTensor, mask: keras.KerasTensor | None) -> bool:
        return (
            backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and mask is None
            and not (self.renorm or self.synchronized)
            and backend.standardize_dtype(inputs.dtype) in ("float32", "float16", "bfloat16")
        )


def _sharing_devices() -> int:
    """How many devices share the batch that is being computed."""
    if backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync if tf.distribute.get_replica_context() else 1
