"""Remove whole channels from a network: what is left is a smaller network of the same layers, as fast as it is small.

Li et al. 2017, "Pruning Filters for Efficient ConvNets" (arXiv:1608.08710).
"""

import keras
import numpy as np
from keras import layers

from export.channel_graph import MIXING, ChannelGraph, Group
from export.channel_scores import SCORES
from pipelines.disk_images import Images
from pipelines.errors import InputError
from tfcifar.models.whitening import PatchWhitening

MULTIPLE = 8  # channels that int8 kernels compute side by side; an odd one costs as much as eight


def choose_channels(
    graph: ChannelGraph, scores: np.ndarray, sparsity: float, scope: str = "group", multiple: int = MULTIPLE
) -> np.ndarray:
    """Which channels stay.

    Args:
        scores: float [count], see `export.channel_scores`.
        sparsity: share of the removable channels that goes.
        scope: "group": this share of each group; "global": those of the lowest scores, wherever they are.
        multiple: what stays of a group is rounded to a multiple of it, and is at least that; a smaller group stays
            whole.

    Returns:
        bool [count].
    """
    kept = np.ones(graph.count, bool)
    removable = np.concatenate([group.channels for group in graph.groups])
    lowest = removable[np.argsort(scores[removable], kind="stable")[: round(sparsity * len(removable))]]
    for group in graph.groups:
        size = len(group.channels)
        left = size - np.isin(group.channels, lowest).sum() if scope == "global" else size * (1 - sparsity)
        left = min(size, max(multiple, multiple * int(left / multiple + 0.5)))
        order = np.argsort(scores[group.channels], kind="stable")
        kept[group.channels[order[: size - left]]] = False
    return kept


def remove_channels(model: keras.Model, graph: ChannelGraph, kept: np.ndarray) -> keras.Model:
    """The model without the channels that are not `kept`: same layers, names and dtypes, slices of the weights.

    It computes what `model` does where everything that reads a removed channel finds zeros in it.

    Args:
        kept: bool [graph.count].
    """

    def narrower(layer):
        config = layer.get_config()
        config["dtype"] = keras.dtype_policies.serialize(layer.dtype_policy)  # that of SpatialDropout2D has lost it
        if type(layer) in MIXING and type(layer) is not PatchWhitening:
            size = "units" if isinstance(layer, layers.Dense) else "filters"
            config[size] = int(kept[graph.outputs[layer.name]].sum())
        return type(layer).from_config(config)

    small = keras.models.clone_model(model, clone_function=narrower)
    for layer in small.layers:
        if layer.weights:
            first, *others = model.get_layer(layer.name).get_weights()
            outgoing = kept[graph.outputs[layer.name]]
            if type(layer) in MIXING:
                first = first[..., kept[graph.inputs[layer.name]], :]
            # All else ends in the channels of the output.
            first = first[:, :, outgoing] if isinstance(layer, layers.DepthwiseConv2D) else first[..., outgoing]
            layer.set_weights([first, *(each[outgoing] for each in others)])
    return small


def prune_channels(
    model: keras.Model,
    graph: ChannelGraph,
    images: Images,
    labels: np.ndarray,
    sparsity: float,
    score: str = "taylor",
    scope: str = "group",
    multiple: int = MULTIPLE,
) -> keras.Model:
    """`model` without the channels that matter least to it; not trained since.

    Args:
        images, labels: uint8 [n, h, w, c] and int [n], training examples, for scores that look at them.
        score: a key of SCORES.

    Raises:
        InputError: nothing can be removed, or nothing would be.
    """
    if not graph.groups:
        raise InputError(f"channels: {model.name} has none that can be removed.")
    kept = choose_channels(graph, SCORES[score](model, graph, images, labels), sparsity, scope, multiple)
    if kept.all():
        groups = describe_groups(graph.groups)
        raise InputError(
            f"--sparsity: expected a share that removes channels, received {sparsity}; there are {groups}."
        )
    return remove_channels(model, graph, kept)


def describe_groups(groups: tuple[Group, ...]) -> str:
    """For example "block1_1_conv (64), block1_2_conv + block1_3_conv (64)"."""
    return ", ".join(f"{' + '.join(group.layers)} ({len(group.channels)})" for group in groups)
