"""Kernels for lines that lie in memory as one run, or as several of equal length: tokens, and channels of images.

A line's own numbers (mean and scale) are taken first, then its outputs: so it is read again, but from the cache.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, reduce
from itertools import chain

from thalweg.formula.expression import Expression, constant, number
from thalweg.formula.llvm import compute_type
from thalweg.formula.loops import Loops
from thalweg.formula.vectors import Registers, Vectors

from . import formulas

# So many numbers at most are added in float32, a few dozen a lane; the totals of such chunks in float64.
CHUNK = 4096
# Numbers in a vector at most, of float32; and the length from which on lines that share weights are better walked a few
# together, since the weights no longer fit the nearest cache beside the line. Both measured.
WIDEST = 32
WIDE_LINE = 2048

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

# What is done at a place of several lines: their indices in memory, the index in the run, the mask.
AtPlace = Callable[[Sequence[str], str, str | None], None]
Terms = Callable[[Sequence[str], str, str | None], list[list[str]]]


@dataclass(frozen=True)
class Lines:
    """Which kernel.

    ``x``         the element type of x, y and their gradients, as torch names it. ``weight``, ``bias``: theirs.
    ``centred``   whether the mean is taken off (all but RMSNorm).
    ``along``     whether weight and bias have an element for each place of the line (tokens), or one for each line.
    ``residual``  whether what is normalised is the sum of two tensors, which is an output too.
    ``width``     numbers in a vector; ``together``: lines that the backward pass walks at a time.
    """

    x: str
    weight: str | None
    bias: str | None
    centred: bool
    along: bool
    residual: bool
    width: int
    together: int = 1

    @property
    def real(self) -> str:
        """What is computed in, and the type of a line's own numbers."""
        return compute_type({"x": self.x})

    @property
    def z(self) -> Expression:
        """The normalised value."""
        z: Expression = formulas.normalised(X, MEAN if self.centred else ZERO, SCALE)
        return z


@cache
def forward(kind: Lines) -> str:
    """y, mean and scale; for channels the variance too; the sum where there is a residual."""
    walk = _Walk(kind, FORWARD)
    # A channel's mean and variance are added up in float64, as in torch: they may be far from 1, and are kept.
    adding = walk if kind.along or kind.real == "float64" else walk.beside(kind.width, "float64")

    def taken(value: str) -> str:
        return value if adding is walk else walk.doubled(value)

    def read(at: str, mask: str | None) -> str:
        return walk.read(kind.x, "SUM" if kind.residual else "X", at, mask)

    def read_first(at: str, mask: str | None) -> str:
        if not kind.residual:
            return read(at, mask)
        both = [walk.read(kind.x, name, at, mask) for name in ("X", "RESIDUAL")]
        total = walk.plus_vector(*both)
        walk.write(kind.x, total, "SUM", at, mask)
        # Where memory holds fewer bits, what it holds is what counts: the backward pass will find nothing else.
        return read(at, mask) if kind.x == "bfloat16" else total

    def line_by_line(lines: Sequence[str], _: str) -> None:
        (line,) = lines
        known: Registers = {}

        def value(at: Sequence[str], _: str, mask: str | None) -> list[list[str]]:
            return [[taken(read_first(at[0], mask))]]

        # Without a mean, the squares are the first that is taken of a line.
        read_squared, around = (read, MEAN) if kind.centred else (read_first, ZERO)
        centre: Registers = {}

        def squared(at: Sequence[str], _: str, mask: str | None) -> list[list[str]]:
            return [[adding.value(formulas.squared(X, around), centre | {X: taken(read_squared(at[0], mask))})]]

        if kind.centred:
            exact = walk.mean(walk.totals(lines, 1, value, adding)[0][0])
            mean = walk.rounded(exact)
            walk.write_one(walk.real, mean, "MEAN", line)
            known[MEAN] = walk.spread(walk.real, mean)
            centre[MEAN] = known[MEAN] if adding is walk else walk.spread("double", exact)
        spread = walk.mean(walk.totals(lines, 1, squared, adding)[0][0])
        if not kind.along:
            walk.write_one("double", spread, "SPREAD", line)
        scale = walk.scale(spread)
        walk.write_one(walk.real, scale, "SCALE", line)
        known[SCALE] = walk.spread(walk.real, scale)
        if not kind.along:
            known |= walk.affine(line, None)
        y = formulas.output(kind.z, WEIGHT if kind.weight else None, BIAS if kind.bias else None)

        def write(at: Sequence[str], place: str, mask: str | None) -> None:
            registers = known | {X: read(at[0], mask)}
            if kind.along:
                registers |= walk.affine(place, mask)
            walk.write(kind.x, walk.value(y, registers), "Y", at[0], mask)

        walk.along(lines, write)

    walk.each_line(line_by_line)
    return walk.text()


@cache
def backward(kind: Lines) -> str:
    """The gradients of x, weight and bias."""
    walk = _Walk(kind, BACKWARD)
    walk.each_line(lambda lines, claim: _backward(walk, lines, claim), kind.together)
    return walk.text()


