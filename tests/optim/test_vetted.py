"""The fast way to find tensors: taken where it is known to be right, checked where not, left where it is wrong."""

import dataclasses
import json
import re
import sys
import warnings
from pathlib import Path

import pytest
import torch

import forked
import thalweg
from thalweg.optim import native, probe, vetted

# What a process of its own does: two optimizers take a step each, and what they warn of is printed.
STEPS = """
import json, logging, warnings
import torch, thalweg
from thalweg.optim import native, vetted

{before}
logging.basicConfig(format="%(message)s")
said = []
for _ in range(2):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weight = torch.nn.Parameter(torch.ones(3))
        made = thalweg.SGD([weight], lr=0.5)
        for _ in range(2):
            weight.grad = torch.ones(3)
            made.step()
    said += [str(w.message) for w in caught if w.category is RuntimeWarning]
    assert weight.tolist() == [0.0] * 3
print(json.dumps([made._plan.memory.native, said]))
"""


def steps(before: str, cache: Path) -> tuple[bool, list[str], str]:
    """Whether steps took the fast way, what they warned of, and what stood on stderr."""
    ended = forked.run(forked._execute, STEPS.format(before=before), THALWEG_CACHE=str(cache))
    assert ended.returncode == 0, ended.stderr
    fast, said = json.loads(ended.stdout)
    return fast, said, ended.stderr


def test_tested_pairs_are_those_of_the_docs() -> None:
    written = (Path(__file__).parents[2] / "docs" / "versions.md").read_text()
    assert tuple(re.findall(r"^\| (2\.\S+) \| (3\.\d+) \|", written, re.MULTILINE)) == vetted.VETTED
    assert vetted.pair()[0] == torch.__version__.partition("+")[0]


def test_a_tested_pair_is_not_checked(tmp_path: Path) -> None:
    fast, said, stderr = steps("vetted.VETTED = (vetted.pair(),); vetted._PROBE = 'nonsense'", tmp_path)
    assert (fast, said, stderr) == (True, [], "")


def test_an_unknown_pair_is_checked_once(tmp_path: Path) -> None:
    fast, said, stderr = steps("vetted.VETTED = ()", tmp_path)
    assert (fast, said) == (True, [])
    torch_version, python_version = vetted.pair()
    assert stderr.count("is not among the pairs") == 1
    assert (
        f"torch {torch_version} with Python {python_version} is not among the pairs that thalweg was tested" in stderr
    )
    assert steps("vetted.VETTED = (); vetted._PROBE = 'nonsense'", tmp_path) == (True, [], "")  # it is remembered


@pytest.mark.parametrize(
    ("child", "why"),
    [
        ("print('thalweg.optim.probe: \"after x it finds other tensors\"')", "after x it finds other tensors"),
        ("import os; os.abort()", "it crashed with SIGABRT"),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
    ],
)
def test_what_fails_its_check_is_left(tmp_path: Path, child: str, why: str) -> None:
    """Steps are right the plain way, and it is said once; the next process knows, and says it too."""
    for asked in (child, "nonsense"):
        fast, said, stderr = steps(f"vetted.VETTED = (); vetted._PROBE = {asked!r}", tmp_path)
        assert not fast
        (warning,) = said
        assert f"cannot be taken ({why})" in warning
        assert "`thalweg doctor` checks again" in warning
        assert stderr.count("is not among the pairs") == (asked == child)


def test_a_failed_look_is_no_longer_silent(tmp_path: Path) -> None:
    """A torch of a tested version that keeps its tensors otherwise, as a build of somebody's own may."""
    fast, said, _ = steps(
        "def fails():\n    raise LookupError('kept otherwise')\n"
        "native._places = fails; vetted.VETTED = (vetted.pair(),)", tmp_path
    )  # fmt: skip
    assert not fast
    assert len(said) == 1
    assert "cannot be taken (LookupError: kept otherwise)" in said[0]


def _probed(changes: dict[str, int]) -> None:
    found = native.unchecked()
    assert not isinstance(found, str)
    wrong = dataclasses.replace(found, constants={**found.constants, **changes})
    probe.unchecked = lambda: wrong  # type: ignore[attr-defined]
    print(json.dumps(probe.problem()))


def test_the_check_passes_here() -> None:
    ended = forked.run(_probed, {})
    assert (ended.returncode, ended.stdout.strip()) == (0, "null"), ended.stderr


CONSTANTS = native.unchecked().constants


@pytest.mark.parametrize(
    "changes",
    [
        {"KEY_PLACE": CONSTANTS["KEY_PLACE"] + 1},  # a negative view passes for plain memory, or nothing does
        {"BUMP": CONSTANTS["LENGTH"]},  # versions stay
        {"GRAD": 0},  # a jump to nowhere
        {"SIZES": CONSTANTS["STRIDES"]},  # nothing is where it is looked for
        {"DATA": CONSTANTS["EXTENT"]},  # another function
    ],
)
def test_the_check_finds_what_is_wrong(changes: dict[str, int]) -> None:
    """Each by an answer or by a crash, of the process that checks."""
    ended = forked.run(_probed, changes)
    assert ended.returncode != 0 or ended.stdout.strip() != "null"


@pytest.mark.parametrize(
    "before",
    [
        "import sys; sys.executable = '/bin/true'",
        "import sys; sys.executable = '/bin/echo'",
        "vetted._PROBE = 'import os; os.kill(os.getpid(), 9)'",
        "vetted._PROBE = 'print(1)'",
        "vetted._PROBE = 'import time; time.sleep(60)'; vetted.LIMIT = 0.2",
    ],
)
def test_what_could_not_be_checked_is_not_remembered(tmp_path: Path, before: str) -> None:
    fast, said, _ = steps(f"vetted.VETTED = (); {before}", tmp_path)
    assert not fast
    assert "cannot be taken (it could not be checked" in said[0]
    assert not list(tmp_path.glob("*.json"))
    fast, said, _ = steps("vetted.VETTED = (); vetted._PROBE = 'print(vetted)'", tmp_path)
    assert "NameError" in said[0]


@pytest.mark.slow
def test_what_lies_about_is_not_taken_for_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('mine')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.setattr("sys.path", [*sys.path, tmp_path, b"bytes"])
    monkeypatch.setenv("THALWEG_CACHE", str(tmp_path / "cache"))
    assert vetted.checked() == ""


def test_a_program_that_starts_no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "")
    assert "could not be checked" in vetted.checked()


def test_warnings_are_of_steps_alone() -> None:
    """Importing and making an optimizer asks nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        thalweg.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.5)
