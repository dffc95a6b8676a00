"""What pages are written and read with: Markdown tables, links within the repository, tables of other pages."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from gather import address

ROOT = Path(__file__).resolve().parents[2]

Row = Mapping[str, str]

# An argument with its value, which is code; but not where it stands in a call, which is none here.
_SETTING = re.compile(r'(?<![\w`."])(?<!\w\()\w+=(?:"[\w-]+"|True|False|\d[\d.]*(?:e-?\d+)?(?<!\.))')


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> str:
    """A table in Markdown; ``right``: the heads of columns of numbers."""
    lines = [heads, ["---:" if head in right else "---" for head in heads], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def code(text: str, language: str = "") -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def plain(text: str) -> str:
    """Running text of a docstring: signs that Markdown would take for its own as they are, names between backticks."""
    outside, *rest = re.split(r"(`[^`]+`)", _SETTING.sub(r"`\g<0>`", text.replace("``", "`")))
    parts = [re.sub(r"([*_<])", r"\\\1", outside)]
    for name, following in zip(rest[::2], rest[1::2], strict=True):
        parts += [name, re.sub(r"([*_<])", r"\\\1", following)]
    return "".join(parts)


def link(path: str) -> str:
    """The address of a file of the repository, with what follows a #, from a page one folder below the site's top."""
    file, *heading = path.partition("#")
    return f"../{address(file)}{''.join(heading)}"


@cache
def document(path: str) -> str:
    """The text of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def under(path: str, *headings: str) -> str:
    """What stands in a Markdown document below headings, each further in than the one before, to the next such."""
    text = document(path)
    for heading in headings:
        marks = heading.split()[0]
        rest = text.split(f"\n{heading}\n", 1)[1]
        text = re.split(rf"^#{{1,{len(marks)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return text


def markdown_tables(text: str) -> Iterator[list[Row]]:
    """Every table of a Markdown text: of each row the cells by their heads."""
    for block in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        heads, _, *rows = ([cell.strip() for cell in line.strip()[1:-1].split("|")] for line in block.splitlines())
        yield [dict(zip(heads, row, strict=True)) for row in rows]


class _Tables(HTMLParser):
    """Collects the cells of every table."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside &= tag not in ("th", "td")

    def handle_data(self, text: str) -> None:
        if self.inside:
            self.tables[-1][-1][-1] += text


@cache
def html_tables(path: str) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Every table of a page of the repository: its rows, of their cells' text."""
    found = _Tables()
    # A figure's data may hold anything, and are long.
    found.feed(re.sub(r"<script.*?</script>", "", document(path), flags=re.DOTALL))
    return tuple(tuple(tuple(" ".join(cell.split()) for cell in row) for row in rows) for rows in found.tables)
