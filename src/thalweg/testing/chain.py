"""What stands around the rule: sign, scale, clipping, decay, bad gradients, the average, clearing."""

import copy
import math
from typing import Any

import pytest
import torch

from thalweg.formula.rule import decay_kind
from thalweg.optim import NonFiniteGradient, Optimizer

from . import oracle
from .agreement import oracle_weights
from .cases import FEW, Row, give, gradients, run, weights
from .judging import close, flat, require, same_bits, same_state, within_ulps
from .subject import Subject, params_of
from .suite import Suite

INF, NAN = math.inf, math.nan
# The element type of weights and a gradient's bad value, so that each is tried with each.
BAD = [(torch.float32, NAN), (torch.float64, INF), (torch.bfloat16, -INF)]
# The seed of a step's gradients, or None for a step that must not be.
SPOILED = (None, 0, None, 1, None, None, 2)


class Chain(Suite):
    """The options that every optimizer takes."""

    def test_maximize(self, subject: Subject) -> None:
        """Climbing is descending with the opposite gradients."""
        rows = gradients(4)
        up, down = subject(weights(torch.float32), maximize=True), subject(weights(torch.float32), maximize=False)
        run(up, rows)
        run(down, [[-g for g in row] for row in rows])
        same_bits(params_of(up), params_of(down), "maximize=True is not a descent along the opposite gradients")

    def test_grad_scale(self, subject: Subject) -> None:
        """Gradients of a loss that was multiplied by grad_scale are divided by it."""
        rows = gradients(4)
        scaled, plain = subject(weights(torch.float32)), subject(weights(torch.float32))
        for number, row in enumerate(rows):
            scaled.grad_scale = 2.0**number
            run(scaled, [[2.0**number * g for g in row]])
            run(plain, [row])
        same_bits(params_of(scaled), params_of(plain), "grad_scale does not undo the scale of the gradients")

    @pytest.mark.parametrize("clip_norm", [None, 3.0], ids=["alone", "then by norm"])
    def test_clip_value(self, subject: Subject, clip_norm: float | None) -> None:
        """As torch.nn.utils.clip_grad_value_, and then clip_grad_norm_, before each step."""
        made, plain = (
            subject(weights(torch.float64), clip_value=0.4, clip_norm=clip_norm),
            subject(weights(torch.float64)),
        )
        for row in gradients(6):
            run(made, [row])
            give(params_of(plain), row)
            torch.nn.utils.clip_grad_value_(params_of(plain), 0.4)
            if clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(params_of(plain), clip_norm)
            plain.step()
        close(
            params_of(made),
            params_of(plain),
            self.tolerance[torch.float64],
            "clip_value does not do what torch.nn.utils.clip_grad_value_ does before the step",
        )

    @pytest.mark.parametrize("limit", [0.01, 4.0, INF], ids=str)
    @pytest.mark.parametrize("scope", ["all", "tensor"])
    def test_clip_norm(self, subject: Subject, scope: str, limit: float) -> None:
        """As torch.nn.utils.clip_grad_norm_ before each step, over all parameters or over each; two groups."""
        shapes = (*FEW, *FEW)
        clipped, plain = weights(torch.float64, shapes), weights(torch.float64, shapes)
        made = subject(_two_groups(clipped, subject), clip_norm=limit, clip_scope=scope)
        by_hand = subject(_two_groups(plain, subject))
        for number, row in enumerate(gradients(6, shapes)):
            scaled = [10.0 ** (number % 3 - 1) * g for g in row]
            run(made, [scaled])
            give(plain, scaled)
            for members in [plain] if scope == "all" else [[p] for p in plain]:
                torch.nn.utils.clip_grad_norm_(members, limit)
            by_hand.step()
        close(
            clipped,
            plain,
            self.tolerance[torch.float64],
            f"clip_norm={limit}, clip_scope={scope!r} does not do what torch.nn.utils.clip_grad_norm_ does",
        )

    @pytest.mark.parametrize("options", [{}, {"clip_value": 1.0, "clip_norm": 1.0}], ids=["plain", "clipped"])
    @pytest.mark.parametrize(("dtype", "bad"), BAD, ids=str)
    def test_nonfinite_raise(self, subject: Subject, dtype: torch.dtype, bad: float, options: dict[str, Any]) -> None:
        """A gradient with nan or infinity is named before anything is touched: weights, states, groups, versions."""
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

    @pytest.mark.parametrize("options", [{}, {"clip_value": 1.0, "clip_norm": 1.0}], ids=["plain", "clipped"])
    @pytest.mark.parametrize(("dtype", "bad"), BAD, ids=str)
    def test_nonfinite_skip(self, subject: Subject, dtype: torch.dtype, bad: float, options: dict[str, Any]) -> None:
        """A step that is skipped has not been, also the first: the others are those of an optimizer that never saw it."""
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

    @pytest.mark.parametrize("amp_fused", [False, True], ids=["unscaled before", "amp_fused"])
    def test_overflow_under_a_scaler(self, subject: Subject, amp_fused: bool) -> None:
        """torch.amp.GradScaler: a step that overflowed, also the first, touches nothing; the others are unscaled."""
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

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
    def test_averaged(self, subject: Subject, dtype: torch.dtype) -> None:
        """``ema`` keeps the average that is kept by hand from the same weights, and `averaged` gives them back."""
        params = weights(dtype)
        made, plain = subject(params, ema=0.9), subject(weights(dtype))
        wide = torch.promote_types(dtype, torch.float32)
        by_hand = [p.detach().to(wide, copy=True) for p in params]
        for row in gradients(6):
            run(made, [[*row[:-1], None]])
            run(plain, [[*row[:-1], None]])
            for average, p in zip(by_hand[:-1], params[:-1], strict=True):
                average += 0.1 * (p.detach().to(wide) - average)
        same_bits(params, params_of(plain), "with ema the weights that are trained are others")
        own = [p.detach().clone() for p in params]
        try:
            with made.averaged():
                found = [p.detach().clone() for p in params]
                raise KeyError
        except KeyError:
            pass
        same_bits(params, own, "after averaged(), left by an exception, the weights are not those that were trained")
        if dtype == torch.bfloat16:
            within_ulps(found, by_hand, 1, "averaged() does not show the average of the weights so far")
        else:
            close(found, by_hand, self.tolerance[dtype], "averaged() does not show the average of the weights so far")
        same_bits(found[-1:], own[-1:], "averaged() has changed a weight that was never stepped")

    def test_clear(self, subject: Subject) -> None:
        """With clear=True the step leaves the gradients at 0, where they are, and moves weights as ever."""
        params = weights(torch.float32)
        made, plain = subject(params, clear=True), subject(weights(torch.float32))
        for row in gradients(3):
            give(params, row)
            before = [p.grad for p in params]
            made.step()
            run(plain, [row])
            same = all(p.grad is g and g is not None and not g.any() for p, g in zip(params, before, strict=True))
            require(same, "clear=True has not set the gradients to 0 where they are")
        same_bits(params, params_of(plain), "with clear=True the weights are others")

    @pytest.mark.parametrize("decay", ["l2", "decoupled", "own"])
    def test_weight_decay(self, subject: Subject, decay: str) -> None:
        """Weight decay in each form the rule takes, as the formula of its chain says."""
        kind = decay_kind(subject.rule)
        if kind == "none" or (kind == "own") != (decay == "own"):
            pytest.skip(
                {"none": "the rule takes no weight decay", "own": "the rule does weight decay itself"}.get(
                    kind, "the chain does weight decay"
                )
            )
        arguments = {"weight_decay": 0.2} | ({} if decay == "own" else {"decay": decay})
        made = subject(weights(torch.float64), **arguments)
        run(made, gradients(20))
        truth, without = (
            oracle_weights(oracle.trained(subject.rule, weights(torch.float64), gradients(20), subject.values(**more)))
            for more in (arguments, {**arguments, "weight_decay": 0.0})
        )
        close(params_of(made), truth, self.tolerance[torch.float64], f"weight decay ({decay}) is not what it should be")
        apart = float((flat(truth) - flat(without)).norm())
        require(apart > 1e-9, f"weight decay ({decay}) does nothing to the formula, so this test shows nothing")


def _two_groups(params: list[torch.Tensor], subject: Subject) -> list[dict[str, Any]]:
    half = len(params) // 2
    return [{"params": params[:half]}, {"params": params[half:], "lr": subject.lr / 2}]


def _spoiled(number: int, bad: float) -> Row:
    """A step's gradients, the last of which has two values that are none."""
    *others, last = gradients(number + 1)[number]
    last = last.clone()
    last[[3, 7]] = bad
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
