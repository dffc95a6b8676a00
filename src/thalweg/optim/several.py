"""Several optimizers as one: a training steps it, schedules it and clears its gradients as it does any other."""

from collections.abc import Callable, Sequence
from typing import Any

import torch


class Several(torch.optim.Optimizer):
    """Optimizers of different parameters, stepped one after the other; their groups are its groups."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        self.parts = tuple(parts)
        super().__init__([param for part in parts for group in part.param_groups for param in group["params"]], {})
        self.param_groups = [group for part in parts for group in part.param_groups]
        self._whole = True

    def __getattribute__(self, name: str) -> Any:
        # The parts keep their states; whoever asks for this one's sees them all.
        if name == "state":
            return {key: value for part in self.parts for key, value in part.state.items()}
        return super().__getattribute__(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.parts,)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Only while it is made: afterwards nobody can tell whose parameters new ones would be."""
        if vars(self).get("_whole"):
            raise RuntimeError("several optimizers as one take no more parameters: add the group to one of .parts")
        super().add_param_group(param_group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of each. The closure, where one is given, is called once, before them."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As each does it."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Those of the parts, in their order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        for part, own in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(own)
        self.param_groups = [group for part in self.parts for group in part.param_groups]
