"""Random cases of a whole training, and the small reference that says what each step of one must do."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from contract_rules import CONTRACT
from thalweg.formula import Rule, Scalar, compose, torch_reader
from thalweg.formula.rule import decay_kind, hypers, parts, wrapped
from thalweg.rules import CATALOGUE
from thalweg.wrappers import Cautious

RULES: dict[str, type[Rule]] = {**CATALOGUE, **{rule.__name__: rule for rule in CONTRACT}}
TYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
SIZES = (0, -1, 1, 3, 15, 16, 17, 1023, 4097)  # -1: a single number without dimensions


# ------------------------------------------------------------------------------------------------ what is drawn


@dataclass(frozen=True)
class Param:
    """A parameter: its size, type and layout; the layout and type of its gradients; whether its state starts unlike."""

    size: int
    dtype: torch.dtype
    layout: str
    grads: str
    grad_dtype: torch.dtype
    state_unlike: bool


@dataclass(frozen=True)
class Case:
    """A training: ``events`` has one for each step, ``late`` is the group that the event of this name adds."""

    rule: str
    cautious: bool
    values: Mapping[str, Any]
    options: Mapping[str, Any]
    grad_scale: float
    params: Sequence[Param]
    late: Sequence[Param]
    events: Sequence[str]
    content: str
    seed: int

    @property
    def wrapped(self) -> type[Rule]:
        """The rule, with what is around it."""
        rule = RULES[self.rule]
        return wrapped(rule, Cautious) if self.cautious else rule


def rectangle(size: int) -> tuple[int, int]:
    """A size as two sides, neither of them 1 where that is possible."""
    side = next((s for s in range(math.isqrt(size), 1, -1) if size % s == 0), 1) if size else 2
    return side, size // side


def contiguous(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


def transposed(x: torch.Tensor) -> torch.Tensor:
    return x.view(rectangle(x.numel())).t().contiguous().t() if x.dim() else x.clone()


def channels_last(x: torch.Tensor) -> torch.Tensor:
    a, b = rectangle(x.numel())
    return x.view(a, b, 1, 1).expand(a, b, 2, 1).contiguous(memory_format=torch.channels_last)


def gaps(x: torch.Tensor) -> torch.Tensor:
    memory = torch.full((2 * x.numel() + 1,), 99.0, dtype=x.dtype)
    found = memory[1::2] if x.dim() else memory[1]
    return found.copy_(x)


def offset(x: torch.Tensor) -> torch.Tensor:
    memory = torch.full((x.numel() + 3,), 99.0, dtype=x.dtype)
    return memory[3:].view(x.shape).copy_(x)


LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    f.__name__: f for f in (contiguous, transposed, channels_last, gaps, offset)
}
GRADIENTS = ("as the weight", "dense", "reversed", "expanded")
EVENTS = (
    "plain", "plain", "some", "none", "late", "loaded", "copied", "lr", "tensor lr", "moved", "found inf", "not finite",
    "norm off", "norm on",
)  # fmt: skip
# How large gradients are: spikes overflow float16's squares, tiny ones are lost in them, large ones overflow it.
CONTENTS = ("normal", "spikes", "zeros", "tiny", "large")


@st.composite
def params(draw: st.DrawFn, types: Sequence[torch.dtype], most: int) -> list[Param]:
    """Some parameters; most of them of ordinary gradients."""
    found = []
    for _ in range(draw(st.integers(1, most))):
        dtype = draw(st.sampled_from(types))
        other = draw(st.sampled_from((dtype, dtype, dtype, torch.bfloat16, torch.float32)))
        found.append(
            Param(
                draw(st.sampled_from(SIZES)),
                dtype,
                draw(st.sampled_from(tuple(LAYOUTS))),
                draw(st.sampled_from(GRADIENTS)),
                other,
                draw(st.booleans()),
            )
        )
    return found


@st.composite
def hyperparameters(draw: st.DrawFn, rule: type[Rule]) -> dict[str, Any]:
    """Values by the rule's names."""
    known = hypers(rule)
    found: dict[str, Any] = {"lr": draw(st.sampled_from((1e-3, 0.03, 0.5)))}
    choices: dict[str, Sequence[Any]] = {
        "momentum": (0.0, 0.9), "beta1": (0.0, 0.9), "beta2": (0.5, 0.999), "alpha": (0.5, 0.99),
        "eps": (1e-8, 1e-3), "lr_decay": (0.0, 0.1), "initial_accumulator_value": (0.0, 0.1),
        "weight_decay": (0.0, 0.1),
    }  # fmt: skip
    for name, values in choices.items():
        if name in known:
            found[name] = draw(st.sampled_from(values))
    for switch in ("amsgrad", "centered"):
        if switch in rule.declared:
            found[switch] = draw(st.booleans())
    if "nesterov" in rule.declared and found["momentum"]:
        found["nesterov"] = draw(st.booleans())
        found["dampening"] = 0.0 if found["nesterov"] else draw(st.sampled_from((0.0, 0.5)))
    return found


