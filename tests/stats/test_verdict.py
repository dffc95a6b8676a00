import re
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

import pytest

from thalweg.stats.holm import holm_together
from thalweg.stats.intervals import Interval, t_interval
from thalweg.stats.paired import difference, p_value, procedure_difference
from thalweg.stats.pool import Estimate
from thalweg.stats.verdict import Setting, verdict
from thalweg.stats.wording import Unit

ADAMW = [0.972, 0.975, 0.974, 0.976, 0.973]
SGD = [0.960, 0.963, 0.964, 0.958, 0.960]
LION = [0.970, 0.978, 0.972, 0.977, 0.970]


NAMES = {"adamw": "AdamW", "sgd": "SGD", "lion": "Lion"}


def family(pairs, up):
    """With Holm's correction."""
    together = holm_together([p_value(a, b) for _, _, a, b in pairs])
    return [difference(*each, higher_is_better=up, together=k) for each, k in zip(pairs, together, strict=True)]


@dataclass(frozen=True)
class Row:
    """One of those compared, without its runs."""

    contender: str
    name: str
    tuned: Interval
    default_won: bool = False
    searched: bool = True
    tuned_diverged: int = 0
    tuned_failed: int = 0
    near_edge: tuple = ()
    unlike: tuple = ()
    alike: str = ""


@dataclass(frozen=True)
class Judged:
    """Procedures, without their pools."""

    budget: str
    intervals: dict
    pairs: list
    tuning: dict
    switching: dict
    noise_floor: dict


def say(
    up=True,
    share=True,
    trials=25,
    on_validation=False,
    minutes=None,
    changes=(),
    defaults=(),
    procedural=None,
    **rules,
):
    """``defaults`` are given for the rules that tuning changed."""
    changes, defaults = dict(changes), dict(defaults)
    metric = "test accuracy" if share else "test loss"
    procedure = procedural.budget if procedural else ""
    setting = Setting("digits-mlp", metric, Unit(share), trials, on_validation, minutes, procedure)
    ranked = sorted(rules, key=lambda label: mean(rules[label]), reverse=up)
    contestants = [
        Row(
            label,
            NAMES.get(label, label),
            t_interval(rules[label]),
            default_won=label not in defaults,
            **changes.get(label, {}),
        )
        for label in ranked
    ]
    pairs = family([(a, b, rules[a], rules[b]) for a, b in combinations(ranked, 2)], up)
    tuning = family([("tuned", "default", rules[label], before) for label, before in defaults.items()], up)
    return verdict(setting, contestants, pairs, dict(zip(defaults, tuning, strict=True)), procedural)


def estimate(mean, se, noise=0.002):
    return Estimate(mean, se, 8.0, 0.8 * se**2, 0.2 * se**2, noise, 0.95)


def procedural(means, se=0.001, budget="8 trials", floor=0.004):
    """Of procedures with these means, each known to ``se``; the default of all is 0.8."""

    def against(first, second, by, together=1):
        found = estimate(by, se)
        return procedure_difference(first, second, found, trials=25, seeds=5, higher_is_better=True, together=together)

    order = sorted(means, key=lambda label: -means[label])
    two = list(combinations(order, 2))
    together = holm_together([estimate(means[a] - means[b], se).p for a, b in two])
    first = next(iter(means))
    best = next((label for label in order if label != first), None)
    half = estimate(0, se).half()
    return Judged(
        budget=budget,
        intervals={k: Interval(means[k], means[k] - half, means[k] + half, 0.002, 0.95, ()) for k in means},
        pairs=[against(a, b, means[a] - means[b], k) for (a, b), k in zip(two, together, strict=True)],
        tuning={label: against("tuned", "default", means[label] - 0.8) for label in order},
        switching={}
        if best is None
        else {
            "tuned": against(best, first, means[best] - means[first]),
            "default": against(f"default {best}", f"default {first}", 0.0),
        },
        noise_floor=dict.fromkeys(means, floor),
    )


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
    assert said.sentences[1].endswith("; it would take many more runs to tell.")


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
    assert "with Holm's correction for the 28 pairs" in said.sentences[-1]


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
    assert "difference +25.00 points in each of 3 seeds, so that the noise is unknown" in said.sentences[1]
    assert said.sentences[1].endswith("more seeds would show it, or a script that uses trial.seed.")


def test_a_small_difference_between_noisy_values_is_not_called_0():
    said = say(up=False, share=False, adamw=[0.1, 0.1, 0.1], sgd=[-8.0, 9.0, 0.2])
    assert "difference -0.3, -21.4 to +20.8" in said.sentences[1]


