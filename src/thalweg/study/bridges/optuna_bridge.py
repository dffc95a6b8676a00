"""To and from Optuna: a rule's declared search there, the trials of a study back.

    def objective(trial):
        values = suggest(trial, "adamw", trials=50)
        return train_mine(**values)

What is suggested is what is drawn: the learning rate, but 1 - beta1, and lr * (1 - momentum) where the rule's box says
so. `suggest` turns it into the hyperparameters. A random sampler then searches the box that a comparison does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from thalweg.formula import Search
from thalweg.stats.tuning_curve import expected_best
from thalweg.stats.wording import counted
from thalweg.study.ask.draws import defaults, in_order, searched
from thalweg.study.ask.method_references import resolve_method
from thalweg.study.model.cells import Value
from thalweg.study.model.errors import StudyError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial, FrozenTrial

# What Optuna's pruners and its callback for retries leave in a trial. Anything else there is a sampler's.
NOT_SAMPLERS = ("completed_rung_", "hyperband", "failed_trial", "retry_history")


def distributions(rule: str | type, trials: int) -> "dict[str, BaseDistribution]":
    """A rule's search box in searches of so many trials, as Optuna's distributions by the names of what is drawn.

    ``rule``    as for a comparison: ``"adamw"``, ``"sgd:momentum=0.9"``, a Rule; fixed values are not searched.
    ``trials``  of the search: a side joins from its own number on. Of a comparison that is the budget judged.

    Names are ``lr``, ``1 - beta1``, ``lr * (1 - momentum)``: the quantity that is drawn log-uniformly.
    """
    made = _optuna().distributions

    def distribution(side: Search) -> "BaseDistribution":
        if side.kind == "choice":
            found: BaseDistribution = made.CategoricalDistribution(side.choices)
        else:
            found = made.FloatDistribution(side.low, side.high, log=True)
        return found

    _, sides = _searched(rule, trials)
    return {_drawn_name(name, side): distribution(side) for name, side in sides.items()}


def suggest(trial: "BaseTrial", rule: str | type, trials: int) -> dict[str, Value]:
    """Every hyperparameter and switch of a rule, the searched ones suggested by an Optuna trial.

    ``rule`` and ``trials`` as for `distributions`, whose names and distributions it suggests by.
    """
    values, sides = _searched(rule, trials)
    for name, side in sides.items():
        values[name] = side.hyperparameter(_suggested(trial, _drawn_name(name, side), side), values)
    return values


@dataclass(frozen=True)
class Trials:
    """The values of one search, for statistics.

    ``label``             what was searched.
    ``values``            of the trials that ended, in their order; one that failed counts with the worst value of all
                          studies that were imported together, as in a comparison: leaving it out would flatter.
    ``higher_is_better``  the study's direction.
    ``independent``       whether they are independent random draws from one box, which is what the statistics of the
                          expected best (`thalweg.stats.tuning_curve`) are about.
    ``why``               why they are not, and what was counted how; "" if there is nothing to say.
    ``failed``            how many failed, or ended with a value that is not finite.
    """

    label: str
    values: tuple[float, ...]
    higher_is_better: bool
    independent: bool
    why: str
    failed: int

    def expected_best(self) -> tuple[float, ...]:
        """For n = 1, 2, ..., the expected best of n of the trials; `StudyError` if they are not independent."""
        if not self.independent:
            raise StudyError(f"{self.label}: the expected best of n trials needs independent random trials: {self.why}")
        return expected_best(self.values, higher_is_better=self.higher_is_better)


def from_optuna(studies: "Mapping[str, Study]", *, higher_is_better: bool | None = None) -> dict[str, Trials]:
    """The trials of Optuna studies, by label, with what the statistics have to know about them.

    ``studies``           with one objective each and one direction; loaded with the sampler that made their trials,
                          ``optuna.load_study(..., sampler=RandomSampler())``: Optuna does not store it, and trials of a
                          study that names any other are not taken for independent.
    ``higher_is_better``  the studies' own direction unless given, to make sure.

    Raises `StudyError` for a study with several objectives, without a finished trial, or of another direction.
    """
    ups = {label: _direction(label, study) for label, study in studies.items()}
    for label, up in ups.items():
        wanted = next(iter(ups.values())) if higher_is_better is None else higher_is_better
        if up != wanted:
            words = ("minimizes", "maximizes")
            raise StudyError(f"the study {label} {words[up]}, where one that {words[wanted]} is wanted")
    found = {label: _Ended.of(label, study) for label, study in studies.items()}
    known = [value for ended in found.values() for value in ended.values if value is not None]
    return {label: ended.trials(label, ups[label], known) for label, ended in found.items()}


@dataclass(frozen=True)
class _Ended:
    """The trials of a study that count, in order; None has failed. ``doubts``: why they are not independent."""

    values: tuple[float | None, ...]
    doubts: tuple[str, ...]
    unfinished: int

    @classmethod
    def of(cls, label: str, study: "Study") -> "_Ended":
        states = _optuna().trial.TrialState
        every: list[FrozenTrial] = study.get_trials(deepcopy=False)
        ended = [trial for trial in every if trial.state in (states.COMPLETE, states.FAIL)]
        values = tuple(t.value if t.value is not None and isfinite(t.value) else None for t in ended)
        if all(value is None for value in values):
            raise StudyError(f"the study {label} has no trial that ended with a value")
        pruned = sum(trial.state == states.PRUNED for trial in every)
        return cls(values, tuple(_doubts(study, every, pruned)), len(every) - len(ended) - pruned)

    def trials(self, label: str, up: bool, known: list[float]) -> Trials:
        worst = min(known) if up else max(known)
        failed = self.values.count(None)
        counted_how = [f"{counted(failed, 'trial')} failed and count with the worst value, {worst:g}"] if failed else []
        left = [f"{counted(self.unfinished, 'trial')} not ended, left out"] if self.unfinished else []
        return Trials(
            label=label,
            values=tuple(worst if value is None else value for value in self.values),
            higher_is_better=up,
            independent=not self.doubts,
            why="; ".join([*self.doubts, *counted_how, *left]),
            failed=failed,
        )


def _doubts(study: "Study", every: "list[FrozenTrial]", pruned: int) -> list[str]:
    """Reasons why trials are not independent draws from one box, in words."""
    optuna = _optuna()
    sampler = type(study.sampler)
    left = {key for trial in every for key in trial.system_attrs if not key.startswith(NOT_SAMPLERS)}
    given = sum("fixed_params" in trial.system_attrs for trial in every)
    boxes: dict[str, set[str]] = {}
    for trial in every:
        for name, distribution in trial.distributions.items():
            boxes.setdefault(name, set()).add(repr(distribution))
    moved = sorted(name for name, found in boxes.items() if len(found) > 1)
    found = []
    if sampler is not optuna.samplers.RandomSampler:
        found.append(
            f"its sampler is {sampler.__name__}, which chooses by what was tried before; if RandomSampler made these "
            "trials, load the study with it, optuna.load_study(..., sampler=optuna.samplers.RandomSampler())"
            if sampler is optuna.samplers.TPESampler
            else f"its sampler is {sampler.__name__}, not RandomSampler"
        )
    elif traces := sorted(left - {"fixed_params"}):
        found.append(f"another sampler than RandomSampler chose some of them: it left {traces[0].partition(':')[0]!r}")
    if given:
        found.append(f"{counted(given, 'trial')} enqueued with given values, not drawn")
    if pruned:
        found.append(f"{counted(pruned, 'trial')} pruned, left out: what they would have reached is not known")
    if moved:
        found.append(f"the box of {moved[0]} was changed between trials")
    return found


def _direction(label: str, study: "Study") -> bool:
    if len(study.directions) != 1:
        raise StudyError(f"the study {label} has {len(study.directions)} objectives: import one with a single one")
    maximize: bool = study.direction == _optuna().study.StudyDirection.MAXIMIZE
    return maximize


def _searched(rule: str | type, trials: int) -> tuple[dict[str, Value], dict[str, Search]]:
    """All values at their defaults, and the searched sides, each after the one that its value is divided by 1 minus."""
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        raise StudyError(f"trials must be a whole number, at least 1; got {trials!r}")
    found = resolve_method(rule)
    sides = searched(found.method, found.fixed, trials, found.ranges)
    return defaults(found.method, found.fixed), {name: sides[name] for name in in_order(sides)}


def _drawn_name(name: str, side: Search) -> str:
    drawn = f"{name} * (1 - {side.over})" if side.over else name
    return f"1 - {drawn}" if side.kind == "one minus log" else drawn


def _suggested(trial: "BaseTrial", name: str, side: Search) -> float:
    if side.kind == "choice":
        return float(trial.suggest_categorical(name, side.choices))
    return float(trial.suggest_float(name, side.low, side.high, log=True))


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as missing:
        raise StudyError("this needs the package optuna: pip install 'thalweg[optuna]'") from missing
    return optuna
