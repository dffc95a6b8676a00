"""What stands around the rule: sign, scale, clipping, decay, the average, clearing."""

import math
from itertools import product
from typing import Any

import torch

from thalweg.formula.declared import CHAIN_DECAYS
from thalweg.formula.rule import asks, decay_kind, hypers
from thalweg.schedules import Linear

from . import oracle
from .cases import FEW, give, gradients, run, weights
from .judging import case, flat, require, same_bits, within_ulps
from .subject import Subject, params_of
from .suite import Suite, only


class Chain(Suite):
    """The options that every optimizer takes."""

    def test_maximize(self, subject: Subject) -> None:
        """Climbing is descending with the opposite gradients, whose limits are the same."""
        rows = gradients(4)
        for clip_value in (None, 0.5):
            up = subject(weights(torch.float32), maximize=True, clip_value=clip_value)
            down = subject(weights(torch.float32), maximize=False, clip_value=clip_value)
            run(up, rows)
            run(down, [[-g for g in row] for row in rows])
            same_bits(params_of(up), params_of(down), "maximize=True is not a descent along the opposite gradients")

    def test_grad_scale(self, subject: Subject) -> None:
        """Gradients of a loss that was multiplied by grad_scale are divided by it, before they are clipped."""
        for clip_norm in (None, 3.0):
            with case(f"clip_norm={clip_norm}"):
                rows = gradients(4)
                scaled, plain = (subject(weights(torch.float32), clip_norm=clip_norm) for _ in range(2))
                for number, row in enumerate(rows):
                    scaled.grad_scale = 2.0**number
                    run(scaled, [[2.0**number * g for g in row]])
                    run(plain, [row])
                same_bits(params_of(scaled), params_of(plain), "grad_scale does not undo the scale of the gradients")

    def test_clip_value(self, subject: Subject) -> None:
        """As torch.nn.utils.clip_grad_value_, and then clip_grad_norm_, before each step."""
        for clip_norm in (None, 3.0):
            with case(f"clip_norm={clip_norm}"):
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
                self.close(
                    params_of(made),
                    params_of(plain),
                    "clip_value does not do what torch.nn.utils.clip_grad_value_ does before the step",
                )

    def test_clip_norm(self, subject: Subject) -> None:
        """As torch.nn.utils.clip_grad_norm_ before each step, over all parameters or over each; two groups."""
        for scope, limit in product(("all", "tensor"), (0.01, 4.0, math.inf)):
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
            self.close(
                clipped,
                plain,
                f"clip_norm={limit}, clip_scope={scope!r} does not do what torch.nn.utils.clip_grad_norm_ does",
            )

    def test_averaged(self, subject: Subject) -> None:
        """``ema`` keeps the average that is kept by hand from the same weights, and `averaged` gives them back."""
        for dtype in (torch.float64, torch.bfloat16):
            with case(dtype):
                params = weights(dtype)
                made, plain = subject(params, ema=0.9), subject(weights(dtype))
                wide = torch.promote_types(dtype, torch.float32)
                by_hand = [p.detach().to(wide, copy=True) for p in params]
                for t, row in enumerate(gradients(6), 1):
                    run(made, [[*row[:-1], None]])
                    run(plain, [[*row[:-1], None]])
                    for average, p in zip(by_hand[:-1], params[:-1], strict=True):
                        average += (1 - min(0.9, (1 + t) / (10 + t))) * (p.detach().to(wide) - average)
                same_bits(params, params_of(plain), "with ema the weights that are trained are others")
                own = [p.detach().clone() for p in params]
                try:
                    with made.averaged():
                        found = [p.detach().clone() for p in params]
                        raise KeyError
                except KeyError:
                    pass
                same_bits(
                    params, own, "after averaged(), left by an exception, the weights are not those that were trained"
                )
                if dtype == torch.bfloat16:
                    within_ulps(found, by_hand, 1, "averaged() does not show the average of the weights so far")
                else:
                    self.close(found, by_hand, "averaged() does not show the average of the weights so far")
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

    @only(lambda _, subject: decay_kind(subject.rule) != "none")
    def test_weight_decay(self, subject: Subject) -> None:
        """Weight decay in each form the rule takes, as the formula of its chain says."""
        own = decay_kind(subject.rule) == "own"
        for decay in ("own",) if own else CHAIN_DECAYS:
            self._decays(subject, decay, {"weight_decay": 0.2} | ({} if own else {"decay": decay}))

    @only(lambda _, subject: "lr" in hypers(subject.rule))
    def test_scales(self, subject: Subject) -> None:
        """A group's lr_scale and decay_scale multiply its numbers."""
        scaled, plain = {"lr": subject.lr, "lr_scale": 0.5}, {"lr": 0.5 * subject.lr}
        if decay_kind(subject.rule) != "none":
            scaled, plain = {**scaled, "weight_decay": 0.5, "decay_scale": 0.25}, {**plain, "weight_decay": 0.125}
        ours, theirs = (subject(weights(torch.float64), **arguments) for arguments in (scaled, plain))
        for each in (ours, theirs):
            run(each, gradients(8))
        otherwise = "lr_scale=0.5 is not half the learning rate, or decay_scale=0.25 no quarter of weight decay"
        same_bits(params_of(ours), params_of(theirs), otherwise)

    @only(lambda _, subject: asks(subject.rule, "lr"))
    def test_schedule(self, subject: Subject) -> None:
        """What follows a schedule by the step is as if it were set by hand before each."""
        followed = subject(weights(torch.float64), schedule=Linear(steps=4))
        by_hand = subject(weights(torch.float64))
        run(followed, gradients(4))
        for left, row in zip((4, 3, 2, 1), gradients(4), strict=True):
            by_hand.param_groups[0]["lr"] = subject.lr * left / 4
            run(by_hand, [row])
        same_bits(params_of(followed), params_of(by_hand), "with a schedule the weights are not those of its rates")

    def _decays(self, subject: Subject, decay: str, arguments: dict[str, Any]) -> None:
        __tracebackhide__ = True
        made = subject(weights(torch.float64), **arguments)
        run(made, gradients(20))

        def by_formula(**more: Any) -> list[torch.Tensor]:
            values = subject.values(**{**arguments, **more})
            return oracle.weights_of(oracle.trained(subject.rule, weights(torch.float64), gradients(20), values))

        truth, without = by_formula(), by_formula(weight_decay=0.0)
        self.close(params_of(made), truth, f"weight decay ({decay}) is not what it should be")
        apart = float((flat(truth) - flat(without)).norm())
        require(apart > 1e-9, f"weight decay ({decay}) does nothing to the formula, so this test shows nothing")


def _two_groups(params: list[torch.Tensor], subject: Subject) -> list[dict[str, Any]]:
    half = len(params) // 2
    return [{"params": params[:half]}, {"params": params[half:], "lr": subject.lr / 2}]
