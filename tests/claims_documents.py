"""Writes docs/claims.md, docs/errata.md and docs/claims.html anew, from what the library brings along.

python tests/claims_documents.py          # after claims were measured, or are said otherwise
"""

from pathlib import Path

from thalweg.claims.wording import as_markdown, errata_markdown
from thalweg.explore.building import claims_page
from thalweg.explore.claims import measured

DOCS = Path(__file__).parents[1] / "docs"
# What is written by hand ends with these lines.
CLAIMS, ERRATA = "## What was found\n\n", "says what follows.\n\n"


def documents() -> dict[Path, str]:
    """The files and what stands in them."""
    beginnings = {
        path: (DOCS / path).read_text(encoding="utf-8").partition(end)[0] + end
        for path, end in (("claims.md", CLAIMS), ("errata.md", ERRATA))
    }
    return {
        DOCS / "claims.md": f"{beginnings['claims.md']}{as_markdown(measured())}\n",
        DOCS / "errata.md": f"{beginnings['errata.md']}{errata_markdown()}\n",
        DOCS / "claims.html": claims_page(measured()),
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
