"""Whether a claim is still what was measured: a hash of all that it computes."""

import ast
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePosixPath

from . import module


def key(name: str) -> str:
    """Of all that a claim computes: the text of its file and of those of this package that it imports.

    Words, docstrings and comments do not count: what is said of a claim may be bettered without measuring it again.
    Within a process it is the key of the texts as they were first asked for, which is when they are loaded.
    """
    digest = sha256()
    for each in sorted(imported(module(name), set())):
        digest.update(_syntax(text(each), each)[0].encode())
    return digest.hexdigest()[:16]


def imported(name: str, seen: set[str]) -> set[str]:
    """A module of this package, and those of it that it imports, however indirectly, functions' imports included."""
    if name not in seen:
        seen.add(name)
        for other in _syntax(text(name), name)[1]:
            imported(other, seen)
    return seen


@lru_cache(maxsize=256)
def text(name: str) -> str:
    """The text of a module of this package, by its dotted name."""
    path = PurePosixPath(*name.removeprefix(__package__ + ".").split(".")).with_suffix(".py")
    return files(__package__).joinpath(str(path)).read_text(encoding="utf-8")


@lru_cache(maxsize=256)
def _syntax(text: str, name: str) -> tuple[str, tuple[str, ...]]:
    """A module's syntax without what is only said, and the modules of this package that it imports from."""
    tree = ast.parse(text)
    others = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            above = name.split(".")[: -node.level] if node.level else []
            others.append(".".join([*above, node.module]))
    return " ".join(_written(tree)), tuple(one for one in others if one.startswith(__package__ + "."))


def _written(node: object) -> Iterator[str]:
    """A tree in words. Not `ast.dump`, which writes the same tree in another way from one Python to the next."""
    if isinstance(node, list):
        for each in node:
            yield from _written(each)
    elif not isinstance(node, ast.AST):
        yield repr(node)
    elif not _is_said(node):
        yield type(node).__name__
        for name, value in ast.iter_fields(node):
            # A later Python has fields more, which are empty where an earlier one can read the text.
            if value is not None and value != []:
                yield name
                yield from _written(value)


def _is_said(node: ast.AST) -> bool:
    """Whether it is a text in both languages, or a docstring."""
    words = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Words"
    return words or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
