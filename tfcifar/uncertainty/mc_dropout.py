"""Monte Carlo dropout: several passes with dropout active and everything else as in inference.

Gal and Ghahramani 2016, "Dropout as a Bayesian Approximation" (arXiv:1506.02142).
"""

import keras
import numpy as np
from keras import layers

from pipelines.disk_images import Images
from pipelines.errors import InputError
from tfcifar.evaluation.metrics import softmax
from tfcifar.models.feature_maps import images_to_predict
from tfcifar.models.features import batches


class ActiveDropout(layers.Layer):
    """A dropout layer that drops in inference too. Not to be saved: it stands in a model for sampling only."""

    def __init__(self, dropout: layers.Dropout):
        super().__init__(name=dropout.name, dtype=dropout.dtype_policy)
        self.dropout = dropout

    def call(self, inputs):
        return self.dropout(inputs, training=True)


def dropout_rates(model: keras.Model) -> dict[str, float]:
    """The rates of all Dropout and SpatialDropout layers by name, those of nested models as "model/layer"."""
    rates: dict[str, float] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            rates |= {f"{layer.name}/{name}": rate for name, rate in dropout_rates(layer).items()}
        elif isinstance(layer, layers.Dropout):
            rates[layer.name] = layer.rate
    return rates


def sampling_rates(model: keras.Model, rate: float | None, name: str) -> dict[str, float]:
    """The rates to sample with: those that the model was trained with, and `rate` for layers at 0.

    Args:
        rate: 0..1, exclusive; None: layers at 0 stay so.
        name: of the run, for the message.

    Raises:
        InputError: nothing would be random, and every sample the same.
    """
    trained = dropout_rates(model)
    if not trained:
        raise InputError(f"mc dropout: expected a model with Dropout layers, {name} has none; pass --samples 0.")
    if rate and all(trained.values()):
        print(f"NOTE: --dropout: {name} keeps the rates that it was trained with, none of them 0.", flush=True)
    rates = {layer: own or rate or 0.0 for layer, own in trained.items()}
    if not any(rates.values()):
        raise InputError(
            f"mc dropout: expected dropout above 0, {name} was trained with rate 0; pass --dropout 0.2 to sample with "
            "a rate that it was not trained with, or --samples 0 to leave MC dropout out."
        )
    return rates


def with_active_dropout(model: keras.Model, rates: dict[str, float], seed: int = 0, prefix: str = "") -> keras.Model:
    """`model` with the same weights, in which dropout at `rates` stays on; BatchNorm and the rest do inference.

    Args:
        rates: by the names of `dropout_rates`; layers at 0 drop nothing.
        seed: of the masks; each layer draws its own.
    """

    def same_or_active(layer):
        name = prefix + layer.name
        if isinstance(layer, keras.Model) and any(rate for each, rate in rates.items() if each.startswith(f"{name}/")):
            return with_active_dropout(layer, rates, seed, f"{name}/")
        if isinstance(layer, layers.Dropout) and rates[name]:
            layer_seed = (seed * len(rates) + list(rates).index(name)) % 2**31
            config = layer.get_config() | {"rate": rates[name], "seed": layer_seed}
            return ActiveDropout(type(layer).from_config(config))
        return layer

    return keras.models.clone_model(model, clone_function=same_or_active)


def cut_before_dropout(model: keras.Model) -> tuple[keras.Model | None, keras.Model]:
    """A model with active dropout as (what is the same in each pass, what is random): only the second is repeated.

    Where dropout comes last, before the head, that saves nearly all of the work. The first part is None where no cut
    divides the two: the first dropout is inside a nested model or in one of several branches.
    """
    first = next(layer for layer in model.layers if _is_random(layer))
    if not isinstance(first, ActiveDropout):
        return None, model
    try:
        return keras.Model(model.input, first.input), keras.Model(first.input, model.output)
    except ValueError:  # the output needs more than this layer's input
        return None, model


def _is_random(layer: layers.Layer) -> bool:
    nested = layer.layers if isinstance(layer, keras.Model) else ()
    return isinstance(layer, ActiveDropout) or any(map(_is_random, nested))


def sample_probabilities(
    model: keras.Model, images: Images, samples: int, description: str, batch_size: int | None = None
) -> np.ndarray:
    """Class probabilities of `samples` passes through a model of `with_active_dropout`.

    Args:
        images: [n, h, w, 3], 0..255.
        description: of the progress bar.
        batch_size: images that share a draw of the generator; None: as `images_to_predict` has it.

    Returns:
        float32 [samples, n, k].
    """
    same, random = cut_before_dropout(model)
    parts = []
    for batch in batches(images, batch_size or images_to_predict(model), description):
        inputs = batch if same is None else same.predict_on_batch(batch)
        parts.append(np.stack([softmax(random.predict_on_batch(inputs)) for _ in range(samples)]).astype(np.float32))
    return np.concatenate(parts, axis=1)
