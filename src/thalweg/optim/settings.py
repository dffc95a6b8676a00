"""What the parameter groups say: read anew only when they say something else."""

from collections.abc import Mapping, Sequence
from typing import Any

from thalweg.formula import Rule, Scalar
from thalweg.formula.chain import WITHOUT
from thalweg.formula.compose import start_value, tested
from thalweg.formula.rule import parts

from . import surface
from .numbers import FIRST_LR, group_numbers

Group = dict[str, Any]
Numbers = dict[str, float]
Switches = tuple[tuple[str, bool], ...]

_PLAIN = (float, int, bool, str, type(None))


class Settings:
    """Numbers and switches of every group, remembered as long as no group has another value."""

    def __init__(self, rule: type[Rule]) -> None:
        self._rule = rule
        self._scalars = {n: s for n, s in parts(rule, Scalar).items() if s.scope != "tensor"}
        self._keys = (*surface.defaults(rule), *self._scalars, *FIRST_LR)
        self._said: object = None
        self._numbers: list[Numbers] = []
        self._switches: tuple[Switches, ...] = ()

    def read(
        self, groups: Sequence[Group], scale: float, common: Switches
    ) -> tuple[list[Numbers], tuple[Switches, ...]]:
        """For each group its numbers, and its switches with the ``common`` ones. ``scale``: see `group_numbers`."""
        by_group = [tuple(map(group.get, self._keys)) for group in groups]
        said = (scale, common, by_group)
        if said != self._said:
            self._numbers = [self._of(group, groups[0], scale) for group in groups]
            self._switches = tuple(
                group_switches(self._rule, group, numbers, common)
                for group, numbers in zip(groups, self._numbers, strict=True)
            )
            # A tensor's value can change under the same object, so it is not remembered.
            self._said = said if all(_plain(value) for values in by_group for value in values) else None
        return self._numbers, self._switches

    def _of(self, group: Group, first: Group, scale: float) -> Numbers:
        found = group_numbers(self._rule, group, scale)
        for name, scalar in self._scalars.items():
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
    return type(value) in _PLAIN or (type(value) is tuple and all(type(v) in _PLAIN for v in value))
