"""What a recording must not do, whoever asks for it: refused in words before the host would wait, or do it."""

import copy
import gc
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

import pytest
import torch
from interpreted import interpreting
from recorded import Loop, Recording, Weights, judge
from test_triton_graphs import some
from torch.utils._python_dispatch import TorchDispatchMode

import thalweg
from thalweg.formula.triton_kernel import DeviceKernel
from thalweg.optim import Optimizer, cuda, gpus, modes, multiply, recording, signals
from thalweg.optim.devices import Argument


def rate() -> torch.Tensor:
    return torch.tensor(0.01)


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (thalweg.AdamW, {"clear": True}),
        pytest.param(thalweg.Muon, {"products": "float32"}, marks=pytest.mark.slow),
    ],
)
def test_a_rate_there_leaves_no_step_out(rule: type[Optimizer], options: dict[str, Any]) -> None:
    """So nothing need be known, neither to clear gradients nor to multiply matrices."""
    with patch.object(multiply, "_by_each", multiply._at_once):
        device = judge(lambda of: rule(of, lr=rate(), capturable=True, **options), some, sizes=((12, 20), (20, 12)))
    assert not device.waited


REFUSED: dict[str, tuple[Callable[[Optimizer], object], str]] = {
    "a scaler, with gradients cleared": (
        lambda made: [setattr(made, "clear", True), setattr(made, "found_inf", torch.zeros(1))],
        "gradients are cleared, also in a step that is left out",
    ),
    "half a scaler": (
        lambda made: [setattr(made, "found_inf", torch.zeros(1)), setattr(made, "grad_scale", HERE)],
        "found_inf is a tensor there",
    ),
    "another number": (
        lambda made: made.param_groups[0].update(weight_decay=torch.tensor(0.1)),
        "weight_decay of group 0 is a tensor there",
    ),
    "one of two": (
        lambda made: made.param_groups[0].update(betas=(0.9, torch.tensor(0.99))),
        "betas of group 0 is a tensor there",
    ),
    "the first rate": (
        lambda made: made.param_groups[0].update(lr=0.1, initial_lr=rate()),
        "initial_lr of group 0 is a tensor there",
    ),
}
HERE = torch.full((1, 1), 8.0)
"""Has more dimensions than the others, by which it counts as on the processor."""


@pytest.mark.parametrize("what", [*REFUSED])
def test_what_the_host_would_read(what: str) -> None:
    """The step before was just like it."""
    alter, message = REFUSED[what]
    with interpreting(device := Recording()):
        loop = Loop(lambda of: thalweg.AdamW(of, lr=rate(), capturable=True), device, ((3,), (2,)))
        loop.eager(1)
        alter(loop.made)
        there = lambda x: isinstance(x, torch.Tensor) and x.dim() < HERE.dim()  # noqa: E731
        with (
            patch.object(signals, "on_device", there),
            patch.object(recording, "on_device", there),
            pytest.raises(RuntimeError, match=message),
        ):
            loop.record()


@pytest.mark.filterwarnings("ignore::thalweg.optim.plan.PlainOperationsWarning")
@pytest.mark.parametrize("warm", [0, 2])
@pytest.mark.parametrize("capturable", [False, True])
def test_what_torch_updates_is_not_recorded(warm: int, capturable: bool) -> None:
    """Nor are steps counted that were not taken."""
    device = Recording()
    with patch.object(gpus, "recorder_of", lambda where: lambda: device.recording):
        loop = Loop(lambda of: thalweg.Adafactor(of, capturable=capturable), device, ((3, 4),))
        loop.eager(warm)
        loop.backward()
        words = "just like it has made, and there is none" if not warm else "not all parameters are updated by kernels"
        with pytest.raises(RuntimeError, match=words if capturable else "made with capturable=True"):
            loop.record()
        device.recording = False
        loop.eager(1)
    assert float(loop.made.state[loop.of[0]]["step"]) == warm + 1


def test_who_asks_whether_a_gpu_records_makes_nothing() -> None:
    """A first step in a recording is refused by us, and not by a driver whose device is made then."""
    capturing: list[int] = []
    with (
        patch.object(gpus, "CudaDevice", side_effect=AssertionError("made in a recording")),
        patch.object(gpus, "problem", lambda where: None),
        patch.object(gpus, "capturing", lambda index: capturing.append(index) or True),
    ):
        asked = gpus.recorders([torch.zeros(()), *(_On(f"cuda:{i}") for i in (1, 1, 2))])  # type: ignore[list-item]
        assert [each() for each in asked] == [True, True]
    assert capturing == [1, 2]
    assert not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    assert not cuda.capturing(0)


