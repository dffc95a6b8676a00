"""Small steps: on which tensors, what happens before each, and what the project asks of thalweg."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import LambdaLR

import thalweg
from shapes import MODELS
from sides import Parameters, Side, check, new_gradients
from thalweg.optim import Optimizer
from thalweg.speed.cases import Shapes, Step, parameters
from thalweg.speed.measure import Timing

THALWEG, TORCH = "thalweg", "torch fused"
LR, CLIP_NORM = 1e-3, 0.5
# What each rule is on either side.
_RULES: Mapping[str, tuple[type[Optimizer], type[torch.optim.Optimizer]]] = {
    "SGD": (thalweg.SGD, torch.optim.SGD),
    "Adam": (thalweg.Adam, torch.optim.Adam),
    "AdamW": (thalweg.AdamW, torch.optim.AdamW),
}
_FORMS = {TORCH: {"fused": True}, "torch foreach": {"foreach": True}}

# What the MlpPolicy of stable-baselines3 has on CartPole: two towers, then the actor's and the critic's last layer.
_TOWER: Shapes = [(64, 4), (64,), (64, 64), (64,)]
POLICY: Shapes = [*_TOWER, *_TOWER, (2, 64), (2,), (1, 64), (1,)]
_MANY = MODELS["500x64"].shapes


@dataclass(frozen=True)
class Limit:
    """What is asked of a line: ``figure`` of its timing is at most the bound, or at least; ``aim`` is asked for gladly.

    ``words`` say it, with a place for the bound.
    """

    figure: Callable[[Timing], float]
    words: str
    at_most: bool
    bound: float
    aim: float | None = None

    def met(self, timing: Timing) -> bool:
        """Whether the line keeps to it."""
        return self._within(self.bound, timing)

    def verdict(self, timing: Timing) -> str:
        """The limit, and whether it is met, in plain words."""
        asked = self.words.format(self.bound)
        if timing.disturbed:
            return f"{asked}: void"
        found = f"{asked}: {_kept(self.met(timing))} with {self.figure(timing):.3g}"
        if self.aim is None:
            return found
        return f"{found}; the aim of {self.aim:g} {_kept(self._within(self.aim, timing))}"

    def _within(self, bound: float, timing: Timing) -> bool:
        found = self.figure(timing)
        return found <= bound if self.at_most else found >= bound


def _kept(met: bool) -> str:
    return "met" if met else "missed"


def _microseconds(timing: Timing) -> float:
    return timing.median(THALWEG) * 1e6


def _times_faster(timing: Timing) -> float:
    return timing.ratio(TORCH, THALWEG)[1]


def _share_of_torch(timing: Timing) -> float:
    return timing.ratio(THALWEG, TORCH)[1]


_at_most = partial(Limit, _microseconds, "at most {:g} us", True)
_faster = partial(Limit, _times_faster, "at least {:g} times faster", False)
_NO_SLOWER = Limit(_share_of_torch, "at most {:.1f} of torch's time", True, 1.0)


@dataclass(frozen=True)
class SmallCell:
    """One line: ``rule`` on ``shapes``; ``name`` is what `--only` selects by, ``title`` what the page says.

    ``moved``: what of one parameter is elsewhere before each step. ``scheduled``: each tensor is a group of its own,
    and a `LambdaLR` follows the step. ``timed`` is the step, with its clip, or the scheduler. ``checked``: the form of
    torch whose steps thalweg's must be.
    """

    name: str
    title: str
    rule: str
    shapes: Shapes
    limit: Limit | None = None
    clip: bool = False
    moved: Literal["", "weight", "state", "gradient"] = ""
    scheduled: bool = False
    timed: Literal["step", "scheduler"] = "step"
    checked: str = TORCH


_ALL = (
    SmallCell("6x1/sgd", "6 x 1", "SGD", 6 * [(1,)], _at_most(10, 8)),
    SmallCell("6x1/adamw", "6 x 1", "AdamW", 6 * [(1,)], _at_most(10, 8)),
    SmallCell("6x1/adamw+clip", "6 x 1", "AdamW", 6 * [(1,)], _at_most(25, 20), clip=True),
    SmallCell("policy/adam", "policy", "Adam", POLICY, _faster(3)),
    SmallCell("policy/adam+clip", "policy", "Adam", POLICY, _faster(4), clip=True),
    SmallCell("moved/weight", "1 of 500 moved: a weight", "AdamW", _MANY, _NO_SLOWER, moved="weight"),
    SmallCell("moved/state", "1 of 500 moved: a state", "AdamW", _MANY, _NO_SLOWER, moved="state"),
    SmallCell(
        "moved/gradient", "1 of 500 moved: a gradient's layout", "AdamW", 500 * [(8, 8)], _NO_SLOWER,
        moved="gradient", checked="torch foreach",
    ),
    SmallCell("groups/step", "500 groups", "AdamW", _MANY, _faster(4, 5), scheduled=True),
    SmallCell("groups/scheduler", "500 groups", "AdamW", _MANY, scheduled=True, timed="scheduler"),
    SmallCell("500x64/adamw", "500 x 64", "AdamW", _MANY),
    SmallCell("500x64/adamw+clip", "500 x 64", "AdamW", _MANY, clip=True),
)  # fmt: skip
SMALL_CELLS = {cell.name: cell for cell in _ALL}


def small_sides(cell: SmallCell) -> dict[str, Side]:
    """thalweg's side and torch's, once thalweg's has been seen to take the steps that torch takes."""
    check({name: _side(cell, name) for name in (THALWEG, cell.checked)}, cleared=False)
    return {name: _side(cell, name) for name in (THALWEG, TORCH)}


