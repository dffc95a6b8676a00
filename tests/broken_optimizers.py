"""A healthy optimizer and many broken ones, each in one way that has been seen in the wild, under the suite.

`test_testing` runs this file with pytest and looks at which tests fail.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

import thalweg
from thalweg.formula import Decay, Hyper, Rule, State, Switch, chain, log_uniform, sign
from thalweg.formula.expression import Expression
from thalweg.optim import flat_launch, reading
from thalweg.testing import Conformance

Step = Callable[..., Any]


@thalweg.optimizer
class Healthy(Rule):
    """Steps along the gradient's average, corrected for its start."""

    lr = Hyper(0.05, log_uniform(1e-3, 1.0))
    beta = Hyper(0.8, below=1.0)
    weight_decay = Decay("decoupled", 0.0)
    signed = Switch(False)
    m = State("average")

    @staticmethod
    def prepare(t, beta):
        return {"c": 1 - beta**t}

    @staticmethod
    def step(g, m, lr, beta, c, signed):
        m = beta * m + (1 - beta) * g
        return lr * (sign(m) if signed else m / c), m


class TestHealthy(Conformance):
    optimizer = Healthy


def hooked(step: Step) -> Step:
    """torch wraps the step of every class for hooks, unless it is told that this has been done."""
    step.hooked = True  # type: ignore[attr-defined]
    return step


class Plain(Conformance):
    settings = ({},)
    steps = 20  # what is broken here is so at once


class WritesGradients(Healthy):
    """Decays in the gradient itself."""

    @hooked
    def step(self, closure=None):
        loss = super().step(closure)
        for p in self.params():
            if p.grad is not None and p.grad.stride() == p.stride() and not self.clear:
                p.grad.add_(p.detach(), alpha=0.1)
        return loss

    def params(self):
        return [p for group in self.param_groups for p in group["params"]]


class TestWritesGradients(Plain):
    optimizer = WritesGradients


class IgnoresMaximize(Healthy):
    def __init__(self, params, maximize=False, **options):
        super().__init__(params, **options)


class TestIgnoresMaximize(Plain):
    optimizer = IgnoresMaximize


class ForgetsItsAverage(Healthy):
    def state_dict(self):
        found = super().state_dict()
        for state in found["state"].values():
            state.pop("average", None)
        return found


class TestForgetsItsAverage(Plain):
    optimizer = ForgetsItsAverage


class SavesWords(Healthy):
    """A state_dict that only a trusting torch.load can read."""

    class Note:
        def __eq__(self, other):
            return isinstance(other, SavesWords.Note)

    def state_dict(self):
        found = super().state_dict()
        return {**found, "param_groups": [{**group, "note": SavesWords.Note()} for group in found["param_groups"]]}


class TestSavesWords(Plain):
    optimizer = SavesWords


class TakesNoneForZero(Healthy):
    """A parameter without a gradient is stepped as with one of zeros."""

    @hooked
    def step(self, closure=None):
        missing = [p for group in self.param_groups for p in group["params"] if p.grad is None]
        for p in missing:
            p.grad = torch.zeros_like(p)
        loss = super().step(closure)
        for p in missing:
            p.grad = None
        return loss


class TestTakesNoneForZero(Plain):
    optimizer = TakesNoneForZero


class CountsTogether(Healthy):
    """One step count for all parameters."""

    @hooked
    def step(self, closure=None):
        loss = super().step(closure)
        counts = [state["step"] for state in self.state.values()]
        for count in counts:
            count.fill_(max(counts).item())
        return loss


class TestCountsTogether(Plain):
    optimizer = CountsTogether


class KeepsItsFirstRate(Healthy):
    """Reads lr once."""

    @hooked
    def step(self, closure=None):
        now = [group["lr"] for group in self.param_groups]
        first = vars(self).setdefault("first", {})
        for number, group in enumerate(self.param_groups):
            group["lr"] = first.setdefault(number, float(group["lr"]))
        loss = super().step(closure)
        for group, lr in zip(self.param_groups, now, strict=True):
            group["lr"] = lr
        return loss


class TestKeepsItsFirstRate(Plain):
    optimizer = KeepsItsFirstRate


class CopiesShallowly(Healthy):
    def __deepcopy__(self, memo):
        twin = type(self).__new__(type(self))
        twin.__setstate__(copy.copy(self.__getstate__()))
        return twin


class TestCopiesShallowly(Plain):
    optimizer = CopiesShallowly


class ForgetsItsOptions(Healthy):
    def __getstate__(self):
        return {**super().__getstate__(), "clip_norm": None}


class TestForgetsItsOptions(Plain):
    optimizer = ForgetsItsOptions


class LoadsByPosition(Healthy):
    def load_state_dict(self, state_dict):
        groups = [{k: v for k, v in g.items() if k != "param_names"} for g in state_dict["param_groups"]]
        super().load_state_dict({**state_dict, "param_groups": groups})


class TestLoadsByPosition(Plain):
    optimizer = LoadsByPosition


class LoadsInTheWeightsType(Healthy):
    """What torch.optim does to wider states (pytorch/pytorch#43706)."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            for p in group["params"]:
                if p in self.state:
                    self.state[p].update({k: v.to(p.dtype) for k, v in self.state[p].items() if k != "step"})


class TestLoadsInTheWeightsType(Plain):
    optimizer = LoadsInTheWeightsType


class WalksFlatMemory(Healthy):
    """Element i of the gradient's memory is taken for element i of the weight's, as torch's fused CPU steps do."""

    @hooked
    def step(self, closure=None):
        params = [p for group in self.param_groups for p in group["params"]]
        own = [p.grad for p in params]
        for p in params:
            if p.dim() == 4 and p.grad is not None and p.grad.is_contiguous() and not p.is_contiguous():
                p.grad = p.grad.reshape(-1).as_strided(p.shape, p.stride())
        loss = super().step(closure)
        for p, grad in zip(params, own, strict=True):
            p.grad = grad
        return loss


