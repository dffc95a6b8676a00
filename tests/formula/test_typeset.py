"""Printed formulas: what a reader sees in LaTeX, MathML and Unicode is, number for number, what the text says."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from hashlib import blake2b
from math import inf
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.formula import like, vocabulary, wrapped
from thalweg.formula.declared import CHAIN_DECAYS
from thalweg.formula.expression import Expression, apply, constant, number, weight
from thalweg.formula.rule import decay_kind
from thalweg.formula.text import Line, Story, sections, usual_story
from thalweg.formula.typeset import WORDS, latex, latex_of, letters_of, mathml, mathml_of, unicode
from thalweg.rules import BY_WEIGHT, CATALOGUE
from thalweg.wrappers import WRAPPERS

ADAMW = CATALOGUE["adamw"]
WRAPPED = {f"adamw+{name}": wrapped(ADAMW, wrapper) for name, wrapper in WRAPPERS.items()}
RULES = {**CATALOGUE, **WRAPPED}

# -- arithmetic without rounding: modulo a prime, and what is no arithmetic scrambles its arguments

PRIME = 2**61 - 1


@dataclass(frozen=True)
class Exact:
    n: int

    def __add__(self, other: "Exact") -> "Exact":
        return Exact((self.n + other.n) % PRIME)

    def __sub__(self, other: "Exact") -> "Exact":
        return Exact((self.n - other.n) % PRIME)

    def __neg__(self) -> "Exact":
        return Exact(-self.n % PRIME)

    def __mul__(self, other: "Exact") -> "Exact":
        return Exact(self.n * other.n % PRIME)

    def __truediv__(self, other: "Exact") -> "Exact":
        return self * other ** exact("-1")

    def __pow__(self, other: "Exact") -> "Exact":
        power = other.n if other.n < PRIME // 2 else other.n - PRIME
        if abs(power) > 1000 or (power < 0 and not self.n):
            return scrambled("**", self, other)
        return Exact(pow(self.n, power, PRIME))

    def __lt__(self, other: "Exact") -> "Exact":
        return scrambled("<", self, other)

    def __le__(self, other: "Exact") -> "Exact":
        return scrambled("≤", self, other)

    def __gt__(self, other: "Exact") -> "Exact":
        return scrambled(">", self, other)

    def __ge__(self, other: "Exact") -> "Exact":
        return scrambled("≥", self, other)


def scrambled(name: str, *arguments: Exact) -> Exact:
    told = " ".join([name, *(str(a.n) for a in arguments)])
    return Exact(int.from_bytes(blake2b(told.encode(), digest_size=8).digest()) % PRIME)


def exact(digits: str) -> Exact:
    if digits in ("inf", "∞"):
        return scrambled("inf")
    value = Fraction(digits)
    return Exact(value.numerator * pow(value.denominator, -1, PRIME) % PRIME)


def valued(name: str) -> Exact:
    """A number for a name, always the same one."""
    return scrambled(f"the value of {name}")


PYTHON = (
    "sqrt", "abs", "exp", "log", "cos", "sin", "floor", "sign", "maximum", "minimum", "where", "clip", "sum", "mean"
)  # fmt: skip


def text_value(text: str) -> Exact:
    """What the text gives in Python."""
    names = {name: valued(name) for name in re.findall(r"[^\W\d]\w*", text)}
    functions = {name: lambda *a, name=name: scrambled(name, *a) for name in PYTHON}
    numbers = re.sub(r"(?<![\w.])(\d[\d.]*(?:e[-+]?\d+)?|inf)(?!\w)", r"exact('\1')", text)
    found = eval(numbers, {**names, **functions, "exact": exact})
    assert isinstance(found, Exact)
    return found


# -- reading what is seen: a formula is a row of tokens, and knows nothing of how it was grouped

Token = tuple[Any, ...]
FUNCTIONS = {
    "max": "maximum",
    "min": "minimum",
    "exp": "exp",
    "ln": "log",
    "sign": "sign",
    "clip": "clip",
    "mean": "mean",
    "cos": "cos",
    "sin": "sin",
}


class Seen:
    """Reads tokens as a person does: products before sums, and only brackets that are seen."""

    def __init__(self, tokens: Sequence[Token], symbols: Mapping[str, Exact]) -> None:
        self.tokens, self.symbols, self.place = [*tokens, ("end",)], symbols, 0
        self.open = [""]  # the brackets around

    def next(self, *expected: str) -> Token:
        token = self.tokens[self.place]
        assert not expected or token[-1] in expected, f"{token} is not {expected} in {self.tokens}"
        self.place += 1
        return token

    @property
    def sign(self) -> str:
        kind, *rest = self.tokens[self.place]
        return str(rest[0]) if kind in ("sign", "word") else kind

    def whole(self) -> Exact:
        found = self.choice()
        assert self.sign == "end", (self.tokens, self.place)
        return found

    def part(self, tokens: Sequence[Token]) -> Exact:
        return Seen(tokens, self.symbols).whole()

    def choice(self) -> Exact:
        if self.sign == "otherwise":
            self.next()
            return self.comparison()
        value = self.comparison()
        if self.sign != "if":
            return value
        self.next()
        condition = self.comparison()
        self.next(",")
        return scrambled("where", condition, value, self.choice())

    def comparison(self) -> Exact:
        left = self.added()
        if self.sign in "<≤>≥":
            return scrambled(self.next()[1], left, self.added())
        return left

    def added(self) -> Exact:
        if self.sign == "∑":
            self.next()
            return scrambled("sum", self.multiplied())
        if self.sign == "−":
            self.next()
            found = -self.multiplied()
        else:
            found = self.multiplied()
        while self.sign in ("+", "−"):
            sign, other = self.next()[1], self.multiplied()
            found = found + other if sign == "+" else found - other
        return found

    def multiplied(self) -> Exact:
        found, left = self.raised(), self.tokens[self.place - 1]
        bar = "|" if self.open[-1] != "|" else ""  # else it closes
        while self.sign in ("·", "/", "(", "⌊", "√", "number", "name", "function", "fraction", "root", bar):
            right, sign = self.tokens[self.place], self.sign
            if sign in ("·", "/"):
                self.next()
            else:  # side by side, things must not read as one
                words = [token for token in (left, right) if token[0] == "name" and len(token[1]) > 1]
                assert not words, f"{words} touches its neighbour"
                assert right[0] != "number", f"a number after {left}"
                assert (left[0], right[0]) != ("number", "fraction"), "reads as a mixed number"
            other = self.raised()
            found = found / other if sign == "/" else found * other
            left = self.tokens[self.place - 1]
        return found

    def raised(self) -> Exact:
        first = self.tokens[self.place][0]
        found = self.single()
        if self.tokens[self.place][0] == "power":
            assert first != "fraction", "what is raised, all of it or its last part?"
            found = found ** self.part(self.next()[1])
        elif self.sign == "^":
            self.next()
            found = found ** self.single()
        return found

    def single(self) -> Exact:
        kind, *rest = self.next()
        if kind == "number":
            return exact(rest[0])
        if kind == "name":
            return self.symbols["".join(rest)]
        if kind == "fraction":
            return self.part(rest[0]) / self.part(rest[1])
        if kind == "root":
            return scrambled("sqrt", self.part(rest[0]))
        if kind == "function":
            self.next("(")
            self.open.append("(")
            arguments = [self.comparison()]
            while self.sign == ",":
                self.next()
                arguments.append(self.comparison())
            self.next(")")
            self.open.pop()
            return scrambled(FUNCTIONS[rest[0]], *arguments)
        assert kind == "sign", (kind, rest, self.tokens)
        if rest[0] == "√":
            return scrambled("sqrt", self.single())
        if rest[0] == "{":
            return self.cases(self.next()[1])
        closing = {"(": ")", "|": "|", "⌊": "⌋"}[rest[0]]
        self.open.append(rest[0])
        inside = self.choice()
        self.next(closing)
        self.open.pop()
        return inside if closing == ")" else scrambled("abs" if closing == "|" else "floor", inside)

    def cases(self, rows: Sequence[tuple[Sequence[Token], Sequence[Token]]]) -> Exact:
        *chosen, (other, otherwise) = rows
        assert otherwise == [("word", "otherwise")]
        found = self.part(other)
        for value, (word, *condition) in reversed(chosen):
            assert word == ("word", "if")
            found = scrambled("where", Seen(condition, self.symbols).whole(), self.part(value), found)
        return found


# -- tokens of MathML

CORE = {
    "math", "mi", "mn", "mo", "mtext", "mspace", "mrow", "mfrac", "msqrt", "msup", "msub", "msubsup", "mover", "munder",
    "mtable", "mtr", "mtd",
}  # fmt: skip


def element_tokens(nodes: Sequence[ElementTree.Element]) -> list[Token]:
    found: list[Token] = []
    for node in nodes:
        text, children = node.text or "", [*node]
        if node.tag == "mrow":
            found += element_tokens(children)
        elif node.tag == "mi":
            found.append(("function", text) if text in FUNCTIONS else ("name", text))
        elif node.tag == "mn":
            found.append(("number", text))
        elif node.tag == "mtext":
            found.append(("word", text.strip()))
        elif node.tag == "mo" and text not in ("\u2061", "\u2062"):  # what is not seen
            found.append(("sign", {"⋅": "·"}.get(text, text)))
        elif node.tag == "mfrac":
            found.append(("fraction", *(element_tokens([child]) for child in children)))
        elif node.tag == "msqrt":
            found.append(("root", element_tokens(children)))
        elif node.tag == "mtable":
            found.append(("cases", [tuple(element_tokens([*cell]) for cell in row) for row in node]))
        elif node.tag == "munder":  # the index that a sum is over, which the note says in words
            found += element_tokens(children[:1])
        elif node.tag in ("msub", "msubsup", "msup", "mover"):
            base, *around = children
            raised = around.pop() if "sup" in node.tag else None
            if base.tag in ("mi", "mover") and (around or raised is None or base.tag == "mover"):
                letter, *above = base.itertext()
                below = (each for other in around for each in other.itertext())
                found.append(("name", letter, *above, *below))
            else:
                found += element_tokens([base])
            found += [] if raised is None else [("power", element_tokens([raised]))]
    return found


def mathml_rows(html: str) -> list[list[Token]]:
    """The formulas of some HTML, each as a row of tokens."""
    tree = ElementTree.fromstring(f"<div>{html}</div>")
    rows = []
    for math in (each for each in tree.iter("math") if each.get("display") == "block"):
        (inside,) = math
        cells = [[each for cell in row for each in cell] for row in inside] if inside.tag == "mtable" else [[inside]]
        rows += map(element_tokens, cells)
    return rows


# -- tokens of LaTeX

COMMANDS = {
    r"\cdot": "·", r"\le": "≤", r"\ge": "≥", r"\lfloor": "⌊", r"\rfloor": "⌋", r"\leftarrow": "←",
    "-": "−",
}  # fmt: skip


class Latex:
    """A scanner of what is written here, which looks up nothing but the meaning of commands."""

    def __init__(self, text: str) -> None:
        self.pieces = re.findall(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\S|[ \n]", text)

    def group(self) -> str:
        """The next argument: one piece, or what is in braces."""
        piece = self.pieces.pop(0)
        if piece != "{":
            return piece
        depth, inside = 1, []
        while depth:
            piece = self.pieces.pop(0)
            depth += {"{": 1, "}": -1}.get(piece, 0)
            inside.append(piece)
        return "".join(inside[:-1])

    def below(self) -> list[str]:
        """A subscript, if there is one."""
        if not self.pieces or self.pieces[0] != "_":
            return []
        self.pieces.pop(0)
        return [re.sub(r"\\mathrm\{(\w+)\}|\\,", r"\1 ", self.group())]

    def tokens(self) -> Iterator[Token]:
        while self.pieces:
            piece = self.pieces.pop(0)
            if piece in (" ", "&", r"\quad", r"\left", r"\right"):
                continue
            if piece == r"\begin":
                yield from (("sign", "{"), ("cases", self.rows()))
            elif piece == r"\frac":
                yield ("fraction", tokens_of(self.group()), tokens_of(self.group()))
            elif piece == r"\sqrt":
                yield ("root", tokens_of(self.group()))
            elif piece == "^":
                yield ("power", tokens_of(self.group()))
            elif piece == r"\text":
                yield ("word", self.group().strip())
            elif piece == r"\operatorname":
                yield ("function", self.group())
            elif piece[1:] in FUNCTIONS:
                yield ("function", piece[1:])
            elif piece == r"\mathrm":
                yield ("name", self.group().replace(r"\_", "_"), *self.below())
            elif piece == r"\hat":
                yield ("name", self.group(), "hat", *self.below())
            elif piece == r"\infty" or piece[0].isdigit():
                yield ("number", "∞" if piece == r"\infty" else piece)
            elif piece == r"\sum":
                self.below()  # the index that it is over, which the note says in words
                yield ("sign", "∑")
            elif piece in COMMANDS or piece in "()|,+=<>/":
                yield ("sign", COMMANDS.get(piece, piece))
            else:  # one letter, or the name of a Greek one
                assert re.fullmatch(r"[a-zA-Z]|\\[a-z]+", piece), piece
                yield ("name", GREEK.get(piece, piece), *self.below())

    def rows(self) -> list[tuple[list[Token], list[Token]]]:
        assert self.group() == "cases"
        depth, inside = 1, ""
        while depth:
            piece = self.pieces.pop(0)
            depth += {r"\begin": 1, r"\end": -1}.get(piece, 0)
            inside += piece
        assert self.group() == "cases"
        return [tuple(map(tokens_of, cells(row, "&"))) for row in cells(inside.removesuffix(r"\end"), r"\\")]  # type: ignore[misc]


GREEK = {
    r"\eta": "η", r"\varepsilon": "ε", r"\lambda": "λ", r"\mu": "μ", r"\beta": "β", r"\alpha": "α", r"\rho": "ρ",
    r"\gamma": "γ", r"\delta": "δ",
}  # fmt: skip


def cells(text: str, mark: str) -> list[str]:
    """Split at a mark, but not within an environment."""
    found, depth = [""], 0
    for piece in re.findall(r"\\begin|\\end|\\\\|.", text):
        depth += {r"\begin": 1, r"\end": -1}.get(piece, 0)
        if piece == mark and not depth:
            found.append("")
        else:
            found[-1] += piece
    return found


def tokens_of(text: str) -> list[Token]:
    return [*Latex(text).tokens()]


def latex_rows(text: str) -> list[list[Token]]:
    """One formula, or those of an ``aligned`` environment."""
    if "\n" not in text:
        return [tokens_of(text)]
    begin, *rows, end = text.split("\n")
    assert (begin, end) == (r"\begin{aligned}", r"\end{aligned}")
    return [tokens_of(row.removesuffix(r" \\")) for row in rows if not row.startswith("&")]


# -- tokens of Unicode

RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵗᵏ", "0123456789−tk")


def unicode_tokens(text: str) -> list[Token]:
    found: list[Token] = []
    for piece in re.findall(r"∑[ᵢⱼ]?|[⁰¹²³⁴-⁹⁻ᵗᵏ]+|\d+(?:\.\d+)?|[^\W\d](?:[^\W⁰¹²³⁴-⁹ᵗᵏ]|\u0302)*|∞|\S", text):
        if piece[0] == "∑":  # with the index that it is over, which the note says in words
            found.append(("sign", "∑"))
        elif piece[0].translate(RAISED) != piece[0]:
            found.append(("power", unicode_tokens(piece.translate(RAISED))))
        elif piece[0].isdigit() or piece == "∞":
            found.append(("number", piece))
        elif piece in ("if", "otherwise"):
            found.append(("word", piece))
        elif re.match(r"\w", piece):
            found.append(("function" if piece in FUNCTIONS else "name", piece))
        else:
            found.append(("sign", piece))
    return found


# -- what is printed is what the text says


def sides(tokens: Sequence[Token]) -> tuple[Token, str, list[Token]]:
    """A formula's name, its sign, and its value without the note."""
    name, (_, sign), *value = tokens
    if value[-1][0] == "word":
        value.pop()
    return name, sign, value


