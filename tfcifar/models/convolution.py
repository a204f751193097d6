"""A 3x3 convolution whose weight gradient is fast on small feature maps.

On a CPU, oneDNN computes the forward pass and the input gradient of a bfloat16 convolution at nearly the speed of a
matrix product, but under TensorFlow's thread pool the weight gradient at half of it (docs/performance.md). On small
maps it is faster as three matrix products: one for each row of the kernel, of the map shifted by that row against the
gradient, with the three column shifts side by side.
"""

from functools import cache

import keras
from keras import backend, ops

MAX_MAP_SIZE = 8  # pixels; on larger maps the shifted copies cost more than they save
IMAGES_A_PRODUCT = 100  # a part of the batch whose shifted copies stay in the cache


@keras.saving.register_keras_serializable(package="tfcifar")
class FastConv2D(keras.layers.Conv2D):
    """Drop-in for `keras.layers.Conv2D`: same arguments, weights and results to rounding.

    The fast weight gradient serves what it was measured for: 3x3 kernels with padding "same" and no strides, in
    bfloat16, on maps of up to 8x8, on a CPU. Every other case runs the parent's own code.
    """

    def call(self, inputs, training=None):
        if training and self._fast_gradient_applies(inputs):
            outputs = _conv_with_fast_gradient()(inputs, ops.cast(self.kernel, self.compute_dtype))
            if self.use_bias:
                outputs = outputs + ops.cast(self.bias, self.compute_dtype)
            return self.activation(outputs)
        return super().call(inputs)

    def _fast_gradient_applies(self, inputs: keras.KerasTensor) -> bool:
        if backend.backend() != "tensorflow" or self.compute_dtype != "bfloat16":
            return False
        import tensorflow as tf

        return (
            tuple(self.kernel_size) == (3, 3)
            and self.padding == "same"
            and tuple(self.strides) == tuple(self.dilation_rate) == (1, 1)
            and self.groups == 1
            and self.data_format == "channels_last"
            and None not in inputs.shape[1:3]
            and max(inputs.shape[1:3]) <= MAX_MAP_SIZE
            and not tf.config.list_physical_devices("GPU")
        )


@cache
def _conv_with_fast_gradient():
    import tensorflow as tf

    @tf.custom_gradient
    def conv(images, kernel):
        def gradient(upstream):
            to_images = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(images), filter=kernel, out_backprop=upstream, strides=[1] * 4, padding="SAME"
            )
            return to_images, weight_gradient(images, upstream)

        return tf.nn.conv2d(images, kernel, 1, "SAME"), gradient

    return conv


def weight_gradient(images, upstream):
    """The gradient of a 3x3 "same" convolution to its kernel, as matrix products.

    Args:
        images: [n, h, w, c], what was convolved.
        upstream: [n, h, w, d], the gradient to the result.

    Returns:
        [3, 3, c, d], in the dtype of `images`.
    """
    import tensorflow as tf

    _, height, width, channels = images.shape
    filters = upstream.shape[-1]

    def of_part(images, upstream):
        padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
        columns = tf.concat([padded[:, :, shift : shift + width] for shift in range(3)], axis=-1)
        upstream = tf.reshape(upstream, [-1, filters])
        rows = [tf.reshape(columns[:, shift : shift + height], [-1, 3 * channels]) for shift in range(3)]
        return tf.cast(tf.stack([tf.matmul(row, upstream, transpose_a=True) for row in rows]), tf.float32)

    # Without a batch size that is known when the graph is built: in one part.
    starts = range(0, images.shape[0] or 1, IMAGES_A_PRODUCT)
    ends = [*starts[1:], None]
    # Added up in float32, so that many parts round no worse than one product.
    total = tf.add_n([of_part(images[s:e], upstream[s:e]) for s, e in zip(starts, ends, strict=True)])
    return tf.reshape(tf.cast(total, images.dtype), [3, 3, channels, filters])
