"""A step's numbers by name, as machine code reads them: hyperparameters, step counts, scalars, totals.

numbers = Numbers(("lr", "t"), tensors=3)
numbers.lay(2, [0, 0, 1])          # two rows; the third tensor reads the second
numbers.column("lr")[:] = 0.1, 0.2
numbers.of(2)                      # {"lr": 0.2, "t": 0.0}
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The words of a `Numbers.header`.
VALUES, COUNT, ROW_OF, NAMES = range(4)


class Numbers:
    """One row for each distinct setting, of which every tensor reads one.

    ``names``   what the columns are, in order.
    ``values``  float64 (rows, names).
    ``row_of``  int64 (tensors,): which row each tensor reads.
    ``header``  int64 (4,): where these are and how many rows there are. It stays in its place.
    """

    def __init__(self, names: Sequence[str], tensors: int) -> None:
        self.names = tuple(names)
        self.place = {name: i for i, name in enumerate(self.names)}
        self.row_of = np.zeros(tensors, np.int64)
        self.capacity = 0
        """For how many rows there is room; grows, and never shrinks."""
        self.header = np.zeros(4, np.int64)
        self.header[ROW_OF], self.header[NAMES] = self.row_of.ctypes.data, len(self.names)
        self.lay(1)

    def lay(self, count: int, row_of: NDArray[np.int64] | Sequence[int] | int = 0) -> None:
        """So many rows, of which ``row_of`` says who reads which. What stood in them is lost."""
        if count > self.capacity:
            self.capacity = max(count, min(2 * self.capacity, len(self.row_of)))
            self._room = np.zeros((self.capacity, len(self.names)))
            self.header[VALUES] = self._room.ctypes.data
        self.values = self._room[:count]
        self.header[COUNT] = count
        self.row_of[:] = row_of

    def put(self, numbers: Mapping[str, Any]) -> None:
        """Set columns, each to a number or to one for each row."""
        for name, value in numbers.items():
            self.values[:, self.place[name]] = value

    def column(self, name: str) -> NDArray[np.float64]:
        """One number of every row, shape (rows,): a view."""
        return self.values[:, self.place[name]]

    def by_tensor(self, name: str) -> NDArray[np.float64]:
        """One number of every tensor, shape (tensors,)."""
        return self.column(name)[self.row_of]

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Every column by name."""
        return {name: self.values[:, i] for i, name in enumerate(self.names)}

    def of(self, tensor: int) -> dict[str, float]:
        """The row that one tensor reads."""
        return dict(zip(self.names, self.values[self.row_of[tensor]].tolist(), strict=True))
