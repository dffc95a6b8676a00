"""The order in which TensorFlow 1 shuffles a data set that is read anew for every epoch.

The published runs of the quadratic problem used it, so this is what makes them repeatable to the last digits.
The data set is shuffled whole (the buffer holds it), by a forward Fisher-Yates shuffle. Its random numbers come from
Philox4x32-10, keyed by two outputs of another Philox4x32-10, which is keyed by the graph's seed and the operation's.

Source:  Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (the generator, its constants and test
         values); for how TensorFlow uses it, the published losses of first batches: these are met to seven digits
         (tests/tasks/test_quadratic_deep.py).
"""

from collections.abc import Iterator
from itertools import count, islice

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
LOW = 0xFFFFFFFF

Words = tuple[int, int, int, int]


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Four random words of 32 bits, for a counter of four such words and a key of two."""
    a, b, c, d = counter
    low, high = key
    for _ in range(ROUNDS):
        first, second = MULTIPLIERS[0] * a, MULTIPLIERS[1] * c
        a, b, c, d = (second >> 32) ^ b ^ low, second & LOW, (first >> 32) ^ d ^ high, first & LOW
        low, high = (low + WEYL[0]) & LOW, (high + WEYL[1]) & LOW
    return a, b, c, d


def words(seed: int, op_seed: int) -> Iterator[int]:
    """Endless random words of 32 bits, from two seeds of up to 64 bits."""
    key = (seed & LOW, seed >> 32 & LOW)
    for block in count():
        yield from philox((block & LOW, block >> 32, op_seed & LOW, op_seed >> 32 & LOW), key)


def order(size: int, seed: int, op_seed: int) -> list[int]:
    """A permutation of 0 ... size - 1: the order of every epoch.

    ``seed`` is the graph's (``tf.set_random_seed``), ``op_seed`` the operation's: without a seed of its own, the
    number of operations that the graph had before it.
    """
    first, second = islice(words(seed, op_seed), 2)
    found = list(range(size))
    for place, word in enumerate(islice(words(first, second), size)):
        other = place + word % (size - place)
        found[place], found[other] = found[other], found[place]
    return found
