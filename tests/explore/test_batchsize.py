import subprocess
import sys

import numpy as np
import pytest
from explorer_runs import run

from thalweg.explore.normalising import batch_estimates

pytestmark = pytest.mark.slow

STATES = [{}, {"n": 1}, {"n": 2, "value": -2.0}, {"n": 64, "seed": 7}, {"n": 11, "value": 0.3, "seed": 40}]


def dots_at(panel, n):
    return next(mark["y"] for mark in panel["marks"] if mark["kind"] == "dots" and mark["x"][0] == n)


def test_the_page_draws_what_the_layers_compute(visit):
    there = visit()
    for state in STATES:
        drawn, printed = there.draw("batchsize", state), run(there.python("batchsize", state))
        marks = drawn["panels"][2]["marks"]
        z = next(mark["y"] for mark in marks if mark["kind"] == "dots")
        np.testing.assert_allclose(z, printed["BatchNorm"], rtol=1e-10, atol=1e-13)
        lines = [mark["y"][0] for mark in marks if mark["kind"] == "line"][1:]
        np.testing.assert_allclose(lines, [printed["LayerNorm"][0], printed["RMSNorm"][0]], rtol=1e-12)


def test_estimates_are_those_of_the_library_at_every_size(visit):
    mean, deviation, _ = visit().draw("batchsize", {"n": 5, "seed": 3})["panels"]
    for n in (1, 2, 4, 5, 8, 16, 32, 64):
        expected = batch_estimates(n, 40, 3)
        np.testing.assert_allclose(dots_at(mean, n), expected[0], rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(dots_at(deviation, n), expected[1], rtol=1e-10, atol=1e-14)


def test_one_example_gives_0_and_two_give_plus_and_minus_1(visit):
    there = visit()
    one, two = (there.draw("batchsize", {"n": n})["panels"][2]["marks"] for n in (1, 2))
    assert set(next(mark["y"] for mark in one if mark["kind"] == "dots")) == {0}
    # One pair in 40 may be so close that eps counts.
    near = np.abs(next(mark["y"] for mark in two if mark["kind"] == "dots"))
    assert np.median(near) == pytest.approx(1, abs=1e-3)
    assert (near <= 1).all()


def test_words_at_the_lines_ends_do_not_meet(visit):
    there = visit()
    for state in STATES:
        texts = [mark["y"] for mark in there.draw("batchsize", state)["panels"][2]["marks"] if mark["kind"] == "text"]
        assert len(texts) == 4
        assert np.diff(sorted(texts)).min() > 0.549


def test_programs_are_as_ruff_wants_them(visit, tmp_path):
    path, there = tmp_path / "program.py", visit()
    for state in STATES[:2]:
        path.write_text(there.python("batchsize", state), encoding="utf-8")
        for verb in (["format", "--check"], ["check"]):
            subprocess.run([sys.executable, "-m", "ruff", *verb, "--isolated", str(path)], check=True)
