"""How a study is laid out: how its trials are drawn and seeded, how many there are, and which searches are judged.

A study keeps the design that it began with, so that all of its runs are used when it goes on.

Design 1, of the studies of before: independent draws, one seed for all trials, a box that grows with the number of
trials, and searches of a third of them judged.

Design 2: the default and 1, 2, 4, 8, ... points that lie evenly (`thalweg.study.ask.draws.nested`), a seed for each
trial, and searches of n trials judged. n is fixed when a study begins, and the box follows from it alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from thalweg.stats.pool import largest_budget
from thalweg.study.model.errors import StudyError
from thalweg.study.model.plan import Plan

from .draws import Draw, nested, trial_seed, uniform

LATEST = 2
# Of the searches that are judged, in trials, unless another number is given; the box is never that of smaller ones.
BUDGET = 5
# With fewer trials, whatever is said is said of settings.
LEAST = 6


@dataclass(frozen=True)
class Layout:
    """Of one study.

    ``trials``   of each rule, the default included; ``budgets`` of the searches that are judged, in trials, where there
                 are enough.
    ``size``     of the searches whose box is searched (`thalweg.formula.Search`).
    """

    design: int
    trials: int
    budgets: tuple[int, ...]
    size: int

    def draw(self, study_seed: int) -> Draw:
        """Where the trials of a study lie."""
        return partial(uniform if self.design == 1 else nested, study_seed)

    def search_seeds(self, study_seed: int) -> tuple[int, ...]:
        """Of each trial; empty where all have the tuning seed."""
        return () if self.design == 1 else tuple(trial_seed(study_seed, k) for k in range(self.trials))


def rounded(trials: int) -> int:
    """The next number of trials that is the default and 1, 2, 4, 8, ... others: so many points lie evenly."""
    return 1 if trials == 1 else 1 + (1 << (trials - 2).bit_length())


def largest(trials: int) -> int:
    """The largest searches that a pool of so many trials says something of: two of them need have no draw in common.

    0 of fewer than `LEAST` trials: of those nothing is said but of the settings found.
    """
    return (trials - 1) // 2 if trials >= LEAST else 0


def usual(trials: int) -> tuple[int, ...]:
    """The searches that are judged of a pool of so many trials unless others are asked for; empty: too few trials.

    5 of 17 or more, and 4 of 9.
    """
    return (min(BUDGET, largest(trials)),) if largest(trials) >= BUDGET - 1 else ()


def layout(trials: int, budget: int | None, minutes: float | None, begun: Plan | None = None) -> Layout:
    """That of a study; ``begun`` is what there is of it in its store. Raises `StudyError` for another budget.

    ``trials``, ``budget``, ``minutes``  as in `thalweg.study.ask.spec.Study`.
    """
    if begun is not None and begun.design == 1:
        return Layout(1, trials, _of_before(trials, budget, minutes, begun), trials)
    kept = begun.budgets if begun else ()
    if minutes is not None:
        # No number of trials is meant, only the most there may be.
        return Layout(LATEST, trials, kept, _box(kept))
    size, asked = rounded(trials), () if budget is None else (budget,)
    if asked and begun is not None and (_box(asked) != _box(kept) or kept not in ((), asked)):
        raise _keeps(kept)
    budgets = asked or kept or usual(size)
    return Layout(LATEST, size, budgets, _box(budgets))


def least_pool(budget: int) -> int:
    """The smallest pool that says something of searches of so many trials."""
    return rounded(max(2 * budget + 1, LEAST))


def _box(budgets: Sequence[int]) -> int:
    """The size of the searches whose box is searched."""
    return max(BUDGET, *budgets) if budgets else BUDGET


def _of_before(trials: int, budget: int | None, minutes: float | None, begun: Plan) -> tuple[int, ...]:
    """The budgets of a study of design 1: those that it had, of which a third of the trials is the usual one."""
    if minutes is not None:
        return ()
    asked_none = begun.minutes is not None or begun.budgets == _third(begun.trials)
    budgets = _third(trials) if asked_none else tuple(n for n in begun.budgets if n <= largest_budget(trials))
    if budget is not None and budgets != (budget,):
        raise _keeps(budgets)
    return budgets


def _third(trials: int) -> tuple[int, ...]:
    third = largest_budget(trials)
    return (third,) if third > 1 else ()


def _keeps(budgets: Sequence[int]) -> StudyError:
    """That a study goes on as it began."""
    trials = " and ".join(map(str, budgets))
    judges = f"judges searches of {trials} trials" if budgets else "judges no searches"
    return StudyError(
        f"the study in this store {judges}, and goes on with that, so that its runs are used: leave budget out, or "
        "name another store for this"
    )
