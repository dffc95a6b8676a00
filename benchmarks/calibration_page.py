"""The page of the calibration: what was counted, as Markdown."""

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from statistics import mean, median

import thalweg
from calibration_rows import Row
from counted import OTHER_SIZES, SIZES, every_world
from page import markdown
from shared import Half
from thalweg.stats.proportion import exact_bounds

HALVES: tuple[Half, ...] = ("judging", "choosing")


def page(rows: Sequence[Row]) -> str:
    """The whole page."""
    return f"{_head(rows)}\n\n{tables(rows)}\n"


def tables(rows: Sequence[Row]) -> str:
    """Those there are rows of."""
    named = {name: [row for row in rows if row.table == name] for name in PARTS}
    return "\n\n".join(PARTS[name](mine) for name, mine in named.items() if mine)


def _head(rows: Sequence[Row]) -> str:
    halves = {half: [name for name, world in every_world().items() if world.half == half] for half in HALVES}
    return (
        f"# Are the intervals and answers of a comparison right?\n\nthalweg {thalweg.__version__}, "
        f"{min(row.studies for row in rows):,} simulated studies of each cell, "
        f"{sum(row.seconds for row in rows) / 60:.0f} minutes of one core. Made by `python "
        "benchmarks/calibration.py`; in short: [docs/calibration.md](../docs/calibration.md).\n\nA world is a rule "
        "on a problem: a value as a function of where a configuration lies in the box, and luck. Fifteen are the "
        "published grids of the DeepOBS baselines ([published/](published/README.md)), with normal noise as large "
        "as published there; three are real trainings of digits-mlp, from which studies are drawn "
        "([population/](population/README.md)); the others are made up (`worlds.py`). A study is the default and "
        "16, 32 or 64 draws that lie evenly, each with a tuning seed of its own, shared by the rules, as are the "
        "fresh seeds; 5 of these unless said otherwise. (N, n): N trials, judged as searches of n. Accuracies are "
        "judged as ratios of errors. A failed run counts with the value before training. The Monte Carlo standard "
        f"error of a share p is sqrt(p (1 - p) / {min(row.studies for row in rows):,}): 0.5 points at 95%.\n\n**Two "
        "halves.** The statistics (squares of second differences, 0.7 of what they see beyond the noise, at least 3 "
        "degrees of freedom, 85% of searches re-run) were chosen on the choosing half, but for two looks at all: "
        "first, second and third differences were compared in all published worlds (300 studies), and the 0.7 was "
        "taken between 1 and 0.6, which the choosing half says, after a look at both halves (200 studies). What is "
        "claimed is judged on the judging half, with other random numbers. **Smooth** worlds are all but those in "
        "which runs fail and those whose best is narrow.\n\n- judging: "
        f"{'; '.join(halves['judging'])}\n- choosing: {'; '.join(halves['choosing'])}"
    )


def coverage(rows: Sequence[Row]) -> str:
    """Coverage and width, in summary and by world."""
    sizes = [size.name for size in SIZES]
    return "\n\n".join(
        [
            "## 1. Does a 95% interval hold the truth?",
            "Before the 5% is divided. **one rule**: the mean of a random search of n trials, with new draws and "
            "new seeds. **two rules**: the difference of two that are the same, in one study. **width / before**: the "
            "median width in relation to that of the method before: as many independent draws, averaged without "
            "replacement, re-runs for 95% of searches. **/ independent**: in relation to the t interval of as many "
            "independent studies (n trials, and one training with a fresh seed) as the same number of trainings buys. "
            "Of the widths the median world; of the other worlds each.",
            markdown(
                ["size", "half", "rules", "smooth worlds", "the least", "with failures", "narrow best",
                 "width / before", "/ independent"],
                [line for size in sizes for half in HALVES for line in _summary(_of(rows, size, half), size, half)],
            ),
            "By world. **misses**: how often the interval lies below the truth, and above. **bias** in standard "
            "deviations of the estimate. **none**: without an interval, since nothing varied. "
            "**alone**: how often the answer warns that the best trial stands alone. **trainings** of a study of one "
            "rule. **before**: how often the interval of the method before holds the truth.",
            *(f"### {size}\n\n{_by_world([row for row in rows if row.size == size])}" for size in sizes),
            "### Other sizes, four worlds of the judging half\n\n"
            + _by_world([row for row in rows if row.size in [size.name for size in OTHER_SIZES]], sized=True),
            "### What `plan` names\n\nThe difference that `plan` names from one study, that it would be told with 80%, "
            "is planted in the next study of the same world: how often it is told.",
            markdown(["size", "half", "mean over smooth worlds", "the least", "the most"], _plan(rows, sizes)),
        ]
    )  # fmt: skip


