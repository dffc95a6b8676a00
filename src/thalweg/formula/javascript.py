"""The `javascript` reader: a rule inside its chain, or any formula of numbers, as JavaScript that a page can embed.

It writes the passes of `compose.program` as they are, nothing lowered or reordered, so that it agrees with the torch
reader in float64 but for single roundings: those of functions (``**``, exp, log, cos, sin), and of a number over a
tensor, where torch multiplies by the reciprocal. Like ``**`` itself, a power of 1 with an infinite exponent is NaN
there.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain as chained
from itertools import count
from math import copysign, isfinite, isnan

from . import chain, compose
from .declare import Scalar, Shaped
from .declared import DECAYS
from .derivative import simple, simplified
from .expression import COMPARISONS, LEAVES, Expression, apply, constant, leaves, number, rebuilt, weight
from .operations import OPERATIONS
from .rule import Rule, by_lines, decay_kind, hypers, of_matrices, parts
from .text import decay_terms, left_out

# What a variable must not be called: reserved words, and what the text itself means by its names.
_RESERVED = (
    "arguments async await break case catch class const continue debugger default delete do else enum eval export "
    "extends false finally for function if implements import in instanceof interface let new null of package private "
    "protected public return static super switch this throw true try typeof undefined var void while with yield "
    "Float64Array Infinity Math NaN __proto__ w g"
)
_WORDS = frozenset(_RESERVED.split())
# What the state of a training is made of, beside the states of the rule.
_KEPT = ("t", "w", "d", "scalars", "__proto__")
# The epsilon of float64.
_PRECISION = 2.0**-52

# What binds stronger has a larger number; a name or a call is in one piece.
_BINDS = {"where": 1, **dict.fromkeys(COMPARISONS, 2), "+": 3, "-": 3, "*": 4, "/": 4, "neg": 5, "**": 6}
_WHOLE = 7


def form(rule: type[Rule], switches: Mapping[str, bool] | None = None, decay: str | None = None) -> str:
    """A rule inside its chain as the text of an object of three functions.

    ``begin(n, w)``     what is kept, before the first step: ``{t, w, d, <states>, scalars}``, of float64 arrays;
    ``step(n, s, g)``   changes it by one step with the gradient g; ``s.d`` is w before minus w after;
    ``evaluate(n, s)``  the weights to test: ``s.w`` itself, or what ``evaluate`` of the rule makes of it.

    ``n`` has every hyperparameter by name and, if they are wanted, ``clip_value``, ``clip_norm`` (with ``clip_eps``,
    else 1e-6) and ``first_lr`` (else lr). A state called d or scalars is kept as ``d_`` or ``scalars_``.

    ``switches``  the rule's switches, and its hyperparameters' being other than 0 where the formula asks for that;
                  those that are left out are as under the rule's defaults.
    ``decay``     the kind of weight decay, see `Decay`; the rule's own, unless given.

    The weights are one vector, of float64: what a rule does otherwise with matrices is left out.

    Raises ValueError for switches and kinds of decay that the rule does not have, and for a rule that sees whole
    matrices, or rows and columns even of a vector.
    """
    if of_matrices(rule):
        raise ValueError(f"{rule.__name__} sees whole matrices: it cannot be written for points in a plane")
    usual, own = {**compose.usual_switches(rule), **_of_vectors(rule)}, decay_kind(rule)
    if unknown := [name for name in switches or () if name not in usual]:
        raise ValueError(f"{rule.__name__} has no switch {unknown[0]!r}; it has: {', '.join(usual) or 'none'}")
    kinds = (own,) if own in ("own", "none") else tuple(kind for kind in DECAYS if kind != "own")
    if (kind := own if decay is None else decay) not in kinds:
        raise ValueError(f"the decay of {rule.__name__} is one of {', '.join(kinds)}, not {kind!r}")
    resolved = {**usual, **(switches or {})}
    if by_lines(rule) and compose.program(rule, resolved).by_lines:
        raise ValueError(f"{rule.__name__} sees rows and columns: it cannot be written for points in a plane")
    functions = (_begin(rule, resolved), _step(rule, resolved, kind), _evaluate(rule, resolved))
    return "\n".join(["{", *_indented(",\n".join("\n".join(lines) for lines in functions).split("\n")), "}"])


def function(parameters: Sequence[str], values: Sequence[Expression]) -> str:
    """Formulas of numbers as the text of an arrow function: ``(x, y) => [v0, v1]``.

    ``parameters``  the names of its arguments, in order: the numbers that ``values`` may hold.

    Raises ValueError for a formula that holds anything else.
    """
    if unknown := (leaves(values, "number") - {*parameters}) | leaves(values, "weight"):
        raise ValueError(f"{min(unknown)!r} is none of the parameters: {', '.join(parameters)}")
    names = _variables(parameters)
    writer = _Writer(lambda leaf: names[leaf.arguments[0]], names.values())
    plain = [_plain(value, {}) for value in values]
    writer.share((), plain)
    lines = writer.lines(plain, on_host=True)
    head, result = f"({', '.join(names.values())}) =>", f"[{', '.join(map(writer.text, plain))}]"
    return "\n".join([f"{head} {{", *_indented([*lines, f"return {result};"]), "}"]) if lines else f"{head} {result}"


# -- the three functions of a rule


def _of_vectors(rule: type[Rule]) -> dict[str, bool]:
    """The switches that a shape decides, as they are for a vector."""
    return {name: switch.holds(1) for name, switch in parts(rule, Shaped).items()}


def _begin(rule: type[Rule], switches: Mapping[str, bool]) -> list[str]:
    def first(start: str | float) -> str:
        return f"n.{start}" if isinstance(start, str) else _literal(start)

    def array(start: str | float) -> str:
        if start == "w":
            return "Float64Array.from(w)"
        return "new Float64Array(w.length)" + ("" if start in (0, "g") else f".fill({first(start)})")

    live = compose.live_states(rule, compose.symbols(rule, switches))
    arrays = {"w": array("w"), "d": array(0.0)} | {_key(name): array(state.start) for name, state in live.items()}
    scalars = ", ".join(f"{name}: {first(scalar.start)}" for name, scalar in parts(rule, Scalar).items())
    kept = ["t: 0", *(f"{key}: {made}" for key, made in arrays.items()), f"scalars: {{{scalars}}}"]
    return ["begin(n, w) {", "  return {", *(f"    {each}," for each in kept), "  };", "}"]


def _step(rule: type[Rule], switches: Mapping[str, bool], kind: str) -> list[str]:
    terms = decay_terms(kind)
    switches = {**switches, **left_out(terms)}
    traced, symbols = compose.program(rule, switches), compose.symbols(rule, switches)
    # The clips come before: to the passes, the gradient is what they leave.
    known = {number(name): constant(value) for name, value in chain.NUMBERS.items()}
    known |= {number(name): value for name, value in terms.items()}
    known |= {number("rows"): constant(1.0), number("precision"): constant(_PRECISION)}
    if kind == "l2":  # what is 0 at run time takes no share of an infinite weight
        share = apply("where", apply(">", terms["l2"], 0.0), apply("*", terms["l2"], weight("w")), 0.0)
        known[apply("*", number("l2"), weight("w"))] = share
    writes, scalars = (_all_plain(of, known) for of in (traced.update.writes, traced.scalars))
    totals = [_all_plain(walk.totals, known) for walk in traced.sums if walk.totals]
    scalars = {name: value for name, value in scalars.items() if value != number(name)}

    it = _Names(rule)
    it.writer.call(_plain(compose.seen(rule, symbols)["g"], known), "g")
    # Whatever is written has a name, also what is merely passed on: as in a swap, it would be read too late.
    for name, value in chained(writes.items(), scalars.items()):
        it.writer.call(value, it.variables.get(name, name))
    settled = compose.settled(rule, symbols)
    for name, value in chained(settled.items(), *(own.items() for own in settled[compose.OF_LAYERS])):
        if name not in symbols and isinstance(value, Expression) and value.op not in LEAVES:
            it.writer.call(_plain(value, known), it.writer.fresh(name))
    if (step := _moved(writes["w"])) is not None:
        beside = step.op == "+" and any(terms[name] != constant(0.0) for name in chain.BESIDE)
        it.writer.call(step.arguments[0] if beside else step, it.writer.fresh("d", "step"))
    it.writer.share([e for each in (*totals, writes) for e in each.values()], [*scalars.values()])

    lines = [f"{it.s}.t += 1;", *_clips(it.n, it.gradient)]
    for each in totals:
        zero = f"let {', '.join(f'{it.variables[name]} = 0' for name in each)};"
        lines += it.loop(each.values(), [(f"{it.variables[name]} +=", value) for name, value in each.items()], zero)
    lines += it.loop(writes.values(), _stores(it, writes))
    lines += it.writer.lines([*scalars.values()], on_host=True)
    lines += [f"{it.s}.scalars.{name} = {it.writer.text(value)};" for name, value in scalars.items()]
    taken = it.numbers([e for each in (*totals, writes, scalars) for e in each.values()])
    return [f"step({it.n}, {it.s}, {it.gradient}) {{", *_indented([*taken, *lines]), "}"]


def _evaluate(rule: type[Rule], switches: Mapping[str, bool]) -> list[str]:
    value, it = _plain(compose.evaluated(rule, compose.symbols(rule, switches)), {}), _Names(rule)
    if value.op == "weight":
        return [f"evaluate({it.n}, {it.s}) {{", f"  return {it.array(value.arguments[0])};", "}"]
    it.writer.share([value], ())
    lines = [*it.numbers([value]), *it.writer.lines([value], on_host=True)]
    inside, result = it.writer.lines([value], on_host=False), it.writer.text(value)
    mapped = [f"return {it.s}.w.map((_, {it.i}) => {{", *_indented([*inside, f"return {result};"]), "});"]
    lines += mapped if inside else [f"return {it.s}.w.map((_, {it.i}) => {result});"]
    return [f"evaluate({it.n}, {it.s}) {{", *_indented(lines), "}"]


def _clips(n: str, gradient: str) -> list[str]:
    """The chain's clips, of the whole gradient at once."""
    shown = {
        "g": "x", "clip_value": "most", "squares": "squares", "clip_norm": f"{n}.clip_norm",
        "clip_eps": f"({n}.clip_eps ?? 1e-6)", "clip_scale": "scale",
    }  # fmt: skip
    writer = _Writer(lambda leaf: shown[leaf.arguments[0]], ())

    def written(value: Expression) -> str:
        return writer.text(_plain(value, {}))

    x, most = weight("g"), number("clip_value")
    limited = chain.limited(x, 1.0, most)
    square = compose.limited_norm_totals({"g": x, "unscale": 1.0, "clip_value": most})["squares"]
    scaled = chain.regularised(limited, None, number("clip_scale"), None, without_l2=True, rounded=False)
    by_norm = chain.norm_scale(number("squares"), number("clip_norm"), number("clip_eps"))
    # Once the gradient has been limited, x is what it was limited to.
    square, scaled = (simplified(value, {limited: x}) for value in (square, scaled))
    return [
        f"if ({n}.clip_value != null) {{",
        f"  const most = {n}.clip_value;",
        f"  {gradient} = {gradient}.map((x) => {written(limited)});",
        "}",
        f"if ({n}.clip_norm != null) {{",
        f"  const squares = {gradient}.reduce((sum, x) => sum + {written(square)}, 0);",
        f"  const scale = {written(by_norm)};",
        f"  {gradient} = {gradient}.map((x) => {written(scaled)});",
        "}",
    ]


