"""A step of a rule by line twice: by the CPU's kernels, which judge, and by the text for GPUs, interpreted.

Each pass for GPUs is given what the CPU's passes before it have made, so that it alone is judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from interpreted import Interpreted
from walking import Memory, Tensor, assert_same, fill, takes

from thalweg.formula import Rule, compose
from thalweg.formula.chain import NO_DECAY
from thalweg.formula.expression import leaves
from thalweg.formula.kernel import CompiledPass
from thalweg.formula.line_kernel import CompiledLines, line_passes
from thalweg.formula.rule import hypers, shaped
from thalweg.formula.triton_line_kernel import line_totals
from thalweg.optim import state
from thalweg.optim.launch import Members
from thalweg.optim.line_device import DeviceLineLaunch
from thalweg.optim.line_launch import LineLaunch


@dataclass(frozen=True)
class Shape:
    """Of a parameter; see `walking.Tensor`."""

    of: tuple[int, ...]
    offset: int = 0
    absent: bool = False


@dataclass(frozen=True)
class Step:
    """``dtype``: of weights and gradients, as torch names it; ``states``: of states. ``rows``: of numbers."""

    rule: type[Rule]
    shapes: Sequence[Shape]
    dtype: str = "float32"
    states: str = "float32"
    rows: int = 1

    @property
    def switches(self) -> Mapping[str, Any]:
        of_shape = shaped(self.rule, torch.empty(self.shapes[0].of))
        return {**compose.usual_switches(self.rule), **NO_DECAY, "clear": False, **of_shape}

    def on(self, device: Interpreted | None) -> "Taken":
        """The same numbers each time, in memory of its own; by the CPU's kernels without a device."""
        values = {**{name: of.default for name, of in hypers(self.rule).items()}, **self.switches}
        draws = np.random.default_rng(5)
        live = compose.live_states(self.rule, values)
        params, grads = ([self._drawn(draws, shape, shape.of, self.dtype) for shape in self.shapes] for _ in range(2))
        kept: list[dict[str, Any]] = []
        for shape, param in zip(self.shapes, params, strict=True):
            kept.append({})
            prepared = state.prepare(self.rule, values, param, kept[-1])
            for name, declared in live.items():
                of = tuple(prepared[name].shape)
                kept[-1][declared.key] = self._drawn(draws, shape, of, self.states).abs_().add_(0.5)
        keys = {name: declared.key for name, declared in live.items()}
        none = np.zeros(len(params), np.int64)
        members = Members([*range(len(params))], params, kept, keys, [0], none, [0])
        grads_at = np.array([g.data_ptr() for g in grads], np.int64)
        grads_at[[shape.absent for shape in self.shapes]] = 0
        types = {"w": self.dtype, "g": self.dtype, **dict.fromkeys(live, self.states)}
        walks = partial(line_passes, self.rule, dtypes=tuple(types.items()))
        given = (self.rule, tuple(self.switches.items()), members, walks, grads_at, grads_at)
        launch = LineLaunch(*given) if device is None else DeviceLineLaunch(*given, device)
        fill(launch.numbers, self.rule, self.rows)
        launch._make_room()
        return Taken(launch, grads)

    @staticmethod
    def _drawn(draws: np.random.Generator, shape: Shape, of: tuple[int, ...], dtype: str) -> torch.Tensor:
        drawn = torch.from_numpy(np.asarray(draws.standard_normal(of))).to(getattr(torch, dtype))
        return Memory._placed(drawn.reshape(-1), Tensor(drawn.numel(), shape.offset)).reshape(of)


@dataclass
class Taken:
    """A launch, and its gradients, which have to live as long."""

    launch: LineLaunch
    grads: Sequence[torch.Tensor]

    def made(self, name: str) -> list[torch.Tensor]:
        """An operand of all tensors, or what is kept aside."""
        members = self.launch.members
        if name == "w":
            return members.params
        if name in members.keys:
            return [kept[members.keys[name]] for kept in members.states]
        aside = self.launch.aside[name]
        return [aside if isinstance(aside, torch.Tensor) else torch.from_numpy(aside)]

    def sums(self, stage: int) -> torch.Tensor:
        """What a stage has added up by tensor."""
        return torch.from_numpy(self.launch.totals_of(f"sums {stage}"))


