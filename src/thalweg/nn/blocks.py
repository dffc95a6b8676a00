"""Dense and convolutional blocks with the norm before or after the activation."""

from collections.abc import Callable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

Layer = Callable[[int], nn.Module]

PLACES = ("before", "after")


class DenseBlock(nn.Sequential):
    """A linear map, a norm and an activation. (n, inputs) to (n, outputs).

        before  activation(norm(W x))         the norm of the summed inputs, as Ioffe & Szegedy 2015 have it
        after   norm(activation(W x + b))     what the next layer takes has mean 0, deviation 1

    ``layer``       makes the norm, called with ``outputs``: a class such as `BatchNorm1d`; torch.nn.Identity for none.
    ``placement``   "before" or "after" the activation.
    ``activation``  makes the activation, called without arguments.

    The bias b is left out where a BatchNorm follows at once: it subtracts each output's own mean over the batch, and
    with it any b, and has a bias of its own. LayerNorm and RMSNorm take their statistics over the features of one
    example, which does not undo b, so there it stays. Raises `ValueError` for a placement that does not exist.

    Source:  Ioffe & Szegedy 2015, "Batch Normalization" (arXiv:1502.03167), section 3.2, also for the bias.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        layer: Layer,
        placement: str = "before",
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        norm = layer(outputs)
        dense = nn.Linear(inputs, outputs, bias=not _undone(norm, placement))
        super().__init__(dense, *_ordered(norm, activation(), placement))


class ConvBlock(nn.Sequential):
    """A convolution in two dimensions, a norm and an activation: a `DenseBlock` at every place of an image.

    (n, inputs, height, width) to (n, outputs, height, width): stride 1, padded by 0 on all sides.

    ``kernel``  height and width of the window; odd.

    ``layer`` is called with ``outputs``, the channels: `BatchNorm2d`, or a function such as
    ``lambda channels: LayerNorm((channels, 8, 8))`` for images that have 8x8 places here. The rest is `DenseBlock`'s.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 3,
        layer: Layer,
        placement: str = "before",
        activation: Callable[[], nn.Module] = nn.ReLU,
    ) -> None:
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, so that the image keeps its size; got {kernel}")
        norm = layer(outputs)
        conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=not _undone(norm, placement))
        super().__init__(conv, *_ordered(norm, activation(), placement))


def _undone(norm: nn.Module, placement: str) -> bool:
    return placement == "before" and isinstance(norm, _BatchNorm)


def _ordered(norm: nn.Module, activation: nn.Module, placement: str) -> tuple[nn.Module, nn.Module]:
    if placement not in PLACES:
        raise ValueError(f"placement of the norm is {' or '.join(PLACES)} the activation; got {placement!r}")
    return (norm, activation) if placement == "before" else (activation, norm)