def _moved(w: Expression) -> Expression | None:
    """The step, of a next weight: what is first taken off the weight."""
    if w.op in LEAVES:
        return None
    if w.op == "-" and w.arguments[0] == weight("w"):
        step: Expression = w.arguments[1]
        return step
    return next((found for each in w.arguments if (found := _moved(each)) is not None), None)


def _stores(it: "_Names", writes: Mapping[str, Expression]) -> list[tuple[str, Expression]]:
    """What ends the walk over the weights."""
    moved = (f"{it.s}.d[{it.i}] = {it.s}.w[{it.i}] -", writes["w"])
    return [moved, *((f"{it.array(name)}[{it.i}] =", value) for name, value in writes.items())]


# -- names


class _Names:
    """What a function of a rule calls what the rule declares, and its own arguments."""

    def __init__(self, rule: type[Rule]) -> None:
        self.rule = rule
        self.variables = _variables([*rule.declared, "first_lr"])
        self.writer = _Writer(self.leaf, self.variables.values())
        self.n, self.s = self.writer.fresh("n", "numbers"), self.writer.fresh("s", "state")
        self.i, self.gradient = self.writer.fresh("i", "index"), self.writer.fresh("gradient")

    def array(self, name: str) -> str:
        """The weights, or a state."""
        return f"{self.s}.{_key(name)}"

    def leaf(self, e: Expression) -> str:
        """A number or an operand, as it is before the step."""
        name: str = e.arguments[0]
        if e.op == "weight":
            return f"{self.gradient if name == 'g' else self.array(name)}[{self.i}]"
        if name == "t":
            return f"{self.s}.t"
        if name == "columns":
            return f"{self.s}.w.length"
        return f"{self.s}.scalars.{name}" if name in parts(self.rule, Scalar) else self.variables[name]

    def numbers(self, asked: Iterable[Expression]) -> list[str]:
        """The lines that take what is asked for from the hyperparameters."""
        found = leaves(asked, "number")
        taken = [name for name in hypers(self.rule) if name in found]
        pairs = (name if self.variables[name] == name else f"{name}: {self.variables[name]}" for name in taken)
        lines = [f"const {{{', '.join(pairs)}}} = {self.n};"] if taken else []
        first = f"const {self.variables['first_lr']} = {self.n}.first_lr || {self.variables.get('lr')} || 1;"
        return [*lines, first] if "first_lr" in found else lines

    def loop(self, roots: Collection[Expression], last: Iterable[tuple[str, Expression]], *before: str) -> list[str]:
        """A walk over the weights: what is worked out before and in it, and how each formula at its end begins."""
        writer = self.writer
        numbers = writer.lines(roots, on_host=True)
        inside = [*writer.lines(roots, on_host=False), *(f"{start} {writer.text(value)};" for start, value in last)]
        head = f"for (let {self.i} = 0; {self.i} < {self.s}.w.length; {self.i}++) {{"
        return [*numbers, *before, head, *_indented(inside), "}"]


