"""What the rule says of itself."""

from itertools import product
from typing import Any

import pytest

from thalweg.formula import FormulaError, Rule, Switch
from thalweg.formula.compose import program, shapes_that_differ, tested, usual_choices
from thalweg.formula.rule import hypers, parts

from .judging import require
from .suite import Suite

# So many switches are tried in every combination, more of them one at a time.
_COMBINED = 6
_DRAWS = (0.0, 0.25, 0.5, 0.75, 0.999)


class Text(Suite):
    """Documented, searchable, and a formula in each of its forms."""

    def test_is_documented(self) -> None:
        """Its class has a docstring: first what it does."""
        rule = self.made().rule
        for layer in (next(c for c in rule.__mro__ if "wrappers" not in vars(c)), *rule.wrappers):
            first = (layer.__doc__ or "").strip().partition("\n")[0]
            require(first, f"{layer.__name__} has no docstring: say in a first line what it does, then its source")

    def test_search_stays_within_what_is_allowed(self) -> None:
        """The default, and every value that a search may draw, is one that the optimizer takes."""
        numbers = hypers(self.made().rule)
        defaults = {name: hyper.default for name, hyper in numbers.items()}
        for name, hyper in numbers.items():
            drawn = [hyper.search.value(draw, defaults) for draw in _DRAWS] if hyper.search else []
            for value in (hyper.default, *drawn):
                problem = hyper.problem(value)
                require(not problem, f"{name} = {value:g}, which its search ({hyper.search}) may draw, {problem}")

    def test_every_form_is_a_formula(self) -> None:
        """With every switch on and off, and every hyperparameter that an `if` tests 0 or not."""
        rule = self.made().rule
        for form in _forms(rule):
            try:
                program(rule, form)
            except FormulaError as error:
                pytest.fail(f"with {form} the formula has no meaning: {error}")


def _forms(rule: type[Rule]) -> list[dict[str, Any]]:
    return [{**form, **shape} for form in _chosen(rule) for shape in shapes_that_differ(rule)]


def _chosen(rule: type[Rule]) -> list[dict[str, Any]]:
    names, choices = [*parts(rule, Switch), *tested(rule)], usual_choices(rule)
    if len(names) <= _COMBINED:
        return [{**choices, **dict(zip(names, on, strict=True))} for on in product((False, True), repeat=len(names))]
    usual = {**choices, **dict.fromkeys(names, False)}
    return [usual, *({**usual, name: True} for name in names), {**usual, **dict.fromkeys(names, True)}]
