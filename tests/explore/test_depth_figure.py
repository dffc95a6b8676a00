import json
import subprocess
import sys

import numpy as np
import pytest
from explorer_runs import run

from thalweg.explore.depth import DEPTHS, STORED, gradient_norms, measured, stored
from thalweg.nn.transformer import PLACES


def test_what_is_stored_is_complete_and_holds_what_the_figure_says():
    found = stored()
    assert tuple(found) == PLACES
    for norms in found.values():
        assert [len(norms[str(layers)]) for layers in DEPTHS] == list(DEPTHS)
    for layers in DEPTHS:
        assert np.argmax(found["post"][str(layers)]) >= 0.75 * layers
        for norm in ("pre", "sandwich"):
            assert found[norm][str(layers)][-1] < found[norm][str(layers)][0] / 1.2
    assert [round(found["post"][str(n)][-1] / found["pre"][str(n)][-1]) for n in DEPTHS] == [2, 4, 5]


def test_the_gradient_norms_are_those_of_all_parameters_of_a_block(monkeypatch):
    monkeypatch.setattr("thalweg.explore.depth.LENGTH", 4)
    monkeypatch.setattr("thalweg.explore.depth.EXAMPLES", 2)
    first, again, other = (gradient_norms("pre", 2, seed) for seed in (0, 0, 1))
    assert first.shape == (2,)
    assert (first == again).all()
    assert (first != other).all()
    assert (first > 0).all()


@pytest.mark.slow
def test_a_new_measurement_of_one_depth_gives_what_is_stored():
    np.testing.assert_allclose(measured("post", 6), stored()["post"]["6"], rtol=1e-4)


@pytest.mark.slow
def test_the_page_draws_what_is_stored(visit):
    there = visit()
    for layers in DEPTHS:
        drawn = there.draw("depth", {"layers": str(layers), "block": 3})
        lines = [mark for mark in drawn["panels"][0]["marks"] if mark["kind"] == "line"]
        for line, norm in zip(lines, PLACES, strict=True):
            assert line["y"] == stored()[norm][str(layers)]
            assert line["x"] == list(range(1, layers + 1))
        assert [row[2] for row in drawn["table"]["rows"]] == [stored()[norm][str(layers)][2] for norm in PLACES]


@pytest.mark.slow
def test_the_boxes_stand_as_in_the_library(visit):
    pre, post, sandwich = visit().draw("depth")["panels"][1]["alt"].split(". ")
    assert pre == "pre: norm, attention, +, norm, feed-forward, +"
    assert post == "post: attention, +, norm, feed-forward, +, norm"
    assert sandwich == "sandwich: norm, attention, norm, +, norm, feed-forward, norm, +"


@pytest.mark.slow
def test_the_program_measures_and_is_as_ruff_wants_it(visit, tmp_path, monkeypatch):
    program = visit().python("depth", {"layers": "12"})
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    for verb in (["format", "--check"], ["check"]):
        subprocess.run([sys.executable, "-m", "ruff", *verb, "--isolated", str(path)], check=True)
    # The measurement itself is compared above; here only what is asked of it.
    stored_norms = json.loads(STORED.read_text(encoding="utf-8"))
    monkeypatch.setattr(
        "thalweg.explore.depth.measured", lambda norm, layers: np.array(stored_norms[norm][str(layers)])
    )
    assert run(program) == {norm: norms["12"] for norm, norms in stored_norms.items()}
