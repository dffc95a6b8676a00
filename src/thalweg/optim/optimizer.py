"""The optimizer: torch's contract around a rule."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain as chained
from typing import Any, ClassVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.graph import increment_version

from thalweg.formula import Rule, Scalar, Sum, chain
from thalweg.formula.compose import start_value
from thalweg.formula.rule import parts

from . import plan as planning
from . import surface
from .numbers import Rows, group_numbers, rows
from .plan import Plan, Planned
from .watched import WatchedState

# A launch and its numbers for the step that is being taken.
Step = tuple[Planned, Rows]


class NonFiniteGradient(ArithmeticError):
    """A gradient holds nan or infinity; the message names the parameters. Nothing has been updated."""


class Optimizer(torch.optim.Optimizer):
    """A `torch.optim.Optimizer` that runs a rule and the chain around it in one kernel over all parameters.

    Subclasses are made from rules by `optimizer`. Besides the rule's own arguments each takes

    ``maximize``    climb instead of descend;
    ``decay``       ``"l2"`` or ``"decoupled"``, where the rule leaves weight decay to the chain;
    ``clip_value``  limit each coordinate of the gradient to +-clip_value;
    ``clip_norm``   scale the gradients of all parameters together so that their norm is at most clip_norm
                    (as `torch.nn.utils.clip_grad_norm_`; the gradients in memory are not changed);
    ``nonfinite``   what to do when a gradient holds nan or infinity: ``"pass"`` it on like torch, ``"raise"``
                    `NonFiniteGradient`, or ``"skip"`` the whole step (counted in ``skipped_steps``).

    The first three and all of the rule's may differ by parameter group; clip_norm and nonfinite are
    attributes of the optimizer and may be changed between steps.
    """

    rule: ClassVar[type[Rule]]

    def __init__(
        self,
        params: Any,
        *arguments: Any,
        clip_norm: float | None = None,
        nonfinite: str = "pass",
        **options: Any,
    ) -> None:
        name = type(self).__name__
        known = surface.defaults(self.rule)
        positional = [key for key in known if key not in surface.CHAIN]
        if len(arguments) > len(positional):
            raise TypeError(
                f"{name} takes at most {len(positional)} arguments after the parameters, got {len(arguments)}; "
                "the others are given by name"
            )
        by_place = dict(zip(positional, arguments, strict=False))
        if twice := by_place.keys() & options.keys():
            raise TypeError(f"{name} got {twice.pop()!r} twice, by place and by name")
        options = {**by_place, **options}
        surface.check(self.rule, name, options)
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(f"{name}: clip_norm must be above 0, or None for no clipping, got {clip_norm!r}")
        if nonfinite not in surface.NONFINITE:
            raise ValueError(f"{name}: nonfinite must be one of {', '.join(surface.NONFINITE)}, got {nonfinite!r}")
        self.clip_norm = clip_norm
        self.nonfinite = nonfinite
        self.skipped_steps = 0
        self._plan: Plan | None = None
        super().__init__(params, {**known, **options})
        self.state: WatchedState = WatchedState()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with their own hyperparameters; what is not given is as for the others."""
        known = surface.defaults(self.rule)
        given = {key: value for key, value in param_group.items() if key in known}
        surface.check(self.rule, type(self).__name__, {**self.defaults, **given})
        super().add_param_group(param_group)
        self._plan = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.state = WatchedState(self.state)
        self._plan = None
        for options in (self.defaults, *self.param_groups):
            for key in surface.IMPLEMENTATION:  # a torch checkpoint's choice of implementation is not ours
                options.pop(key, None)
        for group in self.param_groups:
            for key, value in self.defaults.items():
                group.setdefault(key, value)

    def state_dict(self) -> dict[str, Any]:
        """As every torch optimizer's: ``state`` by parameter number, ``param_groups`` with all hyperparameters."""
        seen = self.state.seen
        found = super().state_dict()
        # The states' dictionaries stay ours: what a caller does to the result replaces nothing here.
        found["state"] = {k: dict(v) if isinstance(v, dict) else v for k, v in found["state"].items()}
        if not (self._optimizer_state_dict_pre_hooks or self._optimizer_state_dict_post_hooks):
            self.state.seen = seen
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state that this class, or torch's of the same name, has saved."""
        super().load_state_dict(state_dict)
        # torch has cast every state to its weight's type; scalars are float64 whatever the weight is.
        scalars = [name for name, scalar in parts(self.rule, Scalar).items() if scalar.scope == "tensor"]
        saved = [k for group in state_dict["param_groups"] for k in group["params"]] if scalars else []
        params = [p for group in self.param_groups for p in group["params"]]
        for number, param in zip(saved, params, strict=False):
            kept = state_dict["state"].get(number, {})
            self.state.own(param).update({name: kept[name].clone() for name in scalars if name in kept})

    def __getstate__(self) -> dict[str, Any]:
        kept = {**super().__getstate__(), "clip_norm": self.clip_norm, "nonfinite": self.nonfinite}
        return {**kept, "skipped_steps": self.skipped_steps}

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient, once. ``closure`` computes the loss again and returns it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._update()
        return loss

    def _update(self) -> None:
        numbers = [self._group_numbers(group) for group in self.param_groups]
        plan = self._current_plan(numbers)
        steps = [(x, self._rows(x, numbers)) for x in plan.launches]
        guarded = self.nonfinite != "pass"
        # A clip by value would hide an infinity, so what is guarded is the gradient before it.
        squares = self._squares(steps, limited=not guarded) if guarded or self.clip_norm is not None else []
        if guarded and (bad := self._not_finite(plan, squares)):
            self._forget(plan)
            if self.nonfinite == "raise":
                raise NonFiniteGradient(bad)
            self.skipped_steps += 1
            return
        if self.clip_norm is not None:
            if guarded and any(r.limited for _, r in steps):
                squares = self._squares(steps, limited=True)
            total = float(sum(s.sum() for s in squares))
            scale = {"clip_scale": float(chain.norm_scale(total, self.clip_norm))}
            steps = [(x, r.joined(scale)) for x, r in steps]
        steps = self._with_totals(steps)
        for x, r in steps:
            x.launch.update(r, again=bool(squares or parts(self.rule, Sum)))
            np.add(x.steps, 1, out=x.steps)
            # Kernels write behind autograd's back; a graph that still needs the old weights must notice.
            increment_version(x.members.params)
        self._keep_scalars(steps)
        plan.created.clear()

    def _squares(self, steps: Sequence[Step], limited: bool) -> list[NDArray[np.float64]]:
        """For each launch, the sums of its gradients' squares; ``limited``: after the clip by value."""
        return [x.launch.squares(r, limited=limited and r.limited) for x, r in steps]

    def _with_totals(self, steps: list[Step]) -> list[Step]:
        """The rows with the rule's own sums, if it has any."""
        sums = parts(self.rule, Sum)
        if not sums:
            return steps
        found = [x.launch.totals(r) for x, r in steps]
        overall = {name: sum(float(f[name].sum()) for f in found) for name in sums}
        known = [{n: f[n] if s.scope == "tensor" else overall[n] for n, s in sums.items()} for f in found]
        return [(x, r.joined(totals)) for (x, r), totals in zip(steps, known, strict=True)]

    def _current_plan(self, numbers: Sequence[dict[str, float]]) -> Plan:
        """The plan, made anew if what it was made for has changed: groups, switches, gradients present, memory."""
        if not isinstance(self.state, WatchedState):  # somebody gave the optimizer another one
            self.state = WatchedState(self.state)
            self.state.seen = True
        params = list(chained.from_iterable(group["params"] for group in self.param_groups))
        grads = [p.grad for p in params]
        known = zip(self.param_groups, numbers, strict=True)
        switches = tuple(planning.group_switches(self.rule, group, n) for group, n in known)
        if self._plan is None or not self._plan.gather(params, grads, switches, self.state):
            self._plan = planning.make(self.rule, self.param_groups, self.state, switches)
            if not self._plan.gather(params, grads, switches, self.state):
                raise RuntimeError("a gradient does not fit its parameter: " + planning.misfit(self.param_groups))
        return self._plan

    def _group_numbers(self, group: dict[str, Any]) -> dict[str, float]:
        found = group_numbers(self.rule, group)
        for name, scalar in parts(self.rule, Scalar).items():
            if scalar.scope != "tensor":
                # A group that is added later takes part in what all have reached.
                kept = self.param_groups[0] if scalar.scope == "all" else group
                found[name] = kept.get(name, start_value(scalar.start, found))
        return found

    def _forget(self, plan: Plan) -> None:
        """A step that is not taken leaves no trace: drop the states that were created for it."""
        for param in plan.created:
            self.state.drop(param)
        if plan.created:
            self._plan = None

    def _rows(self, planned: Planned, numbers: Sequence[dict[str, float]]) -> Rows:
        """The launch's numbers for the step that is about to be taken."""
        by_tensor = any(total.scope == "tensor" for total in parts(self.rule, Sum).values())
        steps = planned.steps + 1 if planned.counted else None
        # Members step together, so counts that were equal are, unless somebody else has written to them.
        equal = (planned.uniform and not self.state.seen) or bool((planned.steps == planned.steps[0]).all())
        groups = [numbers[i] for i in planned.members.groups]
        return rows(groups, planned.members.group_of, steps, equal or steps is None, planned.scalars, by_tensor)

    def _keep_scalars(self, steps: Sequence[Step]) -> None:
        """Store the scalars' next values: in the tensors' memory, or in the groups."""
        scalars = parts(self.rule, Scalar)
        for planned, row in steps if scalars else ():
            values = planned.next_scalars.many(row.numbers)
            for (name, scalar), value in zip(scalars.items(), values, strict=True):
                if scalar.scope == "tensor":
                    planned.scalars[name][:] = value
                    continue
                if scalar.scope == "all":
                    of_all = row.last(value, 0)
                    for group in self.param_groups:
                        group[name] = of_all
                    continue
                for place, i in enumerate(planned.members.groups):
                    self.param_groups[i][name] = row.last(value, place)

    def _not_finite(self, plan: Plan, squares: Sequence[NDArray[np.float64]]) -> str | None:
        """Which gradients hold nan or infinity, in words; None if none does, even if a sum of squares overflowed."""
        if math.isfinite(sum(float(of.sum()) for of in squares)):
            return None
        named = planning.names(self.param_groups)
        found = []
        for planned, of in zip(plan.launches, squares, strict=True):
            for i in np.flatnonzero(~np.isfinite(of)):
                grad = planned.members.params[i].grad
                assert grad is not None
                if count := int((~torch.isfinite(grad)).sum()):
                    found.append(f"{named[planned.members.places[i]]} ({count} of {grad.numel()} values)")
        if not found:
            return None
        more = f", and {len(found) - 3} more" if len(found) > 3 else ""
        return f"the gradient is not finite in {', '.join(found[:3])}{more}; nothing was updated"


