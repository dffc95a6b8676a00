"""Random rules, element types, layouts, sizes, chains and events: every step from what is stored, against the oracle.

What is allowed: float64 1e-12 and float32 4e-6 of the values that meet; half precision half a unit in the last place,
which is one rounding, and 1e-6 for float32 arithmetic.
"""

import copy
import math
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from thalweg.formula import Rule, Switch, torch_reader, wrapped
from thalweg.formula.compose import live_states
from thalweg.formula.declared import CHAIN_DECAYS
from thalweg.formula.rule import decay_kind, hypers, of_matrices, parts, shaped
from thalweg.formula.torch_reader import Trained
from thalweg.optim import Optimizer, build, reading
from thalweg.rules import CATALOGUE
from thalweg.testing import cases, oracle
from thalweg.wrappers import Cautious

_TAKING_ALL = [rule for rule in CATALOGUE.values() if not of_matrices(rule)]
RULES = [*_TAKING_ALL, wrapped(CATALOGUE["adamw"], Cautious), wrapped(CATALOGUE["sgd"], Cautious)]
EXACT, HALF = [torch.float64, torch.float32], [torch.bfloat16, torch.float16]
# A sign or a mask of 0.9 m + 0.1 g comes down on either side where 9 m = -g, which half precision meets often.
TIED = [rule for rule in RULES if rule.wrappers or rule.__name__ in ("Lion", "Signum", "Rprop")]
ALLOWED = {torch.float64: 1e-12, torch.float32: 4e-6, torch.bfloat16: 1e-6, torch.float16: 1e-6}
LAST_BITS = 2.0**-22
SHAPES = [(), (0,), (1,), (3,), (15,), (16,), (17,), (1023,), (4097,), (5, 3), (4, 6), (2, 3, 4, 5), (3, 1, 2, 2)]
EVENTS = ["nothing", "absent", "new lr", "tensor lr", "late group", "reloaded", "copied", "data replaced", "overflow"]


@dataclass(frozen=True)
class Case:
    """One training: what the optimizer is made of, its tensors, and what happens before each step."""

    rule: type[Rule]
    values: dict[str, Any]
    chain: dict[str, Any]
    dtype: torch.dtype
    shapes: list[tuple[int, ...]]
    layouts: list[str]
    grad_layouts: list[str]
    wide: bool
    events: list[str]
    seed: int


@st.composite
def case(draw: DrawFn) -> Case:
    rule = draw(st.sampled_from(RULES))
    values: dict[str, Any] = {"lr": draw(st.sampled_from([1e-3, 0.1, 1.0]))}
    values |= {name: draw(st.booleans()) for name in parts(rule, Switch)}
    if "momentum" in hypers(rule):
        values["momentum"] = draw(st.sampled_from([hypers(rule)["momentum"].low, 0.5, 0.9]))
        if values.get("nesterov") and not values["momentum"]:
            values["momentum"] = 0.9
    if decay_kind(rule) != "none":
        values["weight_decay"] = draw(st.sampled_from([0.0, 0.1]))
    chain: dict[str, Any] = {
        "maximize": draw(st.booleans()),
        "clip_value": draw(st.sampled_from([None, 0.5])),
        "clip_norm": draw(st.sampled_from([None, 0.1, 1e3])),
        "clip_scope": draw(st.sampled_from(["all", "tensor"])),
        "clip_eps": draw(st.sampled_from([0.0, 1e-6])),
        "ema": draw(st.sampled_from([None, 0.5, 0.999])),
        "clear": draw(st.booleans()),
        "nonfinite": draw(st.sampled_from(["pass", "skip"])),
    }
    if decay_kind(rule) in CHAIN_DECAYS:
        chain["decay"] = draw(st.sampled_from(CHAIN_DECAYS))
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4))
    layout = st.sampled_from(sorted(cases.LAYOUTS))
    return Case(
        rule, values, chain, draw(st.sampled_from(EXACT if rule in TIED else EXACT + HALF)), shapes,
        [draw(layout) for _ in shapes], [draw(layout) for _ in shapes], draw(st.booleans()),
        draw(st.lists(st.sampled_from(EVENTS), min_size=2, max_size=5)), draw(st.integers(0, 2**20)),
    )  # fmt: skip