def _key(name: str) -> str:
    """Under which name the arrays of a state are kept."""
    return name if name == "w" or name not in _KEPT else f"{name}_"


def _variables(names: Iterable[str]) -> dict[str, str]:
    """For each of some names a variable, its own where JavaScript allows that."""
    names = [*names]
    taken, found = _WORDS | {*names}, {}
    for name in names:
        found[name] = next(each for each in _tries(name) if each not in taken) if name in _WORDS else name
        taken |= {found[name]}
    return found


def _tries(*names: str) -> Iterable[str]:
    return chained(names, (f"{names[-1]}{i}" for i in count(2)))


# -- writing


class _Writer:
    """Writes formulas, and remembers what has a name and which numbers have been worked out."""

    def __init__(self, leaf: Callable[[Expression], str], taken: Iterable[str]) -> None:
        self.leaf = leaf
        self.taken = {*_WORDS, *taken}
        self.names: dict[Expression, str] = {}
        self.told: set[Expression] = set()

    def fresh(self, *names: str) -> str:
        """The first of some names, or else the last with a number, that means nothing else."""
        return self.first(_tries(*names))

    def first(self, names: Iterable[str]) -> str:
        found = next(name for name in names if name not in self.taken)
        self.taken.add(found)
        return found

    def call(self, value: Expression, name: str) -> None:
        """Name a value, unless it has a name or is a literal."""
        if value.op != "constant":
            self.names.setdefault(value, name)

    def share(self, loop: Iterable[Expression], once: Iterable[Expression]) -> None:
        """Name what is needed twice, and what would be worked out for each weight though it is the same for all."""
        loop, once = [*loop], [*once]
        nodes = self.below([*loop, *once])
        uses = Counter(a for e in nodes for a in e.arguments if e.op not in LEAVES) + Counter([*loop, *once])
        looped = {a for e in nodes if not e.on_host or e.op in COMPARISONS for a in e.arguments} | {*loop}
        for e in nodes:
            if e.op in LEAVES or e.op in COMPARISONS or e in self.names:
                continue
            if not _cheap(e) and (uses[e] > 1 or e in looped) if e.on_host else uses[e] > 1:
                self.names[e] = self.first(f"x{i}" for i in count(1))

    def lines(self, roots: Iterable[Expression], on_host: bool) -> list[str]:
        """What has a name below some formulas; a number is told once, a value of a weight in each walk."""
        new = [e for e in self.below(roots) if e in self.names and e.on_host == on_host and e not in self.told]
        self.told |= {*new} if on_host else set()
        return [f"const {self.names[e]} = {self.written(e)};" for e in new]

    def below(self, roots: Iterable[Expression]) -> list[Expression]:
        """All that some formulas are made of, each after its own parts."""
        found: dict[Expression, None] = {}

        def visit(e: Expression) -> None:
            if e not in found:
                for argument in () if e.op in LEAVES else e.arguments:
                    visit(argument)
                found[e] = None

        for root in roots:
            visit(root)
        return list(found)

    def text(self, e: Expression, least: int = 0) -> str:
        """A formula as part of a text; in brackets, unless it binds at least so strongly."""
        if e in self.names:
            return self.names[e]
        return f"({self.written(e)})" if _strength(e) < least else self.written(e)

    def written(self, e: Expression) -> str:
        """A formula written out, from the names of its parts."""
        if e.op in LEAVES:
            return _literal(e.arguments[0]) if e.op == "constant" else self.leaf(e)
        own, a = _strength(e), e.arguments
        if e.op == "where":
            return f"{self.text(a[0], own + 1)} ? {self.text(a[1], own + 1)} : {self.text(a[2], own)}"
        if e.op == "neg":  # neither --x nor -x ** y is what it looks like
            return f"-{self.text(a[0], _WHOLE)}"
        if e.op == "**":
            return f"{self.text(a[0], _WHOLE)} ** {self.text(a[1], _BINDS['neg'])}"
        if e.op in _BINDS:
            return f"{self.text(a[0], own)} {e.op} {self.text(a[1], own + 1)}"
        return f"{OPERATIONS[e.op].javascript}({', '.join(map(self.text, a))})"


