"""Schedules of one's own: what may be written, what is refused and where, and that the formula is all there is."""

import inspect
import math
import pickle

import numpy as np
import pytest
import torch

from thalweg.formula import Form, FormulaError, Hyper, Length, Schedule, State, where
from thalweg.formula.text import schedule_story

CONSTANT = 0.5


def up(x):
    return x


def down(x):
    return 1 - x


def both(x, y):
    return x + y


class PowerCool(Schedule):
    """Towards 0 by a power of what is left."""

    power = Hyper(1.2)

    @staticmethod
    def factor(t, T, power):
        return ((T - t + 1) / T) ** power


class Turned(Schedule):
    """Up or down, in a part of the steps."""

    part = Length(0.5)
    way = Form("up", {"up": up, "down": down})

    @staticmethod
    def factor(t, part, way):
        gone = t / part
        return where(t <= part, way(gone), CONSTANT)


class Twice(PowerCool):
    """An heir has what its parent declares."""

    scale = Hyper(2.0)

    @staticmethod
    def factor(t, T, power, scale):
        return scale * (t / T) ** power


def test_a_schedule_of_ones_own():
    schedule = PowerCool(steps=10, power=2)
    assert [schedule.at(t) for t in range(1, 11)] == [((10 - t + 1) / 10) ** 2 for t in range(1, 11)]
    assert repr(schedule) == "PowerCool(steps=10, power=2)"
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert str(schedule_story(schedule)[-1]) == "factor = ((T - t + 1) / T) ** power"
    assert str(inspect.signature(PowerCool)) == "(steps, *, power=1.2)"
    assert Twice(10).at(10) == 2.0
    assert [*Twice.declared] == ["power", "scale"]


def test_a_form_is_one_of_several_functions():
    assert [Turned(4).at(t) for t in (1, 2, 3)] == [0.5, 1.0, 0.5]
    assert [Turned(4, way="down", part=4).at(t) for t in (1, 2, 3)] == [0.75, 0.5, 0.25]
    assert [str(line) for line in schedule_story(Turned(4, way="down"))] == [
        "gone = t / part",
        "factor = where(t <= part, 1 - gone, 0.5)",
    ]


def test_arrays_give_what_numbers_give():
    schedule = PowerCool(steps=8)
    t = np.arange(1.0, 9.0)
    expected = [schedule.at(step) for step in range(1, 9)]
    assert schedule.of(t).tolist() == pytest.approx(expected, rel=1e-15)
    assert schedule.of(torch.from_numpy(t)).tolist() == pytest.approx(expected, rel=1e-15)


def test_where_python_raises_the_answer_is_that_of_ieee_754():
    class Divided(Schedule):
        @staticmethod
        def factor(t, T):
            return where(t <= 1, 1, (T - t) / (t - 2))

    assert Divided(5).at(1) == 1.0
    assert Divided(5).at(3) == 2.0
    with pytest.raises(ValueError, match=r"Divided\(steps=5\): its factor at step 2 is inf; it must be finite"):
        Divided(5).at(2)


def test_a_factor_below_0_is_refused():
    class Under(Schedule):
        @staticmethod
        def factor(t):
            return 2.5 - t

    assert Under(9).at(2) == 0.5
    with pytest.raises(ValueError, match=r"its factor at step 3 is -0\.5; it must be finite and at least 0"):
        Under(9).at(3)


def refused(body):
    """What is said of a class that its function ``body`` defines, and the line at which it says so."""
    with pytest.raises(FormulaError) as caught:
        body()
    return str(caught.value)


def test_mistakes_are_found_when_the_class_is_defined():
    def loops():
        class Loops(Schedule):
            @staticmethod
            def factor(t, T):
                return math.cos(t / T)

    said = refused(loops)
    line = inspect.getsourcelines(loops)[1] + 4
    assert f"{__file__}:{line}: in " in said
    assert "write cos(...), with from thalweg.formula import cos" in said

    def unknown():
        class Unknown(Schedule):
            @staticmethod
            def factor(t, g):
                return t * g

    assert "it asks for 'g', which is none of: T, t" in refused(unknown)

    def selfish():
        class Selfish(Schedule):
            def factor(t, T):
                return t / T

    assert "Selfish.factor: put @staticmethod above it" in refused(selfish)

    def without():
        class Without(Schedule):
            power = Hyper(1.0)

    assert "has no factor: write def factor(t, T, ...)" in refused(without)

    def forgotten():
        class Forgotten(Schedule):
            power = Hyper(1.0)

            @staticmethod
            def factor(t, T):
                return t / T

    assert "Forgotten.power: factor does not ask for it, so it would do nothing" in refused(forgotten)

    def two():
        class Two(Schedule):
            @staticmethod
            def factor(t, T):
                return t, T

    assert "Two.factor returns one number, the factor" in refused(two)

    def dictionary():
        class Dictionary(Schedule):
            @staticmethod
            def factor(t, T):
                return {"factor": t / T}

    assert "Dictionary.factor returns the factor" in refused(dictionary)

    def states():
        class States(Schedule):
            m = State("m")

            @staticmethod
            def factor(t, T):
                return t / T

    assert "States.m: a schedule declares Hyper, Length and Form" in refused(states)

    def named():
        class Named(Schedule):
            at = Hyper(1.0)

            @staticmethod
            def factor(t, at):
                return t * at

    assert "Named.at: every schedule has something of this name" in refused(named)

    def outside():
        class Outside(Schedule):
            share = Length(1.5)

            @staticmethod
            def factor(t, share):
                return t / share

    assert "Outside.share: its default must be a whole number of steps, or a share" in refused(outside)

    def formless():
        class Formless(Schedule):
            way = Form("sideways", {"up": up})

            @staticmethod
            def factor(t, way):
                return way(t)

    assert "Formless.way: its default 'sideways' is none of up" in refused(formless)

    def uneven():
        class Uneven(Schedule):
            way = Form("up", {"up": up, "both": both})

            @staticmethod
            def factor(t, way):
                return way(t)

    assert "'way' takes 2 values, got 1" in refused(uneven)

    def uncalled():
        class Uncalled(Schedule):
            way = Form("up", {"up": up})

            @staticmethod
            def factor(t, way):
                return t * way

    assert "'way' is not a parameter, a variable assigned above, or a constant" in refused(uncalled)


def test_a_comparison_is_no_factor():
    class Compared(Schedule):
        @staticmethod
        def factor(t, T):
            return t < T

    with pytest.raises(FormulaError, match=r"factor returns a comparison; write where\(condition, x, y\)"):
        Compared(5)
