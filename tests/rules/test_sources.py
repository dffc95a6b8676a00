"""Every rule against an implementation that this project did not write: the table is in sources.py."""

import copy
import importlib
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from drift import STEPS, drift, row
from sources import SOURCES, Pair, Source

import thalweg
from thalweg.formula.rule import of_matrices
from thalweg.rules import CATALOGUE
from thalweg.testing.cases import gradients, run, weights
from thalweg.testing.judging import close
from thalweg.wrappers import WRAPPERS

CASES = [
    pytest.param(source, pair, id=f"{source} {number}")
    for source in SOURCES
    for number, pair in enumerate(source.pairs)
]


@pytest.mark.parametrize(("source", "pair"), CASES)
def test_agrees_with_its_source(source: Source, pair: Pair) -> None:
    """The same weights after every step, with a schedule, spikes, and gradients of 0."""
    errors = list(drift(source, pair))
    assert len(errors) == STEPS
    step, worst = max(enumerate(errors, start=1), key=lambda found: math.inf if math.isnan(found[1]) else found[1])
    assert worst <= source.tolerance, f"{source}: off by {worst:.2e} at step {step}, first {errors[0]:.2e}"


@pytest.mark.parametrize("given", [{}, {"warmup_init": True}, {"beta1": 0.9, "weight_decay": 0.1}], ids=str)
def test_relative_steps_are_those_of_transformers(given: dict[str, Any]) -> None:
    """Without a learning rate, as it is made there; with one it stands in the table."""
    theirs_by = importlib.import_module("transformers.optimization").Adafactor
    shapes = ((6, 5), (7,), (2, 3, 5), (4, 2, 3, 3), (1, 9), (9, 1), ())
    params, others = weights(torch.float64, shapes), weights(torch.float64, shapes)
    made, theirs = thalweg.Adafactor(params, like="transformers", **given), theirs_by(others, **given)
    for drawn in gradients(20, shapes, spikes=True):
        run(made, [drawn])
        run(theirs, [drawn])
        close(params, others, 1e-12, f"transformers' Adafactor with {given}")
    moved = [p for p, start in zip(params, weights(torch.float64, shapes), strict=True) if not torch.equal(p, start)]
    assert len(moved) == len(shapes)


@pytest.mark.parametrize(
    "given",
    [
        {}, {"warmup_init": True}, {"beta1": 0.9, "weight_decay": 0.1, "decay_rate": -0.7, "clip_threshold": 0.5},
        {"lr": 1e-2, "relative_step": False}, {"lr": 1e-2, "relative_step": False, "scale_parameter": False},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("like", ["transformers", "torch"])
def test_a_checkpoint_of_transformers_adafactor_goes_on(given: dict[str, Any], like: str) -> None:
    """Beside transformers' own class, whatever form the optimizer here was made with."""
    theirs_by = importlib.import_module("transformers.optimization").Adafactor
    shapes = ((6, 5), (7,), (2, 3, 5), (4, 2, 3, 3), (1, 9), (9, 1), ())
    drawn = gradients(12, shapes, spikes=True)
    others = weights(torch.float64, shapes)
    theirs = theirs_by(others, **given)
    run(theirs, drawn[:5])
    if theirs.param_groups[0]["relative_step"]:
        theirs.param_groups[0]["lr"] = 0.0  # as transformers' AdafactorSchedule leaves it
    params = [p.detach().clone().requires_grad_() for p in others]
    made = thalweg.Adafactor(params, like=like, lr=0.5)
    made.load_state_dict(copy.deepcopy(theirs.state_dict()))
    for each in drawn[5:]:
        run(made, [each])
        run(theirs, [each])
        close(params, others, 1e-12, f"transformers' Adafactor with {given}")
    assert {key for kept in made.state.values() for key in kept} <= {
        "step", "row_var", "col_var", "variance", "exp_avg",
    }  # fmt: skip
    assert not {"decay_rate"} & made.param_groups[0].keys()


def test_every_rule_has_a_source() -> None:
    """Rules of matrices have theirs in test_matrix_rules.py, written out."""
    others = [name for name, rule in CATALOGUE.items() if not of_matrices(rule)]
    assert {name for source in SOURCES for name in source.rule.split("+")} == {*others, *WRAPPERS}


def test_every_convention_has_a_source() -> None:
    declared = {(name, each) for name, rule in CATALOGUE.items() if not of_matrices(rule) for each in rule.conventions}
    compared = {(source.rule, ours.get("like")) for source in SOURCES for ours, _ in source.pairs}
    assert declared <= compared


def test_the_page_has_every_row() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
    assert [line for source in SOURCES if (line := row(source)) not in page] == []
    assert page.count("\n| `") == len(SOURCES), "the page has rows of sources that are gone"
