"""How differently members judge the same images: an ensemble of equal members is no better than one of them."""

import numpy as np


def disagreement(predicted: np.ndarray) -> np.ndarray:
    """Share of the images that two members give different classes.

    Fort, Hu and Lakshminarayanan 2019, "Deep Ensembles: A Loss Landscape Perspective", arXiv:1912.02757, section 4.

    Args:
        predicted: int [members, n].

    Returns:
        float64 [members, members], 0..1.
    """
    return np.array([(each != predicted).mean(1) for each in predicted])


def q_statistic(correct: np.ndarray) -> np.ndarray:
    """Yule's Q of each pair: 1 where two members are right on the same images, 0 where independently, below 0 where
    on different ones.

    Yule 1900; as a measure of diversity: Kuncheva and Whitaker 2003, doi:10.1023/A:1022859003006, equation 1.

    Args:
        correct: bool [members, n].

    Returns:
        float64 [members, members], -1..1; nan where it is not defined: a member that is always right or always wrong.
    """
    right, wrong = correct.astype(np.float64), (~correct).astype(np.float64)
    alike = (right @ right.T) * (wrong @ wrong.T)
    apart = (right @ wrong.T) * (wrong @ right.T)
    total = alike + apart
    return np.divide(alike - apart, total, out=np.full_like(total, np.nan), where=total > 0)