@st.composite
def cases(draw: st.DrawFn, types: Sequence[torch.dtype] = TYPES, steps: int = 5) -> Case:
    """A case in which everything may come together."""
    name = draw(st.sampled_from(tuple(RULES)))
    rule = RULES[name]
    options: dict[str, Any] = {
        "maximize": draw(st.booleans()),
        "clip_value": draw(st.sampled_from((None, None, 0.5))),
        "clip_norm": draw(st.sampled_from((None, 1.0, 1e6))),
        "clip_scope": draw(st.sampled_from(("all", "tensor"))),
        "clip_eps": draw(st.sampled_from((1e-6, 0.0))),
        "ema": draw(st.sampled_from((None, None, 0.9))),
        "clear": draw(st.booleans()),
        "nonfinite": draw(st.sampled_from(("pass", "skip"))),
    }
    if decay_kind(rule) in ("l2", "decoupled"):
        options["decay"] = draw(st.sampled_from(("l2", "decoupled")))
    events = draw(st.lists(st.sampled_from(EVENTS), min_size=2, max_size=steps))
    if options["nonfinite"] == "pass":
        events = ["plain" if event == "not finite" else event for event in events]
    mixed = draw(st.booleans())
    chosen = tuple(types) if mixed else (draw(st.sampled_from(types)),)
    return Case(
        name,
        draw(st.sampled_from((False, False, True))),
        draw(hyperparameters(rule)),
        options,
        draw(st.sampled_from((1.0, 1.0, 8.0))),
        draw(params(chosen, 4)),
        draw(params(chosen, 2)),
        events,
        draw(st.sampled_from(CONTENTS)),
        draw(st.integers(0, 1000)),
    )


def drawn(shape: Sequence[int], seed: int, content: str) -> torch.Tensor:
    """Values in float64."""
    seeded = torch.Generator().manual_seed(seed)
    found = torch.randn(tuple(shape), generator=seeded, dtype=torch.float64)
    kind = torch.rand(tuple(shape), generator=seeded)
    if content == "spikes":
        return torch.where(kind > 0.98, 1e3 * found, found)
    if content == "zeros":
        return torch.where(kind < 0.5, 0.0, found)
    return found * {"normal": 1.0, "tiny": 1e-6, "large": 3e3}[content]


def weight_of(param: Param, seed: int) -> torch.Tensor:
    """A parameter that no optimizer has yet."""
    values = drawn(() if param.size < 0 else (param.size,), seed, "normal")
    made = torch.nn.Parameter(LAYOUTS[param.layout](values.to(param.dtype)))
    if param.grad_dtype != param.dtype:
        made.grad_dtype = param.grad_dtype
    return made


def gradient_of(param: Param, weight: torch.Tensor, seed: int, content: str) -> torch.Tensor:
    """A gradient for it."""
    values = drawn(weight.shape, seed, content).to(param.grad_dtype)
    if param.grads == "expanded" and param.layout != "gaps":
        return values.reshape(-1)[:1].sum().expand_as(weight)
    if param.grads == "as the weight":
        return torch.empty_like(weight, dtype=param.grad_dtype, requires_grad=False).copy_(values)
    if param.grads == "reversed":
        backwards = tuple(reversed(range(values.dim())))
        return values.permute(backwards).contiguous().permute(backwards)
    return values


# ------------------------------------------------------------------------------------------------- the reference


@dataclass(frozen=True)
class Known:
    """One parameter before a step; ``grad`` is None if it takes no part. Tensors as they are stored."""

    weight: torch.Tensor
    grad: torch.Tensor | None
    states: Mapping[str, torch.Tensor]
    scalars: Mapping[str, float]
    steps: int
    values: Mapping[str, Any]
    """The rule's and the chain's numbers and switches, as its group has them."""


@dataclass(frozen=True)
class After:
    """What a step leaves of it."""

    weight: torch.Tensor
    states: Mapping[str, torch.Tensor]
    scalars: Mapping[str, float]


