"""From stored runs to a `Comparison`: nothing here trains, and nothing is kept but what the runs say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean, median

from thalweg.stats.intervals import t_interval
from thalweg.stats.paired import Difference, difference
from thalweg.stats.tuning_curve import best_after
from thalweg.stats.verdict import Contestant, Setting, Verdict, verdict
from thalweg.stats.wording import Unit

from .cells import Run, Status
from .errors import StudyError
from .metric import Metric, choose_metric
from .plan import Plan, PlannedRule
from .results import Comparison, RuleRow
from .select import Scores, winner

LEVEL = 0.95


def judge(plan: Plan, provenance: Mapping[str, object], have: Mapping[str, Run], path: Path | None) -> Comparison:
    """Everything that a comparison says, from its plan and the runs there are, by key."""
    known = {key: have[key] for key in (cell.key for cell in plan.search_cells()) if key in have}
    metric = _metric(plan, known)
    found = [_rule_runs(plan, rule, have, metric) for rule in plan.rules]
    every = {run.key: run for rule in found for run in rule.all}
    rows = _rows(found, metric, list(every.values()))
    pairs, tuning = _differences(rows, metric)
    missing = _missing(plan, found, have)
    said = _verdict(plan, metric, rows, pairs, tuning) if metric and not missing else _unfinished(len(every), missing)
    return Comparison(plan, metric, rows, pairs, tuning, said, missing, provenance, path)


@dataclass(frozen=True)
class _RuleRuns:
    """A rule's runs by their part in the comparison; ``best`` is the winning trial, None while not known."""

    rule: PlannedRule
    trials: tuple[Run, ...]
    best: int | None
    default: tuple[Run, ...]
    tuned: tuple[Run, ...]
    seeds: int

    @property
    def all(self) -> tuple[Run, ...]:
        return tuple({run.key: run for run in (*self.trials, *self.default, *self.tuned)}.values())


def _metric(plan: Plan, have: Mapping[str, Run]) -> Metric | None:
    reported = {name for run in have.values() for name in run.curves}
    try:
        return choose_metric(plan.metric, reported)
    except StudyError:
        return None


def _rule_runs(plan: Plan, rule: PlannedRule, have: Mapping[str, Run], metric: Metric | None) -> _RuleRuns:
    def runs(trial: int, seeds: Sequence[int]) -> tuple[Run, ...]:
        cells = [plan.cell(rule, trial, seed) for seed in seeds]
        # Two trials that drew the same values share a run: each is shown under its own number.
        return tuple(have[cell.key].known_as(cell) for cell in cells if cell.key in have)

    trials = tuple(run for k in range(plan.trials) for run in runs(k, [plan.tuning_seed]))
    best = winner(trials, metric) if metric and len(trials) == plan.trials else None
    tuned = () if best is None else runs(best, plan.fresh_seeds)
    return _RuleRuns(rule, trials, best, runs(0, plan.fresh_seeds), tuned, plan.seeds)


def _rows(found: Sequence[_RuleRuns], metric: Metric | None, every: Sequence[Run]) -> tuple[RuleRow, ...]:
    first = _step_seconds(found[0].all)
    return tuple(_row(rule, metric, every, first) for rule in found)


def _row(found: _RuleRuns, metric: Metric | None, every: Sequence[Run], first: float | None) -> RuleRow:
    rule, best = found.rule, found.best
    default = _scores(found.default, metric, every) if len(found.default) == found.seeds else None
    tuned = _scores(found.tuned, metric, every) if len(found.tuned) == found.seeds else None
    step = _step_seconds(found.all)
    return RuleRow(
        rule=rule.label,
        name=rule.name,
        trials=found.trials,
        default_runs=found.default,
        tuned_runs=found.tuned,
        default=t_interval(default, level=LEVEL, within=metric.possible) if metric and default else None,
        tuned=t_interval(tuned, level=LEVEL, within=metric.possible) if metric and tuned else None,
        default_values=rule.trials[0],
        winner_trial=best,
        winner_values={} if best is None else rule.trials[best],
        best_after=_curve(found, metric, every),
        near_edge=rule.edges[best] if best else (),
        diverged=_count(found.all, "diverged"),
        failed=_count(found.all, "failed", "died"),
        default_lost=len(found.default) - _count(found.default, "done"),
        tuned_lost=len(found.tuned) - _count(found.tuned, "done"),
        step_seconds=step,
        step_ratio=step / first if step and first else None,
        state_bytes=max((run.state_bytes for run in found.tuned or found.trials), default=0),
        seconds=sum(run.seconds for run in found.all),
        options=rule.options,
    )


