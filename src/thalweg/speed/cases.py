"""What is timed: one optimizer step on shapes people train, against the best that torch offers for it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from thalweg.formula import Rule
from thalweg.formula.chain import NO_DECAY
from thalweg.formula.compose import program, usual_switches
from thalweg.formula.expression import leaves
from thalweg.optim import OPTIMIZERS, Optimizer

Step = Callable[[], object]
Shapes = Sequence[tuple[int, ...]]

# Smaller sets stay in the cache, where the memory's bandwidth is no floor.
FROM_MEMORY = 10_000_000


@dataclass(frozen=True)
class Case:
    """``make`` returns thalweg's step and the peer's, each on parameters of its own."""

    name: str
    peer: str
    make: Callable[[], tuple[Step, Step]]
    weights: int
    bytes_per_weight: int
    """The least memory traffic of the step as thalweg does it, for the floor."""


def parameters(shapes: Shapes) -> list[torch.nn.Parameter]:
    """Parameters with gradients, as after a backward pass."""
    made = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    for p in made:
        p.grad = torch.randn_like(p)
    return made


def weights(shapes: Shapes) -> int:
    """How many numbers tensors of these shapes hold together."""
    return sum(math.prod(shape) for shape in shapes)


def gpt2_like(d: int = 320) -> Shapes:
    """GPT-2 (vocabulary 50,257, 1,024 positions, 12 blocks) at width d, in 148 tensors.

    At 320 it has 31 million weights, at 768, as it was published, 124 million.
    """
    block = [(d,), (d,), (d, 3 * d), (3 * d,), (d, d), (d,), (d,), (d,), (d, 4 * d), (4 * d,), (4 * d, d), (d,)]
    return [(50_257, d), (1_024, d), *(12 * block), (d,), (d,)]


# 784-128-64-10: what many people train first.
MLP: Shapes = [(128, 784), (128,), (64, 128), (64,), (10, 64), (10,)]


def traffic(rule: type[Rule]) -> tuple[int, int]:
    """The bytes that a step of the rule reads, and those it writes, for each weight in float32, in all its passes."""
    traced = program(rule, {**NO_DECAY, **usual_switches(rule)})
    passes = (*traced.sums, traced.update)
    read = [leaves([*walk.totals.values(), *walk.writes.values()], "weight") for walk in passes]
    return 4 * sum(map(len, read)), 4 * sum(len(walk.writes) for walk in passes)


def least_bytes(rule: type[Rule]) -> int:
    """What a step of the rule moves for each weight in float32."""
    return sum(traffic(rule))


def _of(name: str) -> int:
    return least_bytes(OPTIMIZERS[name].rule)


class EagerLion:
    """Lion as careful eager code writes it: one foreach operation after another (torch has no Lion)."""

    def __init__(self, params: list[torch.nn.Parameter], lr: float = 1e-4) -> None:
        self.params, self.lr = params, lr
        self.averages = [torch.zeros_like(p) for p in params]

    @torch.no_grad()
    def step(self) -> None:
        """Algorithm 2 of Chen et al. 2023, with betas (0.9, 0.99) and no decay."""
        weights = [p.detach() for p in self.params]
        grads = [p.grad for p in self.params if p.grad is not None]
        blend = torch._foreach_mul(self.averages, 0.9)
        torch._foreach_add_(blend, grads, alpha=0.1)
        torch._foreach_sign_(blend)
        torch._foreach_add_(weights, list(blend), alpha=-self.lr)
        torch._foreach_lerp_(self.averages, grads, 0.01)


def _adamw(shapes: Shapes) -> tuple[Step, Step]:
    theirs = torch.optim.AdamW(parameters(shapes), fused=True)
    return _made("adamw", shapes).step, theirs.step


def _clipped(shapes: Shapes) -> tuple[Step, Step]:
    params = parameters(shapes)
    theirs = torch.optim.AdamW(params, fused=True)

    def clip_and_step() -> None:
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        theirs.step()

    return _made("adamw", shapes, clip_norm=1.0).step, clip_and_step


def _lion(shapes: Shapes) -> tuple[Step, Step]:
    return _made("lion", shapes).step, EagerLion(parameters(shapes)).step


def _rmsprop(shapes: Shapes) -> tuple[Step, Step]:
    return _made("rmsprop", shapes).step, torch.optim.RMSprop(parameters(shapes), foreach=True).step


def _made(name: str, shapes: Shapes, clip_norm: float | None = None) -> Optimizer:
    return OPTIMIZERS[name](parameters(shapes), clip_norm=clip_norm)


def _case(
    name: str,
    peer: str,
    make: Callable[[Shapes], tuple[Step, Step]],
    shapes: Shapes,
    bytes_per_weight: int,
) -> Case:
    return Case(name, peer, lambda: make(shapes), weights(shapes), bytes_per_weight)


# The norm reads g once more.
CASES = (
    _case("AdamW, MLP of 6 tensors, 109k", "torch fused", _adamw, MLP, _of("adamw")),
    _case("AdamW, 500 tensors of 64", "torch fused", _adamw, 500 * [(64,)], _of("adamw")),
    _case("AdamW, 500 tensors of 1,000", "torch fused", _adamw, 500 * [(1_000,)], _of("adamw")),
    _case("AdamW, one tensor of 25M", "torch fused", _adamw, [(25_000_000,)], _of("adamw")),
    _case("clip + AdamW, GPT-2-like, 31M", "clip_grad_norm_ + fused", _clipped, gpt2_like(), _of("adamw") + 4),
    _case("Lion, one tensor of 25M", "eager foreach", _lion, [(25_000_000,)], _of("lion")),
    _case("RMSprop, one tensor of 25M", "torch foreach", _rmsprop, [(25_000_000,)], _of("rmsprop")),
)
