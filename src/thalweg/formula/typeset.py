"""Formulas as mathematics prints them: in LaTeX, in MathML, and in one line of Unicode for a terminal.

A `Line` of the `text` reader is a tree, which `layout` lays out; the notations here only say how it is spelled.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from types import MappingProxyType

from .expression import LEAVES, NAMED, Expression
from .layout import IN_LINE, Mathematics, alternate, laid_out, printed
from .symbols import GREEK, USUAL, Symbol, symbols
from .text import SCOPES, Line, Story, sections

# Rows have the index i, columns j: a sum over a row is one over j.
_OVER = {SCOPES["row"]: "j", SCOPES["column"]: "i"}
# All that is said in words, for those who translate it.
WORDS = (
    "once a step", "then once", "for every weight", "for every matrix", "kept for the next step", "for each",
    *SCOPES.values(), "if", "otherwise",
)  # fmt: skip


def latex(line: Line) -> str:
    """A formula for LaTeX's mathematics mode."""
    return "".join(_spelled(line, _Latex(_symbols([line]), {})))


def mathml(line: Line) -> str:
    """A formula as a <math> element of MathML Core."""
    return f'<math display="block"><mrow>{"".join(_spelled(line, _MathML(_symbols([line]), {})))}</mrow></math>'


def mathml_lines(lines: Sequence[Line]) -> str:
    """Formulas below each other, aligned at their signs, as one <math> element of MathML Core."""
    return _aligned(lines, _MathML(_symbols(lines), {}))


def unicode(line: Line) -> str:
    """A formula in one line of text."""
    return "".join(_spelled(line, _Unicode(_symbols([line]), {})))


def latex_of(told: Story, words: Mapping[str, str] | None = None) -> str:
    """A story as an ``aligned`` environment, for LaTeX with amsmath, KaTeX or MathJax.

    ``words``  what to say instead of some of `WORDS`.
    """
    notation = _Latex(_symbols_of(told), words or {})
    rows = []
    for heading, lines in sections(told):
        rows.append("&" + _latex_text(notation.say(heading)))
        rows += [" &".join(_spelled(line, notation)) for line in lines]
    return _latex_aligned(rows)


def latex_lines(lines: Sequence[Line]) -> str:
    """Formulas below each other as an ``aligned`` environment."""
    notation = _Latex(_symbols(lines), {})
    return _latex_aligned([" &".join(_spelled(line, notation)) for line in lines])


def mathml_of(
    told: Story, words: Mapping[str, str] | None = None, letters: Mapping[str, str] = MappingProxyType({})
) -> str:
    """A story as HTML: each section has its heading and a <math> element with its formulas; then follow `letters_of`.

    ``words``    what to say instead of some of `WORDS`.
    ``letters``  what to print for some names instead of what they are usually printed as.
    """
    notation = _MathML(_symbols_of(told, letters), words or {})
    parts = [
        f"<p><small>{escape(notation.say(heading))}</small></p>\n{_aligned(lines, notation)}"
        for heading, lines in sections(told)
    ]
    listed = letters_of(told, letters).items()
    legend = ", ".join(f"<math><mi>{letter}</mi></math> = <code>{name}</code>" for name, letter in listed)
    return "\n".join([*parts, f"<p><small>{legend}</small></p>"])