def _scores(runs: Sequence[Run], metric: Metric | None, every: Sequence[Run]) -> list[float] | None:
    if metric is None:
        return None
    scores = Scores(metric.judgement, metric.higher_is_better, every)
    known = [score for run in runs if (score := scores.score(run)) is not None]
    return known if len(known) == len(runs) else None


def _curve(found: _RuleRuns, metric: Metric | None, every: Sequence[Run]) -> tuple[float, ...]:
    if metric is None or found.best is None:
        return ()
    scores = Scores(metric.selection, metric.higher_is_better, every)
    known = [score for run in found.trials if (score := scores.score(run, last=3)) is not None]
    return best_after(known, higher_is_better=metric.higher_is_better) if len(known) == len(found.trials) else ()


def _differences(
    rows: Sequence[RuleRow], metric: Metric | None
) -> tuple[tuple[Difference, ...], dict[str, Difference]]:
    """Tuned against tuned for every pair, the better mean first; tuned against default where tuning changed a rule."""
    if metric is None or any(row.tuned is None or row.default is None for row in rows):
        return (), {}
    up = metric.higher_is_better
    tuned = {row.rule: row.tuned.values for row in rows if row.tuned}
    default = {row.rule: row.default.values for row in rows if row.default}
    ranked = sorted(tuned, key=lambda rule: mean(tuned[rule]), reverse=up)
    two = list(combinations(ranked, 2))
    pairs = tuple(
        difference(a, b, tuned[a], tuned[b], higher_is_better=up, level=LEVEL, together=len(two)) for a, b in two
    )
    moved = [row.rule for row in rows if row.winner_trial]
    tuning = {
        rule: difference(
            f"tuned {rule}",
            f"default {rule}",
            tuned[rule],
            default[rule],
            higher_is_better=up,
            level=LEVEL,
            together=len(moved),
        )
        for rule in moved
    }
    return pairs, tuning


def _missing(plan: Plan, found: Sequence[_RuleRuns], have: Mapping[str, Run]) -> int:
    """Runs still to do, or to do again because their process died."""
    winners = {r.rule.label: r.best for r in found}
    cells = {cell.key for cell in (*plan.search_cells(), *plan.fresh_cells(winners))}
    return len(cells - have.keys())


def _verdict(
    plan: Plan,
    metric: Metric,
    rows: Sequence[RuleRow],
    pairs: Sequence[Difference],
    tuning: Mapping[str, Difference],
) -> Verdict:
    setting = Setting(
        task=plan.place,
        metric=metric.judgement.replace("_", " ").replace("valid ", "validation "),
        unit=Unit(share=metric.is_share),
        trials=plan.trials,
        judged_on_validation=metric.judged_on == "valid",
    )
    searched = {rule.label: bool(rule.searched) for rule in plan.rules}
    contestants = [
        Contestant(
            label=row.rule,
            name=row.name,
            tuned=row.tuned,
            default_won=row.winner_trial == 0,
            searched=searched[row.rule],
            diverged=_count(row.tuned_runs, "diverged"),
            failed=_count(row.tuned_runs, "failed", "died"),
            at_edge=row.near_edge,
        )
        for row in sorted(rows, key=lambda row: row.tuned.mean if row.tuned else 0.0, reverse=metric.higher_is_better)
        if row.tuned
    ]
    if len(contestants) < len(rows):
        return Verdict((f"Cannot tell: no re-run of some rule ever reported {metric.judgement}.",))
    return verdict(setting, contestants, pairs, tuning)


def _unfinished(done: int, missing: int) -> Verdict:
    if not missing:
        return Verdict(("Cannot tell: no run reported the metric that the comparison is judged by.",))
    return Verdict(
        (
            f"The comparison is not finished: {done} of {done + missing} runs are stored; "
            "the same command goes on where it stopped.",
        )
    )


def _count(runs: Sequence[Run], *statuses: Status) -> int:
    return sum(run.status in statuses for run in runs)


def _step_seconds(runs: Sequence[Run]) -> float | None:
    known = [run.step_seconds for run in runs if run.step_seconds is not None]
    return median(known) if known else None