def judge(step: Step, device: Interpreted | None = None) -> Interpreted:
    """What is not added up has the CPU's bits; totals and means are within 1e-12, and the same bits once more; what is
    made of a mean that is taken in the same walks is within 2 units in the last place, in float64 within 1e-12."""
    device = device or Interpreted()
    truth, found = step.on(None), step.on(device)
    gpu = found.launch
    assert isinstance(gpu, DeviceLineLaunch)
    stages = range(len(truth.launch.stages))
    for parts in (*map(truth.launch.total, stages), truth.launch.update(again=False, measured=False)):
        for part in parts:
            part.run()
    for number, walks in enumerate([*map(gpu.summing, stages), gpu.moving(measured=False)]):
        for walk in walks:
            for name in gpu.aside:
                _copy(truth, found, name)
            outputs = _outputs(walk)
            for name in outputs.keys() & gpu.aside.keys():
                found.made(name)[0].fill_(torch.nan)
            task = gpu._task(f"{number} {outputs.keys()}", walk)
            first = _run(gpu, task, found, outputs)
            for name, (ulps, signs) in outputs.items():
                _compare(truth, found, name, ulps, signs)
            if walk.totals:
                sums = np.zeros((len(walk.totals), len(step.shapes)))
                for k, of_tensor in enumerate(sums):
                    np.add.at(of_tensor, gpu.tiles[:, 0], task.sums[:, k])
                by_tensor = [k for k, name in enumerate(walk.totals) if name not in line_totals(walk)]
                expected = truth.sums(number).numpy()[by_tensor]
                np.testing.assert_allclose(sums[by_tensor], expected, rtol=1e-12, atol=0, err_msg="sums")
                for again, once in zip(_run(gpu, task, found, outputs), first, strict=True):
                    np.testing.assert_array_equal(again, once, err_msg="once more")
    return device


def _run(gpu: LineLaunch, task: Any, found: Taken, outputs: Mapping[str, object]) -> list[np.ndarray]:
    for part in gpu.walked(task):
        part.run()
    return [task.sums.copy(), *(x.numpy().copy() for name in outputs if name in gpu.aside for x in found.made(name))]


def _outputs(walk: CompiledPass) -> dict[str, tuple[int | None, bool]]:
    """What a pass makes, by name: within how many units in the last place of the CPU's it has to be, None for what is
    added up, and whether the sign of 0 counts."""
    if not isinstance(walk, CompiledLines):
        assert walk.kernel is not None
        writes = dict.fromkeys((name for name, _ in walk.kernel.writes), (0, not takes(walk, "minimum", "maximum")))
        return {**dict.fromkeys(line_totals(walk), (None, True)), **writes}
    found: dict[str, tuple[int | None, bool]] = {}
    means = {name for each in walk.walks for name in each.totals}
    for each in walk.walks:
        signs = not takes(replace(walk, kernel=each.kernel), "minimum", "maximum")
        found |= dict.fromkeys(each.totals, (None, True))
        for name, e in each.kernel.writes:
            found[name] = (2 if leaves([e], "matrix") & means else 0), signs
    return found


def _copy(truth: Taken, found: Taken, name: str) -> None:
    for mine, theirs in zip(found.made(name), truth.made(name), strict=True):
        mine.copy_(theirs)


def _compare(truth: Taken, found: Taken, name: str, ulps: int | None, signs: bool) -> None:
    for i, (mine, theirs) in enumerate(zip(found.made(name), truth.made(name), strict=True)):
        case = f"{name} {i}, {theirs.dtype}"
        if name in found.launch.aside:  # of an absent gradient, and of no weights, nothing is made
            there = _there(found.launch, name)
            mine, theirs = mine[there], theirs[there]
        if ulps is None:
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-12, atol=1e-12, err_msg=case)
        else:
            least = ulps * (2**11 if theirs.dtype == torch.float64 else 1)
            assert_same(mine.reshape(-1), theirs.reshape(-1), least, signs, case)


def _there(launch: LineLaunch, name: str) -> torch.Tensor:
    extent = launch._walks.kept[name][0]
    found = []
    for of, at in zip(launch._shapes, launch.columns["g"].tolist(), strict=True):
        lines = of.count * {"row": of.rows, "column": of.columns}.get(extent, 1)
        found.append(torch.full((lines,), bool(at) and of.count * of.rows * of.columns > 0))
    return torch.cat(found)