def letters_of(told: Story, letters: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """The hyperparameters that are printed as another letter than their name says, each with it: lr is eta.

    ``letters``  what is printed for some names instead, as for `mathml_of`.
    """
    chosen = {**USUAL, **{name: letter for name, letter in letters.items() if name in told.numbers}}
    found = _symbols_of(told, letters)
    return {name: each.letter for name, each in found.items() if each == Symbol(chosen.get(name, ""))}


def _spelled(line: Line, notation: Mathematics) -> tuple[str, str]:
    if line.value.op == "each":
        *entry, listed = (notation.symbol(notation.symbols[e.arguments[0]]) for e in line.value.arguments)
        return notation.head(entry, listed, line.note)
    name = notation.inside(notation.symbol(notation.symbols[line.name]), line.indent)
    note = f"({notation.say(line.note)})" if line.note else ""
    value = line.value
    if value.op == "sum" and line.note in _OVER:
        value = Expression(f"sum_{_OVER[line.note]}", value.arguments)
    return notation.line(name, line.stored, laid_out(printed(value), notation), note)


def _aligned(lines: Sequence[Line], notation: Mathematics) -> str:
    rows = (_spelled(line, notation) for line in lines)
    right, left = ("right", "; padding-right: 0"), ("left", "; padding-left: 0")
    cells = (f"<mtr>{_cell(name, *right)}{_cell(value, *left)}</mtr>" for name, value in rows)
    return f'<math display="block" style="{STYLE}"><mtable displaystyle="true">{"".join(cells)}</mtable></math>'


def _symbols_of(told: Story, letters: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, Symbol]:
    return _symbols((line for _, lines in sections(told) for line in lines), letters)


def _symbols(lines: Iterable[Line], letters: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, Symbol]:
    names: dict[str, None] = {}

    def visit(e: Expression) -> None:
        if e.op in NAMED:
            names[e.arguments[0]] = None
        elif e.op not in LEAVES:
            for argument in e.arguments:
                visit(argument)

    for line in lines:
        if line.name:  # the head of a repeat has none
            names[line.name] = None
        visit(line.value)
    return symbols(names, letters)


# -- LaTeX

_COMMANDS = {char: "\\" + name for name, char in GREEK.items()} | {
    "ε": r"\varepsilon", "φ": r"\varphi", "−": "-", "≤": r"\le", "≥": r"\ge", "∞": r"\infty",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "‖": r"\| ", "⊤": r"\top",
}  # fmt: skip
_ESCAPED = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {char: "\\" + char for char in "{}$&#%_"}
)


def _latex_aligned(rows: Sequence[str]) -> str:
    inside = " \\\\\n".join(rows)
    return f"\\begin{{aligned}}\n{inside}\n\\end{{aligned}}"


def _latex_text(said: str) -> str:
    return rf"\text{{{said.translate(_ESCAPED)}}}"


def _grouped(text: str) -> str:
    return text if len(text) == 1 else f"{{{text}}}"


class _Latex(Mathematics):
    def number(self, digits: str) -> str:
        return _COMMANDS.get(digits, digits)

    def symbol(self, symbol: Symbol) -> str:
        letter = _COMMANDS.get(symbol.letter, symbol.letter)
        if symbol.word:
            letter = rf"\mathrm{{{symbol.letter.translate(_ESCAPED)}}}"
        if symbol.accent:
            letter = rf"\{symbol.accent}{{{letter}}}"
        below = r"\,".join(each if each.isdigit() or len(each) == 1 else rf"\mathrm{{{each}}}" for each in symbol.below)
        return f"{letter}_{_grouped(below)}" if below else letter

    def fenced(self, left: str, right: str, inside: str) -> str:
        left, right = _COMMANDS.get(left, left), _COMMANDS.get(right, right)
        tall = r"\frac" in inside or r"\begin" in inside
        return rf"\left{left}{inside}\right{right}" if tall else f"{left}{inside}{right}"

    def infix(self, sign: str, a: str, b: str) -> str:
        return f"{a} {_COMMANDS.get(sign, sign)} {b}"

    def minus(self, a: str) -> str:
        return f"-{a}"

    def product(self, factors: Sequence[str], between: Sequence[str]) -> str:
        return alternate(factors, [r" \cdot " if each == "dot" else " " for each in between])

    def fraction(self, a: str, b: str) -> str:
        return rf"\frac{{{a}}}{{{b}}}"

    def power(self, of: Expression, base: str, exponent: str) -> str:
        return f"{base}^{_grouped(exponent)}"

    def root(self, a: str) -> str:
        return rf"\sqrt{{{a}}}"

    def total(self, a: str, over: str = "") -> str:
        return rf"\sum_{_grouped(over)} {a}" if over else rf"\sum {a}"

    def inside(self, name: str, repeats: int) -> str:
        return r"\vert\; " * repeats + name

    def call(self, function: str, parts: Sequence[str]) -> str:
        known = function in ("max", "min", "exp", "ln", "cos", "sin")
        return (rf"\{function}" if known else rf"\operatorname{{{function}}}") + self.brackets(", ".join(parts))

    def cases(self, chosen: Sequence[tuple[str, str]], other: str) -> str:
        rows = [f"{value} & {_latex_text(self.say('if') + ' ')} {condition}" for value, condition in chosen]
        inside = r" \\ ".join([*rows, f"{other} & {_latex_text(self.say('otherwise'))}"])
        return rf"\begin{{cases}} {inside} \end{{cases}}"

    def head(self, entry: Sequence[str], listed: str, note: str) -> tuple[str, str]:
        left = rf"{_latex_text(self.say('for each') + ' ')} {self.brackets(', '.join(entry))}"
        return left, rf" \in {listed} \quad {_latex_text(note)}"

    def line(self, name: str, stored: bool, value: str, note: str) -> tuple[str, str]:
        said = rf" \quad {_latex_text(note)}" if note else ""
        sign = r"\leftarrow" if stored else "="
        return name, f" {sign} {value}{said}"


