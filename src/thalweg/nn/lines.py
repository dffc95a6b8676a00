"""Kernels for lines that lie in memory as one run, or as several of equal length: tokens, and channels of images.

A line's own numbers (mean and scale) are taken first, then its outputs: so it is read again, but from the cache.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from thalweg.formula.expression import Expression, constant, number
from thalweg.formula.vectors import Registers

from . import formulas
from .loops import Loops

# So many numbers at most are added in float32, a few dozen a lane; the totals of such chunks in float64.
CHUNK = 4096

# Lines are claimed PER at a time. A line is SEGMENTS runs of LENGTH numbers, STRIDE apart; line i begins at
# i * LENGTH. GROUP segments are at most a chunk. EPS is the address of a float64 number.
SIZES = ("LINES", "PER", "SEGMENTS", "LENGTH", "STRIDE", "GROUP")
FORWARD = ("X", "RESIDUAL", "WEIGHT", "BIAS", "Y", "SUM", "MEAN", "SCALE", "SPREAD", "EPS")
# DSUM: the gradient that reaches the sum of x and residual from elsewhere. DWEIGHT and DBIAS: one number a line, or
# rows of LENGTH numbers, one for each claim.
BACKWARD = ("X", "DY", "DSUM", "WEIGHT", "MEAN", "SCALE", "DX", "DWEIGHT", "DBIAS")

X, MEAN, SCALE, WEIGHT, BIAS = (number(name) for name in ("x", "mean", "scale", "weight", "bias"))
DY, MEAN_G, MEAN_GZ = (number(name) for name in ("dy", "mean_g", "mean_gz"))
SPREAD, EPS, ZERO = number("spread"), number("eps"), constant(0.0)

# What is done at a place: its index in memory, its index in the run, the mask.
AtPlace = Callable[[str, str, str | None], None]
Terms = Callable[[str, str, str | None], list[str]]


@dataclass(frozen=True)
class Lines:
    """Which kernel.

    ``x``         the element type of x, y and their gradients, as torch names it. ``weight``, ``bias``: theirs.
    ``centred``   whether the mean is taken off (all but RMSNorm).
    ``along``     whether weight and bias have an element for each place of the line (tokens), or one for each line.
    ``residual``  whether what is normalised is the sum of two tensors, which is an output too.
    ``width``     numbers in a vector.
    """

    x: str
    weight: str | None
    bias: str | None
    centred: bool
    along: bool
    residual: bool
    width: int

    @property
    def real(self) -> str:
        """What is computed in, and the type of a line's own numbers."""
        return "float64" if self.x == "float64" else "float32"

    @property
    def z(self) -> Expression:
        """The normalised value."""
        z: Expression = formulas.normalised(X, MEAN if self.centred else ZERO, SCALE)
        return z


@cache
def forward(kind: Lines) -> str:
    """y, mean and scale; for channels the variance too; the sum where there is a residual."""
    walk = _Walk(kind, FORWARD)
    vector = walk.vector

    def read(at: str, mask: str | None) -> str:
        return walk.read(kind.x, "SUM" if kind.residual else "X", at, mask)

    def read_first(at: str, mask: str | None) -> str:
        if not kind.residual:
            return read(at, mask)
        both = [walk.read(kind.x, name, at, mask) for name in ("X", "RESIDUAL")]
        total = walk.new(f"fadd {vector} {both[0]}, {both[1]}")
        walk.write(kind.x, total, "SUM", at, mask)
        # Where memory holds fewer bits, what it holds is what counts: the backward pass will find nothing else.
        return read(at, mask) if kind.x == "bfloat16" else total

    with walk.lines_claimed() as (line, _):
        known: Registers = {}

        def value(at: str, _: str, mask: str | None) -> list[str]:
            return [read_first(at, mask)]

        def square(at: str, _: str, mask: str | None) -> list[str]:
            x = read_first(at, mask)
            return [walk.new(f"fmul {vector} {x}, {x}")]

        def deviation(at: str, _: str, mask: str | None) -> list[str]:
            far = walk.new(f"fsub {vector} {read(at, mask)}, {known[MEAN]}")
            return [walk.new(f"fmul {vector} {far}, {far}")]

        if kind.centred:
            mean = walk.rounded(walk.mean(walk.totals(line, 1, value)[0]))
            walk.write_one(walk.real, mean, "MEAN", line)
            known[MEAN] = walk.spread(walk.real, mean)
        spread = walk.mean(walk.totals(line, 1, deviation if kind.centred else square)[0])
        if not kind.along:
            walk.write_one("double", spread, "SPREAD", line)
        scale = walk.scale(spread)
        walk.write_one(walk.real, scale, "SCALE", line)
        known[SCALE] = walk.spread(walk.real, scale)
        if not kind.along:
            known |= walk.affine(line, None)
        y = formulas.output(kind.z, WEIGHT if kind.weight else None, BIAS if kind.bias else None)

        def write(at: str, place: str, mask: str | None) -> None:
            registers = known | {X: read(at, mask)}
            if kind.along:
                registers |= walk.affine(place, mask)
            walk.write(kind.x, walk.value(y, registers), "Y", at, mask)

        walk.along(line, write)
    return walk.text()


