"""Numbers that a rule keeps, kept on the device: the CPU's are the judge, over twenty steps, to 1e-12."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from recorded import Loop, Recording, Weights, judge

import thalweg
from thalweg.optim import Optimizer, wrap
from thalweg.wrappers import Hyperball

SIZES = ((3, 5), (7,), (0,))
Sphere = wrap(thalweg.Adam, Hyperball)


def many(loop: Loop) -> None:
    """Twenty steps, some left out where they may be; somebody looks in between."""
    for step in range(20):
        if step in (0, 3, 11) and loop.made.nonfinite == "skip":
            loop.spoiled(loop.step)
        else:
            loop.eager(1)
        if step == 8:
            _ = loop.made.state[loop.of[0]]


def kept(loop: Loop) -> dict[str, Any]:
    """What groups keep, after the states have been asked for."""
    group = loop.made.state_dict()["param_groups"][0]
    return {name: group[name] for name in ("d", "d_numerator", "lr_max", "weight_sum", "base_lr") if name in group}


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (thalweg.NAdam, {"nonfinite": "skip"}),
        pytest.param(thalweg.NAdam, {"nonfinite": "skip", "clip_norm": 0.5}, marks=pytest.mark.slow),
        pytest.param(Sphere, {"lr": 0.01}, marks=pytest.mark.slow),
        pytest.param(Sphere, {"lr": 0.01, "nonfinite": "skip"}, marks=pytest.mark.slow),
        (thalweg.Prodigy, {"capturable": True, "nonfinite": "skip"}),
        pytest.param(thalweg.Prodigy, {"capturable": True, "clip_norm": 0.5}, marks=pytest.mark.slow),
        pytest.param(
            thalweg.ScheduleFreeAdamW,
            {"capturable": True, "nonfinite": "skip", "warmup_steps": 5.0},
            marks=pytest.mark.slow,
        ),
        pytest.param(thalweg.ScheduleFreeSGD, {"capturable": True}, marks=pytest.mark.slow),
        pytest.param(thalweg.AdaBound, {"capturable": True, "nonfinite": "skip"}, marks=pytest.mark.slow),
    ],
)
def test_twenty_steps(rule: type[Optimizer], options: dict[str, Any]) -> None:
    """Nothing waits but who looks, and the first step, which makes states, where it may be left out."""
    found: list[dict[str, Any]] = []

    def script(loop: Loop) -> None:
        many(loop)
        found.append(kept(loop))

    device = judge(lambda of: rule(of, **options), script, near=1e-6, exactly=1e-12, sizes=SIZES)
    # The first step is left out, so the second one makes states too.
    assert device.steps_waited == (2 if options.get("nonfinite") == "skip" and "capturable" not in options else 0)
    for name, value in found[0].items():
        assert found[1][name] == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize("rule", [thalweg.ScheduleFreeAdamW, pytest.param(thalweg.Prodigy, marks=pytest.mark.slow)])
def test_parameters_that_do_not_all_take_part(rule: type[Optimizer]) -> None:
    """What they keep in common the host works out then, and waits."""
    found: list[dict[str, Any]] = []

    def script(loop: Loop) -> None:
        loop.eager(3)
        loop.eager(2, absent=(1,))
        loop.eager(2)
        found.append(kept(loop))

    device = judge(lambda of: rule(of, capturable=True), script, near=1e-6, exactly=1e-12, sizes=SIZES)
    assert device.steps_waited
    assert found[1] == pytest.approx(found[0], rel=1e-12)


@pytest.mark.parametrize("rule", [thalweg.NAdam, pytest.param(thalweg.Prodigy, marks=pytest.mark.slow)])
def test_a_checkpoint_goes_on(rule: type[Optimizer]) -> None:
    def script(loop: Loop) -> None:
        loop.eager(4)
        saved = copy.deepcopy(loop.made.state_dict())
        loop.eager(2)
        loop.made.load_state_dict(saved)
        loop.eager(3)

    judge(lambda of: rule(of, capturable=True), script, near=1e-6, exactly=1e-12, sizes=SIZES)


@pytest.mark.slow
@pytest.mark.parametrize("rule", [thalweg.NAdam, Sphere, thalweg.Prodigy, thalweg.ScheduleFreeAdamW, thalweg.AdaBound])
def test_in_graphs(rule: type[Optimizer]) -> None:
    """Replays, steps outside, and a step that a replay leaves out."""
    found: list[dict[str, Any]] = []

    def script(loop: Loop) -> None:
        loop.eager(3)
        replay = loop.record()
        loop.replayed(replay, 3)
        loop.eager(2)
        loop.spoiled(replay)
        loop.replayed(replay, 2)
        found.append(kept(loop))
        loop.replayed(replay, 2)
        loop.eager(1)
        found.append(kept(loop))

    def make(of: Weights) -> Optimizer:
        return rule(of, lr=torch.tensor(0.01), capturable=True, nonfinite="skip")

    judge(make, script, near=1e-6, exactly=1e-12, sizes=SIZES)
    for mine, theirs in zip(found[2:], found, strict=False):
        assert mine == pytest.approx(theirs, rel=1e-12)


def test_a_number_that_somebody_writes() -> None:
    """The device goes on from there."""

    def script(loop: Loop) -> None:
        loop.eager(3)
        loop.made.state[loop.of[1]]["mu_product"].fill_(0.25)
        loop.eager(3)

    device = judge(lambda of: thalweg.NAdam(of, capturable=True), script, near=1e-6, exactly=1e-12, sizes=SIZES)
    assert isinstance(device, Recording)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (thalweg.Prodigy, {"d0": 1e-3}),
        (thalweg.Prodigy, {"d0": 1e-3, "schedule": thalweg.schedules.Cosine(steps=10)}),
        (thalweg.ScheduleFreeAdamW, {"lr": 0.1, "warmup_steps": 8.0}),
    ],
)
def test_a_first_gradient(rule: type[Optimizer], options: dict[str, Any]) -> None:
    """A plan made anew goes on from what the device has, and from a schedule's numbers, in a step that waits."""
    found: list[dict[str, Any]] = []

    def script(loop: Loop) -> None:
        loop.eager(3, absent=(1,))
        loop.eager(4)
        found.append(kept(loop))

    judge(lambda of: rule(of, capturable=True, **options), script, near=1e-5, exactly=1e-12, sizes=SIZES)
    assert found[1] == pytest.approx(found[0], rel=1e-9)


