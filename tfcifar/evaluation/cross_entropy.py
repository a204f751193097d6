"""The loss that everything fitted to validation logits minimizes, and the minimizer."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

# Gradients below it are a minimum, whatever L-BFGS-B says: close to one, rounding leaves its line search no descent.
FLAT = 1e-5
# A decorator for fits. Their products are small: beside a training, BLAS' threads would wait for each other thirty
# times longer than they compute.
on_one_thread = threadpool_limits.wrap(limits=1, user_api="blas")


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean negative log-likelihood of `labels` (nats) and its gradient by `logits`, float64 [n, k].

    Args:
        logits: float64 [n, k]; log-probabilities do as well.
        labels: int [n].
    """
    rows = np.arange(len(labels))
    log_probabilities = log_softmax(logits, axis=1)
    gradient = np.exp(log_probabilities)
    gradient[rows, labels] -= 1
    return -float(log_probabilities[rows, labels].mean()), gradient / len(labels)


@on_one_thread
def minimum(
    objective: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    bounds: list[tuple[float, float]] | None = None,
    precision: float = 1e-13,
) -> np.ndarray:
    """Where a smooth convex function has its minimum, by L-BFGS-B (Byrd et al. 1995, doi:10.1137/0916069).

    Args:
        objective: float64 [p] -> value and gradient, float64 [p].
        bounds: lowest and highest value of each parameter; None: any.
        precision: it ends where a step gains less than this.

    Raises:
        RuntimeError: no minimum within 2,000 iterations.
    """
    options = {"maxiter": 2000, "maxfun": 20_000, "ftol": precision, "gtol": 1e-8}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    downhill = found.x - found.jac
    if bounds is not None:
        downhill = np.clip(downhill, *np.transpose(bounds))
    if not found.success and np.abs(downhill - found.x).max() > FLAT:
        raise RuntimeError(f"cross-entropy: no minimum found in {found.nit} iterations: {found.message}")
    return found.x
