"""Writes docs/api.md, the list of what is public, from the code.

python tests/api_page.py > docs/api.md          # after a public name has come, gone, or is told otherwise
"""

import importlib
import inspect
from types import ModuleType
from typing import Any

from thalweg.rules import CATALOGUE

# What a user may rely on. Everything else is the house's own, and may change without a word.
MODULES = (
    "thalweg", "thalweg.formula", "thalweg.optim", "thalweg.wrappers", "thalweg.schedules", "thalweg.nn", "thalweg.jax",
    "thalweg.study", "thalweg.tasks", "thalweg.report", "thalweg.explore", "thalweg.testing", "thalweg.conventions",
    "thalweg.claims",
)  # fmt: skip
HEAD = """# Public names

What may be relied on, by module. Everything else is the house's own and may change without a word, whatever its name.
Beside these stand the commands, the files that they write, `state_dict()` and pickles.

"""


def public(name: str) -> dict[str, Any]:
    """A module's public names; the catalogue's rules stand for themselves."""
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    rules = {rule.__name__ for rule in CATALOGUE.values()} | {*CATALOGUE}
    names = listed or [each for each in dir(module) if not each.startswith("_")]
    found = {each: getattr(module, each) for each in sorted(names) if each not in rules}
    # Of a package without a list, what it imports for itself are modules.
    own = ("nn", "schedules")
    return {each: value for each, value in found.items() if listed or each in own or not isinstance(value, ModuleType)}


def page() -> str:
    """The whole of docs/api.md."""
    return HEAD + "\n".join(part for name in MODULES for part in section(name))


def section(name: str) -> list[str]:
    rows = [f"| `{each}` | {told(value)} |" for each, value in public(name).items()]
    if name in ("thalweg", "thalweg.optim", "thalweg.jax"):
        said = "in small letters, `thalweg.jax.adamw`" if name == "thalweg.jax" else "as `thalweg.AdamW`"
        rows.insert(0, f"| the catalogue | an optimizer of each [rule](rules.md), {said} |")
    return [f"## {name}", "", "| | |", "| --- | --- |", *rows, ""]


def told(value: Any) -> str:
    """The first line of its documentation, if it has any of its own."""
    of_its_own = isinstance(value, ModuleType) or callable(value)
    line = (inspect.getdoc(value) or "").split("\n\n")[0] if of_its_own else ""
    return " ".join(line.replace("|", "\\|").split())


if __name__ == "__main__":
    print(page(), end="")