def check(lines: Sequence[Line], rows: Sequence[Sequence[Token]], symbols: Mapping[str, Exact]) -> None:
    for line, row in zip(lines, rows, strict=True):
        name, sign, value = sides(row)
        assert symbols["".join(name[1:])] == valued(line.name)
        assert sign == ("←" if line.stored else "=")
        assert Seen(value, symbols).whole() == text_value(line.text), f"{line}\n{row}"


NOTATIONS: dict[
    str, tuple[Callable[[Story], str] | None, Callable[[str], list[list[Token]]], Callable[[Line], str]]
] = {
    "latex": (latex_of, latex_rows, latex),
    "mathml": (mathml_of, mathml_rows, mathml),
    "unicode": (None, lambda text: [unicode_tokens(row.partition("  ")[0]) for row in text.splitlines()], unicode),
}


@cache
def symbol_in(notation: str, name: str) -> str:
    """What a name is printed as, from a formula that says no more than the name."""
    _, rows, single = NOTATIONS[notation]
    (row,) = rows(single(Line(name, constant(0.0))))
    return "".join(row[0][1:])


def names_in(lines: Sequence[Line]) -> set[str]:
    return {name for line in lines for name in re.findall(r"[^\W\d]\w*", f"{line.name} {line.text}")} - {*PYTHON, "inf"}


