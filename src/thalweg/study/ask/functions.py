"""Training functions that stand in no file of their own: typed into a notebook, or made inside another function.

A worker cannot import them, so the function is kept, with all that it uses of the notebook, in a file beside the
results; from there any process trains with it, also tomorrow. What is installed, or imported from files, is not kept.
"""

import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from thalweg.files import write_atomically
from thalweg.study.model.errors import StudyError

from .function_parts import consists_of, pickled
from .local_modules import file_hash, importable, joined_hash, module_names, script_hash

ENDING = ".function"
Train = Callable[[Any], object]


@dataclass(frozen=True)
class Kept:
    """A function as it is kept.

    ``pickled``  with all that it brings along.
    ``written``  the parts of that, each with its sha256, by name.
    ``files``    of one's own that it uses, modules and data, by name: these count as they are now.
    ``folder``   where it was written, from which it imports; ``modules`` what, by the names that they have.
    """

    pickled: bytes
    written: Mapping[str, str]
    files: Mapping[str, Path]
    folder: Path
    modules: tuple[str, ...]


def function_reference(function: Train, folder: Path) -> str:
    """The reference by which a comparison finds a function: in its own file, or in one that is written to the folder.

    Raises `StudyError` for what cannot be sent to another process, in words.
    """
    if place := _place_of(function):
        return place
    name = _name(function)
    parts = consists_of(function, name)
    modules = {*parts.modules, *(each for path in parts.files.values() for each in _imported(path))}
    known = joined_hash({**parts.written, **dict.fromkeys(parts.files, "")})
    path = folder / f"{name}-{known[:12]}{ENDING}"
    if not path.is_file():
        held = {
            "pickled": pickled(name, function),
            "written": dict(parts.written),
            "files": {key: str(path) for key, path in parts.files.items()},
            "folder": str(Path.cwd()),
            "modules": sorted(modules),
        }
        try:
            write_atomically(path, pickle.dumps(held))
        except OSError as problem:
            raise StudyError(f"cannot write {path}: {problem.strerror}") from problem
    return f"{path}:{name}"


def function_path(source: str) -> Path | None:
    """The file in which a function is kept; None of any other reference."""
    place, colon, _ = source.rpartition(f"{ENDING}:")
    return Path(place + ENDING) if colon else None


def kept_at(path: Path) -> Kept | None:
    """What a task's file keeps, if it keeps a function; None of a script."""
    return kept_function(path) if path.suffix == ENDING else None


def kept_function(path: Path) -> Kept:
    """What a file keeps; `StudyError` where it is no such file."""
    try:
        status = path.stat()
    except OSError as problem:
        raise StudyError(f"cannot read {path}: {problem.strerror}") from None
    return _kept(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)  # it may hold data, and is asked for often
def _kept(path: Path, _changed: int, _size: int) -> Kept:
    try:
        held = pickle.loads(path.read_bytes())
        files = {name: Path(place) for name, place in held["files"].items()}
        return Kept(held["pickled"], held["written"], files, Path(held["folder"]), tuple(held["modules"]))
    except Exception as problem:
        raise StudyError(f"{path} holds no function: {type(problem).__name__}: {problem}") from problem


def function_files(path: Path) -> dict[str, str]:
    """What a kept function stands for: its parts, and the files that it uses as they are now, each with a sha256."""
    kept = kept_function(path)
    return {**kept.written, **{name: _hash_now(place) for name, place in kept.files.items()}}


def load_function(path: Path) -> Train:
    """The function, made anew: nothing is left over from an earlier training."""
    import cloudpickle

    kept = kept_function(path)
    try:
        with importable(kept.folder):
            function: Train = cloudpickle.loads(kept.pickled)
    except (ImportError, AttributeError) as problem:
        raise StudyError(f"{path}: the function uses what is not here: {problem}") from problem
    return function


def _name(function: Train) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return name if name.isidentifier() else "train"


def _place_of(function: Train) -> str:
    """Where a script has it, ``path/to/file.py:train``; "" where no other process could find it there."""
    module = sys.modules.get(getattr(function, "__module__", "") or "")
    file = getattr(module, "__file__", None)
    name = getattr(function, "__qualname__", "")
    stands = isinstance(file, str) and file.endswith(".py") and Path(file).is_file()
    return f"{Path(str(file)).resolve()}:{name}" if stands and getattr(module, name, None) is function else ""


def _imported(path: Path) -> set[str]:
    return module_names(path) if path.suffix == ".py" else set()


def _hash_now(path: Path) -> str:
    if not path.is_file():
        return "missing"
    return script_hash(path) if path.suffix == ".py" else file_hash(path)
