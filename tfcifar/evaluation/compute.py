"""What a training run cost in arithmetic, whatever hardware it ran on."""


def training_pflop(macs: int, images: int) -> float:
    """Training compute in PFLOP (1e15 floating-point operations) as cifar10-airbench counts it: 6 * MACs * images.

    A MAC is two operations, and the backward pass is counted as twice the forward pass: it computes gradients of
    both the activations and the weights. Exact where every layer trains from scratch. For a transfer model it is
    an upper bound: frozen layers have no gradients to compute. Evaluation after each epoch is left out.

    Args:
        macs: multiply-accumulates of one image's forward pass, see `complexity.count_macs`.
        images: images trained on, counted anew in each epoch.

    Source: https://github.com/KellerJordan/cifar10-airbench (its table's PFLOPs); the factor 2 for the backward
    pass is the usual one, as in Kaplan et al. 2020, arXiv:2001.08361, section 2.1.
    """
    return 6 * macs * images / 1e15