@dataclass(frozen=True)
class Clip:
    """The limit for the gradients' norm (None: none), over ``"all"`` or each ``"tensor"``, and what is added to it."""

    limit: float | None
    scope: str
    eps: float


def stepped(
    rule: type[Rule], everyone: Sequence[Known], clip: Clip, dtype: torch.dtype, off: float = 0.0
) -> list[After | None]:
    """One step of all parameters together, computed in ``dtype``; sums are taken in float64 in any case.

    ``off`` is by how much the sums shall be wrong, as they are in whatever order they are added up.
    """
    ready = [None if known.grad is None else _values(known, dtype) for known in everyone]
    taking = [values for values in ready if values is not None]
    for values, scale in zip(taking, _scales(taking, clip), strict=True):
        values["clip_scale"] = np.float64(scale * (1 + off))
    scopes = {name: total.scope for name, total in parts(rule, compose.Sum).items()}
    for layer in compose.summing(rule):
        with np.errstate(all="ignore"):
            found = [
                {
                    name: float(torch.as_tensor(each, dtype=torch.float64).expand(values["w"].shape).sum())
                    for name, each in compose.layer_totals(rule, values, layer).items()
                }
                for values in taking
            ]
        overall = {name: sum(own[name] for own in found) for name in (found[0] if found else ())}
        for values, own in zip(taking, found, strict=True):
            totals = {name: own[name] if scopes[name] == "tensor" else overall[name] for name in own}
            values |= {name: np.float64(total * (1 - off)) for name, total in totals.items()}
    pairs = zip(everyone, ready, strict=True)
    return [None if values is None else _updated(rule, known, values) for known, values in pairs]


def _values(known: Known, dtype: torch.dtype) -> dict[str, Any]:
    assert known.grad is not None
    switches = {name: value for name, value in known.values.items() if isinstance(value, bool)}
    numbers = {name: np.float64(value) for name, value in {**known.values, **known.scalars}.items()}
    tensors = {"w": known.weight, "g": known.grad, **known.states}
    return {
        **numbers, **switches, "t": np.float64(known.steps + 1),
        **{name: tensor.detach().to(dtype) for name, tensor in tensors.items()},
    }  # fmt: skip


def _scales(taking: Sequence[Mapping[str, Any]], clip: Clip) -> list[float]:
    """What each gradient is multiplied by, so that the norm of one or of all stays within the limit."""
    if clip.limit is None:
        return [1.0] * len(taking)
    squares = []
    for values in taking:
        g = values["g"].double() * values["unscale"]
        bound = values["clip_value"]
        squares.append(float(torch.where(g.isnan(), g, g.clamp(-bound, bound)).square().sum()))
    alone = clip.scope == "tensor"
    norms = [math.sqrt(s) for s in squares] if alone else [math.sqrt(sum(squares))] * len(squares)
    return [min(1.0, clip.limit / (norm + clip.eps)) if norm + clip.eps else 1.0 for norm in norms]


def _updated(rule: type[Rule], known: Known, values: dict[str, Any]) -> After:
    with np.errstate(all="ignore"):
        written = compose.updated(rule, values)
        settled = compose.settled(rule, values)
    like = values["w"]
    states = {
        name: torch.as_tensor(written.get(name, values[name]), dtype=like.dtype).expand(like.shape)
        for name in known.states
    }
    return After(written["w"], states, {name: float(settled[name]) for name in known.scalars})


def begun(rule: type[Rule], weight: torch.Tensor, values: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The states before a parameter's first step, in the types that they are kept in."""
    declared = compose.live_states(rule, values)
    found = torch_reader.begin(rule, weight.detach(), values).states
    least = {n: getattr(torch, s.dtype) if s.dtype else weight.dtype for n, s in declared.items()}
    return {n: found[n].to(torch.promote_types(weight.dtype, least[n])) for n in found}


# ----------------------------------------------------------------------------------------------------- the judgement

# What arithmetic may lose, against the larger of old and new value. Half precision is computed in float32.
LOST = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 2e-6, torch.float16: 2e-6}


def disturbed(known: Known, by: float) -> Known:
    """The same with weight, gradient and states a little off, some up and some down: less than arithmetic may lose."""
    signs = dict(zip(known.states, itertools.cycle((1.0, -1.0)), strict=False))
    return replace(
        known,
        weight=known.weight.double() * (1 + by),
        grad=None if known.grad is None else known.grad.double() * (1 - by),
        states={name: value.double() * (1 + signs[name] * by) for name, value in known.states.items()},
    )


