"""The text of each kind of answer, read as a person would."""

import re
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoken import LOSS, NONE, POINTS, SOME, Row, Searches, between, contrast, say, setting

from thalweg.stats.intervals import Interval
from thalweg.stats.proportion import Rate
from thalweg.stats.verdict import Verdict

TUNED = "On digits-mlp, each tuned by a random search of 5 trials,"
SEARCHES = (
    "The 33 trials of each are judged as searches of 5: what one gets who tries the default and 4 others at random, "
    "takes the best on validation and trains it anew."
)
ENDLESS = {"low": -inf, "high": inf, "sd": 0.0}


def first(*contrasts, **others):
    return say(*contrasts, **others).sentences[0]


def test_the_better_one_is_named_first_with_the_ratio_of_its_errors():
    found = say(contrast("sgd", -0.9, -0.3), failures={"adamw": NONE, "sgd": NONE})
    assert found.sentences == (
        f"{TUNED} AdamW is better than SGD: 0.55 times the errors, 0.41 to 0.74.",
        "None of 20 runs of each failed: up to 14% not excluded.",
        SEARCHES,
    )
    assert found.details == (
        "The range of the difference holds with 95%, over new searches and new seeds (5 were run): a claim of this "
        "answer is false in at most 5% of such comparisons. Nothing is called equal, since it was not said what "
        "matters (--matters).",
    )
    assert found.best == "adamw"
    assert say(contrast("sgd", 0.3, 0.9)).best == "sgd"


def test_better_by_less_than_matters():
    found = say(contrast("sgd", 0.05, 0.15, matters=0.2), said=setting(matters=0.2))
    assert found.sentences[0] == (
        f"{TUNED} SGD is better than AdamW, but by less than matters: 0.905 times the errors, 0.86 to 0.951."
    )
    assert found.details[-1].endswith("comparisons. What matters: a factor of 1.22.")


def test_equal_within_what_matters():
    found = say(contrast("sgd", -0.05, 0.15, matters=0.2), said=setting(matters=0.2))
    assert found.sentences[0] == (
        f"{TUNED} SGD and AdamW are equal within what matters: 0.951 times the errors, 0.86 to 1.051."
    )
    assert found.best is None


def test_what_cannot_be_told_is_bounded_where_it_was_not_said_what_matters():
    unclear = contrast("sgd", -0.25, 0.15)
    assert first(unclear) == (
        f"{TUNED} cannot tell SGD from AdamW: 1.051 times the errors, 0.86 to 1.28; if they differ, by less than a "
        "factor of 1.28."
    )
    assert first(contrast("sgd", -0.25, 0.15, matters=0.1), said=setting(matters=0.1)).endswith(", 0.86 to 1.28.")


def test_differences_of_points_and_of_losses():
    assert first(contrast("sgd", 0.01, 0.03), unit=POINTS).endswith(
        "SGD is better than AdamW: test accuracy +2.0 points, +1.0 to +3.0."
    )
    loss = setting(LOSS, metric="test loss", lower_is_better=True)
    assert first(contrast("sgd", 0.09, 0.13, up=False), said=loss).endswith(
        "AdamW is better than SGD: test loss (lower is better) -0.110, -0.130 to -0.090."
    )
    ratio = setting(replace(LOSS, ratio="loss"), metric="test loss")
    assert first(contrast("sgd", 0.9, 1.3, up=False), said=ratio).endswith(
        "AdamW is better than SGD: 0.33 times the loss, 0.27 to 0.41."
    )


def test_an_answer_that_failures_take_back_names_who_failed():
    of_sgd = say(contrast("sgd", 0.25, 0.55, failures=(SOME, NONE)), failures={"adamw": NONE, "sgd": SOME})
    assert of_sgd.sentences[:2] == (
        f"{TUNED} cannot tell SGD (3 of 20 runs failed) from AdamW: 0.67 times the errors, 0.58 to 0.78, but runs of "
        "SGD failed more often.",
        "Runs that failed: none of 20 of AdamW (up to 14% not excluded) and 3 of 20 of SGD (3% to 38%); each counts "
        "with its value before training, or, without one, with the worst of the study.",
    )
    assert of_sgd.best is None
    # Of what would be equal it may be the second.
    of_adamw = first(contrast("sgd", -0.1, 0.1, failures=(NONE, SOME), matters=0.2), said=setting(matters=0.2))
    assert "equal" not in of_adamw
    assert of_adamw.endswith("0.905 to 1.11, but runs of AdamW failed more often.")


