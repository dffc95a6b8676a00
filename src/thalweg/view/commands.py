"""A comparison in the words of the command line."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from thalweg.stats.wording import value_text
from thalweg.study.ask.arguments import written_arguments
from thalweg.study.ask.designs import largest, usual
from thalweg.study.ask.task_references import trains_stacks
from thalweg.study.ask.varying import written_again
from thalweg.study.model.cells import CPU
from thalweg.study.model.plan import Plan


def heading(*plans: Plan) -> str:
    """What is compared on what, short: adamw, lion with norm=batch,layer on digits-cnn."""
    plan = plans[0]
    rules, vary = ", ".join(dict.fromkeys(rule.rule or rule.label for rule in plan.rules)), _varied(plan)
    options = " and ".join(vary)
    compared = options if plan.rule_name else f"{rules} with {options}" if vary else rules
    return f"{compared} on {', '.join(each.place for each in plans)}"


def again(plans: Sequence[Plan], store: Path | None) -> str:
    """The command that makes the comparison again, or goes on with it; a line each where tasks differ in more."""
    alike: dict[tuple[str, ...], list[str]] = {}
    single = not any(plan.lockstep for plan in plans) and any(trains_stacks(plan.task_source) for plan in plans)
    for plan in plans:
        alike.setdefault(_settings(plan, store, single), []).append(plan.task_source or plan.task)
    lines = (["thalweg", "compare", ",".join(tasks), *words] for words, tasks in alike.items())
    return "\n".join(map(shlex.join, lines))


def rerun(store: Path | None) -> str:
    """The command that trains one run again."""
    return f"thalweg rerun {shlex.quote(str(store)) if store else 'STORE'} KEY"


def _varied(plan: Plan) -> list[str]:
    return written_again(rule.options for rule in plan.rules)


def _settings(plan: Plan, store: Path | None, single: bool) -> tuple[str, ...]:
    """All but the task."""
    words = ["-r", ",".join(dict.fromkeys(rule.reference for rule in plan.rules))]
    words += [word for given in _varied(plan) for word in ("--vary", given)]
    words += ["--trials", str(plan.trials), "--seeds", str(plan.seeds), "--study-seed", str(plan.study_seed)]
    words += [*_budgets(plan), *_common(plan)]
    words += ["--hold", ",".join(plan.held)] if plan.held else []
    words += ["--metric", plan.metric] if plan.metric else []
    words += ["--against", plan.against] if plan.against else []
    for name, value in (("matters", plan.matters), ("target", plan.target)):
        words += [] if value is None else [f"--{name}", value_text(value)]
    words += ["--store", str(store)] if store else []
    words += [] if plan.device == CPU else ["--devices", "cuda"]
    words += ["--single"] if single else []
    words += written_arguments(plan.arguments)
    return tuple(words)


def _budgets(plan: Plan) -> list[str]:
    if plan.minutes is not None:
        return ["--minutes", value_text(plan.minutes)]
    # A study of before has what its store says of it.
    if plan.design == 1 or plan.budgets in ((), usual(plan.trials)):
        return []
    (budget,) = plan.budgets
    return ["--budget", str(budget)] if budget <= largest(plan.trials) else []


def _common(plan: Plan) -> list[str]:
    """The settings that all have, where they are not as the task has them."""
    words = ["--schedule", plan.settings.schedule] if plan.settings.schedule != "none" else []
    words += ["--readout", plan.settings.readout] if plan.settings.readout != "none" else []
    for name, value in plan.settings.chain.items():
        words += [f"--{name.replace('_', '-')}", "none" if value is None else value_text(value)]
    return words
