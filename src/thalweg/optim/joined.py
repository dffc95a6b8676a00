"""Several rules in one optimizer: its own, and beside it those that some of its parameter groups name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from thalweg.formula import Rule, Scalar
from thalweg.formula.compose import start_value
from thalweg.formula.rule import asks, parts, tests_other_weights

from . import readouts, surface
from .configured import Configured, configured
from .named import OPTIMIZERS, optimizer_named
from .settings import Group

# What is said of the loss or of the weights to test, whichever rule moves them: as the optimizer has it, where neither
# the group nor its rule says otherwise.
_COMMON = ("maximize", "clip_value", "ema", "ema_warmup", *readouts.KEYS)


@dataclass(frozen=True)
class Part:
    """A rule of an optimizer: its class, what was asked of its groups, and the rule with all that goes around it."""

    made: type[Any]
    options: Mapping[str, Any]
    whole: type[Rule]

    @property
    def name(self) -> str:
        """What groups call it."""
        return str(self.made.rule.__name__)

    def around(self, groups: Sequence[Mapping[str, Any]]) -> "Part":
        """With what these groups are to be read out of around it."""
        return replace(self, whole=readouts.around(self.whole, groups))


def named(name: str, rule: object, what: str = "a group's rule") -> Configured:
    """What a group calls its ``rule``: a name of the catalogue, an optimizer's class, or one with options.

    ``name`` is what the user called, ``what`` the argument or key that he gave. Raises TypeError for anything else,
    ValueError for a name that there is not.
    """
    if isinstance(rule, Configured):
        return rule
    if isinstance(rule, str):
        return configured(optimizer_named(rule), {})
    if isinstance(rule, type) and isinstance(getattr(rule, "rule", None), type):
        return configured(rule, {})
    raise TypeError(
        f"{name}: {what} is a name, 'AdamW', an optimizer's class, thalweg.AdamW, or that with options, "
        f"thalweg.AdamW(lr=3e-4); got {_instead(rule)}"
    )


def _instead(rule: object) -> str:
    """What was given for a rule, and what to write in its place."""
    kind: Any = rule if isinstance(rule, type) else type(rule)
    if not issubclass(kind, torch.optim.Optimizer):
        return repr(rule)
    own = hasattr(kind, "rule")
    known = kind if own else OPTIMIZERS.get(kind.__name__.lower())
    called = kind.__name__ if own else f"{kind.__module__}.{kind.__name__}"
    has = "" if rule is kind else ", an optimizer that has parameters: it is given without its parameters"
    write = f"; write thalweg.{known.__name__}" if known is not None and not own else ""
    return f"{called}{has}{write}"


def _refuse_foreign(found: Part, group: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Raise for what a group cannot have that is updated by a rule beside the optimizer's own, which has ``defaults``.

    TypeError for an option of the latter, ValueError for readouts of a rule that tests other weights.
    """
    known = surface.defaults(found.whole)
    none = "weight_decay" if not group.get("weight_decay") else ""  # who has none may say so
    if foreign := [key for key in group if key in defaults and key not in known and key != none]:
        raise TypeError(f"{found.name} takes no {foreign[0]!r}, which a group of it has; it takes {', '.join(known)}")
    if tests_other_weights(found.made.rule) and (group.get("readouts") or defaults.get("readouts")):
        raise ValueError(
            f"{found.name} tests other weights of its own than those it trains, which an average of the latter would "
            "hide: leave readouts out, and use optimizer.averaged()"
        )


