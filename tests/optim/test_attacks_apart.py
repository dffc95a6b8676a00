"""Attacks that end a process, or spoil it, when they succeed: each in one of its own. And what is left in memory."""

import gc
import os
from typing import Any

import pytest
import torch

import forked
import thalweg
from attacking import MODES, options_of, use


@pytest.fixture(params=MODES)
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return use(request.param, monkeypatch)


# What every process begins with; `made_of` makes an optimizer whose steps are taken in the mode.
BEGIN = """
import gc, os, sys, threading, time
import torch
import thalweg
import thalweg.optim.memory

if {mode!r} == "python":
    thalweg.optim.memory.torch_interface = lambda: None
torch.set_num_threads(1)


def made_of(params, name="SGD", **options):
    return getattr(thalweg, name)(params, **{{"lr": 0.5, **options, **{options!r}}})


def at_once(*works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def printed(code: str, mode: str = "one call") -> str:
    return forked.code(BEGIN.format(mode=mode, options=options_of(mode)) + code)


CHILD = """
torch.set_num_threads(2)
weight = torch.nn.Parameter(torch.zeros({size}))
made = made_of([weight], lr=1.0, momentum=0.5)
weight.grad = torch.ones({size})
made.step()
made.step()
child = os.fork()
made.step()
values = weight.detach().numpy()  # torch's own operations may hang in the child
right = bool((values == -4.25).all())
if not child:
    os._exit(0 if right else 1)
