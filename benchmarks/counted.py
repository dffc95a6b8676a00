"""What is counted of simulated studies: one function for each table, from a world and a size to a few numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import inf

import numpy as np
from numpy.typing import NDArray

from digits import populations
from shared import Array, Rule, generator
from simulated import Size, answer, independent_width, study, trainings
from thalweg.stats.difference import Difference
from thalweg.stats.planning import detectable
from thalweg.stats.pool import Estimate, gain, procedure
from thalweg.stats.scale import PLAIN
from thalweg.study.judge.family import (
    FALSE,
    OF_SETTINGS,
    Configured,
    Family,
    Judged,
    family_of_configurations,
)
from thalweg.study.judge.notices import stands_alone
from worlds import World, made_up, published, same

Numbers = dict[str, float]
CLAIMS = ("better", "worse")
# Every world is asked these, four of the judging half the others.
SIZES = (Size(17, 5), Size(33, 5))
OTHER_SIZES = (Size(17, 3), Size(33, 8), Size(65, 5), Size(65, 25), Size(17, 5, 3), Size(33, 5, 3))
FOUR = ("fmnist_vae Adam", "cifar10_3c3d Momentum", "3-D ridge", "digits Adam")
SEEDS = (5, 10, 20, 50)
FAILING = (0.03, 0.05, 0.1, 0.2)


@lru_cache(maxsize=1)
def every_world() -> Mapping[str, Rule]:
    """By name."""
    every: tuple[Rule, ...] = (*published(), *made_up(), *populations())
    return {rule.name: rule for rule in every}


@dataclass(frozen=True)
class Intervals:
    """The intervals of one kind in many studies: their means, and half their widths, infinite where there is none."""

    mean: Array
    half: Array

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which have bounds."""
        return np.isfinite(self.half)

    def counted(self, truth: float, prefix: str = "") -> Numbers:
        """How many hold the truth, lie below it, above it, have no bounds; half the median width, bias in their sd."""
        mean, half = self.mean[self.known], self.half[self.known]
        spread = float(mean.std()) if len(mean) else 0.0
        return {
            f"{prefix}inside": int((abs(mean - truth) <= half).sum()),
            f"{prefix}below": int((mean + half < truth).sum()),
            f"{prefix}above": int((mean - half > truth).sum()),
            f"{prefix}none": int((~self.known).sum()),
            f"{prefix}half": float(np.median(self.half)),
            f"{prefix}bias": float(mean.mean() - truth) / spread if spread else 0.0,
        }


def intervals(found: Sequence[Estimate], level: float = 0.95) -> Intervals:
    """At this level."""
    return Intervals(
        np.array([each.mean for each in found]), np.array([each.half(level) if each.se else inf for each in found])
    )


def coverage(rule: Rule, size: Size, studies: int) -> Numbers:
    """Of one rule's interval, and of the difference of two that are the same: in one study, and as studies were before.

    What `plan` would name from each study is planted in the next.
    """
    rng, n = generator("coverage", rule.name, size), size.n
    one, two, before, two_before, needed, alone = [], [], [], [], [], 0
    for _ in range(studies):
        first, second = study((rule, rule), rng, size)
        one.append(procedure(first, n))
        two.append(gain(first, n, second, n))
        needed.append(trainings(first))
        best = first.ranking[0]
        alone += bool(best) and stands_alone(first.places, first.valid, best, first.luck)
        old, other = study((rule, rule), rng, size, even=False)
        before.append(procedure(old, n))
        two_before.append(gain(old, n, other, n))
    truth = rule.truth(n).mean
    return {
        **intervals(one).counted(truth),
        **intervals(two).counted(0.0, "two "),
        **{f"before {key}": value for key, value in intervals(before).counted(truth).items()},
        "before two half": intervals(two_before).counted(0.0)["half"],
        "before two inside": intervals(two_before).counted(0.0)["inside"],
        "trainings": float(np.mean(needed)),
        "alone": alone,
        "independent half": independent_width(rule, n, float(np.mean(needed))),
        **planned(two),
    }


def planned(found: Sequence[Estimate]) -> Numbers:
    """How often a difference is told that is as large as `plan` names from another study."""
    miss = FALSE - OF_SETTINGS
    named = np.array([detectable(each.se, each.df, miss) for each in found])
    new = intervals([*found[1:], found[0]], 1 - miss)
    known = np.isfinite(named)
    told = known & (new.mean + np.where(known, named, 0.0) > new.half)
    return {"planned": int(known.sum()), "planned told": int(told.sum())}


