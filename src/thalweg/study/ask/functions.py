"""Training functions that stand in no file of their own: typed into a notebook, or made inside another function.

A worker cannot import them, so the function is kept, with all that it uses of the notebook, in a file beside the
results; from there any process trains with it, also tomorrow. What is installed, or imported from files, is not kept.
"""

import hashlib
import inspect
import marshal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from thalweg.study.model.errors import StudyError

from .local_modules import importable, joined_hash, module_names, script_hash

ENDING = ".function"
Train = Callable[[Any], object]


@dataclass(frozen=True)
class Kept:
    """A function as it is kept.

    ``pickled``  with all that it brings along.
    ``parts``    what its results stand for: each part that it consists of, with its sha256, by name.
    ``folder``   where it was written, from which it imports files; ``modules`` these, by the names that they have.
    """

    pickled: bytes
    parts: Mapping[str, str]
    folder: Path
    modules: tuple[str, ...]


def function_reference(function: Train, folder: Path) -> str:
    """The reference by which a comparison finds a function: in its own file, or in one that is written to the folder.

    Raises `StudyError` for what cannot be sent to another process, in words.
    """
    if place := _place_of(function):
        return place
    name = _name(function)
    parts, modules = _consists_of(function)
    path = folder / f"{name}-{joined_hash(parts)[:12]}{ENDING}"
    if not path.is_file():
        import pickle

        from thalweg.files import write_atomically

        held = {"pickled": _pickled(name, function), "parts": parts, "folder": str(Path.cwd()), "modules": modules}
        content = pickle.dumps(held)
        try:
            write_atomically(path, content)
        except OSError as problem:
            raise StudyError(f"cannot write {path}: {problem.strerror}") from problem
    return f"{path}:{name}"


def function_path(source: str) -> Path | None:
    """The file in which a function is kept; None of any other reference."""
    place, colon, _ = source.rpartition(f"{ENDING}:")
    return Path(place + ENDING) if colon else None


def kept_function(path: Path) -> Kept:
    """What a file keeps; `StudyError` where it is no such file."""
    import pickle

    try:
        held = pickle.loads(path.read_bytes())
        return Kept(held["pickled"], held["parts"], Path(held["folder"]), held["modules"])
    except OSError as problem:
        raise StudyError(f"cannot read {path}: {problem.strerror}") from None
    except Exception as problem:
        raise StudyError(f"{path} holds no function: {type(problem).__name__}: {problem}") from problem


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


def parts_of(function: Train) -> dict[str, str]:
    """A function, and what it uses of where it was written, each with the sha256 of its text or value, by name."""
    return _consists_of(function)[0]


def _consists_of(function: Train) -> tuple[dict[str, str], tuple[str, ...]]:
    """Its parts, and the modules of one's own among what they use, by name."""
    found: dict[str, str] = {}
    modules: set[str] = set()
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [(_name(function), function)]
    while waiting:
        name, thing = waiting.pop(0)
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if file := _own_file(thing):
            found[file.name] = script_hash(file)
            modules |= {thing.__name__ if isinstance(thing, ModuleType) else thing.__module__, *module_names(file)}
        elif isinstance(thing, FunctionType) and _is_written_here(thing):
            found[name] = _sha(_text(thing) + repr((thing.__defaults__, thing.__kwdefaults__)))
            waiting += _uses(thing)
        elif isinstance(thing, type) and _is_written_here(thing):
            methods = {key: _function(value) for key, value in vars(thing).items()}
            rest = {k: v for k, v in vars(thing).items() if methods[k] is None and not k.startswith("__")}
            found[name] = _sha(repr([base.__qualname__ for base in thing.__mro__]) + repr(sorted(rest)))
            waiting += [(f"{name}.{key}", each) for key, each in methods.items() if each is not None]
            waiting += [(f"{name}.{key}", value) for key, value in rest.items()]
        elif not isinstance(thing, ModuleType | FunctionType | type):
            found[name] = hashlib.sha256(_pickled(name, thing)).hexdigest()
    return dict(sorted(found.items())), tuple(sorted(modules))


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


def _is_written_here(thing: Any) -> bool:
    """Whether it is sent along with the function: what no other process can import."""
    module = sys.modules.get(getattr(thing, "__module__", "") or "")
    return module is None or module.__name__ == "__main__" or "<locals>" in thing.__qualname__


def _own_file(thing: Any) -> Path | None:
    """The file of a module under the current folder, or of what is imported from one."""
    named = thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None)
    module = sys.modules.get(named) if isinstance(named, str) and named != "__main__" else None
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py") or not isinstance(thing, ModuleType | FunctionType | type):
        return None
    path = Path(file).resolve()
    return path if path.is_relative_to(Path.cwd()) and "site-packages" not in path.parts else None


def _uses(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """The globals that its code names, and what it has closed over."""
    for name in dict.fromkeys(_names(function.__code__)):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield f"{function.__name__}.{name}", cell.cell_contents


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _function(value: object) -> FunctionType | None:
    """What a class has as a method, a property or the like."""
    inner = getattr(value, "fget", None) or getattr(value, "__func__", value)
    return inner if isinstance(inner, FunctionType) else None


def _text(function: FunctionType) -> str:
    """Its source; its code, where nobody kept that."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return marshal.dumps(_placeless(function.__code__)).hex()


def _placeless(code: CodeType) -> CodeType:
    inner = tuple(_placeless(each) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_consts=inner, co_filename="", co_firstlineno=0, co_linetable=b"")


def _pickled(name: str, thing: Any) -> bytes:
    import cloudpickle

    try:
        pickled: bytes = cloudpickle.dumps(thing)
    except Exception as problem:
        raise StudyError(
            f"{name} cannot be sent to the processes that train ({type(problem).__name__}: {problem}): make it inside "
            "the training function"
        ) from problem
    return pickled


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
