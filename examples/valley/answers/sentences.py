"""The findings in sentences: the page's first lines, and all of findings.md."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thalweg.stats.difference import Difference
from thalweg.stats.wording import counted, listed

from .anew import count_of, range_of
from .noise import Noise, Ratio
from .standing import Standing, against, told
from .switching import Switching
from .task import OnTask

# Of which the paper says that they are close to Adam.
CLOSE = ("nag", "rmsprop")
LOSSES = " Of errors ratios are given, of losses differences: lower is better."


@dataclass(frozen=True)
class Said:
    """A finding: ``lead``, what one reads first, and ``rest``, the numbers behind it."""

    lead: str
    rest: str


def first(tasks: Sequence[OnTask], standings: Sequence[Standing]) -> Said:
    """Whether the reference is, of the searches that the answer is about."""
    name, many = _reference(tasks), len(tasks)
    counts = count_of([each.chance for each in standings])
    low, high = range_of(counts)
    most = float(counts[many // 2 + 1 :].sum())
    best = _on(sum(each.rank == 1 for each in standings), many)
    unbeaten = _on(sum(not told(each, "better") for each in tasks), many)
    trials = counted(standings[0].trials, "trial")
    return Said(
        f"Tuned with {trials}, {name} has the best mean {best}; {unbeaten} no rule is told to be better.",
        f"In such a benchmark made anew {name} comes first on {low} to {high} of them (95%), on most of them with a "
        f"probability of {most:.0%}. {many} tasks are no sample of all tasks: this counts on these.",
    )


def close(tasks: Sequence[OnTask], label: str) -> Said:
    """A rule against the reference, task by task, as the comparisons themselves say it."""
    judged = [(task, found) for task in tasks if (found := against(task, label)) is not None]
    by_answer: dict[str, list[str]] = {}
    for task, found in judged:
        by_answer.setdefault(found.answer, []).append(task.name)
    answers = "; ".join(f"{answer} on {listed(names)}" for answer, names in sorted(by_answer.items()))
    name = tasks[0].names[label]
    return Said(f"{name} against {_reference(tasks)}: {answers}.", f"By task: {_sizes(judged)}.{LOSSES}")


def switched(tasks: Sequence[OnTask], found: Sequence[Switching]) -> Said:
    """Tuning one rule against choosing among the defaults of all, task by task."""
    name, n = _reference(tasks), found[0].trainings
    answers = [each.difference.answer for each in found]
    better, worse = answers.count("better"), answers.count("worse")
    sizes = _sizes([(task, each.difference) for task, each in zip(tasks, found, strict=True)])
    return Said(
        f"At {n} trainings each, {name} tuned is better than the best of the {n} defaults {_on(better, len(tasks))} "
        f"and worse on {worse}; on {len(tasks) - better - worse} it cannot be told.",
        f"{name} tuned against that default: {sizes}. The {len(tasks)} intervals hold together at 95%.{LOSSES}",
    )


def noisy(tasks: Sequence[OnTask], found: Sequence[Noise]) -> Said:
    """How far apart results lie: of the rules, of one tuned anew, of one with other seeds."""

    def ratios(of: Callable[[Noise], Ratio]) -> str:
        return "; ".join(f"{task.name} {of(each).text}" for task, each in zip(tasks, found, strict=True))

    name, trials = _reference(tasks), counted(tasks[0].judged, "trial")
    wider = sum(each.rules_to_anew.low > 1 for each in found)
    return Said(
        f"Results of the rules, each tuned with {trials}, are told to lie further apart than those of {name} alone, "
        f"tuned anew, {_on(wider, len(tasks))}.",
        f"So many times as far: {ratios(lambda each: each.rules_to_anew)}. {name} tuned anew spreads so many times as "
        f"far as its winners with other seeds: {ratios(lambda each: each.anew_to_seeds)}. Of either ratio the "
        f"{len(tasks)} intervals hold together at 95%.",
    )


def _reference(tasks: Sequence[OnTask]) -> str:
    return tasks[0].names[tasks[0].reference]


def _on(count: int, of: int) -> str:
    return f"on {count} of the {counted(of, 'task')}"


def _sizes(found: Sequence[tuple[OnTask, Difference]]) -> str:
    return "; ".join(
        f"{task.name} {task.unit.difference(each.interval)} ({task.unit.bounds(each.interval)})" for task, each in found
    )