@cache
def backward(kind: Lines) -> str:
    """The gradients of x, weight and bias."""
    walk = _Walk(kind, BACKWARD)
    weight = WEIGHT if kind.weight else None
    # The weight belongs to z's gradient; where it is one for the line, it waits until the sums have been taken.
    g = DY if weight is None else DY * weight
    gradients = {"DWEIGHT": DY * kind.z, "DBIAS": DY}

    with walk.lines_claimed() as (line, claim):
        known: Registers = {SCALE: walk.line_number("SCALE", line)}
        if kind.centred:
            known[MEAN] = walk.line_number("MEAN", line)
        if weight is not None and not kind.along:
            known[weight] = walk.affine(line, None)[weight]

        def read(at: str, place: str, mask: str | None) -> Registers:
            registers = known | {X: walk.read(kind.x, "X", at, mask), DY: walk.read(kind.x, "DY", at, mask)}
            if weight is not None and kind.along:
                registers[weight] = walk.affine(place, mask)[weight]
            return registers

        summed = [g * kind.z, g] if kind.along else list(gradients.values())

        def products(at: str, place: str, mask: str | None) -> list[str]:
            registers = read(at, place, mask)
            return [walk.value(e, registers) for e in summed[: 1 + kind.centred]]

        totals = walk.totals(line, 1 + kind.centred, products)
        if not kind.along:
            for name, total in zip(gradients, totals, strict=True):
                walk.write_one(walk.real, walk.rounded(total), name, line)
        for leaf, total in zip((MEAN_GZ, MEAN_G), totals, strict=False):
            mean = walk.spread(walk.real, walk.rounded(walk.mean(total)))
            known[leaf] = mean if kind.along or weight is None else walk.product(mean, known[weight])
        dx = formulas.input_gradient(g, kind.z, SCALE, MEAN_G if kind.centred else ZERO, MEAN_GZ)
        row = walk.times(claim, walk.size_of["LENGTH"])

        def write(at: str, place: str, mask: str | None) -> None:
            registers = read(at, place, mask)
            result = walk.value(dx, registers)
            if kind.residual:
                result = walk.new(f"fadd {walk.vector} {result}, {walk.read(kind.x, 'DSUM', at, mask)}")
            walk.write(kind.x, result, "DX", at, mask)
            if kind.along:
                for name, wanted in (("DWEIGHT", kind.weight), ("DBIAS", kind.bias)):
                    if wanted:
                        walk.accumulate(name, walk.plus(row, place), walk.value(gradients[name], registers), mask)

        walk.along(line, write)
    return walk.text()


