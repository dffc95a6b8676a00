"""Losses of one or two weights, written once as formulas; gradients follow from them.

Each is plain Python that works on floats, tensors and symbols, like a rule. The page runs the JavaScript that is
made from it; Python code that the page hands out holds its text.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from thalweg.formula.derivative import derivative
from thalweg.formula.expression import number
from thalweg.formula.javascript import function

from .figure import Words

Box = tuple[float, float]


@dataclass(frozen=True)
class Surface:
    """A loss to go down.

    ``formula``  from as many numbers as there are weights to the loss.
    ``boxes``    what is shown of each weight.
    ``minimum``  where it is lowest; None where there is no such place.
    ``noise``    the standard deviation of what is added to each coordinate of the gradient.
    """

    name: str
    title: Words
    formula: Callable[..., Any]
    boxes: tuple[Box, ...]
    start: tuple[float, ...]
    minimum: tuple[float, ...] | None = None
    noise: float = 0.0

    @property
    def weights(self) -> tuple[str, ...]:
        """The names of its weights, in order."""
        return tuple(inspect.signature(self.formula).parameters)

    @property
    def javascript(self) -> str:
        """A function of the weights: the loss, then its gradient."""
        value = self.formula(*(number(name) for name in self.weights))
        return function(self.weights, [value, *(derivative(value, name) for name in self.weights)])

    @property
    def text(self) -> str:
        """The formula as its author wrote it, without types: for short programs."""
        return inspect.getsource(self.formula).replace(": Any", "").replace(" -> Any", "")


def parabola(x: Any) -> Any:
    return x**2


def shifted_parabola(x: Any) -> Any:
    return (x - 1) ** 2


def ellipse(x: Any, y: Any) -> Any:
    return x**2 + 3 * y**2


def valley(x: Any, y: Any) -> Any:
    return 0.5 * (x**2 + 20 * y**2)


def apart(x: Any, y: Any) -> Any:
    return 0.5 * ((x - 2) ** 2 + 20 * (y - 1.5) ** 2)


def rosenbrock(x: Any, y: Any) -> Any:
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def beale(x: Any, y: Any) -> Any:
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def saddle(x: Any, y: Any) -> Any:
    return x**2 - y**2 + 0.25 * y**4


SURFACES: Mapping[str, Surface] = {
    surface.name: surface
    for surface in (
        Surface("parabola", Words("x²", "x²"), parabola, ((-3.2, 3.2),), (2.5,), (0.0,)),
        Surface("shifted", Words("(x − 1)²", "(x − 1)²"), shifted_parabola, ((-4.0, 6.0),), (2.0,), (1.0,)),
        Surface("ellipse", Words("x² + 3y²", "x² + 3y²"), ellipse, ((-3.2, 3.2), (-2.4, 2.4)), (-2.5, 1.0), (0.0, 0.0)),
        Surface(
            "valley",
            Words("a narrow valley", "une vallée étroite"),
            valley,
            ((-5.5, 5.5), (-3.0, 3.0)),
            (-4.5, 1.8),
            (0.0, 0.0),
        ),
        Surface(
            "apart",
            Words("a narrow valley away from 0", "une vallée étroite loin de 0"),
            apart,
            ((-1.6, 3.2), (-1.2, 2.7)),
            (-1.0, -0.5),
            (2.0, 1.5),
        ),
        # Rosenbrock 1960, "An automatic method for finding the greatest or least value of a function".
        Surface(
            "rosenbrock",
            Words("Rosenbrock's valley", "la vallée de Rosenbrock"),
            rosenbrock,
            ((-2.0, 2.0), (-1.0, 3.0)),
            (-1.2, 1.0),
            (1.0, 1.0),
        ),
        # Beale 1958, "On an iterative method for finding a local minimum of a function of more than one variable".
        Surface(
            "beale",
            Words("Beale's plateau", "le plateau de Beale"),
            beale,
            ((-4.5, 4.5), (-4.5, 4.5)),
            (1.0, 1.5),
            (3.0, 0.5),
        ),
        Surface("saddle", Words("a saddle", "un col"), saddle, ((-2.2, 2.2), (-2.2, 2.2)), (-1.8, 0.02)),
        Surface(
            "noisy",
            Words("a noisy valley", "une vallée bruitée"),
            valley,
            ((-5.5, 5.5), (-3.0, 3.0)),
            (-4.5, 1.8),
            (0.0, 0.0),
            noise=6.0,
        ),
    )
}