def test_an_answer_that_quality_takes_back_says_by_how_much():
    found = say(contrast("sgd", 0.25, 0.55, failures=(NONE, SOME), quality=between(-0.5, -0.1)))
    assert found.sentences[0].endswith(
        "cannot tell SGD from AdamW (3 of 20 runs failed): 0.67 times the errors, 0.58 to 0.78, but, of the runs that "
        "did not fail, 1.35 times the errors, 1.11 to 1.65."
    )
    assert found.sentences[1] == "Of the runs that did not fail: SGD against AdamW 1.35 times the errors, 1.11 to 1.65."


def test_where_nothing_varies_there_is_no_range_to_speak_of():
    same = Interval(0.0, -inf, inf, 0.0, 0.96, ())
    found = say(contrast("sgd", 0, 0, interval=same))
    assert found.sentences[0] == f"{TUNED} cannot tell SGD from AdamW: no difference."
    assert "range" not in str(found.details)
    constant = first(contrast("sgd", 0, 0, interval=replace(same, mean=0.3)))
    assert constant.endswith("0.74 times the errors whatever the search, so that the noise is unknown.")


def seeds(by, count, **others):
    """A difference of configurations that is the same in every seed."""
    interval = Interval(by, -inf, inf, 0.0, 0.95, (by,) * count)
    return contrast("sgd", 0, 0, n=count, interval=interval, **others)


def test_the_same_difference_in_every_seed():
    def of(found):
        return first(found, said=setting(POINTS, budget=None), searches=None)

    there = "On digits-mlp, of the settings found in 33 trials each,"
    sgd, adamw = "SGD (lr=0.02)", "AdamW (lr=0.02)"
    assert of(seeds(0.25, 5)) == (
        f"{there} cannot tell {sgd} from {adamw}: test accuracy +25.00 points in each of 5 seeds, so that the noise is "
        "unknown."
    )
    assert of(seeds(0.25, 20)).startswith(
        f"{there} {sgd} is better than {adamw}: test accuracy +25.00 points in each of 20 seeds"
    )
    assert of(seeds(0.0, 5)) == f"{there} cannot tell {sgd} from {adamw}: no difference in any of 5 seeds."
    assert of(seeds(0.25, 20, failures=(SOME, NONE))).endswith(f"unknown, but runs of {sgd} failed more often.")


def test_defaults_alone_are_called_untuned():
    found = say(contrast("sgd", -0.02, -0.01, n=5), searches=None, said=setting(POINTS, trials=1, budget=None))
    assert found.sentences == (
        "On digits-mlp, untuned, AdamW (lr=0.001) is better than SGD (lr=0.001): test accuracy +1.5 points, +1.0 to "
        "+2.0.",
    )
    assert found.details[0].startswith(
        "The range of the difference holds with 95%, over new seeds of these settings (5 were run)"
    )


def test_several_are_grouped_by_what_can_be_said_of_them():
    found = say(
        contrast("sgd", -0.9, -0.3), contrast("lion", 0.3, 0.5), contrast("rms", -0.2, 0.3), contrast("muon", -0.1, 0.4)
    )
    assert found.sentences[:2] == (
        f"{TUNED} Lion is better than AdamW; SGD is worse than AdamW; cannot tell rms or muon from AdamW.",
        "Test accuracy, against AdamW: SGD 1.82 times the errors (1.35 to 2.46), Lion 0.67 times the errors (0.61 to "
        "0.74), rms 0.951 times the errors (0.74 to 1.22) and muon 0.86 times the errors (0.67 to 1.11); if they "
        "differ, by less than a factor of 1.49.",
    )
    assert found.best is None
    assert found.details[-1].startswith("The 4 ranges of the answer hold together with 95%")


def test_every_group_has_its_word():
    found = first(
        *(contrast("a", 0.05, 0.1, matters=0.2), contrast("b", -0.1, -0.05, matters=0.2)),
        *(contrast("c", -0.1, 0.1, matters=0.2), contrast("d", -1, 1, matters=0.2)),
        *(contrast("e", 1, 2, matters=0.2), contrast("f", -2, -1, matters=0.2)),
        said=setting(matters=0.2),
    )
    assert found == (
        f"{TUNED} e is better than AdamW; a is better than AdamW, but by less than matters; c and AdamW are "
        "equal within what matters; b is worse than AdamW, but by less than matters; f is worse than AdamW; cannot "
        "tell d from AdamW."
    )


def test_the_failed_runs_of_one_stand_beside_its_name():
    found = first(
        contrast("a", 0.5, 0.9, failures=(NONE, SOME)),
        contrast("b", 0.5, 0.9, failures=(NONE, SOME)),
        contrast("c", -0.9, -0.5, failures=(SOME, NONE)),
    )
    assert found == (
        f"{TUNED} a and b are better than AdamW (3 of 20 runs failed); c (3 of 20 runs failed) is worse than AdamW."
    )


