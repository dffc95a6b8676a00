"""What the parameter groups say: read anew only when they say something else."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.formula import Hyper, Rule, Scalar
from thalweg.formula.chain import NUMBERS, WITHOUT, decay
from thalweg.formula.choices import check_choices
from thalweg.formula.compose import start_value, tested
from thalweg.formula.rule import asks, decay_kind, hypers, inner, once, parts

from . import surface

Group = dict[str, Any]
GroupNumbers = dict[str, float]
Switches = tuple[tuple[str, Any], ...]
RuleOf = Callable[[Group], type[Rule]]
"""The rule that updates a group's parameters."""

_PLAIN = (float, int, bool, str, type(None))


@dataclass(frozen=True, eq=False)
class How:
    """The options of the whole optimizer that decide how a step is taken; see `Optimizer`."""

    clip_norm: float | None
    clip_scope: str
    clip_eps: float
    nonfinite: str
    clear: bool
    capturable: bool = False

    @property
    def guarded(self) -> bool:
        return self.nonfinite != "pass"

    @property
    def apart(self) -> bool:
        """Whether each tensor is clipped by a norm of its own."""
        return self.clip_norm is not None and self.clip_scope == "tensor"


# Where a group's first learning rate is noted: by OneCycleLR, which begins far below its peak; by the optimizer, where
# its decay needs it; by torch's other schedulers.
FIRST_LR = ("max_lr", "first_lr", "initial_lr")


def group_numbers(
    rule: type[Rule], group: Mapping[str, Any], scale: float = 1.0, lr: float | None = None
) -> dict[str, float]:
    """What a parameter group says: the rule's hyperparameters and the chain's numbers.

    ``scale`` is what the loss was multiplied by, and the gradients with it; ``lr`` stands for the group's, if given.
    """
    if lr is not None:  # also for the first one, which schedulers note as a tensor too
        group = {**{key: value for key, value in group.items() if key not in FIRST_LR}, "lr": lr}
    found = {**NUMBERS, **surface.in_force(rule, group)}
    found["unscale"] = (-1.0 if group["maximize"] else 1.0) / scale
    if group["clip_value"] is not None:
        found["clip_value"] = float(group["clip_value"])
    if asks(rule, "first_lr"):
        found["first_lr"] = 0.0
    if "lr" not in found:
        return found
    return found | by_rate(rule, group, float(group["lr"]), found)


def by_rate(rule: type[Rule], group: Mapping[str, Any], lr: Any, known: Mapping[str, float]) -> dict[str, Any]:
    """What follows from a group's learning rate: the rates in force, and what weight decay sets of the chain's numbers.

    ``lr``     a number, or a tensor, of which the results then are.
    ``known``  the group's numbers; of these, weight decay as it is in force.
    """
    scale = float(group["lr_scale"])
    first = scale * first_lr(group, lr)
    lr = lr * scale
    kind = group["decay"] if "decay" in group else decay_kind(rule)
    # A rate of 0 moves nothing, whatever it was at first.
    found = decay(kind, lr, 1.0 if isinstance(first, float) and not first else first, known.get("weight_decay", 0.0))
    found["lr"] = lr
    if "first_lr" in known:
        found["first_lr"] = first
    return found


def first_lr(group: Mapping[str, Any], lr: Any) -> Any:
    """The learning rate before any schedule, as it is noted in the group; else the present one."""
    for key in FIRST_LR:
        if key in group:
            return float(group[key]) if isinstance(lr, float) else group[key]
    return lr


