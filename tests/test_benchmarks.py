"""The tables of `make bench`: equal work on all sides, and a page that says what was measured."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import around
import matrices
import norm_cells
import norms
import small_steps
import steps
import thalweg
from cells import CATALOGUE, CELLS, RULES, Cell
from page import Circumstances, Result, page
from shapes import MODELS
from sides import Side, check, sides
from small_cells import SMALL_CELLS
from thalweg.rules import BY_WEIGHT
from thalweg.speed.measure import Timing

STEPS = Path(__file__).parents[1] / "benchmarks" / "steps.py"
AROUND = Circumstances("a CPU", 2, {"torch": "2.13"}, {}, "2026-11-24", 3, 1.0, 0)


def test_resnet18_is_the_model_everybody_means() -> None:
    assert MODELS["resnet18"].weights == 11_689_512
    assert len(MODELS["resnet18"].shapes) == 62


@pytest.mark.parametrize(
    ("rule", "chain"), [*((cell.rule, "step") for cell in CATALOGUE.values()), ("adamw", "clip"), ("adamw", "full")]
)
def test_all_sides_do_the_same_work(rule: str, chain: str) -> None:
    found = sides(Cell(rule, "mlp", chain))
    assert any(name.startswith("torch ") for name in found) or rule not in RULES
    check(found, cleared=chain == "full")


def test_a_side_that_leaves_something_out_is_noticed() -> None:
    found = sides(Cell("adamw", "mlp", "step"))
    loop = found["torch loop"]
    lazy = Side(loop.params, loop.refill, torch.optim.AdamW(loop.params, weight_decay=0.0).step)
    with pytest.raises(RuntimeError, match="lazy and thalweg take different steps"):
        check({"thalweg": found["thalweg"], "lazy": lazy}, cleared=False)


def test_a_side_that_does_not_clear_is_noticed() -> None:
    found = sides(Cell("adamw", "mlp", "clip"))
    with pytest.raises(RuntimeError, match="thalweg left gradients that are not 0"):
        check(found, cleared=True)


def test_every_rule_and_every_model_is_measured() -> None:
    assert {cell.rule for cell in CELLS.values()} == {*RULES}
    assert {cell.rule.partition("+")[0] for cell in CATALOGUE.values()} == {*BY_WEIGHT}
    assert {(cell.model_key, cell.chain) for cell in CELLS.values() if cell.rule == "adamw"} == {
        (model, chain) for model in MODELS for chain in ("step", "clip", "full")
    }


def large(others: float = 0.0, faster: float = 2.0) -> Result:
    """AdamW on 25 million weights: 25 ms each round, torch's best ``faster`` times as long, memory at 70 GB/s."""
    seconds = {
        "thalweg": (0.025, 0.025, 0.025),
        "torch fused": (0.025 * faster,) * 3,
        "torch loop": (0.3, 0.3, 0.3),
        "sum(w)": (0.01, 0.01, 0.01),
        "w *= 1": (0.01, 0.01, 0.01),
    }
    plain = {"sum(w)": 500_000_000, "w *= 1": 700_000_000}
    return Result("default", CELLS["adamw/25m/step"], Timing(seconds, others), plain)


def row(text: str) -> list[str]:
    return [cell.strip() for cell in next(x for x in text.splitlines() if x.startswith("| AdamW")).split("|")[1:-1]]


def test_a_row_of_the_page() -> None:
    text = page([large()], AROUND, {"default": "", "warm": ""})
    # 28 bytes times 25 million at 70 GB/s, the best of the plain passes, are 10 ms.
    expected = ["25", "300", "50", "fused", "2.00", "2.00 to 2.00", "10", "40%"]
    assert row(text) == ["AdamW", "one tensor of 25M", *expected]
    assert "Of 1 lines, thalweg is faster than the best of torch in 1, slower in 0, level in 0" in text
    assert "Warm" not in text
    assert "Stopped early" not in text


def test_no_step_is_faster_than_its_floor() -> None:
    result = large()
    quick = Timing({**result.timing.seconds, "thalweg": (0.008, 0.006, 0.008)}, 0.0)
    assert row(page([Result("default", result.cell, quick, result.plain)], AROUND, {"default": ""}))[8:] == ["6", "75%"]


def test_losing_and_void_lines_are_shown_as_such() -> None:
    slower = page([large(faster=0.5)], AROUND, {"default": ""})
    assert row(slower)[6] == "0.50"
    assert "faster than the best of torch in 0, slower in 1, level in 0" in slower
    void = page([large(others=0.2)], AROUND, {"default": ""})
    assert row(void)[6:] == ["void", "", "", ""]
    assert "level in 0 (1 lies between the quartiles); 1 are void" in void


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(STEPS), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ},
    )  # fmt: skip


@pytest.mark.slow
def test_a_quick_part(tmp_path: Path) -> None:
    running = start("--quick", "--only", "sgd/mlp", "--page", str(tmp_path / "page.md"))
    _, progress = running.communicate(timeout=120)
    assert running.returncode == 0, progress
    assert "2 of 2  warm    sgd/mlp/step" in progress
    text = (tmp_path / "page.md").read_text()
    assert text.count("| SGD | MLP") == 2
    assert "## Warm allocator" in text


