"""What the user asks for, validated: a `Study`; and its resolution into a `Plan`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from math import inf
from types import MappingProxyType
from typing import Any, NoReturn

import msgspec

from thalweg.closest import ending
from thalweg.formula.rule import hypers, tests_other_weights
from thalweg.formula.scheduled import names_of
from thalweg.rules import CATALOGUE
from thalweg.study.model.cells import Value
from thalweg.study.model.errors import StudyError
from thalweg.study.model.plan import Contender, Plan
from thalweg.study.model.readouts import NONE
from thalweg.study.model.settings import NAMED, SCHEDULES_OF, Settings, is_setting, settings_of
from thalweg.study.model.settings import NAMES as SETTINGS
from thalweg.tasks.task import Choice

from .arguments import checked_arguments, refuse_without_script
from .designs import Layout, largest, layout, least_pool, rounded
from .draws import at_an_edge, configuration, place, run_seed, searched
from .local_modules import options_read
from .method_references import ResolvedMethod, reference_of, refuse_unsearched, resolve_method
from .task_references import ResolvedTask, is_own, resolve_task, script_path, trains_stacks
from .varying import combination_text, combinations, values_of

# What may stand for a rule: a reference, a Rule or an optimizer class, a function that makes one, or a table of one of
# these as ``rule`` with the values to try (`reference_of`).
Contending = str | type | Callable[..., Any] | Mapping[str, Any]
Rules = Sequence[Contending] | Contending

# Results depend on these: a study that goes on under other versions trains anew.
COMPUTING = ("thalweg", "torch")


class Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A comparison as the user writes it.

    ``task``        ``digits-mlp``, ``quadratic-deep:instance=2``, or ``my_script.py:train``; several: each is compared
                    on by itself, and all of them together.
    ``rules``       ``adamw``, ``sgd:momentum=0.9``, ``my_rules.py:SignMomentum``.
    ``trials``      configurations tried for each rule, the default included: rounded up to 1 and a power of two (17,
                    33, 65, ...), as so many lie evenly.
    ``seeds``       fresh seeds with which the default and the winner of each rule are re-run; at least 2.
    ``study_seed``  of the draws and of all runs.
    ``metric``      ``accuracy``, ``loss``, ...; None: accuracy if the task reports it, else loss.
    ``vary``        options of the task with the values to compare, ``{"norm": ("batch", "layer")}``, or settings:
                    ``{"schedule": ("none", "cosine"), "clip_norm": (1.0, "none")}``; every rule is trained with every
                    combination.
    ``schedule``, ``decay``, ``clip_norm``, ``clip_value``, ``decay_schedule``, ``momentum_schedule``, ``readout``
                                                             the same for all
                    (`thalweg.study.model.settings.Settings`).
    ``budget``      of the searches that are judged, in trials: fixed when a study begins, since what is searched
                    depends on it; at most half of ``trials``. None: 5, or 4 of 9 trials, or none of fewer.
    ``minutes``     of training that the search of each rule may take: a trial that would begin later is left out, and
                    ``trials`` is the most there may be.
    ``against``     the label of the one that the others are compared with; None: the first.
    ``matters``     the smallest difference that matters: a ratio above 1 (of errors, where the script says how many
                    test examples there are, or of a loss that it says is positive), else a difference in the metric's
                    unit. None: nothing is called equal. Gamma of Bouthillier et al. 2021, 0.75, says the same by a
                    probability.
    ``target``      the value of the metric that a search should reach; None: nothing is said of that.
    ``hold``        sources of chance (``init``, ``data``, ...) that are the same in every run; others follow its seed.
    ``lockstep``    whether trainings run many at once, in a process, where the task can (`thalweg.stacks`): all or none
                    of a study, which goes on as it began.
    ``arguments``   of a script of your own, which it finds in ``sys.argv``: ``("--epochs", "5")``.
    """

    task: str | tuple[str, ...]
    rules: tuple[str, ...]
    trials: int = 33
    seeds: int = 5
    study_seed: int = 0
    metric: str | None = None
    vary: Mapping[str, Any] = {}
    schedule: str = "none"
    decay: str | None = None
    clip_norm: float | str | None = None
    clip_value: float | str | None = None
    decay_schedule: str | None = None
    momentum_schedule: str | None = None
    readout: str = "none"
    budget: int | None = None
    minutes: float | None = None
    against: str | None = None
    matters: float | None = None
    target: float | None = None
    hold: tuple[str, ...] = ()
    lockstep: bool = True
    arguments: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks, also if it is one."""
        return self.task if isinstance(self.task, tuple) else (self.task,)

    @property
    def settings(self) -> Settings:
        """What all of those compared have."""
        given = {name: getattr(self, name) for name in SETTINGS}
        return settings_of(Settings(), {name: value for name, value in given.items() if value is not None})

    def __post_init__(self) -> None:
        _at_least("trials", self.trials, 1, "the default alone is 1 trial")
        _at_least("seeds", self.seeds, 2, "one run says nothing about the noise between runs")
        _at_least("study_seed", self.study_seed, 0, "it numbers studies")
        if not self.rules:
            raise StudyError("name at least one rule to compare, for instance 'adamw'")
        _refuse_fractions(self.vary, self.rules)
        msgspec.structs.force_setattr(self, "arguments", checked_arguments(self.arguments))
        msgspec.structs.force_setattr(self, "vary", values_of(self.vary))
        twice = [name for name in SETTINGS if name in self.vary and name in self.settings.chain]
        twice += [name for name in ("schedule", "readout") if name in self.vary and getattr(self, name) != "none"]
        if twice:
            name = twice[0]
            raise StudyError(f"{name} is both varied and the same for all: leave one of the two out")
        if not self.tasks:
            raise StudyError("name at least one task, for instance 'digits-mlp'")
        if again := next((name for name in self.tasks if self.tasks.count(name) > 1), None):
            raise StudyError(f"the task {again} is listed twice: give each once")
        if self.minutes is not None and not 0 < self.minutes < inf:
            raise StudyError(f"minutes must be a number above 0, or left out; got {self.minutes!r}")
        if self.matters is not None and not 0 < self.matters < inf:
            raise StudyError(f"matters is the smallest difference that matters, a number above 0; got {self.matters!r}")
        if self.budget is not None:
            _at_least("budget", self.budget, 2, "the default alone is no search")
            if self.minutes is not None:
                raise StudyError("budget counts trials, and minutes time: give one of the two")
            if self.budget > largest(rounded(self.trials)):
                pool = least_pool(self.budget)
                raise StudyError(
                    f"a budget of {self.budget} trials needs a pool of at least {pool}, so that there are searches "
                    f"without a draw in common in it: give trials={pool}, or leave the budget out"
                )
        for axis in self.hold:
            if not isinstance(axis, str) or not axis.isprintable() or axis != axis.strip() or not axis:
                raise StudyError(f"hold names sources of chance, such as 'init' or 'data'; got {axis!r}")


def study(task: str | Sequence[str], rules: Rules, **settings: Any) -> Study:
    """A `Study` from Python. Raises `StudyError`."""
    given = tuple(rules) if isinstance(rules, list | tuple) else (rules,)
    if isinstance(rules, str):  # as the command takes them
        given = tuple(each.strip() for each in rules.split(",") if each.strip()) or (rules,)
    if not isinstance(task, str | Sequence):
        raise StudyError(f"a task is a name such as 'digits-mlp', or 'my_script.py:train'; got {task!r}")
    chosen = task if isinstance(task, str) else tuple(task)
    names = tuple(map(reference_of, given))
    if unknown := sorted(set(settings) - set(Study.__struct_fields__)):
        known = list(Study.__struct_fields__)
        raise StudyError(
            f"a study has no setting {unknown[0]!r}{ending(unknown[0], known)} Its settings: {', '.join(known)}."
        )
    if isinstance(settings.get("hold"), list):
        settings["hold"] = tuple(settings["hold"])
    return Study(task=chosen, rules=names, **settings)


def resolve(asked: Study) -> Plan:
    """The plan of a study on one task. Raises `StudyError`; runs no training."""
    if len(asked.tasks) > 1:
        raise StudyError(f"a plan has one task; this study has {len(asked.tasks)}: {', '.join(asked.tasks)}")
    return plans(asked)[0]


def tasks_of(asked: Study) -> list[ResolvedTask]:
    """The tasks, each of a name of its own. Raises `StudyError` where one is not found, or two have one name."""
    found = [resolve_task(reference) for reference in asked.tasks]
    names = [task.name for task in found]
    if again := next((name for name in names if names.count(name) > 1), None):
        raise StudyError(f"two tasks are called {again}: rename one of the files, or compare them one by one")
    return found


def plans(asked: Study, begun: Mapping[str, Plan] = MappingProxyType({})) -> tuple[Plan, ...]:
    """Find tasks and rules and draw every configuration: a plan for each task. Raises `StudyError`.

    ``begun``  by task, what there is of the study in its store: it goes on with the design and the budget of that.
    """
    return tuple(_plan(asked, task, begun.get(task.name)) for task in tasks_of(asked))


def _plan(asked: Study, task: ResolvedTask, begun: Plan | None) -> Plan:
    laid = layout(asked.trials, asked.budget, asked.minutes, begun)
    refuse_without_script(asked.arguments, task.name, task.source)
    rules = [resolve_method(reference) for reference in asked.rules]
    for rule in rules:
        refuse_unsearched(rule)
    names = [rule.name for rule in rules]
    rules = [replace(rule, name=rule.full_name) if names.count(rule.name) > 1 else rule for rule in rules]
    labels = [rule.label for rule in rules]
    rules = [replace(rule, label=rule.full_label) if labels.count(rule.label) > 1 else rule for rule in rules]
    labels = [rule.label for rule in rules]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise StudyError(f"the rule {twice} is listed twice: give each once, or rename one of the classes")
    _refuse_hyperparameters(task, rules, asked.vary)
    combined = combinations(task, asked.vary)
    contenders = tuple(each for rule in rules for each in _planned(rule, asked, laid, combined, len(rules) == 1))
    return Plan(
        task=task.name,
        task_hash=task.hash,
        task_source=task.source,
        task_summary=task.summary,
        rules=contenders,
        study_seed=asked.study_seed,
        metric=asked.metric,
        tuning_seed=run_seed(asked.study_seed, 0),
        fresh_seeds=tuple(run_seed(asked.study_seed, 1 + i) for i in range(asked.seeds)),
        versions={name: installed(name) for name in COMPUTING},
        options=task.options,
        rule_name=rules[0].name if asked.vary and len(rules) == 1 else "",
        settings=asked.settings,
        held=asked.hold,
        budgets=laid.budgets,
        minutes=asked.minutes,
        repeats=True,
        arguments=asked.arguments,
        design=laid.design,
        search_seeds=laid.search_seeds(asked.study_seed),
        against=_reference(asked.against, contenders),
        matters=asked.matters,
        target=asked.target,
        lockstep=_in_lockstep(asked, task, rules, begun),
    )


def _in_lockstep(asked: Study, task: ResolvedTask, rules: Sequence[ResolvedMethod], begun: Plan | None) -> bool:
    """Whether the study trains in stacks: as it began, else where task and rules can."""
    if begun is not None and not begun.lockstep:
        return False
    can = trains_stacks(task.source)
    # An optimizer of another library may ask for what a stack does not give, as a closure.
    others = [rule.name for rule in rules if not rule.method.rule]
    if begun is None:
        return asked.lockstep and can and not others
    if not asked.lockstep:
        raise StudyError("the study in this store trains in lockstep, and goes on so: name another store for this")
    if not can:
        raise StudyError(
            f"the study in this store trains in lockstep, and {task.name} has no function for stacks any more: put it "
            "back, or name another store for this"
        )
    if others:
        raise StudyError(
            f"the study in this store trains in lockstep, which {others[0]} cannot: name another store for this"
        )
    return True


def _reference(asked: str | None, contenders: Sequence[Contender]) -> str:
    """The label of the one that the others are compared with; "" where it is the first."""
    labels = [each.label for each in contenders]
    if asked is None:
        return ""
    if asked not in labels:
        raise StudyError(
            f"against is the label of the one that the others are compared with, one of {', '.join(labels)}; got "
            f"{asked!r}"
        )
    return asked


def _refuse_fractions(vary: Any, rules: Sequence[object]) -> None:
    """Raise for numbers that no option has, where their name says what they are: before they are refused as options."""
    known = {name for rule in CATALOGUE.values() for name in hypers(rule)}
    for name, given in vary.items() if isinstance(vary, Mapping) else ():
        fractions = isinstance(given, list | tuple) and any(isinstance(value, float) for value in given)
        if fractions and name in known and not is_setting(name) and isinstance(rules[0], str):
            _refuse(name, given, rules[0], "a task")


def _refuse(name: str, values: Sequence[object], rule: str, task: str) -> NoReturn:
    written = ",".join(f"{rule}:{name}={value}" for value in values)
    raise StudyError(
        f"{name} is a hyperparameter of {rule}, no option of {task}: compare its values as rules, -r {written}"
    )


def _refuse_hyperparameters(
    task: ResolvedTask, rules: Sequence[ResolvedMethod], vary: Mapping[str, Sequence[Choice]]
) -> None:
    """Raise where a hyperparameter is to be varied, before anything is trained: it is part of a rule."""
    path = script_path(task.source)
    own = options_read(path) if path else None if is_own(task.source) else {*task.options}
    if own is None:
        return
    for name, values in vary.items():
        having = [rule for rule in rules if name in rule.method.hypers]
        if having and name not in own and not is_setting(name):
            _refuse(name, values, having[0].source, task.name)


def installed(package: str) -> str:
    """A package's version, without importing it; "unknown" for a checkout that is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _planned(
    found: ResolvedMethod, asked: Study, laid: Layout, combined: Sequence[Mapping[str, Choice]], alone: bool
) -> list[Contender]:
    """A rule with each combination of what is varied; all have the same trials."""
    method, fixed, ranges, size = found.method, found.fixed, found.ranges, laid.size
    draw, numbers = laid.draw(asked.study_seed), range(laid.trials)
    trials = tuple(configuration(method, fixed, k, size, draw, ranges) for k in numbers)
    places = [place(method, fixed, k, size, draw, ranges) for k in numbers] if laid.design > 1 else []
    plain = Contender(
        label=found.label,
        name=found.name,
        source=found.source,
        hash=found.hash,
        text=found.text,
        trials=trials,
        searched={name: str(side) for name, side in searched(method, fixed, size, ranges).items()},
        asked=found.full_label,
        edges=tuple(at_an_edge(method, fixed, values, size, ranges) for values in trials),
        places=tuple(each for each in places if each is not None),
    )
    for options in combined:
        settings = settings_of(asked.settings, options)
        _check_decay(found, trials, settings)
        _check_schedules(found, trials, settings)
        _check_readout(found, settings)
    if not asked.vary:
        return [plain]
    return [
        replace(plain, label=label, name=name, rule=found.label, options=options)
        for options in combined
        for label, name in [_called(found, combination_text(options), alone)]
    ]


