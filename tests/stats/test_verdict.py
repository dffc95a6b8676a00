import re
from itertools import combinations
from statistics import mean

import pytest

from thalweg.stats.intervals import t_interval
from thalweg.stats.paired import difference
from thalweg.stats.verdict import Contestant, Setting, verdict
from thalweg.stats.wording import Unit

ADAMW = [0.972, 0.975, 0.974, 0.976, 0.973]
SGD = [0.960, 0.963, 0.964, 0.958, 0.960]
LION = [0.970, 0.978, 0.972, 0.977, 0.970]


def say(up=True, share=True, trials=25, on_validation=False, changes=(), defaults=(), **rules):
    """``defaults`` are given for the rules that tuning changed."""
    changes, defaults = dict(changes), dict(defaults)
    names = {"adamw": "AdamW", "sgd": "SGD", "lion": "Lion"}
    setting = Setting("digits-mlp", "test accuracy" if share else "test loss", Unit(share), trials, on_validation)
    ranked = sorted(rules, key=lambda label: mean(rules[label]), reverse=up)
    contestants = [
        Contestant(
            label,
            names.get(label, label),
            t_interval(rules[label]),
            default_won=label not in defaults,
            **changes.get(label, {}),
        )
        for label in ranked
    ]
    two = list(combinations(ranked, 2))
    pairs = [difference(a, b, rules[a], rules[b], higher_is_better=up, together=len(two)) for a, b in two]
    tuning = {
        label: difference("tuned", "default", rules[label], before, higher_is_better=up, together=len(defaults))
        for label, before in defaults.items()
    }
    return verdict(setting, contestants, pairs, tuning)


def test_the_first_sentence_is_the_answer_and_the_second_has_the_numbers():
    said = say(adamw=ADAMW, sgd=SGD)
    assert said.best == "adamw"
    assert said.sentences[:2] == (
        "On digits-mlp, after 25 trials each, AdamW is better than SGD.",
        "Test accuracy: 97.4% (AdamW) against 96.1% (SGD; difference +1.3 points, +0.9 to +1.7).",
    )


def test_a_loss_is_better_when_it_is_lower():
    said = say(up=False, share=False, adamw=[0.09, 0.10, 0.11], sgd=[0.30, 0.33, 0.30])
    assert said.best == "adamw"
    assert said.sentences[1].startswith("Test loss: 0.100 (AdamW) against 0.310 (SGD; difference -0.210, -0.2")


def test_noise_is_called_noise_with_a_guess_at_what_would_help():
    said = say(adamw=ADAMW, lion=LION)
    assert said.best is None
    assert said.sentences[0] == "On digits-mlp, after 25 trials each, cannot tell AdamW from Lion."
    assert re.search(r"; about \d+ more seeds? might tell\.$", said.sentences[1])


def test_a_hopeless_case_gives_no_number():
    said = say(adamw=[0.97, 0.95, 0.96], lion=[0.95, 0.97, 0.9601])
    assert said.sentences[1].endswith("; it would take many more seeds to tell.")


def test_three_rules_with_a_winner():
    said = say(adamw=[0.99, 0.991, 0.99], sgd=[0.96, 0.962, 0.961], lion=[0.95, 0.952, 0.95])
    assert said.best == "adamw"
    assert said.sentences[0].endswith("AdamW is better than SGD and Lion.")
    assert "against 96.1% (SGD, the next; difference" in said.sentences[1]
    assert said.sentences[2] == "SGD is better than Lion."


def test_three_rules_without_a_winner():
    said = say(adamw=ADAMW, sgd=[0.90, 0.902, 0.9, 0.901, 0.9], lion=LION)
    assert said.best is None
    assert said.sentences[0].endswith("cannot tell AdamW from Lion.")
    assert said.sentences[2] == "AdamW and Lion are each better than SGD."


def test_what_cannot_be_told_apart_below_a_winner_is_said():
    said = say(adamw=[0.99, 0.991, 0.99], sgd=[0.95, 0.952, 0.951], lion=[0.951, 0.952, 0.95])
    assert said.sentences[2] == "The others cannot be told apart."


