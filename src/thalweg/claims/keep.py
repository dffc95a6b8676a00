"""What was measured, in a file: one line of JSON for each claim and repeat, written at once."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from fcntl import LOCK_EX, flock
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import IO, Any

from thalweg.languages import Words
from thalweg.stats.intervals import Interval

from .claim import Claim, Curve, Panel
from .identity import key

# Of the numbers of a figure.
DIGITS = 4
# Of a file of measurements.
BEGINNING = '{"claim":"'


@dataclass(frozen=True)
class Record:
    """One measurement, with seeds of its own.

    ``key``        of what text, see `identity.key`.
    ``intervals``  of each bound's quantity.
    ``figure``     its data, of the first repeat.
    ``seconds``    of a core; on what machine, which day and with which version.
    """

    claim: str
    repeat: int
    key: str
    intervals: Mapping[str, Interval]
    figure: tuple[Panel, ...]
    seconds: float
    machine: str
    date: str
    version: str


def read(path: Path) -> list[Record]:
    """The measurements of a file; none where there is no file.

    Left out are a last line that a kill has cut short, and lines that another version of thalweg has written in another
    way. Raises `ValueError` for a file of something else, `OSError` where it cannot be read.
    """
    if not path.exists():
        return []
    *lines, last = path.read_text(encoding="utf-8", errors="replace").split("\n")
    if last and (not last.startswith(BEGINNING[: len(last)]) or _json(last) is not None):
        # A torn line is not whole: this is another's file, whose end is no line's.
        raise ValueError(f"{path} holds something else than measurements of claims: name another file")
    return [record for number, line in enumerate(lines, 1) for record in _records(line, f"{path}, line {number}")]


@contextmanager
def appending(path: Path) -> Iterator[IO[bytes]]:
    """The file, to add measurements to, while nobody else does; without a line that a kill has cut short.

    Raises `OSError` where it cannot be written.
    """
    with path.open("a+b") as stream:
        flock(stream, LOCK_EX)
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)
        yield stream


def append(path: Path, record: Record) -> None:
    """Add a measurement, so that it survives whatever follows. The file is one that `read` reads. Raises `OSError`."""
    line = json.dumps(asdict(record), ensure_ascii=False, separators=(",", ":")) + "\n"
    with appending(path) as stream:
        stream.write(line.encode())
        stream.flush()
        os.fsync(stream.fileno())


def current(records: Iterable[Record], claims: Sequence[Claim]) -> dict[str, dict[int, Record]]:
    """The newest measurement of each claim and repeat, of those whose text is still that of the claim."""
    keys = {claim.name: key(claim.name) for claim in claims}
    kept: dict[str, dict[int, Record]] = {claim.name: {} for claim in claims}
    for record in records:
        if keys.get(record.claim) == record.key:
            kept[record.claim][record.repeat] = record
    return {name: dict(sorted(repeats.items())) for name, repeats in kept.items()}


def published() -> list[Record]:
    """The measurements that the library brings along, of five repeats."""
    lines = files("thalweg.claims").joinpath("measured.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for line in lines for record in _records(line, "measured.jsonl")]


def shortened(figure: Iterable[Panel]) -> tuple[Panel, ...]:
    """The same with the digits that one can see."""
    return tuple(replace(panel, curves=tuple(map(_shortened, panel.curves))) for panel in figure)


def _shortened(curve: Curve) -> Curve:
    def short(values: Sequence[float]) -> tuple[float, ...]:
        return tuple(float(f"{value:.{DIGITS}g}") if isfinite(value) else value for value in values)

    return replace(curve, x=short(curve.x), y=short(curve.y), low=short(curve.low), high=short(curve.high))


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _records(line: str, where: str) -> Iterator[Record]:
    """The measurement of a line, if it is written as this version writes it."""
    values = _json(line)
    if not isinstance(values, dict) or not {"claim", "repeat", "key"} <= {*values}:
        raise ValueError(f"{where} is no measurement of a claim: name another file")
    try:
        intervals = {name: Interval(**_with_tuples(each)) for name, each in values["intervals"].items()}
        kept = {field.name: values[field.name] for field in fields(Record)}
        yield Record(**{**kept, "intervals": intervals, "figure": tuple(map(_panel, values["figure"]))})
    except (AttributeError, KeyError, TypeError):
        return


def _panel(panel: dict[str, Any]) -> Panel:
    curves = tuple(Curve(**{**_with_tuples(curve), "name": Words(*curve["name"])}) for curve in panel["curves"])
    words = {name: Words(*panel[name]) for name in ("title", "x", "y")}
    return Panel(**{**panel, **words, "curves": curves, "ticks": tuple(Words(*tick) for tick in panel["ticks"])})


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    """As dataclasses have them; JSON has lists."""
    return {name: tuple(each) if isinstance(each, list) else each for name, each in fields.items()}