def shapes(first: Rule, second: Rule, size: Size, studies: int) -> Numbers:
    """Of the difference of two rules that are not the same; and as studies were before."""
    rng, n = generator("shapes", first.name, second.name, size), size.n
    found: list[Estimate] = []
    before: list[Estimate] = []
    for _ in range(studies):
        for even, kept in ((True, found), (False, before)):
            a, b = study((first, second), rng, size, even=even)
            kept.append(gain(a, n, b, n))
    truth = first.truth(n).mean - second.truth(n).mean
    each = intervals(found)
    told = abs(each.mean) > each.half
    return {
        **each.counted(truth),
        "told": int((told & (each.mean * truth > 0)).sum()),
        "wrong": int((told & (each.mean * truth <= 0)).sum()),
        **{f"before {key}": value for key, value in intervals(before).counted(truth).items()},
    }


def claims(rule: Rule, rules: int, size: Size, studies: int) -> Numbers:
    """In how many studies of so many rules that are the same anything is called better, and how many say "equal"."""
    rng = generator("claims", rule.name, rules, size)
    contrasts, settings, either, equal = 0, 0, 0, 0
    for _ in range(studies):
        pools = study((rule,) * rules, rng, size)
        found = answer({f"{number}": each for number, each in enumerate(pools)}, size.n, "0", rule)
        of_searches, of_settings = _any_claim(found.contrasts), _any_claim(found.settings)
        contrasts += of_searches
        settings += of_settings
        either += of_searches or of_settings
        equal += sum(each.answer == "equal" for each in found.contrasts)
    return {
        "contrasts": contrasts,
        "settings": settings,
        "either": either,
        "equal": equal / (rules - 1),
    }


def power(size: Size, studies: int) -> Numbers:
    """On the population: each of three rules twice, judged against Adam and against SGD.

    By pair of rules: how often it is told, and with the wrong sign; whether any claim of a whole answer is false.
    """
    rng = generator("power", size)
    rules = {rule.name.removeprefix("digits "): rule for rule in populations()}
    named = {f"{name}{copy}": rule for copy in ("", " again") for name, rule in rules.items()}
    true = {label: rule.truth(size.n).mean for label, rule in named.items()}
    default = {label: rule.default for label, rule in named.items()}
    counted: Numbers = {"false": 0, "missed": 0, "settings told": 0, "settings": 0}
    for _ in range(studies):
        pools = dict(zip(named, study(tuple(named.values()), rng, size), strict=True))
        for reference, others in (("Adam", ("SGD", "Lion")), ("SGD", ("Lion",))):
            found = answer(pools, size.n, reference, rules[reference])
            for each in found.contrasts:
                if each.first in others:
                    pair = f"{reference}-{each.first}"
                    right = (each.interval.mean > 0) == (true[each.first] > true[each.second])
                    told = "told" if right else "wrong"
                    counted[f"{pair} {told}"] = counted.get(f"{pair} {told}", 0) + _told(each)
            if reference == "Adam":
                counted["false"] += _any_false(found, true, default, rules[reference].matters)
                counted["missed"] += any(_misses(each, true) for each in found.contrasts)
                differ = [each for each in found.settings if default[each.first] != default[each.second]]
                counted["settings"] += len(differ)
                counted["settings told"] += sum(_told(each) for each in differ)
    for first, second in (("Adam", "SGD"), ("Adam", "Lion"), ("SGD", "Lion")):
        counted[f"{first}-{second} true"] = true[first] - true[second]
    return counted


def failing_configurations(fails: float, better: float, seeds: int, studies: int) -> Numbers:
    """Two configurations, an accuracy of 0.97 and one that is ``better`` by so much when it does not fail."""
    rng = generator("failing configurations", fails, better, seeds)
    first, second = _accuracy("first", 0.97 + better, fails), _accuracy("second", 0.97, 0.0)
    judged = Judged(first.scale, True, second.matters)

    def once() -> Difference:
        found = {}
        for rule in (first, second):
            places = np.full((seeds, 1), 0.5)
            _, test, lost = rule.runs(rng, places, np.zeros(seeds))
            found[rule.name] = Configured(tuple(test.tolist()), tuple(lost.tolist()))
        (difference,) = family_of_configurations(found, {}, second.name, judged).contrasts
        return difference

    return _said([(once(),) for _ in range(studies)])


