"""The data files that a script declares, ``trial.file("data.csv")``: their text is part of what a result stands for.

`thalweg.study.ask.local_modules.declared_files` reads them from the script's text; here they are looked up while it
trains.
"""

import platform
from pathlib import Path

from thalweg.closest import closest
from thalweg.study.model.errors import StudyError

from .functions import kept_at
from .local_modules import declared_files


def data_file(script: Path | None, written: object) -> Path:
    """Where a declared file is, from the script's folder; without a script, from the folder that one is in.

    Raises `StudyError` where there is none, or where reading the script could not have seen that it counts.
    """
    if not isinstance(written, str) or not written:
        raise StudyError(f"trial.file takes a path as text, trial.file('data.csv'); got {written!r}")
    kept = kept_at(script) if script else None
    folder = kept.folder if kept else script.parent if script else Path()
    place = folder / Path(written).expanduser()
    if not place.is_file():
        kind = "is a folder: name each file in it that is read" if place.is_dir() else f"is not there{_near(place)}"
        raise StudyError(f"trial.file({written!r}): {place} {kind}")
    seen = place in kept.files.values() if kept else not script or written in declared_files(script)
    if script and not seen:
        raise StudyError(
            f"trial.file({written!r}): {script.name} puts this name together while it runs, so a change of the file "
            f"would not be noticed: write the name itself in the call, trial.file({written!r})"
        )
    return place


def missing_files(script: Path) -> str:
    """What a script declares and this machine lacks, in words; "" if nothing."""
    missing = [str(place) for place in declared_files(script, missing=True).values() if not place.is_file()]
    if not missing:
        return ""
    return f"{script.name} reads {missing[0]}, which is not there on {platform.node()}"


def _near(place: Path) -> str:
    """On which machine, and what is like it there."""
    names = [path.name for path in place.parent.iterdir()] if place.parent.is_dir() else []
    like = closest(place.name, names)
    return f" on {platform.node()}" + (f"; did you mean {like}?" if like else "")