class Settings:
    """Numbers and switches of every group, read anew only where a group has another value."""

    def __init__(self) -> None:
        self.rules: list[type[Rule]] = []
        """The rule of each group that was read: the same list while these are the same."""
        self._keys = _Keys()
        self._whole = _Whole()
        self._common: object = None
        self._said: list[tuple[Any, ...] | None] = []
        self._numbers: list[GroupNumbers] = []
        self._switches: tuple[Switches, ...] = ()

    def asked(self, rule: type[Rule]) -> Sequence[str]:
        """The keys of a group of that rule that numbers and switches follow from."""
        return self._keys[rule]

    def read(
        self, rule_of: RuleOf, groups: Sequence[Group], scale: float, clear: bool, unasked: Collection[int] = ()
    ) -> tuple[list[GroupNumbers], tuple[Switches, ...]]:
        """For each group its numbers, and its switches with that of clearing gradients.

        Both are the same objects as the last time if all is as it was. ``scale``: see `group_numbers`.
        ``unasked``  groups whose learning rate is not to be asked for, since it is on a device: 1 stands for it.
        """
        keys = self._keys
        said: list[tuple[Any, ...]] = [(rule := rule_of(group), *map(group.get, keys[rule])) for group in groups]
        if (scale, clear) != self._common or len(said) != len(self._said):
            self._common, self._said = (scale, clear), [None] * len(said)
            self._numbers, self._switches = [{}] * len(said), ((),) * len(said)
        if said == self._said:
            return self._numbers, self._switches
        rules: list[type[Rule]] = [now[0] for now in said]
        if rules != self.rules:
            self.rules = rules
        numbers, switches = [*self._numbers], [*self._switches]
        remembered: list[tuple[Any, ...] | None] = [*said]
        for i, (own, group, now, before) in enumerate(zip(rules, groups, said, self._said, strict=True)):
            first = rules.index(own)
            if now == before and (said[first] == self._said[first] or not _shares(own)):
                continue
            known = numbers[i]
            if before is not None and now != before and type(now[-1]) is float and now[:-1] == before[:-1]:
                # Only the learning rate: what a scheduler does, of hundreds of groups perhaps.
                changed = by_rate(own, group, now[-1], known)
                numbers[i] = {**known, **changed}
                if [not value for value in changed.values()] == [not known[name] for name in changed]:
                    continue  # no switch depends on more than that
            else:
                numbers[i] = _of(own, group, groups[first], scale, 1.0 if i in unasked else None)
                for name, hyper in self._whole[own]:  # as the constructor does: steps cannot be counted by 2.5
                    if problem := hyper.problem(numbers[i][name]):
                        raise ValueError(f"{inner(own).__name__}: {name} {problem}")
            chosen = group_switches(own, group, numbers[i], (("clear", clear),))
            if chosen != switches[i]:  # a checkpoint or a user may have said what the constructor would have refused
                check_choices(own, inner(own).__name__, dict(chosen))
            switches[i] = chosen
            if not all(map(_plain, now[1:])):
                remembered[i] = None  # a tensor's value can change under the same object
        self._said = remembered
        self._numbers = numbers
        if (found := tuple(switches)) != self._switches:
            self._switches = found
        return self._numbers, self._switches


class _Keys(dict[type[Rule], tuple[str, ...]]):
    """What of a group its numbers and switches depend on, by its rule; the learning rate last."""

    def __missing__(self, rule: type[Rule]) -> tuple[str, ...]:
        scalars = [name for name, scalar in parts(rule, Scalar).items() if scalar.scope != "tensor"]
        keys = (key for key in (*surface.defaults(rule), *scalars, *FIRST_LR) if key != "lr")
        found = self[rule] = (*keys, "lr")
        return found


class _Whole(dict[type[Rule], tuple[tuple[str, Hyper], ...]]):
    """The hyperparameters of a rule that are whole numbers."""

    def __missing__(self, rule: type[Rule]) -> tuple[tuple[str, Hyper], ...]:
        found = self[rule] = tuple((name, hyper) for name, hyper in hypers(rule).items() if hyper.whole)
        return found


@once
def _shares(rule: type[Rule]) -> bool:
    """Whether groups share scalars, which then stand in the first group of the rule."""
    return any(scalar.scope == "all" for scalar in parts(rule, Scalar).values())


def _of(rule: type[Rule], group: Group, first: Group, scale: float, lr: float | None) -> GroupNumbers:
    found = group_numbers(rule, group, scale, lr)
    for name, scalar in parts(rule, Scalar).items():
        if scalar.scope != "tensor":
            # A group that is added later takes part in what all have reached.
            kept = first if scalar.scope == "all" else group
            found[name] = kept.get(name, start_value(scalar.start, found))
    return found


def group_switches(rule: type[Rule], group: Group, numbers: Mapping[str, float], common: Switches) -> Switches:
    """The group's switches, which hyperparameters that an `if` tests are other than 0, and the common ones."""
    own = surface.switches(rule, group)
    tests = ((name, numbers[name] != 0) for name in tested(rule))
    decays = ((switch, numbers[name] == 0) for name, switch in WITHOUT.items())
    return (*own.items(), *tests, *common, *decays)


def _plain(value: Any) -> bool:
    return type(value) in _PLAIN or (type(value) is tuple and all(type(v) in _PLAIN or _plain(v) for v in value))
