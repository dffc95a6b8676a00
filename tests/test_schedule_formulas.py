"""The schedules of the package: against torch's and transformers' where these have the same, else by hand."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from itertools import pairwise
from math import cos, pi, sqrt
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from thalweg import schedules
from thalweg.formula import Form, Length, Schedule
from thalweg.formula.text import schedule_story
from thalweg.formula.typeset import latex, mathml_lines
from thalweg.schedules import CATALOGUE, WSD, Constant, Cosine, Linear, Trapezoid, WarmRestarts, WarmUp

STEPS = 60
Scheduler = Callable[[torch.optim.Optimizer], Any]


def rates(scheduler: Scheduler, steps: int = STEPS) -> list[float]:
    """What a scheduler of torch's kind makes of a rate of 1, step by step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    made, found = scheduler(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    return found


def factors(schedule: Schedule) -> list[float]:
    return [schedule.at(step) for step in range(1, schedule.steps + 1)]


def then(optimizer: torch.optim.Optimizer, warmup: int, after: Any) -> Any:
    """A warm-up of torch's, and what follows it."""
    up = lr_scheduler.LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
    return lr_scheduler.SequentialLR(optimizer, [up, after], milestones=[warmup])


TORCHS: list[tuple[Schedule, Scheduler]] = [
    (Constant(STEPS), lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
    (Cosine(STEPS), lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS)),
    (Cosine(STEPS, last=0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.1)),
    (Cosine(STEPS, warmup=12), lambda o: then(o, 12, lr_scheduler.CosineAnnealingLR(o, T_max=STEPS - 12))),
    (Linear(STEPS), lambda o: lr_scheduler.PolynomialLR(o, total_iters=STEPS, power=1.0)),
    (Linear(STEPS, last=0.3), lambda o: lr_scheduler.LinearLR(o, 1.0, 0.3, total_iters=STEPS)),
    (Linear(STEPS, warmup=0.1), lambda o: then(o, 6, lr_scheduler.LinearLR(o, 1.0, 0.0, total_iters=STEPS - 6))),
    (WarmUp(STEPS, warmup=7), lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 7, total_iters=6)),
    (WarmRestarts(STEPS, cycle=7), lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=7, T_mult=2)),
    (
        WarmRestarts(STEPS, cycle=5, multiplier=1, last=0.05),
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=5, eta_min=0.05),
    ),
    (WarmRestarts(STEPS, cycle=100), lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=100, T_mult=2)),
    (WarmRestarts(STEPS, cycle=3, multiplier=3), lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 3)),
]


@pytest.mark.parametrize(("schedule", "scheduler"), TORCHS, ids=[repr(schedule) for schedule, _ in TORCHS])
# SequentialLR warns of its own use of an argument that is on its way out.
@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_the_factors_are_torchs(schedule: Schedule, scheduler: Scheduler) -> None:
    assert factors(schedule) == pytest.approx(rates(scheduler), abs=1e-12)


def test_after_the_warm_up_the_factors_are_those_of_transformers() -> None:
    """Whose warm-up is one step late: its first step has the rate 0."""
    theirs = pytest.importorskip("transformers.optimization")
    up, down = 9, 15
    made: list[tuple[Schedule, Scheduler]] = [
        (Cosine(STEPS, warmup=up), lambda o: theirs.get_cosine_schedule_with_warmup(o, up, STEPS)),
        (Linear(STEPS, warmup=up), lambda o: theirs.get_linear_schedule_with_warmup(o, up, STEPS)),
    ]
    for mine, name in {"sqrt": "1-sqrt", "linear": "linear", "cosine": "cosine"}.items():
        # Its cool-down begins with a step at 1, which is here one of the stable ones.
        scheduler = lambda o, name=name: theirs.get_wsd_schedule(  # noqa: E731
            o, up, num_decay_steps=down + 1, num_training_steps=STEPS, decay_type=name, min_lr_ratio=0.1
        )
        made.append((WSD(STEPS, warmup=up, cooldown=down, shape=mine, first=0.1, last=0.1), scheduler))
    for schedule, scheduler in made:
        found = rates(scheduler)
        assert factors(schedule)[up:] == pytest.approx(found[up:], abs=1e-12), schedule
        assert factors(schedule)[: up - 1] == pytest.approx(found[1:up], abs=1e-12), schedule


BY_HAND: dict[str, Callable[[float], float]] = {
    "linear": lambda x: 1 - x,
    "cosine": lambda x: (1 + cos(pi * x)) / 2,
    "mirror-cosine": lambda x: 2 - 2 * x - (1 + cos(pi * x)) / 2,
    "square": lambda x: 1 - x**2,
    "sqrt": lambda x: 1 - sqrt(x),
}