class _On:
    """A tensor, as far as it is asked where it is."""

    def __init__(self, where: str) -> None:
        self.device = torch.device(where)


@pytest.mark.slow
def test_matrices_of_other_parameters_than_just_before() -> None:
    """Where stacks are to lie decides addresses, which a recording sends once, before it looks for the norm."""

    def script(loop: Loop) -> None:
        loop.eager(2)
        loop.backward()
        replay = loop.record() if loop.device is None else _recorded(loop, absent=[0])
        loop.replayed(replay, 2, absent=[0])

    with patch.object(multiply, "_by_each", multiply._at_once):
        judge(
            lambda of: thalweg.Muon(of, lr=0.01, products="float32", clip_norm=1.0, capturable=True), script, 1e-6,
            sizes=((12, 20), (12, 20)),
        )  # fmt: skip


def _recorded(loop: Loop, absent: Sequence[int]) -> Callable[[], object]:
    for i in absent:
        loop.of[i].grad = None
    return loop.record()


@pytest.mark.parametrize("kind", ["a schedule", pytest.param("a window", marks=pytest.mark.slow)])
def test_what_goes_by_the_number_of_steps(kind: str) -> None:
    """Where none is left out a schedule need not know of any; a window is asked for when it is due."""
    options: dict[str, Any] = {"schedule": thalweg.schedules.Cosine(steps=10), "clip_norm": 1.0}
    if kind == "a window":
        options = {"readouts": {"last": thalweg.window(2, every=3)}}
    device = judge(
        lambda of: thalweg.AdamW(of, capturable=True, **options), lambda loop: loop.eager(7), 1e-6, sizes=((3,), (2,))
    )
    assert device.steps_waited == (0 if kind == "a schedule" else 3)


def count(loop: Loop) -> float:
    return float(loop.made.state_dict()["state"][0]["step"])


def test_replays_before_the_next_plan() -> None:
    """Parameters have joined, whose first step makes it; the checkpoint before that has all steps."""
    with interpreting(Recording()) as device:
        loop = Loop(lambda of: thalweg.AdamW(of, capturable=True, nonfinite="skip"), device, ((3,), (2,)))
        loop.eager(3)
        replay = loop.record()
        loop.made.add_param_group({"params": [torch.nn.Parameter(torch.ones(4))]})
        loop.replayed(replay, 2)
        loop.spoiled(replay)
        assert (count(loop), loop.made.skipped_steps) == (5, 1)
        loop.eager(1)
        assert count(loop) == 6


def test_a_checkpoint_is_loaded_whatever_was_replayed() -> None:
    """That a graph was stale is told afterwards, when somebody looks."""
    with interpreting(Recording()) as device:
        loop = Loop(lambda of: thalweg.AdamW(of, capturable=True), device, ((3,), (2,)))
        loop.eager(3)
        replay = loop.record()
        saved = copy.deepcopy(loop.made.state_dict())
        loop.made.load_state_dict(copy.deepcopy(saved))
        loop.eager(1)
        loop.replayed(replay, 1)
        loop.made.load_state_dict(saved)
        with pytest.raises(RuntimeError, match=r"replaced.*Its steps are not counted"):
            count(loop)
        assert count(loop) == 3
        loop.eager(1)
        assert count(loop) == 4


def test_who_looks_while_a_graph_is_recorded() -> None:
    with interpreting(Recording()) as device:
        loop = Loop(lambda of: thalweg.AdamW(of, capturable=True), device, ((3,), (2,)))
        loop.eager(2)
        for look in (lambda: loop.made.skipped_steps, lambda: loop.made.state[loop.of[0]], loop.made.state_dict):
            with device.recorded(), pytest.raises(RuntimeError, match="cannot be asked while it records"):
                look()
        assert count(loop) == 2


def regrouped(loop: Loop) -> None:
    """Tensors that were updated together are not, and the other way round, by options that decide what is computed."""
    first, second = loop.made.param_groups
    loop.eager(3)
    apart = loop.record()
    loop.replayed(apart, 1)
    first["lr"] = second["lr"] = 0.0  # so that nothing decays
    loop.eager(2)
    together = loop.record()
    loop.eager(1)
    first["lr"] = second["lr"] = 0.1
    for _ in range(2):
        loop.replayed(apart, 2)
        for each in loop.made.param_groups:
            each["lr"] = 0.0 if loop.device is None else each["lr"]
        loop.replayed(together, 1)
        for each in loop.made.param_groups:
            each["lr"] = 0.1
        loop.spoiled(apart)
    first["maximize"] = True
    loop.eager(1)
    first["maximize"] = False
    loop.replayed(apart, 1)