class Training:
    """The optimizer of a case, and what the oracle says of each of its steps."""

    def __init__(self, of: Case) -> None:
        self.case = of
        self.generator = torch.Generator().manual_seed(of.seed)
        self.params = [self.parameter(i) for i in range(len(of.shapes))]
        self.made = self.optimizer(self.params)

    def random(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64).to(self.case.dtype)

    def parameter(self, i: int) -> torch.nn.Parameter:
        layout = cases.LAYOUTS[self.case.layouts[i]]
        return torch.nn.Parameter(layout(self.random(self.case.shapes[i])))

    def optimizer(self, params: list[torch.nn.Parameter]) -> Optimizer:
        return build(self.case.rule, params, self.case.values, **self.case.chain)

    def happen(self, event: str) -> None:
        group = self.made.param_groups[0]
        if event == "new lr":
            group["lr"] = 0.01
        elif event == "tensor lr":
            group["lr"] = torch.tensor(0.25, dtype=torch.float64)
        elif event == "late group":
            self.params.append(self.parameter(0))
            self.made.add_param_group({"params": [self.params[-1]], "lr": 0.5})
        elif event == "reloaded":
            fresh = self.optimizer(self.params[: len(self.case.shapes)])
            for late in self.params[len(self.case.shapes) :]:
                fresh.add_param_group({"params": [late]})
            fresh.load_state_dict(self.widened(copy.deepcopy(self.made.state_dict())))
            self.made = fresh
        elif event == "copied":
            self.made = copy.deepcopy(self.made)
            self.params = [p for each in self.made.param_groups for p in each["params"]]
        elif event == "data replaced":
            for p in self.params:
                p.data = cases.transposed(p.detach().clone())

    def widened(self, state: dict[str, Any]) -> dict[str, Any]:
        """A checkpoint whose states are contiguous, and wider than half precision if the case says so."""
        for kept in state["state"].values():
            for key, value in kept.items():
                if value.dim():
                    wide = self.case.wide and value.dtype.itemsize == 2
                    kept[key] = value.contiguous().to(torch.float32 if wide else value.dtype)
        return state

    def give_gradients(self, event: str) -> None:
        for i, p in enumerate(self.params):
            layout = cases.LAYOUTS[self.case.grad_layouts[i % len(self.case.shapes)]]
            grad = self.random(tuple(p.shape))
            p.grad = layout(torch.where(torch.rand(grad.shape, generator=self.generator) < 0.1, 0, grad))
        if event == "absent":
            self.params[0].grad = None
        if event == "overflow":
            self.made.found_inf = torch.ones(1)

    def stored(self) -> list[Trained]:
        """Every parameter as it is stored, in float64."""
        rule, found = self.made.whole, []
        for p, values in zip(self.params, self.values(1.0), strict=True):
            live = live_states(rule, {**values, **shaped(rule, p)})
            state = dict.get(self.made.state, p, {})
            begun = torch_reader.begin(rule, p.detach().double(), values)
            kept = {n: state[s.key].double().clone() for n, s in live.items() if s.key in state}
            steps = int(state.get("step", 0))
            group = next(each for each in self.made.param_groups if any(p is q for q in each["params"]))
            scalars = {n: float({**group, **state}.get(n, begun.scalars[n])) for n in begun.scalars}
            found.append(Trained(p.detach().double().clone(), {**begun.states, **kept}, scalars, steps))
        return found

    def values(self, scale: float) -> list[dict[str, Any]]:
        """What is in force for each parameter, by the rule's names."""
        rule, found = self.case.rule, []
        for group in self.made.param_groups:
            lr, decay = float(group["lr"]), self.case.values.get("weight_decay", hypers_default(rule))
            kind = group.get("decay", decay_kind(rule))
            factor = lr / group.get("first_lr", lr)
            amounts = {
                "l2": {"l2": decay}, "decoupled": {"shrink": lr * decay}, "independent": {"shrink": factor * decay},
                "corrected": {"shrink": factor * lr * decay}, "palm": {"shrink": lr * lr * decay},
                "cautious": {"shrink_cautious": lr * decay}, "strictly-cautious": {"shrink_strict": lr * decay},
                "own": {}, "none": {},
            }  # fmt: skip
            known = torch_reader.values_of(
                self.made.whole, **{**self.case.values, "lr": lr, "ema": group["ema"] or 0.0, "weight_decay": decay},
                unscale=(-1.0 if group["maximize"] else 1.0) / scale,
                clip_value=math.inf if group["clip_value"] is None else group["clip_value"],
                **amounts[kind],
            )  # fmt: skip
            known["precision"] = torch.finfo(self.case.dtype).eps
            found += [known] * len(group["params"])
        return found

    def step(self, event: str) -> None:
        self.happen(event)
        self.give_gradients(event)
        scale = 4.0 if self.case.seed % 2 else 1.0
        self.made.grad_scale = torch.tensor(scale) if scale != 1.0 else 1.0
        before, values = self.stored(), self.values(scale)
        grads = [None if p.grad is None else p.grad.detach().double().clone() for p in self.params]
        self.made.step()
        if event == "overflow":
            del self.made.found_inf
            compare(self.stored(), before, before, None)
            return
        clip(values, grads, self.made)
        expected = oracle.step(self.made.whole, before, grads, values)
        # What becomes of a gradient's last bits: L2's share may cancel with it, and a rule divide by what is left.
        nudged = oracle.step(
            self.made.whole, before, [None if g is None else g * (1 + LAST_BITS) for g in grads], values
        )
        compare(self.stored(), expected, before, self.case.dtype, nudged)
        for p, g in zip(self.params, grads, strict=True):
            if g is not None and p.grad is not None:
                expected = torch.zeros_like(g) if self.case.chain["clear"] else g
                assert torch.equal(p.grad.double(), expected), "the gradient in memory"


