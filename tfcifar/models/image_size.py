"""The same network on images of another size."""

import keras


def at_image_size(model: keras.Model, size: int) -> keras.Model:
    """`model` for images [n, size, size, 3]: the same layers, and so the same weights.

    For networks without layers that are bound to a size: convolutions, then global pooling.
    """
    inputs = keras.Input((size, size, 3), name="images")
    return keras.models.clone_model(model, input_tensors=inputs, clone_function=lambda layer: layer)
