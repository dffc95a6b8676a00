"""Layers to try, ours beside torch's with the same numbers in them, and layouts that tensors come in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import thalweg.nn

# The sizes from which on kernels serve: small cases exercise them where these are 1.
SIZES = ("RMS_FROM", "LAYER_FROM", "PLANES_FROM", "COLUMNS_FROM")

# Each gives the same numbers ("expanded": those of the first example), by differentiable operations.
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x.contiguous(),
    "offset": lambda x: torch.cat((x.flatten()[:1], x.flatten()))[1:].view(x.shape),
    "transposed": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "channels last": lambda x: x.movedim(1, -1).contiguous().movedim(-1, 1),
    "sliced": lambda x: torch.stack((x, x), -1)[..., 0],
    "expanded": lambda x: x[:1].expand_as(x),
    "negative": lambda x: torch._neg_view(-x),
}


@dataclass(frozen=True)
class Layer:
    """A layer by its name in torch.nn, and an input that kernels serve in training."""

    name: str
    args: tuple[Any, ...]
    shape: tuple[int, ...]
    layout: str = "contiguous"

    def __str__(self) -> str:
        return f"{self.name} {'x'.join(map(str, self.shape))} {self.layout}"

    @property
    def of_batches(self) -> bool:
        return self.name.startswith("BatchNorm")

    def pair(self, dtype: torch.dtype = torch.float32, **options: Any) -> tuple[torch.nn.Module, torch.nn.Module]:
        """Ours and torch's, with the same random weights."""
        made = [getattr(home, self.name)(*self.args, dtype=dtype, **options) for home in (thalweg.nn, torch.nn)]
        with torch.no_grad():
            for seed, parameter in enumerate(made[0].parameters(), start=7):
                parameter.copy_(1 + 0.5 * drawn(parameter.shape, seed))
        made[1].load_state_dict(made[0].state_dict())
        return made[0], made[1]

    def x(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
        """A leaf without gradient, laid out as this case says."""
        return LAYOUTS[self.layout](drawn(self.shape, seed, dtype))


TOKENS = [
    Layer("RMSNorm", (17,), (5, 17)),
    Layer("RMSNorm", ((3, 5),), (2, 4, 3, 5)),
    Layer("LayerNorm", (17,), (5, 17)),
    Layer("LayerNorm", ((3, 5),), (2, 4, 3, 5)),
]
CHANNELS = [
    Layer("BatchNorm1d", (5,), (7, 5)),
    Layer("BatchNorm1d", (5,), (3, 5, 17)),
    Layer("BatchNorm1d", (5,), (3, 5, 17), "channels last"),
    Layer("BatchNorm2d", (3,), (2, 3, 4, 5)),
    Layer("BatchNorm2d", (3,), (2, 3, 4, 5), "channels last"),
    Layer("BatchNorm2d", (3,), (5, 3, 2, 2), "channels last"),
    Layer("BatchNorm3d", (3,), (2, 3, 2, 2, 5)),
    Layer("BatchNorm3d", (3,), (2, 3, 2, 2, 5), "channels last"),
]
LAYERS = TOKENS + CHANNELS
FAMILIES = [TOKENS[0], TOKENS[2], CHANNELS[1], CHANNELS[4]]
"""One of each way that kernels walk."""


def drawn(shape: Sequence[int], seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    seeded = torch.Generator().manual_seed(seed)
    return torch.randn(tuple(shape), generator=seeded, dtype=torch.float64).to(dtype)


def apart(found: Tensor, expected: Tensor) -> float:
    """The norm of the difference, over the norm."""
    found, expected = found.detach().double(), expected.detach().double()
    assert found.shape == expected.shape
    norm = expected.norm().item()
    return (found - expected).norm().item() / (norm or 1.0)


def by_kernels(*outputs: Tensor) -> bool:
    """Whether kernels made these; torch's own functions have other nodes in the graph."""
    return all(type(y.grad_fn).__name__ == "_NormalisedBackward" for y in outputs)


def results(layer: Callable[..., Any], x: Tensor, dy: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """y and the gradients of x and of the parameters."""
    leaf = x.detach().requires_grad_()
    y = layer(leaf)
    return [y, *torch.autograd.grad(y, (leaf, *parameters), dy)]


def compared(layer: Layer, x: Tensor, dy: Tensor, **options: Any) -> tuple[list[Tensor], list[Tensor]]:
    """The same of ours and of torch's, and the buffers."""
    found = []
    for module in layer.pair(x.dtype, **options):
        numbers = results(module, x, dy, list(module.parameters()))
        found.append([*numbers, *module.buffers()])
    return found[0], found[1]


def exactly(layer: Layer, x: Tensor, dy: Tensor, **options: Any) -> list[Tensor]:
    """What `compared` gives of torch's, computed in float64 from the same numbers."""
    module = layer.pair(x.dtype, **options)[1].double()
    return [*results(module, x.double(), dy.detach().double(), list(module.parameters())), *module.buffers()]
