"""Plain passes over memory: what the memory gives right now, to hold steps against."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

# 300 MB, more than any cache: nothing of a pass is left in one when the next begins.
_WEIGHTS = 25_000_000


@dataclass(frozen=True)
class PlainPass:
    """``bytes`` is what one ``call`` moves, each operand read once and, if it changes, written once."""

    call: Callable[[], object]
    bytes: int


def plain_passes() -> Mapping[str, PlainPass]:
    """Three mixes of reads and writes over the same 75 million float32 numbers, by name; about 300 MB."""
    block = torch.randn(3, _WEIGHTS)
    w, a, b = block
    return {
        "sum(w)": PlainPass(block.sum, 4 * block.numel()),
        "w *= 1": PlainPass(lambda: block.mul_(1.0), 8 * block.numel()),
        "w += a * b": PlainPass(lambda: w.addcmul_(a, b, value=1e-9), 16 * w.numel()),
    }