def _check_decay(found: ResolvedMethod, trials: Sequence[Mapping[str, Value]], settings: Settings) -> None:
    """A kind of decay, where the rule has one, and something to decay with."""
    if "decay" not in settings.chain:
        return
    if not found.method.takes_decay:
        own = (
            "its weight decay is part of its own formula"
            if found.method.rule
            else "it is no rule of thalweg by its name"
        )
        raise StudyError(f"decay cannot be chosen for {found.label}: {own}")
    if not any(values.get("weight_decay") for values in trials):
        raise StudyError(
            f"{found.label} has a weight decay of 0 in every trial, so the kind of decay would change nothing: "
            f"write {found.source}:weight_decay=0.001"
        )


def _check_schedules(found: ResolvedMethod, trials: Sequence[Mapping[str, Value]], settings: Settings) -> None:
    """The number that follows a schedule, where it is known what there is, and what it is in the trials."""
    for number, setting in SCHEDULES_OF.items():
        asked = settings.schedule if number == "lr" else settings.chain.get(setting, NONE)
        if asked == NONE:
            continue
        called = names_of(number)
        # Another library's optimizer may have what its signature does not say: its training tells.
        if found.method.rule and not any(name in found.method.hypers for name in called):
            raise StudyError(f"{found.label} has no {NAMED[number]}, so {setting}= can change nothing")
        given = [value for values in trials for name, value in values.items() if name.rpartition(".")[2] in called]
        if number != "lr" and given and not any(given):
            raise StudyError(
                f"{found.label} has a {NAMED[number]} of 0 in every trial, so {setting}= would change nothing: write "
                f"{found.source}:{number}={'0.9' if number == 'momentum' else '0.001'}"
            )


def _check_readout(found: ResolvedMethod, settings: Settings) -> None:
    """An average can be tested of what thalweg's own optimizers train, where they do not test one of their own."""
    if settings.readout == "none":
        return
    if found.method.rule is None:
        raise StudyError(
            f"readout={settings.readout} is kept by a rule of thalweg, asked for by its name, while it trains; "
            f"{found.label} is another optimizer, or a function that makes one: compare its weights as they are"
        )
    if tests_other_weights(found.method.rule):
        raise StudyError(
            f"{found.label} tests other weights of its own than those it trains, so readout={settings.readout} cannot "
            "be tested in their place: compare it in a study without readouts"
        )


def _called(found: ResolvedMethod, combination: str, alone: bool) -> tuple[str, str]:
    """Label and name of a rule with a combination. A rule that is alone goes without saying."""
    return (combination,) * 2 if alone else (f"{found.label} {combination}", f"{found.name} with {combination}")


def _at_least(name: str, value: object, low: int, why: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise StudyError(f"{name} must be a whole number, at least {low} ({why}); got {value!r}")
