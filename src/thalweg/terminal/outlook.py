"""What a comparison would cost and tell, as it is printed before it runs."""

from math import isfinite

from thalweg.stats.wording import counted
from thalweg.study.run.outlook import Outlook
from thalweg.view.words import duration


def lines(found: Outlook) -> list[str]:
    """A few sentences on one task."""
    return [*_cost(found), *(_told(found) if found.told else _worlds(found))]


def _cost(found: Outlook) -> list[str]:
    plan = found.plan
    searched = "" if not plan.budgets else f", judged as searches of {plan.budgets[-1]}"
    size = (
        f"On {plan.place}: {counted(len(plan.rules), 'contender')}, {counted(plan.trials, 'trial')} each{searched}, "
        f"{plan.seeds} fresh seeds: {found.search} trainings, and at most {found.again} re-runs."
        if plan.minutes is None
        else f"On {plan.place}: {counted(len(plan.rules), 'contender')}, a search of {plan.minutes:g} minutes each, "
        f"{plan.seeds} fresh seeds: at most {found.again} re-runs."
    )
    stored = f" {found.stored} are stored." if found.stored else ""
    time = (
        f"One takes about {duration(found.seconds)} here, so {'what is left' if found.stored else 'all'} at most "
        f"{_long(found.remaining)} with {counted(found.workers, 'worker')}."
    )
    return [size + stored, time]


def _long(seconds: float) -> str:
    """A time that one waits for."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _told(found: Outlook) -> list[str]:
    """From the runs there are."""
    assert found.metric is not None
    unit = found.metric.unit
    known = [each for each in found.told if isfinite(each.now)]
    if not known:
        return ["These runs do not say how much they vary, so not what a comparison would tell."]
    larger = "twice the minutes" if found.plan.minutes is not None else f"--trials {2 * found.judged - 1}"
    said = [
        f"{each.first} against {each.second}: {unit.size(each.now)}; with {larger}, {unit.size(each.larger)} or less."
        for each in known
    ]
    of = "this size" if found.judged == found.plan.trials else f"{found.judged} trials"
    return [f"By its runs, a comparison of {of} tells in 4 of 5 cases, if there is so large a difference:", *said]


def _worlds(found: Outlook) -> list[str]:
    worlds = found.worlds
    if worlds is None:
        return [
            "It is too small for a word on rules (from 9 trials on): settings are compared."
            if not found.plan.budgets and found.plan.minutes is None
            else "What it would tell is known once runs are stored."
        ]
    low, high = worlds.errors
    least, most = worlds.spreads
    size = f"{worlds.trials} trials judged as searches of {worlds.budget}, {worlds.seeds} seeds"
    return [
        f"In simulated worlds ({size}) comparisons tell in 4 of 5 cases: of accuracies, {low:.2g} to {high:.2g} times "
        f"the errors; of anything, differences of {least:.2g} to {most:.2g} times the spread of one training from seed "
        "to seed. Once runs are stored, the same command says it of yours.",
    ]
