"""What pages of rules quote is published where they say: speed, bytes, evidence."""

import re
from collections.abc import Iterator
from typing import Any

from page_reading import EVERY, Pages, published, section, tables

import rule_evidence
from page_text import ROOT, markdown_tables
from thalweg.rules import CATALOGUE
from thalweg.study.ask.method_references import resolve_method
from thalweg.testing.judging import case
from thalweg.wrappers import WRAPPERS


def measured() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Page by page of benchmarks/: whose row, the row as text, and what stands of it on the rule's page."""
    rules, wrappers = markdown_tables(published("CATALOGUE.md"))
    steps = published("RESULTS.md").split("### step", 1)[1].split("###", 1)[0]
    yield from ((row["rule"], "CATALOGUE", figures(row, "thalweg", "times faster")) for row in rules)
    for row in next(markdown_tables(steps)):
        if row["tensors"] != "one tensor of 25M":  # that is CATALOGUE.md's
            yield row["rule"], "RESULTS", figures(row, "thalweg", "times faster")
    for row in next(markdown_tables(published("MATRICES.md"))):
        yield row["rule"].partition(",")[0], "MATRICES", figures(row, "ms", "times faster")
    for row in wrappers:
        yield WRAPPERS[row["wrapped"].partition("+")[2]].__name__, "CATALOGUE", figures(row, "thalweg", "time")
    for row in next(markdown_tables(published("AROUND.md"))):
        if " under " in row["rule"]:
            yield row["rule"].rpartition(" ")[2], "AROUND", figures(row, "ms", "time, ratio")


def figures(row: Any, time: str, ratio: str) -> tuple[str, ...]:
    return row[time], row[ratio], row["quartiles"]


def test_speed_rows_are_published(pages: Pages) -> None:
    """All that benchmarks/ has of a rule, and nothing else; the fastest other's time is one of the same row."""
    every = [*measured()]
    assert len(every) > 45
    for key, each in EVERY.items():
        mine = [(page, found) for name, page, found in every if name == each.__name__]
        text = section(pages[key], "Speed")
        with case(key):
            assert ("Not measured" in text) == (not mine)
            rows = [row for rows in markdown_tables(text) for row in rows]
            ratio = "time, ratio" if key in WRAPPERS else "times faster"
            assert [figures(row, "ms", ratio) for row in rows] == [found for _, found in mine]
            for page, found in mine:
                assert f"[{page}.md](../benchmarks/{page}.md): AMD EPYC" in text
                (row,) = [row for row in rows if figures(row, "ms", ratio) == found]
                other = row["beside it" if key in WRAPPERS else "the fastest other"].rpartition(": ")[2]
                lines = [
                    line for line in published(f"{page}.md").splitlines() if f"| {found[1]} | {found[2]} |" in line
                ]
                assert other == "none at hand" or any(f"| {other} |" in line for line in lines), other


def test_evidence_of_the_valley() -> None:
    """As docs/valley.md says it in sentences, and as findings.html counts."""
    assert rule_evidence.valley("nag") == {
        "tabular": "worse", "regression": "cannot tell", "digits-mlp": "worse", "autoencoder": "worse",
        "quadratic-deep": "better",
    }  # fmt: skip
    assert rule_evidence.valley("rmsprop") == {
        "tabular": "cannot tell", "regression": "cannot tell", "digits-mlp": "cannot tell", "autoencoder": "worse",
        "quadratic-deep": "better",
    }  # fmt: skip
    every = [*CATALOGUE, "momentum+lookahead", "radam+lookahead"]
    found = [answers for answers in map(rule_evidence.valley, every) if answers]
    assert len(found) == 14
    open_on = [sum(answers[task] == "cannot tell" for answers in found) for task in found[0]]
    assert open_on == [7, 12, 8, 2, 1]


def test_evidence_of_six_rules() -> None:
    """As benchmarks/ANEW.md quotes the study."""
    text = published("ANEW.md")
    for task, rows in zip(re.findall(r"^## (.+)", text, re.MULTILINE), markdown_tables(text), strict=True):
        for row in rows:
            rule = row["difference"].split()[0]
            assert rule_evidence.six_rules(rule)[task] == row["the study says"], (task, rule)
    assert not rule_evidence.six_rules("adam")


def test_evidence_is_said(pages: Pages) -> None:
    nag, muon, lion = (section(pages[key], "Evidence") for key in ("nag", "muon", "lion"))
    assert (
        "better than Adam on quadratic-deep; worse than Adam on tabular, digits-mlp and autoencoder; cannot be" in nag
    )
    assert "| AdamW | Muon | -0.10 (-0.26 to +0.07) | cannot tell |" in muon
    assert "| Lion is consistently better than AdamW. `lion-better` | does not hold, 5 of 5 |" in lion
    assert "No stored study" in section(pages["grams"], "Evidence")
    sources = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8") + (ROOT / "docs" / "around.md").read_text(
        encoding="utf-8"
    )
    for key in EVERY:
        for rows in tables(pages[key], "Evidence"):
            for row in rows:
                start = " | ".join([*row.values()][-4:]) if "a" in row else " | ".join(row.values())
                assert start in sources, (key, row)
        (commands,) = re.findall(r"thalweg compare \S+ -r (\S+)", section(pages[key], "Evidence"))
        for each in commands.split(","):
            resolve_method(each)


def test_bytes_are_the_published_ones(pages: Pages) -> None:
    rules, _ = markdown_tables(published("CATALOGUE.md"))
    assert len(rules) > 25
    for row in rules:
        (mine,) = tables(pages[row["rule"].lower()], "Bytes")
        assert mine[-1]["float32"] == row["bytes"], row["rule"]
