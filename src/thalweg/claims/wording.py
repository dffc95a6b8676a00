"""Claims as text: numbers, tables in Markdown, JSON."""

import json
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from thalweg.stats.wording import Unit, counted, listed, value_text

from .claim import Bound
from .errata import ERRATA
from .judging import VERDICTS, Decided, Verdict
from .outcome import Outcome, core_seconds

# Of one claim, and of several.
_SAID: Mapping[Verdict, tuple[str, str]] = {
    "holds": ("holds", "hold"),
    "does not hold": ("does not hold", "do not hold"),
    "cannot tell": ("cannot be told", "cannot be told"),
}


def estimate(decided: Decided) -> str:
    """A mean with its interval: 1.43 (1.32 to 1.54)."""
    unit = Unit(share=decided.bound.share)
    return f"{unit.mean(decided.interval)} ({unit.levels(decided.interval)})"


def asked(bound: Bound) -> str:
    """What a bound asks for: at least 1.2."""

    def number(value: float) -> str:
        return f"{value_text(100 * value, 4)}%" if bound.share else value_text(value, 4)

    if bound.at_most == inf:
        return f"at least {number(bound.at_least)}"
    if bound.at_least == -inf:
        return f"at most {number(bound.at_most)}"
    return f"{number(bound.at_least)} to {number(bound.at_most)}"


def verdict(outcome: Outcome) -> str:
    """The verdict, and of several repeats how many say so: holds, 5 of 5."""
    repeats = len(outcome.verdicts)
    return outcome.verdict + ("" if repeats == 1 else f", {outcome.verdicts.count(outcome.verdict)} of {repeats}")


def summary(outcomes: Sequence[Outcome]) -> str:
    """How often which verdict, and whether repeats agree: Of 3 claims 2 hold, 1 cannot be told."""
    verdicts = [each.verdict for each in outcomes]
    counts = {one: verdicts.count(one) for one in VERDICTS if one in verdicts}
    said = ", ".join(f"{count} {_SAID[one][count > 1]}" for one, count in counts.items())
    text = f"Of {counted(len(outcomes), 'claim')} {said}."
    if repeated := [each for each in outcomes if len(each.verdicts) > 1]:
        mean = sum(each.agreement for each in repeated) / len(repeated)
        text += (
            f" Measured again with other seeds, {Unit(share=True).value(mean)} of repeats gave their claim's verdict."
        )
    return text


def provenance(outcomes: Sequence[Outcome]) -> str:
    """Machine, dates, and the time it took."""
    records = [record for each in outcomes for record in each.records]
    machines = listed(sorted({record.machine for record in records}))
    days = sorted({record.date for record in records})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    versions = listed(sorted({record.version for record in records}))
    seconds = core_seconds(outcomes)
    took = counted(round(seconds), "core-second") if seconds < 60 else f"{seconds / 60:.1f} core-minutes"
    each = "" if all(len(one.records) == 1 for one in outcomes) else " a repeat"
    return f"Measured on {machines}, {when}, thalweg {versions}, in {took}{each}."


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """Tables, one for each section of the lecture."""
    lines = [summary(outcomes), "", provenance(outcomes)]
    for section in dict.fromkeys(each.section for each in outcomes):
        heads = "| claim | verdict | first repeat, 99% interval | asked |"
        lines += ["", f"### {section.capitalize()}", "", heads, "| --- | --- | --- | --- |"]
        lines += [_row(each) for each in outcomes if each.section == section]
    return "\n".join(lines)


def _row(outcome: Outcome) -> str:
    bounds = outcome.judged[0].bounds
    measured = "<br>".join(f"{each.bound.words.en}: {estimate(each)}" for each in bounds)
    wanted = "<br>".join(asked(each.bound) for each in bounds)
    claim = outcome.claim
    cells = (f"{claim.statement.en} `{claim.name}`", verdict(outcome), measured, wanted)
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def errata_markdown() -> str:
    """What the slides write, and what should stand there."""
    lines = []
    for number, each in enumerate(ERRATA, 1):
        lines += [f"{number}. **{each.slide}**: {each.written}", f"   *should be* {each.instead}.", f"   {each.why.en}"]
        if each.claims:
            lines.append(f"   Measured: {', '.join(f'`{name}`' for name in each.claims)}.")
    return "\n".join(lines)


def as_json(outcomes: Sequence[Outcome]) -> str:
    """One object a claim and repeat."""
    rows: list[dict[str, Any]] = [
        {
            "claim": each.claim.name,
            "section": each.section,
            "statement": each.claim.statement.en,
            "repeat": record.repeat,
            "verdict": judged.verdict,
            "bounds": [
                {
                    "quantity": one.bound.quantity,
                    "at_least": None if one.bound.at_least == -inf else one.bound.at_least,
                    "at_most": None if one.bound.at_most == inf else one.bound.at_most,
                    "mean": one.interval.mean,
                    "low": one.interval.low,
                    "high": one.interval.high,
                    "level": one.interval.level,
                    "values": one.interval.values,
                    "verdict": one.verdict,
                }
                for one in judged.bounds
            ],
            "seconds": record.seconds,
            "machine": record.machine,
            "date": record.date,
            "version": record.version,
        }
        for each in outcomes
        for record, judged in zip(each.records, each.judged, strict=True)
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1)
