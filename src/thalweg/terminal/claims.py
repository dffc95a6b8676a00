"""The lecture's claims in a terminal: a list, a table, one in full; and how far measuring them is."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from thalweg.claims import claim
from thalweg.claims.claim import Claim
from thalweg.claims.judging import Verdict, judged
from thalweg.claims.keep import Record
from thalweg.claims.outcome import Outcome
from thalweg.claims.running import Failed
from thalweg.claims.wording import asked, estimate, provenance, summary, verdict

from .console import table

STYLES: dict[Verdict, str] = {"holds": "green", "does not hold": "red", "cannot tell": "yellow"}


def claims_list(claims: Sequence[Claim], published: Sequence[Outcome]) -> RenderableType:
    """Claims, a statement below each name, with the verdicts that the library brings along."""
    known = {each.claim.name: each for each in published}
    lines: list[RenderableType] = []
    for one in claims:
        lines += [_head(one, known.get(one.name)), _indented(one.statement.en)]
    return Group(*lines)


def claims_summary(outcomes: Sequence[Outcome]) -> RenderableType:
    """What came of several: verdicts, and the numbers of the first repeat, a line for each bound."""
    lines: list[RenderableType] = []
    for each in outcomes:
        lines.append(_head(each.claim, each))
        lines += [
            _indented(f"{one.bound.words.en}: {estimate(one)}, asked: {asked(one.bound)}")
            for one in each.judged[0].bounds
        ]
    return Group(*lines, "", Text(summary(outcomes)), Text(provenance(outcomes)))


def claim_card(outcome: Outcome) -> RenderableType:
    """One in full."""
    one = outcome.claim
    numbers = table("repeat", "measured", "", "asked", "")
    for record, its in zip(outcome.records, outcome.judged, strict=True):
        for each in its.bounds:
            text = Text(each.verdict, STYLES[each.verdict])
            words = Text(each.bound.words.en)
            numbers.add_row(str(record.repeat), words, Text(estimate(each)), Text(asked(each.bound)), text)
    head = Text.assemble((one.statement.en, "bold"), "  ", _verdict(outcome))
    slide, measured, why, of = map(Text, (f"Slide: {one.slide}", one.measured.en, one.why.en, provenance([outcome])))
    return Group(head, slide, "", measured, "", numbers, "", why, "", of)


def _head(claim: Claim, outcome: Outcome | None) -> Text:
    return Text.assemble((claim.name, "bold"), "  ", _verdict(outcome))


def _indented(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, 2))


def _verdict(outcome: Outcome | None) -> Text:
    return Text("") if outcome is None else Text(verdict(outcome), STYLES[outcome.verdict])


@contextmanager
def measuring(total: int) -> Iterator[Callable[[Record | Failed], None]]:
    """What `measure_all` tells its results: a bar on a terminal's standard error; elsewhere a line each."""
    console = Console(file=sys.stderr, highlight=False, soft_wrap=True)

    def line(record: Record | Failed) -> Text:
        if isinstance(record, Failed):
            return Text.assemble(f"{record.work.claim}: ", ("failed", "red"))
        its = judged(claim(record.claim), record.intervals).verdict
        again = f", repeat {record.repeat}" if record.repeat > 1 else ""
        return Text.assemble(f"{record.claim}{again}: ", (its, STYLES[its]), f"  {record.seconds:.0f} s")

    if not console.is_terminal or os.environ.get("CI"):
        yield lambda record: console.print(line(record))
        return
    columns = (TextColumn("measuring claims"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, expand=True) as shown:
        bar = shown.add_task("", total=total)

        def advance(record: Record | Failed) -> None:
            shown.console.print(line(record))
            shown.advance(bar)

        yield advance
