"""Rules of matrices of a user's own: what `matrix` hands on, keeps and asks for, against the same by hand."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

import thalweg
from thalweg.formula import BySize, Coefficients, Hyper, Rule, State, norm, repeat
from thalweg.optim import multiply

LR = 0.1


class Optimistic(Rule):
    """The gradient, and the one before."""

    lr = Hyper(LR)
    previous = State("previous")

    @staticmethod
    def enter(g):
        return {"u": g}

    @staticmethod
    def matrix(u, previous):
        return {"o": u + previous, "previous": u}

    @staticmethod
    def step(o, lr):
        return lr * o


class TwoBack(Rule):
    """The gradient, and the one before the last."""

    lr = Hyper(LR)
    previous = State("previous")
    older = State("older")

    @staticmethod
    def enter(g):
        return {"u": g}

    @staticmethod
    def matrix(u, previous, older):
        return {"o": 1.0 * u + older, "previous": 1.0 * u, "older": previous}

    @staticmethod
    def step(o, lr):
        return lr * o


class TwoHandedOn(Rule):
    """The gradient, and a shorter one."""

    lr = Hyper(LR)

    @staticmethod
    def enter(g):
        return {"u": g}

    @staticmethod
    def matrix(u):
        return {"o": u / (1.0 + norm(u)), "plain": u}

    @staticmethod
    def step(o, plain, lr):
        return lr * o + lr * plain


def optimistic(grads: Sequence[Tensor]) -> Tensor:
    return sum((LR * (g + before) for g, before in zip(grads, [0 * grads[0], *grads], strict=False)), 0 * grads[0])


def two_back(grads: Sequence[Tensor]) -> Tensor:
    return sum(
        (LR * (g + before) for g, before in zip(grads, [*[0 * grads[0]] * 2, *grads], strict=False)), 0 * grads[0]
    )


def two_handed_on(grads: Sequence[Tensor]) -> Tensor:
    return sum((LR * (g / (1 + (g * g).sum().sqrt()) + g) for g in grads), 0 * grads[0])


def in_gaps(weight: Tensor) -> Tensor:
    """Memory that no kernel serves."""
    return torch.stack([weight, weight], -1)[..., 0]


def drawn(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.filterwarnings("ignore:most weights are updated by plain torch operations")
@pytest.mark.parametrize("laid", [Tensor.clone, in_gaps])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("rule", "by_hand"), [(Optimistic, optimistic), (TwoBack, two_back), (TwoHandedOn, two_handed_on)]
)
def test_what_is_handed_on_as_it_was_given_is_what_was_given(
    rule: type[Rule], by_hand: Callable[[Sequence[Tensor]], Tensor], count: int, dtype: torch.dtype, laid: Any
) -> None:
    """It lies where something else is written: what `matrix` makes lies where what it saw has been."""
    params = [torch.nn.Parameter(laid(torch.zeros(4, 6, dtype=dtype))) for _ in range(count)]
    made = thalweg.optimizer(rule)(params)
    grads = [[drawn((4, 6), 10 * i + k, dtype) for k in range(4)] for i in range(count)]
    for k in range(4):
        for p, own in zip(params, grads, strict=True):
            p.grad = own[k].clone()
        made.step()
    for p, own in zip(params, grads, strict=True):
        expected = -by_hand([g.double() for g in own])
        assert (p.detach().double() - expected).abs().max() < (1e-12 if dtype == torch.float64 else 1e-6)


class WhereTall(Rule):
    """Keeps the gradient of what is tall."""

    lr = Hyper(LR)
    kept = State("kept", start=7.0)
    tall = BySize(lambda rows, columns: rows > columns)

    @staticmethod
    def enter(g):
        return {"u": g}

    @staticmethod
    def matrix(u, kept, tall):
        if tall:
            kept = 1.0 * u
        return {"o": 1.0 * u, "kept": kept}

    @staticmethod
    def step(o, lr):
        return lr * o


def test_a_state_that_one_block_leaves_as_it_is_stays() -> None:
    params = [torch.nn.Parameter(torch.zeros(8, 4)) for _ in range(2)]
    made = thalweg.optimizer(WhereTall)(params, split_sizes=(2, 6))
    for p in params:
        p.grad = torch.ones(8, 4)
    made.step()
    for p in params:
        assert made.state[p]["kept"].tolist() == [[7.0] * 4] * 2 + [[1.0] * 4] * 6


class InMatrix(Rule):
    """An average of gradients that `matrix` takes, while its number is not 0."""

    lr = Hyper(LR)
    momentum = Hyper(0.9, below=1.0)
    m = State("m", when="momentum")

    @staticmethod
    def enter(g):
        return {"u": g}

    @staticmethod
    def matrix(u, m, momentum):
        if momentum:
            m = momentum * m + u
            o = m
        else:
            o = 1.0 * u
        return {"o": o, "m": m}

    @staticmethod
    def step(o, lr):
        return lr * o


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_a_state_exists_while_a_number_that_matrix_tests_is_not_0(momentum: float) -> None:
    weight = torch.nn.Parameter(torch.zeros(4, 6, dtype=torch.float64))
    made = thalweg.optimizer(InMatrix)([weight], momentum=momentum)
    m = expected = torch.zeros(4, 6, dtype=torch.float64)
    for k in range(3):
        weight.grad = drawn((4, 6), k, torch.float64)
        made.step()
        m = momentum * m + weight.grad
        expected = expected - LR * m
    assert ("m" in made.state[weight]) == (momentum > 0)
    assert torch.allclose(weight, expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("count", [1, 2])
def test_states_in_half_precision_are_computed_in_float32_and_rounded_once(count: int) -> None:
    params = [torch.nn.Parameter(torch.zeros(16, 32, dtype=torch.bfloat16)) for _ in range(count)]
    made = thalweg.optimizer(InMatrix)(params)
    expected = [torch.zeros(16, 32, dtype=torch.bfloat16) for _ in range(count)]
    for k in range(3):
        for i, p in enumerate(params):
            p.grad = drawn((16, 32), 10 * i + k, torch.bfloat16)
            expected[i] = (0.9 * expected[i].float() + p.grad.float()).bfloat16()
        made.step()
    for p, m in zip(params, expected, strict=True):
        assert torch.equal(made.state[p]["m"], m)


def moved(rule: Any, around: Callable[[], Any], laid: Callable[[Tensor], Tensor] = Tensor.clone) -> Tensor:
    """The weight after some steps within a context."""
    weight = torch.nn.Parameter(laid(drawn((24, 16), 5)))
    options = {"products": "float32"} if rule is thalweg.Muon else {}
    made = rule([weight], **options)
    for k in range(3):
        weight.grad = drawn((24, 16), k)
        with around():
            made.step()
    return weight.detach()


RULES = pytest.mark.parametrize("rule", [thalweg.Muon, thalweg.SOAP, thalweg.Shampoo])


@pytest.mark.filterwarnings("ignore:most weights are updated by plain torch operations")
@pytest.mark.parametrize("laid", [Tensor.clone, in_gaps])
@pytest.mark.parametrize("rule", [thalweg.Muon, thalweg.SOAP, thalweg.Shampoo, thalweg.Adafactor, thalweg.AdamW])
def test_a_default_device_is_not_the_weights(rule: Any, laid: Any) -> None:
    assert torch.equal(moved(rule, lambda: torch.device("meta"), laid), moved(rule, torch.no_grad, laid))


@RULES
@pytest.mark.filterwarnings("ignore:most weights are updated by plain torch operations")
@pytest.mark.parametrize("laid", [Tensor.clone, in_gaps])
def test_autocast_leaves_products_as_they_are_asked_for(rule: Any, laid: Any) -> None:
    found = moved(rule, lambda: torch.autocast("cpu", torch.bfloat16), laid)
    assert torch.equal(found, moved(rule, torch.no_grad, laid))


def test_stacks_are_pointed_at_anew_only_when_other_gradients_are_there() -> None:
    params = [torch.nn.Parameter(torch.zeros(4, 6)) for _ in range(2)]
    made = thalweg.Muon(params, products="float32")

    def step() -> Any:
        made.step()
        assert made._plan is not None
        return made._plan.launches[0]._where  # type: ignore[attr-defined]

    for p in params:
        p.grad = torch.ones(4, 6)
    first = step()
    assert step() is first
    params[0].grad = None
    assert step().tolist() == [False, True]


class LargeByAlpha(Rule):
    """Of what has many rows, another share."""

    lr = Hyper(LR)
    alpha = Hyper(0.5)
    large = BySize(lambda rows, columns: rows * columns > 100)

    @staticmethod
    def enter(g):
        return {"u": g}

    @staticmethod
    def matrix(u, alpha, large):
        return {"o": alpha * u if large else 1.0 * u}

    @staticmethod
    def step(o, lr):
        return lr * o


def test_a_number_may_be_asked_for_by_some_sizes_alone() -> None:
    params = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((30, 6), (4, 6))]
    made = thalweg.optimizer(LargeByAlpha)(params, alpha=0.25)
    for p in params:
        p.grad = torch.ones_like(p)
    made.step()
    assert [float(p.detach().unique()) for p in params] == pytest.approx([-0.25 * LR, -LR])


def newton(y, a, b):
    return y * (a - b * y * y)


class ByLength(Rule):
    """The gradient times what an iteration makes of its length."""

    lr = Hyper(LR)
    entries = Coefficients("ten", {"ten": ((1.5, 0.5),) * 10}, lambda _: None)

    @staticmethod
    def enter(g):
        return {"u": g}

    @staticmethod
    def matrix(u, entries):
        return {"o": u * repeat(newton, entries, norm(u) / (1.0 + norm(u)))}

    @staticmethod
    def step(o, lr):
        return lr * o


def test_an_iteration_on_a_number_is_compiled_in_as_many_looks_as_it_has_operations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each step asks three times for the one before: 3^10 looks, if none were remembered."""
    asked = 0

    class Counted(multiply._Making):
        def by_matrix(self, e: Any) -> bool:
            nonlocal asked
            asked += 1
            return super().by_matrix(e)

    monkeypatch.setattr(multiply, "_Making", Counted)
    weight = torch.nn.Parameter(torch.zeros(4, 6, dtype=torch.float64))
    made = thalweg.optimizer(ByLength)([weight])
    weight.grad = drawn((4, 6), 1, torch.float64)
    made.step()
    y = weight.grad.norm() / (1 + weight.grad.norm())
    for _ in range(10):
        y = y * (1.5 - 0.5 * y * y)
    assert torch.allclose(weight, -LR * y * weight.grad, rtol=1e-12)
    assert 10 < asked < 500
