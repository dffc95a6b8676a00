"""What a graph that has saved weights or gradients must notice, and gradients that are cleared under it."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch

import thalweg
from attacking import MODES, Marked, drawn, use, weights


@pytest.fixture(params=MODES)
def options(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return use(request.param, monkeypatch)


def clearing(name: str, params: list[torch.Tensor], options: dict[str, Any]) -> Any:
    return getattr(thalweg, name)(params, lr=0.1, clear=True, **options)


class TestClear:
    """``clear`` is a step, then gradients of 0."""

    def test_one_gradient_of_two_parameters(self, options: dict[str, Any]) -> None:
        a, b = (torch.nn.Parameter(torch.zeros(20)) for _ in range(2))
        made = clearing("SGD", [a, b], options)
        for step in (1, 2):
            a.grad = b.grad = torch.ones(20)
            made.step()
            assert not a.grad.any()
            assert a.detach() == pytest.approx(-0.1 * step)
            assert b.detach() == pytest.approx(-0.1 * step)

    @pytest.mark.parametrize(
        "odd",
        [
            pytest.param(lambda n: torch.ones(1).expand(n), id="expanded"),
            pytest.param(lambda n: torch._neg_view(torch.ones(n)), id="negative"),
            pytest.param(lambda n: torch.ones(n, requires_grad=True), id="leaf"),
            pytest.param(lambda n: torch.ones(n).as_subclass(Marked), id="subclass"),
            pytest.param(lambda n: torch.ones(2 * n)[::2], id="strided"),
            pytest.param(lambda n: torch.ones(2 * n)[::2].requires_grad_(), id="strided leaf"),
        ],
    )
    def test_odd_gradients(self, odd: Callable[[int], torch.Tensor], options: dict[str, Any]) -> None:
        a, b = (torch.nn.Parameter(torch.zeros(20)) for _ in range(2))
        made = clearing("SGD", [a, b], options)
        for step in (1, 2):
            a.grad, b.grad = odd(20), torch.ones(20)
            sign = a.grad.sum().sign().item()
            made.step()
            assert not a.grad.any()
            assert not b.grad.any()
            assert a.detach() == pytest.approx(-0.1 * sign * step)
            assert b.detach() == pytest.approx(-0.1 * step)
            assert [float(s["step"]) for s in made.state_dict()["state"].values()] == [step, step]

    def test_one_number_for_a_weight_with_gaps(self, options: dict[str, Any]) -> None:
        weight = torch.nn.Parameter(torch.zeros(40)[::2])
        made = clearing("SGD", [weight], options)
        weight.grad = torch.ones(1).expand(20)
        made.step()
        assert weight.grad is not None
        assert not weight.grad.any()
        assert weight.detach() == pytest.approx(-0.1)

    @pytest.mark.parametrize("mode", ["one call", "clipped", "gathered"])
    def test_inference_gradients(self, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """They cannot be cleared: either that is said before anything moves, or the step is a whole one."""
        weight = torch.nn.Parameter(torch.zeros(20))
        made = clearing("SGD", [weight], use(mode, monkeypatch))
        with torch.inference_mode():
            grad = torch.ones(20)
        weight.grad = grad
        with contextlib.suppress(RuntimeError):
            made.step()
        taken = sum(float(state["step"]) for state in made.state_dict()["state"].values())
        assert weight.detach() == pytest.approx(-0.1 * taken)

    def test_a_weight_that_is_its_own_gradient(self, options: dict[str, Any]) -> None:
        weight = torch.nn.Parameter(torch.ones(20))
        made = clearing("SGD", [weight], options)
        weight.grad = weight.detach()
        made.step()
        assert not weight.any()

    def test_autograd_notices(self, options: dict[str, Any]) -> None:
        """A graph that has saved the gradient, or the weight, must not use what is there now."""
        for saved in ("weight", "gradient"):
            weight = torch.nn.Parameter(torch.ones(3))
            made = clearing("SGD", [weight], options)
            weight.grad = torch.ones(3)
            made.step()
            weight.grad = torch.ones(3)
            factor = torch.ones(3, requires_grad=True)
            loss = (factor * (weight if saved == "weight" else weight.grad)).sum()
            made.step()
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()

    def test_gradients_are_not_touched_without(self, options: dict[str, Any]) -> None:
        weight = torch.nn.Parameter(torch.ones(3))
        made = thalweg.SGD([weight], lr=0.1, **options)
        for _ in range(2):
            weight.grad = torch.ones(3)
            factor = torch.ones(3, requires_grad=True)
            loss = (factor * weight.grad).sum()
            made.step()
            loss.backward()
            assert factor.grad is not None
            assert bool((factor.grad == 1).all())


def test_versions(options: dict[str, Any]) -> None:
    """Raised once a step for weights with a gradient, and for nothing else."""
    params = weights()
    made = thalweg.Adam(params, **options)
    for seed in range(4):
        for i, p in enumerate(params):
            p.grad = drawn(p, i) if (seed + i) % 3 else None
        before = [(p._version, None if p.grad is None else p.grad._version) for p in params]
        made.step()
        for p, (own, grads) in zip(params, before, strict=True):
            assert p._version == own + (p.grad is not None)
            assert grads is None or p.grad._version == grads


@pytest.mark.parametrize("layout", ["contiguous", "strided"])
def test_saved_weights_complain(layout: str, options: dict[str, Any]) -> None:
    memory = torch.ones(40)
    weight = torch.nn.Parameter(memory[:20] if layout == "contiguous" else memory[::2])
    made = thalweg.Adam([weight], **options)
    for _ in range(2):
        weight.grad = torch.ones(20)
        loss = (weight * weight).sum()
        made.step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()
