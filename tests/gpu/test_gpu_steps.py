"""Whole steps on a GPU that is Triton's interpreter, judged by the same optimizer on the CPU: to the bit."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import pytest
import torch
from interpreted import Interpreted, interpreting
from numpy.typing import NDArray

import thalweg
from thalweg.formula import Hyper, Sum
from thalweg.optim import Optimizer

pytestmark = pytest.mark.slow  # test_interpreted_optimizers.py has a few fast ones, test_gpu_host.py the host's side

Make = Callable[[list[torch.nn.Parameter]], Optimizer]
Weights = list[torch.nn.Parameter]
SIZES = ((3, 5), (1000,), ())
WITH_SKIP = [
    {"nonfinite": "skip"},
    {"nonfinite": "skip", "clip_norm": 0.5, "clip_value": 1.0},
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


def weights(sizes: Sequence[Sequence[int]] = SIZES) -> Weights:
    chance = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(size, generator=chance)) for size in sizes]


def refuse(*_: Any) -> float:
    raise AssertionError("the host waits for a number")


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

    def take_and_ask_nothing(made: Optimizer, of: Weights, step: int) -> None:
        made.param_groups[0]["initial_lr"] = torch.tensor(0.01)  # as torch's schedulers note it
        with patch.object(torch.Tensor, "__float__", refuse) if step else nullcontext():
            made.step()
        made.param_groups[0]["lr"].mul_(0.7)

    expected = trained(make, take)
    with interpreting(device := Reads()):
        found = trained(make, take_and_ask_nothing)
        assert device.reads == 0
        same(found, expected)


@pytest.mark.parametrize("absent", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", WITH_SKIP, ids=str)
@pytest.mark.parametrize(
    "rule",
    [thalweg.AdamW, *(pytest.param(each, marks=pytest.mark.slow) for each in (thalweg.LAMB, thalweg.Adafactor))],
)
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
    [{}, {"clip_norm": 0.5}, {"nonfinite": "skip"}],
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


def watched(made: Optimizer, of: Weights, steps: int) -> tuple[Optimizer, Any]:
    """An optimizer of these weights after some steps, and what was measured in every second one."""
    measured = made.watch(every=2)
    for step in range(steps):
        give_gradients(of, step)
        made.step()
    return made, measured.read()["all"]


@pytest.mark.parametrize("nonfinite", ["pass", pytest.param("raise", marks=pytest.mark.slow)])
def test_rules_of_rows_and_columns_are_watched(nonfinite: str) -> None:
    """In steps that wait for nothing, and in those that do."""

    def go() -> tuple[Optimizer, Any]:
        of = weights(((7, 5), (3,), (2, 3, 4)))
        return watched(thalweg.CAME(of, nonfinite=nonfinite), of, steps=3)

    expected, norms = go()
    with interpreting(device := Reads()):
        found, measured = go()
        assert (device.reads > 0) == (nonfinite == "raise")
        same(found, expected)
    assert repr(measured) == repr(norms)


def test_telemetry_and_scalars_that_follow_from_sums() -> None:
    """They wait, and are right."""

    def go() -> tuple[Optimizer, Any]:
        of = weights()
        return watched(thalweg.Prodigy(of, clip_norm=0.5), of, steps=4)

    expected, norms = go()
    with interpreting(device := Reads()):
        found, measured = go()
        same(found, expected)
    assert device.reads > 0
    assert repr(measured) == repr(norms)


@pytest.mark.parametrize("held", [False, True])
def test_a_step_count_that_somebody_writes(held: bool) -> None:
    """By way of the optimizer's states, or through a tensor that he has from before; also while the device counts."""

    def go() -> Optimizer:
        of = weights()
        made = thalweg.AdamW(of, nonfinite="skip", lr=0.1)
        counts: list[torch.Tensor] = []
        for step in range(6):
            give_gradients(of, step)
            if step in (2, 4):
                spoil(of)
            made.step()
            if step in (1, 3):
                counts = counts if held and counts else [made.state[p]["step"] for p in of]
                counts[1].fill_(7.0 * step)
        return made

    expected = go()
    with interpreting():
        same(go(), expected)
    assert expected.skipped_steps == 2