print(right, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("size", [1000, 100_000])
@pytest.mark.parametrize("mode", MODES)
def test_forked_child(mode: str, size: int) -> None:
    assert printed(CHILD.format(size=size), mode) == "True 0"


FIRST = """
weight = torch.nn.Parameter(torch.ones(3))
made = made_of([weight])
weight.grad = torch.ones(3)


def step(x):
    made.step()
    return x


{first}
other = torch.nn.Parameter(torch.ones(3))
made = made_of([other])
for _ in range(2):
    other.grad = torch.ones(3)
    made.step()
print(weight.tolist() == [0.5] * 3, other.tolist() == [0.0] * 3, made._plan.direct)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "first",
    [
        pytest.param("torch.vmap(step)(torch.ones(2))", id="vmap"),
        pytest.param("torch.func.grad(lambda x: step(x).sum())(torch.ones(2))", id="func.grad"),
        pytest.param("with torch.device('meta'): made.step()", id="meta device"),
        pytest.param("with torch.inference_mode(): made.step()", id="inference mode"),
        pytest.param("with torch.no_grad(): made.step()", id="no grad"),
        pytest.param("torch.set_default_dtype(torch.bfloat16); made.step()", id="default type"),
    ],
)
def test_first_step_of_a_process(first: str) -> None:
    """Wherever it is taken: that step and all later ones are right, and later ones as fast as ever."""
    assert printed(FIRST.format(first=first)) == "True True True"


@pytest.mark.slow
def test_first_step_that_is_refused() -> None:
    """Where torch only pretends to compute; the next step must be as if it had not been."""
    first = "with torch._subclasses.fake_tensor.FakeTensorMode(allow_non_fake_inputs=True): made.step()"
    code = f"import torch._subclasses\ntry:\n    {first}\nexcept RuntimeError:\n    pass\nmade.step()"
    assert printed(FIRST.format(first=code)) == "True True True"


@pytest.mark.slow
def test_random_numbers_stay_where_they_were() -> None:
    code = """
torch.manual_seed(3)
expected = torch.rand(1)
torch.manual_seed(3)
weight = torch.nn.Parameter(torch.ones(3))
made = made_of([weight], name="AdamW")
weight.grad = torch.ones(3)
made.step()
print(torch.equal(torch.rand(1), expected))
"""
    assert printed(code) == "True"


BOXED = """
from attacking import Boxed

weight = torch.nn.Parameter(torch.zeros(1000))
made = made_of([weight], name="Adam")
for _ in range(2):
    weight.grad = torch.ones(1000)
    made.step()
state = made.state[weight]["exp_avg"] = Boxed(made.state[weight]["exp_avg"])
made.step()
print(round(float(made.state[weight]["exp_avg"].held[7]), 6))
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_state_without_memory_of_its_own(mode: str) -> None:
    """As quantised states are. torch's loop goes on with them."""
    assert printed(BOXED, mode) == "0.271"


HALF = """
weight = torch.nn.Parameter(torch.ones(40, dtype=torch.{dtype}))
made = made_of([weight], name="AdamW", lr=0.1)
weight.grad = torch.ones_like(weight)
made.step()
weight.grad = None
weight.data = weight.data.double()
weight.grad = torch.ones_like(weight)
made.step()
kept = made.state[weight]["exp_avg"]
print(kept.dtype, abs(float(weight[3]) - 0.8) < 2e-2, abs(float(kept[39]) - 0.19) < 1e-3)
"""


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_states_of_a_double_weight(dtype: str) -> None:
    """No processor stores a double as a half: the way there must not lead through a function that does not exist."""
    assert printed(HALF.format(dtype=dtype)) == f"torch.{dtype} True True"


FIRST_AT_ONCE = """
start = threading.Barrier(2)
found = []


def train():
    weight = torch.nn.Parameter(torch.zeros(100))
    made = made_of([weight], lr=1.0)
    weight.grad = torch.ones(100)
    start.wait()
    for _ in range(500):
        made.step()
    other = torch.nn.Parameter(torch.zeros(100))
    clipped = made_of([other], name="AdamW", lr=0.0, clip_norm=1.0)
    for _ in range(500):
        made.step()
        other.grad = torch.ones(100)
        clipped.step()
    found.append(weight.detach().unique().tolist())


at_once(train, train)
print(found)
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_first_steps_of_two_threads_at_once(mode: str) -> None:
    for _ in range(3):  # now and then it is not hit
        assert printed(FIRST_AT_ONCE, mode) == "[[-1000.0], [-1000.0]]"


HOGWILD = """
sys.setswitchinterval(1e-5)
params = [torch.nn.Parameter(torch.zeros({size})) for _ in range(4)]
optimizers = [made_of(params, name="AdamW", lr=1e-6) for _ in range(2)]
for made in optimizers:
    for p in params:
        p.grad = torch.ones({size})
    made.step()
stop = time.monotonic() + 2


def work(made):
    def loop():
        while time.monotonic() < stop:
            for p in params:
                p.grad = torch.ones({size})
            made.step()

    return loop


at_once(*map(work, optimizers))
steps = sum(float(made.state[params[0]]["step"]) for made in optimizers)
largest = max(float(p.detach().abs().max()) for p in params)
print(0 < largest <= 1.001e-6 * steps)
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", [50, 1_000_000])
@pytest.mark.parametrize("mode", MODES)
def test_two_threads_train_the_same_weights(mode: str, size: int) -> None:
    """Each with an optimizer of its own, replacing the other's gradients all the time (Niu et al. 2011).

    Were they also set to None, torch 2.13 would end the process without any optimizer.
    """
    assert printed(HOGWILD.format(size=size), mode) == "True"


ACCUMULATED = """
params = [torch.nn.Parameter(torch.zeros(100_000)) for _ in range(8)]
factor = torch.ones(100_000)
made = made_of(params, lr=1e-6)
loss = sum((p * factor).sum() for p in params)
loss.backward(create_graph=True)
stop = time.monotonic() + 15
largest = 0.0


def backward():
    passes = 0
    while time.monotonic() < stop:
        sum((p * factor).sum() for p in params).backward(create_graph=True)
        passes += 1
        if passes % 50 == 0:
            for p in params:
                p.grad = factor.clone()


def steps():
    taken = 0
    while time.monotonic() < stop:
        made.step()
        taken += 1
        if taken % 20 == 0:
            time.sleep(0)


import warnings
warnings.simplefilter("ignore")
at_once(backward, steps)
print(max(float(p.detach().abs().max()) for p in params) < 1e3)
"""


@pytest.mark.slow
def test_gradients_that_a_backward_pass_of_another_thread_replaces() -> None:
    """Sums of gradients that keep their graph are new tensors, put in place by C++ while Python's lock is free."""
    assert printed(ACCUMULATED) == "True"


def resident() -> float:
    """This process's memory in MB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="how much memory is used is not known here")
class TestLeaks:
    def test_steps(self, options: dict[str, Any]) -> None:
        params = [torch.nn.Parameter(torch.randn(50)) for _ in range(10)]
        made = thalweg.AdamW(params, lr=1e-3, **options)

        def steps(count: int) -> None:
            for seed in range(count):
                for i, p in enumerate(params):
                    p.grad = torch.ones(50) if (seed + i) % 7 else None
                made.step()

        steps(1000)
        gc.collect()
        before = resident()
        steps(5000)
        gc.collect()
        assert resident() - before < 1.0

    def test_plans(self, options: dict[str, Any]) -> None:
        """A plan for every step: weights that move, groups that come."""
        params = [torch.nn.Parameter(torch.randn(1000)) for _ in range(10)]
        made = thalweg.AdamW(params, lr=1e-3, **options)

        def plans(count: int) -> None:
            for _ in range(count):
                for p in params:
                    p.data = p.data.clone()
                    p.grad = torch.ones(1000)
                made.step()

        plans(50)
        gc.collect()
        before = resident()
        plans(500)
        gc.collect()
        assert resident() - before < 4.0

    def test_optimizers(self, options: dict[str, Any]) -> None:
        def optimizers(count: int) -> None:
            for i in range(count):
                params = [torch.nn.Parameter(torch.randn(1000)) for _ in range(10)]
                made = thalweg.AdamW(params, lr=1e-3 + 1e-6 * i, ema=0.5, **options)
                for p in params:
                    p.grad = torch.ones(1000)
                made.step()
                made.step()

        optimizers(50)
        gc.collect()
        before = resident()
        optimizers(500)
        gc.collect()
        assert resident() - before < 4.0