def _of(rows: Sequence[Row], size: str, half: Half) -> list[Row]:
    worlds = every_world()
    return [row for row in rows if row.size == size and worlds[row.world].half == half]


def _summary(rows: Sequence[Row], size: str, half: Half) -> list[list[str]]:
    smooth = [row for row in rows if every_world()[row.world].kind == "smooth"]
    lines = []
    for words, prefix in (("one", ""), ("two", "two ")):
        least = min(smooth, key=lambda row: row.covered(prefix))
        others = [
            " ".join(_percent(row.covered(prefix)) for row in rows if every_world()[row.world].kind == kind)
            for kind in ("failures", "narrow")
        ]
        widths = _median(row.ratio(f"{prefix}half", f"before {prefix}half") for row in smooth)
        bought = _median(row.ratio("half", "independent half") for row in smooth) if not prefix else ""
        lines.append(
            [size, half, words, _percent(mean(row.covered(prefix) for row in smooth)),
             f"{_percent(least.covered(prefix))}, {least.world}", *others, widths, bought]
        )  # fmt: skip
    return lines


def _by_world(rows: Sequence[Row], *, sized: bool = False) -> str:
    headings = ["world", *(["size"] if sized else []), "half", "one rule", "misses", "bias", "none", "two rules",
                "width / before", "of two / before", "/ independent", "alone", "trainings", "before"]  # fmt: skip
    return markdown(
        headings,
        [
            [
                row.world, *([row.size] if sized else []), every_world()[row.world].half, _percent(row.covered()),
                f"{_percent(row.share('below'))}, {_percent(row.share('above'))}", f"{row.numbers['bias']:+.2f}",
                _percent(row.share("none")), _percent(row.covered("two ")), f"{row.ratio('half', 'before half'):.2f}",
                f"{row.ratio('two half', 'before two half'):.2f}", f"{row.ratio('half', 'independent half'):.2f}",
                _percent(row.share("alone")), f"{row.numbers['trainings']:.0f}", _percent(row.covered("before ")),
            ]
            for row in rows
        ],
    )  # fmt: skip


def _plan(rows: Sequence[Row], sizes: Sequence[str]) -> list[list[str]]:
    lines = []
    for size in sizes:
        for half in HALVES:
            mine = [row for row in _of(rows, size, half) if every_world()[row.world].kind == "smooth"]
            told = {row.world: row.numbers["planned told"] / max(row.numbers["planned"], 1) for row in mine}
            ends = [
                f"{_percent(told[end])}, {end}"
                for end in (min(told, key=told.__getitem__), max(told, key=told.__getitem__))
            ]
            lines.append([size, half, _percent(mean(told.values())), *ends])
    return lines


def shapes(rows: Sequence[Row]) -> str:
    """Rules that differ."""
    table = markdown(
        ["pair", "size", "half", "inside", "misses", "bias", "told", "wrong sign", "width / before", "before"],
        [
            [
                row.world, row.size, every_world()[row.world.split(", ")[0]].half, _percent(row.covered()),
                f"{_percent(row.share('below'))}, {_percent(row.share('above'))}", f"{row.numbers['bias']:+.2f}",
                _percent(row.share("told")), _percent(row.share("wrong")),
                f"{row.ratio('half', 'before half'):.2f}", _percent(row.covered("before ")),
            ]
            for row in rows
        ],
    )  # fmt: skip
    lines = []
    for size in SIZES:
        for half in HALVES:
            mine = [r for r in rows if r.size == size.name and every_world()[r.world.split(", ")[0]].half == half]
            least = min(mine, key=Row.covered)
            lines.append(
                [
                    size.name,
                    half,
                    _percent(mean(row.covered() for row in mine)),
                    f"{_percent(least.covered())}, {least.world}",
                    _median(row.ratio("half", "before half") for row in mine),
                ]
            )
    return "\n\n".join(
        [
            "## 2. The difference of two rules that are not the same",
            "Two optimizers on one problem, in one study: the 95% interval of their difference. Both studies, now and "
            "before, share draws and seeds between the rules.",
            markdown(["size", "half", "mean", "the least", "width / before"], lines),
            table,
        ]
    )


