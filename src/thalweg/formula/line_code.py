"""The `llvm` reader of programs by line (`lines`): passes over weights by their rows, and walks along lines.

A pass over weights goes from row to row, as memory lies. One that adds up by column, or over all, goes through a block
of columns row by row: totals by column stay in the nearest cache, and all are added in that order. Totals by row are
added block by block of the row. Totals by column belong to the tile until a walk along lines joins the tiles of a
matrix, in their order: bits depend on the shapes alone, not on who computed what.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from .expression import Expression, coefficient, leaf
from .llvm import ADDRESSES, CLAIM_TABLE, ROW_OF, ROWS, SUMS, TILES, WIDTH, row_code
from .loops import Loops
from .lower import Kernel
from .vectors import SIZES, TYPES, Registers

# Behind the words of `llvm`: where a tile's totals by column go, an address for each total of each tile.
TARGETS = 9
# What a tile says: its tensor, its first matrix and how many; its first row in each and how many; and of a matrix its
# rows and columns.
TILE = ("tensor", "matrix", "matrices", "row", "rows", "all_rows", "columns")
# What a group of matrices says, whose lines are walked along by one thread; then, for each total by column, where the
# parts that are joined begin (`parts` of them, 0: there is nothing to join).
GROUP = ("tensor", "matrix", "matrices", "all_rows", "columns", "parts")
# So many columns are gone through at a time: of float64 totals, 8 kB.
BLOCK = 1024
# So many vectors in a turn of the loop, of a pass that adds up so and writes nothing: with one, a processor does not
# look far enough ahead of memory (a fifth of what the summing passes of Adafactor and CAME take: measured).
AT_ONCE = 4
# Numbers in a vector along a line, which are float64.
ALONG = 8


def weights_code(
    kernel: Kernel, totals: Sequence[str], extents: Mapping[str, str], dtypes: Mapping[str, str], real: str,
    names: Sequence[str],
) -> str:  # fmt: skip
    """Assembly of a pass over weights, as `llvm.emit` makes it.

    ``totals`` are the totals' names; ``extents`` says of every operand, and of totals by line, what there is one of.
    """
    walk = _Weights(kernel, totals, extents, dtypes, real)
    walk.function()
    return walk.text(rows=row_code(kernel.coefficients, real, names))


def lines_code(
    walks: Sequence[tuple[Kernel, Sequence[str], str]], joined: Sequence[str], operands: Sequence[str],
    extents: Mapping[str, str], dtypes: Mapping[str, str], names: Sequence[str],
) -> str:  # fmt: skip
    """Assembly of walks along lines, one after the other in each matrix.

    ``walks``   each with the names of its totals, which are means, and along what it goes;
    ``joined``  the totals by column that the pass before has left in parts.
    """
    code = _Lines(walks, joined, operands, extents, dtypes)
    code.function()
    every = [e for kernel, _, _ in walks for e in kernel.coefficients]
    return code.text(rows=row_code(every, "float64", names))


class _Walk(Loops):
    """What both kinds have in common: operands of different extents."""

    def __init__(
        self, width: int, real: str, operands: Sequence[str], extents: Mapping[str, str], dtypes: Mapping[str, str]
    ) -> None:
        super().__init__(width, real)
        self.operands, self.extents, self.dtypes = operands, extents, dtypes
        addresses = self.table(ADDRESSES)
        self.tables = {name: self.pointer(self.word(addresses, i)) for i, name in enumerate(operands)}
        self.wide = self.beside(width, "float64")

    def fields(self, table: str, entry: str, names: Sequence[str]) -> dict[str, str]:
        """What an entry of a table says, by name."""
        first = self.times(entry, str(len(names)))
        return {name: self.word(table, self.plus(first, str(i))) for i, name in enumerate(names)}

    def begins(self, tensor: str) -> dict[str, str]:
        """Where a tensor's part of every operand begins."""
        return {name: self.pointer(self.word(table, tensor)) for name, table in self.tables.items()}

    def element(self, name: str, begin: str, index: str) -> str:
        return self.new(f"getelementptr {TYPES[self.dtypes[name]]}, ptr {begin}, i64 {index}")

    def coefficients(self, tensor: str, width: int, real: str) -> list[str]:
        """A tensor's row of so many coefficients, each in all lanes."""
        kind = TYPES[real]
        rows, row = self.table(ROWS), self.times(self.word(self.table(ROW_OF), tensor), str(width))
        places = (self.new(f"getelementptr {kind}, ptr {rows}, i64 {self.plus(row, str(i))}") for i in range(width))
        return [self.spread(kind, self.new(f"load {kind}, ptr {place}, align {SIZES[real]}")) for place in places]

    def one(self, name: str, begin: str, index: str) -> str:
        """A single number of an operand, as ``real``, in all lanes."""
        single = self.beside(1, _torchs(self.real))
        value = single.load(self.dtypes[name], self.element(name, begin, index), None)
        return self.spread(self.real, self.new(f"extractelement {single.vector} {value}, i64 0"))

    def term(self, total: Expression, known: Registers, mask: str | None) -> str:
        """What a vector adds to a total, in float64; squares are taken in it, so that none is lost."""
        if total.op == "*" and len({*total.arguments}) == 1:
            factor = self.doubled(self.value(total.arguments[0], known))
            term = self.new(f"fmul {self.doubles} {factor}, {factor}")
        else:
            term = self.doubled(self.value(total, known))
        return self.wide.masked(term, mask)


