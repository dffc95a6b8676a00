"""From stored runs to `Findings`: nothing here trains, and nothing is kept but what the runs say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, sqrt
from pathlib import Path
from statistics import fmean, median, stdev

from thalweg.stats.levels import level_of
from thalweg.stats.pool import Pool, to_rerun, winning
from thalweg.stats.sensitivity import sensitivity
from thalweg.stats.wording import listed
from thalweg.study.ask.designs import LEAST
from thalweg.study.model.cells import WITHOUT_RESULT, Cell, Run, Status, once, which
from thalweg.study.model.errors import StudyError
from thalweg.study.model.metric import Metric, choose_metric, reported_by, scaled
from thalweg.study.model.plan import Contender, Plan, first_axis
from thalweg.study.model.same import differences

from .family import Configured, Family, Judged, family_of_configurations, family_of_searches, levels_of
from .findings import ContenderRow, Findings
from .mattering import matters_of
from .notices import stands_alone
from .searches import Searches, searches
from .select import Scores, budgets_of, is_over, ranking, within
from .verdicts import said

LEVEL = 0.95


def findings(plan: Plan, provenance: Mapping[str, object], have: Mapping[str, Run], path: Path | None) -> Findings:
    """Everything that a comparison says, from its plan and the runs there are, by key."""
    metric = _metric(plan, have)
    known = [_contender_runs(plan, rule, have, metric) for rule in plan.rules]
    every = once(run for rule in known for run in rule.all)
    rows = _rows(known, metric, every, plan.design > 1)
    missing = _missing(plan, known, have)
    # Of one whose every run failed there is nothing to say but why.
    heard = [rule for rule, row in zip(known, rows, strict=True) if not row.silent]
    family, tuned = (_judged(plan, heard, metric, every) if metric and not missing else None) or (None, None)
    done = len(every) + sum(rule.repeated is not None for rule in known)
    answer = said(plan, metric, rows, family, tuned, done, missing)
    return Findings(plan, metric, rows, family, tuned, answer, missing, provenance, path)


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
    ``repeated`` the default's run of the search, once more.
    ``budgets``  the sizes of the searches that it is judged as.
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
    known = [have[key].curves for key in (cell.key for cell in plan.search_cells()) if key in have]
    try:
        return scaled(choose_metric(plan.metric, reported_by(known)), known)
    except StudyError:
        return None


def _contender_runs(plan: Plan, rule: Contender, have: Mapping[str, Run], metric: Metric | None) -> _ContenderRuns:
    def known(cells: Iterable[Cell]) -> tuple[Run, ...]:
        return tuple(have[cell.key] for cell in cells if cell.key in have)

    def again(trial: int) -> tuple[Run, ...]:
        return known(plan.cell(rule, trial, seed) for seed in plan.fresh_seeds)

    # Two trials that drew the same values may share a run: each has it under its own number.
    begun = {k: run for k in range(plan.trials) for run in known([plan.search_cell(rule, k)])}
    trials = dict(zip(begun, within(tuple(begun.values()), plan.minutes), strict=False))
    done = is_over(tuple(begun.values()), plan.trials, plan.minutes)
    ranked = ranking(tuple(trials.values()), metric) if metric and trials and done else None
    budgets = budgets_of(plan.budgets, plan.minutes, len(trials) if done else plan.trials)
    # While it is not known how the default ranks, it is taken to be the worst: the number of runs can only fall.
    chosen = to_rerun(ranked or (*range(1, plan.trials), 0), budgets[-1:], even=plan.design > 1)
    trained = {trial: again(trial) for trial in (chosen if ranked else (0,))}
    repeated = next(iter(known([plan.search_cell(rule, 0, repeat=1)])), None)
    return _ContenderRuns(rule, trials, ranked, chosen, trained, repeated, budgets, plan.seeds)


def _rows(
    known: Sequence[_ContenderRuns], metric: Metric | None, every: Sequence[Run], even: bool
) -> tuple[ContenderRow, ...]:
    first = _step_seconds(known[0].all)
    return tuple(_row(rule, metric, every, first, even) for rule in known)


def _row(
    found: _ContenderRuns, metric: Metric | None, every: Sequence[Run], first: float | None, even: bool
) -> ContenderRow:
    rule, best = found.rule, found.best
    default = _scores(found.default, metric, every) if len(found.default) == found.seeds else None
    tuned = _scores(found.tuned, metric, every) if len(found.tuned) == found.seeds else None
    step = _step_seconds(found.all)
    valid = _valid(found, metric, every)
    row = ContenderRow(
        contender=rule.label,
        name=rule.name,
        trials=found.trials,
        default=level_of(default, scale=metric.scale, level=LEVEL, within=metric.possible)
        if metric and default
        else None,
        tuned=level_of(tuned, scale=metric.scale, level=LEVEL, within=metric.possible) if metric and tuned else None,
        default_values=rule.trials[0],
        winner_trial=best,
        winner_values={} if best is None else rule.trials[best],
        best_after=_best_after(valid, found.ranked, even) if valid and found.ranked else (),
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
        alone=_alone(found, metric) if metric and even and len(found.trials) >= LEAST else "",
        searched_names=tuple(rule.searched),
    )
    if not row.silent:
        return row
    return replace(row, default=None, tuned=None, best_after=(), sensitivity=())


def _best_after(valid: Sequence[float], ranked: Sequence[int], even: bool) -> tuple[float, ...]:
    """Expected best of n random trials, n = 1 ... N."""
    return tuple(float(winning(ranked, n, even=even) @ valid) for n in range(1, len(valid) + 1))


def _alone(found: _ContenderRuns, metric: Metric) -> str:
    places, best = found.rule.places, found.best
    if not places or not best:
        return ""
    values = [_signed(run, metric) for run in found.trials.values()]
    axis = first_axis(found.rule.searched)
    if not stands_alone(places[: len(values)], values, best, _luck(found, metric)):
        return ""
    return f"those next to it in {axis} are far worse, so that other searches may miss what it found"


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
    """The validation value by which each trial ranks; of one that has none, what it counts with.

    Empty while the search is not done.
    """
    if metric is None or found.ranked is None:
        return []
    name, scores = metric.selection, Scores(metric.selection, metric.higher_is_better, every)
    values = [
        run.curves[name].end() if run.status == "done" and name in run.curves else scores.score(run)
        for run in found.trials.values()
    ]
    known = [value for value in values if value is not None]
    return known if len(known) == len(found.trials) else []


def _judged(
    plan: Plan, known: Sequence[_ContenderRuns], metric: Metric, every: Sequence[Run]
) -> tuple[Family, Searches | None] | None:
    """The answer's differences, and what is described beside them; None where the metric is not known of all."""
    defaults = {rule.rule.label: _configured(rule.default, metric, every) for rule in known}
    tuned = {rule.rule.label: _configured(rule.tuned, metric, every) for rule in known}
    if not known or any(each is None for each in (*defaults.values(), *tuned.values())):
        return None
    settings, winners = ({k: v for k, v in each.items() if v is not None} for each in (defaults, tuned))
    labels = [rule.rule.label for rule in known]
    reference = plan.against if plan.against in labels else labels[0]
    scale = metric.scale
    low, high = metric.possible
    span = scale.score(high) - scale.score(low) if isfinite(high - low) else inf

    def judged(mean: float) -> Judged:
        return Judged(scale, metric.higher_is_better, matters_of(plan.matters, scale, mean), span)

    if not any(rule.rule.searched and len(rule.trials) > 1 for rule in known):
        return family_of_configurations(settings, {}, reference, judged(fmean(settings[reference].scores))), None
    pools = {rule.rule.label: pool for rule in known if (pool := _pool(rule, plan, metric, every))}
    sizes = {rule.rule.label: rule.budgets[-1] for rule in known if rule.budgets}
    if len(pools) < len(known) or len(sizes) < len(known):
        level = judged(fmean(winners[reference].scores))
        return family_of_configurations(winners, settings, reference, level), None
    means = levels_of(pools, sizes)
    tuned_level = judged(means[reference].mean)
    described = searches(
        pools,
        sizes,
        means,
        reference,
        tuned_level,
        level=LEVEL,
        possible=metric.possible,
        target=None if plan.target is None else scale.score(plan.target),
    )
    found = described.differences
    return family_of_searches(pools, sizes, described.failures, settings, reference, tuned_level, found), described