def check_lines(lines: Sequence[Line], told: Story | None = None) -> None:
    """In each notation: one by one, or as the whole story that they are."""
    names = names_in(lines)
    for notation, (whole, rows, single) in NOTATIONS.items():
        symbols = {symbol_in(notation, name): valued(name) for name in names}
        assert len(symbols) == len(names)
        if told and whole:
            check(lines, rows(whole(told)), symbols)
        else:
            check(lines, [row for line in lines for row in rows(single(line))], symbols)


def check_story(told: Story) -> None:
    check_lines([line for _, lines in sections(told) for line in lines], told)


@pytest.mark.parametrize("name", [*BY_WEIGHT, *WRAPPED])
def test_reading_it_gives_what_the_text_gives(name: str) -> None:
    rule = RULES[name]
    check_story(usual_story(rule))
    check_story(usual_story(rule, clip_value=True, clip_norm=True))
    for convention in rule.conventions:
        check_story(usual_story(like(rule, convention)))
    if decay_kind(rule) not in ("own", "none"):
        for kind in (*CHAIN_DECAYS, "none"):
            check_story(usual_story(rule, decay=kind))


# Each operation, and how many parts it has; a choice is one with its condition.
OPERATIONS: dict[str, tuple[int, Callable[..., Expression]]] = {
    **{op: (2, partial(apply, op)) for op in ("+", "-", "*", "/", "**", "maximum")},
    **{op: (1, partial(apply, op)) for op in ("neg", "sqrt", "abs", "exp", "cos", "floor")},
    **{op: (4, lambda a, b, x, y, op=op: apply("where", apply(op, a, b), x, y)) for op in ("<", ">=")},
    "sum": (1, lambda a: a),
    "clip": (3, lambda *a: Expression("clip", a)),
    "negative": (0, lambda: constant(-2.0)),
    "tiny": (0, lambda: constant(1e-8)),
    "small": (0, lambda: constant(2.5e-7)),
    "infinite": (0, lambda: constant(inf)),
    "word": (0, lambda: weight("rate")),
    "named": (0, lambda: number("mu_product")),
}


