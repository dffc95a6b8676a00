"""Comparisons that say in words what was wrong."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch

Tensors = Sequence[torch.Tensor]


def require(condition: object, otherwise: str) -> None:
    """Fail with a sentence unless the condition holds."""
    __tracebackhide__ = True
    if not condition:
        pytest.fail(otherwise)


@contextmanager
def case(name: object) -> Iterator[None]:
    """Whatever fails within says that it was this case: a test tries many, since each test has a cost of its own."""
    __tracebackhide__ = True
    try:
        yield
    except pytest.fail.Exception as failure:
        failure.msg = f"{name}: {failure.msg}"
        raise
    except Exception as error:
        error.add_note(f"in the case: {name}")
        raise


def same_bits(found: Tensors, expected: Tensors, otherwise: str) -> None:
    """Fail unless all values are the same: a nan where a nan is expected, and no value one bit off."""
    __tracebackhide__ = True
    for i, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        _judge(i, ours, theirs, lambda a, b: (a == b) | (a.isnan() & b.isnan()), otherwise)


def within_ulps(found: Tensors, expected: Tensors, ulps: int, otherwise: str) -> None:
    """Fail unless every value is at most so many units in the last place from the expected one, in its own type.

    Where a difference comes out near 0, what float32 has rounded away of its terms may be more than that.
    """
    __tracebackhide__ = True

    def close(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        kind, size = torch.finfo(ours.dtype), theirs.double().abs()
        allowed = ulps * kind.eps * size.clamp_min(kind.tiny)
        rounded = 4 * torch.finfo(torch.float32).eps * size.nan_to_num(0.0, 0.0).square().mean().sqrt()
        near = (ours.double() - theirs.double()).abs() <= allowed + rounded
        return (ours == theirs) | (ours.isnan() & theirs.isnan()) | near

    for i, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        _judge(i, ours, theirs.to(ours.dtype), close, otherwise)


def close(
    found: Tensors, expected: Tensors, tolerance: float, otherwise: str, *, unit: float = 1.0, spared: float = 0.0
) -> None:
    """Fail unless the distance of all values together is below ``tolerance``, relative to the size of the expected.

    ``unit``    the least size of a value to count with: weights here start around 1, and may happen to be near 0.
    ``spared``  the share of values, the furthest off, that do not count. A rule that takes a sign or a maximum may in
                float32 come down on the other side in one weight of many thousand, and is right to.
    """
    __tracebackhide__ = True
    ours, theirs = flat(found), flat(expected)
    require(
        theirs.isfinite().all(), f"{otherwise}: what is expected is not finite itself; try a smaller lr in settings"
    )
    errors = (ours - theirs).abs()
    worst = int(errors.nan_to_num(math.inf, math.inf).argmax()) if len(errors) else 0
    kept = errors.nan_to_num(math.inf, math.inf).sort().values[: len(errors) - int(spared * len(errors))]
    size = max(float(theirs.norm()), unit * math.sqrt(len(theirs)))
    distance = float(kept.norm())
    if not distance <= tolerance * size:
        pytest.fail(
            f"{otherwise}: off by {distance / size if size else distance:.2g} of their size, allowed is "
            f"{tolerance:.2g}; furthest is {_place(worst, expected)}: {ours[worst]:.9g} instead of {theirs[worst]:.9g}"
        )


def same_state(found: Any, expected: Any, otherwise: str, at: str = "state_dict()") -> None:
    """Fail unless two state_dicts hold the same keys, types and bits."""
    __tracebackhide__ = True
    if isinstance(expected, torch.Tensor):
        alike = isinstance(found, torch.Tensor) and (found.dtype, found.shape) == (expected.dtype, expected.shape)
        require(alike, f"{otherwise}: {at} is {_kind(found)} instead of {_kind(expected)}")
        same_bits([found], [expected], f"{otherwise}: {at}")
    elif isinstance(expected, dict):
        keys = [*found] if isinstance(found, dict) else found
        require(
            isinstance(found, dict) and found.keys() == expected.keys(),
            f"{otherwise}: {at} has {keys} instead of {[*expected]}",
        )
        for key, value in expected.items():
            same_state(found[key], value, otherwise, f"{at}[{key!r}]")
    elif isinstance(expected, list | tuple):
        require(isinstance(found, list | tuple) and len(found) == len(expected), f"{otherwise}: {at} is {found!r}")
        for i, value in enumerate(expected):
            same_state(found[i], value, otherwise, f"{at}[{i}]")
    else:
        require(found == expected, f"{otherwise}: {at} is {found!r} instead of {expected!r}")


def flat(tensors: Tensors) -> torch.Tensor:
    """All values in one float64 vector."""
    return torch.cat([t.detach().double().reshape(-1) for t in tensors])


def _judge(
    number: int,
    ours: torch.Tensor,
    theirs: torch.Tensor,
    like: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    otherwise: str,
) -> None:
    __tracebackhide__ = True
    wrong = ~like(ours.detach(), theirs.detach()).reshape(-1)
    if wrong.any():
        at = int(wrong.nonzero()[0])
        pytest.fail(
            f"{otherwise}: {int(wrong.sum())} of {ours.numel()} values of tensor {number} {tuple(ours.shape)} differ; "
            f"value {at} is {ours.reshape(-1)[at]:.9g} instead of {theirs.reshape(-1)[at]:.9g}"
        )


def _place(index: int, tensors: Tensors) -> str:
    for i, tensor in enumerate(tensors):
        if index < tensor.numel():
            return f"value {index} of tensor {i} {tuple(tensor.shape)}"
        index -= tensor.numel()
    return "nothing"


def _kind(value: Any) -> str:
    return f"a tensor {tuple(value.shape)} of {value.dtype}" if isinstance(value, torch.Tensor) else repr(value)
