"""How a model's parameters are routed, against what somebody wrote down by hand."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from thalweg import routed

# By the pattern of a name: the reason, and for a matrix how many of how many rows and columns, one after the other.
Expected = Mapping[str, str | tuple[Any, ...]]


def judge(model: nn.Module, expected: Expected, **options: Any) -> None:
    """Every parameter goes where the first pattern that its first name has says; every pattern says something."""
    used = set()
    for route in routed(model, **options):
        pattern = next((each for each in expected if fnmatchcase(route.name, each)), None)
        assert pattern is not None, f"nothing is written of {route.name}: {route.reason}"
        used.add(pattern)
        found = route.reason, *((of.count, of.rows, of.columns) for of in route.matrices)
        written = expected[pattern]
        assert found == ((written,) if isinstance(written, str) else written), route.name
        assert route.matrix is not isinstance(written, str), route.name
    assert used == {*expected}
