"""Numbers of a primer that this project has measured, read where they are published."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def rows(document: str) -> list[list[str]]:
    """The rows of a document's tables."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def claimed(name: str) -> list[str]:
    """What the first repeat of a claim found: its quantities as docs/claims.md has them, without intervals."""
    (row,) = (row for row in rows("docs/claims.md") if row[0].endswith(f"`{name}`"))
    return [re.findall(r"([\d.]+) \(", quantity)[-1] for quantity in row[2].split("<br>")]
