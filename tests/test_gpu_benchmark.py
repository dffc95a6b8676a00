"""`make bench-gpu` without a GPU: its logic on the CPU's tensors, its figures by hand, its page, its refusal."""

import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import gpu
from gpu_cells import GPU_CELLS, GPU_MODELS, GRAPH, OWN_GRAPH, WAYS, Way, fitting, gpu_sides
from gpu_checks import CHECKS, Check, compared, different, ulps
from gpu_clock import Card, clocked, copying
from gpu_page import NOT_REACHED, Around, page
from gpu_worker import FAULT, main
from thalweg.optim import PlainOperationsWarning
from thalweg.rules import BY_WEIGHT
from thalweg.speed.cases import Step

AROUND = Around("a card", "570.1", "a CPU", {"torch": "2.13", "triton": "3.7"}, "2026-11-30", 3.5)
ALIKE = {"weights": 0, "states": 0, "of_weights": 6_481, "of_states": 12_966, "ulp": 0.0, "skipped": [0, 0]}


class Mark:
    """A point in time of the CPU, which has always done what it was given."""

    def record(self) -> None:
        self.at = time.perf_counter()

    def elapsed_time(self, end: Any, /) -> float:
        return 1e3 * float(end.at - self.at)


def nothing() -> None:
    pass


def again(call: Step) -> Step:
    call()
    return call


def card(recorded: Any = again, wait: Step = nothing) -> Card:
    return Card(torch.device("cpu"), wait, Mark, lambda seconds: None, recorded, again, lambda: 1_000_000)


def refused(call: Step) -> Step:
    raise RuntimeError("CUDA error: not permitted\nand more")


# -- checks


def test_every_rule_that_kernels_serve_alone_is_checked() -> None:
    served = {*BY_WEIGHT, "adafactor", "came"}
    assert {name.partition("/")[0] for name in CHECKS if name.endswith("/plain")} == served
    assert {name.partition("/")[0] for name in CHECKS if name.endswith("/chain")} == served
    assert [CHECKS[name].exact for name in ("adamw/plain", "lamb/plain", "adamw/chain", "adamw/skip")] == [
        True, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["adamw/plain", "lamb/chain", "adamw/skip, clip", "adamw/scaler", "prodigy/plain", "adamw/graph, skip, clip"],
)
def test_one_device_is_like_itself(name: str) -> None:
    found = compared(CHECKS[name], card(lambda step: step))
    left = int(CHECKS[name].spoiled or "graph, skip" in name)
    assert (found["weights"], found["states"], found["ulp"], found["skipped"]) == (0, 0, 0.0, (left, left))
    assert found["of_weights"] == 1 + 1_000 + 70 * 64 + 33 * 272 + 300 * 3 + 8 * 4 * 9 + 1_000


def test_what_no_kernel_serves_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thalweg.optim.reading.available", lambda: False)
    with pytest.warns(PlainOperationsWarning), pytest.raises(RuntimeError, match="not served"):
        compared(Check("sgd"), card())


def test_different_bits() -> None:
    one = torch.tensor([1.0, math.nan, 0.0, math.inf])
    assert different(one, one.clone()) == 0
    assert different(one, torch.tensor([1.0, -math.nan, -0.0, math.inf])) == 1
    assert different(one, torch.tensor([1.0, 1.0, 0.0, 1.0])) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_differences_in_ulp(dtype: torch.dtype) -> None:
    eps, tiny = torch.finfo(dtype).eps, torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
    one = torch.tensor([1.0, -1.0, tiny, 0.0], dtype=dtype)
    assert ulps(one, one) == 0
    assert ulps(one, torch.tensor([1.0 + 3 * eps, -1.0, tiny, -0.0], dtype=dtype)) == 3
    assert ulps(one, torch.tensor([1.0, -1.0 - 2 * eps, tiny, 0.0], dtype=dtype)) == 2
    assert ulps(one, torch.tensor([1.0, -1.0, -tiny, 0.0], dtype=dtype)) == 2
    assert ulps(one, torch.tensor([math.nan, -1.0, tiny, 0.0], dtype=dtype)) == math.inf


# -- measurements


def test_gpt2_has_the_published_size() -> None:
    assert GPU_MODELS["gpt2-124m"].weights == 124_439_808  # the sizes that OpenAI's checkpoint of it has


