"""What only a device knows when a step begins, and the host need not wait to know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from . import gpus


@dataclass(eq=False)
class Signals:
    """What only the device knows when a step begins.

    ``found``, ``scale``  what a gradient scaler says, each of one float32; None without one.
    ``rates``             by place of a group, what follows from its learning rate, which is a tensor: 0-d each.
    """

    found: torch.Tensor | None = None
    scale: torch.Tensor | None = None
    rates: Mapping[int, Mapping[str, torch.Tensor]] = field(default_factory=dict)

    @property
    def scaled(self) -> bool:
        """Whether a scaler says anything."""
        return self.found is not None or self.scale is not None


def signals(found_inf: Any, grad_scale: Any, groups: Sequence[Mapping[str, Any]]) -> Signals | None:
    """A scaler's numbers and the groups' learning rates that are on a device.

    None if none is, or not all of a scaler's. ``rates`` are the rates themselves so far.
    """
    found, scale = (x.detach().float() if isinstance(x, torch.Tensor) else None for x in (found_inf, grad_scale))
    rates = {i: {"lr": group["lr"]} for i, group in enumerate(groups) if on_device(group.get("lr"))}
    given = [x for x in (found, scale) if x is not None]
    return Signals(found, scale, rates) if (given or rates) and all(map(on_device, given)) else None


def on_device(value: object) -> bool:
    """Whether this is a tensor that would have to be waited for."""
    return isinstance(value, torch.Tensor) and gpus.device_of(value.device) is not None
