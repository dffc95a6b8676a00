"""What was counted, as it is kept: a line of JSON for each cell."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import Any

from counted import Numbers


@dataclass(frozen=True)
class Row:
    """The numbers of one cell: counts of its ``studies``, or what stands there; ``seconds`` of a processor."""

    table: str
    world: str
    size: str
    studies: int
    seconds: float
    numbers: Numbers

    @property
    def key(self) -> tuple[str, str, str]:
        """Table, world, size."""
        return self.table, self.world, self.size

    @property
    def written(self) -> dict[str, Any]:
        """As it is kept; a width without bounds is null."""
        known = {name: round(value, 6) if isfinite(value) else None for name, value in self.numbers.items()}
        return {
            "table": self.table,
            "world": self.world,
            "size": self.size,
            "studies": self.studies,
            "seconds": round(self.seconds, 1),
            "numbers": known,
        }

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> "Row":
        """Back from what is kept."""
        numbers = {name: nan if value is None else value for name, value in written["numbers"].items()}
        return cls(written["table"], written["world"], written["size"], written["studies"], written["seconds"], numbers)

    def share(self, name: str) -> float:
        """Of the studies."""
        return self.numbers[name] / self.studies

    def covered(self, prefix: str = "") -> float:
        """Of the studies in which there is an interval."""
        known = self.studies - self.numbers[f"{prefix}none"]
        return self.numbers[f"{prefix}inside"] / known if known else nan

    def ratio(self, one: str, other: str) -> float:
        """Of two widths."""
        return self.numbers[one] / self.numbers[other]


def read(kept: Path) -> list[Row]:
    """What is kept, the newest last."""
    if not kept.exists():
        return []
    return [Row.of(json.loads(line)) for line in kept.read_text(encoding="utf-8").splitlines()]


def lines(rows: Sequence[Row]) -> str:
    """As they are kept."""
    return "".join(f"{json.dumps(row.written)}\n" for row in rows)
