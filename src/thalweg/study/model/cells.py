"""What one training is (a cell), and what came of it (a run). Importable without torch."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from thalweg.tasks.task import Choice

Value = float | bool
Argument = float | str | None
Status = Literal["done", "diverged", "failed", "died"]
# What of a run is measured; all else follows from its cell.
MEASURED = ("seconds", "step_seconds", "host", "ended", "log")


@dataclass(frozen=True)
class Curve:
    """One metric over a run: ``values[i]`` was reported at the end of epoch ``epochs[i]`` (0: before training).

    ``higher``  whether higher is better, where the script has said so; None: the metric's name tells.
    """

    epochs: tuple[int, ...]
    values: tuple[float, ...]
    higher: bool | None = None

    def end(self, last: int = 3) -> float:
        """The mean of the last few evaluations: steadier than one lucky epoch."""
        tail = self.values[-last:]
        return sum(tail) / len(tail)


@dataclass(frozen=True)
class Cell:
    """One training, with everything that determines its result.

    ``task``       a built-in task's name, or ``file.py:function``; ``task_hash`` its version, or its file's sha256.
    ``rule``       the rule's label; ``rule_hash`` the sha256 of its text.
    ``values``     every hyperparameter and switch, by name.
    ``seed``       the run's seed; `thalweg.study.run.trial.Trial.seed` derives one per axis from it.
    ``versions``   of the packages that compute the result.
    ``options``    the task's options, all of them by name; ``schedule`` the learning rate's, by name; ``chain`` the
                   arguments of the optimizer that the comparison chooses (`thalweg.study.model.settings.Settings`).
    ``held``       sources of chance that do not follow the run's seed, each with the seed that it follows instead.
    ``repeat``     0, or 1 for the same training once more, to see whether it gives the same.
    ``arguments``  of the script, as it finds them in ``sys.argv``.

    Not part of the key: ``trial`` and ``contender``, its number and the label of what it belongs to in this comparison;
    ``varied``, the options that the comparison varies; ``task_source`` and ``rule_source``, where the parts are found.
    """

    task: str
    task_hash: str
    rule: str
    rule_hash: str
    values: Mapping[str, Value]
    seed: int
    versions: Mapping[str, str]
    trial: int = 0
    task_source: str = ""
    rule_source: str = ""
    options: Mapping[str, Choice] = field(default_factory=dict)
    schedule: str = "none"
    chain: Mapping[str, Argument] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    repeat: int = 0
    contender: str = ""
    varied: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    def identity(self) -> dict[str, object]:
        """What the key is made of."""
        # Left out where nothing was chosen, so that the keys of earlier comparisons stand.
        chosen = {"chain": dict(sorted(self.chain.items())), "held": dict(sorted(self.held.items()))}
        return {
            **{name: value for name, value in chosen.items() if value},
            **({"repeat": self.repeat} if self.repeat else {}),
            **({"arguments": [*self.arguments]} if self.arguments else {}),
            "task": self.task,
            "task_hash": self.task_hash,
            "rule": self.rule,
            "rule_hash": self.rule_hash,
            "values": dict(sorted(self.values.items())),
            "seed": self.seed,
            "versions": dict(sorted(self.versions.items())),
            "options": dict(sorted(self.options.items())),
            "schedule": self.schedule,
        }

    @property
    def key(self) -> str:
        """The sha256 of the cell's canonical JSON: equal keys, equal results."""
        text = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Run:
    """What came of one training.

    ``status``        ``done``; ``diverged``: a reported value was not finite, which is a result (the definition
                      stands at `thalweg.study.run.trial.Diverged`); ``failed``: the script raised, likewise a result;
                      ``died``: its process did, which says nothing of the rule, so the next call trains it again.
    ``message``       of a run that is not done: for ``failed``, the kind of error, its text, file and line.
    ``curves``        what the script reported, by metric; all values are finite.
    ``steps``         optimizer steps taken.
    ``state_bytes``   bytes of optimizer state at the end.
    ``seconds``       wall clock of the whole training; ``step_seconds`` the median of one optimizer step.
    ``rule``          the label of what it belongs to.
    ``host``          the machine that ran it. Times and host are measured, all else is determined by the cell.
    ``log``           the traceback of one that failed, and the last lines that it printed in its worker.
    """

    key: str
    rule: str
    trial: int
    seed: int
    values: Mapping[str, Value]
    status: Status
    message: str = ""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    steps: int = 0
    state_bytes: int = 0
    seconds: float = 0.0
    step_seconds: float | None = None
    host: str = ""
    log: str = ""

    @property
    def which(self) -> str:
        """The configuration, in words."""
        return "default" if self.trial == 0 else f"trial {self.trial}"

    def known_as(self, cell: Cell) -> "Run":
        """The same run under number and label of a cell with its key: several comparisons, and trials, may share it."""
        return replace(self, rule=cell.contender or cell.rule, trial=cell.trial)


def described(run: Run) -> str:
    """A run in words, by what a comparison calls it and the beginning of its key."""
    return f"{run.rule}, {run.which}, seed {run.seed} (row {run.key[:12]})"


def once(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Runs by key, each the first time: two trials that drew the same values share one, and the earlier names it."""
    found: dict[str, Run] = {}
    for run in runs:
        found.setdefault(run.key, run)
    return tuple(found.values())
