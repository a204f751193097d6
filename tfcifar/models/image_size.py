"""The same network on images of another size."""

import keras

from tfcifar.models.transfer import Upscale


def at_image_size(model: keras.Model, size: int) -> keras.Model:
    """`model` computing on `size` x `size` pixels: the same layers, and so the same weights.

    A model that upscales its images goes on taking them as they are, and upscales them to `size`; every other takes
    images [n, size, size, 3]. For networks without layers that are bound to a size: convolutions, then global pooling.
    """
    upscales = any(isinstance(layer, Upscale) for layer in model.layers)
    shape = model.input_shape[1:] if upscales else (size, size, model.input_shape[-1])

    def same_layer(layer):
        if isinstance(layer, Upscale):
            return Upscale(size, size, dtype="float32", name=layer.name)
        return at_image_size(layer, size) if isinstance(layer, keras.Model) else layer

    inputs = keras.Input(shape, name=model.input.name)
    return keras.models.clone_model(model, input_tensors=inputs, clone_function=same_layer)
