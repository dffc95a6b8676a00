"""The host's share of a step on a GPU, without one: how many kernels are launched, and the page."""

import pytest

import gpu_host
from gpu_host import LINES, Line, Result, page, side_of, timed

# What stands before each of device_step.py's walks.
LAUNCHED = {"adamw": 1, "clip": 3, "skip": 3, "scaler": 2, "lamb": 3}


@pytest.mark.parametrize("name", LAUNCHED)
def test_launches_do_not_grow_with_tensors(name: str) -> None:
    few = LINES[f"{name}/10"]
    found = timed([few, Line("", few.rule, 30, few.options, few.scaled)], rounds=2)
    assert [result.launches for result in found] == [LAUNCHED[name]] * 2
    assert all(len(result.seconds) == 2 and min(result.seconds) > 0 for result in found)


def test_steps_meet_other_gradients_and_rates() -> None:
    side = side_of(LINES["adamw/10"])
    met = []
    for _ in range(2):
        side.refill()
        met.append([p.grad.data_ptr() for p in side.params if p.grad is not None])
    assert len(met[0]) == 10
    assert not {*met[0]} & {*met[1]}


def test_the_page() -> None:
    found = Result(LINES["clip/500"], (1e-4, 2e-4, 3e-4), 3)
    assert "| AdamW, clip by norm | 500 | 200 | 100 to 300 | 3 |" in page([found], 3)


def test_a_line_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_host.main(["--only", "nothing like it"]) == 2
    assert "no line's name has nothing like it in it; there are adamw/10, " in capsys.readouterr().err
