"""Whether a GPU's steps are the CPU's: the same optimizer on both, bit by bit."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from gpu_clock import Card
from thalweg.formula.compose import summing
from thalweg.formula.rule import of_matrices
from thalweg.optim import OPTIMIZERS, Optimizer
from thalweg.optim.explain import served
from thalweg.rules import CATALOGUE
from thalweg.speed.cases import Step

STEPS = 5
ABSENT, SPOILED = 1, 3
"""The steps, from 0, in which a gradient is absent, and in which one has an infinity where that is asked for."""
_SCALE = 8.0
_WHOLE = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Check:
    """A few steps of an optimizer with these options, of weights of this type.

    ``spoiled``   whether a gradient once holds an infinity; ``scaled``: whether a GradScaler takes the steps.
    ``replayed``  so many more steps, which a CUDA graph takes on the GPU; where steps are skipped, one of them is.
    """

    rule: str
    options: Mapping[str, Any] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    spoiled: bool = False
    scaled: bool = False
    replayed: int = 0

    @property
    def title(self) -> str:
        """What the page says."""
        said = [OPTIMIZERS[self.rule].__name__]
        said += [f"{name}={value!r}" for name, value in self.options.items()]
        said += [] if self.dtype == torch.float32 else [str(self.dtype).removeprefix("torch.")]
        said += ["GradScaler"] if self.scaled else []
        said += ["CUDA graph"] if self.replayed else []
        return ", ".join([*said, "an infinity"] if self.spoiled else said)

    @property
    def exact(self) -> bool:
        """Whether no bit may differ: nothing is added up, and the host makes all coefficients."""
        by_host = (
            not self.scaled
            and not self.replayed
            and "clip_norm" not in self.options
            and "nonfinite" not in self.options
        )
        return by_host and not summing(OPTIMIZERS[self.rule].rule)


def _checks() -> dict[str, Check]:
    rules = [name for name, rule in CATALOGUE.items() if not of_matrices(rule)]  # their products are torch's
    decayed = {name: {} if name == "rprop" else {"weight_decay": 0.1} for name in rules}
    found = {f"{name}/plain": Check(name) for name in rules}
    found |= {f"{name}/chain": Check(name, {"clip_norm": 0.5, **decayed[name]}) for name in rules}
    for name in ("adamw", "lamb", "prodigy", "adafactor"):
        found[f"{name}/skip"] = Check(name, {"nonfinite": "skip"}, spoiled=True)
        found[f"{name}/skip, clip"] = Check(name, {"nonfinite": "skip", "clip_norm": 0.5}, spoiled=True)
        found[f"{name}/scaler"] = Check(name, {"amp_fused": True}, spoiled=True, scaled=True)
        found[f"{name}/scaler, clip"] = Check(name, {"amp_fused": True, "clip_norm": 0.5}, spoiled=True, scaled=True)
    for name, options in (
        ("adamw", {}),
        ("lion", {}),
        ("lamb", {}),
        ("adamw", {"nonfinite": "skip", "clip_norm": 0.5}),
    ):
        whole = {"capturable": True, **options}
        found[f"{name}/graph{', skip, clip' if options else ''}"] = Check(name, whole, replayed=4)
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        found[f"adamw/{dtype}"] = Check("adamw", dtype=dtype)
    # First those that are timed.
    timed = ("adamw", "lion", "lamb")
    return dict(sorted(found.items(), key=lambda entry: entry[1].rule not in timed))


CHECKS = _checks()


@dataclass(frozen=True)
class Alike:
    """How many bits of weights and of states are other ones, of how many numbers; the largest difference in ulp.

    ``skipped``: the steps that each side says it has left out: the GPU's, the CPU's.
    """

    weights: int
    states: int
    of_weights: int
    of_states: int
    ulp: float
    skipped: tuple[int, int]

    @property
    def same(self) -> bool:
        """Whether all is the same."""
        return not self.weights and not self.states and self.skipped[0] == self.skipped[1]


def compared(check: Check, card: Card) -> dict[str, Any]:
    """An `Alike` as a dictionary. RuntimeError where the GPU's kernels do not serve."""
    weights, states, left = trained(check, card.device, card.recorded)
    true, truth, meant = trained(check, torch.device("cpu"), lambda step: step)
    if states.keys() != truth.keys():
        raise RuntimeError(f"the states there are {sorted(states)}, here {sorted(truth)}")
    pairs = [(states[key], truth[key]) for key in truth]
    return asdict(
        Alike(
            sum(map(different, weights, true)),
            sum(different(*pair) for pair in pairs),
            sum(w.numel() for w in true),
            sum(x.numel() for x in truth.values()),
            max(ulps(*pair) for pair in [*zip(weights, true, strict=True), *pairs]),
            (left, meant),
        )
    )


