"""Every claim: said in both languages, measured by its own seeds, and what the library brings along is of its text."""

import re
import subprocess
import sys
from collections.abc import Iterator
from math import isfinite

import pytest

from thalweg.claims import SECTIONS, claim, module, names
from thalweg.claims.claim import Claim, Measurement, Panel, Seeds
from thalweg.claims.errata import ERRATA
from thalweg.claims.judging import intervals, judged
from thalweg.claims.keep import current, published
from thalweg.claims.outcome import outcomes
from thalweg.explore.figures import NAMES as FIGURES
from thalweg.languages import Words

CLAIMS = {name: claim(name) for name in names()}
REPEATS = (1, 2, 3, 4, 5)
# 7 to 14 seconds each, with the same parts as others: pre-norm-no-warmup, layernorm-recurrent, batchnorm-faster.
DEAR = {
    "pre-norm-better", "post-norm-needs-warmup", "batchnorm-suffers-recurrent", "batchnorm-initialisation",
    "batchnorm-small-batches", "lion-better",
}  # fmt: skip


def texts_of(one: Claim) -> list[Words]:
    return [one.statement, one.measured, one.why, *(bound.words for bound in one.bounds)]


def words_of(panels: tuple[Panel, ...]) -> Iterator[Words]:
    for panel in panels:
        yield from (panel.title, panel.x, panel.y, *panel.ticks, *(curve.name for curve in panel.curves))


@pytest.fixture(scope="module")
def outcomes_published():
    every = [*CLAIMS.values()]
    return outcomes(every, current(published(), every))


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_is_said_in_both_languages(name):
    one = CLAIMS[name]
    assert one.name == name
    assert module(name).split(".")[-2] in SECTIONS
    assert one.figure in ("", *FIGURES)
    assert one.slide[0].isupper()
    for text in texts_of(one):
        assert all(text)
        assert text.en != text.fr or len(text.en) < 40
        # A decimal point in French, and a space that French signs ask for.
        assert not re.search(r"(?<![\d.])(?<!section )\d+\.\d(?!\d*\.)", text.fr), text.fr
        assert not re.search(r"\w[;?!]|[^\W\d] ?:(?=\s)(?<! :)", text.fr), text.fr
    for sentence in (*one.statement, *one.measured, *one.why):
        assert sentence.endswith("."), sentence


def test_errata_lead_to_claims_that_there_are():
    assert {name for each in ERRATA for name in each.claims} <= {*CLAIMS}
    assert all(all(each.why) and each.written != each.instead for each in ERRATA)


def test_claims_are_listed_without_torch():
    script = "import sys, thalweg.claims as c; [c.claim(n) for n in c.names()]; print('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_the_library_brings_five_repeats_of_every_claim_as_it_is_now(outcomes_published):
    """After a claim's text has changed: thalweg claims --repeats 5 --store src/thalweg/claims/measured.jsonl."""
    kept = {each.claim.name: tuple(record.repeat for record in each.records) for each in outcomes_published}
    assert kept == dict.fromkeys(CLAIMS, REPEATS)
    assert len(published()) == len(CLAIMS) * len(REPEATS), "it holds lines that no longer count"


def test_repeats_never_contradict_each_other_and_nearly_always_agree(outcomes_published):
    for each in outcomes_published:
        assert not {"holds", "does not hold"} <= {*each.verdicts}, each.claim.name
    assert sum(each.agreement for each in outcomes_published) / len(outcomes_published) >= 0.9
    assert [each.verdict for each in outcomes_published].count("cannot tell") <= len(CLAIMS) / 4


def test_what_is_published_has_its_interval_from_its_values(outcomes_published):
    for each in outcomes_published:
        for record in each.records:
            values = {name: interval.values for name, interval in record.intervals.items()}
            assert all(len(its) == each.claim.seeds for its in values.values())
            assert intervals(each.claim, Measurement(values, ())) == record.intervals


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CLAIMS if name not in DEAR])
def test_a_claim_is_measured(name):
    """With few seeds: what it gives is what its bounds and its figure ask for, a number for each seed."""
    one = CLAIMS[name]
    seeds = one.seeds_of(0)
    few = Seeds(seeds.judged[:2], seeds.tuning[:1])
    measurement = one.measure(few)
    assert {bound.quantity for bound in one.bounds} == {*measurement.values}
    for values in measurement.values.values():
        assert len(values) == 2
        assert all(map(isfinite, values))
    judged(one, intervals(one, measurement))
    assert 1 <= len(measurement.figure) <= 2
    for words in words_of(measurement.figure):
        assert all(words)
    for panel in measurement.figure:
        assert 1 <= len(panel.curves) <= 8
        for curve in panel.curves:
            assert len(curve.x) == len(curve.y)
            assert len(curve.low) == len(curve.high)
            assert len(curve.low) in (0, len(curve.x))
            assert len(curve.x) <= 80
            if panel.log_y:
                assert all(value > 0 or value != value for value in curve.y)
