"""Python threads, each with an optimizer of its own: the same weights as one after the other."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from small_training import EVERY, MADE, network, train

from thalweg.formula import Hyper, Rule, State
from thalweg.formula.team import SERIAL_BELOW
from thalweg.optim import optimizer
from thalweg.optim.stepping import Stepper

LIMIT = 60.0


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Threads take turns a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def at_once(works: list[Callable[[], torch.Tensor]]) -> list[torch.Tensor]:
    """All of them in threads that start together."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], torch.Tensor]) -> torch.Tensor:
        start.wait(LIMIT)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(LIMIT) for future in [pool.submit(run, work) for work in works]]


def small(name: str, options: dict[str, Any]) -> Callable[[], torch.Tensor]:
    def work() -> torch.Tensor:
        model = network()
        return train(model, MADE[name](model.parameters(), **EVERY[name], **options), range(20))

    return work


def large(seed: int) -> Callable[[], torch.Tensor]:
    def work() -> torch.Tensor:
        weight = torch.nn.Parameter(torch.linspace(-1, 1, 2 * SERIAL_BELOW + seed))
        made = MADE["adamw"]([weight], lr=0.1, clip_norm=1.0)
        for number in range(10):
            weight.grad = torch.cos((number + seed) * weight.detach())
            made.step()
        return weight.detach()

    return work


def same(works: list[Callable[[], torch.Tensor]]) -> bool:
    together = at_once(works)
    return all(map(torch.equal, together, [work() for work in works]))


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.05, "nonfinite": "raise"}], ids=str)
def test_every_rule_at_once(options: dict[str, Any]) -> None:
    assert same([small(name, options) for name in EVERY])


def test_one_rule_many_times() -> None:
    assert same([small("adamw", {"weight_decay": 0.1 * i}) for i in range(8)])


@pytest.mark.parametrize("threads", [1, 2])
def test_large_tensors(threads: int) -> None:
    """Python threads that each bring the team of threads along that torch's operations use."""
    torch.set_num_threads(threads)
    assert same([large(seed) for seed in range(4)])


def test_kernels_compiled_at_once() -> None:
    """Rules that nobody has used before: their kernels are compiled by all threads at the same time, some twice."""

    class Leaky(Rule):
        lr = Hyper(0.1)
        m = State("average")

        @staticmethod
        def step(g, m, lr):
            m = 0.625 * m + 0.25 * g
            return lr * m / (0.5 + m * m), m

    class Cubic(Rule):
        lr = Hyper(0.1)

        @staticmethod
        def step(g, lr):
            return lr * g * g * g

    def fresh(rule: type[Rule], decimals: torch.dtype) -> Callable[[], torch.Tensor]:
        def work() -> torch.Tensor:
            model = network(decimals)
            return train(model, optimizer(rule)(model.parameters()))

        return work

    assert same([fresh(rule, t) for rule in (Leaky, Cubic) for t in (torch.float32, torch.float64) for _ in range(2)])


def test_who_reads_while_another_thread_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step of the other thread has left for later is put right under the lock that steps are taken under."""
    made = MADE["adamw"](network().parameters())
    locked = []
    monkeypatch.setattr(Stepper, "settle", lambda _: locked.append(made._lock._is_owned()))
    made.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})
    assert made.skipped_steps == 0
    assert not [*made.state]
    made.state_dict()
    assert len(locked) > 3
    assert all(locked)
