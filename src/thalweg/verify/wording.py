"""What was verified, as a table for the terminal, as Markdown and as JSON."""

import json
from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from thalweg.stats.wording import value_text

from .check import DEVIATION_WITHIN, FINAL_WITHIN, INITIAL_WITHIN, Checked
from .published import RUNS_SOURCE, SEEDS_SOURCE, SingleRun, TenSeeds

CRITERIA = (
    f"Single runs: the initial loss within {INITIAL_WITHIN:g} and the final loss within {FINAL_WITHIN:g} of the "
    f"published one. Ten seeds: their mean within {FINAL_WITHIN:g}, their deviation within {DEVIATION_WITHIN:g}."
)


def settings(cell: Checked) -> str:
    """Rule and hyperparameters: ``adam lr=0.001 beta1=0.9 ...``."""
    return " ".join((cell.rule, *(f"{name}={value_text(value)}" for name, value in cell.settings.items())))


def what(cell: Checked) -> str:
    """The published name, and the schedule if there was one."""
    published = cell.published
    plan = published.schedule if isinstance(published, SingleRun) else "none"
    return published.optimizer + ("" if plan == "none" else f", {plan}")


def instance(cell: Checked) -> str:
    """The instance of the problem."""
    return str(cell.published.instance) if isinstance(cell.published, SingleRun) else "1"


def seeds(cell: Checked) -> str:
    """The seed, or the seeds."""
    return str(cell.published.seed) if isinstance(cell.published, SingleRun) else "42-51"


def published(cell: Checked) -> str:
    """The published figure."""
    if isinstance(cell.published, SingleRun):
        return f"{cell.value:.6f}"
    return f"{cell.value:.6f} ± {cell.published.deviation:.4g}"


def ours(cell: Checked) -> str:
    """Ours, with as many digits."""
    return f"{cell.ours:.6f}" + (f" ± {cell.deviation:.4g}" if cell.deviation is not None else "")


def verdict(cell: Checked) -> str:
    """``yes``, ``differs`` (it is explained) or ``NO``."""
    return "NO" if cell.problem else "differs" if cell.differs else "yes"


def summary(cells: Sequence[Checked]) -> str:
    """How many figures hold, in a sentence."""
    failed = sum(bool(cell.problem) for cell in cells)
    known = sum(bool(cell.differs) and not cell.problem for cell in cells)
    parts = [f"{len(cells) - failed - known} of {len(cells)} published figures are met"]
    parts += [f"{known} differ for a known reason"] if known else []
    parts += [f"{failed} are not met"] if failed else []
    return "; ".join(parts) + "."


def reasons(cells: Sequence[Checked]) -> list[str]:
    """What is wrong with cells, and why some differ; each sentence once."""
    wrong = [f"{what(cell)}, seed {seeds(cell)}: {cell.problem}." for cell in cells if cell.problem]
    known: dict[str, list[str]] = {}
    for cell in cells:
        if cell.differs and not cell.problem:
            known.setdefault(cell.differs, []).append(f"{what(cell)}, seed {seeds(cell)}")
    return wrong + [f"{'; '.join(names)}: {reason}." for reason, names in known.items()]


def outcome_table(cells: Sequence[Checked]) -> Group:
    """The cells for a terminal, with what is to be said about them."""
    from thalweg.terminal.console import table

    made: Table = table("optimizer", "inst.", "seed", "published", "ours", "gap", "met", right=("inst.", "gap"))
    for column in made.columns:
        column.no_wrap = True
    for cell in cells:
        mark = Text(verdict(cell), {"yes": "green", "differs": "yellow", "NO": "bold red"}[verdict(cell)])
        gap = f"{cell.gap:+.0e}"
        made.add_row(what(cell), instance(cell), seeds(cell), f"{cell.value:.6f}", f"{cell.ours:.6f}", gap, mark)
        if isinstance(cell.published, TenSeeds):
            made.add_row("  deviation", "", "", f"{cell.published.deviation:.4g}", f"{cell.deviation:.4g}", "", "")
    said = [Text(f"\n{text}") for text in (*reasons(cells), CRITERIA, summary(cells))]
    return Group(made, *said)


def as_markdown(cells: Sequence[Checked]) -> str:
    """The table of docs/verification.md."""
    head = "| optimizer | settings | instance | seed | initial loss, ours | published | ours | gap | met |"
    rows = [
        f"| {what(cell)} | {settings(cell)} | {instance(cell)} | {seeds(cell)} | {cell.initial:.5f} "
        f"| {published(cell)} | {ours(cell)} | {cell.gap:+.0e} | {verdict(cell)} |"
        for cell in cells
    ]
    return "\n".join([head, "| --- | --- | --: | --- | --: | --: | --: | --: | --- |", *rows, "", summary(cells)])


def as_json(cells: Sequence[Checked]) -> str:
    """Everything, for machines."""
    rows = [
        {
            "optimizer": cell.published.optimizer,
            "rule": cell.rule,
            "settings": dict(cell.settings),
            "schedule": cell.published.schedule if isinstance(cell.published, SingleRun) else "none",
            "instance": int(instance(cell)),
            "seeds": seeds(cell),
            "source": RUNS_SOURCE if isinstance(cell.published, SingleRun) else SEEDS_SOURCE,
            "initial": _number(cell.initial),
            "published": cell.value,
            "ours": _number(cell.ours),
            "gap": _number(cell.gap),
            "deviation": cell.deviation and _number(cell.deviation),
            "met": verdict(cell) == "yes",
            "differs": cell.differs or None,
            "problem": cell.problem or None,
        }
        for cell in cells
    ]
    return json.dumps({"summary": summary(cells), "criteria": CRITERIA, "figures": rows}, indent=1)


def _number(value: float) -> float | None:
    return value if value == value else None  # JSON has no NaN
