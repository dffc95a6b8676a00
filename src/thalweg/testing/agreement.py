"""The numbers: what the kernel computes is what the formula says, as the torch reader reads it."""

from dataclasses import replace
from itertools import cycle

import torch

from thalweg.formula import State
from thalweg.formula.rule import asks, of_matrices, parts
from thalweg.formula.torch_reader import Trained

from . import oracle
from .cases import FEW, LAYOUTS, MIXED, ROOMY, SHAPES, SIZES, Row, gradients, run, weights
from .judging import close, flat, require, within_ulps
from .subject import Subject
from .suite import Suite

FULL = [torch.float64, torch.float32]
HALF = [torch.bfloat16, torch.float16]
# In float32 a sign or a maximum may fall out the other way in so many weights, over a long run.
SPARED = {torch.float64: 0.0, torch.float32: 1e-3}
# In half precision each step is judged by itself: RAdam's is another from the sixth on.
HALF_STEPS = 7


class Agreement(Suite):
    """Agreement with the float64 oracle."""

    def test_agrees_with_the_oracle(self, subject: Subject) -> None:
        """Weights, states and step counts after many steps, over gradients with zeros and spikes."""
        rows, start = gradients(self.steps, MIXED, spikes=True), weights(torch.float64, MIXED)
        truth = oracle.trained(subject.rule, start, rows, subject.values())
        moved = float((flat(oracle.weights_of(truth)) - flat(start)).norm() / flat(start).norm())
        for dtype in FULL:
            if dtype != torch.float64 and asks(subject.rule, "precision"):  # then the formula is another
                truth = oracle.trained(subject.rule, start, rows, subject.values(precision=dtype))
            params = weights(dtype, MIXED)
            made = subject(params)
            run(made, rows)
            after, near = f"after {self.steps} steps in {dtype}", self.tolerance[dtype]
            small = f"{after} the oracle's weights have moved by {moved:.2g} of their size, too little to compare"
            require(moved > 5 * near, f"{small}: give a larger lr in settings")
            said = "not what the formula says"
            close(params, oracle.weights_of(truth), near, f"{after} the weights are {said}", spared=SPARED[dtype])
            for name, declared in parts(subject.rule, State).items():
                having = [(p, now) for p, now in zip(params, truth, strict=True) if name in now.states]
                if not having:  # under this setting it does not exist
                    continue
                kept, right = [made.state[p][declared.key] for p, _ in having], [now.states[name] for _, now in having]
                close(
                    kept, right, near, f"{after} the state {declared.key!r} is {said}", unit=0.0, spared=SPARED[dtype]
                )
            counted = {float(made.state[p]["step"]) for p in params}
            require(counted == {self.steps}, f"{after} the states have counted {counted}")

    def test_size(self, subject: Subject) -> None:
        """A tensor of each awkward size, alone, and a single number."""
        for shape in [(), *((size,) for size in SIZES)]:
            rows = gradients(5, (shape,))
            truth = oracle.trained(subject.rule, weights(torch.float64, (shape,)), rows, subject.values())
            for dtype in FULL:
                params = weights(dtype, (shape,))
                run(subject(params), rows)
                self.close(params, oracle.weights_of(truth), f"a tensor of {shape} in {dtype}, after 5 steps", dtype)

    def test_half_precision(self, subject: Subject) -> None:
        """A step is computed in float32 from what is stored and rounded once: within a unit in the last place."""
        for dtype in HALF:
            _half(subject, dtype)

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
        first, *others = (oracle.begun(rule, [w], v)[0] for w, v in zip(start, values, strict=True))
        now = oracle.joined(rule, [first], others)
        for row in gradients(8, shapes):
            now = oracle.step(rule, now, [g.double() for g in row], values, group_of)
        for i, arguments in enumerate(own):
            here = slice(size * i, size * (i + 1))
            self.close(
                params[here],
                oracle.weights_of(now[here]),
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
        first = subject.numbers().get("lr")
        changed = [Subject(subject.made, arguments).values(first_lr=first) for arguments in phases]
        truth = oracle.trained(subject.rule, weights(torch.float64), rows, lambda step: changed[step // 3])
        self.close(
            params,
            oracle.weights_of(truth),
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
        counted = [float(made.state[p]["step"]) for p in params]
        require(counted == [5.0] * 3, f"parameters that had 5 gradients each have counted {counted} steps")
        self.close(
            params,
            oracle.weights_of(truth),
            "with gradients missing in some steps the weights are not what the formula says",
        )


def _widened(now: Trained) -> Trained:
    return replace(now, weight=now.weight.float(), states={name: state.float() for name, state in now.states.items()})


def _half(subject: Subject, dtype: torch.dtype) -> None:
    __tracebackhide__ = True
    shapes, values = (*SHAPES, *ROOMY), subject.values(precision=dtype)
    start, layouts = weights(dtype, shapes), cycle(LAYOUTS.values())
    params = [torch.nn.Parameter(layout(p.detach())) for p, layout in zip(start, layouts, strict=False)]
    made, declared_all = subject(params), parts(subject.rule, State)
    now = [_widened(each) for each in oracle.begun(subject.rule, start, values)]
    for number, row in enumerate(gradients(HALF_STEPS, shapes, seed=5), start=1):
        run(made, [row])
        now = oracle.step(subject.rule, now, [g.to(dtype).float() for g in row], values)
        after = f"after step {number} in {dtype}"
        within_ulps(params, oracle.weights_of(now), 1, f"{after} a weight is further than the last place")
        for name, declared in declared_all.items():
            having = [(p, each) for p, each in zip(params, now, strict=True) if name in each.states]
            kept, right = [made.state[p][declared.key] for p, _ in having], [each.states[name] for _, each in having]
            # What a rule keeps in float32 is computed in it, in a few operations; or of matrices, in many.
            ulps = 1 if kept and kept[0].dtype in HALF else 4096 if of_matrices(subject.rule) else 8
            within_ulps(kept, right, ulps, f"{after} the state {declared.key!r} is further than the last place")
        # The next step starts from what is stored.
        states = [
            {name: made.state[p][declared_all[name].key].to(torch.float32, copy=True) for name in each.states}
            for p, each in zip(params, now, strict=True)
        ]
        now = [
            replace(each, weight=p.detach().float(), states=of) for each, p, of in zip(now, params, states, strict=True)
        ]
    moved = any(not torch.equal(p, s) for p, s in zip(params, start, strict=True))
    require(moved, f"{HALF_STEPS} steps in {dtype} moved nothing: give a larger lr in settings")