class Rules:
    """The rules of an optimizer: its ``own``, and by name those ``beside`` it. Which one updates a group is asked here.

    ``made``  the optimizer's class.
    """

    def __init__(self, made: type[Any]) -> None:
        self.own = Part(made, {}, made.whole)
        self.beside: dict[str, Part] = {}

    def of(self, group: Mapping[str, Any]) -> Part:
        """The rule of a group; ValueError for a name that has been written there and that none of them has."""
        name: Any = group.get("rule")
        if (found := self.beside.get(name)) is not None:
            return found
        if name is None or name == self.own.name:
            return self.own
        raise ValueError(
            f"a group's rule is {name!r}, and the optimizer's are {', '.join((self.own.name, *self.beside))}: "
            "another one comes with add_param_group"
        )

    def usual(self, part: Part, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """What a group has that says nothing, by the optimizer's ``defaults``."""
        if self.is_own(part):
            return {**surface.defaults(part.whole), **defaults, **part.options}
        common = {key: defaults[key] for key in _COMMON if key in defaults}
        return {**surface.defaults(part.whole), **common, **part.options}

    def is_own(self, part: Part) -> bool:
        """Whether this is the optimizer's own rule."""
        return part.made.rule is self.own.made.rule

    def joining(self, group: Mapping[str, Any], defaults: Mapping[str, Any]) -> Part:
        """The rule that is to update a new group, which may be one that is not here yet; what group and rule say.

        Raises as `named` and `_refuse_foreign`; and ValueError for two rules of one name.
        """
        asked, called = group.get("rule", self.own.name), self.own.made.__name__
        if isinstance(asked, str) and asked in (self.own.name, *self.beside):
            found = self.of(group)
        else:
            new = named(called, asked)
            found = Part(new.made, new.options, new.made.whole)
            known = self.own if self.is_own(found) else self.beside.get(found.name, found)
            if known.made.rule is not found.made.rule or (found.name == self.own.name and known is not self.own):
                raise ValueError(f"{called}: two of its rules are called {found.name}, by which groups say theirs")
            found = replace(known, options=found.options) if new.given else known
        surface.check_group(found.whole, found.made.__name__, group)
        if not self.is_own(found):
            _refuse_foreign(found, group, defaults)
        return found.around([group])  # a group of another optimizer may have readouts

    def joined(self, part: Part, groups: list[Group], defaults: Mapping[str, Any]) -> None:
        """The last of these groups has come, and is updated by this rule."""
        if not self.is_own(part):
            self.beside.setdefault(part.name, part)
        groups[-1].pop("rule", None)
        if self.beside:
            groups[-1]["rule"] = part.name
        self.write(groups, defaults)

    def write(self, groups: list[Group], defaults: Mapping[str, Any]) -> None:
        """Have every group say its rule, where there are several; where all are by one, none does, as in torch."""
        for place, group in enumerate(groups) if self.beside else ():
            group.setdefault("rule", self.own.name)
            if not self.is_own(self.of(group)):
                groups[place] = _as_cycled(group, defaults)

    def start_scalars(self, groups: Sequence[Group]) -> None:
        """Give the last of these groups, a new one, its scalars; in what is kept for all of its rule it takes part."""
        group, part = groups[-1], self.of(groups[-1])
        first = next(each for each in groups if self.of(each) is part)
        numbers = surface.in_force(part.whole, group)
        if group.get("decay") in ("independent", "corrected") or asks(part.whole, "first_lr"):
            group.setdefault("first_lr", float(group["lr"]))
        for name, scalar in parts(part.whole, Scalar).items():
            if scalar.scope != "tensor":
                start = start_value(scalar.start, numbers)
                group.setdefault(name, first.get(name, start) if scalar.scope == "all" else start)

    def around(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """From now on with what these groups are to be read out of around all of them."""
        self.own = self.own.around(groups)
        self.beside = {name: part.around(groups) for name, part in self.beside.items()}

    def __getstate__(self) -> dict[str, Any]:
        # What goes around a rule stands in no module.
        return {"made": self.own.made, "beside": [(part.made, part.options) for part in self.beside.values()]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["made"])  # type: ignore[misc]
        beside = [Part(made, options, made.whole) for made, options in state["beside"]]
        self.beside = {part.name: part for part in beside}


class Cycled(dict[str, Any]):
    """A group whose rule has its momentum otherwise than the optimizer's own: as ``betas``, or as ``momentum``.

    torch's schedulers that cycle momentum (OneCycleLR, CyclicLR) ask `Optimizer.defaults` once which of the two it is,
    and read and write that in every group.
    """

    def __missing__(self, key: str) -> Any:
        if key == "betas" and "momentum" in self:
            return (self["momentum"],)
        raise KeyError(f"betas: {self._none}" if key == "betas" else key)

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in ("betas", "momentum") or key in self:
            super().__setitem__(key, value)
        elif key == "momentum" and "betas" in self:
            super().__setitem__("betas", (value, *self["betas"][1:]))
        elif key == "betas" and "momentum" in self:
            super().__setitem__("momentum", value[0])
        else:
            raise ValueError(self._none)

    @property
    def _none(self) -> str:
        return f"{self['rule']} has no momentum that a scheduler could cycle: make that with cycle_momentum=False"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


def _as_cycled(group: Group, defaults: Mapping[str, Any]) -> Group:
    """The group of another rule in an optimizer with these ``defaults``, such that schedulers can cycle its momentum.

    The very dictionary where it has momentum under the same name; else a copy, so that what is changed later in the
    dictionary that was given changes nothing: ``optimizer.param_groups`` has the group.
    """
    asked = next((key for key in ("betas", "momentum") if key in defaults), None)
    return group if asked is None or asked in group else Cycled(group)
