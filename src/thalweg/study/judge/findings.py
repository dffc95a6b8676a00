"""What a comparison found, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from thalweg.stats.intervals import Interval
from thalweg.stats.sensitivity import Share
from thalweg.stats.verdict import Verdict
from thalweg.stats.wording import DRAWN, value_text
from thalweg.study.model.cells import WITHOUT_RESULT, Cell, Run, Value
from thalweg.study.model.metric import Metric
from thalweg.study.model.plan import Plan
from thalweg.tasks.task import Choice

from .family import Family
from .searches import Searches


@dataclass(frozen=True)
class ContenderRow:
    """One line of the table: a rule, or, where options of the task are varied, a rule with one combination of them.

    ``contender``      its label, unique in the comparison: ``adamw``, ``sgd:momentum=0.9``, ``adamw norm=layer``, or,
                       where one rule is compared with itself, ``norm=layer``.
    ``name``           its name in sentences: ``AdamW``, ``SGD (momentum=0.9)``, ``AdamW with norm=layer``.
    ``trials``         the search, by number; 0 is the default. Only those that have been run.
    ``default``        the judged metric of ``default_runs`` with its 95% t interval; ``tuned`` of ``tuned_runs``.
                       None until all of them have been run. A diverged or failed run counts with its value before
                       training, or, if it has none, with the worst value of the whole study.
    ``winner_trial``   the trial with the best validation value; 0 means that the default won. None: not known yet.
    ``best_after``     expected best validation value after n trials (n = 1 is the default alone), n - 1 others at
                       random; empty until the search is complete.
    ``near_edge``      hyperparameters of the winner within 10% of an edge of the search box.
    ``diverged``, ``failed``             how many of all its runs; ``tuned_lost``, ``default_lost`` how many of the
                                         re-runs did not end well.
    ``step_seconds``   median over its runs of the median time of one optimizer step; ``step_ratio`` the same
                       relative to the first rule.
    ``state_bytes``    optimizer state of the winner; ``seconds`` the time of all its runs together.
    ``options``        its values of what is varied, by name.
    ``again``          every re-run with the fresh seeds, by trial: default, winner, and what wins searches.
    ``repeated``       the default's run of the search, once more; ``unlike``: what of it was not the same as the
                       first time, in words. A script that draws from a generator of its own does not repeat itself.
    ``alike``          that two trials with different values gave the same curves, in words; "" if none did.
    ``alone``          why the best trial of its search stands alone, in words; "" if it does not.
    ``searched_names``  the hyperparameters that are searched; ``searched``       whether it has anything to search; if
    not, its default was all there was to try.
    ``sensitivity``    the shares of the search box within 1% and 5% of the best on validation.
    """

    contender: str
    name: str
    trials: Mapping[int, Run]
    default: Interval | None
    tuned: Interval | None
    default_values: Mapping[str, Value]
    winner_trial: int | None
    winner_values: Mapping[str, Value]
    best_after: tuple[float, ...]
    near_edge: tuple[str, ...]
    diverged: int
    failed: int
    default_lost: int
    tuned_lost: int
    step_seconds: float | None
    step_ratio: float | None
    state_bytes: int
    seconds: float
    options: Mapping[str, Choice] = field(default_factory=dict)
    again: Mapping[int, tuple[Run, ...]] = field(default_factory=dict)
    repeated: Run | None = None
    unlike: tuple[str, ...] = ()
    sensitivity: tuple[Share, ...] = ()
    alike: str = ""
    alone: str = ""
    searched: bool = True
    searched_names: tuple[str, ...] = ()

    @property
    def silent(self) -> bool:
        """Whether every run of it failed, so that there is nothing to say of it but why."""
        runs = [*self.trials.values(), *(run for again in self.again.values() for run in again)]
        return bool(runs) and all(run.status in WITHOUT_RESULT for run in runs)

    @property
    def tuned_diverged(self) -> int:
        """How many of the winner's re-runs diverged."""
        return sum(run.status == "diverged" for run in self.tuned_runs)

    @property
    def tuned_failed(self) -> int:
        """How many of them ended without a result."""
        return sum(run.status in WITHOUT_RESULT for run in self.tuned_runs)

    @property
    def as_set(self) -> str:
        """Its untuned setting in words: Adam (lr=0.001)."""
        return self._with(self.default_values)

    @property
    def as_found(self) -> str:
        """The search's winner in words."""
        return self._with(self.winner_values)

    def _with(self, values: Mapping[str, Value]) -> str:
        # What is varied says it already where nothing is searched.
        shown = self.searched_names or (() if self.options else ("lr",))
        numbers = [f"{name}={value_text(values[name], DRAWN)}" for name in shown if name in values]
        known = [each for each in numbers if each not in self.name]
        return f"{self.name} ({', '.join(known)})" if known else self.name

    @property
    def default_won(self) -> bool:
        """Whether its search found nothing better than the default."""
        return self.winner_trial == 0

    @property
    def default_runs(self) -> tuple[Run, ...]:
        """The default, re-run with the fresh seeds, in their order; empty if not run yet."""
        return self.again.get(0, ())

    @property
    def tuned_runs(self) -> tuple[Run, ...]:
        """The search's winner, likewise; the same runs where the default won."""
        return () if self.winner_trial is None else self.again.get(self.winner_trial, ())


@dataclass(frozen=True)
class Findings:
    """What the runs of a comparison say, finished or not.

    ``plan``         what was compared, resolved: task, rules, trials, seeds (`Plan`).
    ``metric``       what it is judged by; None when nothing has been reported yet.
    ``rows``         one line a rule and combination, in the order given.
    ``family``       the differences that the answer is about, whose intervals hold together (`Family`); None while runs
                     are missing, or where none can be judged.
    ``searches``     what is described of the searches beside them (`Searches`); None where nothing is judged as one.
    ``verdict``      the answer in sentences.
    ``missing``      runs still to do; 0 when the comparison is finished.
    ``provenance``   versions, machine, when it was started; plain JSON values.
    ``path``         the store, or None.
    """

    plan: Plan
    metric: Metric | None
    rows: tuple[ContenderRow, ...]
    family: Family | None
    searches: Searches | None
    verdict: Verdict
    missing: int
    provenance: Mapping[str, object]
    path: Path | None

    @property
    def matters(self) -> float | None:
        """The smallest difference that matters, on the scale of the differences; None: not said, or not known yet."""
        return self.family.matters if self.family else None

    @property
    def complete(self) -> bool:
        """Whether every run of the plan is there."""
        return self.missing == 0

    @property
    def runs(self) -> tuple[Run, ...]:
        """Every run that the comparison judges by, once: all but the defaults' repeats."""
        return tuple(run for _, run in self.trainings)

    @property
    def trainings(self) -> tuple[tuple[Cell, Run], ...]:
        """`runs`, each with its cell, which says what the comparison calls it.

        Two trials that drew the same values share a run, which has the first one's name.
        """
        found: dict[str, tuple[Cell, Run]] = {}
        for row, rule in zip(self.rows, self.plan.rules, strict=True):
            again = [(trial, run) for trial, runs in row.again.items() for run in runs]
            for trial, run in (*row.trials.items(), *again):
                found.setdefault(run.key, (self.plan.cell_of(rule, trial, run.seed), run))
        return tuple(found.values())
