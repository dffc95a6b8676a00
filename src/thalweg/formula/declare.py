"""What a rule declares beside its formula. Each line becomes one of these frozen values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Literal

from .geometry import Extent
from .search import Search


@dataclass(frozen=True)
class Hyper:
    """A hyperparameter: a number the user sets, may change between steps, and a study may search.

    ``of``      the name of the tuple it is part of at the torch surface (beta1 and beta2 are ``of="betas"``).
    ``low``     the smallest allowed value; ``below`` what it must stay below.
    ``none``    at the torch surface its 0 is None.
    ``whole``   it is a whole number, as one by which steps are counted.
    """

    default: float
    search: Search | None = None
    of: str | None = None
    low: float = 0.0
    below: float = inf
    none: bool = False
    whole: bool = False

    def problem(self, value: float) -> str | None:
        """What is wrong with a value, in words; None if nothing is."""
        if self.whole and isfinite(value) and not float(value).is_integer():
            return f"must be a whole number, got {value:g}"
        if isfinite(value) and self.low <= value < self.below:
            return None
        upper = "finite" if self.below == inf else f"below {self.below:g}"
        return f"must be at least {self.low:g} and {upper}, got {value:g}"


@dataclass(frozen=True)
class Length(Hyper):
    """How long a part of a schedule is: a whole number of steps from 1, or below 1 a share of all steps; 0 is none.

    The formula sees the number of steps; a share is rounded, to one step at least. All parts together take no more
    steps than there are: where rounding would have them overlap, the last are shortened.

    ``cycle``  it is how long something takes that comes again, and no part of this sum: it may be longer.
    """

    cycle: bool = False

    def problem(self, value: float) -> str | None:
        """As of every hyperparameter; and from 1 on, whether it is a whole number."""
        if value >= 1 and isfinite(value) and not float(value).is_integer():
            return f"must be a whole number of steps, or a share of them below 1, got {value:g}"
        return super().problem(value)

    def steps(self, value: float, total: int) -> int:
        """The number of steps, of ``total``."""
        return int(value) if value >= 1 or not value else max(round(value * total), 1)


@dataclass(frozen=True)
class Form:
    """A choice between helper functions of the language: a formula calls it by the name it stands under.

    ``choices``  the functions by name, which all take as many values.
    """

    default: str
    choices: Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class Coefficients:
    """A choice between lists of numbers that the steps of a `matrices.repeat` take, one entry each.

    ``lists``    the lists by name; every entry has as many numbers. A user may also give a list of his own.
    ``problem``  what is wrong with a list, in words, asked of every list that is chosen; None if nothing is.
    """

    default: str
    lists: Mapping[str, Sequence[Sequence[float]]]
    problem: Callable[[Sequence[Sequence[float]]], str | None]


@dataclass(frozen=True)
class BySize:
    """A switch that the size of the matrices decides: only ``matrix`` may test it.

    ``holds``  a function of their rows and columns that says whether it is on.
    ``when``   it is off unless this switch is on.
    ``of``     a list of coefficients, whose entries the function gets too.
    """

    holds: Callable[..., bool]
    when: str | None = None
    of: str | None = None


@dataclass(frozen=True)
class Due:
    """A switch that the step count decides: only ``matrix`` may test it.

    ``every``  the name of a hyperparameter that is a ``whole`` number: on each time so many steps have been taken since
               the first. None: on in the first step alone.
    """

    every: str | None = None

    def now(self, t: float, values: Mapping[str, Any]) -> bool:
        """Whether it is on in step ``t``, counted from 1."""
        if self.every is None:
            return t <= 1
        return t > 1 and (t - 1) % max(round(float(values[self.every])), 1) == 0

    @property
    def told(self) -> str:
        """When it is on, in words."""
        return "in the first step" if self.every is None else f"every {self.every} steps after the first"


@dataclass(frozen=True)
class Decay:
    """Weight decay, with one owner.

    ``l2``           the chain adds weight_decay * w to the gradient before the rule sees it;
    ``decoupled``    the chain takes lr * weight_decay * w off the weight, beside the rule's step;
    ``independent``  (lr / first lr) * weight_decay * w: a schedule scales it, the choice of lr does not;
    ``corrected``    lr * (lr / first lr) * weight_decay * w: a schedule scales it twice, as it does the weight's
                     equilibrium;
    ``palm``         lr * lr * weight_decay * w: twice scaled too, by the learning rate itself;
    ``cautious``     decoupled, where the step takes the weight towards 0 too, or leaves it (d * w >= 0);
    ``strictly-cautious``  the same where it takes it towards 0 (d * w > 0);
    ``own``          the rule does it: its functions may ask for ``weight_decay``.
    """

    kind: Literal["l2", "decoupled", "cautious", "strictly-cautious", "independent", "corrected", "palm", "own"]
    default: float = 0.0
    search: Search | None = None

    @property
    def hyper(self) -> Hyper:
        """Decay as the hyperparameter ``weight_decay``."""
        return Hyper(self.default, self.search)


@dataclass(frozen=True)
class Switch:
    """A choice between forms of the rule, fixed when the kernel is made: the only thing an `if` may test.

    ``needs``  hyperparameters that must be above 0 where it is on; ``bars`` those that must be 0.
    """

    default: bool
    needs: tuple[str, ...] = ()
    bars: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shaped:
    """A switch that a parameter's shape decides, and nobody sets: on where it has so many dimensions.

    ``least``, ``most``  how many at least, and at most: ``Shaped(least=2)`` is on for matrices and convolutions.
    """

    least: int = 0
    most: float = inf

    def holds(self, dimensions: int) -> bool:
        """Whether it is on for a parameter of so many dimensions."""
        return self.least <= dimensions <= self.most


@dataclass(frozen=True)
class State:
    """What is kept from step to step: a number per weight, or by row or column of a matrix, or for one of its sides.

    ``key``    its name in ``state_dict`` (torch's, where torch has the rule).
    ``start``  0, a hyperparameter's name, ``"w"`` (the weight when training starts) or ``"g"`` (the first
               gradient the rule sees).
    ``when``   it exists only while this switch is on (a `Switch` or `Shaped`), or this hyperparameter is not 0.
    ``dtype``  the least element type it is kept in (``"float32"``); unless given, the weight's own.
    ``shape``  what there is one of: each ``"weight"``; each ``"row"`` or ``"column"`` of a parameter's matrices; or a
               square matrix on their ``"left"`` (rows x rows), their ``"right"`` (columns x columns), or the side of
               the two where there are the ``"least"``.
    """

    key: str
    start: str | float = 0.0
    when: str | None = None
    dtype: str | None = None
    shape: Extent = "weight"


@dataclass(frozen=True)
class Scalar:
    """A number that is kept from step to step, one per tensor, per parameter group, or for all weights.

    ``prepare`` or ``after`` returns its next value under its own name.
    ``start``  a number, or a hyperparameter's name: its value when the parameter group is made, or for a scalar of
               a tensor, when the tensor's state is.
    """

    start: str | float
    scope: Literal["tensor", "group", "all"]


@dataclass(frozen=True)
class Sum:
    """A total over weights that the rule needs before it can step: per tensor, over all, or by row or column.

    ``sums`` says per weight what is added up; ``after`` turns totals into coefficients. A total by ``"row"`` is one
    number for each row of each matrix, and by ``"column"`` for each of its columns: the last two dimensions of a
    parameter are its matrices' (`geometry`).
    """

    scope: Literal["tensor", "all", "row", "column"]


Declared = Hyper | Decay | Switch | Shaped | Form | Coefficients | BySize | Due | State | Scalar | Sum