@pytest.mark.parametrize("outer", [name for name, (arity, _) in OPERATIONS.items() if arity])
def test_each_operation_in_each_place_of_each_other(outer: str) -> None:
    arity, made = OPERATIONS[outer]
    for parts, within in OPERATIONS.values():
        part = within(*map(weight, "abcd"[:parts]))
        for place in range(arity):
            for beside in (weight("g"), constant(2.0), part):
                arguments = [beside] * arity
                arguments[place] = part
                value = made(*arguments)
                if value.op == "constant":  # two are folded
                    continue
                check_lines([Line("d", Expression("sum", (value,)) if outer == "sum" else value)])


LETTERS = st.sampled_from(
    [weight("w"), weight("g"), weight("v_hat"), weight("rate"), number("lr"), number("beta1"), number("t")]
)
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.0, 0.5, -3.25, 1e-8, 2.5e-7, -1e22, inf]).map(constant)


def operations(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    some = [op for op, (arity, _) in OPERATIONS.items() if arity and op != "sum"]
    # Two constants are no formula.
    given = st.tuples(parts, parts | NUMBERS, parts, parts)
    return st.builds(
        lambda op, a, turned: OPERATIONS[op][1](*(a[::-1] if turned else a)[: OPERATIONS[op][0]]),
        st.sampled_from(some), given, st.booleans(),
    )  # fmt: skip


@given(st.recursive(LETTERS, operations, max_leaves=12))
def test_no_bracket_is_missing(value: Expression) -> None:
    check_lines([Line("d", value)])


# -- how it is printed


def test_adamw() -> None:
    told = usual_story(ADAMW)
    assert latex_of(told).splitlines() == [
        r"\begin{aligned}",
        r"&\text{once a step} \\",
        r"c_1 & = 1 - \beta_1^t \\",
        r"c_2 & = 1 - \beta_2^t \\",
        r"&\text{for every weight} \\",
        r"m & \leftarrow \beta_1 m + (1 - \beta_1) g \\",
        r"v & \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\",
        r"\hat{v} & = \frac{v}{c_2} \\",
        r"d & = \frac{\eta (m / c_1)}{\sqrt{\hat{v}} + \varepsilon} \\",
        r"w & \leftarrow w - (d + \eta \lambda w)",
        r"\end{aligned}",
    ]
    assert [unicode(line) for _, lines in sections(told) for line in lines] == [
        "c₁ = 1 − β₁ᵗ",
        "c₂ = 1 − β₂ᵗ",
        "m ← β₁·m + (1 − β₁)·g",
        "v ← β₂·v + (1 − β₂)·g²",
        "v̂ = v / c₂",
        "d = η·(m / c₁) / (√v̂ + ε)",
        "w ← w − (d + η·λ·w)",
    ]
    assert mathml(Line("c1", 1 - number("beta1") ** number("t"))) == (
        '<math display="block"><mrow><msub><mi>c</mi><mn>1</mn></msub><mo form="infix">=</mo>'
        "<mrow><mn>1</mn><mo>−</mo><msubsup><mi>β</mi><mn>1</mn><mi>t</mi></msubsup></mrow></mrow></math>"
    )
    assert letters_of(told) == {"lr": "η", "eps": "ε", "weight_decay": "λ"}
    # Other letters, as somebody else writes them; the legend says of hyperparameters whose they are.
    others = {"w": "θ", "weight_decay": "Λ"}
    assert letters_of(told, others) == {"lr": "η", "eps": "ε", "weight_decay": "Λ"}
    html = mathml_of(told, letters=others)
    assert "<mi>θ</mi>" in html
    assert "<math><mi>Λ</mi></math> = <code>weight_decay</code>" in html
    assert "<mi>w</mi>" not in html


@pytest.mark.parametrize(
    ("name", "in_latex", "in_unicode"),
    [
        ("lr", r"\eta", "η"),
        ("eps", r"\varepsilon", "ε"),
        ("weight_decay", r"\lambda", "λ"),
        ("momentum", r"\mu", "μ"),
        ("beta3", r"\beta_3", "β₃"),
        ("c10", "c_{10}", "c₁₀"),
        ("rho", r"\rho", "ρ"),
        ("w", "w", "w"),
        ("enlarged", r"\mathrm{enlarged}", "enlarged"),
        ("mu_product", r"\mu_{\mathrm{product}}", "μ_product"),
        ("squares_of_g", r"\mathrm{squares}_{\mathrm{of}\,g}", "squares_of_g"),
        ("v_hat", r"\hat{v}", "v̂"),
        ("v_hat_2", r"\hat{v}_2", "v̂₂"),
        ("x_2", "x_2", "x₂"),
        ("next_rate", r"\mathrm{rate}_{\mathrm{next}}", "rate_next"),
        ("old_a", r"a_{\mathrm{old}}", "a_old"),
        ("base_lr", r"\eta_{\mathrm{base}}", "η_base"),
        ("lr_max", r"\eta_{\mathrm{max}}", "η_max"),
    ],
)
def test_names(name: str, in_latex: str, in_unicode: str) -> None:
    assert latex(Line(name, constant(0.0))) == f"{in_latex} = 0"
    assert unicode(Line(name, constant(0.0))) == f"{in_unicode} = 0"


def test_names_that_would_look_alike_are_written_out() -> None:
    line = Line("x", number("lr") + number("eta") + number("x_2") * number("x2") + number("beta1"))
    assert unicode(line) == "x = lr + eta + x_2·x2 + β₁"
    assert latex(line) == r"x = \mathrm{lr} + \mathrm{eta} + \mathrm{x\_2} \cdot \mathrm{x2} + \beta_1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a * 2", "2 a"), ("2 * a ** b", "2 a^b"), ("a * b * b", "a b^2"), ("a * (b + c)", "a (b + c)"),
        ("a / b / c", r"\frac{a / b}{c}"), ("-a * b", "-a b"), ("a - b - c", "a - b - c"), ("a * -b", "-a b"),
        ("a + -b", "a + (-b)"), ("a * (b * c)", "a b c"), ("(a * b) * (a * b)", "a b a b"),
        ("c * (a * b) * (a * b)", "c (a b)^2"), ("a + 1e-8", "a + 10^{-8}"), ("a * 2.5e-7", r"2.5 \cdot 10^{-7} a"),
        ("sqrt(a / b)", r"\sqrt{\frac{a}{b}}"), ("a / sqrt(b / c)", r"\frac{a}{\sqrt{b / c}}"),
        ("abs(a) * b", "|a| b"), ("abs(a / b)", r"\left|\frac{a}{b}\right|"), ("(a / b) ** c",
        r"\left(\frac{a}{b}\right)^c"), ("2 * (a / b)", r"2 \cdot \frac{a}{b}"), ("maximum(a, b + c) * a",
        r"\max(a, b + c) a"),
    ],
)  # fmt: skip
def test_no_bracket_too_many(text: str, expected: str) -> None:
    found = eval(text, {**{name: number(name) for name in "abc"}, **vars(vocabulary)})
    assert latex(Line("d", found)) == f"d = {expected}"


