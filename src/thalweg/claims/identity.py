"""Whether a claim is still what was measured: a hash of all that it computes."""

import ast
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePosixPath

from . import module
from .claim import Claim


def key(claim: Claim) -> str:
    """Of all that a claim computes: the text of its file and of those of this package that it imports.

    Words, docstrings and comments do not count: what is said of a claim may be bettered without measuring it again.
    """
    digest = sha256()
    for name in sorted(imported(module(claim.name), set())):
        digest.update(_syntax(text(name), name)[0].encode())
    return digest.hexdigest()[:16]


def imported(name: str, seen: set[str]) -> set[str]:
    """A module of this package, and those of it that it imports, however indirectly, functions' imports included."""
    if name not in seen:
        seen.add(name)
        for other in _syntax(text(name), name)[1]:
            imported(other, seen)
    return seen


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
    return ast.dump(_Unsaid().visit(tree)), tuple(one for one in others if one.startswith(__package__ + "."))


class _Unsaid(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "Words":
            return ast.copy_location(ast.Constant(None), node)
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)
