"""The rules that one comes from, and those that come from it, by what the catalogue says of them."""

import re
from collections.abc import Iterator

from rule_numbers import settable, written
from thalweg.formula.declare import Decay
from thalweg.formula.rule import Rule
from thalweg.rules import CATALOGUE


def first_line(declaring: type) -> str:
    """What a rule does, in its own words."""
    return (declaring.__doc__ or "").strip().splitlines()[0]


def base(rule: type[Rule]) -> str | None:
    """The rule whose formulas it has, if that is another one."""
    return next((key for key, each in CATALOGUE.items() if each is rule.__mro__[1]), None)


def named(rule: type[Rule]) -> list[str]:
    """The rules that its first line names, and the one whose formulas it has."""
    words = re.findall(r"\w+", first_line(rule).replace("'s", ""))
    found = [word.lower() for word in words if word != word.lower() and word.lower() in CATALOGUE]
    own = base(rule)
    return [key for key in dict.fromkeys([*([own] if own else []), *found]) if CATALOGUE[key] is not rule]


def changed(rule: type[Rule], of: type[Rule]) -> str:
    """By which defaults a rule differs from the one whose formulas it has."""
    there = settable(of)
    found = []
    for name, part in settable(rule).items():
        if isinstance(part, Decay) and part.kind != there[name].kind:
            found.append(f"decay is {part.kind} (there {there[name].kind})")
        if part.default != there[name].default:
            found.append(f"`{name}` is {written(part.default)} (there {written(there[name].default)})")
    return ", ".join(found)


def relatives(key: str) -> Iterator[str]:
    """A list of neighbours, each with what the catalogue says of it."""
    rule = CATALOGUE[key]
    if own := base(rule):
        yield f"Its formulas are those of [{CATALOGUE[own].__name__}]({own}.md); {changed(rule, CATALOGUE[own])}."
    before, after = named(rule), [other for other, each in CATALOGUE.items() if key in named(each)]
    beside = [k for k, each in CATALOGUE.items() if each.family == rule.family and k not in (key, *before, *after)]
    # Where nobody names it, those of its kind are its neighbours.
    listed = [*before, *(k for k in after if k not in before)] or beside
    if listed:
        yield "\n".join(
            f"- [{CATALOGUE[k].__name__}]({k}.md), {CATALOGUE[k].year}: {first_line(CATALOGUE[k])}" for k in listed
        )
