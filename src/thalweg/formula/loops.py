"""Machine code with loops, variables, conditions, and work that threads claim: all of it is written with these."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from .vectors import TYPES, Vectors

# A body is written twice: for whole vectors, and for what is left of them under a mask. It gets where it is.
Body = Callable[[str, str | None], None]

COUNTER, CLAIMS = range(2)
FIRST_WORD = 8  # the counter has a cache line of its own, but for the number of claims, which nobody writes


class Loops(Vectors):
    """The text of one function over a block of 64-bit words.

    The first is the counter that threads claim work from, the second how much there is to claim; from `FIRST_WORD`
    on stand addresses and whole numbers, where they are given names: ``at[name]`` and ``size_of[name]``.
    """

    def __init__(self, width: int, real: str, addresses: Sequence[str] = (), sizes: Sequence[str] = ()) -> None:
        super().__init__(width, real)
        self.rooms: list[str] = []
        self.labels = count(1)
        words = {name: self.word("%task", FIRST_WORD + i) for i, name in enumerate((*addresses, *sizes))}
        self.at = {name: self.pointer(words[name]) for name in addresses}
        self.size_of = {name: words[name] for name in sizes}

    def body(self) -> list[str]:
        return ["entry:", *self.rooms, *self.lines, "  ret void"]

    def pointer(self, word: str) -> str:
        """A word as an address."""
        return self.new(f"inttoptr i64 {word} to ptr")

    def table(self, index: int) -> str:
        """The address in a word of the block."""
        return self.pointer(self.word("%task", index))

    def beside(self, width: int, real: str) -> Vectors:
        """To compute with other vectors in the same text."""
        others = Vectors(width, real)
        others.lines, others.declared, others.numbers = self.lines, self.declared, self.numbers
        return others

    # Variables: LLVM turns them into registers.

    def variable(self, kind: str, initial: str) -> str:
        name = f"%room{next(self.labels)}"
        self.rooms.append(f"  {name} = alloca {kind}")
        self.set(name, kind, initial)
        return name

    def get(self, name: str, kind: str) -> str:
        return self.new(f"load {kind}, ptr {name}")

    def set(self, name: str, kind: str, value: str) -> None:
        self.put(f"store {kind} {value}, ptr {name}")

    def add_to(self, name: str, kind: str, value: str) -> None:
        self.set(name, kind, self.new(f"fadd {kind} {self.get(name, kind)}, {value}"))

    # Control.

    @contextmanager
    def loop(self, start: str, stop: str, step: str = "1") -> Iterator[str]:
        """The index runs from start, by step, while below stop."""
        n = next(self.labels)
        index = self.variable("i64", start)
        self.put(f"br label %again{n}")
        self.label(f"again{n}")
        i = self.get(index, "i64")
        self.put(f"br i1 {self.new(f'icmp slt i64 {i}, {stop}')}, label %inside{n}, label %done{n}")
        self.label(f"inside{n}")
        yield i
        self.set(index, "i64", self.new(f"add i64 {i}, {step}"))
        self.put(f"br label %again{n}")
        self.label(f"done{n}")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        n = next(self.labels)
        self.put(f"br i1 {condition}, label %inside{n}, label %done{n}")
        self.label(f"inside{n}")
        yield
        self.put(f"br label %done{n}")
        self.label(f"done{n}")

    @contextmanager
    def claimed(self) -> Iterator[str]:
        """What a thread claims, one after the other, until there is nothing left."""
        n = next(self.labels)
        claims = self.word("%task", CLAIMS)
        counter = self.new(f"getelementptr i64, ptr %task, i64 {COUNTER}")
        self.put(f"br label %again{n}")
        self.label(f"again{n}")
        claim = self.new(f"atomicrmw add ptr {counter}, i64 1 monotonic")
        self.put(f"br i1 {self.new(f'icmp slt i64 {claim}, {claims}')}, label %inside{n}, label %done{n}")
        self.label(f"inside{n}")
        yield claim
        self.put(f"br label %again{n}")
        self.label(f"done{n}")

    def each(self, start: str, stop: str, body: Body, at_once: int = 1) -> None:
        """All elements from start to stop, vector by vector; so many of them in a turn of the loop, while there are."""
        length = self.new(f"sub i64 {stop}, {start}")
        whole = self.new(f"and i64 {length}, -{self.width}")
        end = self.new(f"add i64 {start}, {whole}")
        if at_once > 1:
            begin, turn = start, self.width * at_once
            start = self.plus(begin, self.new(f"and i64 {length}, -{turn}"))
            with self.loop(begin, start, str(turn)) as i:
                for k in range(at_once):
                    body(self.plus(i, str(k * self.width)), None)
        with self.loop(start, end, str(self.width)) as i:
            body(i, None)
        left = self.new(f"sub i64 {stop}, {end}")
        with self.when(self.new(f"icmp sgt i64 {left}, 0")):
            body(end, self.first_lanes(left))

    # Small arithmetic.

    def least(self, a: str, b: str) -> str:
        return self.new(f"select i1 {self.new(f'icmp slt i64 {a}, {b}')}, i64 {a}, i64 {b}")

    def times(self, a: str, b: str) -> str:
        return self.new(f"mul i64 {a}, {b}")

    def plus(self, a: str, b: str) -> str:
        return self.new(f"add i64 {a}, {b}")

    def as_double(self, whole: str) -> str:
        return self.new(f"sitofp i64 {whole} to double")

    def rounded(self, double: str) -> str:
        """A float64 number as ``real``."""
        return double if self.real == "double" else self.new(f"fptrunc double {double} to float")

    def widened(self, number: str) -> str:
        """A number of type ``real`` as float64."""
        return number if self.real == "double" else self.new(f"fpext float {number} to double")

    # Memory: ``name`` says whose address.

    def place(self, dtype: str, name: str, index: str) -> str:
        return self.new(f"getelementptr {TYPES[dtype]}, ptr {self.at[name]}, i64 {index}")

    def read(self, dtype: str, name: str, index: str, mask: str | None) -> str:
        return self.load(dtype, self.place(dtype, name, index), mask)

    def write(self, dtype: str, value: str, name: str, index: str, mask: str | None) -> None:
        self.store(dtype, value, self.place(dtype, name, index), mask)

    def read_one(self, kind: str, name: str, index: str) -> str:
        """A single number; ``kind`` is double or float."""
        return self.new(f"load {kind}, ptr {self.new(f'getelementptr {kind}, ptr {self.at[name]}, i64 {index}')}")

    def write_one(self, kind: str, value: str, name: str, index: str) -> None:
        self.put(f"store {kind} {value}, ptr {self.new(f'getelementptr {kind}, ptr {self.at[name]}, i64 {index}')}")
