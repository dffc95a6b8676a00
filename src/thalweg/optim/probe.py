"""The fast way to find tensors against the plain one: what a process of its own does for `vetted`."""

import json
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch

from . import memory
from .catalogue import OPTIMIZERS
from .native import TorchInterface, unchecked
from .optimizer import Optimizer
from .vetted import ANSWER


def main() -> None:
    """Print what is wrong, in words, as one line; '' if nothing is."""
    print(f"{ANSWER}{json.dumps(problem() or '')}")


def problem() -> str | None:
    """What the fast way does otherwise than the plain one, or why there is none; None if all is the same."""
    found = unchecked()
    if isinstance(found, str):
        return found
    for options in (
        {},
        {"clip_norm": 1e9},
        {"nonfinite": "raise"},
    ):  # steps in one call, and one whose gradients are looked at first
        fast, plain = (list(_trained(way, options)) for way in (found, None))
        for (event, one), (_, other) in zip(fast, plain, strict=True):
            if one != other:
                return f"after {event!r} it finds other tensors than torch has"
    return None


def _trained(way: TorchInterface | None, options: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """What is there after each event: the weights' bits, their versions, who still holds their gradients."""
    setattr(memory, "torch_interface", lambda: way)  # noqa: B010  (mypy refuses the plain assignment)
    made = OPTIMIZERS["adamw"](_parameters(), lr=0.1, **options)
    for event in (_nothing, *_EVENTS, _nothing):
        for i, p in enumerate(_all(made)):
            p.grad = torch.empty_like(p).copy_(torch.sin(torch.arange(p.numel()) + i).view(p.shape))
        event(made)
        params = _all(made)
        before = [p._version for p in params]
        held = [sys.getrefcount(p.grad) for p in params]
        made.step()
        made.step()  # all as it was
        if made._plan is None or made._plan.memory.native != (way is not None):
            raise RuntimeError("the plan does not take the way that is to be checked")
        bits = [p.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes() for p in params]
        versions = [p._version - v for p, v in zip(params, before, strict=True)]
        kept = [sys.getrefcount(p.grad) - count for p, count in zip(params, held, strict=True)]
        grads = [weakref.ref(p.grad) for p in params if p.grad is not None]
        made.zero_grad()
        freed = [grad() is None for grad in grads]
        yield event.__name__.strip("_").replace("_", " "), (bits, versions, kept, freed)


def _parameters() -> list[torch.nn.Parameter]:
    shapes = [(3, 3), (5,), (), (70_000,), (1, 1), (2, 3, 4, 5), *[(64,)] * 100]
    tensors = [torch.linspace(-1, 1, torch.Size(shape).numel()).view(shape) for shape in shapes]
    tensors[5] = tensors[5].to(memory_format=torch.channels_last)
    tensors += [torch.ones(7, dtype=dtype) for dtype in (torch.bfloat16, torch.float16, torch.float64)]
    return [torch.nn.Parameter(tensor) for tensor in tensors]


def _all(made: Optimizer) -> list[torch.Tensor]:
    return [p for group in made.param_groups for p in group["params"]]


def _nothing(made: Optimizer) -> None:
    """As a step usually is."""


def _no_gradient(made: Optimizer) -> None:
    for p in _all(made)[1::3]:
        p.grad = None


def _a_gradient_laid_out_otherwise(made: Optimizer) -> None:
    _all(made)[0].grad = torch.arange(9.0).view(3, 3).t()
    _all(made)[5].grad = torch.ones(2, 3, 4, 5)


def _an_expanded_gradient(made: Optimizer) -> None:
    _all(made)[1].grad = torch.ones(()).expand(5)


def _a_negative_gradient(made: Optimizer) -> None:
    _all(made)[1].grad = torch._neg_view(torch.arange(5.0))


def _other_memory_under_a_weight(made: Optimizer) -> None:
    weight = _all(made)[0]
    weight.data = weight.detach() * 0.5


def _other_memory_under_a_gradient(made: Optimizer) -> None:
    grad = _all(made)[1].grad
    assert grad is not None
    grad.set_(torch.full((5,), 3.0))  # type: ignore[call-overload]


def _a_gradient_that_a_graph_holds(made: Optimizer) -> None:
    _all(made)[1].grad = torch.ones(5, requires_grad=True) * 2


def _a_state_that_is_replaced(made: Optimizer) -> None:
    made.state[_all(made)[0]]["exp_avg"] = torch.zeros(3, 3)


def _a_weight_with_gaps(made: Optimizer) -> None:
    _all(made)[1].data = torch.zeros(10)[::2]


def _a_weight_that_is_added(made: Optimizer) -> None:
    made.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], "lr": 0.5})
    _all(made)[-1].grad = torch.ones(2)


_EVENTS: tuple[Callable[[Optimizer], None], ...] = (
    _no_gradient, _a_gradient_laid_out_otherwise, _an_expanded_gradient, _a_negative_gradient,
    _other_memory_under_a_weight, _other_memory_under_a_gradient, _a_gradient_that_a_graph_holds,
    _a_state_that_is_replaced, _a_weight_with_gaps, _a_weight_that_is_added,
)  # fmt: skip
