import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from explorer_runs import run

from thalweg.explore.norm_formulas import typeset
from thalweg.explore.normalising import batch_estimates, batches, normalise

TABLE = np.array([[0.4, 3.1, -2.5], [-0.6, 2.6, 1.0], [1.2, 3.6, -4.2], [0.1, 2.9, 0.3]])
TITLES = {"batch": "BatchNorm", "layer": "LayerNorm", "rms": "RMSNorm"}


@pytest.mark.parametrize("eps", [1e-8, 1e-5, 0.5])
@pytest.mark.parametrize("norm", TITLES)
def test_tables_are_normalised_as_torch_normalises_them(norm, eps):
    import torch

    layer = {"batch": torch.nn.BatchNorm1d, "layer": torch.nn.LayerNorm, "rms": torch.nn.RMSNorm}[norm]
    theirs = layer(3, eps=eps, dtype=torch.float64)(torch.from_numpy(TABLE)).detach().numpy()
    np.testing.assert_allclose(normalise(TABLE, norm, eps).z, theirs, rtol=1e-12)


def test_the_lines_are_features_for_batchnorm_and_examples_for_the_others():
    assert normalise(TABLE, "batch").mean == pytest.approx(TABLE.mean(0))
    assert normalise(TABLE, "layer").spread == pytest.approx(TABLE.var(1))
    assert (normalise(TABLE, "rms").mean == 0).all()
    assert normalise(TABLE, "rms").spread == pytest.approx((TABLE**2).mean(1))


def test_what_is_no_norm_and_no_table_is_refused():
    with pytest.raises(ValueError, match="no norm 'group'; there are batch, layer, rms"):
        normalise(TABLE, "group")
    with pytest.raises(ValueError, match=r"examples and features; got shape \(3,\)"):
        normalise(TABLE[0], "batch")


def test_estimates_are_those_of_the_batches_and_as_noisy_as_theory_says():
    mean, deviation = batch_estimates(16, 400, 3)
    drawn = batches(16, 400, 3)
    np.testing.assert_allclose(mean, drawn.mean(1), atol=1e-15)
    np.testing.assert_allclose(deviation, drawn.std(1), rtol=1e-12)
    assert mean.std() == pytest.approx(1 / 4, rel=0.1)
    assert deviation.mean() < 1, "a batch's own deviation is too small on average"


@pytest.mark.parametrize("norm", TITLES)
def test_formulas_are_typeset_and_rmsnorm_takes_no_mean(norm):
    lines = ElementTree.fromstring(f"<all>{typeset(norm)}</all>")
    letters = [each.text for each in lines.iter("mi")]
    assert ("μ" in letters, "β" in letters) == ((False, False) if norm == "rms" else (True, True))
    assert {"σ", "ε", "γ"} <= {*letters}


def test_the_figures_of_norms_are_made_without_torch():
    names = "norms", "sigmoid", "batchsize", "depth", "valley"
    program = f"import sys; from thalweg.explore.building import page; page(*{names}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


STATES = [
    {},
    {"norm": "layer", "cell": [4, 0], "eps": 0.3},
    {"norm": "rms", "cell": [2, 2], "x": [round(0.7 * i - 5, 2) for i in range(20)]},
    {"norm": "batch", "cell": [0, 9], "eps": 1e-8},
]


@pytest.mark.slow
def test_the_page_draws_what_the_layers_compute(visit):
    there = visit()
    start = [0.4, 3.1, -2.5, 6.2, -0.6, 2.6, 1.0, 7.4, 1.2, 3.6, -4.2, 5.1, 0.1, 2.9, 0.3, 8.3, -0.9, 3.4, -1.4, 4.6]
    for state in STATES:
        drawn, printed = there.draw("norms", state), run(there.python("norms", state))
        norm, (row, column) = state.get("norm", "batch"), state.get("cell", [1, 3])
        column = min(column, 3)
        after = np.array(printed[TITLES[norm]]).reshape(5, 4)
        line = after[:, column] if norm == "batch" else after[row]
        dots = next(mark for mark in drawn["panels"][2]["marks"] if mark["kind"] == "dots")
        np.testing.assert_allclose(dots["y"], line, rtol=1e-12)
        for name, _, mean, deviation, x, z in drawn["table"]["rows"]:
            assert z == pytest.approx(np.array(printed[name]).reshape(5, 4)[row, column], rel=1e-12)
            own = normalise(np.array(state.get("x", start)).reshape(5, 4), {v: k for k, v in TITLES.items()}[name])
            index = column if name == "BatchNorm" else row
            assert deviation == pytest.approx(own.spread[index] ** 0.5, rel=1e-12)
            assert mean == ("–" if name == "RMSNorm" else pytest.approx(own.mean[index], rel=1e-12))
            assert x == state.get("x", start)[4 * row + column]


@pytest.mark.slow
def test_a_value_moves_its_line_only(visit):
    there = visit()
    for norm, moved in [("batch", 5), ("layer", 4), ("rms", 4)]:
        start = there.draw("norms", {"norm": norm})
        x = [mark["text"] for mark in start["panels"][0]["marks"] if mark.get("dy") == 5]
        values = [float(text.replace("−", "-")) for text in x]
        values[6] += 2.0
        after = there.draw("norms", {"norm": norm, "x": values})["panels"][1]["marks"]
        changes = [mark for mark in after if mark["kind"] == "text" and mark["text"][0] in "▲▼"]
        assert len(changes) == moved
        assert len({mark["x" if norm == "batch" else "y"] for mark in changes}) == 1


@pytest.mark.slow
def test_keys_choose_a_value_and_change_it(visit):
    page = visit("#norms").page
    # Both before anything is drawn: the second goes on from the first.
    page.locator(".handle").first.evaluate(
        "handle => ['ArrowDown', 'ArrowLeft'].forEach(key => handle.dispatchEvent(new KeyboardEvent('keydown', {key})))"
    )
    page.wait_for_function("current => window.explorer.current.state.cell.join() === '2,2'")
    page.locator(".handle").nth(1).focus()
    page.keyboard.press("ArrowUp")
    page.wait_for_function("current => window.explorer.current.state.x[2] === -2.4")
    page.keyboard.press("Shift+ArrowDown")
    page.wait_for_function("current => window.explorer.current.state.x[2] === -2.9")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["norms"])
def test_programs_are_as_ruff_wants_them(visit, tmp_path, name):
    path = tmp_path / "program.py"
    path.write_text(visit().python(name), encoding="utf-8")
    for verb in (["format", "--check"], ["check"]):
        subprocess.run([sys.executable, "-m", "ruff", *verb, "--isolated", str(path)], check=True, capture_output=True)