# -- each notation is well formed


@pytest.mark.parametrize("name", RULES)
def test_mathml_is_core(name: str) -> None:
    tree = ElementTree.fromstring(f"<div>{mathml_of(usual_story(RULES[name]))}</div>")
    inside = [element for math in tree.iter("math") for element in math.iter()]
    assert {element.tag for element in inside} <= CORE
    children = {"mfrac": 2, "msup": 2, "msub": 2, "msubsup": 3, "mover": 2, "munder": 2}
    assert all(len(element) == children[element.tag] for element in inside if element.tag in children)
    tokens = {"mi", "mn", "mo", "mtext"}
    assert all(element.text and not len(element) for element in inside if element.tag in tokens)
    assert not any(element.text for element in inside if element.tag not in tokens)


@pytest.mark.parametrize("name", RULES)
def test_latex_is_balanced(name: str) -> None:
    bare = re.sub(r"\\[{}]", "", latex_of(usual_story(RULES[name], clip_norm=True)))
    assert bare.count("{") == bare.count("}") > 0
    assert bare.count(r"\left") - bare.count(r"\leftarrow") == bare.count(r"\right")
    assert bare.count(r"\begin{cases}") == bare.count(r"\end{cases}")


@pytest.mark.slow
def test_matplotlib_sets_the_latex() -> None:
    parser = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    lines = {latex(line) for rule in RULES.values() for _, some in sections(usual_story(rule)) for line in some}
    known = [line for line in lines if "cases" not in line]  # which matplotlib does not know
    assert len(known) > 100
    for line in known:
        width, height, *_ = parser.parse(f"${line}$")
        assert width > height > 0, line


