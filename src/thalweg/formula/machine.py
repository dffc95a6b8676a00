"""From LLVM assembly to an address: compiled once per machine, then loaded from a private cache of object code."""

import ctypes
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock

import llvmlite
import llvmlite.binding as llvm

_MAGIC = b"thalweg object 1\n"
_NAME = re.compile(r"[0-9a-f]{64}\.o")
# What a process that was killed while it wrote leaves behind.
_UNFINISHED = "unfinished-"


def cache_folder() -> Path | None:
    """Where object code is kept: ``$THALWEG_CACHE``, or ``thalweg`` in the user's cache folder.

    None for a user without one: some containers run under a number that has neither HOME nor an account.
    """
    if chosen := os.environ.get("THALWEG_CACHE"):
        return Path(chosen)
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "thalweg" / "cache"
    if sys.platform not in ("darwin", "win32") and (caches := os.environ.get("XDG_CACHE_HOME")):
        return Path(caches) / "thalweg"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if not home.is_absolute():
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "thalweg"
    if sys.platform == "win32":
        return home / "AppData" / "Local" / "thalweg" / "cache"
    return home / ".cache" / "thalweg"


def cached() -> list[Path]:
    """The files of the kernels that are kept."""
    folder = cache_folder()
    files = [] if folder is None else folder.glob("*")
    return sorted(path for path in files if _NAME.fullmatch(path.name) or path.name.startswith(_UNFINISHED))


def cache_problem() -> str | None:
    """Why kernels are not kept for the next process, in words; None if they are."""
    folder = cache_folder()
    if folder is None:
        return "this user has no home folder: set THALWEG_CACHE to a folder of its own"
    if not folder.exists():
        above = next(place for place in folder.parents if place.exists())
        if not above.is_dir():
            return f"{above} is no folder"
        return None if os.access(above, os.W_OK) else f"it cannot be made: {above} cannot be written"
    if not folder.is_dir():
        return "it is no folder"
    if not _trusted(folder):
        return "others may write to it, or it is somebody else's: only a folder of your own, chmod go-w, is used"
    return None if os.access(folder, os.W_OK) else "it cannot be written"


def processor() -> tuple[str, frozenset[str]]:
    """What LLVM calls this processor, and the features it has, by LLVM's names."""
    _initialise()
    return llvm.get_host_cpu_name(), frozenset(name for name, has in llvm.get_host_cpu_features().items() if has)


class MachineCode:
    """A loaded kernel. Its ``address`` is valid as long as this object lives."""

    def __init__(self, assembly: str) -> None:
        machine = _target()
        kind = f"{llvmlite.__version__} {machine.triple} {llvm.get_host_cpu_name()} {_features()}"
        name = hashlib.sha256(f"{kind}\n{assembly}".encode()).hexdigest()
        stored = read_cache(name)
        self.compiled = stored is None
        """Whether the code had to be compiled; False if the cache had it."""
        code = _compile(assembly, machine) if stored is None else stored
        if stored is None:
            write_cache(name, code)
        empty = llvm.parse_assembly("")
        empty.triple = machine.triple
        self._engine = llvm.create_mcjit_compiler(empty, machine)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self.address, self.call = self.function("kernel")

    def function(self, name: str) -> tuple[int, Callable[[int], None]]:
        """A function of the text, which takes the address of a block of words: its own address, and to call it."""
        address: int = self._engine.get_function_address(name)
        if not address:
            raise RuntimeError(f"the compiled function {name} could not be loaded; please report this")
        return address, ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)


# A cache would let two threads load the same text and drop one: unmapped under whoever has its address.
_loaded: dict[str, MachineCode] = {}
_loading = Lock()


def machine_code(assembly: str) -> MachineCode:
    """The loaded kernel of an assembly text, one per process. Loaded code is never unloaded."""
    with _loading:
        if assembly not in _loaded:
            _loaded[assembly] = MachineCode(assembly)
        return _loaded[assembly]


@cache
def converts_float16() -> bool:
    """Whether the processor converts float16 itself; code for others would call functions that may not exist."""
    _initialise()
    return "x86" not in llvm.get_default_triple() or bool(llvm.get_host_cpu_features().get("f16c"))


@cache
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@cache
def _features() -> str:
    return str(llvm.get_host_cpu_features().flatten())


def _target() -> llvm.TargetMachine:
    _initialise()
    target = llvm.Target.from_default_triple()
    # A target machine belongs to the engine it is given to, so each kernel gets its own.
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=_features(), opt=3, jit=True)


# Before a text whose loops have little in them: unrolling and vectorising would take longer than all else.
PLAIN = "; no unrolling, no vectorising\n"


def _compile(assembly: str, machine: llvm.TargetMachine) -> bytes:
    module = llvm.parse_assembly(assembly)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    if assembly.startswith(PLAIN):
        options.loop_unrolling = options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


def _trusted(path: Path) -> bool:
    """Only our own user may have written what we are about to run."""
    if not hasattr(os, "getuid"):
        return True
    status = path.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022


def read_cache(name: str) -> bytes | None:
    """What is kept under a name, a SHA-256 in hexadecimal; None if nothing is, or others may have written it."""
    folder = cache_folder()
    if folder is None:
        return None
    path = folder / f"{name}.o"
    with suppress(OSError):
        if _trusted(folder) and _trusted(path):
            content = path.read_bytes()
            digest, code = content[len(_MAGIC) : len(_MAGIC) + 32], content[len(_MAGIC) + 32 :]
            if content.startswith(_MAGIC) and hashlib.sha256(code).digest() == digest:
                return code
    return None


def write_cache(name: str, code: bytes) -> None:
    """Keep code for the next process. A folder that cannot be written is no obstacle: it is compiled again."""
    folder = cache_folder()
    if folder is None:
        return
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _trusted(folder):
            return
        handle, temporary = tempfile.mkstemp(prefix=_UNFINISHED, dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(code).digest() + code)
            os.replace(temporary, folder / f"{name}.o")
        except OSError:
            os.unlink(temporary)
