"""Whole steps on a GPU that is Triton's interpreter, judged by the same optimizer on the CPU: to the bit."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from interpreted import Interpreted, InterpretedTable, interpreting
from numpy.typing import NDArray

import thalweg
from thalweg.formula.triton_kernel import DeviceKernel
from thalweg.optim import Optimizer
from thalweg.optim.devices import Argument

Make = Callable[[list[torch.nn.Parameter]], Optimizer]
Weights = list[torch.nn.Parameter]
SIZES = ((3, 5), (1000,), ())
STEPPED = [
    pytest.param(lambda of: thalweg.AdamW(of), id="plain"),
    pytest.param(lambda of: thalweg.AdamW(of, clip_norm=0.5), id="clip"),
    pytest.param(lambda of: thalweg.LAMB(of, clip_norm=0.5, nonfinite="skip"), id="sums", marks=pytest.mark.slow),
]


WITH_SKIP = [
    {"nonfinite": "skip"},
    pytest.param({"nonfinite": "skip", "clip_norm": 0.5, "clip_value": 1.0}, marks=pytest.mark.slow),
    {"nonfinite": "skip", "clip_norm": 0.1, "clip_scope": "tensor"},
]


class Reads(Interpreted):
    """``reads``: how often somebody has waited for it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def read(self, tensor: torch.Tensor) -> NDArray[Any]:
        self.reads += 1
        return super().read(tensor)


class Recording(Reads):
    """While ``recording``, what it is given to do is noted, to be done by `replay`, as a CUDA graph is."""

    def __init__(self) -> None:
        super().__init__()
        self.recording = False
        self.graph: list[Callable[[], object]] = []

    def table(self, shape: Sequence[int], dtype: torch.dtype) -> InterpretedTable:
        return _RecordedTable(self.zeros(shape, dtype), self)

    def launch(self, kernel: DeviceKernel, programs: int, arguments: Sequence[Argument]) -> None:
        given = tuple(arguments)
        self.do(lambda: Interpreted.launch(self, kernel, programs, given))

    def do(self, what: Callable[[], object]) -> None:
        if self.recording:
            self.graph.append(what)
        else:
            what()

    @contextmanager
    def recorded(self) -> Iterator[None]:
        self.recording = True
        yield
        self.recording = False

    def replay(self) -> None:
        for each in self.graph:
            each()


class _RecordedTable(InterpretedTable):
    def __init__(self, there: torch.Tensor, device: Recording) -> None:
        super().__init__(there)
        self._device = device

    def put(self, array: NDArray[Any]) -> None:
        sent = np.array(array)
        self._device.do(lambda: InterpretedTable.put(self, sent))


def weights(sizes: Sequence[Sequence[int]] = SIZES) -> Weights:
    chance = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(size, generator=chance)) for size in sizes]


def give_gradients(of: Weights, step: int, factor: float = 1.0) -> None:
    """In the memory that there is, as graphs need it."""
    chance = torch.Generator().manual_seed(step)
    for p in of:
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        p.grad.copy_(factor * torch.randn(p.shape, generator=chance))


def same(found: Optimizer, expected: Optimizer) -> None:
    """Weights and states have the same bits."""
    mine, theirs = ([p for group in of.param_groups for p in group["params"]] for of in (found, expected))
    for a, b in zip(mine, theirs, strict=True):
        assert torch.allclose(a, b, 0, 0, equal_nan=True)
    states, others = found.state_dict()["state"], expected.state_dict()["state"]
    for place, kept in others.items():
        assert kept.keys() == states[place].keys()
        for key, value in kept.items():
            assert torch.allclose(states[place][key], value, 0, 0, equal_nan=True), key
    assert found.skipped_steps == expected.skipped_steps


def trained(make: Make, take: Callable[[Optimizer, Weights, int], object], steps: int = 5) -> Optimizer:
    of = weights()
    made = make(of)
    for step in range(steps):
        give_gradients(of, step)
        take(made, of, step)
    return made


@pytest.mark.parametrize("make", STEPPED)
def test_a_recorded_step_is_taken_again_and_again(make: Make) -> None:
    """Two steps, three by the graph, one more: as six on the CPU, and all know that they were six."""

    def on_the_cpu(made: Optimizer, of: Weights, step: int) -> None:
        made.step()

    expected = trained(make, on_the_cpu, steps=6)
    with interpreting(device := Recording()):

        def on_the_gpu(made: Optimizer, of: Weights, step: int) -> None:
            if step == 2:
                with device.recorded():
                    made.step()
            if 2 <= step < 5:
                device.replay()
            else:
                made.step()

        found = trained(make, on_the_gpu, steps=6)
        same(found, expected)
    assert {float(kept["step"]) for kept in found.state_dict()["state"].values()} == {6.0}


def test_what_cannot_be_recorded() -> None:
    of = weights()
    give_gradients(of, 0)
    first = "a CUDA graph cannot record this step: its states are made now"
    with interpreting(device := Recording()), device.recorded(), pytest.raises(RuntimeError, match=first):
        thalweg.AdamW(of).step()
    with interpreting(device := Recording()):
        for made, why in (
            (thalweg.AdamW(of, nonfinite="raise"), "nonfinite='raise' has to know"),
            (thalweg.Prodigy(of), "Prodigy keeps numbers that follow from sums"),
        ):
            made.step()
            with pytest.raises(RuntimeError, match=f"a CUDA graph cannot record this step: {why}"), device.recorded():
                made.step()
            device.recording = False


