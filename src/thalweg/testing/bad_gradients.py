"""Gradients that are not finite: a step that is refused, skipped or found to have overflowed has not been."""

import copy
import math
from itertools import product
from typing import Any

import pytest
import torch

from thalweg.optim import NonFiniteGradient, Optimizer

from .cases import Row, give, gradients, run, weights
from .judging import case, require, same_bits, same_state
from .subject import Subject, params_of
from .suite import Suite

INF, NAN = math.inf, math.nan
# The element type of weights and a gradient's bad value, so that each is tried with each.
BAD = [(torch.float32, NAN), (torch.float64, INF), (torch.bfloat16, -INF)]
CLIPPED: list[dict[str, Any]] = [{}, {"clip_value": 1.0, "clip_norm": 1.0}]
# The seed of a step's gradients, or None for a step that must not be.
SPOILED = (None, 0, None, 1, None, None, 2)


class BadGradients(Suite):
    """Nothing is touched because of a gradient with nan or infinity in it, and nothing left behind."""

    def test_nonfinite_raise(self, subject: Subject) -> None:
        """A gradient with nan or infinity is named before anything is touched: weights, states, groups, versions."""
        for (dtype, bad), options in product(BAD, CLIPPED):
            with case(f"{dtype}, {options}"):
                self._raises(subject, dtype, bad, options)

    def _raises(self, subject: Subject, dtype: torch.dtype, bad: float, options: dict[str, Any]) -> None:
        __tracebackhide__ = True
        params = weights(dtype)
        made = subject(params, nonfinite="raise", **options)
        for number in range(3):
            before = _everything(made)
            give(params, _spoiled(number, bad))
            try:
                made.step()
            except NonFiniteGradient as refusal:
                said = str(refusal)
            else:
                pytest.fail(f"a gradient with {bad} was taken as if it were a number")
            require("(2 of 17 values)" in said, f"the message does not name the parameter and how many values: {said}")
            _untouched(made, before, f"a step refused because of {bad} in a gradient")
            run(made, gradients(number + 1)[number:])

    def test_nonfinite_skip(self, subject: Subject) -> None:
        """A step that is skipped has not been, also the first: the others are as if nobody had seen it."""
        for (dtype, bad), options in product(BAD, CLIPPED):
            with case(f"{dtype}, {options}"):
                self._skips(subject, dtype, bad, options)

    def _skips(self, subject: Subject, dtype: torch.dtype, bad: float, options: dict[str, Any]) -> None:
        __tracebackhide__ = True
        params = weights(dtype)
        made, clean = subject(params, nonfinite="skip", **options), subject(weights(dtype), **options)
        for seed in SPOILED:
            if seed is None:
                before = _everything(made)
                give(params, _spoiled(5, bad))
                made.step()
                _untouched(made, before, f"a step skipped because of {bad} in a gradient")
            else:
                run(made, gradients(seed + 1)[seed:])
                run(clean, gradients(seed + 1)[seed:])
        require(made.skipped_steps == 4, f"4 steps were skipped, skipped_steps is {made.skipped_steps}")
        same_bits(params, params_of(clean), "steps that were skipped have left something behind: the weights")
        same_state(made.state_dict(), clean.state_dict(), "steps that were skipped have left something behind")

    def test_overflow_under_a_scaler(self, subject: Subject) -> None:
        """torch.amp.GradScaler: a step that overflowed, also the first, touches nothing; the others are unscaled."""
        for amp_fused in (False, True):
            with case(f"amp_fused={amp_fused}"):
                self._overflows(subject, amp_fused)

    def _overflows(self, subject: Subject, amp_fused: bool) -> None:
        __tracebackhide__ = True
        params = weights(torch.float32)
        made, clean = subject(params, amp_fused=amp_fused), subject(weights(torch.float32))
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=1000)
        for seed in SPOILED:
            scaler.scale(torch.ones(1))
            row = _spoiled(5, INF) if seed is None else gradients(seed + 1)[seed]
            give(params, [None if g is None else g * scaler.get_scale() for g in row])
            before = _everything(made)
            scaler.step(made)
            scaler.update()
            if seed is None:
                _untouched(made, before, "a step whose gradients overflowed under the scaler")
            else:
                run(clean, [row])
        same_bits(params, params_of(clean), "training under a GradScaler differs from training without")
        same_state(made.state_dict(), clean.state_dict(), "training under a GradScaler differs from training without")


def _spoiled(number: int, bad: float) -> Row:
    """A step's gradients, the last of which has two values that are none."""
    *others, last = gradients(number + 1)[number]
    last = last.clone()
    last.view(-1)[[3, 7]] = bad
    return [*others, last]


def _everything(made: Optimizer) -> Any:
    """All that a step may change, copied."""
    params = params_of(made)
    return copy.deepcopy(([p.detach() for p in params], made.state_dict(), [p._version for p in params]))


def _untouched(made: Optimizer, before: Any, what: str) -> None:
    __tracebackhide__ = True
    now = _everything(made)
    same_bits(now[0], before[0], f"{what} has changed weights")
    same_state(now[1], before[1], f"{what} has changed the state")
    require(now[2] == before[2], f"{what} has raised the version of a weight")
