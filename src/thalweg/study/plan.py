"""A comparison, resolved: all that is needed to name every one of its trainings, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from thalweg.tasks.task import Choice

from .cells import Cell, Value


@dataclass(frozen=True)
class PlannedRule:
    """One rule of a plan.

    ``label``     unique in the comparison; ``name`` for sentences; ``source`` where a worker finds it.
    ``hash``      the sha256 of its text; ``year``, ``text`` for the report.
    ``trials``    the configuration of each trial, every hyperparameter and switch by name; trial 0 is the default.
    ``searched``  which hyperparameters were searched, each with its box in words.
    ``edges``     per trial, the searched hyperparameters within 10% of an edge of their box.
    """

    label: str
    name: str
    source: str
    hash: str
    text: str
    trials: tuple[Mapping[str, Value], ...]
    searched: Mapping[str, str]
    edges: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Plan:
    """What is compared.

    ``task``          a built-in task's name, or ``file.py:function``; ``task_hash`` its version or sha256;
                      ``task_source`` where a worker finds it; ``task_summary`` one line on it ("" for scripts).
    ``metric``        the metric asked for; None: chosen from what the task reports.
    ``tuning_seed``   of all trials; ``fresh_seeds`` of the re-runs, shared by all rules.
    ``versions``      of the packages that compute results.
    ``options``       the task's options, all of them by name.
    """

    task: str
    task_hash: str
    task_source: str
    task_summary: str
    rules: tuple[PlannedRule, ...]
    study_seed: int
    metric: str | None
    tuning_seed: int
    fresh_seeds: tuple[int, ...]
    versions: Mapping[str, str]
    options: Mapping[str, Choice] = field(default_factory=dict)

    @property
    def trials(self) -> int:
        """Trials of each rule, the default included."""
        return len(self.rules[0].trials)

    @property
    def seeds(self) -> int:
        """Fresh seeds of the re-runs."""
        return len(self.fresh_seeds)

    def cell(self, rule: PlannedRule, trial: int, seed: int) -> Cell:
        """One training of the plan."""
        return Cell(
            task=self.task,
            task_hash=self.task_hash,
            rule=rule.label,
            rule_hash=rule.hash,
            values=rule.trials[trial],
            seed=seed,
            versions=self.versions,
            trial=trial,
            task_source=self.task_source,
            rule_source=rule.source,
            options=self.options,
        )

    def search_cells(self) -> list[Cell]:
        """The search: every rule's trials on the tuning seed, rules taking turns so that an early look is balanced."""
        return [self.cell(rule, k, self.tuning_seed) for k in range(self.trials) for rule in self.rules]

    def fresh_cells(self, winners: Mapping[str, int | None]) -> list[Cell]:
        """The re-runs: each rule's default and winner (trial number by label), once per fresh seed.

        A winner not known yet is taken not to be the default, so that the number of runs can only fall.
        """
        known = {label: self.trials - 1 if k is None else k for label, k in winners.items()}
        chosen = [(rule, k) for rule in self.rules for k in dict.fromkeys((0, known[rule.label]))]
        return [self.cell(rule, k, seed) for seed in self.fresh_seeds for rule, k in chosen]
