"""What docs/primers/noise.md says, by scipy's distributions and by trainings that are kept."""

import csv
import gzip
from math import pi, sqrt

import numpy as np
from scipy import stats
from scipy.integrate import quad

from primers.reading import ROOT, rows

NORMAL = stats.norm


def best_of(n: int) -> float:
    """The expected largest of n standard normal draws."""
    density = lambda z: n * z * NORMAL.pdf(z) * NORMAL.cdf(z) ** (n - 1)  # noqa: E731
    return quad(density, -12, 12)[0]


def seeds_for(d: float) -> int:
    """The least number of pairs at which Student's paired test of a difference d, noise 1 each, has power 80%."""
    n = 2
    while stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, d / sqrt(2 / n)) < 0.8:
        n += 1
    return n


def adam() -> np.ndarray:
    """Test accuracies in percent of Adam on digits-mlp, (257 settings, 5 seeds), the default first."""
    with gzip.open(ROOT / "benchmarks" / "population" / "digits_mlp.csv.gz", "rt") as file:
        runs = [(int(row["trial"]), 100 * float(row["test"])) for row in csv.DictReader(file) if row["rule"] == "adam"]
    trials = sorted({trial for trial, _ in runs})
    return np.array([[value for of, value in runs if of == trial] for trial in trials])


def calibrated() -> str:
    """The sentence on calibration, of the tables in docs/calibration.md."""
    percent = lambda cell: float(cell.split("%")[0])  # noqa: E731
    table = rows("docs/calibration.md")
    tuned = [row for row in table if len(row) >= 7 and row[2] in ("one", "two")]
    equal = [row for row in table if "6 rules" in row[0]]
    assert len(tuned) == 4
    assert len(equal) == 8
    claimed = [percent(row[3]) for row in equal]
    most = [percent(row[5]) for row in equal]
    failing = [percent(cell) for row in tuned for cell in row[5].split()]
    smooth, worst, narrow = ([percent(row[column]) for row in tuned] for column in (3, 4, 6))
    return (
        f"of six rules that are the same, {min(claimed)} to {max(claimed)}% of answers claim something, by "
        f"size, and {max(most)}% in the worst world; 95% intervals of a tuned rule, or of two, hold in "
        f"{min(smooth):.0f} to {max(smooth):.0f}% over smooth worlds and in {min(worst):.0f}% in the worst of them, "
        f"but in {min(failing):.0f} to {max(failing):.0f}% where runs fail, and in {min(narrow):.0f}% where the best "
        "is narrow"
    )


def said() -> list[str]:
    """Pieces of the page with its numbers."""
    settings = adam()
    default, mean = settings[0], settings.mean(axis=1)
    better = settings[mean >= np.median(mean)]
    assert [f"{each:.2f}" for each in default] == ["95.26", "94.71", "95.26", "95.54", "94.99"]
    sd, luck = default.std(ddof=1), sqrt(better.var(axis=1, ddof=1).mean())
    assert abs(best_of(2) - 1 / sqrt(pi)) < 1e-9
    counts, sizes = (2, 3, 5, 10, 20, 50, 100, 1000), (3, 2, 1.5, 1, 0.5, 0.25)
    critical = NORMAL.ppf(0.975) * sqrt(2)
    some_pair = stats.studentized_range.sf(critical, 10, np.inf)
    inside = lambda x: NORMAL.pdf(x) * (NORMAL.cdf(x + critical) - NORMAL.cdf(x - critical)) ** 9  # noqa: E731
    against_one = 1 - quad(inside, -12, 12)[0]
    return [
        "The best of 10 rules that are all the same looks better than their mean by "
        f"{best_of(10):.2f} standard deviations",
        f'"Our best run reaches {default.max():.2f}%" says {default.max() - default.mean():.2f} points more',
        f"| n | {' | '.join(f'{n:,}' for n in counts)} |",
        f"| standard deviations | {' | '.join(f'{best_of(n):.2f}' for n in counts)} |",
        f"Best of 5 seeds** beside another rule's mean: {best_of(5):.2f} for nothing",
        f"the winner is ahead of the loser by {2 / sqrt(pi):.2f}.",
        f"20 trials against 5 of the baseline: {best_of(20) - best_of(5):.2f},",
        f"The winner of 10 rules with 5 seeds each**: still {best_of(10) / sqrt(5):.2f} above their mean",
        f"a standard deviation is {sd:.2f} points for Adam's default, so two single trainings of it differ by "
        f"{2 / sqrt(pi) * sd:.2f} on average; over the better half of its learning rates it is {luck:.2f}.",
        f"Of 10 equal rules there are {10 * 9 // 2} pairs; with 5% for each, and the noise known, some pair "
        f'is "significant" in {some_pair:.0%} of studies; and of the 9 against one baseline, some is in '
        f"{against_one:.0%}.",
        "in 4 of 5 cases, at 5%,",
        f"| d | {' | '.join(f'{d:g}' for d in sizes)} |",
        f"| seeds of each | {' | '.join(str(seeds_for(d)) for d in sizes)} |",
        "in at most 5% of comparisons (how often it is, below)",
        calibrated(),
    ]
