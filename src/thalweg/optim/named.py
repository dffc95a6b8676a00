"""The catalogue's optimizer classes by name: `catalogue` makes and enters them, files below it look them up here."""

from typing import Any

from thalweg.closest import did_you_mean
from thalweg.rules import left_to_torch

OPTIMIZERS: dict[str, type[Any]] = {}


def optimizer_named(name: str) -> type[Any]:
    """The class of a catalogue's name, in capitals or not; ValueError for one that it does not have."""
    if found := OPTIMIZERS.get(name.lower()):
        return found
    if left := left_to_torch(name):
        raise ValueError(left)
    meant = did_you_mean(name.lower(), OPTIMIZERS, otherwise=".")
    raise ValueError(
        f"there is no rule {name!r}{meant} The catalogue: {', '.join(sorted(OPTIMIZERS))}. "
        "A rule of your own is given as its class."
    )