def test_failures_are_told_even_where_there_are_none():
    def lost(**failures):
        return say(contrast("sgd", -0.9, -0.3), failures=failures).sentences[1]

    assert lost(adamw=Rate(0, 20), sgd=Rate(0, 45)) == (
        "No re-run of a winner failed: up to 14% not excluded for AdamW with 20 runs, the fewest."
    )
    assert lost(adamw=Rate(1, 20), sgd=Rate(2, 20)) == (
        "Runs that failed: 1 of 20 of AdamW (0% to 25%) and 2 of 20 of SGD (1% to 32%); each counts with its value "
        "before training, or, without one, with the worst of the study."
    )
    alone = say(labels=("adamw",), failures={"adamw": NONE})
    assert alone.sentences[1] == "None of 20 runs failed: up to 14% not excluded."


def pair(a, b, low, high, **others):
    return contrast(a, low, high, second=b, n=5, **others)


def test_untuned_settings_are_said_with_their_numbers():
    def told(*pairs):
        return say(contrast("sgd", -0.9, -0.3), contrast("lion", -0.9, -0.3), settings=pairs).sentences[-1]

    three = (pair("adamw", "sgd", 0.1, 0.5), pair("adamw", "lion", 0.1, 0.5), pair("sgd", "lion", -0.1, 0.5))
    assert told(*three) == (
        "As they come, untuned, 2 of 3 pairs of settings differ: AdamW (lr=0.001) beats Lion (lr=0.001) and SGD "
        "(lr=0.001)."
    )
    assert told(pair("adamw", "sgd", -1, 1)) == "As they come, untuned, no two of these settings can be told apart."
    assert told(pair("adamw", "sgd", -2, -1)) == (
        "As they come, untuned, these settings differ: SGD (lr=0.001) beats AdamW (lr=0.001)."
    )
    both = (pair("adamw", "lion", 0.1, 0.5), pair("sgd", "lion", 0.1, 0.5), pair("sgd", "adamw", -0.1, 0.5))
    assert "AdamW (lr=0.001) and SGD (lr=0.001) each beat Lion (lr=0.001)." in told(*both)
    # Who beats and has failed as often as what it beats: it is said.
    assert told(pair("adamw", "sgd", 0.1, 0.5, failures=(SOME, SOME))).endswith(
        "differ: AdamW (lr=0.001) with 3 of 20 runs failed beats SGD (lr=0.001) with 3 of 20 runs failed."
    )


def test_many_settings_are_counted_rather_than_named():
    labels = [f"r{i}" for i in range(6)]
    contrasts = [contrast(label, -0.9, 0.3) for label in labels]
    up = say(*contrasts, settings=[pair(label, "adamw", 0.1, 0.5) for label in labels]).sentences[-1]
    assert up.endswith("6 of 6 pairs of settings differ: 6 settings each beat AdamW (lr=0.001).")
    down = say(*contrasts, settings=[pair("adamw", label, 0.1, 0.5) for label in labels]).sentences[-1]
    assert down.endswith("AdamW (lr=0.001) beats 6 others.")


def test_the_5_percent_are_divided_in_writing():
    one = say(contrast("sgd", -0.9, -0.3), settings=[pair("adamw", "sgd", 0.1, 0.5)])
    assert one.details[-1].startswith(
        "The range of the difference holds with 96%, over new searches and new seeds (5 were run); that of the two "
        "settings with 99%: a"
    )
    three = [pair("adamw", "sgd", 0.1, 0.5), pair("adamw", "lion", 0.1, 0.5), pair("sgd", "lion", -0.1, 0.5)]
    found = say(contrast("sgd", -0.9, -0.3), contrast("lion", -0.9, -0.3), settings=three)
    assert "; those of the 3 pairs of settings with 99%:" in found.details[-1]


def test_the_order_is_notices_answer_failures_searches_settings_next():
    found = say(
        contrast("sgd", -0.9, -0.3),
        settings=[pair("adamw", "sgd", 0.1, 0.5)],
        failures={"adamw": NONE, "sgd": NONE},
        notices=["This is no answer: one.", "Not yet an answer: two."],
        next_step="Next: three.",
    )
    beginnings = [
        "This is no",
        "Not yet",
        "On digits-mlp",
        "None of 20",
        "The 33 trials",
        "As they come",
        "Next: three.",
    ]
    assert [said.startswith(start) for said, start in zip(found.sentences, beginnings, strict=True)] == [True] * 7
    assert str(found) == " ".join(found.sentences)


def test_what_tuning_gains_is_folded_and_which_searches_miss_the_target_is_said():
    gain = contrast("tuned adamw", 0.5, 1.2)
    found = say(contrast("sgd", -0.9, -0.3), searches=Searches(gains={"adamw": gain}, missed={"adamw": 0.12, "sgd": 0}))
    assert found.details[0] == "AdamW tuned, against its default: 0.43 times the errors, 0.30 to 0.61."
    assert found.sentences[1] == "Of the searches in these trials, winners miss the target: 12% of AdamW and 0% of SGD."
    still = replace(gain, interval=replace(gain.interval, **ENDLESS))
    assert len(say(contrast("sgd", -0.9, -0.3), searches=Searches(gains={"adamw": still})).details) == 1


