"""What is timed on a GPU: rules and chains, on which tensors, beside which of torch's forms."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

import thalweg
from gpu_clock import Card
from shapes import MODELS, Model
from sides import EMA, Parameters, Side, check
from thalweg.optim import OPTIMIZERS, Optimizer
from thalweg.speed.cases import EagerLion, Shapes, Step, gpt2_like

THALWEG = "thalweg"
GRAPH = "fused, CUDA graph"
OWN_GRAPH = "thalweg, CUDA graph"
CLIP_NORM, CLIP_VALUE = 1.0, 2.0
# Bytes that all sides of a line take for each weight, at most: of five sides two gradients, the weight, two states and
# an average, what they are made of, and foreach's temporaries.
_ROOM = 170

GPU_MODELS: Mapping[str, Model] = {
    "500x64": MODELS["500x64"],
    "500x1000": MODELS["500x1000"],
    "gpt2-124m": Model("GPT-2: 124M in 148 tensors", gpt2_like(768)),
    "500m": Model("one tensor of 500M", [(500_000_000,)]),
}

Theirs = Callable[[Parameters], Step]


@dataclass(frozen=True)
class Way:
    """What a step does. ``ours`` makes thalweg's optimizer; ``theirs``, by form, makes torch's call, without a graph.

    ``recorded``: which of these is recorded as a CUDA graph as well, beside thalweg's own with ``capturable=True``.
    """

    title: str
    ours: Callable[..., Optimizer]
    theirs: Mapping[str, Theirs]
    recorded: Theirs | None = None


def _adamw(params: Parameters, **how: Any) -> Step:
    step: Step = torch.optim.AdamW(params, **how).step
    return step


def _clipped(params: Parameters, **how: Any) -> Step:
    step = _adamw(params, **how)

    def call() -> None:
        torch.nn.utils.clip_grad_norm_(params, CLIP_NORM)
        step()

    return call


def _chain(params: Parameters, **how: Any) -> Step:
    step, weights = _adamw(params, **how), [p.detach() for p in params]
    averages = [w.clone() for w in weights]

    def call() -> None:
        torch.nn.utils.clip_grad_value_(params, CLIP_VALUE)
        torch.nn.utils.clip_grad_norm_(params, CLIP_NORM)
        step()
        torch._foreach_lerp_(averages, weights, 1 - EMA)

    return call


def _of_torch(title: str, ours: Mapping[str, Any], theirs: Callable[..., Step]) -> Way:
    """AdamW with these options, beside what does the same with torch's."""
    return Way(
        title, lambda params, **more: thalweg.AdamW(params, **ours, **more),
        {
            "foreach": lambda params: theirs(params, foreach=True),
            "fused": lambda params: theirs(params, fused=True),
        },
        lambda params: theirs(params, fused=True, capturable=True),
    )  # fmt: skip


WAYS: Mapping[str, Way] = {
    "adamw": _of_torch("AdamW", {}, _adamw),
    "lion": Way("Lion", OPTIMIZERS["lion"], {"foreach, by hand": lambda params: EagerLion(params).step}),
    "lamb": Way("LAMB", OPTIMIZERS["lamb"], {}),
    "clip": _of_torch("clip by norm, AdamW", {"clip_norm": CLIP_NORM}, _clipped),
    "chain": _of_torch(
        "clip by value and norm, AdamW, EMA", {"clip_value": CLIP_VALUE, "clip_norm": CLIP_NORM, "ema": EMA}, _chain
    ),
}  # fmt: skip

# From what matters first, since the time may not do for all: every rule on the same tensors before others.
_ORDER = ("500x64", "gpt2-124m", "500m", "500x1000")
GPU_CELLS: Mapping[str, tuple[str, str]] = {f"{way}/{model}": (way, model) for model in _ORDER for way in WAYS}


def fitting(shapes: Shapes, free: int) -> Shapes:
    """The same tensors; one that is too large for all sides in so many bytes is as large as they allow."""
    if len(shapes) > 1:
        return shapes
    (size,) = shapes[0]
    return [(max(1, min(size, free // _ROOM)),)]


def gpu_sides(way: Way, shapes: Shapes, card: Card) -> tuple[dict[str, Side], dict[str, str], Optimizer]:
    """The sides, by name; why others could not be made; and thalweg's optimizer.

    Raises RuntimeError if sides take different steps. What is recorded starts as the others do, but is not compared.
    """
    generator = torch.Generator(card.device).manual_seed(0)

    def drawn() -> list[torch.Tensor]:
        return [torch.randn(shape, generator=generator, device=card.device) for shape in shapes]

    start, gradients = drawn(), (drawn(), drawn())

    def side(make: Callable[[Parameters], Step], still: bool = False) -> Side:
        params = [torch.nn.Parameter(w.clone()) for w in start]
        own = [[g.clone() for g in each] for each in gradients[: 1 if still else 2]]
        refill = _in_turn(params, own)
        refill()
        return Side(params, refill, make(params))

    made: list[Optimizer] = []

    def ours(params: Parameters) -> Step:
        made.append(way.ours(params))
        return made[0].step

    found, failed = {THALWEG: side(ours)}, dict[str, str]()
    for form, make in way.theirs.items():
        try:
            found[form] = side(make)
        except RuntimeError as error:
            failed[form] = _first_line(error)
    check(found, cleared=False)
    graphs: dict[str, Theirs] = {OWN_GRAPH: lambda params: way.ours(params, capturable=True).step}
    if way.recorded is not None:
        graphs[GRAPH] = way.recorded
    for form, make in graphs.items():
        try:
            found[form] = side(lambda params, make=make: card.recorded(card.warmed(make(params))), still=True)  # type: ignore[misc]
        except RuntimeError as error:
            failed[form] = _first_line(error)
    return found, failed, made[0]


def _in_turn(params: Parameters, sets: Sequence[Sequence[torch.Tensor]]) -> Step:
    """Gives the parameters other gradients each time: tensors elsewhere, as a backward pass leaves them."""
    turns = itertools.cycle(sets)

    def refill() -> None:
        for p, g in zip(params, next(turns), strict=True):
            p.grad = g

    return refill


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