def _configured(runs: Sequence[Run], metric: Metric, every: Sequence[Run]) -> Configured | None:
    values = _scores(runs, metric, every)
    if not values:
        return None
    scores = Scores(metric.judgement, metric.higher_is_better, every)
    return Configured(tuple(map(metric.scale.score, values)), tuple(map(scores.failed, runs)))


def _pool(found: _ContenderRuns, plan: Plan, metric: Metric, every: Sequence[Run]) -> Pool | None:
    tuning = _scores(tuple(found.trials.values()), metric, every)
    fresh = {trial: _configured(runs, metric, every) for trial, runs in found.again.items()}
    again = {trial: each for trial, each in fresh.items() if each is not None}
    if found.ranked is None or tuning is None or len(again) < len(fresh):
        return None
    size = len(tuning)
    # Where nothing is searched all trials are one, and no place is another.
    places = found.rule.places or tuple(trial / size for trial in range(size))
    return Pool(
        found.ranked,
        tuple(map(metric.scale.score, tuning)),
        {trial: each.scores for trial, each in again.items()},
        places[:size] if plan.design > 1 else (),
        {trial: each.failed for trial, each in again.items() if any(each.failed)},
        tuple(_signed(run, metric) for run in found.trials.values()),
        _luck(found, metric),
        metric.scale.rounding([score for each in again.values() for score in each.scores]),
    )


