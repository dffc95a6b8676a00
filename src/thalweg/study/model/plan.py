"""A comparison, resolved: all that is needed to name every one of its trainings, as plain data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from thalweg.tasks.task import Choice

from .cells import CPU, Cell, Value
from .settings import Settings, is_setting, settings_of

# The source of chance by which data are divided into training and validation.
SPLIT = "split"


def is_range(written: str) -> bool:
    """Whether a value, as it is written, is several: ``1e-4..1e-2``, ``0.8/0.9``."""
    return ".." in written or "/" in written


def first_axis(searched: Iterable[str]) -> str:
    """Of what is searched, along which trials have their places: the learning rate, or else the first."""
    names = list(searched)
    return "lr" if "lr" in names else names[0]


def without_ranges(reference: str) -> str:
    """A label or reference with what is fixed alone."""
    return ":".join(each for each in reference.split(":") if not is_range(each.partition("=")[2]))


def asked_for(source: str, label: str) -> str:
    """The reference of what is found there, with the values that stand in a label of it."""
    # What stands in both: the convention, and the rule for what is no matrix.
    own = [each for each in label.split(":")[1:] if not each.startswith(("like=", "others="))]
    return ":".join([source, *own])


@dataclass(frozen=True)
class Contender:
    """One of those compared: a rule, and what it is given of the task's options that are varied.

    ``label``     unique in the comparison; ``name`` for sentences; ``source`` where a worker finds the rule.
    ``hash``      the sha256 of its text; ``year``, ``text`` for the report.
    ``trials``    the configuration of each trial, every hyperparameter and switch by name; trial 0 is the default.
    ``searched``  which hyperparameters were searched, each with its box in words.
    ``edges``     per trial, the searched hyperparameters within 10% of an edge of their box.
    ``rule``      the rule's own label, which its runs are known by; "" where it is ``label``.
    ``asked``     the rule's label with the ranges that were given, as it was asked for; "" where it is the label.
    ``options``   its values of what is varied, by name: options of the task, and settings.
    ``places``    of each trial, from 0 to 1, where it lies on the first axis of its search: the learning rate where
                  that is searched, else the first side. Empty where nothing is searched, and in studies of design 1.
    """

    label: str
    name: str
    source: str
    hash: str
    text: str
    trials: tuple[Mapping[str, Value], ...]
    searched: Mapping[str, str]
    edges: tuple[tuple[str, ...], ...]
    rule: str = ""
    options: Mapping[str, Choice] = field(default_factory=dict)
    asked: str = ""
    places: tuple[float, ...] = ()

    @property
    def without_ranges(self) -> str:
        """The rule's own label with what is fixed: where it was searched is no part of what a run stands for."""
        return without_ranges(self.rule or self.label)

    @property
    def single(self) -> str:
        """The rule as one training of it is asked for: as `reference`, without ranges."""
        return without_ranges(self.reference)

    @property
    def reference(self) -> str:
        """The rule as it is asked for: where it is found, then its fixed values and ranges."""
        return asked_for(self.source, self.asked or self.rule or self.label)


