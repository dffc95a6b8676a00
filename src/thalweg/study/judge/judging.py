"""From stored runs to `Findings`: nothing here trains, and nothing is kept but what the runs say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import mean, median

from thalweg.stats.holm import holm_together
from thalweg.stats.intervals import t_interval
from thalweg.stats.paired import Difference, difference, p_value
from thalweg.stats.pool import Pool, largest_budget, procedure, to_rerun
from thalweg.stats.sensitivity import sensitivity
from thalweg.stats.tuning_curve import best_after
from thalweg.stats.wording import listed
from thalweg.study.model.cells import WITHOUT_RESULT, Run, Status, once, which
from thalweg.study.model.errors import StudyError
from thalweg.study.model.metric import Metric, choose_metric, reported_by
from thalweg.study.model.plan import Contender, Plan
from thalweg.study.model.same import differences

from .findings import ContenderRow, Findings
from .procedures import Procedures, procedures
from .select import Scores, budgets_of, is_over, ranking, within
from .verdicts import said

LEVEL = 0.95


def findings(plan: Plan, provenance: Mapping[str, object], have: Mapping[str, Run], path: Path | None) -> Findings:
    """Everything that a comparison says, from its plan and the runs there are, by key."""
    metric = _metric(plan, have)
    found = [_contender_runs(plan, rule, have, metric) for rule in plan.rules]
    every = once(run for rule in found for run in rule.all)
    rows = _rows(found, metric, every)
    # Of one whose every run failed there is nothing to say but why.
    heard = [row for row in rows if not row.silent]
    pairs, tuning = _differences(heard, metric)
    missing = _missing(plan, found, have)
    labels = {row.contender for row in heard}
    budgets = (
        _procedures([rule for rule in found if rule.rule.label in labels], metric, every)
        if metric and not missing
        else ()
    )
    done = len(every) + sum(rule.repeated is not None for rule in found)
    told = said(plan, metric, rows, pairs, tuning, budgets, done, missing)
    return Findings(plan, metric, rows, pairs, tuning, told, missing, provenance, path, budgets)


def to_train_again(plan: Plan, have: Mapping[str, Run]) -> dict[str, tuple[int, ...]]:
    """The trials of each rule that fresh seeds judge, by label; while a search is not done, the most there can be."""
    metric = _metric(plan, have)
    return {rule.label: _contender_runs(plan, rule, have, metric).chosen for rule in plan.rules}


@dataclass(frozen=True)
class _ContenderRuns:
    """A rule's runs by their part in the comparison.

    ``trials``   of the search, by number, as far as they are there and began in time; ``ranked`` the best first, None
                 while the search is not done.
    ``chosen``   the trials that are trained again; ``again`` those runs, by trial number, in the order of the seeds.
    ``repeated`` the default's run with the tuning seed, once more.
    ``budgets``  the sizes of its virtual studies.
    """

    rule: Contender
    trials: Mapping[int, Run]
    ranked: tuple[int, ...] | None
    chosen: tuple[int, ...]
    again: Mapping[int, tuple[Run, ...]]
    repeated: Run | None
    budgets: tuple[int, ...]
    seeds: int

    @property
    def best(self) -> int | None:
        return None if self.ranked is None else self.ranked[0]

    @property
    def default(self) -> tuple[Run, ...]:
        return self.again.get(0, ())

    @property
    def tuned(self) -> tuple[Run, ...]:
        return () if self.best is None else self.again.get(self.best, ())

    @property
    def all(self) -> tuple[Run, ...]:
        return once((*self.trials.values(), *(run for runs in self.again.values() for run in runs)))


def _metric(plan: Plan, have: Mapping[str, Run]) -> Metric | None:
    known = [have[key] for key in (cell.key for cell in plan.search_cells()) if key in have]
    reported = reported_by(run.curves for run in known)
    try:
        return choose_metric(plan.metric, reported)
    except StudyError:
        return None


def _contender_runs(plan: Plan, rule: Contender, have: Mapping[str, Run], metric: Metric | None) -> _ContenderRuns:
    def runs(trial: int, seeds: Sequence[int], repeat: int = 0) -> tuple[Run, ...]:
        cells = [plan.cell(rule, trial, seed, repeat) for seed in seeds]
        return tuple(have[cell.key] for cell in cells if cell.key in have)

    # Two trials that drew the same values share a run: each has it under its own number.
    begun = {k: run for k in range(plan.trials) for run in runs(k, [plan.tuning_seed])}
    trials = dict(zip(begun, within(tuple(begun.values()), plan.minutes), strict=False))
    done = is_over(tuple(begun.values()), plan.trials, plan.minutes)
    ranked = ranking(tuple(trials.values()), metric) if metric and trials and done else None
    budgets = budgets_of(plan.budgets, plan.minutes, len(trials) if done else plan.trials)
    # While it is not known how the default ranks, it is taken to be the worst: the number of runs can only fall.
    chosen = to_rerun(ranked or (*range(1, plan.trials), 0), budgets)
    again = {trial: runs(trial, plan.fresh_seeds) for trial in chosen} if ranked else {0: runs(0, plan.fresh_seeds)}
    repeated = next(iter(runs(0, [plan.tuning_seed], repeat=1)), None)
    return _ContenderRuns(rule, trials, ranked, chosen, again, repeated, budgets, plan.seeds)


def _rows(found: Sequence[_ContenderRuns], metric: Metric | None, every: Sequence[Run]) -> tuple[ContenderRow, ...]:
    first = _step_seconds(found[0].all)
    return tuple(_row(rule, metric, every, first) for rule in found)


def _row(found: _ContenderRuns, metric: Metric | None, every: Sequence[Run], first: float | None) -> ContenderRow:
    rule, best = found.rule, found.best
    default = _scores(found.default, metric, every) if len(found.default) == found.seeds else None
    tuned = _scores(found.tuned, metric, every) if len(found.tuned) == found.seeds else None
    step = _step_seconds(found.all)
    valid = _valid(found, metric, every)
    row = ContenderRow(
        contender=rule.label,
        name=rule.name,
        trials=found.trials,
        default=t_interval(default, level=LEVEL, within=metric.possible) if metric and default else None,
        tuned=t_interval(tuned, level=LEVEL, within=metric.possible) if metric and tuned else None,
        default_values=rule.trials[0],
        winner_trial=best,
        winner_values={} if best is None else rule.trials[best],
        best_after=best_after(valid, higher_is_better=metric.higher_is_better) if metric and valid else (),
        near_edge=rule.edges[best] if best else (),
        diverged=_count(found.all, "diverged"),
        failed=_count(found.all, *WITHOUT_RESULT),
        default_lost=len(found.default) - _count(found.default, "done"),
        tuned_lost=len(found.tuned) - _count(found.tuned, "done"),
        step_seconds=step,
        step_ratio=step / first if step and first else None,
        state_bytes=max((run.state_bytes for run in found.tuned or found.trials.values()), default=0),
        seconds=sum(run.seconds for run in (*found.all, *((found.repeated,) if found.repeated else ()))),
        options=rule.options,
        again=found.again,
        repeated=found.repeated,
        unlike=_unlike(found),
        alike=_alike(found.trials),
        searched=bool(rule.searched),
        sensitivity=sensitivity(valid[1:], higher_is_better=metric.higher_is_better)
        if metric and len(valid) > 1 and rule.searched
        else (),
        best_after_half=_half_widths(valid, found.ranked) if valid and found.ranked else (),
    )
    if not row.silent:
        return row
    return replace(row, default=None, tuned=None, best_after=(), best_after_half=(), sensitivity=())


def _half_widths(valid: Sequence[float], ranked: tuple[int, ...]) -> tuple[float, ...]:
    """Of the intervals of `best_after`, for n up to a third of the trials."""
    # The pool's test values are here the validation values that rank it: they have no noise but that of the draws.
    # A loss that ran away must not overflow when it is squared.
    scale = max(map(abs, valid)) or 1.0
    scaled = tuple(value / scale for value in valid)
    pool = Pool(ranked, scaled, {0: (scaled[0], scaled[0])})
    return tuple(scale * procedure(pool, n).half(LEVEL) for n in range(1, largest_budget(pool.size) + 1))


def _unlike(found: _ContenderRuns) -> tuple[str, ...]:
    """What the default's two runs with one seed do not have in common."""
    first = found.trials.get(0)
    if first is None or not found.repeated:
        return ()
    return differences(first, replace(found.repeated, key=first.key), ("the first time", "the second"))


