"""The nearest class mean.

Snell, Swersky and Zemel 2017, "Prototypical Networks for Few-shot Learning", arXiv:1703.05175, on features that were
trained as usual: Wang et al. 2019, "SimpleShot", arXiv:1911.04623.
"""

import keras
import numpy as np

from tfcifar.fewshot.methods import Learned
from tfcifar.fewshot.methods.feature_head import Features

SCALE = 5.0  # of squared distances, which are at most 4 here; it decides probabilities, not classes


class Prototype:
    name = "prototype"

    def __init__(self, model: keras.Model, remember: bool = False):
        self.features = Features(model, remember)

    def learn(self, images: np.ndarray, labels: np.ndarray, num_classes: int) -> Learned:
        features = self.features(images)
        means = np.stack([features[labels == label].mean(0) for label in range(num_classes)])
        # Of -|f - m|^2 = 2 f m - m^2 - f^2 the last part is the same for all classes.
        return self.features.learned(2 * SCALE * means.T, -SCALE * (means**2).sum(1))