class TestWalksFlatMemory(Plain):
    optimizer = WalksFlatMemory


class ClosureWithoutGradients(Healthy):
    @hooked
    def step(self, closure=None):
        with torch.no_grad():
            loss = closure() if closure is not None else None
        super().step()
        return loss


class TestClosureWithoutGradients(Plain):
    optimizer = ClosureWithoutGradients


class HearsNoHooks(Healthy):
    @hooked
    def step(self, closure=None):
        return self._step(closure)


class TestHearsNoHooks(Plain):
    optimizer = HearsNoHooks


class CreatesStateTooEarly(Healthy):
    """Before it has looked whether the gradients are finite."""

    @hooked
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and self.nonfinite != "pass":
                    self.state[p].setdefault("step", torch.tensor(0.0))
        return super().step(closure)


class TestCreatesStateTooEarly(Plain):
    optimizer = CreatesStateTooEarly


class IgnoresOverflow(Healthy):
    @hooked
    def step(self, closure=None):
        self.found_inf = None
        return super().step(closure)


class TestIgnoresOverflow(Plain):
    optimizer = IgnoresOverflow


class LosesTheWeights(Healthy):
    """`averaged` that is left by an exception does not put the weights back."""

    @contextmanager
    def averaged(self, model=None, batches=None) -> Iterator[None]:
        around = super().averaged(model, batches)
        around.__enter__()
        average = [p.detach().clone() for group in self.param_groups for p in group["params"]]
        failed = True
        try:
            yield
            failed = False
        finally:
            around.__exit__(None, None, None)
            if failed:
                params = [p for group in self.param_groups for p in group["params"]]
                with torch.no_grad():
                    for p, a in zip(params, average, strict=True):
                        p.copy_(a)


class TestLosesTheWeights(Plain):
    optimizer = LosesTheWeights


class NeverClears(Healthy):
    def __init__(self, params, clear=False, **options):
        super().__init__(params, **options)


class TestNeverClears(Plain):
    optimizer = NeverClears


class DependsOnThreads(Healthy):
    @hooked
    def step(self, closure=None):
        loss = super().step(closure)
        with torch.no_grad():
            for p in self.param_groups[0]["params"] if torch.get_num_threads() > 1 else ():
                p.mul_(1 + 1e-6)
        return loss


class TestDependsOnThreads(Plain):
    optimizer = DependsOnThreads


@thalweg.optimizer
class DecaysWithoutLr(Rule):
    """Decays by the same share whatever lr is."""

    lr = Hyper(0.05)
    weight_decay = Decay("own", 0.1)

    @staticmethod
    def step(w, g, lr, weight_decay):
        return lr * g + 0.01 * weight_decay * w


class TestDecaysWithoutLr(Plain):
    optimizer = DecaysWithoutLr


@thalweg.optimizer
class SearchesTooFar(Rule):
    """A search box with momenta that the optimizer refuses."""

    lr = Hyper(0.05)
    momentum = Hyper(0.9, log_uniform(0.1, 2.0), below=1.0)
    b = State("momentum_buffer")

    @staticmethod
    def step(g, b, lr, momentum):
        b = momentum * b + g
        return lr * b, b


class TestSearchesTooFar(Plain):
    optimizer = SearchesTooFar


@thalweg.optimizer
class Wordless(Rule):
    lr = Hyper(0.05)

    @staticmethod
    def step(g, lr):
        return lr * g


class TestWordless(Plain):
    optimizer = Wordless


@thalweg.optimizer
class HalfAFormula(Rule):
    """With both switches on it uses a state that then does not exist."""

    lr = Hyper(0.05)
    kept = Hyper(0.0)
    peaked = Switch(False)
    steep = Switch(False)
    top = State("top", when="kept")

    @staticmethod
    def step(g, top, lr, kept, peaked, steep):
        if kept:
            top = top + g
        if peaked:
            g = g + top if steep else g
        return lr * g, top


class TestHalfAFormula(Plain):
    optimizer = HalfAFormula


class AnotherHealthy(Healthy.rule):  # type: ignore[name-defined,misc]
    """As above, for a kernel of its own that is spoiled below."""


class TestKernelDisagrees(Plain):
    """The compiled step is a millionth longer than the formula's."""

    optimizer = AnotherHealthy

    @pytest.fixture(autouse=True)
    def longer(self, monkeypatch):
        plain = chain.move

        def move(w, d, **beside):
            return plain(w, d * (1 + 1e-6 if isinstance(d, Expression) else 1), **beside)

        monkeypatch.setattr(chain, "move", move)


class TestFallbackDisagrees(Plain):
    """What runs as torch operations shrinks the weights besides."""

    optimizer = Healthy

    @pytest.fixture(autouse=True)
    def shrinking(self, monkeypatch):
        plain = flat_launch.FlatLaunch._update

        def update(self, *arguments, **named):
            plain(self, *arguments, **named)
            with torch.no_grad():
                for p in self.members.params:
                    p.mul_(0.999)

        monkeypatch.setattr(flat_launch.FlatLaunch, "_update", update)


class TestFallsBack(Plain):
    """No kernel serves it, and nobody notices but for the time it takes."""

    optimizer = Healthy

    @pytest.fixture(autouse=True)
    def slowly(self, monkeypatch):
        monkeypatch.setattr(reading, "kernel_types", lambda param, operands: "it is a Tuesday")
