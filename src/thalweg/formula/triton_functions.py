"""The language's functions on a GPU, as Triton compiles them: IEEE 754's results, as on the CPU.

Triton's own division and root of float32 are approximations, its negation is 0 - x (which has another sign for 0), its
maximum leaves nan out, and its exponential and logarithm of float32 are approximations too: those are taken in float64
and rounded once. A kernel's text calls what stands here by the language's names.
"""

# Triton reads these functions' text, which has no types; a kernel's values have those of its numbers.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl


@triton.jit
def divided(a, b):
    """a / b, rounded to the nearest."""
    if a.dtype == tl.float64 or b.dtype == tl.float64:
        return a / b
    else:  # noqa: RET505 - without it Triton reads on, whatever is known of the type
        return tl.div_rn(a, b)


@triton.jit
def sqrt(a):
    """Square root, rounded to the nearest."""
    if a.dtype == tl.float64:
        return tl.sqrt(a)
    else:  # noqa: RET505
        return tl.sqrt_rn(a)


@triton.jit
def negated(a):
    """-a, also of 0."""
    return a * -1.0


@triton.jit
def abs(a):
    """Absolute value."""
    return tl.abs(a)


@triton.jit
def floor(a):
    """The largest integer not above a."""
    return tl.floor(a)


@triton.jit
def exp(a):
    """Exponential."""
    return tl.exp(a.to(tl.float64)).to(a.dtype)


@triton.jit
def log(a):
    """Natural logarithm."""
    return tl.log(a.to(tl.float64)).to(a.dtype)


@triton.jit
def cos(a):
    """Cosine, of radians."""
    return tl.cos(a.to(tl.float64)).to(a.dtype)


@triton.jit
def sin(a):
    """Sine, of radians."""
    return tl.sin(a.to(tl.float64)).to(a.dtype)


@triton.jit
def maximum(a, b):
    """The larger one; nan if either is nan."""
    return tl.where(a != a, a, tl.where(a > b, a, b))


@triton.jit
def minimum(a, b):
    """The smaller one; nan if either is nan."""
    return tl.where(a != a, a, tl.where(a < b, a, b))


@triton.jit
def where(condition, a, b):
    """a where the condition holds, b elsewhere."""
    return tl.where(condition, a, b)


@triton.jit
def power(a, b):
    """a to the power of b, of float64 numbers on the host's side: a hyperparameter to the step's number, say."""
    found = tl.exp2(b * tl.log2(tl.abs(a)))
    odd = tl.floor(b * 0.5) * 2.0 != b
    whole = tl.floor(b) == b
    signed = tl.where(a < 0.0, tl.where(whole, tl.where(odd, found * -1.0, found), float("nan")), found)
    return tl.where(b == 0.0, 1.0, signed)


@triton.jit
def by_thread(a, LANES: tl.constexpr):
    """What each of so many threads has of a block, added up by itself."""
    return tl.sum(tl.reshape(a, [LANES, a.shape[0] // LANES]), axis=1)


@triton.jit
def total(sums, first, last, WIDTH: tl.constexpr, PLACE: tl.constexpr, LANES: tl.constexpr):
    """What the tiles from the first to before the last have added up, one of WIDTH totals, in a fixed order."""
    added = tl.zeros([LANES], tl.float64)
    for tile in range(first, last, LANES):
        tiles = tile + tl.arange(0, LANES)
        added += tl.load(sums + tiles * WIDTH + PLACE, mask=tiles < last, other=0.0)
    return tl.sum(added, axis=0)
