"""Optimizers that are copied, pickled, forked and sent to new processes go on to the bit, and none of them hangs."""

import copy
import io
import multiprocessing
import pickle
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch
from small_training import EVERY, MADE, each_rule, network, train, weights

import thalweg
from thalweg.formula.team import SERIAL_BELOW

LIMIT = 60.0
Trained = tuple[torch.nn.Module, torch.optim.Optimizer]


def begun(name: str) -> Trained:
    """A model and its optimizer after 3 steps."""
    model = network()
    made = MADE[name](model.parameters(), **EVERY[name])
    train(model, made, range(3))
    return model, made


def went_on(trained: Trained) -> torch.Tensor:
    return train(*trained, range(3, 6))


def pickled(trained: Trained) -> Trained:
    return pickle.loads(pickle.dumps(trained))


def saved(trained: Trained) -> Trained:
    file = io.BytesIO()
    torch.save(trained, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("way", [copy.deepcopy, pickled, saved])
@each_rule
class TestModelAndOptimizerTogether:
    def test_go_on_apart(self, name: str, way: Callable[[Trained], Trained]) -> None:
        trained = begun(name)
        copied = way(trained)
        before = weights(copied[0])
        expected = went_on(trained)
        assert torch.equal(weights(copied[0]), before)
        assert torch.equal(went_on(copied), expected)

    def test_again(self, name: str, way: Callable[[Trained], Trained]) -> None:
        """A copy of a copy, made between steps of both."""
        trained = begun(name)
        copied = way(trained)
        train(*copied, [3])
        again = way(copied)
        train(*copied, [4])
        train(*again, [4, 5])
        assert torch.equal(weights(again[0]), went_on(trained))


def test_state_dict_as_torch_saves_it() -> None:
    """A checkpoint holds nothing but what torch.load accepts from strangers."""
    for name in EVERY:
        file = io.BytesIO()
        model, made = begun(name)
        torch.save({"model": model.state_dict(), "optimizer": made.state_dict()}, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=True)
        again = network()
        again.load_state_dict(loaded["model"])
        fresh = MADE[name](again.parameters())
        fresh.load_state_dict(loaded["optimizer"])
        assert torch.equal(went_on((again, fresh)), went_on((model, made)))


def in_process(method: str, work: Callable[..., None], *arguments: Any) -> Any:
    """What a child process sends back, or a failure if it takes too long."""
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    child = context.Process(target=work, args=(there, *arguments))
    child.start()
    try:
        assert here.poll(LIMIT), f"the child sent nothing in {LIMIT} s"
        return here.recv()
    finally:
        child.kill()
        child.join()


def large() -> Trained:
    """More weights than one thread is given, after a step on all threads."""
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 3 * SERIAL_BELOW))
    model = torch.nn.ParameterList([weight])
    made = thalweg.AdamW(model.parameters(), lr=0.1, clip_norm=1.0)
    step_large((model, made), 0)
    return model, made


def step_large(trained: Trained, number: int) -> None:
    (weight,) = trained[0].parameters()
    weight.grad = torch.sin((number + 1) * weight.detach())
    trained[1].step()


def send_small(pipe: Connection, trained: Trained) -> None:
    torch.set_num_threads(1)  # as here: torch's sums depend on it
    pipe.send(went_on(trained).tolist())


def send_large(pipe: Connection, trained: Trained) -> None:
    """The step on as many threads as the parent has; everything else on one, as torch itself hangs otherwise."""
    (weight,) = trained[0].parameters()
    torch.set_num_threads(1)
    weight.grad = torch.sin(2 * weight.detach())
    torch.set_num_threads(2)
    trained[1].step()
    torch.set_num_threads(1)
    pipe.send(weight.detach()[::1000].tolist())


def send_first_step(pipe: Connection, options: dict[str, Any]) -> None:
    model = network()
    pipe.send(train(model, thalweg.RMSprop(model.parameters(), **options)).tolist())


# Python from 3.12 on warns of every fork of a process that has threads, which importing torch is enough for.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
class TestFork:
    @each_rule
    def test_child_goes_on(self, name: str) -> None:
        trained = begun(name)
        found = in_process("fork", send_small, trained)
        # What the child did is not seen here.
        assert found == went_on(trained).tolist()

    def test_child_first_to_use_a_kernel(self) -> None:
        options = {"centered": True, "momentum": 0.9, "maximize": True}
        found = in_process("fork", send_first_step, options)
        model = network()
        assert found == train(model, thalweg.RMSprop(model.parameters(), **options)).tolist()

    def test_large_tensors_after_a_parallel_step(self) -> None:
        """The team of threads that the parent used does not exist in the child; waiting for it would never end."""
        torch.set_num_threads(2)
        trained = large()
        found = in_process("fork", send_large, trained)
        step_large(trained, 1)
        assert found == next(trained[0].parameters()).detach()[::1000].tolist()

    def test_parent_and_child_at_the_same_time(self) -> None:
        trained = begun("adamw")
        context = multiprocessing.get_context("fork")
        pipes = [context.Pipe() for _ in range(4)]
        children = [context.Process(target=send_small, args=(there, trained)) for _, there in pipes]
        for child in children:
            child.start()
        expected = went_on(trained).tolist()
        try:
            for here, _ in pipes:
                assert here.poll(LIMIT)
                assert here.recv() == expected
        finally:
            for child in children:
                child.kill()
                child.join()


@pytest.mark.slow
def test_spawned_process() -> None:
    """Model and optimizer are pickled to a new interpreter; the weights travel in shared memory, as torch does it."""
    trained = begun("cautious")
    expected = went_on(copy.deepcopy(trained))
    assert in_process("spawn", send_small, trained) == expected.tolist()


@pytest.mark.slow
def test_spawned_process_with_shared_weights() -> None:
    """As in torch's Hogwild example: the child's steps are seen here."""
    model, made = begun("sgd")
    expected = went_on(copy.deepcopy((model, made)))
    model.share_memory()
    for state in made.state.values():
        for value in state.values():
            value.share_memory_()
    assert in_process("spawn", send_small, (model, made)) == expected.tolist()
    assert torch.equal(weights(model), expected)
