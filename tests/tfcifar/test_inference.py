"""Fast inference says what Keras says."""

import numpy as np

from tests.export.models import build, images
from tfcifar.models.inference import IMAGES_AT_ONCE, fast_logits


def test_a_depthwise_network_outside_keras_gives_the_logits_that_it_gives_in_keras():
    model = build("mobilenet_v3_small")
    pictures = images(model, IMAGES_AT_ONCE + 3)
    expected = model.predict_on_batch(pictures)
    logits = fast_logits(model)
    assert logits != model.predict_on_batch
    assert expected.std() > 0.01  # otherwise it would be no test
    np.testing.assert_allclose(logits(pictures), expected, atol=1e-4 * np.abs(expected).max())


def test_other_networks_stay_in_keras():
    model = build("small_cnn")
    assert fast_logits(model) == model.predict_on_batch