# -- MathML

_TIMES = {"": "<mo>&#x2062;</mo>", "dot": "<mo>⋅</mo>", "space": '<mo rspace="0.167em">&#x2062;</mo>'}
_ABOVE = {"hat": "\u02c6", "bar": "\u00af", "tilde": "\u02dc"}


# The system's own mathematics font may be none, and then nothing stretches.
_FONTS = "STIX Two Math, Latin Modern Math, Cambria Math, DejaVu Math TeX Gyre, math"
STYLE = f"font-family: {_FONTS}; width: fit-content; margin-inline: 1em"
"""Of a <math> element on lines of its own."""


def _cell(content: str, side: str, more: str = "") -> str:
    # MathML Core has no attribute for it, and Chromium heeds only its own word.
    return f'<mtd style="text-align: {side}; text-align: -webkit-{side}{more}">{content}</mtd>'


class _MathML(Mathematics):
    def number(self, digits: str) -> str:
        return f"<mn>{digits}</mn>"

    def symbol(self, symbol: Symbol, exponent: str = "") -> str:
        """With what it is raised to, if to anything."""
        letter = f"<mi>{escape(symbol.letter)}</mi>"
        if symbol.accent:
            letter = f'<mover accent="true">{letter}<mo stretchy="false">{_ABOVE[symbol.accent]}</mo></mover>'
        said = " ".join(symbol.below)
        kind = "mn" if said.isdigit() else "mi" if len(symbol.below) == 1 else "mtext"
        below = f"<{kind}>{escape(said)}</{kind}>" if said else ""
        around = ("msub" if below else "") + ("sup" if below and exponent else "msup" if exponent else "")
        return f"<{around}>{letter}{below}{exponent}</{around}>" if around else letter

    def fenced(self, left: str, right: str, inside: str) -> str:
        return f"<mrow><mo>{left}</mo>{inside}<mo>{right}</mo></mrow>"

    def infix(self, sign: str, a: str, b: str) -> str:
        return f"<mrow>{a}<mo>{escape(sign)}</mo>{b}</mrow>"

    def minus(self, a: str) -> str:
        return f"<mrow><mo>−</mo>{a}</mrow>"

    def product(self, factors: Sequence[str], between: Sequence[str]) -> str:
        return f"<mrow>{alternate(factors, [_TIMES[each] for each in between])}</mrow>"

    def fraction(self, a: str, b: str) -> str:
        return f"<mfrac>{a}{b}</mfrac>"

    def slashed(self, a: str, b: str) -> str:
        return f'<mrow>{a}<mo lspace="0.1em" rspace="0.1em">/</mo>{b}</mrow>'

    def power(self, of: Expression, base: str, exponent: str) -> str:
        if of.op in NAMED:
            return self.symbol(self.symbols[of.arguments[0]], exponent)
        return f"<msup>{base}{exponent}</msup>"

    def root(self, a: str) -> str:
        return f"<msqrt>{a}</msqrt>"

    def total(self, a: str, over: str = "") -> str:
        sign = f"<munder><mo>∑</mo><mi>{over}</mi></munder>" if over else "<mo>∑</mo>"
        return f"<mrow>{sign}{a}</mrow>"

    def inside(self, name: str, repeats: int) -> str:
        return '<mo form="prefix" rspace="0.3em">|</mo>' * repeats + name

    def call(self, function: str, parts: Sequence[str]) -> str:
        return f"<mrow><mi>{escape(function)}</mi><mo>&#x2061;</mo>{self.brackets('<mo>,</mo>'.join(parts))}</mrow>"

    def cases(self, chosen: Sequence[tuple[str, str]], other: str) -> str:
        rows = [(value, f"<mtext>{escape(self.say('if'))}&#xA0;</mtext>{condition}") for value, condition in chosen]
        rows.append((other, f"<mtext>{escape(self.say('otherwise'))}</mtext>"))
        cells = (f"<mtr>{_cell(value, 'left')}{_cell(when, 'left')}</mtr>" for value, when in rows)
        return f"<mrow><mo>{{</mo><mtable>{''.join(cells)}</mtable></mrow>"

    def head(self, entry: Sequence[str], listed: str, note: str) -> tuple[str, str]:
        each = escape(self.say("for each"))
        left = f"<mrow><mtext>{each}&#xA0;</mtext>{self.brackets('<mo>,</mo>'.join(entry))}</mrow>"
        said = f'<mspace width="1em"></mspace><mtext>{escape(note)}</mtext>'
        return left, f'<mo form="infix">∈</mo>{listed}{said}'

    def line(self, name: str, stored: bool, value: str, note: str) -> tuple[str, str]:
        # First in its cell, it would be taken for a prefix.
        sign = f'<mo form="infix">{"←" if stored else "="}</mo>'
        said = f'<mspace width="1em"></mspace><mtext>{escape(note)}</mtext>' if note else ""
        return name, sign + value + said