def optimizer(rule: type[Rule]) -> type[Optimizer]:
    """The optimizer class of a rule, with the rule's name and documentation.

    Also a class decorator: above ``class SignMomentum(Rule)`` it makes ``SignMomentum(model.parameters(), lr=1e-3)``
    work, and ``SignMomentum.rule`` is the rule.
    """
    if not (isinstance(rule, type) and issubclass(rule, Rule)):
        raise TypeError(f"thalweg.optimizer takes a Rule, got {rule!r}")
    if taken := {"params", *surface.CHAIN, "clip_norm", "nonfinite", *surface.IMPLEMENTATION} & {*rule.declared}:
        raise TypeError(f"{rule.__name__}.{taken.pop()} has the name of an argument every optimizer takes; rename it")
    members = {
        "rule": rule,
        "__doc__": rule.__doc__,
        "__module__": rule.__module__,
        "__qualname__": rule.__qualname__,
        "__signature__": surface.signature(rule),
    }
    return type(rule.__name__, (Optimizer,), members)


def build(
    rule: type[Rule] | type[Optimizer], params: Any, values: Mapping[str, Any] | None = None, **options: Any
) -> Optimizer:
    """An optimizer from a rule and its own names: ``build(rules.AdamW, params, {"beta1": 0.95}, clip_norm=1.0)``."""
    made = rule if issubclass(rule, Optimizer) else optimizer(rule)
    return made(params, **{**surface.at_surface(made.rule, values or {}), **options})
