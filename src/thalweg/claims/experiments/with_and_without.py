"""With BatchNorm and without: what most claims of this section compare."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from thalweg.languages import Words

if TYPE_CHECKING:  # claims are listed without torch
    from torch import nn

WITHOUT, WITH = Words("without BatchNorm", "sans BatchNorm"), Words("with BatchNorm", "avec BatchNorm")


def norms() -> "dict[Words, Callable[[int], nn.Module] | None]":
    """What `mlp` takes as its norm, for each of the two."""
    from torch.nn import BatchNorm1d

    return {WITHOUT: None, WITH: BatchNorm1d}