# -- Unicode

_LOWERED = str.maketrans("0123456789ij", "₀₁₂₃₄₅₆₇₈₉ᵢⱼ")
_RAISED = str.maketrans("0123456789−tk⊤", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵗᵏᵀ")
_COMBINING = {"": "", "hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}


class _Unicode(Mathematics):
    forms = IN_LINE

    def number(self, digits: str) -> str:
        return digits

    def symbol(self, symbol: Symbol) -> str:
        below = (each.translate(_LOWERED) if each.isdigit() else f"_{each}" for each in symbol.below)
        return symbol.letter + _COMBINING[symbol.accent] + "".join(below)

    def fenced(self, left: str, right: str, inside: str) -> str:
        return left + inside + right

    def infix(self, sign: str, a: str, b: str) -> str:
        return f"{a} {sign} {b}"

    def minus(self, a: str) -> str:
        return f"−{a}"

    def product(self, factors: Sequence[str], between: Sequence[str]) -> str:
        return "·".join(factors)

    def fraction(self, a: str, b: str) -> str:
        return f"{a} / {b}"

    def power(self, of: Expression, base: str, exponent: str) -> str:
        bare = exponent.removeprefix("(").removesuffix(")")
        return base + (bare.translate(_RAISED) if {*map(ord, bare)} <= {*_RAISED} else f"^{exponent}")

    def root(self, a: str) -> str:
        return f"√{a}"

    def total(self, a: str, over: str = "") -> str:
        return f"∑{over.translate(_LOWERED)} {a}" if over else f"∑ {a}"

    def inside(self, name: str, repeats: int) -> str:
        return "│ " * repeats + name

    def call(self, function: str, parts: Sequence[str]) -> str:
        return f"{function}({', '.join(parts)})"

    def cases(self, chosen: Sequence[tuple[str, str]], other: str) -> str:
        said = [f"{value} {self.say('if')} {condition}" for value, condition in chosen]
        return ", ".join([*said, f"{self.say('otherwise')} {other}"])

    def head(self, entry: Sequence[str], listed: str, note: str) -> tuple[str, str]:
        return f"{self.say('for each')} {self.brackets(', '.join(entry))}", f" ∈ {listed}  {note}"

    def line(self, name: str, stored: bool, value: str, note: str) -> tuple[str, str]:
        return name, f" {'←' if stored else '='} {value}" + (f"  {note}" if note else "")
