"""The answer in sentences, as a colleague would say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .intervals import Interval
from .paired import Difference
from .wording import Unit, counted, listed

# A sentence names as many rules; of more it says how many.
NAMED = 4


@dataclass(frozen=True)
class Verdict:
    """``sentences[0]`` is the answer; the others say on what it rests and what to beware of.

    ``best``   label of the rule that is better than all others, if there is one.
    """

    sentences: tuple[str, ...]
    best: str | None = None

    def __str__(self) -> str:
        return " ".join(self.sentences)


@dataclass(frozen=True)
class Contestant:
    """A rule as the verdict sees it.

    ``tuned``         the judged metric over the fresh seeds.
    ``default_won``   its search found nothing better than the default.
    ``searched``      whether it has anything to search; if not, its defaults were all there was to try.
    ``diverged``, ``failed``  how many of the tuned re-runs.
    ``at_edge``       hyperparameters of the winner at an edge of the search box.
    """

    label: str
    name: str
    tuned: Interval
    default_won: bool = False
    searched: bool = True
    diverged: int = 0
    failed: int = 0
    at_edge: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What all rules share. ``metric`` in words ("test accuracy"); ``trials`` of each search."""

    task: str
    metric: str
    unit: Unit
    trials: int
    judged_on_validation: bool = False

    @property
    def budget(self) -> str:
        """What each rule was given, in words."""
        return f"after {self.trials} trials each" if self.trials > 1 else "with defaults, nothing tuned"


def verdict(
    setting: Setting, rules: Sequence[Contestant], pairs: Sequence[Difference], tuning: Mapping[str, Difference]
) -> Verdict:
    """Say what was found.

    ``rules`` at least one, the best mean first, each with the same number of seeds; ``pairs`` every two of them in
    that order, tuned against tuned; ``tuning`` tuned minus default, by label, of the rules that tuning changed.
    """
    between = {(pair.first, pair.second): pair for pair in pairs}
    leader, others = rules[0], rules[1:]
    towards = [between[leader.label, other.label] for other in others]
    level = setting.unit.value(leader.tuned.mean, leader.tuned)
    if not others:
        answer = [f"On {setting.task}, {setting.budget}, {leader.name} reaches {setting.metric} {level}."]
        answer.append("There is nothing to compare it with.")
    else:
        answer = [
            f"On {setting.task}, {setting.budget}, {_answer(leader, others, towards)}.",
            f"{setting.metric[:1].upper()}{setting.metric[1:]}: {_measured(setting, leader, others, towards)}.",
        ]
    won = bool(others) and all(found.answer == "better" for found in towards)
    return Verdict(
        (
            *answer,
            *_other_pairs(rules, between),
            *_lost(setting, rules),
            *_tuning(setting, rules, tuning),
            *_caveats(setting, rules, pairs, tuning),
        ),
        leader.label if won else None,
    )


def _answer(leader: Contestant, others: Sequence[Contestant], towards: Sequence[Difference]) -> str:
    """AdamW is better than SGD; cannot tell AdamW from Lion or Momentum."""
    tied = [other.name for other, found in zip(others, towards, strict=True) if found.answer != "better"]
    if tied:
        return f"cannot tell {leader.name} from {_few(tied, 'or')}"
    return f"{leader.name} is better than {_few([other.name for other in others])}"


def _measured(setting: Setting, leader: Contestant, others: Sequence[Contestant], towards: Sequence[Difference]) -> str:
    """The numbers behind the answer: the leader against those it is tied with, or, if it won, against the next."""
    unit, shown = setting.unit, []
    tied = [(o, found) for o, found in zip(others, towards, strict=True) if found.answer != "better"]
    for other, found in tied[:NAMED] or [(others[0], towards[0])]:
        level = unit.value(other.tuned.mean, other.tuned)
        which = other.name if tied or len(others) == 1 else f"{other.name}, the next"
        shown.append(f"{level} ({which}; difference {_size(unit, found)})")
    numbers = f"{unit.value(leader.tuned.mean, leader.tuned)} ({leader.name}) against {listed(shown)}"
    reasons = {found.why for _, found in tied}
    if "noise" in reasons:
        more = [found.more_seeds for _, found in tied if found.why == "noise"]
        known = [seeds for seeds in more if seeds is not None]
        if len(known) == len(more):
            return f"{numbers}; about {counted(max(known), 'more seed')} might tell"
        return f"{numbers}; it would take many more seeds to tell"
    if "constant" in reasons:
        return f"{numbers}: more seeds would show it, or a script that uses trial.seed"
    return numbers


