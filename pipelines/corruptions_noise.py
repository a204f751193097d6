"""Noise: Gaussian, shot (Poisson), impulse (salt and pepper) and speckle.

Each function takes images float32 [n, h, w, 3] in 0..1, a severity 1..5 and `Draws`, and gives float32 of that shape;
`pipelines.corruptions` clips. Parameters are those of CIFAR-10-C (make_cifar_c.py of hendrycks/robustness).
"""

import numpy as np


def gaussian_noise(images, severity, draws):
    std = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return images + draws.normal(0, std, *images.shape[1:])


def shot_noise(images, severity, draws):
    """Photons counted, so many for a white pixel."""
    photons = (500, 250, 100, 75, 50)[severity - 1]
    return draws.poisson(images * photons) / photons


def impulse_noise(images, severity, draws):
    """A share of the values, each colour for itself, becomes 0 or 1."""
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    drawn = draws.uniform(0, 1, *images.shape[1:])
    salted = np.where(drawn < share, np.float32(1), images)
    return np.where(drawn < share / 2, np.float32(0), salted)


def speckle_noise(images, severity, draws):
    """Gaussian noise in proportion to the value."""
    std = (0.06, 0.10, 0.12, 0.16, 0.20)[severity - 1]
    return images * (1 + draws.normal(0, std, *images.shape[1:]))
