"""What tests read of a rule's page, and the optimizers that it speaks of."""

import re
from typing import Any

import thalweg
from page_text import ROOT, markdown_tables
from thalweg.optim import OPTIMIZERS
from thalweg.rules import CATALOGUE
from thalweg.wrappers import WRAPPERS

Pages = dict[str, str]

EVERY = {**CATALOGUE, **WRAPPERS}
# Of a wrapper, it around Adam; the average is an option of every optimizer.
MADE: dict[str, Any] = {
    **OPTIMIZERS,
    **{key: thalweg.wrap(OPTIMIZERS["adam"], each) for key, each in WRAPPERS.items() if key != "weightaverage"},
    "weightaverage": OPTIMIZERS["adam"],
}


def section(page: str, heading: str) -> str:
    """What stands under a heading, that may go on; "" where there is none."""
    found = re.search(rf"^## {heading}[^\n]*\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def tables(page: str, heading: str) -> list[Any]:
    return [*markdown_tables(section(page, heading))]


def published(name: str) -> str:
    return (ROOT / "benchmarks" / name).read_text(encoding="utf-8")