def test_the_shapes_of_a_cool_down_by_hand() -> None:
    """Four steps of ten: x is 1/5, 2/5, 3/5, 4/5."""
    assert {*BY_HAND, "exp"} == {*schedules.SHAPES}
    for shape, of in BY_HAND.items():
        found = factors(WSD(10, warmup=2, cooldown=4, shape=shape, first=0.01))
        assert found[:6] == pytest.approx([0.505, 1, 1, 1, 1, 1], abs=1e-12)
        assert found[6:] == pytest.approx([of(k / 5) for k in (1, 2, 3, 4)], abs=1e-12), shape
        found = factors(WSD(10, cooldown=4, shape=shape, last=0.2))
        assert found[6:] == pytest.approx([0.2 + 0.8 * of(k / 5) for k in (1, 2, 3, 4)], abs=1e-12), shape
    found = factors(WSD(10, cooldown=4, shape="exp", last=1 / 32))
    assert found[6:] == pytest.approx([1 / 2, 1 / 4, 1 / 8, 1 / 16], abs=1e-12)


def test_a_trapezoid_by_hand() -> None:
    assert factors(Trapezoid(10, warmup=4, cooldown=3)) == pytest.approx(
        [0.25, 0.5, 0.75, 1, 1, 1, 1, 0.75, 0.5, 0.25], abs=1e-12
    )


def test_restarts_are_exact_at_the_ends_of_cycles() -> None:
    for multiplier in (1, 2, 3, 10):
        for cycle in (1, 7, 10, 1000):
            schedule = WarmRestarts(10**9, cycle=cycle, multiplier=multiplier)
            begins, length = 0, cycle
            for _ in range(6):
                assert schedule.at(begins + 1) == 1.0
                assert schedule.at(begins + length) == (1 + cos(pi * (length - 1) / length)) / 2
                begins, length = begins + length, length * multiplier


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
def test_no_step_is_wasted_and_none_is_above_1(kind: type[Schedule]) -> None:
    for steps in (1, 2, 3, 7, 15, 100):
        assert all(0 < factor <= 1 for factor in factors(kind(steps)))


def test_the_last_factor_stays() -> None:
    for kind in CATALOGUE.values():
        schedule = kind(12)
        assert schedule.at(13) == schedule.at(10**6) == schedule.at(12)


def test_lengths_are_steps_or_shares() -> None:
    assert factors(Linear(200, warmup=0.1)) == factors(Linear(200, warmup=20))
    assert factors(WarmUp(3, warmup=0.01)) == [1.0, 1.0, 1.0]  # a share is one step at least
    assert WSD(1000, warmup=1, cooldown=0.5).numbers == {"T": 1000.0, "cooldown": 500.0}  # a warm-up of 1 does nothing
    assert all(a > b for a, b in pairwise(factors(Linear(20, warmup=0))))


def test_shares_that_round_up_do_not_overlap() -> None:
    """Half of three steps is two, so of the second half one is left."""
    assert factors(Trapezoid(3, warmup=0.5, cooldown=0.5)) == [0.5, 1.0, 0.5]
    assert factors(Trapezoid(3, warmup=0.5, cooldown=0.5)) == factors(Trapezoid(3, warmup=2, cooldown=1))
    assert factors(WSD(3, warmup=0.5, cooldown=0.5)) == factors(WSD(3, warmup=2, cooldown=1))
    for steps in range(2, 60):
        for share in (0.05, 0.25, 0.5, 0.75, 0.9):
            schedule = WSD(steps, warmup=share, cooldown=1 - share)
            lengths = {"warmup": 1.0, "cooldown": 1.0, **schedule.numbers}  # what does nothing is left out of these
            assert lengths["warmup"] + lengths["cooldown"] <= steps, schedule


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=CATALOGUE)
def test_a_schedule_is_a_value(kind: type[Schedule]) -> None:
    chosen = {"warmup": 2, "last": 0.25}
    schedule = kind(steps=30, **{key: value for key, value in chosen.items() if key in kind.declared})
    assert eval(repr(schedule), {kind.__name__: kind}) == schedule
    assert pickle.loads(pickle.dumps(schedule)) == deepcopy(schedule) == schedule
    assert hash(deepcopy(schedule)) == hash(schedule)
    assert schedule != kind(steps=31)
    assert [deepcopy(schedule).at(t) for t in (1, 17, 30)] == [schedule.at(t) for t in (1, 17, 30)]
    for change in (lambda: setattr(schedule, "steps", 3), lambda: delattr(schedule, "steps")):
        with pytest.raises(AttributeError, match="is a value and cannot be changed: make another one"):
            change()