def _backward(walk: "_Walk", lines: Sequence[str], claim: str) -> None:
    kind = walk.kind
    weight = WEIGHT if kind.weight else None
    # The weight belongs to z's gradient; where it is one for the line, it waits until the sums have been taken.
    g = DY if weight is None else DY * weight
    gradients = {"DWEIGHT": DY * kind.z, "DBIAS": DY}
    summed = [g * kind.z, g] if kind.along else list(gradients.values())

    own: list[Registers] = [{SCALE: walk.line_number("SCALE", line)} for line in lines]
    for known, line in zip(own, lines, strict=True):
        if kind.centred:
            known[MEAN] = walk.line_number("MEAN", line)
        if weight is not None and not kind.along:
            known[weight] = walk.affine(line, None)[weight]

    def read(at: Sequence[str], place: str, mask: str | None) -> list[Registers]:
        shared: Registers = {}
        if weight is not None and kind.along:
            shared[weight] = walk.affine(place, mask)[weight]
        return [
            known | shared | {X: walk.read(kind.x, "X", here, mask), DY: walk.read(kind.x, "DY", here, mask)}
            for known, here in zip(own, at, strict=True)
        ]

    def products(at: Sequence[str], place: str, mask: str | None) -> list[list[str]]:
        found = read(at, place, mask)
        return [[walk.value(e, registers) for e in summed[: 1 + kind.centred]] for registers in found]

    for known, line, totals in zip(own, lines, walk.totals(lines, 1 + kind.centred, products, walk), strict=True):
        if not kind.along:
            for name, total in zip(gradients, totals, strict=True):
                walk.write_one(walk.real, walk.rounded(total), name, line)
        for leaf, total in zip((MEAN_GZ, MEAN_G), totals, strict=False):
            mean = walk.spread(walk.real, walk.rounded(walk.mean(total)))
            known[leaf] = mean if kind.along or weight is None else walk.product(mean, known[weight])
    dx = formulas.input_gradient(g, kind.z, SCALE, MEAN_G if kind.centred else ZERO, MEAN_GZ)
    row = walk.times(claim, walk.size_of["LENGTH"])

    def write(at: Sequence[str], place: str, mask: str | None) -> None:
        found = read(at, place, mask)
        for registers, here in zip(found, at, strict=True):
            result = walk.value(dx, registers)
            if kind.residual:
                result = walk.plus_vector(result, walk.read(kind.x, "DSUM", here, mask))
            walk.write(kind.x, result, "DX", here, mask)
        if kind.along:
            for name, wanted in (("DWEIGHT", kind.weight), ("DBIAS", kind.bias)):
                if wanted:
                    terms = [walk.value(gradients[name], registers) for registers in found]
                    slot = walk.plus(row, place)
                    so_far = walk.read(kind.real, name, slot, mask)
                    walk.write(kind.real, reduce(walk.plus_vector, terms, so_far), name, slot, mask)

    walk.along(lines, write)


class _Walk(Loops):
    """Loops over the lines that are claimed, and along each."""

    def __init__(self, kind: Lines, addresses: tuple[str, ...]) -> None:
        super().__init__(kind.width, kind.real, addresses, SIZES)
        self.kind = kind
        one_run = {"SEGMENTS": "1", "GROUP": "1"} if kind.along else {}
        self.size_of |= one_run
        self.elements = self.as_double(self.times(self.size_of["SEGMENTS"], self.size_of["LENGTH"]))

    def each_line(self, body: Callable[[Sequence[str], str], None], together: int = 1) -> None:
        """The lines that are claimed, so many together while there are as many, and the claim they belong to."""
        per = self.size_of["PER"]
        with self.claimed() as claim:
            first = self.times(claim, per)
            last = self.least(self.plus(first, per), self.size_of["LINES"])
            whole = self.new(f"sdiv i64 {self.new(f'sub i64 {last}, {first}')}, {together}")
            middle = self.plus(first, self.times(whole, str(together)))
            with self.loop(first, middle, str(together)) as line:
                body([line, *(self.plus(line, str(i)) for i in range(1, together))], claim)
            if together > 1:
                with self.loop(middle, last) as line:
                    body([line], claim)

    @contextmanager
    def chunks(self, lines: Sequence[str]) -> Iterator[Callable[[AtPlace], None]]:
        """A part of the lines that is added up in float32; what is given runs at its places."""
        length, stride = self.size_of["LENGTH"], self.size_of["STRIDE"]
        bases = [self.times(line, length) for line in lines]
        with self.loop("0", self.size_of["SEGMENTS"], self.size_of["GROUP"]) as segment:
            last = self.least(self.plus(segment, self.size_of["GROUP"]), self.size_of["SEGMENTS"])
            with self.loop("0", length, str(CHUNK)) as start:
                stop = self.least(self.plus(start, str(CHUNK)), length)

                def run(body: AtPlace) -> None:
                    with self.loop(segment, last) as s:
                        begins = [self.plus(base, self.times(s, stride)) for base in bases]

                        def at_places(place: str, mask: str | None) -> None:
                            body([self.plus(begin, place) for begin in begins], place, mask)

                        self.each(start, stop, at_places)

                yield run

    def along(self, lines: Sequence[str], body: AtPlace) -> None:
        """Do something at every place."""
        with self.chunks(lines) as run:
            run(body)

    def totals(self, lines: Sequence[str], count: int, terms: Terms, adding: Vectors) -> list[list[str]]:
        """For each line the sums of so many terms over it, as float64 numbers; ``adding``: the terms' vectors."""
        totals = [[self.variable("double", "0.0") for _ in range(count)] for _ in lines]
        with self.chunks(lines) as run:
            lanes = [[self.variable(adding.vector, "zeroinitializer") for _ in range(count)] for _ in lines]

            def body(at: Sequence[str], place: str, mask: str | None) -> None:
                for variable, term in zip(chain(*lanes), chain(*terms(at, place, mask)), strict=True):
                    self.add_to(variable, adding.vector, adding.masked(term, mask))

            run(body)
            for total, variable in zip(chain(*totals), chain(*lanes), strict=True):
                found = self.added(self.get(variable, adding.vector), adding.real)
                self.add_to(total, "double", found if adding.real == "double" else self.widened(found))
        return [[self.get(total, "double") for total in of_line] for of_line in totals]

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

    def plus_vector(self, a: str, b: str) -> str:
        return self.new(f"fadd {self.vector} {a}, {b}")