def claims(rows: Sequence[Row]) -> str:
    """False claims of whole answers."""
    lines = []
    for size in dict.fromkeys(row.size for row in rows):
        # At the other sizes there are only worlds of one half.
        for half in HALVES:
            mine = [row for row in rows if row.size == size and every_world()[row.world].half == half]
            shared = [row for row in mine if every_world()[row.world].luck_is_shared]
            for words, group in (
                ("luck of its own", [r for r in mine if r not in shared]),
                ("luck smooth or shared", shared),
            ):
                if group:
                    lines.append([size, half, words, *_claimed(group)])
    return "\n\n".join(
        [
            "## 3. Is anything in an answer false?",
            "Rules that are the same, in one study; smooth worlds. **any**: how often some contrast of searches or "
            "some pair of untuned settings is called better. Of the 5% the settings have 1, the contrasts 4. **at "
            "most**: the upper 95% bound of the mean (Clopper & Pearson). **equal**: how often a contrast is called "
            '"equal", where one standard deviation of a training matters.',
            "Of digits each copy has seeds of its own, drawn from five: where one of the five is unlucky at all "
            "learning rates, as with SGD, these are five draws of a skewed distribution.",
            markdown(["size", "half", "worlds", "any", "at most", "the most", "contrasts", "settings", "equal"], lines),
            markdown(
                ["world", "size", "half", "any", "contrasts", "settings"],
                [
                    [row.world, row.size, every_world()[row.world].half]
                    + [_percent(row.share(name)) for name in ("either", "contrasts", "settings")]
                    for row in rows
                ],
            ),
        ]
    )


def _claimed(rows: Sequence[Row]) -> list[str]:
    total, count = sum(row.studies for row in rows), int(sum(row.numbers["either"] for row in rows))
    most = max(rows, key=lambda row: row.share("either"))
    return [
        _percent(count / total), _percent(exact_bounds(count, total, 0.05)[1]),
        f"{_percent(most.share('either'))}, {most.world}",
        *(_percent(mean(row.share(name) for row in rows)) for name in ("contrasts", "settings", "equal")),
    ]  # fmt: skip


def power(rows: Sequence[Row]) -> str:
    """On the population."""
    pairs = ("Adam-SGD", "Adam-Lion", "SGD-Lion")
    lines = [
        [
            row.size,
            pair,
            f"{row.numbers[f'{pair} true']:+.2f}",
            _percent(row.numbers.get(f"{pair} told", 0) / row.studies),
            _percent(row.numbers.get(f"{pair} wrong", 0) / row.studies),
        ]
        for row in rows
        for pair in pairs
    ]
    whole = [
        [row.size, _percent(row.share("false")), _percent(row.share("missed")),
         _percent(row.numbers["settings told"] / max(row.numbers["settings"], 1))]
        for row in rows
    ]  # fmt: skip
    return "\n\n".join(
        [
            "## 4. Is a real difference told?",
            "Three rules on digits-mlp, each of them twice in one study, so that five contrasts share the 4%; the "
            "reference is the first of the pair. **true**: of the mean scores, the logarithm of a ratio of errors.",
            markdown(["size", "pair", "true", "told", "wrong sign"], lines),
            "The whole answer, the reference Adam. **false**: anything said that is not so. **missed**: some "
            "contrast's interval does not hold the truth. **settings**: of the pairs of untuned settings that "
            "differ, how many are told.",
            markdown(["size", "false", "missed", "settings"], whole),
        ]
    )


def failures(rows: Sequence[Row]) -> str:
    """One that fails sometimes."""
    return "\n\n".join(
        [
            "## 5. One that fails sometimes",
            "An accuracy of 0.97 (sd 0.005, 359 examples) and one that fails in some of its runs, which then count "
            "with 0.1; else it is equal, or better by 1 point. Configurations with nothing searched, and searches "
            "(17, 5) of two rules whose whole box is so; m is one standard deviation. What is said of the one that "
            "fails. **failed**: some run of it did. **taken back**: the interval alone would say better or equal, "
            'the failures do not let it. **bare**: anywhere in the answer "equal", or the failing one "better", '
            "where one has failed and the other not.",
            markdown(
                ["world", "size", "failed", "equal", "better", "worse", "taken back", "bare"],
                [
                    [row.world, row.size]
                    + [_percent(row.share(n)) for n in ("failed", "equal", "better", "worse", "taken back", "bare")]
                    for row in rows
                ],
            ),
        ]
    )


def equal(rows: Sequence[Row]) -> str:
    """Whether "equal" is right."""
    return "\n\n".join(
        [
            '## 6. Is "equal" right?',
            "Two configurations, nothing searched, one standard deviation of a training matters. **rightly**: how "
            "often it is said at a true difference of 0; **wrongly**: at one of just what matters. **told apart**: "
            "at 0.",
            markdown(
                ["size", "rightly", "wrongly", "told apart"],
                [[row.size, *(_percent(row.share(name)) for name in ("rightly", "wrongly", "told"))] for row in rows],
            ),
        ]
    )


PARTS: dict[str, Callable[[Sequence[Row]], str]] = {
    "coverage": coverage,
    "shapes": shapes,
    "claims": claims,
    "power": power,
    "failures": failures,
    "equal": equal,
}


def _median(values: Iterable[float]) -> str:
    known = [value for value in values if isfinite(value)]
    return f"{median(known):.2f}" if known else ""


def _percent(share: float) -> str:
    return f"{share:.1%}" if isfinite(share) else "none"