def _signed(run: Run, metric: Metric) -> float:
    """A trial's validation value, higher being better; of one that did not end well, nothing is worse."""
    curve = run.curves.get(metric.selection)
    if run.status != "done" or curve is None:
        return -inf
    return curve.end() if metric.higher_is_better else -curve.end()


def _luck(found: _ContenderRuns, metric: Metric) -> float:
    """The spread of the default's validation value from seed to seed.

    Re-runs may divide the data anew, which moves all configurations alike: so it is that of its difference from the
    best other one, of which half the variance is the default's.
    """
    others = [trial for trial in found.again if trial]
    best = min(others, key=(found.ranked or ()).index, default=None)
    ours = [_signed(run, metric) for run in found.default]
    theirs = [_signed(run, metric) for run in found.again[best]] if best is not None else [0.0] * len(ours)
    both = [a - b for a, b in zip(ours, theirs, strict=False) if isfinite(a) and isfinite(b)]
    if len(both) < 2:
        return 0.0
    return stdev(both) / (sqrt(2) if best is not None else 1.0)


def _missing(plan: Plan, found: Sequence[_ContenderRuns], have: Mapping[str, Run]) -> int:
    """Runs still to do."""
    search = [plan.search_cell(r.rule, k) for r in found for k in range(_wanted(r, plan))]
    again = plan.fresh_cells({r.rule.label: r.chosen for r in found})
    return len({cell.key for cell in (*search, *plan.repeat_cells(), *again)} - have.keys())


def _wanted(found: _ContenderRuns, plan: Plan) -> int:
    return plan.trials if found.ranked is None and plan.minutes is None else max(len(found.trials), 1)


def _count(runs: Sequence[Run], *statuses: Status) -> int:
    return sum(run.status in statuses for run in runs)


def _step_seconds(runs: Sequence[Run]) -> float | None:
    known = [run.step_seconds for run in runs if run.step_seconds is not None]
    return median(known) if known else None
