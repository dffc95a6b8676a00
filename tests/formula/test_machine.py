"""Object code that is kept between processes: found again, and never trusted from anybody else."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kernels import made, task_of
from thalweg.formula.compose import Pass
from thalweg.formula.expression import number, weight
from thalweg.formula.kernel import CompiledPass
from thalweg.formula.machine import MachineCode, cache_folder

NOT_WINDOWS = pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner here")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, that does not exist yet."""
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "deep" / "cache"))
    return tmp_path / "deep" / "cache"


def walk(factor: float = 2.0) -> CompiledPass:
    return made(Pass({}, {"x": weight("x") * number("a") + factor}), {"x": "float64", "g": "float64"}, "float64")


def works(code: MachineCode, factor: float = 2.0) -> bool:
    """Whether a loaded kernel computes what it should."""
    memory = np.arange(5, dtype=np.float64)
    task = task_of(walk(factor), {key: [memory] for key in "xg"}, {"a": 3.0})
    code.function("rows")[1](task.at)
    code.call(task.at)
    return memory.tolist() == [factor + 3.0 * i for i in range(5)]


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_second_time_it_is_loaded(folder: Path) -> None:
    first, second = MachineCode(walk().assembly), MachineCode(walk().assembly)
    assert (first.compiled, second.compiled) == (True, False)
    assert works(first)
    assert works(second)
    assert [path.suffix for path in files(folder)] == [".o"]


def test_another_process_finds_it(folder: Path) -> None:
    script = (
        "from thalweg.formula.machine import MachineCode; import sys; print(MachineCode(sys.stdin.read()).compiled)"
    )
    for expected in ("True", "False"):
        done = subprocess.run(
            [sys.executable, "-c", script], input=walk().assembly, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected
    assert not MachineCode(walk().assembly).compiled


def test_another_formula_is_another_file(folder: Path) -> None:
    assert walk(2.0).assembly != walk(3.0).assembly
    two, three = MachineCode(walk(2.0).assembly), MachineCode(walk(3.0).assembly)
    assert two.compiled
    assert three.compiled
    assert works(two, 2.0)
    assert works(three, 3.0)
    assert len(files(folder)) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: b"X" + content[1:],
        lambda content: content[:-200] + bytes([content[-200] ^ 1]) + content[-199:],
        lambda content: content[:30] + bytes([content[30] ^ 1]) + content[31:],
    ],
    ids=["empty", "head only", "cut", "longer", "another format", "a bit of the code", "a bit of the digest"],
)
def test_damaged_file_is_compiled_again(folder: Path, damage: object) -> None:
    MachineCode(walk().assembly)
    (path,) = files(folder)
    good = path.read_bytes()
    assert callable(damage)
    path.write_bytes(damage(good))
    repaired = MachineCode(walk().assembly)
    assert repaired.compiled
    assert works(repaired)
    assert files(folder) == [path]
    assert not MachineCode(walk().assembly).compiled


@NOT_WINDOWS
class TestTrust:
    def test_folder_and_files_are_private(self, folder: Path) -> None:
        before = os.umask(0)
        try:
            MachineCode(walk().assembly)
        finally:
            os.umask(before)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (path,) = files(folder)
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077

    @pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o722])
    def test_folder_others_can_write_is_not_used(self, folder: Path, mode: int) -> None:
        MachineCode(walk().assembly)
        folder.chmod(mode)
        again = MachineCode(walk().assembly)
        assert again.compiled
        assert works(again)
        MachineCode(walk(3.0).assembly)
        assert len(files(folder)) == 1  # and nothing is written there

    @pytest.mark.parametrize("mode", [0o666, 0o660, 0o602])
    def test_file_others_can_write_is_not_used(self, folder: Path, mode: int) -> None:
        MachineCode(walk().assembly)
        (path,) = files(folder)
        path.chmod(mode)
        assert MachineCode(walk().assembly).compiled
        assert stat.S_IMODE(path.stat().st_mode) == 0o600  # replaced by ours
        assert not MachineCode(walk().assembly).compiled

    @pytest.mark.parametrize("what", ["folder", "file"])
    def test_somebody_elses_is_not_used(self, folder: Path, what: str) -> None:
        if os.getuid() != 0:
            pytest.skip("only root can give a file away")
        MachineCode(walk().assembly)
        os.chown(folder if what == "folder" else files(folder)[0], 65534, 65534)
        again = MachineCode(walk().assembly)
        assert again.compiled
        assert works(again)

    def test_a_link_to_somebody_elses_file_is_not_used(self, folder: Path, tmp_path: Path) -> None:
        if os.getuid() != 0:
            pytest.skip("only root can give a file away")
        MachineCode(walk().assembly)
        (path,) = files(folder)
        elsewhere = tmp_path / "elsewhere.o"
        path.rename(elsewhere)
        os.chown(elsewhere, 65534, 65534)
        path.symlink_to(elsewhere)
        assert MachineCode(walk().assembly).compiled


def test_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a regular file there is no folder: the kernel is compiled in memory each time, and works."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "file" / "cache"))
    for _ in range(2):
        code = MachineCode(walk().assembly)
        assert code.compiled
        assert works(code)
    assert (tmp_path / "file").read_text() == "in the way"


def test_no_temporary_files_stay(folder: Path) -> None:
    """Even where the result cannot be put in its place, because a folder stands there."""
    MachineCode(walk().assembly)
    (path,) = files(folder)
    path.unlink()
    path.mkdir()
    code = MachineCode(walk().assembly)
    assert code.compiled
    assert works(code)
    assert files(folder) == [path]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.delenv("THALWEG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "xdg" / "thalweg"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder().is_relative_to(Path.home())


def test_where_the_cache_is_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("THALWEG_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == Path.home() / "Library" / "Caches" / "thalweg"
    monkeypatch.setattr(sys, "platform", "win32")
    assert cache_folder() == Path.home() / "AppData" / "Local" / "thalweg" / "cache"
    monkeypatch.setenv("LOCALAPPDATA", "C:")
    assert cache_folder() == Path("C:") / "thalweg" / "cache"


def test_code_stays_loaded_while_its_object_lives(folder: Path) -> None:
    codes = [MachineCode(walk(float(i)).assembly) for i in range(4)]
    del codes[1]
    assert all(works(code, factor) for code, factor in zip(codes, (0.0, 2.0, 3.0), strict=True))
