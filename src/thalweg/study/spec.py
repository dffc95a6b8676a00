"""What the user asks for, validated: a `Study`; and its resolution into a `Plan`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from thalweg.tasks.task import Choice

from .draws import at_an_edge, configuration, run_seed, searched
from .errors import StudyError
from .plan import Plan, PlannedRule
from .rule_references import ResolvedRule, reference_to, resolve_rule
from .task_references import resolve_task
from .varying import combination_text, combinations, values_of

# Results depend on these: a study that goes on under other versions trains anew.
COMPUTING = ("thalweg", "torch")


class Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A comparison as the user writes it.

    ``task``        ``digits-mlp``, ``quadratic-deep:instance=2``, or ``my_script.py:train``.
    ``rules``       ``adamw``, ``sgd:momentum=0.9``, ``my_rules.py:SignMomentum``.
    ``trials``      configurations tried for each rule, the default included.
    ``seeds``       fresh seeds with which the default and the winner of each rule are re-run; at least 2.
    ``study_seed``  of the draws and of all runs.
    ``metric``      ``accuracy``, ``loss``, ...; None: accuracy if the task reports it, else loss.
    ``vary``        options of the task with the values to compare, ``{"norm": ("batch", "layer")}``; every rule is
                    trained with every combination.
    """

    task: str
    rules: tuple[str, ...]
    trials: int = 25
    seeds: int = 5
    study_seed: int = 0
    metric: str | None = None
    vary: Mapping[str, tuple[Choice, ...]] = {}

    def __post_init__(self) -> None:
        _at_least("trials", self.trials, 1, "the default alone is 1 trial")
        _at_least("seeds", self.seeds, 2, "one run says nothing about the noise between runs")
        _at_least("study_seed", self.study_seed, 0, "it numbers studies")
        if not self.rules:
            raise StudyError("name at least one rule to compare, for instance 'adamw'")
        msgspec.structs.force_setattr(self, "vary", values_of(self.vary))


def study(task: str, rules: Sequence[str | type] | str | type, **settings: Any) -> Study:
    """A `Study` from Python: rules may also be Rule subclasses or optimizer classes. Raises `StudyError`."""
    given = (rules,) if isinstance(rules, str | type) else tuple(rules)
    names = tuple(rule if isinstance(rule, str) else _reference(rule) for rule in given)
    if unknown := sorted(set(settings) - set(Study.__struct_fields__)):
        raise StudyError(f"a study has no setting {unknown[0]!r}; it has {', '.join(Study.__struct_fields__)}")
    return Study(task=task, rules=names, **settings)


def resolve(asked: Study) -> Plan:
    """Find task and rules and draw every configuration. Raises `StudyError`; runs no training."""
    task = resolve_task(asked.task)
    rules = [resolve_rule(reference) for reference in asked.rules]
    labels = [rule.label for rule in rules]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise StudyError(f"the rule {twice} is listed twice: give each once, or rename one of the classes")
    combined = combinations(task, asked.vary)
    return Plan(
        task=task.name,
        task_hash=task.hash,
        task_source=task.source,
        task_summary=task.summary,
        rules=tuple(each for rule in rules for each in _planned(rule, asked, combined, len(rules) == 1)),
        study_seed=asked.study_seed,
        metric=asked.metric,
        tuning_seed=run_seed(asked.study_seed, 0),
        fresh_seeds=tuple(run_seed(asked.study_seed, 1 + i) for i in range(asked.seeds)),
        versions={name: installed(name) for name in COMPUTING},
        options=task.options,
        rule_name=rules[0].name if asked.vary and len(rules) == 1 else "",
    )


def installed(package: str) -> str:
    """A package's version, without importing it; "unknown" for a checkout that is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _planned(
    found: ResolvedRule, asked: Study, combined: Sequence[Mapping[str, Choice]], alone: bool
) -> list[PlannedRule]:
    """A rule with each combination of what is varied; all have the same trials."""
    trials = tuple(
        configuration(found.rule, found.fixed, k, asked.trials, asked.study_seed) for k in range(asked.trials)
    )
    plain = PlannedRule(
        label=found.label,
        name=found.name,
        source=found.source,
        hash=found.hash,
        text=found.text,
        trials=trials,
        searched={name: str(side) for name, side in searched(found.rule, found.fixed, asked.trials).items()},
        edges=tuple(at_an_edge(found.rule, found.fixed, values, asked.trials) for values in trials),
    )
    if not asked.vary:
        return [plain]
    return [
        replace(plain, label=label, name=name, rule=found.label, options=options)
        for options in combined
        for label, name in [_called(found, combination_text(options), alone)]
    ]


def _called(found: ResolvedRule, combination: str, alone: bool) -> tuple[str, str]:
    """Label and name of a rule with a combination. A rule that is alone goes without saying."""
    return (combination,) * 2 if alone else (f"{found.label} {combination}", f"{found.name} with {combination}")


def _reference(rule: object) -> str:
    if not isinstance(rule, type):
        raise StudyError(f"a rule is a name such as 'adamw', or a Rule class; got {rule!r}")
    return reference_to(rule)


def _at_least(name: str, value: object, low: int, why: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise StudyError(f"{name} must be a whole number, at least {low} ({why}); got {value!r}")