def test_a_loss_that_ran_away_is_written_short():
    said = say(up=False, share=False, adamw=[0.1, 0.11, 0.1], sgd=[1e30, 2e30, 5e30])
    assert "2.67e+30 (SGD; difference -2.67e+30" in said.sentences[1]


def test_lost_runs_are_told():
    changes = {"sgd": {"tuned_diverged": 5}, "adamw": {"tuned_failed": 1}}
    said = say(adamw=ADAMW, sgd=[0.1] * 4 + [0.11], changes=changes)
    text = str(said)
    assert "All of the 5 re-runs of tuned SGD diverged; they count with the value before training" in text
    assert "1 of the 5 re-runs of tuned AdamW failed; it counts with" in text


def test_tuning_stands_beside_switching():
    text = str(say(adamw=ADAMW, sgd=SGD, defaults={"sgd": [v - 0.4 for v in ADAMW]}))
    assert "Tuning helped SGD (+38.7 points, " in text
    assert "For AdamW no trial did better on validation than its default." in text
    both = str(say(adamw=ADAMW, sgd=SGD, defaults={"sgd": [v - 0.4 for v in ADAMW], "adamw": LION}))
    assert "; it may or may not have helped AdamW (" in both
    assert "with Holm's correction for the 2 changes by tuning, over new seeds" in both
    untuned = say(trials=1, adamw=ADAMW, sgd=SGD)
    assert untuned.sentences[0] == "On digits-mlp, with defaults, nothing tuned, AdamW is better than SGD."
    assert "Tuning" not in str(untuned)


def test_which_intervals_are_meant_is_said_once():
    text = str(say(adamw=ADAMW, sgd=SGD, lion=LION))
    assert text.count("95%") == text.count("these configurations") == text.count("seeds (5 were run") == 1
    assert (
        "Ranges: 95% intervals, with Holm's correction for the 3 pairs, over new seeds (5 were run, the same for all"
        in text
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"on_validation": True}, "reports no test value"),
        (
            {"changes": {"sgd": {"near_edge": ("lr",)}}},
            "At an edge of the search, where a wider one may find better: SGD (lr).",
        ),
        ({}, "They are about these configurations; another search might pick others."),
    ],
)
def test_caveats(change, words):
    assert words in str(say(adamw=ADAMW, sgd=SGD, **change))


def test_both_families_are_named():
    said = say(adamw=ADAMW, sgd=SGD, lion=LION, defaults={"sgd": [v - 0.4 for v in ADAMW], "adamw": LION})
    assert "with Holm's correction for the 3 pairs and for the 2 changes by tuning, over" in said.sentences[-1]


def test_one_pair_needs_no_correction():
    assert "Holm" not in str(say(adamw=ADAMW, sgd=SGD))


def wide(level, tilt=0, spread=0.01):
    """20 seeds about a level, which do not go with those of another tilt."""
    order = [(7 * i + 11 * tilt * i * i) % 20 for i in range(20)]
    return [level + spread * (place - mean(order)) / 5.9 for place in order]


def test_equal_within_noise():
    said = say(adamw=wide(0.9), sgd=wide(0.9001, tilt=1))
    assert said.best is None
    assert said.sentences[0] == "On digits-mlp, after 25 trials each, SGD and AdamW are equal within noise."
    assert re.search(r"; another seed alone moves it by (1|1\.0|0\.9\d) points\.$", said.sentences[1])


def test_equal_to_one_and_unclear_to_another():
    said = say(adamw=wide(0.9), sgd=wide(0.9001, tilt=1), lion=wide(0.89, tilt=3, spread=0.05))
    assert said.sentences[0].endswith("cannot tell SGD from Lion; it is equal to AdamW within noise.")


def test_the_procedures_answer_first_and_the_configurations_after():
    found = procedural({"sgd": 0.95, "adamw": 0.97})
    said = say(adamw=ADAMW, sgd=SGD, procedural=found)
    assert said.best == "adamw"
    assert said.sentences[:3] == (
        "On digits-mlp, tuned with 8 trials each, AdamW is better than SGD.",
        "Test accuracy: 97.0% (AdamW) against 95.0% (SGD; difference +2.0 points, +1.8 to +2.2).",
        "Of the configurations found in all 25 trials: AdamW is better than SGD (97.4% (AdamW) against 96.1% "
        "(SGD; difference +1.3 points, +0.9 to +1.7)).",
    )
    assert said.sentences[-1] == (
        "Ranges: 95% intervals, over new searches and new seeds; of the configurations found, over new seeds "
        "(5 were run, the same for all)."
    )


