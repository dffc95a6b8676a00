"""Random numbers that page and Python draw alike: 32-bit arithmetic that every language does to the same bit."""

import math
from collections.abc import Iterator

MASK = 0xFFFFFFFF


def uniform(seed: int) -> Iterator[float]:
    """Numbers from 0 to 1, without end: Weyl steps, mixed as MurmurHash3 ends (Appleby 2011, public domain)."""
    state = seed & MASK
    while True:
        state = (state + 0x9E3779B9) & MASK
        mixed = state
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            mixed = ((mixed ^ (mixed >> shift)) * factor) & MASK
        yield ((mixed ^ (mixed >> 16)) + 0.5) / 2**32


def normal(seed: int) -> Iterator[float]:
    """Normal numbers of mean 0 and variance 1, without end (Box & Muller 1958)."""
    numbers = uniform(seed)
    while True:
        radius = math.sqrt(-2 * math.log(next(numbers)))
        angle = 2 * math.pi * next(numbers)
        yield radius * math.cos(angle)
        yield radius * math.sin(angle)
