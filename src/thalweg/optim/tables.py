"""Tables of words: as plain text in columns, and as HTML for notebooks."""

from collections.abc import Collection, Sequence
from html import escape

Rows = Sequence[Sequence[str]]


def text_table(headings: Sequence[str], rows: Rows, right: Collection[str]) -> str:
    """Columns as wide as they need to be, two spaces apart; those whose headings are in ``right`` end flush."""
    whole = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    aligned = [
        [cell.rjust(n) if of in right else cell.ljust(n) for cell, n, of in zip(row, widths, headings, strict=True)]
        for row in whole
    ]
    return "\n".join("  ".join(row).rstrip() for row in aligned)


def html_table(headings: Sequence[str], rows: Rows) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
