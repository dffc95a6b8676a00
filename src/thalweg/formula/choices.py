"""What is chosen by a word, and what is said of matrices, as users give it: checked in one place for all readers."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from thalweg.closest import did_you_mean

from .declare import Coefficients, Form
from .geometry import seen
from .rule import Rule, entries, of_matrices, parts

# How many entries a list of coefficients may have: each is unrolled into one expression, which Python reads by
# recursion. No list in use has more than 12.
MOST_ENTRIES = 100
# How a parameter is read as matrices, and the usual of each; `geometry.seen` says what they mean.
AS_MATRICES: Mapping[str, Any] = MappingProxyType({"flat": False, "transposed": False, "split_sizes": None})


def check_choices(rule: type[Rule], name: str, given: Mapping[str, Any]) -> None:
    """Raise for a choice that the rule does not have, and for a list of coefficients that will not do.

    ``name``   what the user called.
    ``given``  every choice of the rule, and of a rule of matrices what is asked of such.

    Raises ValueError, and TypeError for a value of the wrong kind.
    """
    for key, form in parts(rule, Form).items():
        if given[key] not in form.choices:
            raise ValueError(
                f"{name}: {key} is one of {', '.join(form.choices)}, got {given[key]!r}"
                f"{did_you_mean(str(given[key]), form.choices)}"
            )
    for key, lists in parts(rule, Coefficients).items():
        value = given[key]
        if isinstance(value, str) and value not in lists.lists:
            raise ValueError(
                f"{name}: {key} is one of {', '.join(lists.lists)}, or a list of your own, got {value!r}"
                f"{did_you_mean(value, lists.lists)}"
            )
        if not isinstance(value, str) and not _are_entries(value):
            raise TypeError(f"{name}: {key} must be the name of a list, or a list of tuples of numbers, got {value!r}")
        if (many := len(entries(rule, key, value))) > MOST_ENTRIES:
            raise ValueError(f"{name}: {key} has {many} entries, one for each step; give at most {MOST_ENTRIES}")
        if problem := lists.problem(entries(rule, key, value)):
            raise ValueError(f"{name}: {key}={value!r} {problem}")
    if not of_matrices(rule):
        return
    if given["products"] not in (*rule.products, None):
        raise ValueError(f"{name}: products is one of {', '.join(rule.products)}, got {given['products']!r}")
    for key in ("flat", "transposed"):
        if not isinstance(given[key], bool):
            raise TypeError(f"{name}: {key} is True or False, got {given[key]!r}")
    sizes = given["split_sizes"]
    if sizes is not None and not (
        isinstance(sizes, tuple) and sizes and all(type(size) is int and size > 0 for size in sizes)
    ):
        raise ValueError(f"{name}: split_sizes are the rows of each block, as (768, 768, 768), got {sizes!r}")


def check_split_sizes(name: str, called: str, shape: Sequence[int], given: Mapping[str, Any], instead: str) -> None:
    """Raise ValueError for ``split_sizes`` that are together not the rows, as `seen`, of a parameter of this shape.

    ``name``     what the user called, ``called`` how the parameter is called.
    ``given``    `AS_MATRICES`, as the user has them.
    ``instead``  what to do with parameters that are split otherwise.
    """
    sizes: Sequence[int] | None = given["split_sizes"]
    if sizes is None:
        return
    how = seen(shape, {**given, "split_sizes": None})
    if sum(sizes) != how.of.rows:
        side = "columns" if how.transposed else "rows"
        raise ValueError(
            f"{name}: split_sizes={tuple(sizes)} are {sum(sizes)} {side} together, and {called} has {how.of.rows}; "
            f"{instead}"
        )


def _are_entries(value: Any) -> bool:
    """Whether it is a list of tuples of numbers."""
    return isinstance(value, tuple) and all(
        isinstance(each, tuple) and all(isinstance(number, int | float) for number in each) for each in value
    )
