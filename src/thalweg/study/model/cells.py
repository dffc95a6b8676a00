"""What one training is (a cell), and what came of it (a run). Importable without torch."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from thalweg.tasks import distinguishing
from thalweg.tasks.task import Choice

Value = float | bool
Argument = float | str | None
Status = Literal["done", "diverged", "failed", "died", "stopped"]
# The script raised, or its process was ended: without a result, and counted alike.
WITHOUT_RESULT: tuple[Status, ...] = ("failed", "died", "stopped")
# Ended from outside, so that another training of the same cell may take its place.
ENDED_OUTSIDE: tuple[Status, ...] = ("died", "stopped")
# The kind of device of all results that name no other.
CPU = "cpu"
# What of a run is measured; all else follows from its cell.
MEASURED = ("seconds", "step_seconds", "host", "ended", "log")


@dataclass(frozen=True)
class Curve:
    """One metric over a run: ``values[i]`` was reported at the end of epoch ``epochs[i]`` (0: before training).

    ``higher``  whether higher is better, where the script has said so; None: the metric's name tells.
    ``tests``   of how many examples an accuracy is, where the script has said so.
    ``positive``  whether the script has said that values are positive without a floor.
    """

    epochs: tuple[int, ...]
    values: tuple[float, ...]
    higher: bool | None = None
    tests: int | None = None
    positive: bool = False

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
    ``options``    the task's options, by name; part of the key are those that `thalweg.tasks.distinguishing` has.
    ``schedule``   the learning rate's, by name; ``chain`` the arguments of the optimizer that the comparison chooses
                   (`thalweg.study.model.settings.Settings`).
    ``readout``    which average of the weights is tested (`thalweg.study.model.readouts`): trainings that differ in it
                   alone may be one, since it changes nothing in them.
    ``held``       sources of chance that do not follow the run's seed, each with the seed that it follows instead.
    ``repeat``     0, or 1 for the same training once more, to see whether it gives the same.
    ``device``     the kind that computes it: ``cpu``, or ``cuda`` and the product's name. Which one does not matter.
    ``arguments``  of the script, as it finds them in ``sys.argv``.
    ``splits``     whether a built-in task divides its data into training and validation by the run's seed for that
                   (``split``) rather than as it always did; so it is in all studies but those of before.
    ``lockstep``   whether it is trained in a stack of others, at the same time: how many and which does not matter.

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
    device: str = CPU
    arguments: tuple[str, ...] = ()
    splits: bool = False
    lockstep: bool = False
    readout: str = "none"

    def identity(self) -> dict[str, object]:
        """What the key is made of."""
        # Left out where nothing was chosen, so that the keys of earlier comparisons stand.
        chosen = {"chain": dict(sorted(self.chain.items())), "held": dict(sorted(self.held.items()))}
        return {
            **{name: value for name, value in chosen.items() if value},
            **({"repeat": self.repeat} if self.repeat else {}),
            **({"device": self.device} if self.device != CPU else {}),
            **({"arguments": [*self.arguments]} if self.arguments else {}),
            **({"splits": True} if self.splits else {}),
            **({"lockstep": True} if self.lockstep else {}),
            **({"readout": self.readout} if self.readout != "none" else {}),
            "task": self.task,
            "task_hash": self.task_hash,
            "rule": self.rule,
            "rule_hash": self.rule_hash,
            "values": dict(sorted(self.values.items())),
            "seed": self.seed,
            "versions": dict(sorted(self.versions.items())),
            "options": dict(sorted(distinguishing(self.task, self.options).items())),
            "schedule": self.schedule,
        }

    @property
    def key(self) -> str:
        """The sha256 of the cell's canonical JSON: equal keys, equal results."""
        text = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def called(self) -> str:
        """The label of the contender that it belongs to."""
        return self.contender or self.rule


@dataclass(frozen=True)
class Run:
    """What came of one training, whichever comparisons it is part of: what they call it stands in their cells.

    ``status``        ``done``; ``diverged``: a reported value was not finite, which is a result (the definition
                      stands at `thalweg.study.run.trial.Diverged`); ``failed``: the script raised, likewise a result;
                      ``died``: its process did, which says nothing of the rule, so the next call trains it again;
                      ``stopped``: it took longer than a run may, and counts as failed until it is given more time.
    ``message``       of a run that is not done: for ``failed``, the kind of error, its text, file and line.
    ``curves``        what the script reported, by metric; all values are finite.
    ``steps``         optimizer steps taken.
    ``state_bytes``   bytes of optimizer state at the end.
    ``seconds``       wall clock of the whole training; ``step_seconds`` the median of one optimizer step.
    ``host``          the machine that ran it. Times and host are measured, all else is determined by the cell.
    ``log``           the traceback of one that failed, and the last lines that it printed in its worker.
    """

    key: str
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


def which(trial: int) -> str:
    """A trial's configuration, in words."""
    return "default" if trial == 0 else f"trial {trial}"


def described(contender: str, trial: int, run: Run) -> str:
    """A run in words, by what a comparison calls it and the beginning of its key."""
    return f"{contender}, {which(trial)}, seed {run.seed} (row {run.key[:12]})"


def once(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Runs by key, each the first time: two trials that drew the same values share one, and the earlier names it."""
    found: dict[str, Run] = {}
    for run in runs:
        found.setdefault(run.key, run)
    return tuple(found.values())
