"""A comparison's tables in files that other programs read: CSV, JSON, Parquet."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from thalweg.files import write_atomically
from thalweg.study.judge.results import Comparison, Suite
from thalweg.study.model.errors import StudyError

from .tables import Scalar, Table, tables


def export(found: Comparison | Suite, where: str | Path, format: str = "csv") -> tuple[Path, ...]:
    """Write what was run and found as tables, ``runs``, ``rules`` and so on; their files.

    A suite's comparisons share the tables, which say of which task each row is.

    ``where``   a folder, which is made if it is not there (its parent must be): it gets one file a table,
                ``runs.csv``. For JSON also a file, ``study.json``: it gets one object with all tables by name.
    ``format``  ``csv``      UTF-8 with a header line; floats with all their digits, switches true and false, what is
                             not known empty. ``pandas.read_csv(..., float_precision="round_trip")`` keeps the digits;
                ``json``     a list of objects a table; what is not known is null;
                ``parquet``  columns with types. Needs pyarrow.

    What the tables hold: `thalweg.study.bridges.tables.tables`. Files are replaced, each whole or not at all.
    Raises `StudyError` in words: no such format, nothing to export, no such folder, a full disk, no pyarrow.
    """
    if format not in WRITERS:
        raise StudyError(f"there is no format {format!r}: tables are written as {', '.join(WRITERS)}")
    comparisons = found.comparisons if isinstance(found, Suite) else (found,)
    if not any(comparison.runs for comparison in comparisons):
        raise StudyError("the comparison has no finished run yet, so there is nothing to export")
    made = tables(comparisons)
    place = Path(where).expanduser().absolute()
    contents: dict[Path, str | bytes]
    try:
        if format == "json" and place.suffix == ".json" and not place.is_dir():
            contents = {place: _json({table.name: list(table.rows) for table in made})}
        else:
            contents = {place / f"{table.name}.{format}": WRITERS[format](table) for table in made}
            _make_folder(place, format)
        for path, content in contents.items():
            write_atomically(path, content)
    except OSError as problem:
        raise StudyError(f"cannot write {place}: {problem.strerror}") from problem
    return tuple(contents)


def as_csv(table: Table) -> str:
    """A table as text with commas; a float is written so that it reads back as the same one."""
    return "".join(_line(values) for values in (table.columns, *(row.values() for row in table.rows)))


def as_json(table: Table) -> str:
    """A table as a list of objects."""
    return _json(list(table.rows))


def as_parquet(table: Table) -> bytes:
    """A table with typed columns: bool, int64, float64, string."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise StudyError("Parquet needs the package pyarrow: pip install 'thalweg[parquet]'") from None
    kinds = {bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in table.columns.items()])
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(table.rows), schema=schema), sink)
    return bytes(sink.getvalue())


WRITERS: Mapping[str, Callable[[Table], str | bytes]] = {"csv": as_csv, "json": as_json, "parquet": as_parquet}


def _json(value: object) -> str:
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def _line(values: Iterable[Scalar]) -> str:
    stream = io.StringIO()
    # Told that lines end with both, it quotes a text that has either.
    csv.writer(stream, lineterminator="\r\n").writerow(map(_written, values))
    return stream.getvalue().removesuffix("\r\n") + "\n"


def _written(value: Scalar) -> str | int | float:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value


def _make_folder(place: Path, format: str) -> None:
    if place.exists() and not place.is_dir():
        raise StudyError(f"{place} is a file, and there are several tables: name a folder for their {format} files")
    if not place.parent.is_dir():
        raise StudyError(f"cannot make the folder {place}: there is no folder {place.parent}")
    place.mkdir(exist_ok=True)