@pytest.mark.slow
def test_parameters_of_two_types_that_do_not_all_take_part() -> None:
    """They are updated apart, and their group's numbers are one all the same."""
    found: list[dict[str, Any]] = []

    def make(of: Weights) -> Optimizer:
        of[1].data = of[1].data.double()
        return thalweg.ScheduleFreeAdamW(of, lr=0.1, warmup_steps=8.0, capturable=True)

    def script(loop: Loop) -> None:
        loop.eager(1)
        loop.eager(2, absent=(1,))
        loop.eager(4)
        found.append(kept(loop))

    judge(make, script, near=1e-5, exactly=1e-12, sizes=((3, 5), (7,)))
    assert found[1] == pytest.approx(found[0], rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "alike"), [({"d_coef": 4.0}, False), ({"betas": (0.9, 0.9)}, False), ({"lr": 0.5}, True)], ids=str
)
@pytest.mark.parametrize("looks", [False, True])
def test_groups_that_are_updated_apart(other: dict[str, Any], alike: bool, looks: bool) -> None:
    """What is for all goes by the options of one; nothing waits where they agree in those that it asks for."""
    found: list[dict[str, Any]] = []

    def make(of: Weights) -> Optimizer:
        of[1].data = of[1].data.double()
        return thalweg.Prodigy([{"params": of[:1]}, {"params": of[1:], **other}], d0=1e-3, capturable=True)

    def script(loop: Loop) -> None:
        for step in range(8):
            grads = [p.detach().clone() for p in loop.of]
            for p, grad in zip(loop.of, grads, strict=True):
                p.grad = grad
            loop.step()
            if looks and step % 2:
                loop.made.state_dict()
        found.append(kept(loop))

    device = judge(make, script, near=1e-5, exactly=1e-9, sizes=((3, 5), (7,)))
    assert found[1] == pytest.approx(found[0], rel=1e-9)
    assert bool(device.steps_waited) is not alike


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_replays_beside_a_parameter_that_is_in_no_graph(order: tuple[int, int]) -> None:
    """What is for all is as far as the graph has come, whichever group is the first."""
    found: list[dict[str, Any]] = []

    def script(loop: Loop) -> None:
        first, second = (loop.of[i] for i in order)

        def taken(take: Callable[[], object], steps: int) -> None:
            for _ in range(steps):
                first.grad.copy_(first.detach())
                take()

        first.grad = torch.zeros_like(first)
        taken(loop.step, 3)
        replay = loop.record()
        second.grad = second.detach().clone()
        taken(loop.step, 1)
        second.grad = None
        taken(replay, 4)
        found.append(kept(loop))
        taken(loop.step, 1)

    def make(of: Weights) -> Optimizer:
        return thalweg.Prodigy([{"params": [p]} for p in of], d0=1e-3, capturable=True)

    judge(make, script, near=1e-5, exactly=1e-9, sizes=((3, 5), (7,)))
    assert found[1] == pytest.approx(found[0], rel=1e-9)