@pytest.mark.slow
def test_steps_with_other_options_between_replays() -> None:
    """Each counts on from the other, whatever is updated together."""

    def make(of: Weights) -> Optimizer:
        groups = [{"params": of[::2], "weight_decay": 0.1}, {"params": of[1::2], "weight_decay": 0.0}]
        return thalweg.AdamW(groups, lr=0.1, nonfinite="skip", capturable=True)

    judge(make, regrouped, sizes=((3,), (2,), (4,)))


@pytest.mark.slow
def test_who_looks_between_two_graphs() -> None:
    """Of tensors that one updates together and the other apart; what was looked at last is what it was."""
    asked: list[list[float]] = []

    def script(loop: Loop) -> None:
        first = loop.made.param_groups[0]
        loop.eager(2)
        apart = loop.record()
        first["weight_decay"] = 0.1
        loop.eager(1)
        together = loop.record()
        loop.eager(1)
        loop.replayed(together, 1)
        first["weight_decay"] = 0.0
        for _ in range(2):
            loop.eager(2)
            asked.append([of["step"].item() for of in loop.made.state_dict()["state"].values()])
            loop.replayed(apart, 1)
            asked.append([of["step"].item() for of in loop.made.state_dict()["state"].values()])

    def make(of: Weights) -> Optimizer:
        return thalweg.AdamW(
            [{"params": of[:1], "weight_decay": 0.0}, {"params": of[1:], "weight_decay": 0.1}], capturable=True
        )

    judge(make, script, sizes=((3,), (2,)))
    assert asked == [[count] * 2 for count in (7.0, 8.0, 10.0, 11.0)] * 2


@pytest.mark.parametrize("left_out", [False, True])
def test_a_first_gradient_between_replays(left_out: bool) -> None:
    """Also one whose step is left out, and its states dropped: the graph updates the others as before."""

    def script(loop: Loop) -> None:
        loop.eager(2, absent=[1])
        replay = loop.record()
        loop.replayed(replay, 1, absent=[1])
        if left_out:
            loop.made.nonfinite, loop.made.capturable = "skip", False
            loop.spoiled(loop.made.step)
            loop.made.nonfinite, loop.made.capturable = "pass", True
        else:
            loop.eager(1)
        loop.replayed(replay, 2, absent=[1])
        asked.append([of["step"].item() for of in loop.made.state_dict()["state"].values()])
        loop.replayed(replay, 1, absent=[1])
        loop.eager(1)
        loop.replayed(replay, 1, absent=[1])

    asked: list[list[float]] = []
    judge(lambda of: thalweg.AdamW(of, capturable=True, lr=0.1), script, sizes=((3,), (2,)))
    assert asked == [[5.0] if left_out else [6.0, 1.0]] * 2


def decays(loop: Loop) -> Callable[[], object]:
    """Weight decay in one group, and back: it has that updated apart."""
    first = loop.made.param_groups[0]

    def turn() -> None:
        first["weight_decay"] = 0.1 - first["weight_decay"]

    return turn


def clears(loop: Loop) -> Callable[[], object]:
    """Whether gradients are cleared, which makes a plan anew of the same launches."""
    return lambda: setattr(loop.made, "clear", not loop.made.clear)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "lr", "turning"),
    [
        (thalweg.Prodigy, 1.0, clears),
        (thalweg.ScheduleFreeAdamW, 0.01, clears),
        (thalweg.NAdam, 0.01, decays),
        (thalweg.AdaBound, 0.01, decays),
    ],
)
def test_scalars_of_steps_with_other_options(
    rule: type[Optimizer], lr: float, turning: Callable[[Loop], Callable[[], object]]
) -> None:
    """They go along with the counts, those of a tensor and those that groups or all have in common."""
    plans: list[object] = []

    def script(loop: Loop) -> None:
        turn = turning(loop)
        loop.eager(3)
        replay = loop.record()
        for _ in range(2):
            plans.append(loop.made._plan)
            loop.replayed(replay, 2)
            turn()
            loop.eager(2)
            assert loop.made._plan is not plans[-1]
            turn()
            loop.eager(1)
        loop.replayed(replay, 1)

    groups = lambda of: [{"params": of[:1]}, {"params": of[1:]}]  # noqa: E731
    options = {"weight_decay": 0.0} if turning is decays else {}
    judge(lambda of: rule(groups(of), lr=lr, capturable=True, **options), script, 1e-5, 1e-9, sizes=((3,), (2,)))


