"""What was measured, in a file: one line of JSON for each claim and repeat, written at once."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

from thalweg.languages import Words
from thalweg.stats.intervals import Interval

from .claim import Claim, Curve, Panel
from .identity import key

# Of the numbers of a figure.
DIGITS = 4
# Of a file of measurements.
BEGINNING = '{"claim":'


@dataclass(frozen=True)
class Record:
    """One measurement, with seeds of its own.

    ``key``        of what text, see `identity.key`.
    ``intervals``  of each bound's quantity.
    ``figure``     its data.
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
    """The measurements of a file; none where there is no file. A last line without its end, by a kill, is left out.

    Raises `ValueError` for a file of something else.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    # Of another file, which may have no lines, `append` would take all for a line without its end.
    if not BEGINNING.startswith(text[: len(BEGINNING)]):
        raise ValueError(f"{path} holds something else than measurements of claims: name another file")
    records = []
    for number, line in enumerate(text.split("\n")[:-1], 1):
        try:
            records.append(_record(json.loads(line)))
        except (ValueError, TypeError, KeyError) as problem:
            raise ValueError(f"{path}, line {number} is no measurement of a claim") from problem
    return records


def append(path: Path, record: Record) -> None:
    """Add a measurement, so that it survives whatever follows; in place of a line without its end. Raises `OSError`."""
    line = json.dumps(asdict(record), ensure_ascii=False, separators=(",", ":")) + "\n"
    with path.open("a+b") as stream:
        stream.seek(0)
        stream.truncate(stream.read().rfind(b"\n") + 1)
        stream.write(line.encode())
        stream.flush()
        os.fsync(stream.fileno())


def current(records: Iterable[Record], claims: Sequence[Claim]) -> dict[str, dict[int, Record]]:
    """The newest measurement of each claim and repeat, of those whose text is still that of the claim."""
    keys = {claim.name: key(claim) for claim in claims}
    kept: dict[str, dict[int, Record]] = {claim.name: {} for claim in claims}
    for record in records:
        if keys.get(record.claim) == record.key:
            kept[record.claim][record.repeat] = record
    return {name: dict(sorted(repeats.items())) for name, repeats in kept.items()}


def published() -> list[Record]:
    """The measurements that the library brings along, of five repeats."""
    with files("thalweg.claims").joinpath("measured.jsonl").open(encoding="utf-8") as stream:
        return [_record(json.loads(line)) for line in stream]


def shortened(figure: Iterable[Panel]) -> tuple[Panel, ...]:
    """The same with the digits that one can see."""
    return tuple(replace(panel, curves=tuple(map(_shortened, panel.curves))) for panel in figure)


def _shortened(curve: Curve) -> Curve:
    def short(values: Sequence[float]) -> tuple[float, ...]:
        return tuple(float(f"{value:.{DIGITS}g}") if isfinite(value) else value for value in values)

    return replace(curve, x=short(curve.x), y=short(curve.y), low=short(curve.low), high=short(curve.high))


def _record(line: dict[str, Any]) -> Record:
    intervals = {name: Interval(**_with_tuples(each)) for name, each in line["intervals"].items()}
    return Record(**{**line, "intervals": intervals, "figure": tuple(map(_panel, line["figure"]))})


def _panel(panel: dict[str, Any]) -> Panel:
    curves = tuple(Curve(**{**_with_tuples(curve), "name": Words(*curve["name"])}) for curve in panel["curves"])
    words = {name: Words(*panel[name]) for name in ("title", "x", "y")}
    return Panel(**{**panel, **words, "curves": curves, "ticks": tuple(Words(*tick) for tick in panel["ticks"])})


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    """As dataclasses have them; JSON has lists."""
    return {name: tuple(each) if isinstance(each, list) else each for name, each in fields.items()}
