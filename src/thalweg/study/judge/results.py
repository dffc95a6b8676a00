"""What a comparison found. This is what the terminal and the report page read.

result = Comparison.load("thalweg-digits-mlp.sqlite")
for row in result.rows:
    row.name, row.tuned, row.winner_values
result.verdict.answer
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thalweg.showing import shower
from thalweg.study.keep.store import read_contents
from thalweg.study.model.cells import Run
from thalweg.study.model.errors import StudyError
from thalweg.study.model.plan import Plan

from .across import Across, across
from .findings import Findings
from .judging import findings

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


class Shown:
    """What is shown in a notebook: verdict and table, and on demand figures and the whole page."""

    def figures(self) -> "dict[str, Figure]":
        """Figures that notebooks show, by name: `thalweg.notebook.figures`."""
        found: dict[str, Figure] = shower().figures(self)
        return found

    def page(self) -> Any:
        """The report in a cell: `thalweg.notebook.page`."""
        return shower().page(self)

    def _repr_html_(self) -> str:
        return str(shower().comparison_html(self))


@dataclass(frozen=True)
class Comparison(Findings, Shown):
    """A comparison, finished or not: its `Findings`, and where they are read and shown."""

    def __repr__(self) -> str:
        rules = ", ".join(row.contender for row in self.rows)
        return f"<Comparison of {rules} on {self.plan.task}: {self.verdict.answer}>"

    @classmethod
    def load(cls, path: str | Path) -> "Comparison":
        """Read a store with one comparison and compute everything again. Works while it is being written to.

        Raises `StudyError` if the file is not a store of thalweg, cannot be read, or holds several tasks: `Suite`.
        """
        return Suite.load(path).only


@dataclass(frozen=True)
class Suite(Shown):
    """Comparisons of the same rules on one task or several, in one store.

    ``comparisons``  one a task; ``path`` the store.
    """

    comparisons: tuple[Comparison, ...]
    path: Path | None

    @property
    def only(self) -> Comparison:
        """The comparison, where it is one; `StudyError` otherwise."""
        if len(self.comparisons) != 1:
            tasks = ", ".join(found.plan.task for found in self.comparisons)
            raise StudyError(f"{self.path} holds comparisons on several tasks ({tasks}): read it with Suite.load")
        return self.comparisons[0]

    @property
    def across(self) -> Across | None:
        """What the tasks say together; None with one, or while some are not finished."""
        return across(self.comparisons)

    @property
    def missing(self) -> int:
        """Runs still to do."""
        return sum(found.missing for found in self.comparisons)

    def __repr__(self) -> str:
        return f"<Suite of {', '.join(map(repr, self.comparisons))}>"

    @classmethod
    def load(cls, path: str | Path) -> "Suite":
        """Read a store and compute everything again. Works while a comparison is writing to it.

        Raises `StudyError` if the file is not a store of thalweg, or cannot be read.
        """
        place = Path(path).expanduser().absolute()
        found = read_contents(place)
        return cls(tuple(judge(plan, origin, found.runs, place) for plan, origin in found.latest), place)


def judge(plan: Plan, provenance: Mapping[str, object], have: Mapping[str, Run], path: Path | None) -> Comparison:
    """Everything that a comparison says, from its plan and the runs there are, by key."""
    return Comparison(**vars(findings(plan, provenance, have, path)))