class _Weights(_Walk):
    """A pass over weights: the tiles of each claim, one after the other."""

    def __init__(
        self, kernel: Kernel, totals: Sequence[str], extents: Mapping[str, str], dtypes: Mapping[str, str], real: str
    ) -> None:
        super().__init__(WIDTH, real, kernel.operands, extents, dtypes)
        self.kernel, self.dtype = kernel, real
        named = list(zip(totals, kernel.totals, strict=True))
        self.slots = len(named)
        self.by = {by: [(n, e) for n, e in named if extents.get(n) == by] for by in ("row", "column")}
        self.of_tensor = [(i, e) for i, (n, e) in enumerate(named) if extents.get(n) not in self.by]
        self.across = bool(self.by["column"]) or any(not _same_everywhere(e) for _, e in self.of_tensor)
        """Whether it adds up over rows: then by blocks of columns."""

    def of_extent(self, extent: str) -> list[str]:
        """The operands that are read of an extent; totals by line are only written."""
        written = {name for names in self.by.values() for name, _ in names}
        return [name for name in self.operands if self.extents[name] == extent and name not in written]

    def function(self) -> None:
        claims, tiles, slots = self.table(CLAIM_TABLE), self.table(TILES), self.table(SUMS)
        with self.claimed() as claim:
            first = self.times(claim, "2")
            with self.loop(self.word(claims, first), self.word(claims, self.plus(first, "1"))) as tile:
                at = self.fields(tiles, tile, TILE)
                gradient = self.word(self.tables["g"], at["tensor"])
                lanes = [self.variable(self.doubles, "zeroinitializer") for _ in self.of_tensor]
                present = self.new(f"icmp ne i64 {gradient}, 0")
                row = self.coefficients(at["tensor"], len(self.kernel.coefficients), self.dtype)
                known = {coefficient(i): register for i, register in enumerate(row)}
                with self.when(present):
                    self.tile(tile, at, known, lanes)
                so_many = self.as_double(self.times(at["matrices"], self.times(at["rows"], at["columns"])))
                there = self.new(f"select i1 {present}, double {so_many}, double 0.0")
                for (i, e), variable in zip(self.of_tensor, lanes, strict=True):
                    total = self.added(self.get(variable, self.doubles), "double")
                    if _same_everywhere(e):
                        each = self.new(f"extractelement {self.doubles} {self.doubled(self.value(e, known))}, i64 0")
                        total = self.new(f"fmul double {each}, {there}")
                    slot = self.plus(self.times(tile, str(self.slots)), str(i))
                    self.set(self.new(f"getelementptr double, ptr {slots}, i64 {slot}"), "double", total)

    def tile(self, tile: str, at: Mapping[str, str], known: Registers, lanes: Sequence[str]) -> None:
        """The rows of every matrix of a tile."""
        begins, targets = self.begins(at["tensor"]), self.table(TARGETS)
        columns = at["columns"]
        with self.loop("0", at["matrices"]) as i:
            matrix = self.plus(at["matrix"], i)
            first_row = self.plus(self.times(matrix, at["all_rows"]), at["row"])
            first_column = self.times(matrix, columns)
            # Where the totals by column are added up: the target is that of the tile's first matrix.
            into = {}
            for k, (name, _) in enumerate(self.by["column"]):
                place = self.plus(self.times(tile, str(len(self.by["column"]))), str(k))
                base = self.pointer(self.word(targets, place))
                into[name] = self.new(f"getelementptr double, ptr {base}, i64 {self.times(i, columns)}")
            with self.loop("0", columns, str(BLOCK) if self.across else columns) as left:
                right = self.least(self.plus(left, str(BLOCK)), columns) if self.across else columns
                for target in into.values():
                    self.each(left, right, partial(self.clear, target))
                with self.loop(first_row, self.plus(first_row, at["rows"])) as row:
                    own = {leaf("row", n): self.one(n, begins[n], row) for n in self.of_extent("row")}
                    start = self.times(row, columns)
                    some = partial(self.some, begins, into, {**known, **own}, lanes, start, first_column)
                    if self.across or not self.by["row"]:
                        self.block(left, right, row, begins, some)
                    else:
                        with self.loop(left, right, str(BLOCK)) as first:
                            self.block(first, self.least(self.plus(first, str(BLOCK)), right), row, begins, some)

    def block(self, first: str, end: str, row: str, begins: Mapping[str, str], some: Callable[..., None]) -> None:
        """Some weights of a row, and what they add to its totals."""
        totals = [self.variable(self.doubles, "zeroinitializer") for _ in self.by["row"]]
        self.each(first, end, partial(some, totals), AT_ONCE if self.across and not self.kernel.writes else 1)
        for (name, _), variable in zip(self.by["row"], totals, strict=True):
            place = self.element(name, begins[name], row)
            found = self.added(self.get(variable, self.doubles), "double")
            begun = self.new(f"icmp ne i64 {first}, 0")
            before = self.new(f"select i1 {begun}, double {self.get(place, 'double')}, double 0.0")
            self.set(place, "double", self.new(f"fadd double {before}, {found}"))

    def clear(self, target: str, column: str, mask: str | None) -> None:
        place = self.new(f"getelementptr double, ptr {target}, i64 {column}")
        self.wide.store("float64", "zeroinitializer", place, mask)

    def some(
        self, begins: Mapping[str, str], into: Mapping[str, str], given: Registers, lanes: Sequence[str],
        start: str, first_column: str, totals: Sequence[str], column: str, mask: str | None,
    ) -> None:  # fmt: skip
        """Sixteen weights of a row: read, compute, add up, write."""
        index = {"weight": self.plus(start, column), "column": self.plus(first_column, column)}
        places = {
            name: self.element(name, begins[name], index[extent]) for extent in index for name in self.of_extent(extent)
        }
        known = dict(given)
        # All operands are read before any is written.
        for name, place in places.items():
            known[leaf(self.extents[name], name)] = self.load(self.dtypes[name], place, mask)
        for (_, e), variable in zip(self.of_tensor, lanes, strict=True):
            if not _same_everywhere(e):
                self.add_to(variable, self.doubles, self.term(e, known, mask))
        for (_, e), variable in zip(self.by["row"], totals, strict=True):
            self.add_to(variable, self.doubles, self.term(e, known, mask))
        for name, e in self.by["column"]:
            place = self.new(f"getelementptr double, ptr {into[name]}, i64 {column}")
            term = self.term(e, known, mask)
            so_far = self.wide.load("float64", place, mask)
            self.wide.store("float64", self.new(f"fadd {self.doubles} {so_far}, {term}"), place, mask)
        results = [(name, self.value(e, known)) for name, e in self.kernel.writes]
        for name, result in results:
            self.store(self.dtypes[name], result, places[name], mask)


