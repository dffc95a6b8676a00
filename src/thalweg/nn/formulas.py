"""What the layers compute, written once: kernels are made from these functions, and tests call them on tensors.

A line is what is normalised together: a token's features (`RMSNorm`, `LayerNorm`), or a channel (`BatchNorm`).

    spread = the line's mean of (x - mean)^2        scale = 1 / sqrt(spread + eps)
    z = (x - mean) * scale                          y = z * weight + bias

BatchNorm  mean and spread (the variance) over the batch and all places, for each channel: Ioffe & Szegedy 2015,
           algorithm 1. For the running estimate the variance is the unbiased one, as in their algorithm 2.
LayerNorm  mean and spread (the variance) over the features of one example: Ba, Kiros & Hinton 2016, eq. 3 and 4.
RMSNorm    the same with mean = 0, so that spread is the mean of squares: Zhang & Sennrich 2019, eq. 4. Their eq. 4
           has no eps; as in torch, it stands beside the mean of squares.

The gradient follows by the chain rule. With g the gradient of z (of y, times the weight where that varies along the
line) and means taken over the line:

    gradient of x = scale * (g - mean(g) - z * mean(g * z))

The term mean(g) comes from the mean and is not there in RMSNorm. The gradients of weight and bias are the sums of
(gradient of y) * z and of (gradient of y).
"""

from typing import Any

from thalweg.formula.vocabulary import sqrt


def squared(x: Any, mean: Any) -> Any:
    """What each number of a line adds to the sum whose mean is the line's spread."""
    apart = x - mean
    return apart * apart


def joined(n: Any, mean_n: Any, m: Any, mean_m: Any) -> tuple[Any, Any]:
    """What m further numbers add to the mean of n, and to the squares around it, besides their own squares.

    Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance": as good as two passes.
    """
    apart = mean_m - mean_n
    return apart * m / (n + m), apart * apart * n * m / (n + m)


def scale(spread: Any, eps: Any) -> Any:
    """What a line is multiplied by; ``spread`` is its variance, or its mean of squares."""
    return 1 / sqrt(spread + eps)


def normalised(x: Any, mean: Any, scale: Any) -> Any:
    """z: with mean 0 (but in RMSNorm) and spread 1 over the line, but for eps."""
    return (x - mean) * scale


def output(z: Any, weight: Any, bias: Any) -> Any:
    """y."""
    scaled = z if weight is None else z * weight
    return scaled if bias is None else scaled + bias


def input_gradient(g: Any, z: Any, scale: Any, mean_g: Any, mean_gz: Any) -> Any:
    """The gradient of x, from that of z and its means over the line."""
    return scale * (g - mean_g - z * mean_gz)