def trained(
    check: Check, device: torch.device, recorded: Callable[[Step], Step]
) -> tuple[list[torch.Tensor], dict[str, torch.Tensor], int]:
    """Weights and states after some steps, on the CPU, and how many steps were left out; ``recorded``: see `Card`."""
    generator = torch.Generator().manual_seed(0)
    params = _parameters(check.dtype, device, generator)
    optimizer = OPTIMIZERS[check.rule](params, **check.options)
    scaler = torch.amp.GradScaler(device.type, init_scale=_SCALE, growth_interval=2) if check.scaled else None
    for t in range(STEPS):
        scale = 1.0
        if scaler is not None:
            scaler.scale(torch.ones((), device=device))
            scale = scaler.get_scale()
        for i, p in enumerate(params):
            drawn = torch.randn(p.shape, generator=generator) * scale
            if check.spoiled and t == SPOILED and i == 2:
                drawn.view(-1)[3] = torch.inf
            grad = drawn.to(device, check.dtype)
            p.grad = None if t == ABSENT and i == 1 else grad
        if scaler is not None:
            scaler.step(optimizer)
            scaler.update()
            continue
        optimizer.step()
    replay = recorded(optimizer.step) if check.replayed else optimizer.step
    for t in range(check.replayed):
        for p in params:
            assert p.grad is not None
            p.grad.copy_(torch.randn(p.shape, generator=generator))
        if t == 1 and check.options.get("nonfinite") == "skip":
            params[2].grad.view(-1)[3] = torch.inf  # type: ignore[union-attr]
        replay()
    if why := next((each.why or each.refused for each in served(optimizer) if each.reader != "compiled"), None):
        raise RuntimeError(f"it is not served by a kernel: {why}")
    return [p.detach().cpu() for p in params], _states(optimizer), optimizer.skipped_steps


def _parameters(dtype: torch.dtype, device: torch.device, generator: torch.Generator) -> list[torch.nn.Parameter]:
    """One weight, 1,000, matrices of several forms, and 1,000 that do not begin where vectors do."""
    shapes = ((1,), (1_000,), (70, 64), (33, 272), (300, 3), (8, 4, 3, 3), (1_001,))
    drawn = [torch.randn(shape, generator=generator) for shape in shapes]
    there = [x.to(device, dtype) for x in drawn]
    return [torch.nn.Parameter(x) for x in (*there[:-1], there[-1][1:])]


def _states(optimizer: Optimizer) -> dict[str, torch.Tensor]:
    """Every tensor of its states, by parameter and key."""
    kept = optimizer.state_dict()["state"]
    return {
        f"{place} {key}": value.detach().cpu()
        for place, of in kept.items()
        for key, value in of.items()
        if isinstance(value, torch.Tensor)
    }


def different(one: torch.Tensor, other: torch.Tensor) -> int:
    """How many numbers have other bits; nan is nan."""
    bits = [x.contiguous().view(_WHOLE[x.itemsize]) for x in (one, other)]
    return int(((bits[0] != bits[1]) & ~(one.isnan() & other.isnan())).sum())


def ulps(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, counted in numbers of the type that lie between; infinite if just one is nan."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return torch.inf
    if bool((one.isnan() != other.isnan()).any()):
        return torch.inf
    places = [torch.where(x.isnan(), 0, _place(x)) for x in (one, other)]
    apart = (places[0] - places[1]).abs().double()
    across = places[0].double().abs() + places[1].double().abs()  # the other difference might not fit
    apart = torch.where(places[0].sign() * places[1].sign() < 0, across, apart)
    return float(apart.max()) if one.numel() else 0.0


def _place(x: torch.Tensor) -> torch.Tensor:
    """Which number of its type each is, from 0 outwards; int64."""
    whole = x.contiguous().view(_WHOLE[x.itemsize]).to(torch.int64)
    lowest = torch.iinfo(_WHOLE[x.itemsize]).min
    return torch.where(whole < 0, lowest - whole, whole)
