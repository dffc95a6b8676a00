"""Several comparisons of the same rules, task by task: what they say together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thalweg.stats.difference import Difference
from thalweg.stats.profile import Profile, performance_profile
from thalweg.stats.ranks import Ranking, critical_difference, enough_tasks
from thalweg.stats.wins import WinMatrix, win_matrix
from thalweg.stats.wording import counted, listed

from .findings import Findings

# Within how many times the best cost a profile is drawn: AlgoPerf's limit (mlcommons/algorithmic-efficiency).
UP_TO = 4.0
POINTS = 121


@dataclass(frozen=True)
class Across:
    """What comparisons on several tasks say together.

    ``wins``      on how many tasks one is better than another.
    ``profile``   Dolan & More's, of 1 - accuracy or of the loss; None where a loss can be negative.
    ``ranking``   mean ranks with the critical difference; None with fewer tasks than it needs.
    ``sentences``  the answer first.
    """

    wins: WinMatrix
    profile: Profile | None
    ranking: Ranking | None
    sentences: tuple[str, ...]


def across(comparisons: Sequence[Findings]) -> Across | None:
    """Of finished comparisons on two tasks or more, each with the same rules; None where there is nothing to say."""
    if len(comparisons) < 2 or any(found.missing or not headline(found) for found in comparisons):
        return None
    labels = [row.contender for row in comparisons[0].rows]
    if any([row.contender for row in found.rows] != labels for found in comparisons):
        return None
    # On some task every run of one may have failed.
    costs = {found.plan.task: _costs(found) for found in comparisons}
    if any(each.keys() != {*labels} for each in costs.values()):
        return None
    wins = win_matrix({found.plan.task: headline(found) for found in comparisons})
    positive = all(cost >= 0 for each in costs.values() for cost in each.values())
    taus = [1 + (UP_TO - 1) * i / (POINTS - 1) for i in range(POINTS)]
    profile = performance_profile(costs, taus, up_to=UP_TO) if positive else None
    ranking = critical_difference(costs, higher_is_better=False) if enough_tasks(len(costs)) else None
    names = {row.contender: row.name for row in comparisons[0].rows}
    with_ = {names[each.second] for found in comparisons for each in headline(found)}
    sentences = _sentences(wins, ranking, names, len(comparisons), with_.pop() if len(with_) == 1 else "another")
    return Across(wins, profile, ranking, tuple(sentences))


def headline(found: Findings) -> Sequence[Difference]:
    """The differences that the answer is about."""
    return found.family.contrasts if found.family else ()


def _costs(found: Findings) -> dict[str, float]:
    """What each lacks to the best there can be: lower is better."""
    assert found.metric is not None
    means = (
        {label: level.mean for label, level in found.searches.intervals.items()}
        if found.searches
        else {row.contender: row.tuned.mean for row in found.rows if row.tuned}
    )
    if found.metric.is_share:
        return {label: max(1 - mean, 0.0) for label, mean in means.items()}
    return {label: -mean if found.metric.higher_is_better else mean for label, mean in means.items()}


def _sentences(
    wins: WinMatrix, ranking: Ranking | None, names: Mapping[str, str], tasks: int, reference: str
) -> list[str]:
    """``reference``: the name of the one that the others were compared with."""
    beaten: dict[str, list[str]] = {}
    for record in wins.records:
        if record.wins == tasks:
            beaten.setdefault(record.first, []).append(record.second)
    everywhere = [
        f"{names[label]} is better than {listed([names[other] for other in others])}"
        for label, others in beaten.items()
    ]
    best = next((label for label, others in beaten.items() if len(others) == len(names) - 1), None)
    if best is not None:
        found = [f"On each of the {tasks} tasks {names[best]} is better than all others."]
    elif everywhere:
        found = [f"On each of the {tasks} tasks: {'; '.join(everywhere)}."]
    else:
        found = [f"No rule is better than {reference} on all of the {tasks} tasks, or worse."]
    asked = {frozenset((record.first, record.second)): record for record in wins.records}.values()
    undecided = sum(record.undecided for record in asked)
    every = sum(record.tasks for record in asked)
    found.append(
        f"Of the {counted(every, 'comparison')} of two rules on a task, {every - undecided} can be told, {undecided} "
        "cannot."
    )
    if ranking is not None:
        found.append(
            f"Mean ranks differ by at least {ranking.critical_difference:.2f} where they can be told apart over tasks."
        )
    return found