def test_of_procedures_and_configurations_the_procedures_decide():
    said = say(adamw=ADAMW, sgd=SGD, procedural=procedural({"sgd": 0.95, "adamw": 0.9515}))
    assert said.best is None
    assert said.sentences[0] == "On digits-mlp, tuned with 8 trials each, cannot tell AdamW from SGD."
    assert re.search(r"; about \d+ more trials? might tell\.$", said.sentences[1])
    assert "Of the configurations found in all 25 trials: AdamW is better than SGD" in said.sentences[2]


def test_the_better_procedure_need_not_have_the_better_configuration():
    said = say(adamw=ADAMW, sgd=SGD, procedural=procedural({"adamw": 0.93, "sgd": 0.96}))
    assert said.best == "sgd"
    assert said.sentences[0].endswith("SGD is better than AdamW.")
    assert "AdamW is better than SGD (97.4%" in said.sentences[2]


def test_procedures_that_are_equal_within_noise():
    said = say(adamw=ADAMW, sgd=SGD, procedural=procedural({"adamw": 0.95, "sgd": 0.95}, se=0.0002))
    assert said.sentences[0].endswith("AdamW and SGD are equal within noise.")
    assert said.sentences[1].endswith("; another seed alone moves it by 0.2 points.")


def test_what_gains_more_tuning_or_switching():
    text = str(say(adamw=ADAMW, sgd=SGD, procedural=procedural({"sgd": 0.95, "adamw": 0.97})))
    assert (
        "Tuning SGD with 8 trials instead of taking its default: +15.0 points, +14.8 to +15.2. Going over from SGD to "
        "AdamW: +2.0 points, +1.8 to +2.2 with both tuned, 0 points, -0.2 to +0.2 with both defaults." in text
    )
    assert "may or may not have helped" not in text  # of configurations: said only where procedures are not known


def test_the_noise_floor_is_told_where_it_is_known():
    found = {"sgd": 0.95, "adamw": 0.97}
    text = str(say(adamw=ADAMW, sgd=SGD, procedural=procedural(found)))
    assert "AdamW compared with itself, with other draws and seeds, differs by up to 0.4 points in 19 of 20" in text
    assert "Noise floor" not in str(say(adamw=ADAMW, sgd=SGD, procedural=procedural(found, floor=0.0)))


def test_three_procedures_are_corrected_for_three_pairs():
    found = procedural({"sgd": 0.95, "adamw": 0.97, "lion": 0.93})
    said = say(adamw=ADAMW, sgd=SGD, lion=LION, procedural=found)
    assert said.best == "adamw"
    assert said.sentences[2] == "SGD is better than Lion."
    assert "with Holm's correction for the 3 pairs, over new searches and new seeds" in said.sentences[-1]


def test_one_procedure_alone():
    said = say(adamw=ADAMW, procedural=procedural({"adamw": 0.97}))
    assert said.sentences[0] == "On digits-mlp, tuned with 8 trials each, AdamW reaches test accuracy 97.0%."
    assert "Going over" not in str(said)
    assert "Of the configurations" not in str(said)


def test_minutes_are_named_where_they_count():
    said = say(adamw=ADAMW, sgd=SGD, minutes=12.5)
    assert said.sentences[0] == "On digits-mlp, after 12.5 minutes each, AdamW is better than SGD."
    found = procedural({"sgd": 0.95, "adamw": 0.97}, budget="4.17 minutes")
    said = say(adamw=ADAMW, sgd=SGD, minutes=12.5, procedural=found)
    assert "tuned with 4.17 minutes each" in said.sentences[0]
    assert said.sentences[2].startswith("Of the configurations found after 12.5 minutes: ")


def test_a_script_that_does_not_repeat_itself_is_named():
    unlike = ("valid_loss 0.2 the first time, 0.3 the second",)
    text = str(say(adamw=ADAMW, sgd=SGD, changes={"sgd": {"unlike": unlike}}))
    assert (
        "The script does not repeat itself: SGD's default, trained twice with one seed, differed (valid_loss 0.2 the "
        "first time, 0.3 the second). Give every generator it uses a seed from trial.seed." in text
    )
    assert "repeat itself" not in str(say(adamw=ADAMW, sgd=SGD))


def test_a_rule_with_nothing_to_search_is_not_called_tuned():
    text = str(say(adamw=ADAMW, sgd=SGD, changes={"sgd": {"searched": False}}))
    assert "SGD: nothing to search, so it ran with its values as given, not tuned." in text
    assert "For AdamW no trial did better" in text
