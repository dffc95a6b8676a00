"""What `formula.between` joins in machine code, where there is no compiler for it, or totals are on a device."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thalweg.formula import chain
from thalweg.formula.numbers import Numbers

from .flat_launch import FlatLaunch, norm_scale
from .launch import Launch, Totals

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


def join_on_devices(
    totals: Sequence[Totals], launches: Sequence[Launch], name: str, clip: Floats | None, by_tensor: bool
) -> None:
    """The same where a `FlatLaunch` is among them: its number stays on its device.

    Unless it needs the totals of all, and some of these are on the host: then the host waits for the device's.
    """
    pairs = [*zip(totals, launches, strict=True)]
    flat = [(of, x) for of, x in pairs if isinstance(x, FlatLaunch)]
    others = [(of, x) for of, x in pairs if not isinstance(x, FlatLaunch)]
    if others and not by_tensor:
        known = [of.cpu().numpy() if isinstance(x, FlatLaunch) else of for of, x in pairs]
        join(known, [x.numbers for x in launches], name, clip, by_tensor)
        return
    if others:
        join([of for of, _ in others], [x.numbers for _, x in others], name, clip, by_tensor)
    overall = torch.stack([of.sum().to(flat[0][1].where) for of, _ in flat]).sum()
    for of, x in flat:
        total = of if by_tensor else overall.to(x.where)
        x.known[name] = total if clip is None else norm_scale(total, *clip.tolist())
