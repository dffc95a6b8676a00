"""What training scripts do now and then: one gradient for two, graphs on gradients, options changed on the way."""

import copy
import math
from typing import Any

import pytest
import torch

import thalweg
from thalweg.formula import Hyper, Rule, Scalar, State
from thalweg.optim import Optimizer, optimizer


def weight(size: int = 3) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.zeros(size))


def test_one_gradient_of_two_parameters_is_cleared_after_both() -> None:
    a, b = weight(), weight()
    made = thalweg.SGD([a, b], lr=1.0, clear=True)
    for _ in range(2):
        a.grad = b.grad = torch.ones(3)
        made.step()
    assert a.tolist() == b.tolist() == [-2.0] * 3
    assert a.grad is not None
    assert a.grad.tolist() == [0.0] * 3


@pytest.mark.filterwarnings("ignore:Using backward:UserWarning")
def test_cleared_gradients_leave_their_graph() -> None:
    p = torch.nn.Parameter(torch.ones(3))
    made = thalweg.SGD([p], lr=0.1, clear=True)
    for _ in range(3):
        (p**3).sum().backward(create_graph=True)
        made.step()
        assert p.grad is not None
        assert not p.grad.requires_grad
        assert p.grad.grad_fn is None


@pytest.mark.parametrize(
    ("option", "value", "error", "said"),
    [
        ("nonfinite", "rasie", ValueError, "nonfinite must be one of raise, skip, pass, got 'rasie'"),
        ("clip_norm", -1.0, ValueError, "clip_norm must be above 0"),
        ("clip_norm", "1", TypeError, "clip_norm must be a number, got the string '1'"),
        ("clip_scope", "al", ValueError, "clip_scope must be one of all, tensor"),
        ("grad_scale", 0.0, ValueError, "grad_scale is 0"),
    ],
)
def test_options_are_checked_when_they_change(option: str, value: Any, error: type[Exception], said: str) -> None:
    p = weight()
    made = thalweg.SGD([p], lr=1.0)
    p.grad = torch.ones(3)
    made.step()
    setattr(made, option, value)
    with pytest.raises(error, match=said):
        made.step()
    assert p.tolist() == [-1.0] * 3


@pytest.mark.parametrize("key", ["clip_norm", "clear", "fused"])
def test_what_a_group_cannot_say(key: str) -> None:
    with pytest.raises(TypeError, match=key):
        thalweg.SGD([{"params": [weight()], key: True}], lr=1.0)


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
def test_a_parameter_twice() -> None:
    p = weight()
    with pytest.raises(ValueError, match="given twice"):
        thalweg.SGD([p, p], lr=1.0)


@pytest.mark.parametrize("stepped", [False, True])
def test_frozen_parameters_whose_memory_is_elsewhere(stepped: bool) -> None:
    """As offloading does it: torch passes over what has no gradient."""
    a, b = weight(), weight()
    made = thalweg.AdamW([a, b], lr=0.1)
    a.grad, b.grad = torch.ones(3), torch.ones(3) if stepped else None
    made.step()
    b.grad = None
    memory = b.untyped_storage()
    kept, size = b.detach().clone(), memory.nbytes()
    memory.resize_(0)
    made.step()
    memory.resize_(size)
    b.data.copy_(kept)
    b.grad = torch.ones(3)
    made.step()
    assert float(made.state[a]["step"]) == 3
    assert float(made.state[b]["step"]) == 1 + stepped
    assert "0-d" not in str(made.explain())


def test_torchs_checkpoint_leaves_our_options() -> None:
    theirs, p = torch.optim.AdamW([weight()]), weight()
    made = thalweg.AdamW([{"params": [p], "clip_value": 0.5, "ema": 0.9}])
    made.load_state_dict(theirs.state_dict())
    assert (made.param_groups[0]["clip_value"], made.param_groups[0]["ema"]) == (0.5, 0.9)


def test_watching_goes_on_after_loading() -> None:
    p = weight()
    made = thalweg.AdamW([p])
    watched = made.watch(1)
    made.load_state_dict(copy.deepcopy(made.state_dict()))
    p.grad = torch.full((3,), 2.0)
    made.step()
    assert watched.read()["all"].gradient == pytest.approx(2 * math.sqrt(3))


def test_no_loading_inside_the_average() -> None:
    p = weight()
    made = thalweg.SGD([p], lr=1.0, ema=0.5)
    with made.averaged(), pytest.raises(RuntimeError, match="load outside"):
        made.load_state_dict(made.state_dict())


def test_copies_keep_the_scale() -> None:
    made = thalweg.SGD([weight()], lr=1.0)
    made.grad_scale = 8.0
    assert copy.deepcopy(made).grad_scale == 8.0


@optimizer
class Doubling(Rule):
    """A rule with a d of its own, and a number of the group that doubles."""

    lr = Hyper(1.0)
    d = Hyper(5.0)
    k = Scalar(1.0, "group")
    seen = State("seen")

    @staticmethod
    def prepare(k):  # type: ignore[no-untyped-def]
        return {"k": 2 * k}

    @staticmethod
    def step(g, lr):  # type: ignore[no-untyped-def]
        return lr * g

    @staticmethod
    def follow(w, seen, d):  # type: ignore[no-untyped-def]
        return {"seen": d}


def test_a_rule_may_have_a_d_of_its_own() -> None:
    p = weight()
    made: Optimizer = Doubling([p])
    p.grad = torch.ones(3)
    made.step()
    assert made.state[p]["seen"].tolist() == [5.0] * 3


def test_numbers_of_a_group_wait_for_a_gradient() -> None:
    p = weight()
    made = Doubling([p])
    for grad in (torch.ones(3), None, None):
        p.grad = grad
        made.step()
    assert made.param_groups[0]["k"] == 2.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_float64_states_of_half_precision_weights(dtype: torch.dtype) -> None:
    p = torch.nn.Parameter(torch.ones(33, dtype=dtype))
    made = thalweg.AdamW([p], lr=0.1)
    for _ in range(2):
        p.grad = torch.ones_like(p)
        made.step()
        for key in ("exp_avg", "exp_avg_sq"):
            made.state[p][key] = made.state[p][key].double()
    assert p.detach().double().tolist() == pytest.approx([0.8] * 33, rel=1e-2)
