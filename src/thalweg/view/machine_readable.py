"""What was found as JSON, for programs: the fields of the values themselves, unrounded. No NaN, no infinity."""

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from thalweg.study.bridges.tables import tables
from thalweg.study.judge.results import Comparison, Suite

# Of a comparison and of its plan, what no table has.
FIELDS = ("verdict", "metric", "missing", "provenance")
PLANNED = ("task", "trials", "seeds", "matters", "target")
# Of the tables of `export`, all but this: every value that was ever reported.
LEFT_OUT = ("curves",)


def as_json(found: Comparison | Suite, report: Path | None = None) -> str:
    """One object: of one task, its comparison; of several, ``tasks``, a list of them, and ``across``, all together."""
    comparisons = found.comparisons if isinstance(found, Suite) else (found,)
    places = {"store": str(found.path) if found.path else None, "report": str(report) if report else None}
    if len(comparisons) == 1:
        return json_text({**_comparison(comparisons[0]), **places})
    assert isinstance(found, Suite)
    together = {name: getattr(found, name) for name in ("across", "missing")}
    return json_text({"tasks": [_comparison(each) for each in comparisons], **together, **places})


def json_text(value: Any) -> str:
    """JSON of plain values and dataclasses."""
    return json.dumps(finite(msgspec.to_builtins(value)), indent=2, allow_nan=False)


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity; plotly leaves a gap for null."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        **{name: getattr(found.plan, name) for name in PLANNED},
        **{name: getattr(found, name) for name in FIELDS},
        **{table.name: table.rows for table in tables([found]) if table.name not in LEFT_OUT},
    }