def test_every_word_can_be_translated_and_none_is_markup() -> None:
    words = {word: f"<{i}>&_" for i, word in enumerate(WORDS)}
    for name in ("adamw+cautious", "prodigy", "schedulefreesgd"):
        told = usual_story(RULES[name])
        html, printed = mathml_of(told, words), latex_of(told, words)
        tree = ElementTree.fromstring(f"<div>{html}</div>")
        said = [text for each in tree.iter() if each.tag in ("small", "mtext") for text in each.itertext()]
        assert not [text for text in said if text.strip("()\xa0") in WORDS]
        assert any("<0>&_" in text for text in said)
        assert not any(f"{{{word}}}" in printed or f"{{({word})}}" in printed for word in WORDS)
        assert r"\text{<0>\&\_}" in printed


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chromium_sets_it(browser: Any, tmp_path: Path, scheme: Literal["light", "dark"]) -> None:
    sections = (f"<section><h2>{name}</h2>{mathml_of(usual_story(rule))}</section>" for name, rule in RULES.items())
    page = tmp_path / "page.html"
    style = "<style>:root { color-scheme: light dark }</style>"
    page.write_text(f'<!doctype html><meta charset="utf-8">{style}{"".join(sections)}', encoding="utf-8")
    opened = browser.new_page(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    opened.goto(page.as_uri())
    found = opened.evaluate(LOOK)
    opened.close()
    assert found["formulas"] > 3 * len(RULES)
    assert found["blocks"] == ["block math"]
    assert found["empty"] == found["strange"] == []
    # Names end where their signs begin, and brackets are as tall as what they hold.
    assert found["ragged"] == 0
    assert found["colours"] == (["rgb(0, 0, 0)"] if scheme == "light" else ["rgb(255, 255, 255)"])


LOOK = """() => {
  const all = [...document.querySelectorAll("math, math *")];
  const box = element => element.getBoundingClientRect();
  const rows = [...document.querySelectorAll("math > mtable > mtr")];
  const end = row => Math.round(box(row.cells ? row.cells[0] : row.children[0].lastElementChild).right);
  const ragged = [...document.querySelectorAll("math > mtable")].filter(
    table => new Set([...table.children].map(end)).size > 1 && table.children.length > 1
      && Math.max(...[...table.children].map(end)) - Math.min(...[...table.children].map(end)) > 2);
  return {
    formulas: rows.length,
    blocks: [...new Set([...document.querySelectorAll("math[display]")].map(each => getComputedStyle(each).display))],
    empty: all.filter(each => each.tagName !== "mspace" && each.textContent.trim(/[\u2061\u2062]/)
      && !/^[\u2061\u2062]$/.test(each.textContent) && !(box(each).width > 0 && box(each).height > 0))
      .map(each => each.outerHTML),
    strange: all.filter(each => !(each instanceof MathMLElement) || getComputedStyle(each).display === "inline")
      .map(each => each.tagName),
    ragged: ragged.length,
    colours: [...new Set(all.map(each => getComputedStyle(each).color))],
  };
}"""