def _alike(trials: Mapping[int, Run]) -> str:
    """That what was chosen differently changed nothing, in words."""
    first: dict[str, tuple[int, Run]] = {}
    for trial, run in trials.items():
        told = repr(sorted(run.curves.items()))
        moved = any(len({*curve.values}) > 1 for curve in run.curves.values())
        if run.status != "done" or not moved:
            continue
        number, other = first.setdefault(told, (trial, run))
        names = [name for name, value in run.values.items() if other.values.get(name) != value]
        if names:
            earlier = "the default" if number == 0 else which(number)
            return f"{earlier} and {which(trial)} differ in {listed(names)} and gave the same curves"
    return ""


def _scores(runs: Sequence[Run], metric: Metric | None, every: Sequence[Run]) -> list[float] | None:
    if metric is None:
        return None
    scores = Scores(metric.judgement, metric.higher_is_better, every)
    known = [score for run in runs if (score := scores.score(run)) is not None]
    return known if len(known) == len(runs) else None


def _valid(found: _ContenderRuns, metric: Metric | None, every: Sequence[Run]) -> list[float]:
    """The validation value of each trial; empty while the search is not done."""
    if metric is None or found.ranked is None:
        return []
    scores = Scores(metric.selection, metric.higher_is_better, every)
    known = [score for run in found.trials.values() if (score := scores.score(run, last=3)) is not None]
    return known if len(known) == len(found.trials) else []


