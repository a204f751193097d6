"""What each channel of a network is worth to it."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from tqdm import tqdm

from export.channel_graph import MIXING, ChannelGraph
from pipelines.disk_images import Images

SCORED_IMAGES = 2000
SCORING_BATCH = 100


def gated_logits(model: keras.Model, graph: ChannelGraph, images: tf.Tensor, gates: tf.Tensor) -> tf.Tensor:
    """What the model gives with a gate on every channel wherever a convolution or dense layer reads it.

    Args:
        images: float [n, h, w, c].
        gates: float32 [n, graph.count]; a channel whose gate is 0 is as if removed.
    """
    values = {id(model.input): images}
    for layer in model.operations:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        inputs = keras.tree.map_structure(lambda tensor: values[id(tensor)], layer.input)
        if type(layer) in MIXING:
            own = ops.cast(ops.take(gates, graph.inputs[layer.name], axis=-1), inputs.dtype)
            inputs = inputs * ops.reshape(own, (-1, *(1,) * (len(inputs.shape) - 2), own.shape[-1]))
        values[id(layer.output)] = layer(inputs, training=False)
    return values[id(model.output)]


def taylor_scores(model: keras.Model, graph: ChannelGraph, images: Images, labels: np.ndarray) -> np.ndarray:
    """How much the loss of an image would change without the channel, squared, by a first-order expansion.

    Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning" (arXiv:1906.10771), with gates, and
    with the mean over images in place of batches: a trained network's gradients cancel within a batch. Of channels
    that go together the gate is one. Scores of different layers can be compared.

    Args:
        images, labels: uint8 [n, h, w, c] and int [n]; SCORED_IMAGES of them are looked at.

    Returns:
        float64 [graph.count], in nats squared.
    """

    @tf.function
    def squared(images, labels):
        gates = tf.ones([tf.shape(images)[0], graph.count])
        with tf.GradientTape() as tape:
            tape.watch(gates)
            logits = tf.cast(gated_logits(model, graph, tf.cast(images, tf.float32), gates), tf.float32)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_sum(tape.gradient(loss, gates) ** 2, axis=0)

    chosen = np.random.RandomState(0).permutation(len(images))[:SCORED_IMAGES]  # images may come sorted by class
    total = np.zeros(graph.count)
    for start in tqdm(
        range(0, len(chosen), SCORING_BATCH), desc="channel scores", unit="batch", leave=False, disable=None
    ):
        batch = chosen[start : start + SCORING_BATCH]
        total += squared(tf.constant(images[batch]), tf.constant(labels[batch], tf.int64)).numpy()
    return total / len(chosen)


def norm_scores(
    model: keras.Model, graph: ChannelGraph, images: Images | None = None, labels: np.ndarray | None = None
) -> np.ndarray:
    """The L1 norm of the filters that make the channel, relative to the mean of its group.

    Li et al. 2017 (arXiv:1608.08710). The examples are not looked at.

    Returns:
        float64 [graph.count].
    """
    scores = np.zeros(graph.count)
    for group in graph.groups:
        for name in group.layers:
            kernel = model.get_layer(name).kernel
            norms = np.abs(np.asarray(kernel, np.float64)).sum(axis=tuple(range(len(kernel.shape) - 1)))
            mine = np.isin(graph.outputs[name], group.channels)
            np.add.at(scores, graph.outputs[name][mine], norms[mine] / norms[mine].mean())
    return scores


SCORES = {"taylor": taylor_scores, "l1": norm_scores}  # by the names of pruning_config.SCORES
