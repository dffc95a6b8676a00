"""The reference: a page for each public module, from signatures and docstrings.

Which names are public is said in one place, ``tests/api_page.py``, which also writes docs/api.md; these pages tell of
each name there what its docstring does.
"""

import inspect
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from types import ModuleType
from typing import Any

from docstrings import as_markdown
from gather import ROOT

sys.path.append(str(ROOT / "tests"))
from api_page import MODULES, public
from thalweg.optim import OPTIMIZERS

# What every optimizer takes, told once.
SHARED = {
    "lr_scale", "decay_scale", "maximize", "clip_value", "ema", "ema_warmup", "clip_norm", "clip_scope", "clip_eps",
    "nonfinite", "clear", "amp_fused", "schedule", "readouts",
}  # fmt: skip
CATALOGUE = "reference/catalogue.md"


def write_reference() -> dict[str, str]:
    """Each page's text by its address in the site."""
    told: dict[int, str] = {}
    pages = {CATALOGUE: catalogue()}
    for module in MODULES:
        text = "\n".join(part for name, value in public(module).items() for part in entry(module, name, value, told))
        head = as_markdown(inspect.getdoc(sys.modules[module]) or "")
        pages[f"reference/{module}.md"] = f"# {module}\n\n{head}\n{text}"
    lines = [f"- [{page.partition(chr(10))[0][2:]}]({address.partition('/')[2]})" for address, page in pages.items()]
    return {"reference/index.md": "# Reference\n\nFrom the documentation in the code.\n\n" + "\n".join(lines)} | pages


def catalogue() -> str:
    """The optimizers of the catalogue's rules."""
    text = "\n".join(described("class", f"thalweg.{name}", cls) for name, cls in sorted(OPTIMIZERS.items()))
    shared = ", ".join(f"`{name}`" for name in sorted(SHARED))
    return (
        "# The catalogue's optimizers\n\nWhat each takes of its own. First come a model's parameters, named parameters "
        f"or groups. Beside its own all take what stands around a rule, {shared}: [what these do]"
        f"(../optimizers.md#the-chain).\n\n{text}"
    )


def entry(module: str, name: str, value: Any, told: dict[int, str]) -> Iterator[str]:
    """What the reference says of a name; of one that another module has too, where that is."""
    full = f"{module}.{name}"
    if isinstance(value, ModuleType):
        return
    if callable(value) and id(value) in told:
        yield f"`{full}` is `{told[id(value)]}`.\n"
    elif inspect.isclass(value):
        told[id(value)] = full
        yield described("class", full, value)
    elif inspect.isroutine(value):
        told[id(value)] = full
        yield described("function", full, value)
    else:
        found = repr(value)
        short = len(found) < 200 and " at 0x" not in found
        yield described("data", full, value, f"`{found}`\n" if short else f"A {type(value).__name__}.\n")


def described(kind: str, full: str, value: Any, text: str | None = None) -> str:
    """A name with its signature, its documentation, and of a class its own public methods."""
    body = as_markdown(inspect.getdoc(value) or f"A {type(value).__name__}.") if text is None else text
    if kind == "class" and not full.startswith("thalweg.rules"):
        own = {name: each for name, each in vars(value).items() if not name.startswith("_") and inspect.getdoc(each)}
        for name, each in own.items():
            if inspect.isfunction(each) or isinstance(each, classmethod | staticmethod):
                body += "\n" + described("method", f"{full}.{name}", getattr(value, name))
    signature = "" if kind == "data" else signature_of(value)
    fence = "`" * (max([2, *(len(run) for run in fences(body))]) + 1)
    return f"{fence}{{py:{kind}}} {full}{signature}\n\n{body}{fence}\n"


def fences(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("```"):
            yield line[: len(line) - len(line.lstrip("`"))]


def signature_of(value: Any) -> str:
    """The arguments with their defaults; their types are in what is said of them."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    if is_dataclass(value) or hasattr(value, "__struct_fields__"):
        return ""  # what it has is told one by one
    arguments = [
        each.replace(annotation=each.empty, default=shown(each.default))
        for each in found.parameters.values()
        if each.name not in ("self", "cls") and not (value in OPTIMIZERS.values() and each.name in SHARED)
    ]
    return str(found.replace(parameters=arguments, return_annotation=found.empty))


class Shown:
    """A default as a reader would write it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def shown(default: Any) -> Any:
    if default is inspect.Parameter.empty or isinstance(default, int | float | str | tuple | None):
        return default
    return Shown(getattr(default, "__name__", "..."))