@pytest.mark.parametrize("way", WAYS)
def test_all_sides_take_the_same_steps(way: str) -> None:
    found, failed, _ = gpu_sides(WAYS[way], [(30, 4), (7,)], card())
    assert not failed
    assert "thalweg" in found
    assert (GRAPH in found) == (WAYS[way].recorded is not None)
    times = clocked(card(), found, rounds=3, seconds=60)
    assert all(len(of) == 3 and min(of) > 0 for timing in (times.host, times.device) for of in timing.seconds.values())
    assert times.host.seconds.keys() == times.device.seconds.keys() == found.keys()


def test_a_side_that_does_less_is_noticed() -> None:
    lazy = Way("AdamW", WAYS["adamw"].ours, {"lazy": lambda params: torch.optim.AdamW(params, weight_decay=0.0).step})
    with pytest.raises(RuntimeError, match="lazy and thalweg take different steps"):
        gpu_sides(lazy, [(30, 4)], card())


def test_a_graph_that_cannot_be_recorded_is_said() -> None:
    found, failed, _ = gpu_sides(WAYS["adamw"], [(30, 4)], card(recorded=refused))
    assert [*found] == ["thalweg", "foreach", "fused"]
    assert failed == dict.fromkeys((OWN_GRAPH, GRAPH), "CUDA error: not permitted")


def test_gradients_are_elsewhere_each_time() -> None:
    found, _, _ = gpu_sides(WAYS["adamw"], [(30, 4)], card())
    side, where = found["thalweg"], list[int]()
    for _ in range(3):
        side.refill()
        grad = side.params[0].grad
        assert grad is not None
        where.append(grad.data_ptr())
    assert where[0] == where[2] != where[1]


def test_a_tensor_that_is_too_large_is_smaller() -> None:
    assert fitting([(500,)], free=170 * 500) == [(500,)]
    assert fitting([(500,)], free=170 * 80) == [(80,)]
    assert fitting([(500,), (500,)], free=1) == [(500,), (500,)]


def test_time_ends_rounds() -> None:
    found, _, _ = gpu_sides(WAYS["lamb"], [(5,)], card())
    assert len(clocked(card(), found, rounds=50, seconds=0.0).host.seconds["thalweg"]) == 3
    assert copying(card(), most=4_000) > 0


# -- the process


