"""Python files given by path: a user's training script, a user's rules."""

import hashlib
import importlib
import importlib.util
import platform
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType

from thalweg.study.model.errors import StudyError

from .functions import kept_at
from .local_modules import forget_others, home_of, importable, imported_as, module_names

# Set while a user's file is being imported: a comparison that such a file starts would start itself again.
_loading: ContextVar[str] = ContextVar("thalweg_loading", default="")


def refuse_inside_a_loaded_file() -> None:
    """Raise `StudyError` when a comparison is started by the import of a file that the comparison itself loads."""
    if name := _loading.get():
        raise StudyError(
            f"{name} starts a comparison while it is being imported: "
            'put the call of compare under `if __name__ == "__main__":`'
        )


def existing_file(path: str, what: str) -> Path:
    """The absolute path of a file; `StudyError` when there is none, or it is no Python text."""
    file = Path(path).expanduser()
    if not file.is_file():
        near = sorted(p.name for p in file.parent.glob("*.py"))[:8] if file.parent.is_dir() else []
        hint = f"; Python files in that folder: {', '.join(near)}" if near else ""
        raise StudyError(f"{what}: there is no file {path}{hint}")
    try:
        compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as problem:
        line = f":{problem.lineno}" if isinstance(problem, SyntaxError) and problem.lineno else ""
        raise StudyError(f"{what}: {file.name}{line} is not valid Python: {problem}") from None
    except OSError as problem:
        raise StudyError(f"{what}: cannot read {path}: {problem.strerror}") from None
    return file.resolve()


@contextmanager
def as_if_run(path: Path, arguments: Sequence[str] = ()) -> Iterator[None]:
    """Within, a file finds what it finds when Python runs it with these arguments.

    Its folder is in front of ``sys.path``, so that it may import what lies beside it, and ``sys.argv`` is its name and
    its arguments: those of whoever compares are not its own.
    """
    argv = sys.argv
    sys.argv = [str(path), *arguments]
    try:
        kept = kept_at(path)
        with importable(kept.folder if kept else home_of(path)):
            yield
    finally:
        sys.argv = argv


def own_modules(path: Path) -> Collection[str]:
    """The modules that a task of one's own brings along, by the names that they are imported as."""
    kept = kept_at(path)
    return kept.modules if kept else module_names(path)


def load_file(path: Path, arguments: Sequence[str] = ()) -> ModuleType:
    """Import a file anew, so that nothing is left over from an earlier run; it finds ``arguments`` in ``sys.argv``.

    Under its own name, by which processes that the script starts find it too, since its folder is on their path; under
    a private one where that name is somebody else's. Whatever the file raises at import is raised.
    """
    if not path.is_file():
        raise StudyError(
            f"{path} is not there on {platform.node()}: every machine that trains must find it under this path"
        )
    name = _module_name(path)
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise StudyError(f"{path} cannot be imported: its name must end in .py")
    module = importlib.util.module_from_spec(found)
    # Dataclasses, pickling and inspect.getsource look a module up by its name.
    sys.modules[name] = _OURS[name] = module
    forget_others(path)
    token = _loading.set(path.name)
    try:
        with as_if_run(path, arguments):
            if "." in name:  # relative imports are looked up in the package
                importlib.import_module(name.rpartition(".")[0])
            found.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    finally:
        _loading.reset(token)
    return module


_OURS: dict[str, ModuleType] = {}


def is_ours(name: str) -> bool:
    """Whether a module of this name is a file that was loaded here by its path."""
    return name in _OURS and sys.modules.get(name) is _OURS[name]


def _module_name(path: Path) -> str:
    """What a file is imported as."""
    name = imported_as(path, home_of(path))
    # In a package the name is the file's own.
    free = "." in name or is_ours(name) or (name not in sys.modules and not _found_elsewhere(name, path))
    if free and name.replace(".", "_").isidentifier():
        return name
    return f"thalweg_file_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"


def _found_elsewhere(name: str, path: Path) -> bool:
    """Whether a module of this name is installed, or of Python itself."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return found is not None and found.origin != str(path)


def where(problem: BaseException, path: Path | None) -> str:
    """An exception in one line: kind, text, and the last line of the given file that it passed through."""
    line, trace = "", problem.__traceback__
    last = refused = ""
    parsing = False
    while trace is not None:
        code = trace.tb_frame.f_code
        if Path(code.co_filename).name == "argparse.py":
            parsing = True
            if code.co_name == "error":  # it has written why to standard error, and keeps nothing of it
                refused = str(trace.tb_frame.f_locals.get("message", ""))
        last = f"{Path(code.co_filename).name}:{trace.tb_lineno}"
        if path is not None and code.co_filename == str(path):
            line = last
        trace = trace.tb_next
    if isinstance(problem, SyntaxError) and problem.filename:
        line = f"{Path(problem.filename).name}:{problem.lineno}"
    if isinstance(problem, SystemExit) and parsing:
        return _parser_words(refused, line or last)
    if isinstance(problem, NameError) and problem.name in ("get_ipython", "display"):
        return (
            f"it is a notebook's export and calls {problem.name}(), which only notebooks have: remove the lines "
            f"with it ({line or last})"
        )
    text = " ".join(str(problem).split())
    text = text if len(text) <= 300 else text[:297] + "..."
    return f"{type(problem).__name__}{': ' if text else ''}{text} ({line or last})"


def _parser_words(refused: str, line: str) -> str:
    """What to do where argparse has ended a script: because it refused something, or after its help."""
    if not refused:
        return f"argparse at {line} printed a text and ended it, so nothing was trained: leave that argument out"
    return (
        f"argparse at {line} says: {refused}. What it parses stands after --, as in -- --epochs 5, or in "
        "arguments=['--epochs', '5']; what has a default may be left out"
    )
