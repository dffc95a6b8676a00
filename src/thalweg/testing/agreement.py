"""The numbers: what the kernel computes is what the formula says, as the torch reader reads it."""

from dataclasses import replace

import pytest
import torch

from thalweg.formula.compose import live_states
from thalweg.formula.torch_reader import Trained
from thalweg.optim import Optimizer

from . import oracle
from .cases import FEW, SHAPES, SIZES, Row, give, gradients, run, weights
from .judging import close, flat, require, within_ulps
from .subject import Subject
from .suite import Suite

FULL = [torch.float64, torch.float32]
HALF = [torch.bfloat16, torch.float16]
# In float32 a sign or a maximum may fall out the other way in so many weights, over a long run.
SPARED = {torch.float64: 0.0, torch.float32: 1e-3}


class Agreement(Suite):
    """Agreement with the float64 oracle."""

    @pytest.mark.parametrize("dtype", FULL, ids=str)
    def test_agrees_with_the_oracle(self, subject: Subject, dtype: torch.dtype) -> None:
        """Weights, states and step counts after many steps, over gradients with zeros and spikes."""
        rows = gradients(self.steps, SHAPES, spikes=True)
        params, tolerance = weights(dtype, SHAPES), self.tolerance[dtype]
        made = subject(params)
        run(made, rows)
        truth = oracle.trained(subject.rule, weights(dtype, SHAPES), rows, subject.values())
        moved = float((flat(oracle_weights(truth)) - flat(weights(dtype, SHAPES))).norm() / flat(params).norm())
        require(
            moved > 5 * tolerance,
            f"in {self.steps} steps the oracle's weights moved by {moved:.2g} of their "
            "size, too little for agreement to mean anything: give a larger lr in settings",
        )
        after = f"after {self.steps} steps in {dtype} the weights are not what the formula says"
        close(params, oracle_weights(truth), tolerance, after, spared=SPARED[dtype])
        for name, declared in live_states(subject.rule, subject.values()).items():
            kept = [made.state[p][declared.key] for p in params]
            close(
                kept,
                [now.states[name] for now in truth],
                tolerance,
                f"after {self.steps} steps in {dtype} the state {declared.key!r} is not what the formula says",
                unit=0.0,
                spared=SPARED[dtype],
            )
        counted = [float(made.state[p]["step"]) for p in params]
        require(
            counted == [self.steps] * len(params), f"after {self.steps} steps the states' step counts are {counted}"
        )

    @pytest.mark.parametrize("dtype", FULL, ids=str)
    @pytest.mark.parametrize("size", [*SIZES, "a single number"])
    def test_size(self, subject: Subject, size: int | str, dtype: torch.dtype) -> None:
        """A tensor of each awkward size, alone."""
        shapes = ((),) if isinstance(size, str) else ((size,),)
        rows, params = gradients(5, shapes), weights(dtype, shapes)
        run(subject(params), rows)
        truth = oracle.trained(subject.rule, weights(dtype, shapes), rows, subject.values())
        close(params, oracle_weights(truth), self.tolerance[dtype], f"a tensor of {size} in {dtype}, after 5 steps")

    @pytest.mark.parametrize("dtype", HALF, ids=str)
    def test_half_precision(self, subject: Subject, dtype: torch.dtype) -> None:
        """Each step is computed in float32 from what is stored and rounded once: at most one unit in the last place."""
        params, values = weights(dtype, SHAPES), subject.values()
        made = subject(params)
        now = [_widened(each) for each in oracle.begun(subject.rule, params, values)]
        start = [p.detach().clone() for p in params]
        for number, row in enumerate(gradients(20, SHAPES, seed=5), start=1):
            give(params, row)
            made.step()
            stored = [None if p.grad is None else p.grad.float() for p in params]
            now = oracle.step(subject.rule, now, stored, values)
            after = f"after step {number} in {dtype}"
            within_ulps(params, oracle_weights(now), 1, f"{after} a weight is further than one unit in the last place")
            now = self._stored(subject, made, now, params, after)
        require(
            any(not torch.equal(p, s) for p, s in zip(params, start, strict=True)),
            f"20 steps in {dtype} moved nothing: give a larger lr in settings",
        )

    def test_groups_have_their_own_numbers(self) -> None:
        """A parameter group for each setting, with rates of their own, and one with every number changed."""
        subjects = self.subjects()
        rule, base = subjects[0].rule, subjects[0]
        own = [{**s.arguments, "lr": s.lr * (1 + i / 4)} for i, s in enumerate(subjects)] + [base.shifted(0.9)]
        shapes = FEW * len(own)
        group_of = [i for i in range(len(own)) for _ in FEW]
        params = weights(torch.float64, shapes)
        size = len(FEW)
        groups = [{"params": params[size * i : size * (i + 1)], **arguments} for i, arguments in enumerate(own)]
        run(base.made(groups), gradients(8, shapes))
        values = [Subject(base.made, own[i]).values() for i in group_of]
        start = weights(torch.float64, shapes)
        now = [oracle.begun(rule, [w], v)[0] for w, v in zip(start, values, strict=True)]
        for row in gradients(8, shapes):
            now = oracle.step(rule, now, [g.double() for g in row], values, group_of)
        for i, arguments in enumerate(own):
            here = slice(size * i, size * (i + 1))
            close(
                params[here],
                oracle_weights(now[here]),
                self.tolerance[torch.float64],
                f"group {i} of {len(own)}, with {dict(arguments)}, is not updated as its own numbers say",
            )

    def test_numbers_are_read_at_each_step(self, subject: Subject) -> None:
        """Every hyperparameter of a group may be changed between steps, as schedulers do."""
        phases = [dict(subject.arguments), subject.shifted(0.9), subject.shifted(0.7)]
        rows, params = gradients(9), weights(torch.float64)
        made = subject(params)
        for phase, arguments in enumerate(phases):
            made.param_groups[0].update(arguments)
            run(made, rows[3 * phase : 3 * phase + 3])
        changed = [Subject(subject.made, arguments).values() for arguments in phases]
        truth = oracle.trained(subject.rule, weights(torch.float64), rows, lambda step: changed[step // 3])
        close(
            params,
            oracle_weights(truth),
            self.tolerance[torch.float64],
            "numbers of the group that are changed between steps are not those the step takes",
        )

    def test_missing_gradients_count_by_parameter(self, subject: Subject) -> None:
        """A parameter's steps are those it has had a gradient for, wherever the others are."""
        present = ("abc", "a", "bc", "", "c", "abc", "ab", "abc")
        rows: list[Row] = [
            [g if name in seen else None for name, g in zip("abc", row, strict=True)]
            for seen, row in zip(present, gradients(len(present)), strict=True)
        ]
        params = weights(torch.float64)
        made = subject(params)
        run(made, rows)
        truth = oracle.trained(subject.rule, weights(torch.float64), rows, subject.values())
        close(
            params,
            oracle_weights(truth),
            self.tolerance[torch.float64],
            "with gradients missing in some steps the weights are not what the formula says",
        )
        counted = [float(made.state[p]["step"]) for p in params]
        require(counted == [5.0] * 3, f"parameters that had 5 gradients each have counted {counted} steps")

    def _stored(
        self, subject: Subject, made: Optimizer, now: list[Trained], params: list[torch.Tensor], after: str
    ) -> list[Trained]:
        """The oracle's next step starts from what the optimizer has stored, after a look at the states."""
        live = live_states(subject.rule, subject.values())
        for name, declared in live.items():
            kept = [made.state[p][declared.key] for p in params]
            # What a rule keeps in float32 is computed in it, in a few operations.
            ulps = 1 if kept[0].dtype in HALF else 8
            within_ulps(kept, [each.states[name] for each in now], ulps, f"{after} the state {declared.key!r}")
        return [
            replace(
                each,
                weight=p.detach().float(),
                states={name: made.state[p][declared.key].float() for name, declared in live.items()},
            )
            for each, p in zip(now, params, strict=True)
        ]


def oracle_weights(truth: list[Trained]) -> list[torch.Tensor]:
    """The weights that the oracle arrived at."""
    return [now.weight for now in truth]


def _widened(now: Trained) -> Trained:
    return replace(now, weight=now.weight.float(), states={name: state.float() for name, state in now.states.items()})
