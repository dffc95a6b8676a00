"""What the results of a function stand for, where it stands in no file: itself, and what it uses of where it stands.

Functions count by their text and code, classes by their methods, attributes and bases, values by what is in them, and
what comes from a file of one's own by that file, whatever of it is used. What is installed counts by its name alone.
"""

import dis
import enum
import functools
import hashlib
import inspect
import marshal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from thalweg.study.model.errors import StudyError

from .local_modules import is_installed

NAMING = ("LOAD_GLOBAL", "LOAD_NAME")
# How a class says what an instance is made of, if not of its state.
REDUCING = ("__reduce__", "__reduce_ex__")
HEAP_TYPE = 1 << 9  # CPython's flag of classes that are made in Python


@dataclass(frozen=True)
class Consists:
    """``written``: what was written beside the function, each part with a sha256, by name; ``files`` of one's own that
    it uses, modules and data, by their paths from the current folder; ``modules``: names of the former."""

    written: Mapping[str, str]
    files: Mapping[str, Path]
    modules: tuple[str, ...]


def consists_of(function: Callable[..., object], name: str) -> Consists:
    """Raises `StudyError` for what cannot be sent to another process, and so cannot be compared."""
    walk = _Walk()
    walk.digest(name, function)
    files = {_shown(path): path for path in walk.files}
    return Consists(dict(sorted(walk.parts.items())), dict(sorted(files.items())), tuple(sorted(walk.modules)))


class _Walk:
    """Everything that is reached from a function, each once."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.files: set[Path] = set()
        self.modules: set[str] = set()
        self._seen: dict[int, str] = {}
        self._alone: dict[int, str] = {}  # of what was written: without what it uses, which has parts of its own
        self._kept: list[Any] = []  # an id is one's own as long as the thing lives

    def digest(self, name: str, thing: Any) -> str:
        """A sha256 of what a thing is; what was written by hand is a part of its own."""
        if id(thing) in self._seen:
            return self._seen[id(thing)]
        self._kept.append(thing)
        self._seen[id(thing)] = f"again {len(self._seen)}"  # for what contains itself
        found = self._seen[id(thing)] = _sha(self._told(name, thing))
        return found

    def _told(self, name: str, thing: Any) -> str:
        if isinstance(thing, ModuleType):
            return self._module(thing)
        if isinstance(thing, functools.partial):
            return self._part(name, self._all(name, ("partial", thing.func, thing.args, thing.keywords)))
        inner = getattr(thing, "__wrapped__", None) or getattr(thing, "func", None)
        if isinstance(thing, functools._lru_cache_wrapper) and is_written_here(inner):
            raise StudyError(
                f"{name} is wrapped by functools.lru_cache, which other processes look for by its name: make it inside "
                "the training function, or take the cache away"
            )
        if not isinstance(thing, FunctionType | type) and isinstance(inner, FunctionType):
            return self._all(name, (type(thing).__qualname__, inner))  # functools.lru_cache, cached_property
        if isinstance(thing, MethodType):
            return self._part(name, self._all(name, ("method", thing.__self__, thing.__func__)))
        if isinstance(thing, FunctionType | type):
            return self._written(name, thing)
        if isinstance(thing, BuiltinFunctionType):
            return thing.__qualname__
        return self._part(name, self._value(name, thing))

    def _all(self, name: str, things: tuple[Any, ...]) -> str:
        return " ".join(self.digest(f"{name}[{place}]", each) for place, each in enumerate(things))

    def _part(self, name: str, text: str) -> str:
        """A top-level value is a part by itself, so that a change of it can be told by name."""
        if name.isidentifier():
            self._add(name, text)
        return text

    def _add(self, name: str, text: str) -> None:
        place = name
        while self.parts.get(place, _sha(text)) != _sha(text):
            place += "'"  # two things of one name: neither may hide the other
        self.parts[place] = _sha(text)

    def _module(self, module: ModuleType) -> str:
        path = own_file(module)
        if path:
            self.files.add(path)
            self.modules.add(module.__name__)
        return f"module {module.__name__}"

    def _written(self, name: str, thing: Any) -> str:
        """A function or a class: of a file of one's own, installed, or written here."""
        place = f"{thing.__module__}.{thing.__qualname__}"
        module = sys.modules.get(thing.__module__ or "")
        if module is not None and not is_written_here(thing):
            self._module(module)
            return place
        alone, uses = self._function(name, thing) if isinstance(thing, FunctionType) else self._class(thing)
        self._alone[id(thing)] = alone
        called = thing.__qualname__.rpartition("<locals>.")[2]
        if name.isidentifier() or not isinstance(thing, FunctionType) or "." not in called:  # methods are their class's
            self._add(name if name.isidentifier() else called, alone)
        return " ".join([alone, *uses])

    def _function(self, name: str, function: FunctionType) -> tuple[str, list[str]]:
        code = function.__code__
        uses = [(each, function.__globals__[each]) for each in _globals(code) if each in function.__globals__]
        for each, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                uses.append((each, cell.cell_contents))
            except ValueError:  # not filled yet
                continue
        self.files |= {path for path in _named_files(code) if path.is_file()}
        given = (function.__defaults__, function.__kwdefaults__)
        # The text does not tell two lambdas of one line apart, nor the code a change of a comment in what it prints.
        alone = " ".join([_text(function), _code(code), self._all(f"{name}()", given)])
        return alone, [self.digest(*each) for each in uses]

    def _class(self, kind: type) -> tuple[str, list[str]]:
        own = {key: value for key, value in vars(kind).items() if key not in ("__dict__", "__weakref__", "__module__")}
        bases = [self.digest(base.__qualname__, base) for base in kind.__mro__[1:]]
        inside = {key: self._member(f"{kind.__qualname__}.{key}", value) for key, value in sorted(own.items())}
        alone = [f"{key}={self._alone.get(id(own[key]), told)}" for key, told in inside.items()]
        named = [base.__qualname__ for base in kind.__mro__]
        return " ".join([*named, *alone]), [*bases, *inside.values()]

    def _member(self, name: str, value: Any) -> str:
        if isinstance(value, property):
            return self._all(name, (value.fget, value.fset, value.fdel))
        if isinstance(value, staticmethod | classmethod):
            return self._all(name, (type(value).__name__, value.__func__))
        return self.digest(name, value) if not name.endswith(("__doc__", "__annotations__")) else ""

    def _value(self, name: str, thing: Any) -> str:
        kind = type(thing)
        if thing is None or kind in (bool, int, float, complex, str, bytes):
            return f"{kind.__name__} {thing!r}"
        if isinstance(thing, enum.Enum):
            return f"{self.digest(kind.__qualname__, kind)} {thing.name}"
        if kind in (list, tuple):
            return f"{kind.__name__} {self._all(name, tuple(thing))}"
        if kind in (set, frozenset):
            return f"set {' '.join(sorted(self.digest(f'{name}[]', each) for each in thing))}"
        if isinstance(thing, Mapping):
            pairs = [f"{self.digest(f'{name}[]', k)}:{self.digest(f'{name}[{k}]', v)}" for k, v in thing.items()]
            return f"{kind.__qualname__} {' '.join(pairs)}"
        if array := _array(thing):
            return array
        if _is_plain(kind):
            return f"{self.digest(kind.__qualname__, kind)} {self.digest(f'{name}.__dict__', thing.__getstate__())}"
        return hashlib.sha256(pickled(name, thing)).hexdigest()


