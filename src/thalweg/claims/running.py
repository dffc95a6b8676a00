"""Claims measured side by side, each measurement kept as soon as it is there."""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

from thalweg import __version__
from thalweg.cpu import cpu_name
from thalweg.stats.intervals import Interval
from thalweg.study.run.engines import Engine, WorkerDied

from . import claim as claim_of
from .claim import Claim
from .identity import key
from .judging import intervals as intervals_of
from .keep import Record, append, current, read, shortened


class ClaimFailed(Exception):
    """A claim could not be measured; the message says which, and why."""


def missing(claims: Sequence[Claim], repeats: Sequence[int], store: Path) -> list[tuple[str, int]]:
    """What a file lacks of the claims and repeats, the first repeat of all claims first. Raises as `keep.read`."""
    kept = current(read(store), claims)
    return [(claim.name, repeat) for repeat in repeats for claim in claims if repeat not in kept[claim.name]]


def measure_all(
    work: Sequence[tuple[str, int]], store: Path, engine: Engine, on_record: Callable[[Record], None]
) -> None:
    """Measure claims by name and repeat, and add each to the file. Raises `ClaimFailed`, and `OSError` of the file."""
    with closing(engine.map(measured, work)) as results:
        for (name, _), record in results:
            if isinstance(record, WorkerDied):
                raise ClaimFailed(f"{name} could not be measured: {record}")
            append(store, record)
            on_record(record)


def measured(which: tuple[str, int]) -> Record:
    """One measurement, in this process on one thread. Raises `ClaimFailed`."""
    import torch

    name, repeat = which
    claim = claim_of(name)
    torch.set_num_threads(1)
    started = process_time()
    try:
        measurement = claim.measure(claim.seeds_of(repeat))
        intervals = checked(claim, intervals_of(claim, measurement))
    except Exception as problem:
        raise ClaimFailed(f"{name} could not be measured: {type(problem).__name__}: {problem}") from problem
    seconds = round(process_time() - started, 1)  # others may share the machine
    today = datetime.now(UTC).date().isoformat()
    return Record(
        name, repeat, key(claim), intervals, shortened(measurement.figure), seconds, cpu_name(), today, __version__
    )


def checked(claim: Claim, intervals: dict[str, Interval]) -> dict[str, Interval]:
    """The same. Raises `ValueError` unless each quantity has a value for each seed."""
    for name, each in intervals.items():
        if each.n != claim.seeds:
            raise ValueError(f"{name} must have a value for each of the {claim.seeds} seeds; it has {each.n}")
    return intervals
