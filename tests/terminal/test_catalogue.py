"""What `thalweg rules` and `thalweg show` say, and that the documentation says the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from thalweg.cli import main
from thalweg.formula import like, wrapped
from thalweg.formula.text import usual_story
from thalweg.formula.typeset import latex_of, mathml_of
from thalweg.rules import CATALOGUE, left_to_torch
from thalweg.terminal.catalogue import documented, formulas
from thalweg.wrappers import WRAPPERS

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def test_the_page_has_the_table() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "thalweg", "rules"],
        env={**os.environ, "COLUMNS": "116"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    table = "\n".join(line.rstrip() for line in done.stdout.partition("\nState:")[0].rstrip().splitlines())
    assert f"```\n{table}\n```" in PAGE.read_text(encoding="utf-8"), f"put this into docs/rules.md:\n{table}"
    for name in (*CATALOGUE, *WRAPPERS):
        assert f" {name} " in f" {table.replace(chr(10), ' ')} "


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_rule_shows_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    rule = CATALOGUE[name]
    assert main(["show", name]) == 0
    said = capsys.readouterr().out
    summary, sections = documented(rule)
    assert len(summary) <= 86
    assert {"Source", "Departs"} <= {*sections} <= {"Source", "Departs", "Search"}
    for expected in (
        rule.__name__,
        str(rule.year),
        rule.family,
        "Source",
        "Departs",
        "The step",
        "searched by compare",
    ):
        assert expected in said
    assert f"class {rule.__name__}(" in said
    for convention in rule.conventions:
        assert f"\n{convention} " in said


def test_formulas_are_those_of_the_step() -> None:
    assert [*formulas(CATALOGUE["momentum"])] == [
        "  for every weight",
        "    g = g + weight_decay * w",
        "    v <- momentum * v + (1 - momentum) * g",
        "    d = lr * v",
        "    w <- w - d",
    ]
    assert "    v <- momentum * v + g" in [*formulas(like(CATALOGUE["momentum"], "tf1"))]
    assert "    w <- w - (d + lr / first_lr * weight_decay * w)" in [*formulas(like(CATALOGUE["adamw"], "paper"))]
    told = [*formulas(CATALOGUE["lamb"])]
    assert told.count("  for every weight") == 2
    assert "    of_w = sum(w * w)  # of each parameter" in told
    assert "  kept for the next step" in [*formulas(CATALOGUE["prodigy"])]


def test_show_sets_the_formulas_where_the_terminal_can(capsys: pytest.CaptureFixture[str]) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "thalweg", "show", "adamw"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"}, capture_output=True, check=True,
    ).stdout.decode("latin-1")  # fmt: skip
    assert "\n    m <- beta1 * m + (1 - beta1) * g\n" in shown
    assert main(["show", "adamw"]) == 0
    said = capsys.readouterr().out
    assert "\n    m ← β₁·m + (1 − β₁)·g\n" in said
    assert "\n  η is lr, ε is eps, λ is weight_decay\n" in said


def test_show_prints_formulas_to_paste(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "lion", "--latex"]) == 0
    assert capsys.readouterr().out == latex_of(usual_story(CATALOGUE["lion"])) + "\n"
    assert main(["show", "momentum+cautious:like=tf1", "--mathml"]) == 0
    rule = like(wrapped(CATALOGUE["momentum"], WRAPPERS["cautious"]), "tf1")
    assert capsys.readouterr().out == mathml_of(usual_story(rule)) + "\n"
    assert main(["show", "lion", "--mathml", "--latex"]) == 2
    assert "give one of them" in capsys.readouterr().err


def test_a_wrapped_rule_names_both_sources() -> None:
    _, sections = documented(wrapped(CATALOGUE["adamw"], WRAPPERS["lookahead"]))
    assert "1711.05101" in sections["Source"]
    assert "1907.08610" in sections["Source"]


@pytest.mark.parametrize("name", ["ASGD", "lbfgs", "SparseAdam"])
def test_left_to_torch(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = left_to_torch(name)
    assert said is not None
    assert main(["show", name]) == 2
    assert main(["compare", "digits-mlp", "-r", name]) == 2
    assert "".join(capsys.readouterr().err.split()).count("".join(said.split())) == 2
    assert left_to_torch("adam") is None


def test_show_of_what_is_made_from_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "momentum+lookahead:like=tf1"]) == 0
    said = capsys.readouterr().out
    assert "LookaheadMomentum" in said
    assert "slow ← slow + slow_step·(w − d − slow) if back > 0, otherwise slow" in said
    assert main(["show", "adamw+lokahead"]) == 2
    assert "did you mean lookahead?" in capsys.readouterr().err
