"""The command that makes a comparison again asks for the same study."""

import shlex
from dataclasses import replace

import pytest

from thalweg.cli import app
from thalweg.cli.asking import asked_for
from thalweg.study.ask.spec import resolve, study
from thalweg.view import commands


def asks_for(command):
    """The study that a command asks for."""
    _, bound, _ = app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)
    given = dict(bound.arguments)
    return asked_for(given.pop("task"), given)


@pytest.mark.parametrize(
    ("settings", "budget"),
    [
        ({}, None),
        ({"trials": 9}, None),
        ({"trials": 3}, None),
        ({"trials": 9, "budget": 2}, 2),
        ({"trials": 17, "budget": 8}, 8),
        ({"trials": 20, "budget": 5}, None),
        ({"trials": 65, "budget": 25, "seeds": 3, "study_seed": 4}, 25),
        ({"trials": 20, "minutes": 2.5}, None),
    ],
)
def test_it_plans_the_same(settings, budget):
    plan = resolve(study("quadratic-deep", ["sgd", "adam"], **settings))
    asked = asks_for(commands.again([plan], None))
    assert asked.budget == budget
    assert resolve(asked) == plan


def test_a_budget_that_its_store_keeps_is_not_asked_for():
    """With too few trials for it, or in design 1, which may have several: neither can be written."""
    plan = resolve(study("quadratic-deep", ["sgd"], trials=3))
    for kept in (replace(plan, budgets=(2,)), replace(plan, design=1, budgets=(5, 8))):
        assert "--budget" not in commands.again([kept], None)
