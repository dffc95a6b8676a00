"""Every rule against an implementation that this project did not write: the table is in sources.py."""

import math
from pathlib import Path

import pytest
from drift import STEPS, drift, row
from sources import SOURCES, Pair, Source

from thalweg.rules import BY_WEIGHT
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


def test_every_rule_has_a_source() -> None:
    """Rules of matrices have theirs in test_matrix_rules.py, written out."""
    assert {name for source in SOURCES for name in source.rule.split("+")} == {*BY_WEIGHT, *WRAPPERS}


def test_every_convention_has_a_source() -> None:
    declared = {(name, convention) for name, rule in BY_WEIGHT.items() for convention in rule.conventions}
    compared = {(source.rule, ours.get("like")) for source in SOURCES for ours, _ in source.pairs}
    assert declared <= compared


def test_the_page_has_every_row() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
    assert [line for source in SOURCES if (line := row(source)) not in page] == []
    assert page.count("\n| `") == len(SOURCES), "the page has rows of sources that are gone"
