"""The answer in sentences, as a colleague would say it: what can be told, by how much, what next; then the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Protocol

from .difference import Difference
from .intervals import Interval
from .proportion import Rate
from .wording import Unit, counted, listed

# A sentence names as many; of more it says how many.
NAMED = 4
# In which order a sentence groups the others.
ORDER = ("better", "better, by less than matters", "equal", "worse, by less than matters", "worse", "cannot tell")


@dataclass(frozen=True)
class Verdict:
    """``sentences`` can be read in seconds; the answer is the first, but for what makes it none, or not yet one.

    ``details``  on what it rests, and what else the runs say.
    ``best``     label of the one that is better than the reference where it is compared with one other; else None.
    ``notices``  how many sentences stand before the answer.
    """

    sentences: tuple[str, ...]
    details: tuple[str, ...] = ()
    best: str | None = None
    notices: int = 0

    @property
    def answer(self) -> str:
        """The sentence that answers."""
        return self.sentences[self.notices]

    @property
    def short(self) -> str:
        """The answer, and what stands before it."""
        return " ".join(self.sentences[: self.notices + 1])

    def __str__(self) -> str:
        return " ".join(self.sentences)

    def _repr_html_(self) -> str:
        before = [escape(sentence) for sentence in self.sentences[: self.notices]]
        first, *others = (escape(sentence) for sentence in self.sentences[self.notices :])
        folded = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.details)
        return (
            "".join(f"<p>{sentence}</p>" for sentence in before)
            + f"<p><strong>{first}</strong></p>"
            + "".join(f"<p>{sentence}</p>" for sentence in others)
            + (f"<details><summary>What it rests on</summary>{folded}</details>" if folded else "")
        )


class Contender(Protocol):
    """One of those compared, as the verdict sees it. ``contender`` is its label; ``name`` is for sentences.

    ``as_set``        its default with what is searched, for sentences: Adam (lr=0.001); ``as_found`` the winner.
    ``default_won``   its search found nothing better than the default.
    ``searched``      whether it has anything to search; if not, its defaults were all there was to try.
    ``near_edge``     hyperparameters of the winner at an edge of the search box.
    ``alone``         why the best trial of its search stands alone, in words; "" if it does not.
    ``alike``         that two of its trials, with different values, gave the same curves; "" if none did.
    ``unlike``        how its default, trained twice with one seed, came out differently; () if it did not.
    """

    @property
    def contender(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def as_set(self) -> str: ...
    @property
    def as_found(self) -> str: ...
    @property
    def default_won(self) -> bool: ...
    @property
    def searched(self) -> bool: ...
    @property
    def near_edge(self) -> tuple[str, ...]: ...
    @property
    def alone(self) -> str: ...
    @property
    def unlike(self) -> tuple[str, ...]: ...
    @property
    def alike(self) -> str: ...


@dataclass(frozen=True)
class Setting:
    """What all share. ``metric`` in words ("test accuracy"); ``trials`` of the longest search; ``seeds`` fresh ones.

    ``minutes``  of training that each search was given; None: as many trials for all.
    ``budget``   of the searches that are judged, in trials; None: of minutes, or nothing is judged as a search.
    ``matters``  the smallest difference that matters, on the scale of the differences; None: not said.
    """

    task: str
    metric: str
    unit: Unit
    trials: int
    seeds: int
    judged_on_validation: bool = False
    lower_is_better: bool = False
    minutes: float | None = None
    budget: int | None = None
    matters: float | None = None


class Family(Protocol):
    """The intervals that hold together, at 95% in all.

    ``contrasts``  of each of the others with the reference, the first of them; of searches, or, where nothing is judged
                   as a search, of configurations. ``settings`` every two untuned settings, the better first.
    ``miss``       the probability with which some interval of the contrasts may miss; ``settings_miss`` of the
    settings.
    """

    @property
    def reference(self) -> str: ...
    @property
    def contrasts(self) -> Sequence[Difference]: ...
    @property
    def settings(self) -> Sequence[Difference]: ...
    @property
    def miss(self) -> float: ...
    @property
    def settings_miss(self) -> float: ...


class Searches(Protocol):
    """What is described of the searches beside the family.

    ``intervals``  levels by label, each at 95% by itself; ``failures`` of the runs of what searches choose, by label.
    ``gains``      tuned minus default, by label; ``others`` the tuned pairs without the reference.
    ``missed``     the share of searches whose winner misses the target, by label; empty where none was declared.
    """

    @property
    def intervals(self) -> Mapping[str, Interval]: ...
    @property
    def failures(self) -> Mapping[str, Rate]: ...
    @property
    def gains(self) -> Mapping[str, Difference]: ...
    @property
    def missed(self) -> Mapping[str, float]: ...


def verdict(
    setting: Setting,
    rules: Sequence[Contender],
    family: Family,
    searches: Searches | None = None,
    failures: Mapping[str, Rate] | None = None,
    notices: Sequence[str] = (),
    next_step: str = "",
) -> Verdict:
    """Say what was found.

    ``rules`` at least one; ``failures`` of the runs that the contrasts are of, by label; ``notices``: why this is not
    an answer, or not yet, which is said first; ``next_step``: what more would tell.
    """
    by_label = {rule.contender: rule for rule in rules}
    searched = searches is not None
    names = {label: rule.name if searched else _setting_name(setting, rule) for label, rule in by_label.items()}
    told = _Told(setting, names, family, searches)
    lost = failures if failures is not None else {}
    answer = [
        *told.answer(),
        *_warnings(setting, rules),
        *told.lost(lost),
        *told.quality(),
        *told.missed(),
        *told.searched(),
        *_settings(by_label, family),
        next_step,
    ]
    details = [
        *_defaults(setting, rules),
        *told.gains(),
        told.scope(),
    ]
    best = next((d.first if d.answer == "better" else d.second for d in family.contrasts if _is_told(d)), None)
    return Verdict(
        (*notices, *filter(None, answer)),
        tuple(filter(None, details)),
        best if len(family.contrasts) == 1 else None,
        len(notices),
    )


def _is_told(difference: Difference) -> bool:
    return difference.answer in ("better", "worse")


def _setting_name(setting: Setting, rule: Contender) -> str:
    return rule.as_found if setting.trials > 1 else rule.as_set


@dataclass(frozen=True)
class _Told:
    """The sentences on the contrasts."""

    setting: Setting
    names: Mapping[str, str]
    family: Family
    searches: Searches | None

    @property
    def of_what(self) -> str:
        """What is compared, in words."""
        if self.searches is not None:
            if self.setting.minutes is not None:
                return f"each tuned by a random search of {self.setting.minutes / 3:.3g} minutes"
            return f"each tuned by a random search of {self.setting.budget} trials"
        return f"of the settings found in {self.setting.trials} trials each" if self.setting.trials > 1 else "untuned"

    def answer(self) -> list[str]:
        """Who is better than whom, and then by how much."""
        place, contrasts = f"On {self.setting.task}, {self.of_what}", self.family.contrasts
        if not contrasts:
            return [self._alone(place)]
        # Of two the better one first, and both in one sentence.
        ordered = [d.flipped if len(contrasts) == 1 and d.answer == "worse" else d for d in contrasts]
        groups: dict[str, list[Difference]] = {}
        for found in ordered:
            groups.setdefault(_word(found), []).append(found)
        clauses = [self._clause(word, groups[word]) for word in ORDER if word in groups]
        said = f"{place}, {'; '.join(clauses)}"
        if len(contrasts) == 1:
            metric = "" if self.setting.unit.ratio or ordered[0].why == "equal" else f"{self._metric} "
            return [f"{said}: {metric}{self._size(ordered[0])}{self._at_most(ordered)}."]
        sizes = [f"{self.names[found.first]} {self._size(found, '(', ')')}" for found in ordered]
        against = f"{self._metric}, against {self.names[self.family.reference]}"
        against = against[:1].upper() + against[1:]
        return [f"{said}.", f"{against}: {listed(sizes)}{self._at_most(contrasts)}."]

    def _clause(self, word: str, group: Sequence[Difference]) -> str:
        """Momentum and Adam are better than SGD."""
        second = self.names[group[0].second]
        names = [self.names[found.first] + self._failed(found.failures[0], found) for found in group]
        second += next((text for found in group if (text := self._failed(found.failures[1], found))), "")
        if word == "cannot tell":
            return f"cannot tell {listed(names, 'or')} from {second}"
        if word == "equal":
            to = f"{names[0]} and {second} are equal" if len(names) == 1 else f"{listed(names)} are equal to {second}"
            return f"{to} within what matters"
        better, _, slight = word.partition(", ")
        are = "is" if len(names) == 1 else "are"
        return f"{listed(names)} {are} {better} than {second}" + (f", but {slight}" if slight else "")

    @staticmethod
    def _failed(rate: Rate, found: Difference) -> str:
        """What stands beside a name where runs of one failed, and none of the other."""
        return f" ({rate.count} of {rate.total} runs failed)" if found.one_failed and rate.count else ""

    @property
    def _metric(self) -> str:
        lower = " (lower is better)" if self.setting.lower_is_better else ""
        return f"{self.setting.metric}{lower}"

    def _alone(self, place: str) -> str:
        (name, label) = next((name, label) for label, name in self.names.items())
        level = self.searches.intervals.get(label) if self.searches else None
        if level is None:
            return f"{place}, there is nothing to compare {name} with."
        reached = f"{self.setting.metric} {self.setting.unit.mean(level)}"
        return f"{place}, {name} reaches {reached}: there is nothing to compare it with."

    def _size(self, found: Difference, opened: str = ", ", closed: str = "") -> str:
        """0.55 times the errors, 0.42 to 0.71; or with its range in brackets."""
        unit = self.setting.unit
        seeds = counted(found.interval.n, "seed")
        if found.why == "equal":
            return "no difference" if found.searches else f"no difference in any of {seeds}"
        where = "whatever the search" if found.searches else f"in each of {seeds}"
        opened = f" {opened}" if closed else opened
        text = (
            f"{unit.difference(found.interval)}{opened}{unit.bounds(found.interval)}{closed}"
            if isfinite(found.interval.low)
            else f"{unit.difference(found.interval)} {where}, so that the noise is unknown"
        )
        if found.why == "failures":
            return f"{text}, but runs of {self.names[found.failed_more]} failed more often"
        if found.why == "quality":
            assert found.quality is not None
            return f"{text}, but, of the runs that did not fail, {self._bounded(found.quality)}"
        return text

    def _at_most(self, contrasts: Sequence[Difference]) -> str:
        """By how much those differ at most that cannot be told apart; once for all, since their ranges stand there."""
        unclear = [d for d in contrasts if d.answer == "cannot tell" and d.why == "noise" and isfinite(d.at_most)]
        if not unclear or self.setting.matters is not None:
            return ""
        return f"; if they differ, by less than {self.setting.unit.size(max(d.at_most for d in unclear))}"

    def _bounded(self, interval: Interval) -> str:
        return f"{self.setting.unit.difference(interval)}, {self.setting.unit.bounds(interval)}"

    def lost(self, failures: Mapping[str, Rate]) -> list[str]:
        """How many runs failed, or what is not excluded where none did."""
        known = {label: rate for label, rate in failures.items() if rate.total}
        if not known:
            return []
        if not any(rate.count for rate in known.values()):
            label = min(known, key=lambda each: known[each].total)
            fewest = known[label]
            same = len({rate.total for rate in known.values()}) == 1
            excluded = f"up to {fewest.not_excluded:.0%} not excluded"
            if not same:
                whose = f"{self.names[label]} with {fewest.total} runs, the fewest"
                return [f"No re-run of a winner failed: {excluded} for {whose}."]
            return [f"None of {fewest.total} runs{' of each' if len(known) > 1 else ''} failed: {excluded}."]
        said = [
            f"{rate.count} of {rate.total} of {self.names[label]} ({rate.interval[0]:.0%} to {rate.interval[1]:.0%})"
            if rate.count
            else f"none of {rate.total} of {self.names[label]} (up to {rate.not_excluded:.0%} not excluded)"
            for label, rate in known.items()
        ]
        return [
            f"Runs that failed: {listed(said)}; each counts with its value before "
            "training, or, without one, with the worst of the study."
        ]

    def searched(self) -> list[str]:
        """Why so many trials are judged as searches of so few."""
        setting = self.setting
        if self.searches is None or setting.minutes is not None:
            return []
        assert setting.budget is not None
        others = "1 other" if setting.budget == 2 else f"{setting.budget - 1} others"
        return [
            f"The {setting.trials} trials of each are judged as searches of {setting.budget}: what one gets who tries "
            f"the default and {others} at random, takes the best on validation and trains it anew."
        ]

    def quality(self) -> list[str]:
        said = [
            f"{self.names[d.first]} against {self.names[d.second]} {self._bounded(d.quality)}"
            for d in self.family.contrasts
            if d.quality is not None
        ]
        return [f"Of the runs that did not fail: {'; '.join(said)}."] if said else []

    def gains(self) -> list[str]:
        if self.searches is None:
            return []
        label = self.family.reference
        gain = self.searches.gains.get(label)
        if gain is None or not isfinite(gain.interval.low):
            return []
        return [f"{self.names[label]} tuned, against its default: {self._bounded(gain.interval)}."]

    def missed(self) -> list[str]:
        missed = self.searches.missed if self.searches else {}
        said = [f"{share:.0%} of {self.names[label]}" for label, share in missed.items()]
        return [f"Of the searches in these trials, winners miss the target: {listed(said)}."] if said else []

    def scope(self) -> str:
        """What the ranges are, for all sentences at once."""
        settings = self.family.settings
        contrasts = [each for each in self.family.contrasts if isfinite(each.interval.low)]
        over = "new searches and new seeds" if self.searches is not None else "new seeds of these settings"
        parts = []
        if contrasts:
            several = f"the {len(contrasts)} ranges of the answer hold together"
            one = "the range of the difference holds"
            these = f"{several if len(contrasts) > 1 else one} with {1 - self.family.miss:.0%}"
            parts.append(f"{these}, over {over} ({self.setting.seeds} were run)")
        if settings:
            many = len(settings)
            which = "that of the two settings" if many == 1 else f"those of the {many} pairs of settings"
            parts.append(f"{which} with {1 - self.family.settings_miss:.0%}")
        text = "; ".join(parts)
        held = f"{text[:1].upper()}{text[1:]}: a claim of this answer is false in at most 5% of such comparisons."
        return " ".join([held] * bool(parts) + [self._matters()] * bool(self.family.contrasts))

    def _matters(self) -> str:
        if self.setting.matters is None:
            return "Nothing is called equal, since it was not said what matters (--matters)."
        return f"What matters: {self.setting.unit.size(self.setting.matters)}."


def _word(found: Difference) -> str:
    return f"{found.answer}, by less than matters" if found.slight else found.answer


def _settings(rules: Mapping[str, Contender], family: Family) -> list[str]:
    """Which untuned settings beat which; those that beat the same ones stand together."""
    pairs = family.settings
    if not pairs:
        return []
    told = [found for found in pairs if _is_told(found)]
    if not told:
        return ["As they come, untuned, no two of these settings can be told apart."]
    beaten: dict[str, list[str]] = {}
    for found in told:
        better, worse = (found.first, found.second) if found.answer == "better" else (found.second, found.first)
        beaten.setdefault(better, []).append(worse)
    groups: dict[tuple[str, ...], list[str]] = {}
    for winner, losers in beaten.items():
        groups.setdefault(tuple(sorted(losers)), []).append(winner)
    rates = {label: rate for d in pairs for label, rate in zip((d.first, d.second), d.failures, strict=True)}
    names = {label: f"{rules[label].as_set}{_failing(rate)}" for label, rate in rates.items()}
    clauses = [
        f"{_few([names[w] for w in winners], 'settings')} {'beats' if len(winners) == 1 else 'each beat'} "
        f"{_few([names[loser] for loser in losers], 'others')}"
        for losers, winners in groups.items()
    ]
    many = "these settings differ" if len(pairs) == 1 else f"{len(told)} of {len(pairs)} pairs of settings differ"
    return [f"As they come, untuned, {many}: {'; '.join(clauses)}."]


def _defaults(setting: Setting, rules: Sequence[Contender]) -> list[str]:
    """Whose search found nothing better than the default."""
    still = [rule.name for rule in rules if rule.default_won and rule.searched] if setting.trials > 1 else []
    their = "its default" if len(still) == 1 else "their defaults"
    return [f"For {listed(still)} no trial did better on validation than {their}."] if still else []


def _warnings(setting: Setting, rules: Sequence[Contender]) -> list[str]:
    """What to beware of before the answer is believed."""
    found = []
    if setting.trials > 1:
        alone = [rule.name for rule in rules if not rule.searched]
        if alone:
            them, their = ("it", "its") if len(alone) == 1 else ("they", "their")
            found.append(f"{listed(alone)}: nothing to search, so {them} ran with {their} values as given, not tuned.")
    if setting.judged_on_validation:
        found.append(
            f"The task reports no test value, so {setting.metric} chose the winners and judges them, which flatters "
            "tuned rules; report a test metric."
        )
    unlike = next((rule for rule in rules if rule.unlike), None)
    if unlike is not None:
        found.append(
            f"The script does not repeat itself: {unlike.name}'s default, trained twice with one seed, differed "
            f"({unlike.unlike[0]}). Give every generator it uses a seed from trial.seed."
        )
    alike = next((rule for rule in rules if rule.alike), None)
    if alike is not None:
        found.append(
            f"Part of the search changed nothing: of {alike.name}, {alike.alike} to the last bit. Does the script set "
            "these itself, or what it reports not depend on them?"
        )
    return found


def _few(names: Sequence[str], things: str) -> str:
    """The names, or, where they are many, their number."""
    return listed(names) if len(names) <= NAMED else f"{len(names)} {things}"


def _failing(rate: Rate) -> str:
    """Of what beats or is beaten, that runs of it failed."""
    return f" with {rate.count} of {rate.total} runs failed" if rate.count else ""