def spoil(of: Weights) -> None:
    next(p for p in of if p.grad is not None and p.numel()).grad.view(-1)[0] = torch.nan  # type: ignore[union-attr]


def test_gradients_of_a_step_that_is_left_out_are_cleared() -> None:
    """Else what is added to them stays nan, and every later step is left out."""

    def go() -> Optimizer:
        of = weights()
        made = thalweg.AdamW(of, nonfinite="skip", clear=True)
        for p in of:
            p.grad = torch.zeros_like(p)
        for step in range(5):
            for p in of:
                p.grad += 1.0
            if step == 2:
                spoil(of)
            made.step()
        return made

    expected = go()
    with interpreting():
        same(go(), expected)
    assert expected.skipped_steps == 1


def test_an_empty_tensor_comes_first() -> None:
    """No program sees it, and all have one number of the step."""

    def go() -> Optimizer:
        of = weights(((0,), (5,), (4,)))
        made = thalweg.AdamW(of, nonfinite="skip", lr=0.1)
        for step in range(6):
            give_gradients(of, step)
            if step in (1, 3):
                spoil(of)
            made.step()
        return made

    expected = go()
    with interpreting():
        same(go(), expected)


@pytest.mark.parametrize("what", ["a group", "a checkpoint", "states are cleared", "memory with gaps"])
def test_what_changes_while_the_host_does_not_know(what: str) -> None:
    """A plan that is made anew, with a scaler's numbers and a rate on the device, and a step left out before."""

    def go() -> Optimizer:
        of = weights()
        made = thalweg.AdamW(of, lr=torch.tensor(0.01), amp_fused=True)
        for step in range(7):
            if step == 4 and what == "a group":
                of.append(torch.nn.Parameter(torch.ones(4)))
                made.add_param_group({"params": of[-1:], "lr": 0.05})
            if step == 4 and what == "a checkpoint":
                made.load_state_dict(made.state_dict())
            if step == 4 and what == "states are cleared":
                made.state.clear()
            give_gradients(of, step, factor=8.0)
            if step == 4 and what == "memory with gaps":
                of[0].data, of[0].grad = torch.ones(3, 10)[:, ::2], torch.full((3, 5), 8.0)
            made.found_inf, made.grad_scale = torch.tensor([float(step in (2, 5))]), torch.tensor(8.0)
            made.step()
        return made

    expected = go()
    with interpreting(), warnings.catch_warnings():
        warnings.simplefilter("ignore", thalweg.PlainOperationsWarning)
        same(go(), expected)
    assert expected.skipped_steps == 2


@thalweg.optimizer
class Eighth(thalweg.Rule):
    """A step without any number of the host's."""

    @staticmethod
    def step(w: Any) -> Any:
        return 0.125 * w


@thalweg.optimizer
class BySize(thalweg.Rule):
    """Sums that need no number of the host's, so that their pass is the first of a step."""

    lr = Hyper(0.1)
    size = Sum("tensor")

    @staticmethod
    def sums(w: Any) -> Any:
        return {"size": w * w}

    @staticmethod
    def after(size: Any, lr: Any) -> Any:
        return {"rate": lr * size}

    @staticmethod
    def step(g: Any, rate: Any) -> Any:
        return rate * g


@pytest.mark.parametrize("rule", [Eighth, BySize])
def test_passes_that_ask_the_host_for_nothing_are_left_out_too(rule: Any) -> None:
    def go() -> Optimizer:
        of = weights()
        made: Optimizer = rule(of, amp_fused=True)
        for step in range(5):
            give_gradients(of, step)
            made.found_inf, made.grad_scale = torch.tensor([float(step in (1, 3))]), torch.tensor(8000.0)
            made.step()
        return made

    expected = go()
    with interpreting():
        found = go()
        assert found.skipped_steps == expected.skipped_steps == 2
        for a, b in zip(found.param_groups[0]["params"], expected.param_groups[0]["params"], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=0)
