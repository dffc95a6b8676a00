"""The doctor: healthy where all is well, and each thing that can be broken is broken once."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

import thalweg
from thalweg.cli import main
from thalweg.doctor import checks, command
from thalweg.doctor.command import examined, problems, said
from thalweg.doctor.facts import facts
from thalweg.formula import triton_kernel
from thalweg.formula.compose import Pass
from thalweg.formula.expression import weight
from thalweg.formula.kernel import compiled
from thalweg.formula.machine import MachineCode, cache_folder, cache_problem, cached
from thalweg.optim import gpus
from thalweg.optim.native import absent, torch_interface

SCRIPT = """
import torch, thalweg

def make():
    print("loud")
    return thalweg.SGD([torch.nn.Parameter(torch.zeros(3))], lr=0.125)

def theirs():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(3))])

def fails():
    raise ValueError("no data here")
"""


def doctor(*tokens, **environment):
    """The command in a process of its own, as the shell runs it."""
    return subprocess.run(
        [sys.executable, "-m", "thalweg", "doctor", *map(str, tokens)],
        capture_output=True, text=True, timeout=180, env={**os.environ, **{k: str(v) for k, v in environment.items()}},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache of the test's own, that does not exist yet."""
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# -- healthy


@pytest.fixture(scope="module")
def healthy():
    """What the checks find here, in the process that they run in."""
    return examined()


def test_all_is_well(capsys, monkeypatch, healthy):
    monkeypatch.setattr(command, "examined", lambda: healthy)
    code, done = main(["doctor"]), capsys.readouterr()
    assert code == 0, done.out + done.err
    assert done.err == ""
    for expected in (
        f"thalweg      {thalweg.__version__}", f"torch        {torch.__version__}", "numpy ", "llvmlite ", "system ",
        "triton ",
        "processor ", "one kernel   written in", "float32 0.", "bfloat16 0.", "All checks passed.",
        "serves a view with gaps: its memory has gaps", f"cache        {os.environ['THALWEG_CACHE']}",
    ):  # fmt: skip
        assert expected in done.out
    assert max(map(len, done.out.splitlines())) < 160


def test_json_is_for_machines(capsys, monkeypatch, tmp_path, healthy):
    monkeypatch.setattr(command, "examined", lambda: healthy)
    (tmp_path / "script.py").write_text(SCRIPT)
    code = main(["doctor", f"{tmp_path / 'script.py'}:make", "--json"])
    found = json.loads(capsys.readouterr().out, parse_constant=lambda text: pytest.fail(text))
    assert (code, found["problems"]) == (0, [])
    assert found["torch"] == torch.__version__
    assert found["checks"]["steps"].keys() == {"float32", "float64", "bfloat16", "float16"}
    assert min(found["checks"]["kernel"].values()) > 0
    served = {row["parameter"]: row["reader"] for row in found["checks"]["readers"]}
    assert served["channels_last"] == served["a single number"] == "compiled"
    assert served["a view with gaps"] == served["a subclass of Tensor"] == "torch"
    assert "lr=0.125" in found["explanation"]
    assert "w <- w - d" in found["explanation"]


# -- broken


def update_kernel(folder, monkeypatch):
    """The assembly of the kernel that the check of a float32 step runs."""
    monkeypatch.setenv("THALWEG_CACHE", str(folder))
    params = [torch.nn.Parameter(torch.zeros(3))]
    params[0].grad = torch.ones(3)
    made = thalweg.AdamW(params, lr=0.01, weight_decay=0.1, clip_norm=1.0)
    made.step()
    return made._plan.launches[0].passes.update.assembly


def replaced(assembly, otherwise, place, monkeypatch):
    """A cache in which one kernel's file holds the code of another."""
    files = []
    for name, text in (("right", assembly), ("wrong", otherwise)):
        monkeypatch.setenv("THALWEG_CACHE", str(place / name))
        assert MachineCode(text).compiled
        files += (place / name).iterdir()
    shutil.copy(files[1], files[0])
    return place / "right"


@pytest.mark.slow
def test_wrong_arithmetic_is_found(tmp_path, monkeypatch):
    """A kernel that adds where it should subtract, as a defect of a compiler or of ours might."""
    assembly = update_kernel(tmp_path / "own", monkeypatch)
    before, minus, after = assembly.rpartition(" fsub ")
    cache = replaced(assembly, f"{before} fadd {after}", tmp_path, monkeypatch)
    assert minus
    done = doctor("--json", THALWEG_CACHE=cache)
    found = json.loads(done.stdout)
    assert done.returncode == 1
    (problem,) = found["problems"]
    assert problem.startswith("a step of AdamW in float32 is wrong: its largest error is ")
    assert found["checks"]["steps"]["float64"] < 2


