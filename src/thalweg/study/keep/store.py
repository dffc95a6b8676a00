"""Where results live: one SQLite file a study, one writer, rows keyed by what determines them.

A run that has ended is committed at once and never changed, so a killed comparison goes on where it stopped; only
one whose process was ended (it died, or took too long) may be replaced.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from thalweg.study.model.cells import ENDED_OUTSIDE, Cell, Curve, Run
from thalweg.study.model.errors import StudyError
from thalweg.study.model.plan import Plan

APPLICATION_ID = 0x7468_616C  # "thal"
VERSION = 1

# What a cell determines stands in the first columns; what is measured, in the last: stores compare apart from it.
SCHEMA = """
CREATE TABLE study (id INTEGER PRIMARY KEY, task TEXT NOT NULL, plan TEXT NOT NULL, provenance TEXT NOT NULL) STRICT;
CREATE TABLE run (
    key TEXT PRIMARY KEY, cell TEXT NOT NULL,
    rule TEXT NOT NULL, trial INTEGER NOT NULL, seed INTEGER NOT NULL, hypers TEXT NOT NULL,
    status TEXT NOT NULL, message TEXT NOT NULL, curves TEXT NOT NULL,
    steps INTEGER NOT NULL, state_bytes INTEGER NOT NULL,
    seconds REAL NOT NULL, step_seconds REAL, host TEXT NOT NULL, ended TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


REPLACED = f"DELETE FROM run WHERE key = ? AND status IN ({', '.join(map(repr, ENDED_OUTSIDE))})"
# Beside the runs, since stores of before have none; of those that printed something, or failed.
LOGS = "CREATE TABLE IF NOT EXISTS log (key TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID"


@dataclass(frozen=True)
class Contents:
    """Everything in a store.

    ``studies``  from the first to the latest, each with its provenance; ``latest`` the last one of each task.
    ``runs``     every run, by key; ``rows`` the same as they stand in the file: by key, then by column.
    """

    studies: tuple[tuple[Plan, Mapping[str, object]], ...]
    runs: Mapping[str, Run]
    rows: Mapping[str, Mapping[str, Any]]

    @property
    def latest(self) -> tuple[tuple[Plan, Mapping[str, object]], ...]:
        """One study a task, in the order in which the tasks were begun."""
        found: dict[str, tuple[Plan, Mapping[str, object]]] = {}
        for plan, provenance in self.studies:
            found[plan.task] = (plan, provenance)
        return tuple(found.values())


class Store:
    """A store open for writing. Make one with `open_store`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def check_tasks(self, tasks: Collection[str]) -> None:
        """Raise `StudyError` when the file holds a comparison on a task that is not one of these."""
        with _kept_safe(self.path):
            held = [task for (task,) in self._connection.execute("SELECT DISTINCT task FROM study ORDER BY id")]
        if strange := next((task for task in held if task not in tasks), None):
            raise StudyError(
                f"{self.path} holds a comparison on {strange}, not on {', '.join(tasks)}: name another store for this"
            )

    def begun(self) -> dict[str, Plan]:
        """The latest study of each task, by the task."""
        with _kept_safe(self.path):
            found = self._connection.execute("SELECT task, plan FROM study ORDER BY id").fetchall()
        return {task: msgspec.json.decode(plan, type=Plan) for task, plan in dict(found).items()}

    def withdraw(self) -> None:
        """Forget the studies of a file without any run, so that another call may begin otherwise."""
        with _kept_safe(self.path), self._connection:
            self._connection.execute("DELETE FROM study WHERE NOT EXISTS (SELECT 1 FROM run)")

    def begin(self, plan: Plan, provenance: Mapping[str, object]) -> Mapping[str, object]:
        """Make this the file's study of its task, unless it already is; returns the provenance that is kept."""
        with _kept_safe(self.path):
            last = self._connection.execute(
                "SELECT plan, provenance FROM study WHERE task = ? ORDER BY id DESC LIMIT 1", (plan.task,)
            ).fetchone()
            # Not the text: an earlier thalweg wrote fewer fields.
            if last and msgspec.json.decode(last[0], type=Plan) == plan:
                kept: Mapping[str, object] = json.loads(last[1])
                return kept
            with self._connection:
                self._add_study(plan, provenance)
        return provenance

    def add(self, cell: Cell, run: Run) -> None:
        """Keep a run; it is on the disk when this returns. Only one whose process was ended gives way to another."""
        row = (
            run.key,
            json.dumps(cell.identity(), sort_keys=True),
            cell.rule,
            cell.trial,
            run.seed,
            _text(run.values),
            run.status,
            run.message,
            _text(run.curves),
            run.steps,
            run.state_bytes,
            run.seconds,
            run.step_seconds,
            run.host,
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with _kept_safe(self.path), self._connection:
            self._connection.execute(REPLACED, (run.key,))
            self._connection.execute(f"INSERT OR IGNORE INTO run VALUES ({', '.join('?' * len(row))})", row)
            if run.log:
                self._connection.execute("INSERT OR REPLACE INTO log VALUES (?, ?)", (run.key, run.log))

    def files_of(self, task: str) -> dict[str, str]:
        """A script's files as the latest study of the task had them, each with its sha256, by name; {} if unknown."""
        with _kept_safe(self.path):
            last = self._connection.execute(
                "SELECT provenance FROM study WHERE task = ? ORDER BY id DESC LIMIT 1", (task,)
            ).fetchone()
        return dict(json.loads(last[0]).get("files", {})) if last else {}

    def runs(self) -> dict[str, Run]:
        """Every run in the file, by key."""
        with _kept_safe(self.path):
            return _runs(self._connection)

    def contents(self) -> Contents:
        """Everything in the file."""
        with _kept_safe(self.path):
            return _contents(self._connection)

    def take(
        self,
        studies: Iterable[tuple[Plan, Mapping[str, object]]],
        rows: Iterable[Mapping[str, Any]],
        logs: Mapping[str, str],
    ) -> None:
        """Keep what other stores hold, all of it or nothing: studies, the latest last, and rows as they stand there.

        ``logs``  of the rows that have one, by key.

        A row whose key is here is refused, unless the process of the one here was ended.
        """
        with _kept_safe(self.path), self._connection:
            for plan, provenance in studies:
                self._add_study(plan, provenance)
            for row in rows:
                self._connection.execute(REPLACED, (row["key"],))
                columns, values = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
                self._connection.execute(f"INSERT INTO run ({columns}) VALUES ({values})", tuple(row.values()))
            self._connection.executemany("INSERT OR REPLACE INTO log VALUES (?, ?)", logs.items())

    def _add_study(self, plan: Plan, provenance: Mapping[str, object]) -> None:
        self._connection.execute(
            "INSERT INTO study (task, plan, provenance) VALUES (?, ?, ?)",
            (plan.task, _text(plan), json.dumps(dict(provenance), sort_keys=True)),
        )


@contextmanager
def open_store(path: Path) -> Iterator[Store]:
    """Open or create a store for writing, alone: the lock falls with the process, however it ends.

    Raises `StudyError` in words: another comparison is writing to it, not a store of thalweg, written by a newer
    thalweg, no such folder, no permission, a full disk.
    """
    path = path.expanduser().absolute()
    handle = _locked(path)
    try:
        with closing(_connect(path)) as connection:
            yield Store(path, connection)
    finally:
        # After the connection: closing any handle of a file drops SQLite's own locks on it.
        os.close(handle)


def read_contents(path: Path) -> Contents:
    """Everything in a file, as it was at one moment. Works beside a writer; raises as `open_store` does."""
    with _reader(path) as connection:
        connection.execute("BEGIN")  # one snapshot: no row without its study
        found = _contents(connection)
        if not found.studies:
            raise StudyError(f"{path} holds no study: the comparison was stopped before it began")
        return found


@contextmanager
def _reader(path: Path) -> Iterator[sqlite3.Connection]:
    """A store that is there, open for reading."""
    if not path.is_file():
        raise StudyError(f"there is no store {path}: thalweg compare makes one")
    if not os.access(path, os.R_OK):
        raise StudyError(f"{path} cannot be read: permission denied")
    with _kept_safe(path), closing(_open(f"file:{quote(str(path))}?{_reading(path)}")) as connection:
        if not _check(connection, path):
            raise StudyError(f"{path} holds no study: it is empty")
        yield connection


def _reading(path: Path) -> str:
    """How a store is opened for reading. One that may be written is opened so, or SQLite leaves side files behind."""
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "mode=rw"
    # Where nothing may be written, a store without a side file is at rest: SQLite need not make one to read it.
    return "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"


def _locked(path: Path) -> int:
    """A handle that holds the file's lock; creates the file."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except FileNotFoundError:
        raise StudyError(f"cannot create {path}: there is no folder {path.parent}") from None
    except IsADirectoryError:
        raise StudyError(f"{path} is a folder: name a file, for instance {path / 'study.sqlite'}") from None
    except NotADirectoryError:
        raise StudyError(f"cannot create {path}: {path.parent} is not a folder") from None
    except OSError as problem:
        raise StudyError(f"cannot write {path}: {problem.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise StudyError(
            f"{path} is in use: another thalweg compare is writing to it. Wait for it, or name another store"
        ) from None
    if not os.access(path.parent, os.W_OK):
        os.close(handle)
        raise StudyError(f"cannot write beside {path}: the folder {path.parent} is read-only")
    return handle


def _connect(path: Path) -> sqlite3.Connection:
    with _kept_safe(path):
        connection = _open(f"file:{quote(str(path))}?mode=rw")
        try:
            if not _check(connection, path):
                # In one transaction with its marks: a file killed half made is empty, not a stranger's.
                marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
                connection.executescript(f"BEGIN; {marks} {SCHEMA} COMMIT;")
            connection.execute(LOGS)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection


def _open(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=10)


def _check(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is a store of thalweg (True) or empty (False); `StudyError` for anything else."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID:
        if tables or application or version:
            raise StudyError(f"{path} is an SQLite file of another program: it is left alone; name another store")
        return False
    if version > VERSION:
        raise StudyError(
            f"{path} was written by a newer thalweg (format {version}; this one reads {VERSION}): upgrade thalweg"
        )
    return True


def _contents(connection: sqlite3.Connection) -> Contents:
    studies = connection.execute("SELECT plan, provenance FROM study ORDER BY id").fetchall()
    found = connection.execute("SELECT * FROM run")
    names = [column[0] for column in found.description]
    rows = (dict(zip(names, values, strict=True)) for values in found)
    return Contents(
        tuple((msgspec.json.decode(plan, type=Plan), json.loads(provenance)) for plan, provenance in studies),
        _runs(connection),
        {row["key"]: row for row in rows},
    )


def _runs(connection: sqlite3.Connection) -> dict[str, Run]:
    columns = "key, seed, hypers, status, message, curves, steps, state_bytes, seconds, step_seconds, host"
    found: dict[str, Run] = {}
    there = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'log'").fetchone()[0]
    logs: dict[str, str] = dict(connection.execute("SELECT key, text FROM log").fetchall() if there else ())
    for row in connection.execute(f"SELECT {columns} FROM run"):
        key, seed, hypers, status, message, curves, steps, size, seconds, step_seconds, host = row
        found[key] = Run(
            key,
            seed,
            msgspec.json.decode(hypers, type=dict[str, bool | float]),
            status,
            message,
            msgspec.json.decode(curves, type=dict[str, Curve]),
            steps,
            size,
            seconds,
            step_seconds,
            host,
            logs.get(key, ""),
        )
    return found


def _text(value: Any) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


@contextmanager
def _kept_safe(path: Path) -> Iterator[None]:
    """SQLite's errors, in words that say what has become of the results."""
    try:
        yield
    except sqlite3.DatabaseError as problem:
        name = getattr(problem, "sqlite_errorname", "") or ""
        if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            raise StudyError(
                f"{path} cannot grow: the disk is full, or failing ({problem}). What it holds is safe: make room, "
                "and the same command goes on where it stopped"
            ) from problem
        if name.startswith("SQLITE_NOTADB"):
            raise StudyError(f"{path} is not a store of thalweg: it is not an SQLite file") from problem
        if name.startswith("SQLITE_CORRUPT"):
            raise StudyError(
                f"{path} is damaged ({problem}): restore it from a backup, or name another store"
            ) from problem
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            raise StudyError(f"{path} cannot be opened as needed: {problem}. Check its permissions") from problem
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise StudyError(f"{path} is in use by another program ({problem}): close it and try again") from problem
        raise StudyError(f"{path}: {problem}") from problem