def _differences(
    rows: Sequence[ContenderRow], metric: Metric | None
) -> tuple[tuple[Difference, ...], dict[str, Difference]]:
    """Tuned against tuned for every pair, the better mean first; tuned against default where tuning changed a rule."""
    if metric is None or any(row.tuned is None or row.default is None for row in rows):
        return (), {}
    up = metric.higher_is_better
    tuned = {row.contender: row.tuned.values for row in rows if row.tuned}
    default = {row.contender: row.default.values for row in rows if row.default}

    def family(named: Sequence[tuple[str, str, Sequence[float], Sequence[float]]]) -> tuple[Difference, ...]:
        together = holm_together([p_value(a, b) for _, _, a, b in named], 1 - LEVEL)
        return tuple(
            difference(*each, higher_is_better=up, level=LEVEL, together=share)
            for each, share in zip(named, together, strict=True)
        )

    ranked = sorted(tuned, key=lambda rule: mean(tuned[rule]), reverse=up)
    pairs = family([(a, b, tuned[a], tuned[b]) for a, b in combinations(ranked, 2)])
    moved = [row.contender for row in rows if row.winner_trial]
    changes = family([(f"tuned {rule}", f"default {rule}", tuned[rule], default[rule]) for rule in moved])
    return pairs, dict(zip(moved, changes, strict=True))


def _procedures(found: Sequence[_ContenderRuns], metric: Metric, every: Sequence[Run]) -> tuple[Procedures, ...]:
    """One for each budget that every rule's pool is large enough for."""
    pools = {rule.rule.label: pool for rule in found if (pool := _pool(rule, metric, every))}
    if len(pools) < len(found):
        return ()
    each = zip(*(rule.budgets for rule in found), strict=False)
    return tuple(
        procedures(
            pools,
            dict(zip(pools, sizes, strict=True)),
            higher_is_better=metric.higher_is_better,
            level=LEVEL,
            possible=metric.possible,
        )
        for sizes in each
    )


def _pool(found: _ContenderRuns, metric: Metric, every: Sequence[Run]) -> Pool | None:
    tuning = _scores(tuple(found.trials.values()), metric, every)
    fresh = {trial: _scores(runs, metric, every) for trial, runs in found.again.items()}
    if found.ranked is None or tuning is None or any(values is None for values in fresh.values()):
        return None
    return Pool(found.ranked, tuple(tuning), {trial: tuple(values) for trial, values in fresh.items() if values})


def _missing(plan: Plan, found: Sequence[_ContenderRuns], have: Mapping[str, Run]) -> int:
    """Runs still to do."""
    search = [plan.cell(r.rule, k, plan.tuning_seed) for r in found for k in range(_wanted(r, plan))]
    again = plan.fresh_cells({r.rule.label: r.chosen for r in found})
    return len({cell.key for cell in (*search, *plan.repeat_cells(), *again)} - have.keys())


def _wanted(found: _ContenderRuns, plan: Plan) -> int:
    return plan.trials if found.ranked is None and plan.minutes is None else max(len(found.trials), 1)


def _count(runs: Sequence[Run], *statuses: Status) -> int:
    return sum(run.status in statuses for run in runs)


def _step_seconds(runs: Sequence[Run]) -> float | None:
    known = [run.step_seconds for run in runs if run.step_seconds is not None]
    return median(known) if known else None