@pytest.mark.slow
def test_parameters_that_join_after_a_recording() -> None:
    """What groups keep is asked of them while the plan is made anew."""

    def script(loop: Loop) -> None:
        loop.eager(3)
        replay = loop.record()
        loop.replayed(replay, 2)
        loop.of.append(torch.nn.Parameter(torch.ones(4)))
        loop.made.add_param_group({"params": loop.of[-1:]})
        loop.eager(2)

    judge(lambda of: thalweg.Prodigy(of, d0=1e-3, capturable=True), script, 1e-5, 1e-9, sizes=((3,), (2,)))


RESET: list[Callable[[Optimizer, torch.Tensor], object]] = [
    lambda made, p: made.state.pop(p),
    lambda made, p: made.state[p].update(exp_avg=torch.zeros_like(p)),
]
"""What has a tensor's state be another one."""


@pytest.mark.slow
@pytest.mark.parametrize("reset", RESET, ids=["all of it", "one of its tensors"])
def test_a_state_of_one_tensor_is_replaced(reset: Callable[[Optimizer, torch.Tensor], object]) -> None:
    """Steps outside of the graph are no replays, though they count with it; a replay is one, and writes to the old."""
    with interpreting(Recording()) as device:
        loop = Loop(lambda of: thalweg.AdamW(of, capturable=True, lr=0.1), device, ((3,), (2,)))
        loop.eager(3)
        replay = loop.record()
        loop.replayed(replay, 1)
        old = weakref.ref(loop.made.state[loop.of[0]]["exp_avg"])
        reset(loop.made, loop.of[0])
        for _ in range(2):
            loop.eager(2)
            now = loop.made.state_dict()["state"]
        expected = 4.0 if reset is RESET[0] else 8.0
        assert [now[place]["step"].item() for place in (0, 1)] == [expected, 8.0]
        gc.collect()
        kept, mine = old(), now[0]["exp_avg"].clone()
        assert kept is not None
        before = kept.clone()
        loop.replayed(replay, 1)
        assert not torch.equal(kept, before)
        torch.testing.assert_close(now[0]["exp_avg"], mine, rtol=0, atol=0)
        with pytest.raises(RuntimeError, match="a CUDA graph has been replayed that updates what this optimizer no"):
            loop.made.state_dict()
        loop.made.state_dict()


@pytest.mark.slow
def test_a_checkpoint_loaded_after_a_state_was_reset() -> None:
    """What steps outside have counted is no replay afterwards either."""
    with interpreting(Recording()) as device:
        loop = Loop(lambda of: thalweg.AdamW(of, capturable=True), device, ((3,), (2,)))
        loop.eager(3)
        saved = copy.deepcopy(loop.made.state_dict())
        loop.eager(1)
        loop.record()
        loop.made.state.pop(loop.of[0])
        loop.eager(2)
        loop.made.load_state_dict(saved)
        loop.eager(1)
        assert count(loop) == 4


class Ours(Recording):
    """``made``: where the memory is that the device has made, or been given in a table."""

    def __init__(self) -> None:
        super().__init__()
        self.made: set[int] = set()
        self.kept: list[torch.Tensor] = []

    def zeros(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        self.kept.append(super().zeros(shape, dtype))
        self.made.add(self.kept[-1].untyped_storage().data_ptr())
        return self.kept[-1]

    def launch(self, kernel: DeviceKernel, programs: int, arguments: Sequence[Argument]) -> None:
        given = [x for x in arguments if isinstance(x, torch.Tensor)]
        assert all(x.untyped_storage().data_ptr() in self.made for x in given)
        super().launch(kernel, programs, arguments)


class _Places(TorchDispatchMode):
    """What has said which entries are copied: ``at``, where its memory is."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten.index_select.default, torch.ops.aten.index_copy_.default):
            self.at.append(args[2].untyped_storage().data_ptr())
        return func(*args, **(kwargs or {}))


@pytest.mark.slow
def test_whose_memory_it_is() -> None:
    """All that steps read on the device is the device's, which knows then whose stream it is on."""
    with interpreting(device := Ours()):
        loop = Loop(lambda of: thalweg.AdamW(of, capturable=True, clip_norm=1.0), device, ((3,), (2,)))
        loop.eager(3)
        loop.record()
        loop.of.append(torch.nn.Parameter(torch.ones(4)))
        loop.made.add_param_group({"params": loop.of[-1:]})
        loop.eager(1)
        with patch.object(modes, "_disable_current_modes", nullcontext), _Places() as found:
            loop.eager(1)
    assert found.at
    assert device.made.issuperset(found.at)
