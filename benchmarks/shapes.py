"""The sets of tensors that are updated, from the smallest to the largest."""

from collections.abc import Iterator
from dataclasses import dataclass

from thalweg.speed.cases import MLP, Shapes, gpt2_like, weights


@dataclass(frozen=True)
class Model:
    """``title`` is what the page calls it."""

    title: str
    shapes: Shapes

    @property
    def weights(self) -> int:
        """How many numbers it has."""
        return weights(self.shapes)


def resnet18() -> Shapes:
    """ResNet-18 for 1,000 classes (He et al. 2015, table 1) with batch norm: 11.7 million weights in 62 tensors."""
    return [*_convolution(3, 64, 7), *_stages(), (1_000, 512), (1_000,)]


def _stages() -> Iterator[tuple[int, ...]]:
    before = 64
    for width in (64, 128, 256, 512):
        for _ in range(2):
            yield from _convolution(before, width, 3)
            yield from _convolution(width, width, 3)
            if before != width:  # the shortcut has to change the number of channels too
                yield from _convolution(before, width, 1)
            before = width


def _convolution(before: int, after: int, size: int) -> Shapes:
    """A convolution without bias, and its batch norm."""
    return [(after, before, size, size), (after,), (after,)]


MODELS = {
    "500x64": Model("500 tensors of 64", 500 * [(64,)]),
    "mlp": Model("MLP 784-128-64-10: 109k in 6 tensors", MLP),
    "500x1000": Model("500 tensors of 1,000", 500 * [(1_000,)]),
    "resnet18": Model("ResNet-18: 11.7M in 62 tensors", resnet18()),
    "25m": Model("one tensor of 25M", [(25_000_000,)]),
    "gpt2": Model("GPT-2 at width 320: 31M in 148 tensors", gpt2_like()),
}