def test_a_process_says_each_case_and_goes_on(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setitem(CHECKS, "sgd/plain", Check("sgd", {"no": 1}))
    assert main("checks", 60.0, ["sgd/plain", "adam/plain"], card()) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith('{"case": "sgd/plain", "error": "TypeError: ')
    assert second.startswith('{"case": "adam/plain", "weights": 0,')
    assert main("checks", -1.0, ["adam/plain"], card()) == 0
    assert capsys.readouterr().out == ""
    fault = card(wait=lambda: refused(nothing))
    assert main("checks", 60.0, ["adam/plain", "sgd/plain"], fault) == FAULT
    assert len(capsys.readouterr().out.splitlines()) == 1


def scripted(monkeypatch: pytest.MonkeyPatch, *scripts: str) -> list[list[str]]:
    """Let processes run these scripts, one after the other; what each was asked for."""
    asked: list[list[str]] = []

    def begun(kind: str, seconds: float, names: list[str]) -> "subprocess.Popen[str]":
        asked.append([*names])
        script = scripts[len(asked) - 1]
        return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(gpu, "begun", begun)
    return asked


def said(name: str) -> str:
    return f'print(\'{{"case": "{name}"}}\', flush=True); '


def test_another_process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    crash, fault = "import os; os.kill(os.getpid(), 6)", f"import sys; sys.exit({FAULT})"
    asked = scripted(monkeypatch, "print('noise'); " + said("a") + crash, said("c") + fault, said("d"))
    found = [*gpu.run("checks", ["a", "b", "c", "d", "e"], time.monotonic() + 60)]
    assert found == [
        {"case": "a"}, {"case": "b", "error": "its process ended with -6"}, {"case": "c"}, {"case": "d"},
        {"case": "e", "error": NOT_REACHED},
    ]  # fmt: skip
    assert asked == [["a", "b", "c", "d", "e"], ["c", "d", "e"], ["d", "e"]]


def test_a_process_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_GRACE", 0.2)
    scripted(monkeypatch, "import time; time.sleep(60)")
    began = time.monotonic()
    found = [*gpu.run("cells", ["a", "b"], began + 0.1)]
    assert found == [
        {"case": "a", "error": f"its process ended with -{int(signal.SIGKILL)}"}, {"case": "b", "error": NOT_REACHED},
    ]  # fmt: skip
    assert time.monotonic() - began < 30


# -- the page


def cells(text: str, start: str) -> list[list[str]]:
    return [[x.strip() for x in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith(f"| {start}")]


def test_what_was_checked() -> None:
    wrong = {**ALIKE, "case": "adamw/plain", "weights": 3, "ulp": 2.0}
    near = {**ALIKE, "case": "lamb/plain", "states": 5, "ulp": 1.0}
    late = {"case": "lion/plain", "error": NOT_REACHED}
    text, bad = page([wrong, near, late], [], AROUND)
    assert bad
    assert "Of 3 checks, 2 were made; of these 0 are the same in every bit. **Wrong: adamw/plain.**" in text
    assert cells(text, "AdamW") == [["AdamW", "3 of 6,481", "0 of 12,966", "2", "0", "no (must be)"]]
    assert cells(text, "LAMB") == [["LAMB", "0 of 6,481", "5 of 12,966", "1", "0", "no (need not be)"]]
    assert cells(text, "Lion") == [["Lion", "not reached in time", "", "", "", "must be"]]
    assert "a card, driver 570.1, torch 2.13, triton 3.7; host a CPU. 2026-11-30, 3.5 minutes." in text
    assert not page([near, late, {**ALIKE, "case": "adamw/plain"}], [], AROUND)[1]
    assert page([{**near, "skipped": [0, 1]}], [], AROUND)[1]
    assert page([{"case": "lamb/plain", "error": "RuntimeError: x"}], [], AROUND)[1]


def test_what_was_timed() -> None:
    found = {
        "case": "adamw/500m", "bytes": 14_000_000_000, "weights": 500_000_000, "sides": ["fused"],
        "failed": {GRAPH: "no"}, "host": {"thalweg": [1e-4] * 3, "fused": [2e-4] * 3},
        "device": {"thalweg": [5e-3] * 3, "fused": [6e-3] * 3},
    }  # fmt: skip
    copied = {"case": "copy", "bytes_a_second": 4e12}
    text, _ = page([], [copied, found, {"case": "lamb/500m", "error": "OutOfMemoryError: y"}], AROUND)
    assert "A copy within its memory: 4,000 GB/s." in text
    # 14 GB in 5 ms are 2,800 GB/s, 70% of what a copy moves.
    assert cells(text, "AdamW") == [
        ["AdamW", "one tensor of 500M", "fused", "100", "200", "2.00", "2.00 to 2.00",
         "5,000", "6,000", "1.20", "1.20 to 1.20", "2,800", "70%"],
        ["AdamW", "one tensor of 500M", f"{GRAPH} failed: no", *[""] * 10],
    ]  # fmt: skip
    assert cells(text, "LAMB") == [["LAMB", "one tensor of 500M", "OutOfMemoryError: y", *[""] * 10]]
    smaller = page([], [{**found, "weights": 80_000_000, "sides": []}], AROUND)[0]
    assert cells(smaller, "AdamW")[0] == [
        "AdamW", "one tensor of 80M, as many as fit", "has none", "100", "", "", "", "5,000", "", "", "", "2,800", "",
    ]  # fmt: skip
    assert {*GPU_CELLS.values()} == {(way, model) for way in WAYS for model in GPU_MODELS}


# -- where it cannot run


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    written = tmp_path / "page.md"
    assert gpu.main(["--page", str(written)]) == 2
    assert "there is nothing to measure here, since torch finds no CUDA GPU" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("thalweg.formula.triton_kernel.installed", lambda: False)
    assert gpu.main(["--page", str(written)]) == 2
    assert "since Triton is not installed" in capsys.readouterr().err
    assert gpu.main(["--only", "nothing like it"]) == 2
    assert "no case's name has nothing like it in it" in capsys.readouterr().err
    assert not written.exists()