@pytest.mark.slow
def test_a_crash_is_a_finding(tmp_path, monkeypatch):
    assembly = update_kernel(tmp_path / "own", monkeypatch)
    trap = assembly.replace("entry:", "entry:\n  call void @llvm.trap()", 1) + "declare void @llvm.trap()\n"
    done = doctor(THALWEG_CACHE=replaced(assembly, trap, tmp_path, monkeypatch))
    assert done.returncode == 1
    assert "PROBLEM: the checks were not completed: the process crashed with SIG" in done.stdout
    assert f"torch        {torch.__version__}" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ("torch", "PROBLEM: the checks were not completed: ImportError: libbroken.so: cannot open"),
        ("llvmlite", "PROBLEM: kernel could not be checked: ImportError: libbroken.so: cannot open"),
    ],
)
def test_a_package_that_cannot_be_imported(tmp_path, package, expected):
    """Beside what is said without it."""
    (tmp_path / f"{package}.py").write_text('raise ImportError("libbroken.so: cannot open shared object file")')
    done = doctor(PYTHONPATH=f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert done.returncode == 1
    assert expected in done.stdout
    assert f"thalweg      {thalweg.__version__}" in done.stdout
    assert "Traceback" not in done.stderr
    if package == "llvmlite":  # plain torch operations take the steps
        assert "one step     largest error against float64, in roundings: float32 0." in done.stdout
        assert "serves float32: kernels cannot be compiled here" in done.stdout


# -- the cache


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner here")
@pytest.mark.slow
def test_why_a_cache_is_not_used(folder):
    assert cache_problem() is None  # it will be made
    folder.mkdir(mode=0o700)
    assert cache_problem() is None
    folder.chmod(0o777)
    assert "others may write to it" in (cache_problem() or "")
    done = doctor()
    assert done.returncode == 0  # slower, but not wrong
    assert "compiled anew in every process, since others may write to it" in done.stdout
    folder.rmdir()
    folder.write_text("in the way")
    assert cache_problem() == "it is no folder"


def test_a_cache_below_a_file(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "file" / "cache"))
    assert cache_problem() == f"{tmp_path / 'file'} is no folder"