class _Lines(_Walk):
    """Walks along the lines of each group's matrices."""

    def __init__(
        self, walks: Sequence[tuple[Kernel, Sequence[str], str]], joined: Sequence[str], operands: Sequence[str],
        extents: Mapping[str, str], dtypes: Mapping[str, str],
    ) -> None:  # fmt: skip
        super().__init__(ALONG, "float64", operands, extents, dtypes)
        self.walks, self.joined = walks, joined

    def function(self) -> None:
        groups, width = self.table(TILES), sum(len(kernel.coefficients) for kernel, _, _ in self.walks)
        fields = (*GROUP, *self.joined)
        with self.claimed() as claim:
            at = self.fields(groups, claim, fields)
            gradient = self.word(self.tables["g"], at["tensor"])
            with self.when(self.new(f"icmp ne i64 {gradient}, 0")):
                begins = self.begins(at["tensor"])
                numbers = self.coefficients(at["tensor"], width, "float64")
                with self.loop("0", at["matrices"]) as i:
                    matrix = self.plus(at["matrix"], i)
                    self.join(at, begins, matrix)
                    used = 0
                    for kernel, totals, along in self.walks:
                        own = numbers[used : used + len(kernel.coefficients)]
                        used += len(kernel.coefficients)
                        length = at["all_rows" if along == "row" else "columns"]
                        self.walk(kernel, totals, along, own, begins, matrix, length)

    def join(self, at: Mapping[str, str], begins: Mapping[str, str], matrix: str) -> None:
        """The parts of a matrix' totals by column, added in their order."""
        columns = at["columns"]
        with self.when(self.new(f"icmp sgt i64 {at['parts']}, 0")):
            for name in self.joined:
                source, first = self.pointer(at[name]), self.times(matrix, columns)

                def body(
                    column: str, mask: str | None, name: str = name, source: str = source, first: str = first
                ) -> None:
                    total = self.variable(self.vector, "zeroinitializer")
                    with self.loop("0", at["parts"]) as part:
                        place = self.plus(self.times(part, columns), column)
                        address = self.new(f"getelementptr double, ptr {source}, i64 {place}")
                        self.add_to(total, self.vector, self.load("float64", address, mask))
                    place = self.element(name, begins[name], self.plus(first, column))
                    self.store("float64", self.get(total, self.vector), place, mask)

                self.each("0", columns, body)

    def walk(
        self, kernel: Kernel, totals: Sequence[str], along: str, numbers: Sequence[str], begins: Mapping[str, str],
        matrix: str, length: str,
    ) -> None:  # fmt: skip
        """Along all rows, or columns, of a matrix."""
        used = [name for name in kernel.operands if name != "g" and name not in totals]
        first = self.times(matrix, length)
        given = {coefficient(i): number for i, number in enumerate(numbers)}
        given |= {leaf("matrix", n): self.one(n, begins[n], matrix) for n in used if self.extents[n] == "matrix"}
        lanes = [self.variable(self.vector, "zeroinitializer") for _ in kernel.totals]

        def body(place: str, mask: str | None) -> None:
            index = self.plus(first, place)
            places = {n: self.element(n, begins[n], index) for n in used if self.extents[n] == along}
            known = dict(given)
            for name, at in places.items():
                known[leaf(along, name)] = self.load(self.dtypes[name], at, mask)
            for variable, e in zip(lanes, kernel.totals, strict=True):
                self.add_to(variable, self.vector, self.masked(self.value(e, known), mask))
            results = [(name, self.value(e, known)) for name, e in kernel.writes]
            for name, result in results:
                self.store(self.dtypes[name], result, places[name], mask)

        self.each("0", length, body)
        for name, variable in zip(totals, lanes, strict=True):
            total = self.added(self.get(variable, self.vector), "double")
            mean = self.new(f"fdiv double {total}, {self.as_double(length)}")
            self.set(self.element(name, begins[name], matrix), "double", mean)


def _same_everywhere(total: Expression) -> bool:
    """Whether every weight adds the same number."""
    return total.op in ("constant", "coefficient")


def _torchs(kind: str) -> str:
    """A type as torch names it."""
    return next(name for name, own in TYPES.items() if own == kind)