def _size(unit: Unit, found: Difference) -> str:
    """+1.3 points, +0.9 to +1.7."""
    seeds = counted(found.interval.n, "seed")
    if found.why == "equal":
        return f"0 in each of {seeds}"
    if found.why == "constant":
        return f"{unit.difference(found.interval)} in each of {seeds}, so that the noise is unknown"
    return f"{unit.difference(found.interval)}, {unit.bounds(found.interval)}"


def _other_pairs(ranked: Sequence[Contestant], between: Mapping[tuple[str, str], Difference]) -> list[str]:
    """Who beats whom, the sentence before apart; rules that beat the same ones stand together."""
    if len(ranked) < 3:
        return []
    told = all(between[ranked[0].label, other.label].answer == "better" for other in ranked[1:])
    groups: dict[tuple[str, ...], list[str]] = {}
    doubtful = 0
    for place, rule in enumerate(ranked):
        if place == 0 and told:
            continue
        below = ranked[place + 1 :]
        beaten = tuple(other.name for other in below if between[rule.label, other.label].answer == "better")
        doubtful += (len(below) - len(beaten)) * (place > 0)
        if beaten:
            groups.setdefault(beaten, []).append(rule.name)
    clauses = [
        f"{_few(names)} {'is' if len(names) == 1 else 'are each'} better than {_few(beaten)}"
        for beaten, names in groups.items()
    ]
    if doubtful:
        clauses.append("the remaining pairs cannot be told apart" if clauses else "The others cannot be told apart")
    return [f"{'; '.join(clauses)}."] if clauses else []


def _lost(setting: Setting, rules: Sequence[Contestant]) -> list[str]:
    found = []
    how = "tuned " if setting.trials > 1 else ""
    for rule in rules:
        for number, what in ((rule.diverged, "diverged"), (rule.failed, "failed")):
            if number:
                many = "All" if number == rule.tuned.n else f"{number}"
                found.append(
                    f"{many} of the {rule.tuned.n} re-runs of {how}{rule.name} {what}; "
                    f"{'it counts' if number == 1 else 'they count'} with the value before training, or, without one, "
                    "with the worst value reported."
                )
    return found


def _tuning(setting: Setting, rules: Sequence[Contestant], tuning: Mapping[str, Difference]) -> list[str]:
    """What tuning gained: how it compares with what another rule gains is for the reader."""
    if setting.trials == 1:
        return []
    clauses = []
    for answer, words in (("better", "helped"), ("worse", "hurt"), ("cannot tell", "may or may not have helped")):
        moved = [rule for rule in rules if not rule.default_won and tuning[rule.label].answer == answer]
        if moved:
            sizes = [f"{rule.name} ({_size(setting.unit, tuning[rule.label])})" for rule in moved]
            clauses.append(f"{words} {listed(sizes)}")
    found = [f"Tuning {'; it '.join(clauses)}."] if clauses else []
    alone = [rule.name for rule in rules if not rule.searched]
    if alone:
        them, their = ("it", "its") if len(alone) == 1 else ("they", "their")
        found.append(f"{listed(alone)}: nothing to search, so {them} ran with {their} values as given, not tuned.")
    still = [rule.name for rule in rules if rule.default_won and rule.searched]
    if still:
        their = "its default" if len(still) == 1 else "their defaults"
        found.append(f"For {listed(still)} no trial did better on validation than {their}.")
    return found


def _caveats(
    setting: Setting, rules: Sequence[Contestant], pairs: Sequence[Difference], tuning: Mapping[str, Difference]
) -> list[str]:
    found = []
    if setting.judged_on_validation:
        found.append(
            f"The task reports no test value, so {setting.metric} chose the winners and judges them, which flatters "
            "tuned rules; report a test metric."
        )
    edges = [f"{rule.name} ({', '.join(rule.at_edge)})" for rule in rules if rule.at_edge]
    if edges:
        found.append(f"At an edge of the search, where a wider one may find better: {listed(edges)}.")
    return [*found, _scope(rules, pairs, tuning)]


def _scope(rules: Sequence[Contestant], pairs: Sequence[Difference], tuning: Mapping[str, Difference]) -> str:
    """Which intervals are meant, for all sentences at once."""
    seeds = f"over new seeds ({rules[0].tuned.n} were run, the same for all)"
    known = [*pairs, *tuning.values()]
    if not known:
        return f"This is about one configuration {seeds}; another search might pick another."
    families = [(len(pairs), "pairs"), (len(tuning), "changes by tuning")]
    jointly = [f"jointly for the {number} {what}" for number, what in families if number > 1]
    ranges = ", ".join((f"{100 * known[0].interval.level:g}% intervals", *jointly, seeds))
    return f"Ranges: {ranges}. They are about these configurations; another search might pick others."


def _few(names: Sequence[str], last: str = "and") -> str:
    """The names, or, where they are many, their number."""
    return listed(names, last) if len(names) <= NAMED else f"{len(names)} others"