def _strength(e: Expression) -> int:
    if e.op == "constant" and copysign(1.0, e.arguments[0]) < 0:
        return _BINDS["neg"]
    return _BINDS.get(e.op, _WHOLE)


def _literal(value: float) -> str:
    if not isfinite(value):
        return "NaN" if isnan(value) else f"{'-' if value < 0 else ''}Infinity"
    return repr(float(value)).removesuffix(".0")


def _cheap(e: Expression) -> bool:
    """Not worth a name, as 1 - beta."""
    return e.op in ("+", "-", "*", "neg") and all(a.op in LEAVES for a in e.arguments)


def _plain(e: Expression, known: dict[Expression, Expression]) -> Expression:
    """With what is ``known`` in place, what does nothing left out, and powers as torch takes them."""
    return rebuilt(e, known, lambda op, *a: _powered(simple(op, *a)))


def _all_plain(values: Mapping[str, Expression], known: dict[Expression, Expression]) -> dict[str, Expression]:
    return {name: _plain(value, known) for name, value in values.items()}


def _powered(e: Expression) -> Expression:
    base, exponent = e.arguments if e.op == "**" else (e, None)
    if exponent == constant(0.5):
        return simple("sqrt", base)
    return simple("*", base, base) if exponent == constant(2.0) else e


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
