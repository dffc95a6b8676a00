from itertools import combinations

import pytest

from thalweg.stats.intervals import t_interval
from thalweg.stats.paired import difference
from thalweg.stats.verdict import Contestant, Setting, verdict
from thalweg.stats.wording import Unit

ADAMW = [0.972, 0.975, 0.974, 0.976, 0.973]
SGD = [0.960, 0.963, 0.964, 0.958, 0.960]
LION = [0.970, 0.978, 0.972, 0.977, 0.970]


def say(up=True, share=True, trials=25, on_validation=False, changes=(), defaults=None, **rules):
    changes = dict(changes)
    names = {"adamw": "AdamW", "sgd": "SGD", "lion": "Lion"}
    setting = Setting("digits-mlp", "test accuracy" if share else "test loss", up, Unit(share), trials, on_validation)
    contestants = [
        Contestant(label, names[label], t_interval(values), **changes.get(label, {})) for label, values in rules.items()
    ]
    two = list(combinations(rules, 2))
    pairs = [difference(a, b, rules[a], rules[b], higher_is_better=up, together=len(two)) for a, b in two]
    tuning = {
        label: difference("tuned", "default", values, (defaults or {}).get(label, values), higher_is_better=up)
        for label, values in rules.items()
    }
    return verdict(setting, contestants, pairs, tuning)


def test_the_first_sentence_is_the_answer():
    said = say(adamw=ADAMW, sgd=SGD)
    assert said.best == "adamw"
    assert said.sentences[0] == (
        "On digits-mlp, tuned AdamW is better than tuned SGD: test accuracy 97.4% against 96.1%, difference "
        "+1.3 points (95% interval +0.9 to +1.7, paired over 5 fresh seeds, these configurations)."
    )


def test_the_order_in_which_rules_were_given_does_not_matter():
    assert say(sgd=SGD, adamw=ADAMW).sentences[0] == say(adamw=ADAMW, sgd=SGD).sentences[0]


def test_a_loss_is_better_when_it_is_lower():
    said = say(up=False, share=False, adamw=[0.09, 0.10, 0.11], sgd=[0.30, 0.33, 0.30])
    assert said.best == "adamw"
    assert said.sentences[0].startswith(
        "On digits-mlp, tuned AdamW is better than tuned SGD: test loss 0.100 against 0.310"
    )
    assert "difference -0.210 (95% interval -0.2" in said.sentences[0]


def test_noise_is_called_noise_with_a_guess_at_what_would_help():
    said = say(adamw=ADAMW, lion=LION)
    assert said.best is None
    assert said.sentences[0].startswith("On digits-mlp, cannot tell tuned AdamW from tuned Lion: test accuracy 97.4%")
    assert "more seed" in said.sentences[0]


def test_a_hopeless_case_gives_no_number():
    said = say(adamw=[0.97, 0.95, 0.96], lion=[0.95, 0.97, 0.9601])
    assert said.sentences[0].endswith("it would take many more seeds.")


def test_three_rules_with_a_winner():
    said = say(adamw=[0.99, 0.991, 0.99], sgd=[0.96, 0.962, 0.961], lion=[0.95, 0.952, 0.95])
    assert said.best == "adamw"
    assert (
        "tuned AdamW is better than tuned SGD and tuned Lion: test accuracy 99.0% against 96.1% and 95.1%"
        in said.sentences[0]
    )
    assert "95% together for 3 pairs" in said.sentences[0]
    assert said.sentences[1].startswith("Tuned SGD is better than tuned Lion")


def test_three_rules_without_a_winner():
    said = say(adamw=ADAMW, sgd=[0.90, 0.902, 0.9, 0.901, 0.9], lion=LION)
    assert said.best is None
    assert "cannot tell which rule is best" in said.sentences[0]
    assert "It is better than tuned SGD." in said.sentences[0]


def test_one_rule_alone():
    said = say(adamw=ADAMW)
    assert said.best is None
    assert said.sentences[0].endswith("there is nothing to compare it with.")


def test_equal_in_every_seed():
    said = say(adamw=[0.5, 0.6], sgd=[0.5, 0.6])
    assert said.sentences[0] == (
        "On digits-mlp, cannot tell tuned AdamW from tuned SGD: test accuracy 55.0% against 55.0%, "
        "the same in each of 2 seeds."
    )


def test_the_same_difference_in_every_seed():
    said = say(adamw=[0.75, 0.75, 0.75], sgd=[0.5, 0.5, 0.5])
    assert said.best is None
    assert "exactly the same in each of 3 seeds, so the noise is unknown" in said.sentences[0]


def test_lost_runs_are_told():
    said = say(adamw=ADAMW, sgd=[0.1] * 4 + [0.11], changes={"sgd": {"diverged": 5}, "adamw": {"failed": 1}})
    text = str(said)
    assert "All of the 5 re-runs of tuned SGD diverged; they count with the value before training" in text
    assert "1 of the 5 re-runs of tuned AdamW failed; it counts with" in text


def test_tuning_stands_beside_switching():
    text = str(
        say(adamw=ADAMW, sgd=SGD, defaults={"sgd": [v - 0.4 for v in ADAMW]}, changes={"adamw": {"default_won": True}})
    )
    assert "Tuning moved SGD by +38.7 points" in text
    assert "For AdamW no trial did better on validation than its default." in text
    assert "Nothing was tuned" in str(say(trials=1, adamw=ADAMW, sgd=SGD))
    assert (
        "AdamW with its defaults is better than SGD with its defaults"
        in say(trials=1, adamw=ADAMW, sgd=SGD).sentences[0]
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"on_validation": True}, "reports no test value"),
        ({"changes": {"sgd": {"at_edge": ("lr",)}}}, "winner of SGD lies at an edge of its search box (lr)"),
        ({}, "about these configurations over new seeds"),
    ],
)
def test_caveats(change, words):
    assert words in str(say(adamw=ADAMW, sgd=SGD, **change))