def hypers_default(rule: type[Rule]) -> float:
    return hypers(rule)["weight_decay"].default if "weight_decay" in hypers(rule) else 0.0


def clip(values: list[dict[str, Any]], grads: list[torch.Tensor | None], made: Optimizer) -> None:
    """Put the factors of the clip by norm among the values."""
    if made.clip_norm is None:
        return
    limited = [
        None if g is None else (v["unscale"] * g).clamp(-v["clip_value"], v["clip_value"])
        for g, v in zip(grads, values, strict=True)
    ]
    norms = [0.0 if g is None else float(g.norm()) for g in limited]
    together = math.sqrt(sum(norm * norm for norm in norms))
    for i, known in enumerate(values):
        norm = together if made.clip_scope == "all" else norms[i]
        factor = made.clip_norm / (norm + made.clip_eps) if norm + made.clip_eps else math.inf
        values[i] = {**known, "clip_scale": min(1.0, factor)}


def compare(
    found: list[Trained], expected: list[Trained], before: list[Trained], dtype: torch.dtype | None,
    nudged: list[Trained] | None = None,
) -> None:  # fmt: skip
    """``dtype`` says how near is near; None: the same. ``nudged``: what is expected of gradients a few bits off."""
    every = zip(found, expected, before, nudged or expected, strict=True)
    for i, (ours, theirs, old, other) in enumerate(every):
        assert ours.steps == theirs.steps, f"steps of tensor {i}"
        pairs = {"w": (ours.weight, theirs.weight, old.weight, other.weight)}
        pairs |= {n: (ours.states[n], theirs.states[n], old.states[n], other.states[n]) for n in theirs.states}
        for name, (a, b, was, moved) in pairs.items():
            close = near(a, b, was, dtype) | ((a - b).abs() <= 2 * (moved - b).abs())
            assert bool(close.all()), f"{name} of tensor {i}: {(a - b).abs().max():g} off"


def near(a: torch.Tensor, b: torch.Tensor, was: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    same = (a == b) | (a.isnan() & b.isnan())
    if dtype is None or not a.numel():
        return same
    met = (was.abs() + b.abs()).nan_to_num(0.0, 0.0)
    allowed = ALLOWED[dtype] * (met + met.mean())
    if dtype.itemsize == 2:
        kind, stored = torch.finfo(dtype), b.to(dtype).double()
        size = stored.abs().nan_to_num(0.0, 0.0).clamp_min(kind.tiny)
        allowed = allowed + torch.exp2(torch.floor(torch.log2(size))) * kind.eps / 2
        same = same | (a == stored)
    return same | ((a - b).abs() <= allowed)


def run(of: Case) -> None:
    training = Training(of)
    for event in of.events:
        training.step(event)


calmly = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@given(case())
@settings(calmly, max_examples=80)
def test_some(of: Case) -> None:
    run(of)


@given(case())
@settings(calmly, max_examples=40)
def test_some_without_kernels(of: Case) -> None:
    """By torch operations, many tensors at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "available", lambda: False)
        run(of)


@pytest.mark.slow
@given(case())
@settings(calmly, max_examples=250)
def test_many(of: Case) -> None:
    run(of)
