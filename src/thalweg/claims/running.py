"""Claims measured side by side, each measurement kept as soon as it is there."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

from thalweg import __version__
from thalweg.cpu import cpu_name
from thalweg.stats.intervals import Interval
from thalweg.study.run.engines import Engine, WorkerDied

from . import claim as claim_of
from . import measure
from .claim import Claim
from .identity import key
from .judging import intervals as intervals_of
from .keep import Record, append, appending, current, read, shortened


@dataclass(frozen=True)
class Work:
    """A measurement to be made; ``key`` is that of the claim's text as it was when the work was given out."""

    claim: str
    repeat: int
    key: str


@dataclass(frozen=True)
class Failed:
    """A measurement that could not be made, and why."""

    work: Work
    reason: str


def missing(claims: Sequence[Claim], repeats: Sequence[int], store: Path) -> list[Work]:
    """What a file lacks of the claims and repeats, the first repeat of all claims first. Raises as `keep.read`."""
    kept = current(read(store), claims)
    return [
        Work(claim.name, repeat, key(claim.name))
        for repeat in repeats
        for claim in claims
        if repeat not in kept[claim.name]
    ]


def measure_all(
    work: Sequence[Work], store: Path, engine: Engine, on_result: Callable[[Record | Failed], None]
) -> list[Failed]:
    """Make measurements, and add each to the file as soon as it is there. Those that failed.

    Raises `OSError` where the file cannot be written: before anything is measured, if it is seen then.
    """
    failed = []
    with appending(store):
        pass
    with closing(engine.map(measured, work)) as results:
        for item, result in results:
            if isinstance(result, WorkerDied):
                result = Failed(item, str(result))
            if isinstance(result, Failed):
                failed.append(result)
            else:
                append(store, result)
            on_result(result)
    return failed


def measured(work: Work) -> Record | Failed:
    """One measurement, in this process on one thread."""
    started = process_time()
    try:
        # Before the claim is loaded: what it computes is what stood there then.
        if (its_key := key(work.claim)) != work.key:
            raise ValueError("its text has changed since this command began: give the command again")
        claim = claim_of(work.claim)
        measurement = measure(work.claim, work.repeat)
        intervals = checked(claim, intervals_of(claim, measurement))
        # Further repeats only say whether they agree.
        figure = shortened(measurement.figure) if work.repeat == 1 else ()
    except Exception as problem:  # whatever one claim raises, the others are measured
        return Failed(work, f"{type(problem).__name__}: {problem}")
    seconds = round(process_time() - started, 1)  # others may share the machine
    today = datetime.now(UTC).date().isoformat()
    return Record(work.claim, work.repeat, its_key, intervals, figure, seconds, cpu_name(), today, __version__)


def checked(claim: Claim, intervals: dict[str, Interval]) -> dict[str, Interval]:
    """The same. Raises `ValueError` unless each quantity has a value for each seed."""
    for name, each in intervals.items():
        if each.n != claim.seeds:
            raise ValueError(f"{name} must have a value for each of the {claim.seeds} seeds; it has {each.n}")
    return intervals