def wrong(stored: torch.Tensor, old: torch.Tensor, found: Sequence[torch.Tensor]) -> torch.Tensor:
    """Where what a step has stored is not what was expected.

    ``found`` are new values: computed in float64, in the type that the kernel computes in, and from values a little
    off. Between them, and a rounding error's breadth around them, lies whatever arithmetic in that type may find, where
    terms cancel and where a sign hangs by a hair too. Rounding keeps order, so what is stored must lie between the
    roundings of both ends: within one unit in the last place wherever float32 itself is precise, denormal numbers and
    the step from the largest number to infinity included.
    """
    dtype = stored.dtype
    values = torch.stack([value.double() for value in found])
    undefined = values.isnan().any(0)
    size = torch.maximum(old.double().abs(), values[0].abs()).nan_to_num(nan=0.0, posinf=0.0)
    low, high = values.amin(0) - LOST[dtype] * size, values.amax(0) + LOST[dtype] * size
    inside = (stored >= low.to(dtype)) & (stored <= high.to(dtype))
    return torch.where(stored.isnan() | undefined, stored.isnan() & ~undefined, ~inside)


@dataclass
class Training:
    """A case as it runs: the optimizer, and what the reference knows of each of its parameters."""

    case: Case
    made: Any
    whole: type[Rule]
    kinds: list[Param]
    lr: list[float]
    """Of each group."""
    groups: list[int]
    """Of each parameter."""
    steps: list[int] = field(default_factory=list)
    scalars: list[dict[str, float]] = field(default_factory=list)

    @property
    def params(self) -> list[torch.Tensor]:
        """In the order of the groups."""
        return [p for group in self.made.param_groups for p in group["params"]]

    def values(self, place: int) -> dict[str, Any]:
        """The numbers and switches of a parameter's group."""
        case = self.case
        found = torch_reader.values_of(self.whole, **{**case.values, "lr": self.lr[self.groups[place]]})
        options = case.options
        found["unscale"] = (-1.0 if options["maximize"] else 1.0) / case.grad_scale
        found["clip_value"] = math.inf if options["clip_value"] is None else options["clip_value"]
        found["ema"] = options["ema"] or 0.0
        kind = options.get("decay", decay_kind(self.whole))
        if kind == "l2":
            found["l2"] = found["weight_decay"]
        elif kind == "decoupled":
            found["shrink"] = found["lr"] * found["weight_decay"]
        return found

    def known(self, place: int) -> Known:
        """A parameter as it is now."""
        param, values = self.params[place], self.values(place)
        if self.steps[place]:
            keys = {name: state.key for name, state in compose.live_states(self.whole, values).items()}
            kept = self.made.state[param]
            states = {name: kept[key].detach().clone() for name, key in keys.items()}
        else:
            states = begun(self.whole, param, values)
        grad = None if param.grad is None else param.grad.detach().clone()
        return Known(param.detach().clone(), grad, states, dict(self.scalars[place]), self.steps[place], values)

    def add(self, kinds: Sequence[Param], lr: float) -> None:
        """Say that a group has been added, with its scalars started."""
        first = len(self.kinds)
        self.lr.append(lr)
        self.kinds += kinds
        self.groups += [len(self.lr) - 1] * len(kinds)
        self.steps += [0] * len(kinds)
        for place in range(first, len(self.kinds)):
            start = torch_reader.begin(self.whole, torch.zeros(0), self.values(place)).scalars
            shared = {n: self.scalars[0][n] for n, s in parts(self.whole, Scalar).items() if s.scope == "all" and first}
            self.scalars.append({**{name: float(value) for name, value in start.items()}, **shared})

    def keep(self, after: Sequence[After | None]) -> None:
        """Say that a step has been taken: counts, and scalars where they are kept."""
        for name, scalar in parts(self.whole, Scalar).items():
            for place, own in enumerate(after):
                if own is None:
                    continue
                reach = range(len(self.kinds)) if scalar.scope == "all" else [
                    i for i in range(len(self.kinds)) if self.groups[i] == self.groups[place]
                ] if scalar.scope == "group" else [place]  # fmt: skip
                for i in reach:
                    self.scalars[i][name] = own.scalars[name]
        for place, own in enumerate(after):
            self.steps[place] += own is not None


__all__ = ["After", "Case", "Known", "Param", "Training", "cases", "gradient_of", "replace", "stepped", "weight_of"]
