"""A frozen first convolution that decorrelates image patches, set from the training images."""

import keras
import numpy as np

from pipelines.disk_images import Images

PATCHES = 5_000_000  # more than enough for a 12x12 covariance; from 5,000 images of 32x32 pixels


@keras.saving.register_keras_serializable(package="tfcifar")
class PatchWhitening(keras.layers.Conv2D):
    """Convolution with the whitening basis of its patches and, as further filters, the negative of that basis.

    Each filter is an eigenvector of the patches' second moments, divided by the root of its eigenvalue: all of its
    outputs have about unit variance and are uncorrelated, from which a network learns faster. With both signs, a
    following activation loses nothing. The filters never train. From Tysam Wilson's hlb-CIFAR10 by way of Keller
    Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv:2404.00498).

    Call `adapt` before training; until then the filters are random.
    """

    def __init__(self, kernel_size=2, epsilon=5e-4, **kwargs):
        kwargs = {"filters": 1, "padding": "valid", "use_bias": False, "trainable": False} | kwargs
        super().__init__(kernel_size=kernel_size, **kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        self.filters = 2 * input_shape[-1] * int(np.prod(self.kernel_size))
        super().build(input_shape)

    def adapt(self, images: np.ndarray) -> None:
        """Set the filters from `images`: float [n, h, w, c], normalized as the layer will see them."""
        self.kernel.assign(whitening_filters(np.asarray(images, "float32"), self.kernel_size, self.epsilon))

    def get_config(self):
        return super().get_config() | {"epsilon": self.epsilon}


def whitening_filters(images: np.ndarray, kernel_size: tuple[int, int], epsilon: float) -> np.ndarray:
    """Filters float32 [kh, kw, c, 2 * kh * kw * c] for `images` float32 [n, h, w, c].

    epsilon: added to the eigenvalues, so that directions that hold hardly more than noise are not blown up.
    """
    patches = np.lib.stride_tricks.sliding_window_view(images, kernel_size, axis=(1, 2))  # [n, h', w', c, kh, kw]
    patches = np.moveaxis(patches, 3, -1).reshape(-1, int(np.prod(kernel_size)) * images.shape[-1])
    eigenvalues, eigenvectors = np.linalg.eigh(patches.T @ patches / len(patches))
    basis = (eigenvectors / np.sqrt(eigenvalues + epsilon)).reshape(*kernel_size, images.shape[-1], -1)
    return np.concatenate([basis, -basis], axis=-1).astype("float32")


def adapt_to(model: keras.Model, images: Images) -> None:
    """Set the model's whitening layers, if it has any, from training `images` (uint8 [n, h, w, c])."""
    for layer in model.layers:
        if isinstance(layer, PatchWhitening):
            count = PATCHES // (images.shape[1] * images.shape[2]) + 1
            # Evenly over all: images may come sorted by class.
            some = images[:: max(1, len(images) // count)][:count]
            layer.adapt(keras.Model(model.inputs, layer.input).predict(some, batch_size=500, verbose=0))
