"""What is published of a rule, read from where it is: how fast a step is, and what it was checked against."""

import re
from collections.abc import Iterator
from pathlib import Path

from page_text import Row, document, link, markdown_tables, table, under
from thalweg.stats.wording import counted

CATALOGUE, RESULTS, MATRICES, AROUND = (
    f"benchmarks/{name}.md" for name in ("CATALOGUE", "RESULTS", "MATRICES", "AROUND")
)
# The tensor of CATALOGUE.md, which RESULTS.md has too.
_LARGE = "one tensor of 25M"
# What torch does not have: under foreach stands eager code.
_EAGER = ("Lion",)
_HEADS = ("a step of", "ms", "the fastest other", "times faster", "quartiles")


def machine(path: str) -> str:
    """On what machine, with what, and when a page of benchmarks was measured, in its own words."""
    return document(path).split("\n\n")[1].partition(" Made by")[0].rstrip(".")


def speed(name: str) -> Iterator[str]:
    """The rows of a rule, by the name of its class."""
    found = {path: rows for path, rows in _rows(name).items() if rows}
    if not found:
        yield "Not measured."
        return
    yield table(_HEADS, [row for rows in found.values() for row in rows], right=("ms", "times faster"))
    said = (
        "Milliseconds on a CPU, with new gradients in every step, as after `zero_grad()`; how many times longer the "
        "other takes, and the quartiles of the rounds' ratios."
    )
    other = (
        " Where gradients stay the same tensors, or the machine is quieter, small tensors have "
        f"[larger ratios]({link('docs/speed.md')}#one-step)."
    )
    yield said + (other if RESULTS in found else "")
    yield "\n".join(f"- [{Path(path).name}]({link(path)}): {machine(path)}." for path in found)


def _rows(name: str) -> dict[str, list[tuple[str, ...]]]:
    rules, *_ = markdown_tables(document(CATALOGUE))
    steps, *_ = markdown_tables(under(RESULTS, "## Default allocator", "### step"))
    (matrices,) = markdown_tables(document(MATRICES))
    return {
        CATALOGUE: [
            _row("one tensor of 25 million", row, row["best"], f"torch {row['best']}")
            for row in rules
            if row["rule"] == name
        ],
        RESULTS: [
            _row(row["tensors"], row, row["best of torch"], row["best of torch"])
            for row in steps
            if row["rule"] == name and row["tensors"] != _LARGE
        ],
        MATRICES: [
            (_of_gpt2(row["rule"]), row["ms"], f"{row['beside']}: {row['beside, ms']}", *_faster(row))
            for row in matrices
            if re.match(rf"{name}(,|$)", row["rule"])
        ],
    }


def _row(what: str, row: Row, best: str, column: str) -> tuple[str, ...]:
    """``column``: under which head the fastest other's time stands, if not under its own name."""
    if not best:
        return (what, row["thalweg"], "none at hand", "", "")
    time = row.get(column) or row[best]
    whose = "eager" if row["rule"] in _EAGER else "torch"
    called = best if best == "pytorch_optimizer" else f"{whose} {best}"
    return (what, row["thalweg"], f"{called}: {time}", *_faster(row))


def _faster(row: Row) -> tuple[str, str]:
    return row["times faster"], row["quartiles"]


def _of_gpt2(rule: str) -> str:
    options = rule.partition(", ")[2]
    return "GPT-2 of width 320, 148 tensors" + (f", `{options}`" if options else "")


def wrapped_speed(key: str, name: str) -> Iterator[str]:
    """The rows of a wrapper: what it takes in relation to a step beside it."""
    _, wrappers = markdown_tables(document(CATALOGUE))
    (around,) = markdown_tables(document(AROUND))
    found = {
        CATALOGUE: [
            ("AdamW under it", row["thalweg"], f"AdamW: {row['AdamW']}", row["bytes"], row["time"], row["quartiles"])
            for row in wrappers
            if row["wrapped"] == f"adamw+{key}"
        ],
        AROUND: [
            (
                f"{row['rule'].partition(' ')[0]} under it", row["ms"], f"{row['beside']}: {row['beside, ms']}",
                row["bytes, ratio"], row["time, ratio"], row["quartiles"],
            )
            for row in around
            if row["rule"].endswith(f" under {name}")
        ],
    }  # fmt: skip
    if not any(found.values()):
        yield "Not measured."
        return
    heads = ("one tensor of 25 million", "ms", "beside it", "bytes, ratio", "time, ratio", "quartiles")
    yield table(heads, [row for rows in found.values() for row in rows], right=("ms", "bytes, ratio", "time, ratio"))
    yield "\n".join(f"- [{Path(path).name}]({link(path)}): {machine(path)}." for path, rows in found.items() if rows)


def checked(key: str) -> Iterator[str]:
    """Which implementations of others a rule or a wrapper was compared with, and which training runs it repeats."""
    (rows,) = markdown_tables(document("docs/sources.md"))
    mine = [
        (row["source"], row["settings"], row["largest error"]) for row in rows if key in _named(row["rule"].strip("`"))
    ]
    if mine:
        yield table(
            ("implementation of others", "settings", "largest error"), mine, right=("settings", "largest error")
        )
        yield f"200 steps in float64, relative to the largest weight: [sources of truth]({link('docs/sources.md')})."
    else:
        rest = f"{link('docs/sources.md')}#rules-of-matrices"
        yield f"Against its source written out plainly in NumPy, to 1e-10 after 20 steps: [sources of truth]({rest})."
    first, *_ = markdown_tables(document("docs/verification.md"))
    runs = [row for row in first if key in _named(row["settings"].split()[0])]
    if runs:
        met = sum(row["met"] == "yes" for row in runs)
        verified = f"[verification]({link('docs/verification.md')})"
        said = f"It repeats {met} of {counted(len(runs), 'published training run')}"
        yield f"{said} ({verified})." if met == len(runs) else f"{said}; {verified} says why."


def _named(rule: str) -> tuple[str, ...]:
    """Whose page it stands on: a rule's, or of a wrapped one the wrapper's."""
    return tuple(rule.split("+")[1:]) or (rule,)