@dataclass(frozen=True)
class Plan:
    """What is compared.

    ``task``          a built-in task's name, or ``file.py:function``; ``task_hash`` its version or sha256;
                      ``task_source`` where a worker finds it; ``task_summary`` one line on it ("" for scripts).
    ``metric``        the metric asked for; None: chosen from what the task reports.
    ``tuning_seed``   of all trials in design 1; of what is held in every run, and in design 2 of how the trials of the
                      search divide the data. ``fresh_seeds`` of the re-runs, shared by all rules.
    ``versions``      of the packages that compute results.
    ``options``       the task's options by name; those that are varied stand with each of ``rules``.
    ``settings``      that all have; ``held`` the sources of chance that are the same in every run.
    ``budgets``       of the searches that are judged, in trials: where there are enough for it, and no minutes count.
    ``minutes``       of training that each rule's search may take; None: as long as its trials take.
    ``repeats``       whether each default runs twice; earlier comparisons, which are in stores, did not.
    ``device``        the kind that computes the results (`thalweg.study.model.cells.Cell`).
    ``rule_name``     of the one rule of all, for sentences, where what is varied is all that differs.
    ``arguments``     of the script, as it finds them in ``sys.argv``.
    ``design``        of the search (`thalweg.study.ask.designs`): 1, independent draws, as studies of before have them;
                      2, points that lie evenly.
    ``search_seeds``  of each trial, shared by all rules; empty: all have ``tuning_seed``.
    ``against``       the label of the contender that the others are compared with; "": the first.
    ``matters``       the smallest difference that matters: a ratio where the metric's scale is one of ratios, else in
                      the metric's unit; ``target`` the value of the metric that a search should reach. None: not said.
    ``lockstep``      whether trainings run many at once, in stacks; so that none is compared with one that does not.
    """

    task: str
    task_hash: str
    task_source: str
    task_summary: str
    rules: tuple[Contender, ...]
    study_seed: int
    metric: str | None
    tuning_seed: int
    fresh_seeds: tuple[int, ...]
    versions: Mapping[str, str]
    options: Mapping[str, Choice] = field(default_factory=dict)
    rule_name: str = ""
    settings: Settings = field(default_factory=Settings)
    held: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    minutes: float | None = None
    repeats: bool = False
    device: str = CPU
    arguments: tuple[str, ...] = ()
    design: int = 1
    search_seeds: tuple[int, ...] = ()
    against: str = ""
    matters: float | None = None
    target: float | None = None
    lockstep: bool = False

    @property
    def place(self) -> str:
        """On what it is compared, for sentences: the task, and the rule where that is the same for all."""
        return f"{self.task} with {self.rule_name}" if self.rule_name else self.task

    @property
    def trials(self) -> int:
        """Trials of each rule, the default included."""
        return len(self.rules[0].trials)

    @property
    def seeds(self) -> int:
        """Fresh seeds of the re-runs."""
        return len(self.fresh_seeds)

    def search_seed(self, rule: Contender, trial: int) -> int:
        """With which seed a trial of the search is trained.

        Where nothing is searched, all trials are the default: one training, with one seed.
        """
        return self.search_seeds[trial if rule.searched else 0] if self.search_seeds else self.tuning_seed

    def search_cell(self, rule: Contender, trial: int, repeat: int = 0) -> Cell:
        """A trial of the search; in design 2 all of them divide the data in one way."""
        cell = self.cell(rule, trial, self.search_seed(rule, trial), repeat)
        return replace(cell, held={**cell.held, SPLIT: self.tuning_seed}) if cell.splits else cell

    def is_search(self, cell: Cell) -> bool:
        """Whether one of the plan's cells is of the search: its re-runs have other seeds."""
        return cell.seed in (self.search_seeds or (self.tuning_seed,))

    def cell_of(self, rule: Contender, trial: int, seed: int) -> Cell:
        """The cell of a run, by its seed: of the search, or of the re-runs."""
        cell = self.cell(rule, trial, seed)
        return self.search_cell(rule, trial) if self.is_search(cell) else cell

    def cell(self, rule: Contender, trial: int, seed: int, repeat: int = 0) -> Cell:
        """A trial's configuration, trained with a seed: as a re-run is."""
        settings = settings_of(self.settings, rule.options)
        options = {name: value for name, value in rule.options.items() if not is_setting(name)}
        return Cell(
            task=self.task,
            task_hash=self.task_hash,
            rule=rule.without_ranges,
            rule_hash=rule.hash,
            values=rule.trials[trial],
            seed=seed,
            versions=self.versions,
            trial=trial,
            task_source=self.task_source,
            rule_source=rule.source,
            options={**self.options, **options},
            schedule=settings.schedule,
            chain=settings.chain,
            held=dict.fromkeys(self.held, self.tuning_seed),
            repeat=repeat,
            contender=rule.label,
            varied=tuple(options),
            device=self.device,
            arguments=self.arguments,
            splits=self.design > 1,
            lockstep=self.lockstep,
            readout=settings.readout,
        )

    def search_cells(self) -> list[Cell]:
        """The search: every rule's trials, rules taking turns so that an early look is balanced."""
        return [self.search_cell(rule, k) for k in range(self.trials) for rule in self.rules]

    def repeat_cells(self) -> list[Cell]:
        """Each rule's default once more, as it was: does the script give the same again?"""
        return [self.search_cell(rule, 0, repeat=1) for rule in self.rules if self.repeats]

    def fresh_cells(self, chosen: Mapping[str, Sequence[int]]) -> list[Cell]:
        """The re-runs: the chosen trials of each rule (numbers by label), once per fresh seed."""
        each = [(rule, k) for rule in self.rules for k in chosen[rule.label]]
        return [self.cell(rule, k, seed) for seed in self.fresh_seeds for rule, k in each]