def test_one_alone():
    level = Interval(0.97, 0.96, 0.98, 0.1, 0.95, ())
    found = say(labels=("adamw",), searches=Searches(intervals={"adamw": level}))
    assert found.sentences[0] == f"{TUNED} AdamW reaches test accuracy 97.0%: there is nothing to compare it with."
    assert (found.best, found.details) == (None, ())
    assert say(labels=("adamw",), searches=None).sentences == (
        "On digits-mlp, of the settings found in 33 trials each, there is nothing to compare AdamW (lr=0.02) with.",
    )


def test_minutes_are_named_where_they_count():
    found = say(contrast("sgd", -0.9, -0.3), said=setting(budget=None, minutes=12))
    assert found.sentences == (
        "On digits-mlp, each tuned by a random search of 4 minutes, AdamW is better than SGD: 0.55 times the errors, "
        "0.41 to 0.74.",
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"said": setting(judged_on_validation=True, metric="validation accuracy")},
            "The task reports no test value, so validation accuracy chose the winners and judges them",
        ),
        (
            {"rows": [Row("sgd", searched=False)]},
            "SGD: nothing to search, so it ran with its values as given, not tuned.",
        ),
        (
            {"rows": [Row("adamw", default_won=True)]},
            "For AdamW no trial did better on validation than its default.",
        ),
        (
            {"rows": [Row("sgd", unlike=("loss 1 the first time, 2 the second",))]},
            "The script does not repeat itself: SGD's default, trained twice with one seed, differed (loss 1 the first",
        ),
        (
            {"rows": [Row("sgd", alike="trials 1 and 2 differ in lr and gave the same curves")]},
            "Part of the search changed nothing: of SGD, trials 1 and 2 differ in lr and gave the same curves to",
        ),
    ],
)
def test_what_to_beware_of_is_said(change, words):
    found, plain = (say(contrast("sgd", -0.9, -0.3), **each) for each in (change, {}))
    said = (*found.sentences, *found.details)
    assert any(words in each for each in said)
    assert not any(words in each for each in (*plain.sentences, *plain.details))
    # What is wrong with the script is not folded away; that a default won is.
    assert (words in str(found)) == ("no trial did better" not in words)


def test_in_a_notebook_the_first_sentence_is_bold_and_the_details_are_folded():
    page = Verdict(("A < B.", "More."), ("Rest & peace.",))._repr_html_()
    assert page == (
        "<p><strong>A &lt; B.</strong></p><p>More.</p>"
        "<details><summary>What it rests on</summary><p>Rest &amp; peace.</p></details>"
    )
    assert "details" not in Verdict(("A.",))._repr_html_()


bounds = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted)
rates = st.integers(0, 20).map(lambda count: Rate(count, 20))


@given(bounds, st.none() | st.floats(0.05, 1), rates, rates, st.booleans())
def test_no_winner_that_failed_and_no_equality_with_failures_goes_unsaid(ends, matters, ours, theirs, tuned):
    """Whatever the interval: over all runs, the text of an answer with failures says that there were any."""
    n = 0 if tuned else 5
    found = contrast("sgd", *ends, n=n, matters=matters, failures=(ours, theirs))
    searches = Searches() if tuned else None
    text = str(
        say(
            found,
            searches=searches,
            said=setting(matters=matters, budget=5 if tuned else None),
            failures={"adamw": theirs, "sgd": ours},
        )
    )
    ahead, behind = (ours, theirs) if "SGD (lr=0.02) is better" in text or "SGD is better" in text else (theirs, ours)
    if "is better than" in text:
        assert ahead.share <= behind.share
        assert not ahead.count or f"{ahead.count} of 20" in text
    if "equal within" in text:
        assert (ours.count > 0) == (theirs.count > 0)
        assert not ours.count or "Runs that failed" in text
    # Read in seconds, and no unfinished sentence.
    assert max(map(len, text.split(". "))) < 330
    assert not re.search(r" ,|\.\.|  |: \.|\(\)|None(?! of)|nan|inf(?!o)", text)


@given(bounds, rates, rates)
def test_settings_that_beat_others_and_have_failed_say_so(ends, ours, theirs):
    found = say(contrast("sgd", -0.9, -0.3), settings=[pair("adamw", "sgd", *ends, failures=(ours, theirs))])
    text = found.sentences[-1]
    if "beats" in text:
        winner = ours if text.split("differ: ")[1].startswith("AdamW") else theirs
        assert not winner.count or f"{winner.count} of 20 runs failed" in text.split(" beats ")[0]
