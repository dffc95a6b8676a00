"""Tensors of all members that look like those of one: torch.vmap, entered for a whole training step.

`torch.vmap` itself wraps and unwraps by walking through arguments, and calls an `autograd.Function` through a dozen
functions in Python: half a millisecond for a step that takes one. So its parts are used here, and nowhere else.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch._C import _functorch as functorch
from torch._functorch.pyfunctorch import retrieve_current_functorch_interpreter
from torch._functorch.vmap import (  # type: ignore[attr-defined]  # where all of torch 2.8 to 2.14 have both
    lazy_load_decompositions,
    vmap_increment_nesting,
)
from torch.utils._pytree import tree_map


class Members:
    """So many members, whose tensors are batched at a level of torch's stack of transformations."""

    def __init__(self, count: int, level: int) -> None:
        self.count, self.level = count, level

    def one(self, every: Tensor) -> Tensor:
        """What one member sees of a tensor of all, whose first dimension they are."""
        return functorch._add_batch_dim(every, 0, self.level)

    def every(self, one: Tensor) -> Tensor:
        """The tensor of all behind what one member sees; what all share, once for each."""
        if not functorch.is_batchedtensor(one) or functorch.maybe_get_level(one) != self.level:
            return one.expand(self.count, *one.shape)
        every, place = functorch.get_unwrapped(one), functorch.maybe_get_bdim(one)
        return every.movedim(place, 0) if place else every

    def together(self, function: Callable[..., Any], *ones: Any) -> Any:
        """A function of tensors of all, on what one member sees; so is the result, a tensor or several."""
        given = [self.every(x) if isinstance(x, Tensor) else x for x in ones]
        with retrieve_current_functorch_interpreter().lower():
            result = function(*given)
        return self.one(result) if isinstance(result, Tensor) else tree_map(self.one, result)

    @property
    def innermost(self) -> bool:
        """Whether no other transformation has been entered since: `torch.func.grad` in a loss, say."""
        return functorch.maybe_current_level() == self.level


@contextmanager
def members(count: int) -> Iterator[Members]:
    """Within, torch computes for all members at once."""
    lazy_load_decompositions()  # some of torch's forms, which torch.vmap too asks for at its first call
    with vmap_increment_nesting(count, "error") as level:
        yield Members(count, level)
