"""What `formula.between` joins in machine code, where there is no compiler for it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thalweg.formula import chain
from thalweg.formula.numbers import Numbers

Floats = NDArray[np.float64]


def join(totals: Sequence[Floats], numbers: Sequence[Numbers], name: str, clip: Floats | None, by_tensor: bool) -> None:
    """A total of each launch, shape (tensors,), as the number ``name``; see `between.join`."""

    def scaled(total: Any) -> Any:
        return total if clip is None else chain.norm_scale(total, *clip)

    with np.errstate(all="ignore"):
        overall = scaled(np.array([sum(float(one) for of in totals for one in of)]))  # arrays divide as IEEE 754 says
        for of, n in zip(totals, numbers, strict=True):
            if by_tensor:
                n.column(name)[n.row_of] = scaled(of)
            else:
                n.column(name)[:] = overall
