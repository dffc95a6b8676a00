"""The optimizer's state, noticing whether anybody else has looked inside.

Before each step the optimizer must know that its memory is where the plan says. Asking 500 parameters' states costs
more than updating them. But a state can only be replaced by someone who got hold of it through this mapping, and its
tensors moved only by someone who got hold of them: until that happens nothing needs asking, and from then on every
step asks.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch

_WAYS_IN = (
    "__delitem__", "__ior__", "__iter__", "__or__", "__reversed__", "__ror__", "__setitem__", "clear", "copy", "get",
    "items", "keys", "pop", "popitem", "setdefault", "update", "values",
)  # fmt: skip


class WatchedState(defaultdict[torch.Tensor, Any]):
    """A ``defaultdict(dict)`` by parameter, as in every torch optimizer.

    ``seen``     whether it was used from outside, so that dictionaries and tensors may have been replaced;
    ``exposed``  whether anybody else has its tensors, and may move them.
    """

    def __init__(self, *content: Any) -> None:
        # defaultdict makes its own copies with the default first.
        super().__init__(dict, *content[-1:])
        self.seen = self.exposed = False
        self.settle: Callable[[], None] | None = None
        """Puts the states right before anybody else sees them."""

    def _open(self) -> None:
        """Somebody else looks inside."""
        self.seen = self.exposed = True
        if self.settle is not None:
            self.settle()

    def own(self, param: torch.Tensor) -> dict[str, Any]:
        """The optimizer's own way in."""
        # Not through defaultdict, which would come back here to store what is missing.
        found: dict[str, Any] | None = dict.get(self, param)
        if found is None:
            found = {}
            dict.__setitem__(self, param, found)
        return found

    def has(self, param: torch.Tensor) -> bool:
        """Whether a parameter has any state, asked the optimizer's own way."""
        return bool(dict.get(self, param))

    def drop(self, param: torch.Tensor) -> None:
        """Forget a parameter's state, the optimizer's own way."""
        super().pop(param, None)

    def __getitem__(self, param: torch.Tensor) -> dict[str, Any]:
        self._open()
        return self.own(param)

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and pickles are plain; the optimizer that receives one wraps it. On the way to another process torch
        # moves tensors to shared memory, in place.
        self.exposed = True
        if self.settle is not None:
            self.settle()
        return defaultdict, (dict, dict(super().items()))


def _watched(name: str) -> Callable[..., Any]:
    plain = getattr(defaultdict, name)

    def method(self: WatchedState, *arguments: Any, **named: Any) -> Any:
        self._open()
        return plain(self, *arguments, **named)

    method.__name__ = name
    return method


for _name in _WAYS_IN:
    setattr(WatchedState, _name, _watched(_name))
