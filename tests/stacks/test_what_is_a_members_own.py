"""What of a model is each member's own, and what else may change between steps."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

import thalweg
from thalweg.stacks import stack as module

SEEDS = range(4)


def mlp():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def squared(model, x):
    return model(x).square().mean()


class Scaled(nn.Module):
    def __init__(self, make_scale, buffer=False):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        if buffer:
            self.register_buffer("scale", make_scale())
        else:
            self.scale = make_scale()

    def forward(self, x):
        return self.layer(x) * self.scale


@pytest.mark.parametrize("make_scale", [lambda: torch.rand(3), lambda: float(torch.rand(()))])
def test_a_plain_attribute_that_differs_is_refused(make_scale):
    with pytest.raises(ValueError, match=r"scale is not the same in all.*register_buffer"):
        thalweg.lockstep(partial(Scaled, make_scale), "sgd", seeds=SEEDS)


def test_a_buffer_may_differ():
    stack = thalweg.lockstep(partial(Scaled, lambda: torch.rand(3), buffer=True), "sgd", seeds=SEEDS)
    x = torch.rand(4, 5, 6)
    expected = [model(own).detach() for model, own in zip(stack.members, x, strict=True)]
    torch.testing.assert_close(stack.evaluate(lambda model, own: model(own), x), torch.stack(expected))


def test_a_model_of_other_modules_is_refused():
    kinds = iter([nn.Tanh, nn.ReLU])
    with pytest.raises(ValueError, match="not models of one kind"):
        thalweg.lockstep(lambda: nn.Sequential(nn.Linear(2, 2), next(kinds)()), "sgd", seeds=[0, 1])


def test_gradients_that_are_taken_away_come_back():
    x = torch.rand(4, 5, 6)
    losses = []
    for clears in (False, True):
        stack = thalweg.lockstep(mlp, "sgd", settings=[{"lr": 0.1}], seeds=SEEDS)
        for _ in range(5):
            if clears:
                for optimizer in stack.optimizers:
                    optimizer.zero_grad()
            losses.append(stack.step(squared, x))
    torch.testing.assert_close(losses[:5], losses[5:], rtol=0, atol=0)
    assert (losses[4] < losses[0]).all()


def test_ignored_classes_are_ignored():
    scores, classes = torch.randn(4, 7, 5), torch.randint(0, 5, (4, 7))
    stack = thalweg.lockstep(lambda: nn.Linear(1, 1), "sgd", seeds=SEEDS)
    for ignored in (-100, 0):
        classes[:, 0] = ignored
        value = stack.evaluate(
            lambda _, s, c, i=ignored: functional.cross_entropy(s, c, ignore_index=i), scores, classes
        )
        each = [functional.cross_entropy(s, c, ignore_index=ignored) for s, c in zip(scores, classes, strict=True)]
        torch.testing.assert_close(value, torch.stack(each))


@pytest.mark.parametrize("p", [0.3, 1.0])
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_dropout_draws_as_torch_does(p, inplace, turned):
    def dropped(model, x):
        y = model(x) * 1.0
        given = y.transpose(0, 1) if turned else y
        out = functional.dropout(given, p, True, inplace)
        return (y if inplace else out).square().sum()

    x = torch.rand(4, 5, 6)
    stack = thalweg.lockstep(mlp, "sgd", settings=[{"lr": 0.1}], seeds=SEEDS)
    losses = stack.step(dropped, x)
    for k in SEEDS:
        torch.manual_seed(k)
        torch.testing.assert_close(dropped(mlp(), x[k]).detach(), losses[k])


def test_torch_s_own_keywords():
    x, w = torch.rand(4, 5, 6), torch.rand(4, 6, 3)
    stack = thalweg.lockstep(lambda: nn.Linear(1, 1), "sgd", seeds=SEEDS)
    for call in (
        lambda _, a, b: torch.matmul(input=a, other=b),
        lambda _, a, b: torch.mm(a, mat2=b),
        lambda _, a, b: functional.linear(input=a, weight=b.T),
    ):
        torch.testing.assert_close(stack.evaluate(call, x, w), x @ w)


def test_a_function_that_computes_something_else_is_looked_at_again():
    """A learned number through a sigmoid depends on its neighbours (`stacks.watch`); through tanh it does not."""

    def loss(activation, model, x):
        return activation(model.weight).square().sum() * x.mean()

    stack = thalweg.lockstep(lambda: nn.Linear(1, 1, bias=False), "sgd", seeds=SEEDS)
    stack.step(partial(loss, torch.tanh), torch.ones(4, 1))
    assert not stack.alone
    stack.step(partial(loss, torch.sigmoid), torch.ones(4, 1))
    assert stack.alone


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.register_buffer("total", torch.zeros(()))

    def forward(self, x):
        self.total.add_(x.sum())
        return self.layer(x)


def test_evaluation_in_parts_is_evaluation_at_once(monkeypatch):
    x = torch.arange(4.0).view(4, 1, 1).expand(4, 2, 6)
    found = []
    for size in (2**26, 2 * 6 * 4, 1):
        monkeypatch.setattr(module, "EVALUATED_BYTES", size)
        stack = thalweg.lockstep(Counting, "sgd", seeds=SEEDS)
        found.append(
            (stack.evaluate(lambda model, own: model(own), x), [model.total.item() for model in stack.members])
        )
        assert found[-1][1] == [0.0, 12.0, 24.0, 36.0]
        assert torch.equal(found[-1][0], found[0][0])


def test_one_of_joined_optimizers_refuses_a_state():
    stack = thalweg.lockstep(mlp, "adam", seeds=SEEDS)
    stack.step(squared, torch.rand(4, 5, 6))
    stack.hand_back()
    state = stack.optimizers[0].state_dict()
    assert len(state["state"]) == 4
    with pytest.raises(RuntimeError, match="load its state before it is made part of a stack"):
        stack.optimizers[0].load_state_dict(state)


def test_what_is_no_tensor_is_refused():
    stack = thalweg.lockstep(mlp, "sgd", seeds=SEEDS)
    with pytest.raises(TypeError, match="gives a tensor, or several; got int"):
        stack.evaluate(lambda model, x: len(x), torch.rand(4, 5, 6))
