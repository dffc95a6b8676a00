"""The machine code of a step: where are parameters and gradients, and if all is as wanted, run what is to run.

It asks through the functions that `native` finds, of whatever tensors its block of words names, and runs any functions
that take the address of a block: kernels, and what stands between them.

What it does not know of torch: nothing but the calls below, and that a Python object keeps its C++ tensor at a fixed
place (`native` looks where), whose first word leads to what torch calls its implementation.
"""

from functools import cache

from thalweg.formula.loops import Loops

# What is found of a parameter. ODD: its gradient is not laid out like the weight; MOVED: the weight is elsewhere.
READY, ABSENT, ODD, MOVED = range(4)
# What has to be done about it: nothing, read the numbers anew, copy a gradient, correct the plan.
FINE, OTHERS, COPY, PLAN = range(4)

# The words of the block. Tables have an entry a parameter, unless said otherwise.
NAMES = (
    "COUNT",  # parameters
    "HANDLES", "EXPECTED",  # their tensors; the addresses of what each should be like (`EXPECTED_OF`)
    "WANTED", "COSTS",  # what is wanted of each, and what a finding costs: 4 entries a wanted state
    "HELD",  # a list of gradients that somebody holds; 0: ask the parameters, and hold what they have
    "GRADS_AT", "FOUND", "KEEPERS",  # to be filled: the gradients' addresses, what is found, handles that hold
    "LISTS", "LIST_TABLE", "MEMBERS",  # lists of parameters; (list, length) of each; every member, list by list
    "RUNS", "RUN_TABLE",  # what is to run; (function, block, threads) of each
    "KEPT", "KEPT_HANDLES", "KEPT_AT",  # other tensors, and where each should be
    "WORST",  # to be filled: the highest cost; FINE: it has been run
    "TEAM",  # GOMP_parallel
    "KEY_PLACE", "UNDEFINED", "NONE", "OBJECT",  # see `native`
    "GRAD", "DATA", "TYPE", "DIMENSIONS", "SIZES", "STRIDES", "EXTENT", "OFFSET", "NEW", "DELETE",
    "LENGTH", "ITEM", "BUMP",
)  # fmt: skip
WORDS = {name: index for index, name in enumerate(NAMES)}

# What a parameter should be like, word by word; then its sizes, then its strides. The gradient's type is behind the
# weight's, and its width behind that of the weight.
EXPECTED_OF = ("address", "type", "gradient's type", "width", "gradient's width", "elements", "key", "dimensions")
WEIGHT, GRADIENT = 1, 2


@cache
def assembly() -> str:
    """The text."""
    driver = _Driver()
    driver.step()
    return driver.text()


