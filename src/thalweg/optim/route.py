"""Where one parameter goes, and how it is read as matrices."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from thalweg.formula.geometry import Geometry, geometry

from .kinds import ModelParameter


@dataclass(frozen=True, eq=False)
class Route:
    """Where one parameter goes, why, and how it is read as matrices."""

    parameter: ModelParameter
    """The parameter with all its names."""
    matrix: bool
    """Whether it is a matrix, or several; the others go to the rule beside."""
    reason: str
    """Why, in a word or two."""
    flat: bool = False
    """Whether dimensions from the second on are one, as of a convolution."""
    split_sizes: tuple[int, ...] = ()
    """Of several matrices side by side, how many outputs each has: rows, or columns if ``transposed``."""
    transposed: bool = False
    """Whether the rows are the layer's inputs and the columns its outputs; of torch's linear layers, they are not."""

    @property
    def name(self) -> str:
        """The first of its names."""
        return self.parameter.name

    @property
    def names(self) -> tuple[str, ...]:
        """All names; several when it is tied."""
        return self.parameter.names

    @property
    def param(self) -> nn.Parameter:
        return self.parameter.param

    @property
    def read(self) -> Mapping[str, Any]:
        """How a parameter group says that it is read so: of the three options above those that are not the usual."""
        options = {"flat": self.flat, "transposed": self.transposed, "split_sizes": self.split_sizes}
        return {option: value for option, value in options.items() if value}

    @property
    def geometry(self) -> Geometry:
        """The parameter as ``count`` matrices of ``rows`` x ``columns``, before they are split."""
        return geometry(self.param.shape, self.flat)

    @property
    def matrices(self) -> tuple[Geometry, ...]:
        """What is orthogonalised or preconditioned by itself, in its order; nothing if it is no matrix."""
        of = self.geometry
        if not self.matrix:
            return ()
        sides = [(of.rows, n) if self.transposed else (n, of.columns) for n in self.split_sizes]
        return tuple(Geometry(of.count, *each) for each in sides or [(of.rows, of.columns)])