def failing_searches(fails: float, better: float, seeds: int, studies: int) -> Numbers:
    """The same of two rules whose whole box is so."""
    rng, size = generator("failing searches", fails, better, seeds), Size(17, 5, seeds)
    rules = {rule.name: rule for rule in (_accuracy("first", 0.97 + better, fails), _accuracy("second", 0.97, 0.0))}

    def once() -> tuple[Difference, ...]:
        pools = dict(zip(rules, study(tuple(rules.values()), rng, size), strict=True))
        found = answer(pools, size.n, "second", rules["second"])
        return (*found.contrasts, *found.settings)

    return _said([once() for _ in range(studies)])


def equal(seeds: int, studies: int) -> Numbers:
    """Of two configurations, nothing searched, m = one standard deviation of a training.

    How often "equal" is said where they are, and where they differ by just m; how often "better" where they are equal.
    """
    rng, judged = generator("equal", seeds), Judged(PLAIN, True, 1.0)
    counted: Numbers = {"rightly": 0, "wrongly": 0, "told": 0}
    for _ in range(studies):
        values = rng.standard_normal((2, seeds))
        for planted in (0.0, 1.0):
            each = {
                name: Configured(tuple((row + by).tolist()), (False,) * seeds)
                for name, row, by in zip("ab", values, (0.0, planted), strict=True)
            }
            (found,) = family_of_configurations(each, {}, "a", judged).contrasts
            counted["wrongly" if planted else "rightly"] += found.answer == "equal"
            counted["told"] += not planted and _told(found)
    return counted


def pairs() -> tuple[tuple[str, str], ...]:
    """Every two rules of one task."""
    tasks: dict[str, list[str]] = {}
    every: tuple[Rule, ...] = (*published(), *populations())
    for rule in every:
        tasks.setdefault(rule.task, []).append(rule.name)
    return tuple(pair for names in tasks.values() for pair in combinations(names, 2))


def _accuracy(name: str, value: float, fails: float) -> World:
    """The same everywhere in the box; a run that fails is as good as guessing."""
    return World(
        name,
        same(value),
        (0.25,),
        "judging",
        "failures",
        sd=0.005,
        failing=same(fails),
        before=0.1,
        tests=359,
    )


def _said(found: Sequence[tuple[Difference, ...]]) -> Numbers:
    """Of the first difference of each answer, the failing one's: what is said; of all, what never should be.

    ``bare``  "equal", or the failing one "better", where runs of one failed and none of the other.
    """
    first = [each[0] for each in found]
    return {
        "failed": sum(each.failures[0].count > 0 for each in first),
        **{answer: sum(each.answer == answer for each in first) for answer in ("equal", "better", "worse")},
        "taken back": sum(each.why in ("failures", "quality") for each in first),
        "bare": sum(any(_is_bare(each) for each in answer) for answer in found),
    }


def _is_bare(each: Difference) -> bool:
    praised = {"better": each.failures[:1], "worse": each.failures[1:], "equal": each.failures}.get(each.answer, ())
    return each.one_failed and any(rate.count for rate in praised)


def _any_claim(differences: Sequence[Difference]) -> bool:
    return any(_told(each) for each in differences)


def _told(each: Difference) -> bool:
    return each.answer in CLAIMS


def _misses(each: Difference, true: Mapping[str, float]) -> bool:
    return not each.interval.low <= true[each.first] - true[each.second] <= each.interval.high


def _is_false(each: Difference, true: Mapping[str, float], matters: float) -> bool:
    """A sign that is not so; or "equal", or less than what matters, of what differs by as much."""
    difference = true[each.first] - true[each.second]
    if (each.answer == "equal" or each.slight) and abs(difference) >= matters:
        return True
    return {"better": difference <= 0, "worse": difference >= 0}.get(each.answer, False)


def _any_false(found: Family, true: Mapping[str, float], default: Mapping[str, float], matters: float) -> bool:
    return any(_is_false(each, true, matters) for each in found.contrasts) or any(
        _is_false(each, default, matters) for each in found.settings
    )