def test_eight_rules_stay_readable():
    """Two clear levels of four: 28 pairs, of which 16 are told apart."""
    wobble = (0.002, -0.001, 0.001, -0.002, 0.0)
    rules = {
        f"{'good' if i < 4 else 'poor'}{i}": [
            (0.97 if i < 4 else 0.8) + wobble[(j + i) % 5] * (1 + i % 3) + i * 1e-5 for j in range(5)
        ]
        for i in range(8)
    }
    said = say(**rules)
    assert re.fullmatch(r"On .*, cannot tell good\d from good\d, good\d or good\d\.", said.sentences[0])
    assert len(said.sentences[0]) < 120
    assert re.fullmatch(
        r"(good\d(, | and )?){4} are each better than (poor\d(, | and )?){4}; the remaining pairs .* apart\.",
        said.sentences[2],
    )
    assert max(map(len, said.sentences)) < 320
    assert "jointly for the 28 pairs" in said.sentences[-1]


def test_many_rules_are_counted_rather_than_named():
    rules = {f"r{i}": [0.9 - 0.1 * i, 0.9 - 0.101 * i, 0.9 - 0.1 * i] for i in range(6)}
    assert say(**rules).sentences[0].endswith("r0 is better than 5 others.")


def test_one_rule_alone():
    said = say(adamw=ADAMW)
    assert said.best is None
    assert said.sentences[0].endswith("AdamW reaches test accuracy 97.4%.")
    assert said.sentences[1] == "There is nothing to compare it with."


def test_equal_in_every_seed():
    said = say(adamw=[0.5, 0.6], sgd=[0.5, 0.6])
    assert said.sentences[0].endswith("cannot tell AdamW from SGD.")
    assert said.sentences[1].endswith("55.0% (AdamW) against 55.0% (SGD; difference 0 in each of 2 seeds).")


def test_the_same_difference_in_every_seed():
    said = say(adamw=[0.75, 0.75, 0.75], sgd=[0.5, 0.5, 0.5])
    assert said.best is None
    assert "difference +25.0 points in each of 3 seeds, so that the noise is unknown" in said.sentences[1]
    assert said.sentences[1].endswith("more seeds would show it, or a script that uses trial.seed.")


def test_a_small_difference_between_noisy_values_is_not_called_0():
    said = say(up=False, share=False, adamw=[0.1, 0.1, 0.1], sgd=[-8.0, 9.0, 0.2])
    assert "difference -0.3, -21.4 to +20.8" in said.sentences[1]


def test_a_loss_that_ran_away_is_written_short():
    said = say(up=False, share=False, adamw=[0.1, 0.11, 0.1], sgd=[1e30, 2e30, 5e30])
    assert "2.67e+30 (SGD; difference -2.67e+30" in said.sentences[1]


def test_lost_runs_are_told():
    said = say(adamw=ADAMW, sgd=[0.1] * 4 + [0.11], changes={"sgd": {"diverged": 5}, "adamw": {"failed": 1}})
    text = str(said)
    assert "All of the 5 re-runs of tuned SGD diverged; they count with the value before training" in text
    assert "1 of the 5 re-runs of tuned AdamW failed; it counts with" in text


def test_tuning_stands_beside_switching():
    text = str(say(adamw=ADAMW, sgd=SGD, defaults={"sgd": [v - 0.4 for v in ADAMW]}))
    assert "Tuning helped SGD (+38.7 points, " in text
    assert "For AdamW no trial did better on validation than its default." in text
    both = str(say(adamw=ADAMW, sgd=SGD, defaults={"sgd": [v - 0.4 for v in ADAMW], "adamw": LION}))
    assert "; it may or may not have helped AdamW (" in both
    assert "jointly for the 2 changes by tuning" in both
    untuned = say(trials=1, adamw=ADAMW, sgd=SGD)
    assert untuned.sentences[0] == "On digits-mlp, with defaults, nothing tuned, AdamW is better than SGD."
    assert "Tuning" not in str(untuned)


def test_which_intervals_are_meant_is_said_once():
    text = str(say(adamw=ADAMW, sgd=SGD, lion=LION))
    assert text.count("95%") == text.count("these configurations") == text.count("seeds (5 were run") == 1
    assert "Ranges: 95% intervals, jointly for the 3 pairs, over new seeds (5 were run, the same for all" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"on_validation": True}, "reports no test value"),
        (
            {"changes": {"sgd": {"at_edge": ("lr",)}}},
            "At an edge of the search, where a wider one may find better: SGD (lr).",
        ),
        ({}, "They are about these configurations; another search might pick others."),
    ],
)
def test_caveats(change, words):
    assert words in str(say(adamw=ADAMW, sgd=SGD, **change))
