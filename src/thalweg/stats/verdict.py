"""The answer in sentences, as a colleague would say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

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

    def _repr_html_(self) -> str:
        first, *others = (escape(sentence) for sentence in self.sentences)
        return f"<p><strong>{first}</strong></p>" + "".join(f"<p>{sentence}</p>" for sentence in others)


class Contender(Protocol):
    """One of those compared, as the verdict sees it. ``contender`` is its label; ``name`` is for sentences.

    ``tuned``         the judged metric over the fresh seeds.
    ``default_won``   its search found nothing better than the default.
    ``searched``      whether it has anything to search; if not, its defaults were all there was to try.
    ``tuned_diverged``, ``tuned_failed``  how many of the tuned re-runs.
    ``near_edge``     hyperparameters of the winner at an edge of the search box.
    ``alike``         that two of its trials, with different values, gave the same curves; "" if none did.
    ``unlike``        how its default, trained twice with one seed, came out differently; () if it did not.
    """

    @property
    def contender(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def tuned(self) -> Interval | None: ...
    @property
    def default_won(self) -> bool: ...
    @property
    def searched(self) -> bool: ...
    @property
    def tuned_diverged(self) -> int: ...
    @property
    def tuned_failed(self) -> int: ...
    @property
    def near_edge(self) -> tuple[str, ...]: ...
    @property
    def unlike(self) -> tuple[str, ...]: ...
    @property
    def alike(self) -> str: ...


@dataclass(frozen=True)
class Setting:
    """What all rules share. ``metric`` in words ("test accuracy"); ``trials`` of the longest search.

    ``minutes``  of training that each search was given; None: as many trials for all.
    ``procedure``  the budget of the procedures that are judged, in words: "8 trials".
    """

    task: str
    metric: str
    unit: Unit
    trials: int
    judged_on_validation: bool = False
    minutes: float | None = None
    procedure: str = ""

    @property
    def budget(self) -> str:
        """What each rule was given, in words."""
        if self.minutes is not None:
            return f"after {self.minutes:.3g} minutes each"
        return f"after {self.trials} trials each" if self.trials > 1 else "with defaults, nothing tuned"


class Procedural(Protocol):
    """What was found of the procedures "tune with this budget, then train", as the verdict sees it; by label.

    ``intervals``  of their means, in the order of those compared.
    ``pairs``      every two, the better mean first; ``tuning`` against the default; ``switching`` from the first of
                   those compared to the best of the others, ``tuned`` and ``default``.
    ``noise_floor``  how far a comparison of one with itself goes.
    """

    @property
    def intervals(self) -> Mapping[str, Interval]: ...
    @property
    def pairs(self) -> Sequence[Difference]: ...
    @property
    def tuning(self) -> Mapping[str, Difference]: ...
    @property
    def switching(self) -> Mapping[str, Difference]: ...
    @property
    def noise_floor(self) -> Mapping[str, float]: ...


@dataclass(frozen=True)
class _Field:
    """Those compared at one level: configurations found, or procedures. The best mean first."""

    names: Mapping[str, str]
    means: Mapping[str, Interval]
    between: Mapping[tuple[str, str], Difference]

    @property
    def leader(self) -> str:
        return next(iter(self.names))

    @property
    def others(self) -> list[str]:
        return list(self.names)[1:]

    @property
    def towards(self) -> list[Difference]:
        return [self.between[self.leader, other] for other in self.others]

    @property
    def won(self) -> bool:
        return bool(self.others) and all(found.answer == "better" for found in self.towards)


def verdict(
    setting: Setting,
    rules: Sequence[Contender],
    pairs: Sequence[Difference],
    tuning: Mapping[str, Difference],
    procedural: Procedural | None = None,
) -> Verdict:
    """Say what was found: of the procedures where that is known, then of the configurations.

    ``rules`` at least one, the best mean first, each with the same number of seeds; ``pairs`` every two of them in
    that order, tuned against tuned; ``tuning`` tuned minus default, by label, of the rules that tuning changed.
    """
    names = {rule.contender: rule.name for rule in rules}
    found = _Field(
        names,
        {rule.contender: rule.tuned for rule in rules if rule.tuned},
        _by_pair(pairs),
    )
    if procedural is None:
        main, budget, more = found, setting.budget, []
    else:
        ranked = {label: names[label] for label in _ranked(procedural)}
        main = _Field(ranked, procedural.intervals, _by_pair(procedural.pairs))
        budget, more = f"tuned with {setting.procedure} each", _configurations(setting, found)
    return Verdict(
        (
            *_answers(setting, main, budget),
            *_other_pairs(main),
            *more,
            *_lost(setting, rules),
            *(_gains(setting, procedural, names) if procedural else _tuning(setting, rules, tuning)),
            *_caveats(setting, rules),
            *(_floor(setting, procedural, main) if procedural else []),
            _scope(rules, pairs, tuning, procedural),
        ),
        main.leader if main.won else None,
    )


def _ranked(procedural: Procedural) -> list[str]:
    """The labels, the best mean first."""
    if not procedural.pairs:
        return list(procedural.intervals)
    best = procedural.pairs[0].first
    return [best, *(pair.second for pair in procedural.pairs if pair.first == best)]


def _by_pair(pairs: Sequence[Difference]) -> dict[tuple[str, str], Difference]:
    return {(pair.first, pair.second): pair for pair in pairs}


def _answers(setting: Setting, field: _Field, budget: str) -> list[str]:
    """The answer, and the numbers that carry it."""
    leader, mean = field.names[field.leader], field.means[field.leader]
    if not field.others:
        level = setting.unit.mean(mean)
        return [
            f"On {setting.task}, {budget}, {leader} reaches {setting.metric} {level}.",
            "There is nothing to compare it with.",
        ]
    return [
        f"On {setting.task}, {budget}, {_answer(field)}.",
        f"{setting.metric[:1].upper()}{setting.metric[1:]}: {_measured(setting, field)}.",
    ]


def _answer(field: _Field) -> str:
    """AdamW is better than SGD; cannot tell AdamW from Lion or Momentum."""
    leader = field.names[field.leader]
    answers = {field.names[o]: found.answer for o, found in zip(field.others, field.towards, strict=True)}
    unclear = [name for name, answer in answers.items() if answer not in ("better", "equal within noise")]
    equal = [name for name, answer in answers.items() if answer == "equal within noise"]
    if unclear:
        told = f"cannot tell {leader} from {_few(unclear, 'or')}"
        return f"{told}; it is equal to {_few(equal)} within noise" if equal else told
    if equal:
        return f"{_few([leader, *equal])} are equal within noise"
    return f"{leader} is better than {_few(list(answers))}"


def _measured(setting: Setting, field: _Field) -> str:
    """The numbers behind the answer: the leader against those it is tied with, or, if it won, against the next."""
    unit, shown, mean = setting.unit, [], field.means[field.leader]
    every = list(zip(field.others, field.towards, strict=True))
    tied = [(other, found) for other, found in every if found.answer != "better"]
    for other, found in tied[:NAMED] or every[:1]:
        level = unit.mean(field.means[other])
        which = field.names[other] if tied or len(every) == 1 else f"{field.names[other]}, the next"
        shown.append(f"{level} ({which}; difference {_size(unit, found)})")
    numbers = f"{unit.mean(mean)} ({field.names[field.leader]}) against {listed(shown)}"
    noisy = [found for _, found in tied if found.why == "noise"]
    if noisy:
        return f"{numbers}; {_what_would_tell(noisy)}"
    if any(found.why == "constant" for _, found in tied):
        return f"{numbers}: more seeds would show it, or a script that uses trial.seed"
    if any(found.answer == "equal within noise" for _, found in tied):
        noise = max(found.noise for _, found in tied)
        return f"{numbers}; another seed alone moves it by {unit.size(noise)}"
    return numbers


def _what_would_tell(noisy: Sequence[Difference]) -> str:
    """How many more runs would: of trials or of seeds, whichever is enough for all of the pairs and fewer."""
    enough = {}
    for thing, needed in (
        ("more trial", [found.more_trials for found in noisy]),
        ("more seed", [found.more_seeds for found in noisy]),
    ):
        known = [count for count in needed if count is not None]
        if len(known) == len(needed):
            enough[thing] = max(known)
    if not enough:
        return "it would take many more runs to tell"
    thing = min(enough, key=lambda name: enough[name])
    return f"about {counted(enough[thing], thing)} might tell"


def _size(unit: Unit, found: Difference) -> str:
    """+1.3 points, +0.9 to +1.7."""
    seeds = counted(found.interval.n, "seed")
    if found.why == "equal":
        return "0" if found.procedure else f"0 in each of {seeds}"
    if found.why == "constant":
        return f"{unit.difference(found.interval)} in each of {seeds}, so that the noise is unknown"
    return f"{unit.difference(found.interval)}, {unit.bounds(found.interval)}"


def _configurations(setting: Setting, field: _Field) -> list[str]:
    """What the whole search found, in one sentence."""
    if not field.others:
        return []
    found = f"after {setting.minutes:.3g} minutes" if setting.minutes else f"in all {setting.trials} trials"
    return [f"Of the configurations found {found}: {_answer(field)} ({_measured(setting, field)})."]


def _other_pairs(field: _Field) -> list[str]:
    """Who beats whom, the sentence before apart; rules that beat the same ones stand together."""
    ranked = list(field.names)
    if len(ranked) < 3:
        return []
    groups: dict[tuple[str, ...], list[str]] = {}
    doubtful = 0
    for place, rule in enumerate(ranked):
        if place == 0 and field.won:
            continue
        below = ranked[place + 1 :]
        answers = {other: field.between[rule, other].answer for other in below}
        beaten = tuple(field.names[other] for other in below if answers[other] == "better")
        doubtful += (len(below) - len(beaten)) * (place > 0)
        if beaten:
            groups.setdefault(beaten, []).append(field.names[rule])
    clauses = [
        f"{_few(names)} {'is' if len(names) == 1 else 'are each'} better than {_few(beaten)}"
        for beaten, names in groups.items()
    ]
    if doubtful:
        clauses.append("the remaining pairs cannot be told apart" if clauses else "The others cannot be told apart")
    return [f"{'; '.join(clauses)}."] if clauses else []


def _lost(setting: Setting, rules: Sequence[Contender]) -> list[str]:
    found = []
    how = "tuned " if setting.trials > 1 else ""
    for rule in rules:
        runs = rule.tuned.n if rule.tuned else 0
        for number, what in ((rule.tuned_diverged, "diverged"), (rule.tuned_failed, "failed")):
            if number:
                many = "All" if number == runs else f"{number}"
                found.append(
                    f"{many} of the {runs} re-runs of {how}{rule.name} {what}; "
                    f"{'it counts' if number == 1 else 'they count'} with the value before training, or, without one, "
                    "with the worst value reported."
                )
    return found


def _gains(setting: Setting, found: Procedural, names: Mapping[str, str]) -> list[str]:
    """What gains more: tuning the first, or going over to another?"""
    label = next(iter(found.intervals))
    unit, first = setting.unit, names[label]
    tuned = f"Tuning {first} with {setting.procedure} instead of taking its default: {_size(unit, found.tuning[label])}"
    if not found.switching:
        return [f"{tuned}."]
    switch = found.switching["tuned"]
    default = found.switching["default"]
    other = names[switch.first]
    return [
        f"{tuned}. Going over from {first} to {other}: {_size(unit, switch)} with both tuned, "
        f"{_size(unit, default)} with both defaults."
    ]


def _floor(setting: Setting, found: Procedural, field: _Field) -> list[str]:
    floor = found.noise_floor[field.leader]
    if not floor:
        return []
    return [
        f"Noise floor: {field.names[field.leader]} compared with itself, with other draws and seeds, differs by "
        f"up to {setting.unit.size(floor)} in 19 of 20 cases."
    ]


def _tuning(setting: Setting, rules: Sequence[Contender], tuning: Mapping[str, Difference]) -> list[str]:
    """What tuning gained: how it compares with what another rule gains is for the reader."""
    if setting.trials == 1:
        return []
    clauses = []
    for answers, words in (
        (("better",), "helped"),
        (("worse",), "hurt"),
        (("cannot tell", "equal within noise"), "may or may not have helped"),
    ):
        moved = [rule for rule in rules if not rule.default_won and tuning[rule.contender].answer in answers]
        if moved:
            sizes = [f"{rule.name} ({_size(setting.unit, tuning[rule.contender])})" for rule in moved]
            clauses.append(f"{words} {listed(sizes)}")
    return [f"Tuning {'; it '.join(clauses)}."] if clauses else []


def _caveats(setting: Setting, rules: Sequence[Contender]) -> list[str]:
    found = []
    if setting.trials > 1:
        alone = [rule.name for rule in rules if not rule.searched]
        if alone:
            them, their = ("it", "its") if len(alone) == 1 else ("they", "their")
            found.append(f"{listed(alone)}: nothing to search, so {them} ran with {their} values as given, not tuned.")
        still = [rule.name for rule in rules if rule.default_won and rule.searched]
        if still:
            their = "its default" if len(still) == 1 else "their defaults"
            found.append(f"For {listed(still)} no trial did better on validation than {their}.")
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
    edges = [f"{rule.name} ({', '.join(rule.near_edge)})" for rule in rules if rule.near_edge]
    if edges:
        found.append(f"At an edge of the search, where a wider one may find better: {listed(edges)}.")
    return found


def _scope(
    rules: Sequence[Contender],
    pairs: Sequence[Difference],
    tuning: Mapping[str, Difference],
    procedural: Procedural | None,
) -> str:
    """Which intervals are meant, for all sentences at once."""
    count = rules[0].tuned.n if rules[0].tuned else 0
    seeds = f"over new seeds ({count} were run, the same for all)"
    if procedural is not None:
        level = f"{100 * next(iter(procedural.intervals.values())).level:g}%"
        several = f", with Holm's correction for the {len(pairs)} pairs" if len(pairs) > 1 else ""
        return (
            f"Ranges: {level} intervals{several}, over new searches and new seeds; "
            f"of the configurations found, {seeds}."
        )
    known = [*pairs, *tuning.values()]
    if not known:
        return f"This is about one configuration {seeds}; another search might pick another."
    families = [(len(pairs), "pairs"), (len(tuning), "changes by tuning")]
    corrected = [f"the {number} {what}" for number, what in families if number > 1]
    holm = [f"with Holm's correction for {' and for '.join(corrected)}"] if corrected else []
    ranges = ", ".join((f"{100 * known[0].interval.level:g}% intervals", *holm, seeds))
    return f"Ranges: {ranges}. They are about these configurations; another search might pick others."


def _few(names: Sequence[str], last: str = "and") -> str:
    """The names, or, where they are many, their number."""
    return listed(names, last) if len(names) <= NAMED else f"{len(names)} others"
