"""Which layer is timed on which tensors: the lines of the table of normalisation layers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch

import thalweg
import thalweg.nn
from thalweg.tasks import char_transformer
from thalweg.tasks.text import VOCABULARY

TOKENS = ((64, 128), (2048, 384), (512, 4096), (8192, 1024))
IMAGES = ((32, 64, 8, 8), (32, 64, 28, 28), (64, 64, 56, 56))
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
PASSES = ("forward", "forward + backward")
# The task char-transformer: forward, backward and AdamW, before `convert` and after.
STEP = "training step"
MODELS = {"char-transformer, RMSNorm": "rms", "char-transformer, LayerNorm": "layer"}
# Float32 numbers that each pass must at least read and write for one of x: in the forward pass x and y; in the
# backward pass x, the gradient of y, the gradient of x. A residual is one more to read and its sum one to write;
# back come the gradients of both outputs.
_FROM_MEMORY = 60_000_000  # bytes that no cache here holds
_MOVED = {"forward": 2, "forward + backward": 5}
_MOVED_WITH_RESIDUAL = {"forward": 4, "forward + backward": 8}


@dataclass(frozen=True)
class NormCell:
    """One line. ``layer`` is a class of torch.nn and thalweg.nn, ``x + residual, `` and one, or a model of `MODELS`.

    ``shape`` is x's; a model's x is characters.
    """

    layer: str
    shape: tuple[int, ...]
    layout: str
    way: str

    @property
    def name(self) -> str:
        """What `--only` selects by."""
        return f"{self.layer}/{'x'.join(map(str, self.shape))}/{self.layout}/{self.way}"

    @property
    def residual(self) -> bool:
        """Whether two tensors are added first."""
        return self.layer.startswith("x + residual")

    @property
    def floor_bytes(self) -> int | None:
        """The least that can be moved; None for tensors that stay in the cache."""
        if self.way == STEP:
            return None
        moved = (_MOVED_WITH_RESIDUAL if self.residual else _MOVED)[self.way]
        least = 4 * moved * torch.Size(self.shape).numel()
        return least if least > _FROM_MEMORY else None


def _cells() -> list[NormCell]:
    tokens = [
        NormCell(added + layer, shape, "contiguous", way)
        for added in ("", "x + residual, ")
        for layer in ("RMSNorm", "LayerNorm")
        for shape in TOKENS
        for way in PASSES
    ]
    images = [NormCell("BatchNorm2d", shape, layout, way) for shape in IMAGES for layout in LAYOUTS for way in PASSES]
    steps = [NormCell(model, (32, 64), "", STEP) for model in MODELS]
    return [*tokens, *images, *steps]


# From small to large, since the allocator keeps more to itself once larger blocks have been freed.
CELLS = {cell.name: cell for cell in sorted(_cells(), key=lambda cell: torch.Size(cell.shape).numel())}


def sides(cell: NormCell) -> dict[str, Callable[[], Any]]:
    """thalweg's call and torch's, which have been seen to give the same results."""
    if cell.way == STEP:
        return {name: _training_step(cell, name) for name in ("thalweg", "torch")}
    torch.manual_seed(0)
    kind = cell.layer.rpartition(" ")[2]
    width = cell.shape[1] if kind == "BatchNorm2d" else cell.shape[-1]
    x, residual, *gradients = (torch.randn(cell.shape).contiguous(memory_format=LAYOUTS[cell.layout]) for _ in range(4))
    inputs = (x, residual) if cell.residual else (x,)
    ours, torchs = getattr(thalweg.nn, kind)(width), getattr(torch.nn, kind)(width)
    calls: dict[str, Callable[..., Any]] = {"thalweg": ours, "torch": torchs}
    if cell.residual:
        calls["torch"] = partial(_added, torchs)
    for given in inputs:
        given.requires_grad_(cell.way != "forward")
    made: dict[str, Callable[[], Any]] = {
        name: partial(_run, call, inputs, gradients, cell.way) for name, call in calls.items()
    }
    _check(cell, made)
    return made


def _training_step(cell: NormCell, layers_of: Literal["thalweg", "torch"]) -> Callable[[], Any]:
    torch.manual_seed(0)
    model = char_transformer.make(MODELS[cell.layer], "pre", 2)
    thalweg.nn.convert(model, layers_of)
    optimizer = thalweg.AdamW(model.parameters(), lr=1e-3)
    text = torch.randint(len(VOCABULARY), (cell.shape[0], cell.shape[1] + 1))

    def step() -> torch.Tensor:
        loss = char_transformer.mean_loss(model, text[:, :-1], text[:, 1:])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return step


def _added(norm: torch.nn.Module, x: torch.Tensor, residual: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    total = x + residual
    return norm(total), total


def _run(call: Callable[..., Any], inputs: Any, gradients: Any, way: str) -> tuple[torch.Tensor, ...]:
    """One pass, or both. The parameters' gradients are computed too; they and x's start from nothing."""
    found = call(*inputs)
    results = found if isinstance(found, tuple) else (found,)
    if way == "forward":
        return results
    parameters = list(_module(call).parameters())
    back = torch.autograd.grad(results, [*inputs, *parameters], gradients[: len(results)])
    return (*results, *back)


def _module(call: Callable[..., Any]) -> torch.nn.Module:
    found = call.args[0] if isinstance(call, partial) else call
    assert isinstance(found, torch.nn.Module)
    return found


def _check(cell: NormCell, made: Mapping[str, Callable[[], Any]]) -> None:
    for ours, torchs in zip(made["thalweg"](), made["torch"](), strict=True):
        # torch's own error on channels_last images is 1e-5.
        if not (ours - torchs).norm() <= 3e-5 * torchs.norm():
            raise RuntimeError(f"{cell.name}: thalweg and torch give other numbers, so their times say nothing")
