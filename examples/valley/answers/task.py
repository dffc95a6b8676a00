"""A finished comparison on one task, with what the answers read of it at hand."""

from collections.abc import Mapping
from dataclasses import dataclass

from thalweg.stats.pool import Pool
from thalweg.stats.wording import Unit
from thalweg.study.judge.family import Family
from thalweg.study.judge.results import Comparison
from thalweg.study.judge.searches import Searches
from thalweg.study.model.errors import StudyError
from thalweg.study.model.metric import Metric

LEAST_SEEDS = 3


@dataclass(frozen=True)
class OnTask:
    """``found``  the comparison; the others are its parts, none of which is missing."""

    found: Comparison
    searches: Searches
    family: Family
    metric: Metric

    @property
    def name(self) -> str:
        """The task's, without the file that it stands in."""
        return self.found.plan.task.rpartition(":")[2]

    @property
    def pools(self) -> Mapping[str, Pool]:
        """Of the rules that are judged, by label."""
        return self.searches.pools

    @property
    def judged(self) -> int:
        """The size of the searches that the comparison's answer is about, in trials."""
        return self.searches.together or 1

    @property
    def reference(self) -> str:
        """The label of the rule that the others are compared with."""
        return self.family.reference

    @property
    def names(self) -> Mapping[str, str]:
        """The rules' names in sentences, by label."""
        return {row.contender: row.name for row in self.found.rows}

    @property
    def unit(self) -> Unit:
        """How values and differences are written."""
        return self.metric.unit


def on_task(found: Comparison) -> OnTask:
    """Raises `StudyError` for a comparison that is not finished, or too small to be answered."""
    where = f"{found.path}, {found.plan.task}"
    if found.missing:
        raise StudyError(f"{where}: {found.missing} trainings are missing; the command that began it goes on")
    if found.plan.seeds < LEAST_SEEDS:
        raise StudyError(f"{where}: has {found.plan.seeds} fresh seeds, and needs 3: --seeds 3 goes on with it")
    if found.searches is None or found.searches.together is None or found.family is None or found.metric is None:
        raise StudyError(f"{where}: judges no searches, for which 9 trials are needed: --trials 9 goes on with it")
    if len(found.searches.pools) > found.plan.trials:
        raise StudyError(
            f"{where}: has {found.plan.trials} trials of each of {len(found.searches.pools)} rules, and needs as many "
            "as rules, so that tuning one costs what trying all does: --trials 17, say, goes on with it"
        )
    return OnTask(found, found.searches, found.family, found.metric)
