"""The lecture's claims in a terminal: a list, a table, one in full; and how far measuring them is."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from thalweg.claims import SECTIONS, claim, names
from thalweg.claims.judging import Verdict, judged
from thalweg.claims.keep import Record
from thalweg.claims.outcome import Outcome
from thalweg.claims.wording import asked, estimate, provenance, summary, verdict

from .console import table

STYLES: dict[Verdict, str] = {"holds": "green", "does not hold": "red", "cannot tell": "yellow"}


def claims_list(published: Sequence[Outcome]) -> Table:
    """All claims, with the verdicts that the library brings along."""
    known = {each.claim.name: each for each in published}
    shown = table("claim", "published", "statement")
    for column in shown.columns[:2]:
        column.no_wrap = True
    for section in SECTIONS:
        shown.add_row(Text(section, "italic"))
        for name in names(section):
            shown.add_row(Text(f"  {name}", "bold"), _verdict(known.get(name)), claim(name).statement.en)
    return shown


def claims_table(outcomes: Sequence[Outcome]) -> RenderableType:
    """What came of several: verdicts, and the numbers of the first repeat."""
    shown = table("claim", "verdict", "measured", "asked")
    for column in shown.columns[:2]:
        column.no_wrap = True
    for each in outcomes:
        bounds = each.judged[0].bounds
        shown.add_row(
            Text(each.claim.name, "bold"),
            _verdict(each),
            "\n".join(estimate(one) for one in bounds),
            "\n".join(asked(one.bound) for one in bounds),
        )
    return Group(shown, "", summary(outcomes), provenance(outcomes))


def claim_card(outcome: Outcome) -> RenderableType:
    """One in full."""
    one = outcome.claim
    numbers = table("repeat", "measured", "", "asked", "")
    for record, its in zip(outcome.records, outcome.judged, strict=True):
        for each in its.bounds:
            text = Text(each.verdict, STYLES[each.verdict])
            numbers.add_row(str(record.repeat), each.bound.words.en, estimate(each), asked(each.bound), text)
    head = Text.assemble((one.statement.en, "bold"), "  ", _verdict(outcome))
    return Group(
        head, f"Slide: {one.slide}", "", one.measured.en, "", numbers, "", one.why.en, "", provenance([outcome])
    )


def _verdict(outcome: Outcome | None) -> Text:
    return Text("") if outcome is None else Text(verdict(outcome), STYLES[outcome.verdict])


@contextmanager
def measuring(total: int) -> Iterator[Callable[[Record], None]]:
    """What `measure_all` tells its records: a bar on a terminal's standard error; elsewhere a line each."""
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def line(record: Record) -> Text:
        its = judged(claim(record.claim), record.intervals).verdict
        again = f", repeat {record.repeat}" if record.repeat > 1 else ""
        return Text.assemble(f"{record.claim}{again}: ", (its, STYLES[its]), f"  {record.seconds:.0f} s")

    if not console.is_terminal or os.environ.get("CI"):
        yield lambda record: console.print(line(record))
        return
    columns = (TextColumn("measuring claims"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, expand=True) as shown:
        bar = shown.add_task("", total=total)

        def advance(record: Record) -> None:
            shown.console.print(line(record))
            shown.advance(bar)

        yield advance