@pytest.mark.parametrize(
    "options",
    [{"weight_decay": 0.1}, {"clip_norm": 0.3}, {"weight_decay": 0.1, "decay": "independent", "lr_scale": 0.5}],
    ids=str,
)
def test_learning_rates_on_the_device(options: dict[str, Any]) -> None:
    """One is a tensor, which a schedule changes in place; nobody waits to know it once there is a plan."""

    def make(of: Weights) -> Optimizer:
        return thalweg.AdamW([{"params": of[:2], "lr": torch.tensor(0.01)}, {"params": of[2:], "lr": 0.02}], **options)

    def take(made: Optimizer, of: Weights, step: int) -> None:
        made.step()
        made.param_groups[0]["lr"].mul_(0.7)

    expected = trained(make, take)
    with interpreting(device := Reads()):
        found = trained(make, take)
        assert device.reads == 0
        same(found, expected)


@pytest.mark.parametrize("absent", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", WITH_SKIP, ids=str)
@pytest.mark.parametrize("rule", [thalweg.AdamW, pytest.param(thalweg.LAMB, marks=pytest.mark.slow)])
def test_steps_that_the_device_leaves_out(rule: type[Optimizer], options: dict[str, Any], absent: bool) -> None:
    """Their number is known when somebody asks; corrections of biases are right before that."""

    def take(made: Optimizer, of: Weights, step: int) -> None:
        if absent and step > 1:
            of[step % 3].grad = None
        if step in (2, 4):
            next(p for p in of if p.grad is not None).grad.view(-1)[0] = torch.nan  # type: ignore[union-attr]
        before = device.reads
        made.step()
        if not absent:  # else there are plans, and states, made later
            assert device.reads == before or step == 0

    def make(of: Weights) -> Optimizer:
        return rule(of, lr=0.1, **options)

    device = Reads()
    expected = trained(make, take, steps=7)
    with interpreting(device):
        found = trained(make, take, steps=7)
        same(found, expected)
    assert found.skipped_steps == 2


def test_a_scaler_that_comes_and_goes() -> None:
    """What it says is read where it stands now, also in a step that was planned when it stood elsewhere."""

    def take(made: Optimizer, of: Weights, step: int) -> None:
        made.found_inf = made.grad_scale = None
        if step % 2:
            made.found_inf, made.grad_scale = torch.tensor([float(step == 5)]), torch.tensor(8.0 * step)
        made.step()

    def make(of: Weights) -> Optimizer:
        return thalweg.AdamW(of, clip_norm=0.5)

    expected = trained(make, take, steps=9)
    with interpreting():
        found = trained(make, take, steps=9)
        same(found, expected)
    assert found.skipped_steps == 1


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.5}], ids=str)
def test_a_scaler_that_finds_infinity(options: dict[str, Any]) -> None:
    def take(made: Optimizer, of: Weights, step: int) -> None:
        for p in of:
            p.grad = None if p.grad is None else 8 * p.grad
        made.found_inf, made.grad_scale = torch.tensor([float(step == 2)]), torch.tensor(8.0)
        made.step()

    def make(of: Weights) -> Optimizer:
        return thalweg.AdamW(of, amp_fused=True, **options)

    expected = trained(make, take)
    with interpreting(device := Reads()):
        found = trained(make, take)
        assert device.reads == 0
        same(found, expected)
    assert found.skipped_steps == 1


@pytest.mark.parametrize(
    "options",
    [{}, *(pytest.param(each, marks=pytest.mark.slow) for each in ({"clip_norm": 0.5}, {"nonfinite": "skip"}))],
    ids=str,
)
@pytest.mark.parametrize("rule", [thalweg.Muon, thalweg.SOAP])
def test_matrices_between_two_kernels(rule: type[Optimizer], options: dict[str, Any]) -> None:
    """torch multiplies on either: the same functions of the same numbers."""
    sizes = ((12, 20), (20, 12), (12, 20), (7,))

    def go() -> Optimizer:
        of = weights(sizes)
        groups = [{"params": of[:3]}, {"params": of[3:], "rule": "adamw"}]
        made = rule(groups, lr=0.02, products="float32", **options)
        for step in range(4):
            give_gradients(of, step)
            if step == 2 and options.get("nonfinite"):
                of[1].grad[0, 0] = torch.inf  # type: ignore[index]
            made.step()
        return made

    expected = go()
    with interpreting():
        found = go()
        same(found, expected)
    assert found.skipped_steps == bool(options.get("nonfinite"))


@pytest.mark.parametrize("options", [{"clip_norm": 0.5}, {"clip_norm": 0.5, "clip_scope": "tensor"}], ids=str)
def test_watching_waits_when_it_is_read(options: dict[str, Any]) -> None:
    """Norms, the share of clipped steps, and steps whose gradients were not finite, by tensor."""

    def go() -> tuple[Optimizer, Any]:
        of = weights()
        made = thalweg.AdamW(of, **options)
        watched = made.watch(every=2)
        for step in range(7):
            give_gradients(of, step, factor=0.002 if step % 3 else 1.0)
            if step == 2:
                of[1].grad[0] = torch.inf  # type: ignore[index]
            made.step()
        return made, {by: {name: repr(of) for name, of in watched.read(by).items()} for by in ("all", "tensor")}

    expected, norms = go()
    with interpreting(device := Reads()):
        found, measured = go()
        assert device.reads == 0
        same(found, expected)
    assert measured == norms
    assert "clipped=0" not in measured["all"]["all"].replace("clipped=0.", "")


def test_telemetry_and_scalars_that_follow_from_sums() -> None:
    """They wait, and are right."""

    def go() -> tuple[Optimizer, Any]:
        of = weights()
        made = thalweg.Prodigy(of, clip_norm=0.5)
        watched = made.watch(every=2)
        for step in range(4):
            give_gradients(of, step)
            made.step()
        return made, watched.read()["all"]

    expected, norms = go()
    with interpreting(device := Reads()):
        found, measured = go()
        same(found, expected)
    assert device.reads > 0
    assert repr(measured) == repr(norms)
