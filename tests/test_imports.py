"""Arrows point down: who imports whom, imports inside functions and for types included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import thalweg

ROOT = Path(thalweg.__file__).parent
# From the bottom: a room knows those of the rows below its own, and itself. `__init__` of the package is its face: it
# loads everything, when asked; what is asked of it from below is its version.
LAYERS = (
    ("closest", "cpu", "files", "languages", "showing"),
    ("formula",),
    ("wrappers",),
    ("conventions", "nn", "rules", "schedules"),
    ("jax", "optim", "stats"),
    ("stacks",),
    ("tasks",),
    ("study.model", "testing"),
    ("study.ask", "study.keep"),
    ("study.judge",),
    ("study.run",),
    ("study.bridges", "study"),
    ("view",),
    ("claims",),
    ("report", "terminal"),
    ("doctor", "explore", "notebook", "speed", "verify"),
    ("cli",),
    ("__main__", "__init__"),
)
# What still points up, or round; a line that is no longer needed fails.
UP: set[tuple[str, str]] = set()
ROUND: set[tuple[str, str]] = set()

FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in ROOT.rglob("*.py")
}
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def room_of(name: str) -> str:
    """The room that a file is in: a part of one, where that has layers of its own."""
    inner = ".".join(name.split(".")[:2])
    return inner if inner in LEVEL else name.split(".")[0]


def imported(name: str) -> Iterator[str]:
    """The files of the package that a file imports from, by their dotted names below it."""
    path = FILES[name]
    package = path.parent.relative_to(ROOT).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            asked = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = [*(["thalweg", *above] if node.level else []), *(node.module.split(".") if node.module else [])]
            asked = [".".join([*base, alias.name]) for alias in node.names]
        else:
            continue
        for dotted in asked:
            home, *parts = dotted.split(".")
            if home == "thalweg" and parts != ["__version__"]:
                while parts and ".".join(parts) not in FILES:
                    parts.pop()
                yield ".".join(parts) or "__init__"


ARROWS = {(name, other) for name in FILES for other in imported(name) if other != name}


def test_every_room_has_its_layer() -> None:
    assert {room_of(name) for name in FILES} == {*LEVEL}


def test_no_room_knows_one_above_it() -> None:
    """Or beside it."""
    up = set()
    for name, other in ARROWS:
        room, asked = room_of(name), room_of(other)
        if room != asked and LEVEL[asked] >= LEVEL[room]:
            up.add((name, asked))
    assert up == UP


def test_no_file_knows_itself_by_way_of_others() -> None:
    """Also within a room; a package's `__init__` is what it loads."""
    left = {(name, other) for name, other in ARROWS if (name, other) not in ROUND}
    left = {(name, other) for name, other in left if (name, room_of(other)) not in UP}
    below: dict[str, set[str]] = {name: set() for name in FILES}
    for name, other in left:
        below[name].add(other)
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in below.get(name, ()):
                visit(other, (*way, name))
            done.add(name)

    for name in FILES:
        visit(name, ())
    assert ROUND <= ARROWS
