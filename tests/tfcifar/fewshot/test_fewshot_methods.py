"""Every method learns classes that are easy to tell apart, and what it makes of them can be saved."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from pipelines.errors import InputError
from tests.tfcifar.fewshot.conftest import colours
from tfcifar.fewshot import METHODS
from tfcifar.fewshot.confidence import cross_validate, temperature_for
from tfcifar.fewshot.methods import method_class
from tfcifar.fewshot.methods.feature_head import Features
from tfcifar.models.saved import load_model


def make(name, network):
    kind = method_class(name)
    return kind(network, [0.5] * len(network.trainable_variables), 5) if name in LEARNED_RATES else kind(network)


LEARNED_RATES = ("maml", "fomaml", "anil", "reptile")


@pytest.mark.parametrize("name", METHODS)
def test_each_method_learns_in_one_task_what_it_does_not_know_in_the_next(network, name, tmp_path):
    before = [weight.numpy() for weight in network.weights]
    method = make(name, network)
    assert method.name == name
    two, three = colours(2, 12), colours(3, 12, seed=1)
    first = method.learn(two.images[:10], two.labels[:10], 2)
    answers = first.logits(two.images[10:])
    assert answers.dtype == np.float32
    assert answers.shape == (14, 2)
    assert (answers.argmax(1) == two.labels[10:]).mean() > 0.9
    second = method.learn(three.images[:15], three.labels[:15], 3)
    assert second.logits(three.images[15:]).shape == (21, 3)
    np.testing.assert_allclose(first.logits(two.images[10:]), answers, atol=1e-6)  # no task spoils another
    for weight, value in zip(network.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    first.to_model().save(tmp_path / "model.keras")
    kept = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(kept(two.images[10:]), answers, atol=1e-5)


@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")  # some features are zero for all images
def test_prototypes_and_probe_agree_with_scikit_learn(network):
    examples, k = colours(3, 10), 3
    images, labels = examples.images, examples.labels
    features = Features(network)(images)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    prototype = method_class("prototype")(network).learn(images[:15], labels[:15], k)
    expected = NearestCentroid().fit(features[:15], labels[:15]).predict(features[15:])
    np.testing.assert_array_equal(prototype.logits(images[15:]).argmax(1), expected)
    for classes in (2, 3):  # scikit-learn has one column of weights for two classes
        chosen = labels < classes
        probe = method_class("linear_probe")(network).learn(images[chosen], labels[chosen], classes)
        logits = probe.logits(images[chosen]).astype(float)
        received = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        fitted = LogisticRegression(max_iter=1000).fit(features[chosen], labels[chosen])
        np.testing.assert_allclose(received, fitted.predict_proba(features[chosen]), atol=1e-4)


def test_features_that_are_remembered_are_computed_once_and_the_same(network):
    images = colours(3, 4).images
    plain, remembering = Features(network), Features(network, remember=True)
    np.testing.assert_allclose(remembering(images[2:6]), plain(images[2:6]), atol=1e-6)
    remembering._compute = lambda new: pytest.fail("computed again") if len(new) != 8 else plain(new)
    np.testing.assert_allclose(remembering(images), plain(images), atol=1e-6)
    np.testing.assert_allclose(remembering(images[::-1]), plain(images[::-1]), atol=1e-6)


def test_anil_changes_the_head_alone_and_maml_all_weights(network):
    examples = colours(2, 5)
    start = network.layers[2].get_weights()[0]
    for name, same in (("anil", True), ("maml", False)):
        model = make(name, network).learn(examples.images, examples.labels, 2).to_model()
        assert np.array_equal(model.get_layer("block1_conv").get_weights()[0], start) == same


def test_cross_validation_answers_for_images_that_were_not_learned_from():
    class Memory:
        """Knows the images that it has seen, and calls every other the first class."""

        name = "memory"

        def learn(self, images, labels, num_classes):
            known = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}

            class Answers:
                @staticmethod
                def logits(images):
                    return np.eye(num_classes)[[known.get(image.tobytes(), 0) for image in images]]

            return Answers

    examples = colours(3, 4)
    judged = cross_validate(Memory(), examples.images, examples.labels, 3)
    assert (judged.correct, judged.n) == (4, 12)
    assert cross_validate(Memory(), examples.images[:5], examples.labels[:5], 3) is None  # one image of the third class


def test_a_few_right_answers_make_nobody_certain():
    """Laplace: after ten of ten right answers the next is right with 11/12."""
    logits = 50.0 * np.eye(2)[np.arange(10) % 2]
    temperature = temperature_for(logits, 10)
    confidence = 1 / (1 + np.exp(-50 / temperature))
    assert confidence == pytest.approx(11 / 12, abs=1e-6)
    assert temperature_for(logits, 0) == 100  # no temperature makes two classes less than half sure
    assert temperature_for(np.eye(2)[[0, 1]] * 1e-9, 2) == 0.01


def test_an_unknown_method_is_named_with_the_nearest():
    with pytest.raises(InputError, match=r"Did you mean reptile"):
        method_class("reptil")
