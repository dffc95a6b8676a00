"""What `thalweg show` says of schedules."""

import pytest

from thalweg.cli import main
from thalweg.formula.text import schedule_story
from thalweg.formula.typeset import latex_lines, mathml_lines
from thalweg.schedules import CATALOGUE, SHAPES, WSD


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 0
    return capsys.readouterr().out


def test_all_of_them_in_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "116")
    shown = said(capsys, "show", "schedules")
    for name, schedule in CATALOGUE.items():
        assert f"\n{name} " in shown
        assert f" {schedule.__name__} " in shown
    assert "thalweg show schedules" in said(capsys, "rules")


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_shows_its_formula_numbers_and_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    schedule = CATALOGUE[name]
    shown = said(capsys, "show", f"schedules.{schedule.__name__}")
    assert shown == said(capsys, "show", name) == said(capsys, "show", f"{name}-by-step")
    assert "The factor at step t of T" in shown
    assert f"class {schedule.__name__}(Schedule):" in shown
    for number in schedule.declared:
        assert f"\n{number} " in shown
    if name != "constant":
        assert "arXiv" in shown or "torch" in shown


def test_each_shape_has_its_formula(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = said(capsys, "show", "wsd")
    assert all(f"  shape={shape}\n" in shown for shape in SHAPES)
    written = ("x = max(t − (T − cooldown), 0) / (cooldown + 1)", "down = last + (1 − last)·(1 − √x)", "down = last^x")
    assert all(line in shown for line in written)
    assert shown.count("factor = up·down") == len(SHAPES)


def test_the_formulas_may_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "show", "schedules.WSD", "--latex").strip() == latex_lines(schedule_story(WSD))
    assert said(capsys, "show", "schedules.WSD", "--mathml").strip() == mathml_lines(schedule_story(WSD))
    assert said(capsys, "show", "warm-up", "--latex").splitlines() == [
        r"\begin{aligned}",
        r"\mathrm{factor} & = \begin{cases} \mathrm{first} + \frac{(1 - \mathrm{first}) t}{\mathrm{warmup}} & "
        r"\text{if } t \le \mathrm{warmup} \\ 1 & \text{otherwise} \end{cases}",
        r"\end{aligned}",
    ]
