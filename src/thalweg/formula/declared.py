"""What a rule or a wrapper has declared, asked for by kind; and the names that its formulas may say beside that."""

from collections.abc import Mapping
from typing import TypeVar

from .declare import BySize, Coefficients, Decay, Declared, Due, Form, Hyper, Scalar, Shaped, State, Sum, Switch

T = TypeVar("T", Hyper, Decay, Switch, Shaped, Form, Coefficients, BySize, Due, State, Scalar, Sum)

# What the readers give a meaning to: the weight, the gradient, the step count (1 at the first step), and the learning
# rate before any schedule.
RESERVED = ("w", "g", "t", "first_lr")
# What a formula may ask of the parameter itself: how many rows and columns each of its matrices has (`geometry`), and
# the machine epsilon of its element type.
OWN = ("rows", "columns", "precision")
# What a formula may ask of the learning rate: the present one, and that before any schedule.
RATES = ("lr", "first_lr")
# The functions of a rule and of a wrapper, in the order in which a step runs them.
FUNCTIONS = ("prepare", "enter", "matrix", "sums", "after", "step", "follow", "evaluate")
# What there may be one of beside what there is one of by weight.
LINES = ("row", "column")
# Of the matrices that a rule's ``matrix`` sees.
SIZES = ("rows", "columns")
# The kinds that the chain does, so that they can be chosen; and that which a rule does itself.
CHAIN_DECAYS = ("l2", "decoupled", "cautious", "strictly-cautious", "independent", "corrected", "palm")
DECAYS = (*CHAIN_DECAYS, "own")
SCOPES: dict[type, tuple[str, ...]] = {Scalar: ("tensor", "group", "all"), Sum: ("tensor", "all", "row", "column")}


def of_kind(declared: Mapping[str, Declared], kind: type[T]) -> Mapping[str, T]:
    """The parts of one kind, by name, in order."""
    return {name: value for name, value in declared.items() if isinstance(value, kind)}


def hyperparameters(declared: Mapping[str, Declared]) -> Mapping[str, Hyper]:
    """Every number a user sets, weight decay included, by name, in order."""
    return {
        name: value.hyper if isinstance(value, Decay) else value
        for name, value in declared.items()
        if isinstance(value, Hyper | Decay)
    }


def by_word(declared: Mapping[str, Declared]) -> tuple[str, ...]:
    """The parts that are chosen by a word."""
    return (*of_kind(declared, Form), *of_kind(declared, Coefficients))


def kind_of_decay(declared: Mapping[str, Declared]) -> str:
    """Who does weight decay, and how: see `Decay`; ``none`` where there is none."""
    return next((value.kind for value in of_kind(declared, Decay).values()), "none")


def of_chain(declared: Mapping[str, Declared]) -> frozenset[str]:
    """The numbers that the chain asks for, weight decay beside the rule."""
    return frozenset() if kind_of_decay(declared) in ("own", "none") else frozenset(("lr", "weight_decay"))
