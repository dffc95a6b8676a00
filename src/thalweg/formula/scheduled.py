"""Which numbers of a rule follow a schedule, as users say it to its optimizers."""

from collections.abc import Mapping
from typing import Any

from thalweg.closest import did_you_mean

from .rule import Rule, asks, chained, hypers
from .schedule import Schedule


def by_number(given: object) -> Mapping[str, Any]:
    """What ``schedule=`` says of each number; a schedule alone is of lr."""
    return given if isinstance(given, Mapping) else {} if given is None else {"lr": given}


def names_of(asked: str) -> tuple[str, ...]:
    """What rules call a number that is asked for by this name, the first that one has: momentum is beta1 with betas."""
    return ("momentum", "beta1") if asked == "momentum" else (asked,)


def meant(rule: type[Rule], asked: str) -> str:
    """The rule's own name of a number; what was asked, if it has none."""
    return next((name for name in names_of(asked) if name in hypers(rule)), asked)


def by_own_names(rule: type[Rule], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a rule's numbers: by its own name of a number where there is that, else by another rule's."""
    others = {asked for asked in given if meant(rule, asked) != asked and meant(rule, asked) in given}
    return {asked: schedule for asked, schedule in given.items() if asked not in others}


def takes(rule: type[Rule], asked: str) -> bool:
    """Whether a number is one of the rule's, and is asked for in a step."""
    number = meant(rule, asked)
    return number in hypers(rule) and (asks(rule, number) or number in chained(rule))


def scheduled(name: str, rule: type[Rule], given: object) -> dict[str, Schedule]:
    """``schedule=`` by the rule's own names: a schedule is of lr, a mapping says of what each is; None is nothing.

    momentum is beta1, of rules with betas. ``name`` is what the user called. Raises TypeError for what is no schedule,
    or of a number that the rule lacks or asks for at no step.
    """
    declared = hypers(rule)
    found: dict[str, Schedule] = {}
    for asked, schedule in by_number(given).items():
        if not isinstance(schedule, Schedule):
            called = isinstance(schedule, type) and issubclass(schedule, Schedule)
            raise TypeError(
                f"{name}: schedule is one of the learning rate, such as thalweg.schedules.Cosine(steps=1000), or "
                f"{{'lr': ..., 'weight_decay': ...}}; got {schedule!r}"
                + (f": write {getattr(schedule, '__name__', '')}(steps=...)" if called else "")
            )
        number = meant(rule, asked)
        if number not in declared:
            raise TypeError(
                f"{name} has no {asked!r} to schedule{did_you_mean(str(asked), declared)}; it has {', '.join(declared)}"
            )
        if not takes(rule, asked):
            raise TypeError(
                f"{name}: its formulas ask for {number} at no step, at most for the start, so its schedule would do "
                "nothing; leave it out"
            )
        if number in found:
            raise TypeError(f"{name}: schedule has {number} twice, as 'momentum' and by its name")
        found[number] = schedule
    return found