def _is_plain(kind: type) -> bool:
    """Whether an instance is its class and state: of a class of Python's that does not say otherwise."""
    reducing = any(getattr(kind, each) is not getattr(object, each) for each in REDUCING)
    return bool(kind.__flags__ & HEAP_TYPE) and not reducing


def is_written_here(thing: Any) -> bool:
    """Whether a function or class is sent along: what no other process can import."""
    module = sys.modules.get(thing.__module__ or "")
    if module is None or module.__name__ == "__main__" or "<locals>" in thing.__qualname__:
        return True
    found: Any = module
    for each in thing.__qualname__.split("."):
        found = getattr(found, each, None)
    return found is not thing and isinstance(thing, FunctionType)


def own_file(module: ModuleType) -> Path | None:
    """The file of a module that is one's own: under the current folder, and not installed there."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py") or module.__name__ == "__main__":
        return None
    if module.__name__.partition(".")[0] == "thalweg":  # in a checkout of it; its version counts already
        return None
    path = Path(file).resolve()
    return path if path.is_relative_to(Path.cwd()) and not is_installed(path) else None


def pickled(name: str, thing: Any) -> bytes:
    """A thing as it is sent to other processes; `StudyError` where it cannot be."""
    import cloudpickle

    try:
        content: bytes = cloudpickle.dumps(thing)
    except Exception as problem:
        raise StudyError(
            f"{name} cannot be sent to the processes that train ({type(problem).__name__}: {problem}): make it inside "
            "the training function"
        ) from problem
    return content


def _array(thing: Any) -> str:
    """Numbers of NumPy or torch, by what is in them."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(thing, torch.Tensor):
        content = thing.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        kind = f"{type(thing).__qualname__} {thing.dtype} {tuple(thing.shape)} {thing.device} {thing.requires_grad}"
    elif numpy is not None and isinstance(thing, numpy.ndarray) and not thing.dtype.hasobject:
        content, kind = numpy.ascontiguousarray(thing).tobytes(), f"{thing.dtype.str} {thing.shape}"
    else:
        return ""
    return f"{kind} {hashlib.sha256(content).hexdigest()}"


def _globals(code: CodeType) -> Iterator[str]:
    """The names that code looks up where it was written, those inside it included."""
    found = dict.fromkeys(str(each.argval) for each in dis.get_instructions(code) if each.opname in NAMING)
    yield from found
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from (name for name in _globals(inner) if name not in found)


def _named_files(code: CodeType) -> Iterator[Path]:
    """Texts that code may give to `trial.file`."""
    texts = [each for each in code.co_consts if isinstance(each, str) and each and "\0" not in each and len(each) < 500]
    if "file" in code.co_names:
        yield from (Path.cwd() / Path(text).expanduser() for text in texts)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _named_files(inner)


def _text(function: FunctionType) -> str:
    """Its source, where somebody has kept that."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


def _code(code: CodeType) -> str:
    return marshal.dumps(_placeless(code)).hex()


def _placeless(code: CodeType) -> CodeType:
    inner = tuple(_placeless(each) if isinstance(each, CodeType) else each for each in code.co_consts)
    return code.replace(co_consts=inner, co_filename="", co_firstlineno=0, co_linetable=b"")


def _shown(path: Path) -> str:
    """A path from the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