class _Driver(Loops):
    def __init__(self) -> None:
        super().__init__(1, "float64")
        self.room = self.variable("i64", "0")
        """Where torch's functions put their answers."""

    def word_of(self, name: str) -> str:
        return self.word("%task", WORDS[name])

    def of(self, name: str) -> str:
        """The table, list or function whose address a word is."""
        return self.table(WORDS[name])

    def step(self) -> None:
        """``WORST`` is PLAN until everything has been looked at."""
        worst = self.place_in("%task", WORDS["WORST"])
        self.set(worst, "i64", str(PLAN))
        with self.when(self.same_lists()), self.when(self.in_place()):
            holds = self.same(self.word_of("HELD"), "0")
            cost = self.look(holds)
            self.set(worst, "i64", cost)
            with self.when(self.same(cost, str(FINE))):
                self.run()
            with self.when(holds):
                self.release()

    def same_lists(self) -> str:
        """Whether the lists of parameters still hold the same objects."""
        same, first = self.variable("i1", "true"), self.variable("i64", "0")
        table, members = self.of("LIST_TABLE"), self.of("MEMBERS")
        with self.loop("0", self.word_of("LISTS")) as i:
            place = self.times(i, "2")
            members_of = self.pointer(self.word(table, place))
            length = self.word(table, self.plus(place, "1"))
            now = self.new(f"call i64 {self.of('LENGTH')}(ptr {members_of})")
            self.also(same, self.same(now, length))
            with self.when(self.get(same, "i1")):
                begin = self.get(first, "i64")
                with self.loop("0", length) as j:
                    member = self.new(f"call i64 {self.of('ITEM')}(ptr {members_of}, i64 {j})")
                    self.also(same, self.same(member, self.word(members, self.plus(begin, j))))
            self.set(first, "i64", self.plus(self.get(first, "i64"), length))
        return self.get(same, "i1")

    def in_place(self) -> str:
        """Whether states and step counts are where they were: tensors can be moved while all who hold them stay."""
        same = self.variable("i1", "true")
        handles, expected = self.of("KEPT_HANDLES"), self.of("KEPT_AT")
        with self.loop("0", self.word_of("KEPT")) as i:
            where, _ = self.ask("DATA", self.pointer(self.word(handles, i)))
            self.also(same, self.same(where, self.word(expected, i)))
        return self.get(same, "i1")

    def look(self, holds: str) -> str:
        """Find every parameter and its gradient; the highest cost."""
        worst = self.variable("i64", str(FINE))
        handles, rows, wanted, costs = (self.of(name) for name in ("HANDLES", "EXPECTED", "WANTED", "COSTS"))
        with self.loop("0", self.word_of("COUNT")) as i:
            tensor, expected = self.pointer(self.word(handles, i)), self.pointer(self.word(rows, i))
            found, address = self.variable("i64", str(MOVED)), self.variable("i64", "0")
            where, plain = self.memory_of(tensor, expected, WEIGHT)
            with self.when(self.both(plain, self.same(where, self.word(expected, "0")))):
                self.set(found, "i64", str(ABSENT))
                gradient = self.gradient(tensor, i)
                with self.when(self.new(f"icmp ne ptr {gradient}, null")):
                    self.held(holds, gradient, i, expected, found, address)
            self.set(self.place_in(self.of("FOUND"), i), "i64", self.get(found, "i64"))
            self.set(self.place_in(self.of("GRADS_AT"), i), "i64", self.get(address, "i64"))
            entry = self.plus(self.times(self.word(wanted, i), "4"), self.get(found, "i64"))
            self.set(worst, "i64", self.most(self.word(costs, entry), self.get(worst, "i64")))
        return self.get(worst, "i64")

    def held(self, holds: str, asked: str, i: str, expected: str, found: str, address: str) -> None:
        """Look at a gradient that stays alive meanwhile.

        Nobody holds what was asked of the tensor itself: a handle does until the kernels have run, since autograd's own
        threads replace gradients (backward with create_graph) without the interpreter's lock.

        Torch reads the gradient's address, then counts the reference: in between (some 100 ns when the count is in
        another core's cache) the last other reference may go. If the parameter still has the gradient, it was alive. If
        not, what the handle holds may be dead, so it is never touched again, at the price of a lost reference.
        """
        gradient, alive = self.variable("ptr", asked), self.variable("i1", "true")
        with self.when(holds):
            keeper_at = self.place_in(self.of("KEEPERS"), i)
            self.new(f"call i32 {self.of('NEW')}(ptr {asked}, ptr {keeper_at})")
            keeper = self.get(keeper_at, "ptr")
            now = self.new(f"load volatile i64, ptr {asked}")
            same = self.same(self.word(keeper, "0"), now)
            self.set(alive, "i1", same)
            self.set(gradient, "ptr", keeper)
            self.set(keeper_at, "ptr", self.new(f"select i1 {same}, ptr {keeper}, ptr null"))
            self.set(found, "i64", str(MOVED))
        with self.when(self.get(alive, "i1")):
            there, like = self.memory_of(self.get(gradient, "ptr"), expected, GRADIENT)
            self.set(found, "i64", self.new(f"select i1 {like}, i64 {READY}, i64 {ODD}"))
            self.set(address, "i64", self.new(f"select i1 {like}, i64 {there}, i64 0"))

    def gradient(self, tensor: str, i: str) -> str:
        """A parameter's gradient, as the address of an at::Tensor; null if it has none."""
        gradient = self.variable("ptr", "null")
        held = self.word_of("HELD")
        with self.when(self.same(held, "0")):
            asked = self.new(f"call ptr {self.of('GRAD')}(ptr {self.get(tensor, 'ptr')})")
            none = self.same(self.word(asked, "0"), self.word_of("UNDEFINED"))
            self.set(gradient, "ptr", self.new(f"select i1 {none}, ptr null, ptr {asked}"))
        with self.when(self.new(f"icmp ne i64 {held}, 0")):
            listed = self.new(f"call i64 {self.of('ITEM')}(ptr {self.pointer(held)}, i64 {i})")
            inside = self.pointer(self.plus(listed, self.word_of("OBJECT")))
            none = self.same(listed, self.word_of("NONE"))
            self.set(gradient, "ptr", self.new(f"select i1 {none}, ptr null, ptr {inside}"))
        return self.get(gradient, "ptr")

    def memory_of(self, tensor: str, expected: str, which: int) -> tuple[str, str]:
        """The address of a tensor's memory, and whether it is plain memory of the expected type, shape and extent."""
        where, good = self.variable("i64", "0"), self.variable("i1", "false")
        key = self.word(self.get(tensor, "ptr"), self.word_of("KEY_PLACE"))
        with self.when(self.same(key, self.item(expected, "key"))), self.when(self.alike(tensor, expected, which)):
            address, told = self.ask("DATA", tensor)
            # A storage can be made smaller under its tensors.
            extent, extent_told = self.ask("EXTENT", tensor)
            offset, offset_told = self.ask("OFFSET", tensor)
            past = self.plus(offset, self.item(expected, "elements"))
            end = self.times(past, self.word(expected, str(which + 2)))
            within = self.new(f"icmp sle i64 {end}, {extent}")
            self.set(where, "i64", address)
            self.set(good, "i1", self.both(within, told, extent_told, offset_told))
        return self.get(where, "i64"), self.get(good, "i1")

    def alike(self, tensor: str, expected: str, which: int) -> str:
        """Whether a tensor has the expected type, number of dimensions, sizes and strides."""
        alike = self.variable("i1", "false")
        kind, kind_told = self.ask("TYPE", tensor)
        dimensions, dimensions_told = self.ask("DIMENSIONS", tensor)
        same_kind = self.same(kind, self.word(expected, str(which)))
        same_count = self.same(dimensions, self.item(expected, "dimensions"))
        with self.when(self.both(same_kind, same_count, kind_told, dimensions_told)):
            sizes, sizes_told = self.ask("SIZES", tensor)
            strides, strides_told = self.ask("STRIDES", tensor)
            self.set(alike, "i1", self.both(sizes_told, strides_told))
            with self.when(self.get(alike, "i1")):
                first = str(len(EXPECTED_OF))
                for of, begin in ((sizes, first), (strides, self.plus(dimensions, first))):
                    with self.loop("0", dimensions) as i:
                        wanted = self.word(expected, self.plus(begin, i))
                        self.also(alike, self.same(self.word(self.pointer(of), i), wanted))
        return self.get(alike, "i1")

    def run(self) -> None:
        """Run the functions, each alone or on the team, then raise the versions of the weights that have moved."""
        runs, table = self.word_of("RUNS"), self.of("RUN_TABLE")
        with self.loop("0", runs) as k:
            place = self.times(k, "3")
            function, block = (self.pointer(self.word(table, self.plus(place, str(i)))) for i in range(2))
            threads = self.word(table, self.plus(place, "2"))
            self.set(block, "i64", "0")  # the counter that threads claim work from
            alone = self.new(f"icmp sle i64 {threads}, 1")
            with self.when(alone):
                self.put(f"call void {function}(ptr {block})")
            with self.when(self.new(f"xor i1 {alone}, true")):
                count = self.new(f"trunc i64 {threads} to i32")
                self.put(f"call void {self.of('TEAM')}(ptr {function}, ptr {block}, i32 {count}, i32 0)")
        with self.when(self.new(f"icmp sgt i64 {runs}, 0")), self.loop("0", self.word_of("COUNT")) as i:
            moved = self.new(f"icmp ne i64 {self.word(self.of('GRADS_AT'), i)}, 0")
            with self.when(moved):
                self.put(f"call void {self.of('BUMP')}(ptr {self.pointer(self.word(self.of('HANDLES'), i))})")

    def release(self) -> None:
        """Let go of the gradients."""
        with self.loop("0", self.word_of("COUNT")) as i:
            keeper_at = self.place_in(self.of("KEEPERS"), i)
            keeper = self.get(keeper_at, "ptr")
            with self.when(self.new(f"icmp ne ptr {keeper}, null")):
                self.new(f"call i32 {self.of('DELETE')}(ptr {keeper})")
                self.set(keeper_at, "ptr", "null")

    # Small parts.

    def ask(self, name: str, tensor: str) -> tuple[str, str]:
        """What one of torch's functions says of a tensor, and whether it could tell."""
        self.set(self.room, "i64", "0")  # some answers are narrower
        failed = self.new(f"call i32 {self.of(name)}(ptr {tensor}, ptr {self.room})")
        return self.get(self.room, "i64"), self.new(f"icmp eq i32 {failed}, 0")

    def item(self, expected: str, name: str) -> str:
        return self.word(expected, str(EXPECTED_OF.index(name)))

    def place_in(self, table: str, index: str | int) -> str:
        return self.new(f"getelementptr i64, ptr {table}, i64 {index}")

    def same(self, a: str, b: str) -> str:
        return self.new(f"icmp eq i64 {a}, {b}")

    def both(self, *conditions: str) -> str:
        """Whether all of the conditions hold."""
        first, *others = conditions
        for other in others:
            first = self.new(f"and i1 {first}, {other}")
        return first

    def also(self, variable: str, condition: str) -> None:
        """Let a variable stay true only if a condition holds too."""
        self.set(variable, "i1", self.both(self.get(variable, "i1"), condition))

    def most(self, a: str, b: str) -> str:
        return self.new(f"select i1 {self.new(f'icmp sgt i64 {a}, {b}')}, i64 {a}, i64 {b}")
