"""Where results live: one SQLite file a study, one writer, rows keyed by what determines them.

A run that has ended is committed at once and never changed, so a killed comparison goes on where it stopped; only
one whose process died may be replaced.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from .cells import Cell, Curve, Run
from .errors import StudyError
from .plan import Plan

APPLICATION_ID = 0x7468_616C  # "thal"
VERSION = 1

# What a cell determines stands in the first columns; what is measured, in the last: stores compare apart from it.
MEASURED = ("seconds", "step_seconds", "host", "ended")
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


class Store:
    """A store open for writing. Make one with `open_store`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def begin(self, plan: Plan, provenance: Mapping[str, object]) -> Mapping[str, object]:
        """Make this the file's study, unless it already is; returns the provenance that is kept.

        Raises `StudyError` when the file holds a comparison on another task.
        """
        with _kept_safe(self.path):
            last = self._connection.execute(
                "SELECT task, plan, provenance FROM study ORDER BY id DESC LIMIT 1"
            ).fetchone()
            if last and last[0] != plan.task:
                raise StudyError(
                    f"{self.path} holds a comparison on {last[0]}, not on {plan.task}: name another store for this one"
                )
            # Not the text: an earlier thalweg wrote fewer fields.
            if last and msgspec.json.decode(last[1], type=Plan) == plan:
                kept: Mapping[str, object] = json.loads(last[2])
                return kept
            with self._connection:
                self._connection.execute(
                    "INSERT INTO study (task, plan, provenance) VALUES (?, ?, ?)",
                    (plan.task, _text(plan), json.dumps(dict(provenance), sort_keys=True)),
                )
        return provenance

    def add(self, cell: Cell, run: Run) -> None:
        """Keep a run; it is on the disk when this returns. Only a run whose process died gives way to another."""
        row = (
            run.key,
            json.dumps(cell.identity(), sort_keys=True),
            run.rule,
            run.trial,
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
            self._connection.execute("DELETE FROM run WHERE key = ? AND status = 'died'", (run.key,))
            self._connection.execute(f"INSERT OR IGNORE INTO run VALUES ({', '.join('?' * len(row))})", row)

    def runs(self) -> dict[str, Run]:
        """Every run in the file, by key."""
        with _kept_safe(self.path):
            return _runs(self._connection)


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


def read(path: Path) -> tuple[Plan, Mapping[str, object], dict[str, Run]]:
    """The latest study in a file, its provenance, and every run, by key. Works beside a writer.

    Raises `StudyError` as `open_store` does.
    """
    if not path.is_file():
        raise StudyError(f"there is no store {path}: thalweg compare makes one")
    if not os.access(path, os.R_OK):
        raise StudyError(f"{path} cannot be read: permission denied")
    with _kept_safe(path), closing(_open(f"file:{quote(str(path))}?{_reading(path)}")) as connection:
        if not _check(connection, path):
            raise StudyError(f"{path} holds no study: it is empty")
        last = connection.execute("SELECT plan, provenance FROM study ORDER BY id DESC LIMIT 1").fetchone()
        if last is None:
            raise StudyError(f"{path} holds no study: the comparison was stopped before it began")
        return msgspec.json.decode(last[0], type=Plan), json.loads(last[1]), _runs(connection)


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


def _runs(connection: sqlite3.Connection) -> dict[str, Run]:
    columns = "key, rule, trial, seed, hypers, status, message, curves, steps, state_bytes, seconds, step_seconds, host"
    found: dict[str, Run] = {}
    for row in connection.execute(f"SELECT {columns} FROM run"):
        key, rule, trial, seed, hypers, status, message, curves, *rest = row
        found[key] = Run(
            key,
            rule,
            trial,
            seed,
            msgspec.json.decode(hypers, type=dict[str, bool | float]),
            status,
            message,
            msgspec.json.decode(curves, type=dict[str, Curve]),
            *rest,
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
