"""The answer in sentences, as a colleague would say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .intervals import Interval
from .paired import Difference
from .wording import Unit, counted, listed


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
    ``diverged``, ``failed``  how many of the tuned re-runs.
    ``at_edge``       hyperparameters of the winner at an edge of the search box.
    """

    label: str
    name: str
    tuned: Interval
    default_won: bool = False
    diverged: int = 0
    failed: int = 0
    at_edge: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What all rules share. ``metric`` in words ("test accuracy"); ``trials`` of each search."""

    task: str
    metric: str
    higher_is_better: bool
    unit: Unit
    trials: int
    judged_on_validation: bool = False

    def called(self, contestant: Contestant) -> str:
        """tuned AdamW; AdamW with its defaults, where nothing was searched."""
        return f"tuned {contestant.name}" if self.trials > 1 else f"{contestant.name} with its defaults"


def verdict(
    setting: Setting, rules: Sequence[Contestant], pairs: Sequence[Difference], tuning: Mapping[str, Difference]
) -> Verdict:
    """Say what was found.

    ``rules`` at least one, each with the same number of seeds; ``pairs`` every two of them, tuned against tuned;
    ``tuning`` tuned minus default, by label.
    """
    ranked = sorted(rules, key=lambda r: r.tuned.mean, reverse=setting.higher_is_better)
    leader = ranked[0]
    towards = {other.label: _seen_from(leader, other, pairs) for other in ranked[1:]}
    beaten = [other for other in ranked[1:] if towards[other.label].answer == "better"]
    sentences = [_answer(setting, ranked, towards, beaten)]
    if len(rules) > 2:
        sentences += [_other_pair(setting, pair, rules) for pair in _others(pairs, leader)]
    sentences += _lost(setting, rules)
    sentences += _tuning(setting, rules, tuning)
    sentences += _caveats(setting, rules)
    best = leader.label if len(rules) > 1 and len(beaten) == len(rules) - 1 else None
    return Verdict(tuple(sentences), best)


def _answer(
    setting: Setting, ranked: Sequence[Contestant], towards: Mapping[str, Difference], beaten: Sequence[Contestant]
) -> str:
    leader, others = ranked[0], ranked[1:]
    named, unit = setting.called(leader), setting.unit
    level = unit.value(leader.tuned.mean, leader.tuned)
    seeds = counted(leader.tuned.n, "fresh seed")
    if not others:
        return (
            f"On {setting.task}, {named} reaches {setting.metric} {level} ({_percent(leader.tuned)} interval "
            f"{unit.levels(leader.tuned)}, over {seeds}, this configuration); there is nothing to compare it with."
        )
    if len(others) == 1:
        return _pair_sentence(setting, leader, others[0], towards[others[0].label], opening=f"On {setting.task}, ")
    if len(beaten) == len(others):
        losers = listed([setting.called(other) for other in others])
        levels = listed([unit.value(other.tuned.mean, other.tuned) for other in others])
        differences = listed([_measured(setting, towards[other.label], brief=True) for other in others])
        return (
            f"On {setting.task}, {named} is better than {losers}: {setting.metric} {level} against {levels}, "
            f"differences {differences} ({_scope(towards[others[0].label])})."
        )
    doubtful = [other for other in others if other not in beaten]
    tied = listed([setting.called(other) for other in doubtful], "or")
    differences = listed([_measured(setting, towards[other.label], brief=True) for other in doubtful])
    more = [towards[other.label].more_seeds for other in doubtful]
    known = [seeds for seeds in more if seeds is not None]
    hope = (
        f"about {counted(max(known), 'more seed')} might tell"
        if known and None not in more
        else _no_hope([towards[other.label] for other in doubtful])
    )
    also = f" It is better than {listed([setting.called(other) for other in beaten])}." if beaten else ""
    return (
        f"On {setting.task}, cannot tell which rule is best: {named} leads with {setting.metric} {level}, but cannot "
        f"be told from {tied}: {'differences' if len(doubtful) > 1 else 'difference'} {differences} "
        f"({_scope(towards[doubtful[0].label])}); {hope}.{also}"
    )


def _pair_sentence(setting: Setting, first: Contestant, second: Contestant, found: Difference, opening: str) -> str:
    unit = setting.unit
    a, b = setting.called(first), setting.called(second)
    levels = (
        f"{setting.metric} {unit.value(first.tuned.mean, first.tuned)} against "
        f"{unit.value(second.tuned.mean, second.tuned)}"
    )
    if found.answer != "cannot tell":
        said = f"{opening}{a} is {found.answer} than {b}: {levels}, difference {_measured(setting, found)}."
        return said if opening else said[0].upper() + said[1:]
    start = f"{opening}cannot tell" if opening else "Cannot tell"
    if found.why == "equal":
        return f"{start} {a} from {b}: {levels}, the same in each of {counted(found.interval.n, 'seed')}."
    if found.why == "constant":
        return (
            f"{start} {a} from {b}: {levels}, but the difference of {unit.difference(found.interval)} was exactly the "
            f"same in each of {counted(found.interval.n, 'seed')}, so the noise is unknown: more seeds, or a script "
            "that uses trial.seed, would show it."
        )
    more = found.more_seeds
    hope = f"about {counted(more, 'more seed')} might tell" if more is not None else _no_hope([found])
    return f"{start} {a} from {b}: {levels}, difference {_measured(setting, found)}; {hope}."


def _other_pair(setting: Setting, pair: Difference, rules: Sequence[Contestant]) -> str:
    by_label = {rule.label: rule for rule in rules}
    return _pair_sentence(setting, by_label[pair.first], by_label[pair.second], pair, opening="")


def _measured(setting: Setting, found: Difference, *, brief: bool = False) -> str:
    interval, unit = found.interval, setting.unit
    if brief:
        return f"{unit.difference(interval)} ({unit.bounds(interval)})"
    level = "" if found.together > 1 else f"{_percent(interval)} "
    return f"{unit.difference(interval)} ({level}interval {unit.bounds(interval)}, {_scope(found)})"


def _scope(found: Difference) -> str:
    together = f"{_percent(found.interval)} together for {found.together} pairs, " if found.together > 1 else ""
    return f"{together}paired over {counted(found.interval.n, 'fresh seed')}, these configurations"


def _no_hope(found: Sequence[Difference]) -> str:
    if all(one.why in ("equal", "constant") for one in found):
        return "the seeds show no noise to judge by"
    return "it would take many more seeds"


def _lost(setting: Setting, rules: Sequence[Contestant]) -> list[str]:
    found = []
    for rule in rules:
        for number, what in ((rule.diverged, "diverged"), (rule.failed, "failed")):
            if number:
                all_of = "all" if number == rule.tuned.n else f"{number}"
                found.append(
                    f"{all_of[0].upper() + all_of[1:]} of the {rule.tuned.n} re-runs of {setting.called(rule)} {what}; "
                    f"{'it counts' if number == 1 else 'they count'} with the value before training, or, without one, "
                    "with the worst value reported."
                )
    return found


def _tuning(setting: Setting, rules: Sequence[Contestant], tuning: Mapping[str, Difference]) -> list[str]:
    """What tuning gained, beside what switching rules gains."""
    if setting.trials == 1:
        return ["Nothing was tuned: with 1 trial a rule is run with its defaults."]
    moved = [rule for rule in rules if not rule.default_won]
    still = [rule.name for rule in rules if rule.default_won]
    found = []
    if moved:
        words = {"better": "", "worse": ", for the worse", "cannot tell": ", which may be noise"}
        gains = [
            f"{rule.name} by {_measured(setting, tuning[rule.label], brief=True)}{words[tuning[rule.label].answer]}"
            for rule in moved
        ]
        together = tuning[moved[0].label].together
        level = _percent(tuning[moved[0].label].interval)
        holds = f"{level} intervals together" if together > 1 else f"{level} interval"
        found.append(f"Tuning moved {listed(gains)} against its default ({holds}).")
    if still:
        their = "its default" if len(still) == 1 else "their defaults"
        found.append(f"For {listed(still)} no trial did better on validation than {their}.")
    return found


def _caveats(setting: Setting, rules: Sequence[Contestant]) -> list[str]:
    found = []
    if setting.judged_on_validation:
        found.append(
            f"The task reports no test value, so {setting.metric} chose the winners and judges them, which flatters "
            "tuned rules; report a test metric."
        )
    found += [
        f"The winner of {rule.name} lies at an edge of its search box ({', '.join(rule.at_edge)}): "
        "a wider box may hold a better one."
        for rule in rules
        if rule.at_edge
    ]
    found.append(
        "The intervals are about these configurations over new seeds; another search might pick others, "
        "which they do not cover."
    )
    return found


def _percent(interval: Interval) -> str:
    return f"{100 * interval.level:g}%"


def _others(pairs: Sequence[Difference], leader: Contestant) -> list[Difference]:
    return [pair for pair in pairs if leader.label not in (pair.first, pair.second)]


def _seen_from(leader: Contestant, other: Contestant, pairs: Sequence[Difference]) -> Difference:
    """The pair with the leader first, whichever way round it is stored."""
    for pair in pairs:
        if (pair.first, pair.second) == (leader.label, other.label):
            return pair
        if (pair.first, pair.second) == (other.label, leader.label):
            return pair.reversed()
    raise ValueError(f"no pair of {leader.label} and {other.label}")