@pytest.mark.slow
def test_ctrl_c_writes_what_there_is(tmp_path: Path) -> None:
    running = start("--quick", "--only", "mlp", "--only", "500x64", "--page", str(tmp_path / "page.md"))
    assert running.stderr is not None
    next(line for line in running.stderr if " 1 of " in line)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=120)
    assert running.returncode == 130
    text = (tmp_path / "page.md").read_text()
    assert "**Stopped early**" in text
    assert "| AdamW | 500 tensors of 64 |" in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only", "resnet50"], "no line's name has resnet50 in it; there are adamw/500x64/step"),
        (["--rounds", "1"], "must be a whole number of at least 2, not 1"),
        (["--page", "nowhere/page.md"], "nowhere is no folder"),
    ],
)
def test_mistakes(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = steps.main(arguments)
    except SystemExit as end:  # argparse's own
        code = end.code
    assert code == 2
    assert sentence in capsys.readouterr().err


def test_a_small_step_and_what_is_asked_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert small_steps.main(["--only", "nothing"]) == 2
    assert "no line's name has nothing in it; there are 6x1/sgd" in capsys.readouterr().err
    timing = Timing({"thalweg": (4e-6,) * 3, "torch fused": (20e-6,) * 3}, 0.0)
    row = small_steps.Result(SMALL_CELLS["6x1/sgd"], timing).row
    assert row[2:6] == ["4", "20", "5.00", "5.00 to 5.00"]
    assert row[6] == "at most 10 us: met with 4; the aim of 8 met"


@pytest.mark.slow
def test_small_steps_quickly(capsys: pytest.CaptureFixture[str]) -> None:
    """Both sides are held to the same weights before they are timed."""
    assert small_steps.main(["--quick", "--only", "moved/state"]) == 0
    assert capsys.readouterr().out.count("| 1 of 500 moved") == 1


# What the passes of a line read and write, float32: w g m v read and w m v written are 28.
BYTES = {"laprop": 28, "grams": 28, "cautious-decay": 28, "hyperball": 44, "readout": 36}


def test_what_goes_around_a_rule_is_timed_beside_one_that_starts_alike() -> None:
    for name, moved in BYTES.items():
        found = around.timed(around.AROUND[name], [(20, 5), (7,)], rounds=2, attempts=1)
        assert found.bytes == (moved, {"adamw": 28, "lamb": 44}[found.line.beside])
        assert {*found.timing.seconds} == {"rule", "beside"}
    rule, beside = (around.side_of(make, [(20, 5)])[0] for make in (around.AROUND["grams"].made, thalweg.LAMB))
    assert torch.equal(rule.params[0], beside.params[0])
    before = rule.params[0].detach().clone()
    for each in (rule, beside):
        each.refill()
        each.call()
    assert torch.equal(rule.params[0].grad, beside.params[0].grad)
    assert not torch.equal(rule.params[0], before)


def test_rules_of_matrices_are_timed_beside_two_optimizers(monkeypatch: pytest.MonkeyPatch) -> None:
    """On two layers of width 8: five steps of five products for each matrix, of which the plain form's are counted."""
    shapes = [(11, 8), (5, 8), (8, 8), (8, 16), (8,)]
    monkeypatch.setattr(matrices, "gpt2_like", lambda: shapes)
    line = next(line for line in matrices._ALL if line.name == "muon-as-torch")
    found = matrices.timed(line, rounds=2, attempts=1)
    assert {*found.timing.seconds} == {"ours", "theirs", "rate"}
    # x x', y y and y x of each: twice 8 * 8 * n, 8 * 8 * 8 and 8 * 8 * n.
    assert found.operations == sum(5 * 2 * 8 * 8 * (n + 8 + n) for n in (8, 16))
    other = next(line for line in matrices._ALL if line.name == "adafactor")
    assert matrices.timed(other, rounds=2, attempts=1).operations == 0
    text = matrices.page([found], 2, 3, 4)
    assert "torch.optim.Muon + fused AdamW" in text
    assert "**Stopped early**: 4 lines" in text
    assert matrices.main(["--only", "nothing"]) == 2


def test_the_page_of_what_goes_around_a_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert around.main(["--only", "nothing"]) == 2
    assert "no line's name has nothing in it; there are cautious-decay, readout" in capsys.readouterr().err
    timing = Timing({"rule": (0.018, 0.012, 0.012), "beside": (0.012, 0.008, 0.012)}, 0.0)
    text = around.page([around.Result(around.AROUND["readout"], timing, (36, 28))], 2, 3, 4)
    # The rounds' ratios are 1.5, 1.5 and 1: their quartiles 1 and 1.5.
    row = "| AdamW, one average to read out | AdamW | 12 | 12 | 36 | 28 | 1.29 | 1.50 | 1.00 to 1.50 |"
    assert row in text
    assert "**Stopped early**: 4 lines" in text
    void = around.Result(around.AROUND["readout"], Timing(timing.seconds, 0.2), (36, 28)).row
    assert void[-2:] == ["void", ""]


@pytest.mark.parametrize("layer", [*norm_cells.MODELS, "RMSNorm", "x + residual, LayerNorm", "BatchNorm2d"])
def test_both_sides_of_a_layer_do_the_same_work(layer: str) -> None:
    cell = next(cell for cell in norm_cells.CELLS.values() if cell.layer == layer)
    ours, torchs = (
        torch.cat([x.detach().flatten() for x in (found if isinstance(found, tuple) else (found,))])
        for found in (call() for call in norm_cells.sides(cell).values())
    )
    assert (ours - torchs).norm() < 1e-5 * torchs.norm()


def test_the_layers_page() -> None:
    cell = norm_cells.CELLS["RMSNorm/8192x1024/contiguous/forward"]
    timing = Timing({"thalweg": (0.01,) * 3, "torch": (0.05,) * 3, "w *= 1": (0.01,) * 3}, 0.0)
    text = norms.page([norms.Result("default", cell, timing, {"w *= 1": 670_000_000})], 2, 3, 1)
    assert "| RMSNorm | 8192x1024 | contiguous | 10 | 50 | 5.00 | 5.00 to 5.00 | 1 | 10% |" in text
    assert "**Stopped early**: 1 lines" in text
