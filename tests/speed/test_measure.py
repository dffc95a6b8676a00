"""The harness: what is inside the clock and what is not."""

import time

from thalweg.speed.measure import BLOCK_SECONDS, Timing, measure


def test_what_runs_before_a_call_is_outside_the_clock() -> None:
    log: list[str] = []

    def slow() -> None:
        log.append("before")
        time.sleep(0.004)

    timing = measure(
        {"with": lambda: log.append("call") or time.sleep(0.001), "without": lambda: time.sleep(0.001)},
        2,
        before={"with": slow},
    )
    assert log == ["before", "call"] * (len(log) // 2)
    assert timing.median("with") < 0.004


def test_blocks_last_long_enough() -> None:
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        time.sleep(0.001)

    timing = measure({"count": count}, 20)
    # Per round: the block and its untimed call, and a share of what it took to find the block's length.
    assert calls / 20 * max(timing.seconds["count"]) > BLOCK_SECONDS


def test_a_slow_call_is_made_once_a_block() -> None:
    calls = 0

    def slow() -> None:
        nonlocal calls
        calls += 1
        time.sleep(1.5 * BLOCK_SECONDS)

    measure({"slow": slow}, 4)
    assert calls == 2 + 2 + 4  # to warm up, to find the block's length, the rounds


def test_ratio_is_of_rounds_and_not_of_medians() -> None:
    timing = Timing({"a": (2.0, 30.0, 400.0), "b": (1.0, 10.0, 100.0)}, others=0.0)
    assert timing.ratio("a", "b") == (2.0, 3.0, 4.0)
    assert not timing.disturbed
    assert Timing(timing.seconds, others=0.11).disturbed
    assert not Timing(timing.seconds, others=None).disturbed