def test_clear_removes_kernels_and_nothing_else(capsys, folder):
    folder.mkdir(mode=0o700)
    for name in ("mine.o", "0" * 64, "0" * 63 + ".o", "notes.txt"):
        (folder / name).write_text("precious")
    kernels = [folder / f"{i:064x}.o" for i in range(3)]
    for kernel in kernels:
        kernel.write_bytes(bytes(2000))
    assert cached() == kernels
    assert main(["doctor", "--clear"]) == 0
    assert capsys.readouterr().out == f"Removed 3 kernels, 6 kB from {cache_folder()}.\n"
    assert sorted(path.name for path in folder.iterdir()) == ["0" * 63 + ".o", "0" * 64, "mine.o", "notes.txt"]
    assert main(["doctor", "--clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"folder": str(folder), "removed": 0, "bytes": 0}


def test_clear_is_about_real_kernels(folder):
    walk = compiled(Pass({}, {"x": weight("x") + 1.0}), {"x": "float64", "g": "float64"}, "float64", ())
    assert MachineCode(walk.assembly).compiled
    assert not MachineCode(walk.assembly).compiled
    assert len(cached()) == 1
    assert main(["doctor", "--clear"]) == 0
    assert not any(folder.iterdir())
    assert MachineCode(walk.assembly).compiled


# -- what is said of a machine unlike this one


def test_what_is_missing_is_said():
    assert (absent() is None) == (torch_interface() is not None)
    why = "LookupError: this torch keeps its tensors otherwise"
    threads = {"torch": 8, "openmp": None, "checked": ["2.99.0", "3.14"], "asked_in_python": why}
    lines = [*said({**facts(), "torch": None, "checks": {"threads": threads, "kernel": {"error": "no"}}})]
    assert "torch        not installed" in lines
    assert lines[-2:] == [
        "threads      torch uses 8; kernels run on one, since no OpenMP library that is known here is loaded",
        "tensors      asked where they are in Python, which is slower on many small ones: "
        "LookupError: this torch keeps its tensors otherwise",
    ]
    lines = [*said({**facts(), "checks": {"threads": {**threads, "asked_in_python": None}}})]
    assert lines[-1] == (
        "tensors      asked where they are in machine code; checked just now, since torch 2.99.0 with Python 3.14 is "
        "not among the tested pairs"
    )


CARD = {"name": "NVIDIA H200", "capability": "9.0", "problem": None}


@pytest.mark.parametrize(
    ("cards", "driver", "expected"),
    [
        ([], "CUDA's driver cannot be loaded (x)", ["GPUs         none that torch finds"]),
        ([], None, ["GPUs         none that torch finds; CUDA's driver is there"]),
        (
            [CARD, {"name": "Tesla T4", "capability": "7.5", "problem": "it is old"}], None,
            [
                "cuda:0       NVIDIA H200, compute capability 9.0: kernels serve it",
                "cuda:1       Tesla T4, compute capability 7.5: no kernels, since it is old",
                "             this torch asks for Triton 3.7.1",
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_said_of_gpus(cards, driver, expected):
    lines = [*said({**facts(), "checks": {"gpus": {"triton": "3.7.1", "driver": driver, "cards": cards}}})]
    assert lines[-len(expected) :] == expected


@pytest.mark.parametrize(
    ("triton", "capability", "problem", "broken"),
    [
        (True, (9, 0), None, None),
        (True, (7, 5), "its compute capability is 7.5, and kernels are for 8.0 and later", None),
        (False, (9, 0), "Triton, which compiles them, is not installed", None),
        (True, (13, 0), "Triton cannot compile for it (OSError: no ptxas)", OSError("no  \nptxas")),
        (True, (8, 0), f"Triton cannot compile for it (OSError: {151 * 'x'}...)", OSError(500 * "x")),
    ],
)
def test_which_gpus_kernels_serve(monkeypatch, triton, capability, problem, broken):
    answers = {
        "is_available": True, "device_count": 1, "get_device_name": "a card", "get_device_capability": capability,
    }  # fmt: skip
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)
    triton_kernel.problem.cache_clear()
    monkeypatch.setattr(triton_kernel, "installed", lambda: triton)
    monkeypatch.setattr(triton_kernel.DeviceKernel, "compiled", Mock(side_effect=broken))
    monkeypatch.setattr(checks.cuda, "driver_problem", lambda: None)
    asked = ["numpy", "triton-windows==1.0", 'triton==3.4.0; platform_system == "Linux"']
    monkeypatch.setattr(checks, "requires", lambda _: asked)
    card = {"name": "a card", "capability": ".".join(map(str, capability)), "problem": problem}
    assert checks.gpus() == {"triton": "3.4.0", "driver": None, "cards": [card]}
    assert gpus.why_not(torch.device("cuda", 0)) == problem
    triton_kernel.problem.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(checks, "requires", lambda _: None)
    assert checks.gpus() == {"triton": None, "driver": None, "cards": []}


def test_nothing_is_compiled():
    row = {"parameter": "float32", "reader": "torch", "why": "it is a view that torch computes with"}
    (problem,) = problems({"steps": {}, "readers": [row, {**row, "parameter": "float64"}]})
    assert problem.startswith(
        "nothing is compiled: float32 is served by plain torch operations, many times slower, since"
    )
    assert "Try: pip install" in problem
    assert problems({"steps": {}, "readers": [row, {**row, "reader": "compiled"}]}) == []


@pytest.mark.slow
def test_a_pair_of_versions_that_nobody_tested(tmp_path, monkeypatch):
    """`doctor` checks it, and the first step then knows."""
    run = "from thalweg.optim import vetted; vetted.VETTED = (); from thalweg.doctor.checks import checks; "
    done = subprocess.run(
        [sys.executable, "-c", run + "import json; print(json.dumps(checks()['threads']))"],
        capture_output=True, text=True, timeout=180, env={**os.environ, "THALWEG_CACHE": str(tmp_path)},
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["asked_in_python"] is None
    assert found["checked"] == [torch.__version__.partition("+")[0], f"{sys.version_info[0]}.{sys.version_info[1]}"]
    assert "is not among" not in done.stderr


@pytest.mark.parametrize(("error", "wrong"), [(0.5, False), (2.0, False), (2.1, True), (None, True)])
def test_what_is_wrong(error, wrong):
    assert len(problems({"steps": {"float32": 0.5, "bfloat16": error}})) == wrong
    assert problems({"steps": {"error": "ValueError: x"}}) == ["steps could not be checked: ValueError: x"]


# -- bad input: exit code 2, one kind sentence, never a traceback


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("script.py", "my_script.py:make"),
        ("script:make", "my_script.py:make"),
        ("missing.py:make", "no file missing.py"),
        ("script.py:mkae", "no function 'mkae'"),
        ("script.py:theirs", "returned a SGD, not an optimizer of thalweg"),
        ("script.py:fails", "fails() in script.py failed: ValueError: no data here (script.py:12)"),
        ("broken.py:make", "importing broken.py failed: ZeroDivisionError"),
        ("syntax.py:make", "not valid Python"),
    ],
)
def test_bad_input_is_answered_in_a_sentence(capsys, tmp_path, monkeypatch, reference, expected):
    monkeypatch.chdir(tmp_path)
    Path("script.py").write_text(SCRIPT)
    Path("broken.py").write_text("1 / 0\n")
    Path("syntax.py").write_text("def make(:\n")
    assert main(["doctor", reference]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("thalweg: ")
    assert expected in shown.err
    assert "Traceback" not in shown.err


def test_an_unknown_option_is_refused(capsys):
    assert main(["doctor", "--claer"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("thalweg: ")
