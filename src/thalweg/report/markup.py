"""The pieces that every part of the page is made of. Every text passes through `escaped`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from thalweg.stats.intervals import Interval
from thalweg.stats.wording import Unit
from thalweg.view.palette import Look
from thalweg.view.values import ContenderView, Pair

# SVG paths of the plotly symbols used first, in a box of 12 by 12; later rules get the circle of their colour.
SHAPES = {
    "circle": '<circle cx="6" cy="6" r="5"/>',
    "square": '<rect x="1.5" y="1.5" width="9" height="9"/>',
    "diamond": '<path d="M6 0 12 6 6 12 0 6z"/>',
    "triangle-up": '<path d="M6 1 12 11H0z"/>',
    "cross": '<path d="M4 0h4v4h4v4H8v4H4V8H0V4h4z"/>',
    "star": '<path d="M6 0 7.6 4 12 4.4 8.6 7.2 9.7 11.6 6 9.2 2.3 11.6 3.4 7.2 0 4.4 4.4 4z"/>',
    "hexagon": '<path d="M6 0 11 3v6L6 12 1 9V3z"/>',
    "triangle-down": '<path d="M0 1h12L6 11z"/>',
    "pentagon": '<path d="M6 0 12 4.6 9.7 12H2.3L0 4.6z"/>',
}
MANY_ROWS = 12


@dataclass(frozen=True)
class Part:
    """A part of the page; ``how`` and ``content`` are HTML.

    ``name``  its address on the page, which stays when its title changes.
    """

    name: str
    title: str
    how: str
    content: str

    def html(self, level: int = 2) -> str:
        """As a section with a heading of this level."""
        note = f'<p class="how">{self.how}</p>' if self.how else ""
        heading = f"<h{level}>{escaped(self.title)}</h{level}>"
        return f'<section id="{self.name}">\n{heading}\n{note}{self.content}\n</section>'


@dataclass(frozen=True)
class Chapter:
    """All parts on one task, below its ``opening``, which is HTML."""

    name: str
    title: str
    opening: str
    parts: tuple[Part, ...]

    def html(self) -> str:
        """As a section of sections."""
        below = "\n".join(part.html(3) for part in self.parts)
        return (
            f'<section class="task" id="{self.name}" aria-label="{escaped(self.title)}">\n'
            f"<h2>{escaped(self.title)}</h2>\n{self.opening}\n{below}\n</section>"
        )


def contents(blocks: Iterable[Part | Chapter]) -> str:
    """Links to the verdict and to all that follows."""

    def one(name: str, title: str, below: str = "") -> str:
        return f'<li><a href="#{name}">{label(title)}</a>{below}</li>'

    links = [one("verdict", "Verdict")]
    for block in blocks:
        inner = "".join(one(part.name, part.title) for part in block.parts) if isinstance(block, Chapter) else ""
        links.append(one(block.name, block.title, f"<ul>{inner}</ul>" if inner else ""))
    return f'<nav class="contents" aria-label="Contents"><ul>{"".join(links)}</ul></nav>'


def escaped(text: object) -> str:
    """Any text, safe inside elements and quoted attributes."""
    return escape(str(text), quote=True)


def label(text: str) -> str:
    """A rule's label, which may break after a colon where width is short."""
    return escaped(text).replace(":", ":<wbr>")


def rule_head(rule: ContenderView) -> str:
    """The first cell of a rule's row."""
    return f'<th scope="row">{named(rule)}</th>'


def named(rule: ContenderView) -> str:
    """A rule's mark and label, which stay together."""
    return f'<span class="named">{swatch(rule)}<span>{label(rule.label)}</span></span>'


def row(head: str, numbers: Iterable[str], words: Iterable[str] = ()) -> str:
    """A table's row: its head, cells set to the right, others."""
    cells = [f'<td class="number">{cell}</td>' for cell in numbers] + [f"<td>{cell}</td>" for cell in words]
    return f"<tr>{head}{''.join(cells)}</tr>"


def interval(unit: Unit, found: Interval | None, note: str = "", without: str = "not run yet") -> str:
    """A mean with its interval below, and a note below that; ``without``: what stands where there is none."""
    if found is None:
        return f'<span class="range">{without}</span>'
    below = "".join(f' <span class="range">{escaped(text)}</span>' for text in (unit.levels(found), note) if text)
    return f'<span class="mean">{escaped(unit.mean(found))}</span>{below}'


def difference(unit: Unit, pair: Pair) -> str:
    """A difference with its interval below."""
    found = pair.difference
    mean = f'<span class="mean">{unit.difference(found)}</span>'
    return f'{mean} <span class="range">({unit.bounds(found)})</span>'


def percent(share: float, low: float, high: float) -> str:
    """A probability, or a part of a whole, with its interval below."""
    return f'<span class="mean">{share:.0%}</span> <span class="range">{100 * low:.0f} to {high:.0%}</span>'


def table(heads: Sequence[str], rows: Sequence[str], numbers: Iterable[int] = (), *, name: str = "") -> str:
    """A table that scrolls in a box of its own; ``numbers``: the columns set to the right."""
    right = set(numbers)
    head = "".join(
        f'<th scope="col"{" class=" + chr(34) + "number" + chr(34) if index in right else ""}>{escaped(text)}</th>'
        for index, text in enumerate(heads)
    )
    return raw_table(head, "".join(rows), name or heads[0])


def raw_table(head: str, rows: str, name: str, kind: str = "") -> str:
    """A table from the HTML of its heads and its rows; ``kind``: its class in the style sheet."""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(name)} table">'
        f"<table{f' class={kind!r}' if kind else ''}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def many(rows: Sequence[str]) -> bool:
    """Whether a table is so long that it is folded away."""
    return len(rows) > MANY_ROWS


def folded(summary: str, content: str) -> str:
    """What is shown when asked for."""
    return f"<details><summary>{escaped(summary)}</summary>{content}</details>"


def figure(name: str, about: str, caption: str = "") -> str:
    """The place of a figure; the page's script draws into it."""
    note = f'<figcaption class="how">{escaped(caption)}</figcaption>' if caption else ""
    return (
        f'<figure>{note}<div class="plot" id="{name}" role="img" aria-label="{escaped(about.replace("_", " "))}"></div>'
        "<noscript><p>The figure needs JavaScript; the tables do not.</p></noscript></figure>"
    )


def legend(rules: Iterable[ContenderView]) -> str:
    """Names and marks of the rules; pressing one takes it out of every figure."""
    items = "".join(
        f'<li><button type="button" aria-pressed="true" data-rule="{escaped(rule.label)}">'
        f"{swatch(rule)}{label(rule.label)}</button></li>"
        for rule in rules
    )
    return f'<ul class="legend" aria-label="rules shown">{items}</ul>'


def swatch(rule: ContenderView) -> str:
    """The rule's mark, as in the figures."""
    shape = SHAPES[rule.look.symbol]
    return f'<svg class="swatch {colour_class(rule.look)}" viewBox="0 0 12 12" aria-hidden="true">{shape}</svg>'


def colour_class(look: Look) -> str:
    """The name of a rule's colour in the style sheet."""
    return f"c{look.light[1:]}"


def colour_styles(rules: Iterable[ContenderView]) -> str:
    """The style sheet's lines for the colours of the rules, on light and on dark."""
    looks = {rule.look.light: rule.look for rule in rules}.values()
    light = "".join(f".{colour_class(look)}{{fill:{look.light}}}" for look in looks)
    dark = "".join(f".{colour_class(look)}{{fill:{look.dark}}}" for look in looks)
    return f"{light}@media (prefers-color-scheme: dark){{{dark}}}"
