"""A study in a file, ``study.toml``: the settings of `Study`, by the same names.

task = "my_script.py:train"        # or tasks = ["digits-mlp", "spiral"]; paths are those from the file's folder
rules = ["sgd", "adamw:weight_decay=0.1", {rule = "torch.optim.Adafactor", lr = "1e-4..1e-1", d = [1.0, 2.0]}]
trials = 75
schedule = "cosine"

[vary]
norm = ["batch", "layer"]
clip_norm = [1.0, "none"]
"""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from thalweg.closest import ending
from thalweg.study.model.errors import StudyError

from .functions import function_path
from .method_references import reference_of
from .spec import Study

KEYS = ("tasks", *Study.__struct_fields__)


def is_study_file(reference: str) -> bool:
    """Whether a task, as it was given, is a file with a whole study."""
    return reference.endswith(".toml")


def read_study(path: str | Path, **others: Any) -> Study:
    """A `Study` from a file; ``others`` override what it says.

    Raises `StudyError`, which names file and key: no such file, no TOML, a key that does not exist, a value of the
    wrong kind, and whatever `Study` refuses.
    """
    file = Path(path).expanduser()
    try:
        written = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise StudyError(f"cannot read {path}: {problem}") from None
    except tomllib.TOMLDecodeError as problem:
        raise StudyError(f"{file.name} is not valid TOML: {problem}") from None
    try:
        return msgspec.convert({**_settings(file, written), **others}, type=Study)
    except msgspec.ValidationError as problem:
        if isinstance(problem.__cause__, StudyError):
            raise StudyError(f"{file.name}: {problem.__cause__}") from None
        raise StudyError(f"{file.name}: {_words(problem)}") from None
    except StudyError as problem:
        said = str(problem).removeprefix(f"{file.name}: ")
        raise StudyError(f"{file.name}: {said}") from None


def _settings(file: Path, written: dict[str, Any]) -> dict[str, Any]:
    if "budgets" in written:
        raise StudyError(f"{file.name}: budgets is one number now, the trials of the searches judged: write budget = 5")
    if unknown := next((key for key in written if key not in KEYS), None):
        raise StudyError(
            f"{file.name}: there is no setting {unknown!r}{ending(unknown, list(KEYS))} Settings: {', '.join(KEYS)}."
        )
    if "task" in written and "tasks" in written:
        raise StudyError(f"{file.name}: give task or tasks, not both")
    found = {key: value for key, value in written.items() if key != "tasks"}
    if "tasks" in written:
        found["task"] = written["tasks"]
    for key in ("task", "rules"):
        if key not in found:
            raise StudyError(f"{file.name}: {key} is missing")
        found[key] = _placed(file.parent, found[key])
    given = found["rules"]
    found["rules"] = [reference_of(rule) for rule in (given if isinstance(given, list) else [given])]
    return found


def _placed(folder: Path, given: Any) -> Any:
    """References with the files in them found from the study's folder."""
    if isinstance(given, list):
        return [_placed(folder, each) for each in given]
    if isinstance(given, dict):
        return {name: _placed(folder, value) if name == "rule" else value for name, value in given.items()}
    if not isinstance(given, str) or not (".py:" in given or function_path(given)):
        return given
    return "+".join(
        str(folder / part) if (".py:" in part or function_path(part)) and not Path(part).is_absolute() else part
        for part in given.split("+")
    )


def _words(problem: msgspec.ValidationError) -> str:
    """msgspec's ``Expected `int`, got `str` - at `$.trials` ``, as: trials: expected `int`, got `str`."""
    said, _, place = str(problem).partition(" - at `$")
    key = place.rstrip("`").lstrip(".")
    return f"{key}: {said[:1].lower()}{said[1:]}" if key else said
