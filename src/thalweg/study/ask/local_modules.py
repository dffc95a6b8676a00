"""The files that a script brings along: modules under its own folder that it imports, directly or through others, and
the data files that it declares, ``trial.file("data.csv")``.

A script that imports relatively (``from .model import Net``) is a module of its package, whose folder counts.

They are found by reading, not by importing, so that a result's key is known before anything runs; an import inside a
function counts too. What is found by no ``import`` statement (a name put together at run time) is not seen, and a data
file that is not named as a text in the call is refused (`thalweg.study.ask.data_files`).
"""

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

# Of a larger file the sha256 is kept as long as size and time of change stand.
SMALL = 1_000_000


def file_hash(path: Path) -> str:
    """The sha256 of a file's bytes."""
    found = path.stat()
    if found.st_size > SMALL:
        return _kept_hash(path, found.st_size, found.st_mtime_ns)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@lru_cache(maxsize=1024)
def _kept_hash(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def script_files(script: Path) -> dict[str, str]:
    """The script, its modules and the data files that they declare, each with the sha256 of its bytes.

    Modules by their paths below the script's folder, data files as they are written.
    """
    home = home_of(script)
    modules = {str(path.relative_to(home)): path for path in (script, *sorted(_modules(script)))}
    found = {**modules, **dict(sorted(declared_files(script).items()))}
    return {name: file_hash(path) for name, path in found.items()}


def declared_files(script: Path, *, missing: bool = False) -> dict[str, Path]:
    """The data files that a script and its modules declare, by how they write it; also those that are ``missing``.

    That is ``.file("data.csv")`` of anything, since a trial may have any name, whose path from the script's folder is
    that of a file: another object's method of this name seldom names one, and if so it only counts too.
    """
    written = {
        node.args[0].value
        for tree in (_parsed(path) for path in (script, *_modules(script)))
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "file"
        if len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }
    places = {name: script.parent / Path(name).expanduser() for name in written}
    return {name: place for name, place in places.items() if missing or place.is_file()}


def home_of(script: Path) -> Path:
    """The folder from which a script and its modules are imported: its own, or that of its package."""
    tree = _parsed(script)
    relative = tree is not None and any(isinstance(n, ast.ImportFrom) and n.level for n in ast.walk(tree))
    folder = script.parent
    while relative and (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def is_installed(file: Path) -> bool:
    """Whether a module comes with Python or a package, and so counts by its version."""
    places = [Path(sysconfig.get_paths()[each]).resolve() for each in ("stdlib", "platstdlib")]
    path = file.resolve()
    packages = {"site-packages", "dist-packages"} & {*path.parts}
    return bool(packages) or any(path.is_relative_to(place) for place in places)


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Within, what lies in a folder can be imported."""
    place = str(folder)
    sys.path.insert(0, place)
    try:
        yield
    finally:
        if place in sys.path:
            sys.path.remove(place)


def imported_as(path: Path, home: Path) -> str:
    """What a module is called, as seen from a folder."""
    parts = path.relative_to(home).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def script_hash(script: Path) -> str:
    """What a script's results stand for: its own sha256, where it is alone; else one of all its files together."""
    return joined_hash(script_files(script))


def joined_hash(files: Mapping[str, str]) -> str:
    """One sha256 of those of several files."""
    if len(files) == 1:
        return next(iter(files.values()))
    text = "\n".join(f"{name} {digest}" for name, digest in files.items())
    return hashlib.sha256(text.encode()).hexdigest()


def options_read(script: Path) -> set[str] | None:
    """The names under which a script and its modules read `trial.options`; None where that cannot be seen."""
    found: set[str] = set()
    for tree in (_parsed(path) for path in (script, *_modules(script))):
        nodes = [*ast.walk(tree)] if tree is not None else []
        above = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)}
        for node in (node for node in nodes if isinstance(node, ast.Attribute) and node.attr == "options"):
            name = _key(above.get(id(node)), above)
            if name is None:
                return None
            found.add(name)
    return found


def functions_defined(script: Path) -> set[str]:
    """The names of the functions that a script defines at its top; none where it cannot be read."""
    tree = _parsed(script)
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} if tree is not None else set()


def _key(use: ast.AST | None, above: Mapping[int, ast.AST]) -> str | None:
    """The name in ``options["name"]`` or ``options.get("name")``."""
    key: ast.AST | None = use.slice if isinstance(use, ast.Subscript) else None
    if isinstance(use, ast.Attribute) and use.attr == "get":
        call = above.get(id(use))
        key = call.args[0] if isinstance(call, ast.Call) and call.args else None
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None


def _parsed(path: Path) -> ast.Module | None:
    try:
        return _parse(path.read_bytes())
    except (SyntaxError, ValueError):  # whoever imports it says so
        return None


@lru_cache(maxsize=256)  # a script and its modules are read for several questions, at every training
def _parse(content: bytes) -> ast.Module:
    return ast.parse(content)


def forget_others(script: Path) -> None:
    """Have the next import read the script's modules, and no others of their names.

    This process may have imported them when they were another text, or another script's under the same names. One that
    is, and all are forgotten: others hold what they took from it.
    """
    now = {path: file_hash(path) for path in _modules(script)}
    home = home_of(script)
    names = {imported_as(path, home): path for path in now}
    changed = [path for path, digest in now.items() if _imported_as.setdefault(path, digest) != digest]
    strange = [n for n, path in names.items() if n in sys.modules and _file_of(sys.modules[n]) != path]
    for path in changed:
        # Python itself goes by whole seconds and size.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
    if changed or strange:
        _imported_as.update(now)
        for name in names:
            sys.modules.pop(name, None)


_imported_as: dict[Path, str] = {}


def module_names(script: Path) -> set[str]:
    """The script's modules, and the packages that they are in, as they are imported."""
    home = home_of(script)
    dotted = [imported_as(path, home).split(".") for path in _modules(script)]
    return {".".join(parts[: n + 1]) for parts in dotted for n in range(len(parts))}


@contextmanager
def modules_anew(names: Collection[str]) -> Iterator[None]:
    """Within, modules are imported anew, so that a training finds nothing that one before it has left in them.

    Afterwards those are back that were there before: whoever calls may be importing the same ones.
    """
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def _file_of(module: object) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if isinstance(file, str) else None


def _modules(script: Path) -> set[Path]:
    """All files that are reached, the packages that the script is in among them."""
    home = home_of(script)
    found = {folder / "__init__.py" for folder in script.parents if folder != home and folder.is_relative_to(home)}
    waiting = [script, *found]
    while waiting:
        for path in _imports(waiting.pop(), home):
            if path not in found and path != script:
                found.add(path)
                waiting.append(path)
    return found


def _imports(path: Path, folder: Path) -> Iterator[Path]:
    """The files under the folder that a file imports."""
    tree = _parsed(path)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_of(folder, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if node.level else folder
            parts = node.module.split(".") if node.module else []
            for alias in node.names:
                yield from (found for found in _files_of(base, [*parts, alias.name]) if found.is_relative_to(folder))


def _files_of(base: Path, parts: list[str]) -> Iterator[Path]:
    """The files that importing ``a.b.c`` runs: packages on the way, and the module, as far as they are there."""
    for part in parts:
        package, module = base / part / "__init__.py", base / f"{part}.py"
        if package.is_file():
            yield package
        elif module.is_file():
            yield module
        base = base / part