class _Walk(Loops):
    """Loops over the lines that are claimed, and along each."""

    def __init__(self, kind: Lines, addresses: tuple[str, ...]) -> None:
        super().__init__(kind.width, kind.real, addresses, SIZES)
        self.kind = kind
        one_run = {"SEGMENTS": "1", "GROUP": "1"} if kind.along else {}
        self.size_of |= one_run
        self.elements = self.as_double(self.times(self.size_of["SEGMENTS"], self.size_of["LENGTH"]))

    @contextmanager
    def lines_claimed(self) -> Iterator[tuple[str, str]]:
        """The line, and the claim it belongs to."""
        per = self.size_of["PER"]
        with self.claimed() as claim:
            first = self.times(claim, per)
            last = self.least(self.plus(first, per), self.size_of["LINES"])
            with self.loop(first, last) as line:
                yield line, claim

    @contextmanager
    def chunks(self, line: str) -> Iterator[Callable[[AtPlace], None]]:
        """A part of the line that is added up in float32; what is given runs at its places."""
        length, stride = self.size_of["LENGTH"], self.size_of["STRIDE"]
        base = self.times(line, length)
        with self.loop("0", self.size_of["SEGMENTS"], self.size_of["GROUP"]) as segment:
            last = self.least(self.plus(segment, self.size_of["GROUP"]), self.size_of["SEGMENTS"])
            with self.loop("0", length, str(CHUNK)) as start:
                stop = self.least(self.plus(start, str(CHUNK)), length)

                def run(body: AtPlace) -> None:
                    with self.loop(segment, last) as s:
                        begin = self.plus(base, self.times(s, stride))
                        self.each(start, stop, lambda place, mask: body(self.plus(begin, place), place, mask))

                yield run

    def along(self, line: str, body: AtPlace) -> None:
        """Do something at every place."""
        with self.chunks(line) as run:
            run(body)

    def totals(self, line: str, count: int, terms: Terms) -> list[str]:
        """The sums of terms over the line, as float64 numbers."""
        totals = [self.variable("double", "0.0") for _ in range(count)]
        with self.chunks(line) as run:
            lanes = [self.variable(self.vector, "zeroinitializer") for _ in range(count)]

            def body(at: str, place: str, mask: str | None) -> None:
                for variable, term in zip(lanes, terms(at, place, mask), strict=True):
                    self.add_to(variable, self.vector, self.masked(term, mask))

            run(body)
            for total, variable in zip(totals, lanes, strict=True):
                self.add_to(total, "double", self.widened(self.added(self.get(variable, self.vector), self.real)))
        return [self.get(total, "double") for total in totals]

    def mean(self, total: str) -> str:
        return self.new(f"fdiv double {total}, {self.elements}")

    def scale(self, spread: str) -> str:
        """A line's scale, computed in float64."""
        scalars = self.beside(1, "float64")
        known = {SPREAD: scalars.spread("double", spread), EPS: scalars.load("float64", self.at["EPS"], None)}
        lane = scalars.value(formulas.scale(SPREAD, EPS), known)
        return self.rounded(self.new(f"extractelement <1 x double> {lane}, i64 0"))

    def line_number(self, name: str, line: str) -> str:
        """A line's own number, in all lanes."""
        return self.spread(self.real, self.read_one(self.real, name, line))

    def affine(self, place: str, mask: str | None) -> Registers:
        """Weight and bias: at a place of the line, or the line's, in all lanes."""
        found: Registers = {}
        for leaf, name, dtype in ((WEIGHT, "WEIGHT", self.kind.weight), (BIAS, "BIAS", self.kind.bias)):
            if dtype and name in self.at:
                found[leaf] = self.read(dtype, name, place, mask) if self.kind.along else self.one(dtype, name, place)
        return found

    def one(self, dtype: str, name: str, index: str) -> str:
        """A single element, in all lanes."""
        only_first = self.first_lanes("1")
        lanes = self.read(dtype, name, index, only_first)
        return self.spread(self.real, self.new(f"extractelement {self.vector} {lanes}, i64 0"))

    def product(self, a: str, b: str) -> str:
        return self.new(f"fmul {self.vector} {a}, {b}")

    def accumulate(self, name: str, index: str, term: str, mask: str | None) -> None:
        so_far = self.read(self.kind.real, name, index, mask)
        self.write(self.kind.real, self.new(f"fadd {self.vector} {so_far}, {term}"), name, index, mask)