def test_what_was_written_is_what_is_shown() -> None:
    assert repr(WSD(10_000, warmup=500, shape="linear")) == "WSD(steps=10000, warmup=500, shape='linear')"
    assert [str(line) for line in schedule_story(Cosine(10))] == ["factor = (1 + cos(pi * (t - 1) / T)) / 2"]
    story = [str(line) for line in schedule_story(WarmRestarts(100, multiplier=1))]
    assert story[:2] == ["e = t - 1", "k = floor(e / cycle)"]
    assert latex(schedule_story(Cosine(10))[0]) == (r"\mathrm{factor} = \frac{1 + \cos(\pi (t - 1) / T)}{2}")
    shown = WSD(100, last=0.1)._repr_html_()
    assert "WSD(steps=100, last=0.1)" in shown
    assert mathml_lines(schedule_story(WSD(100, last=0.1))) in shown


class Exponential(WSD):
    """An heir whose default shape needs ``last``."""

    shape = Form("exp", schedules.SHAPES)


REFUSED: list[tuple[type[Schedule], dict[str, Any], type[Exception], str]] = [
    (Cosine, {"steps": 0}, ValueError, "Cosine: steps must be at least 1, got 0"),
    (Cosine, {"steps": 2.5}, TypeError, "Cosine: steps is how many steps there are, a whole number, got 2.5"),
    (Cosine, {"steps": True}, TypeError, "a whole number, got True"),
    (
        Cosine,
        {"steps": 9, "warm_up": 3},
        TypeError,
        "Cosine takes no 'warm_up'; did you mean 'warmup'?; it takes steps",
    ),
    (Cosine, {"steps": 9, "warmup": -1}, ValueError, "Cosine: warmup must be at least 0 and finite, got -1"),
    (Cosine, {"steps": 9, "warmup": 1.5}, ValueError, "a whole number of steps, or a share of them below 1, got 1.5"),
    (Cosine, {"steps": 9, "warmup": "3"}, TypeError, "Cosine: warmup must be a number, got '3'"),
    (Cosine, {"steps": 9, "warmup": 12}, ValueError, "warmup=12 take 12 steps, and there are 9"),
    (WSD, {"steps": 9, "warmup": 5, "cooldown": 0.5}, ValueError, "warmup=5 and cooldown=0.5 take 9.5 steps"),
    (WSD, {"steps": 9, "shape": "sqr"}, ValueError, "shape is one of linear, cosine, mirror-cosine, exp, square, sqrt"),
    (WSD, {"steps": 9, "shape": "exp"}, ValueError, "never reaches 0: give last, such as last=0.01"),
    (WSD, {"steps": 9, "shape": ["linear"]}, ValueError, "WSD: shape is one of linear"),
    (Exponential, {"steps": 9}, ValueError, "Exponential: shape='exp' falls by equal ratios and never reaches 0"),
    (WarmRestarts, {"steps": 9, "multiplier": 0.5}, ValueError, "multiplier must be at least 1"),
    (Schedule, {"steps": 9}, TypeError, "Schedule is the base of schedules"),
]


@pytest.mark.parametrize(("kind", "given", "error", "words"), REFUSED, ids=[words for *_, words in REFUSED])
def test_what_cannot_be_is_refused_in_words(
    kind: type[Schedule], given: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        kind(**given)
    assert words in str(caught.value)


def test_more_parts_than_steps_are_refused_where_one_is_whole() -> None:
    class Three(Schedule):
        a, b, c = Length(0.1), Length(0.1), Length(0.1)

        @staticmethod
        def factor(a, b, c):  # type: ignore[no-untyped-def]
            return a + b + c

    assert Three(2).at(1) == 3.0  # each has its step
    with pytest.raises(ValueError, match=r"a=9 and b=0\.01 and c=0\.01 take 11 steps, and there are 10"):
        Three(10, a=9, b=0.01, c=0.01)


def test_the_formula_takes_a_plain_number() -> None:
    for kind in CATALOGUE.values():
        assert kind(10).of(3) == kind(10).of(3.0) == kind(10).at(3)


def test_steps_are_counted_from_1() -> None:
    with pytest.raises(ValueError, match="Cosine: steps are counted from 1, got 0"):
        Cosine(10).at(0)
    with pytest.raises(TypeError):
        Cosine(10).at(1.5)  # type: ignore[arg-type]