def _side(cell: SmallCell, name: str) -> Side:
    """One side, after its first step: its states are there. Sides of one cell start alike and meet the same."""
    torch.manual_seed(0)
    params = parameters(cell.shapes)
    sources = [torch.randn_like(p) for p in reversed(params)]
    optimizer = _optimizer(cell, name, params)
    renew: list[Step] = [partial(new_gradients, params, sources)]
    if cell.moved:
        renew.append(partial(_move, cell.moved, optimizer, params, random.Random(0)))
    scheduler = LambdaLR(optimizer, _falling) if cell.scheduled else None  # which puts itself around the step
    step = _step(cell, name, optimizer, params)
    new_gradients(params, sources)
    step()
    if scheduler is None:
        return Side(params, _in_turn(renew), step)
    if cell.timed == "scheduler":
        return Side(params, _in_turn([*renew, step]), scheduler.step)
    return Side(params, _in_turn([scheduler.step, *renew]), step)


def _falling(steps: int) -> float:
    """What the rate is multiplied by; from 1 again in time, before it fades into numbers that are slow."""
    return float(0.99 ** (steps % 1000))


def _optimizer(cell: SmallCell, name: str, params: Parameters) -> torch.optim.Optimizer:
    ours, torchs = _RULES[cell.rule]
    groups: Any = [{"params": [p]} for p in params] if cell.scheduled else params
    if name == THALWEG:
        return ours(groups, lr=LR, clip_norm=CLIP_NORM if cell.clip else None)
    made: Callable[..., torch.optim.Optimizer] = torchs
    return made(groups, lr=LR, **_FORMS[name])


def _step(cell: SmallCell, name: str, optimizer: torch.optim.Optimizer, params: Parameters) -> Step:
    """thalweg clips within its step, torch before it."""
    step: Step = optimizer.step
    if name == THALWEG or not cell.clip:
        return step
    return _in_turn([partial(torch.nn.utils.clip_grad_norm_, params, CLIP_NORM), step])


def _in_turn(calls: Sequence[Step]) -> Step:
    def run() -> None:
        for call in calls:
            call()

    return run


def _move(what: str, optimizer: torch.optim.Optimizer, params: Parameters, chance: random.Random) -> None:
    """Put something of one parameter elsewhere; the numbers stay."""
    p = chance.choice(params)
    if what == "weight":
        p.data = p.data.clone()
    elif what == "state":
        optimizer.state[p]["exp_avg"] = optimizer.state[p]["exp_avg"].clone()
    else:  # column after column
        assert p.grad is not None
        p.grad = p.grad.t().contiguous().t()
