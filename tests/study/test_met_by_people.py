"""What people have met who compare scripts of their own: a sentence each, with what to write instead."""

import re

import pytest
from comparing import run

from thalweg.study import StudyError, train
from thalweg.study.ask.spec import resolve, study
from thalweg.study.model.metric import direction, name_problem

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

SCRIPT = """
import torch


def train(trial):
    torch.manual_seed(trial.seed("init"))
    model = torch.nn.Linear(3, 1)
    optimizer = trial.optimizer(model)
    x = torch.randn(8, 3)
    for epoch in trial.epochs(4):
        loss = (model(x) - x[:, :1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        {report}
"""


def text(report="trial.report(valid_loss=loss, test_loss=loss)"):
    return SCRIPT.replace("{report}", report)


@pytest.mark.parametrize("name", ["lr", "weight_decay"])
def test_a_hyperparameter_is_not_varied(script, name):
    """Before anything is trained; what is said works."""
    with pytest.raises(StudyError, match=f"{name} is a hyperparameter of adamw") as raised:
        run(script(text()), ("adamw",), vary={name: [0.1, 0.01]})
    rules = str(raised.value).rpartition("-r ")[2].split(",")
    assert rules == [f"adamw:{name}=0.1", f"adamw:{name}=0.01"]
    assert run(script(text()), rules, trials=1, seeds=2).complete


def test_other_uses_of_its_name_do_not_count(script):
    own = text(
        "trial.report(valid_loss=loss * optimizer.param_groups[0]['lr'], test_loss=trial.options.get('x', loss))"
    )
    with pytest.raises(StudyError, match="lr is a hyperparameter of adamw"):
        run(script(own), ("adamw",), vary={"lr": [1, 2]})


@pytest.mark.parametrize("read", ["trial.options['lr']", "trial.options.get('lr')", "dict(trial.options)['lr']"])
def test_an_option_may_be_called_like_one(script, read):
    own = text(f"trial.report(valid_loss=loss * {read}, test_loss=loss)")
    assert run(script(own), ("adamw",), trials=1, seeds=2, vary={"lr": [1, 2]}).complete


def test_every_run_diverged(script):
    lost = text("trial.report(valid_loss=loss * float('nan') if epoch else loss, test_loss=loss)")
    found = run(script(lost), ("adamw", "sgd"))
    (sentence,) = found.verdict.sentences
    assert sentence.startswith(
        "Nothing to compare: every re-run of AdamW and SGD diverged; the first: valid_loss was nan"
    )


def test_metrics_that_come_and_go(script):
    turns = "trial.report(valid_accuracy=0.5, test_accuracy=0.5) if epoch == 0 else trial.report(valid_loss=loss)"
    with pytest.raises(StudyError, match=r"valid_accuracy is missing where script\.py:train reports last, in epoch 4"):
        run(script(text(turns)), ("adamw",))


def test_the_first_failure_says_how_to_see_more(script):
    with pytest.raises(StudyError, match=r"One training with all that it prints: thalweg train .*:train adamw"):
        run(script(text("raise KeyError('nothing')")), ("adamw",))


@pytest.mark.parametrize(
    ("name", "higher"),
    [
        ("acc", True), ("mean_iou", True), ("dice", True), ("bleu", True), ("r2", True), ("recall", True),
        ("mse", False), ("rmse", False), ("mae", False), ("val_mse", False), ("nll", False),
        ("crossentropyloss", False), ("macrof1", True), ("pace", None), ("smaeller", None), ("r2d2", None),
    ],
)  # fmt: skip
def test_names_that_tell_a_direction(name, higher):
    assert direction(name) is higher


def test_val_is_not_valid():
    assert name_problem("val_acc") == "the metric 'val_acc' begins with val_: write valid_acc"


@pytest.mark.parametrize("decay", ["independent", "corrected"])
def test_every_kind_of_decay(script, decay):
    found = run(script(text()), ("adamw:like=paper", "adamw"), trials=2, seeds=2, decay=decay)
    assert found.plan.settings.chain["decay"] == decay
    assert found.complete


def test_a_range_of_ones_own(script):
    """In place of the rule's own box, from any number of trials on; the draws are those of other rules."""
    found = run(script(text()), ("adamw:lr=0.01..0.02:beta1=0.5..0.8:eps=1e-3/1e-2", "lion"), trials=6, seeds=2)
    rows = found.rows
    assert rows[0].contender == "adamw"
    assert rows[0].name == "AdamW"
    two = resolve(study("digits-mlp", ["adamw:lr=0.01..0.02", "adamw:eps=0.001/0.01", "adamw:lr=0.1"])).rules
    assert [each.name for each in two] == ["AdamW (lr=0.01..0.02)", "AdamW (eps=0.001/0.01)", "AdamW (lr=0.1)"]
    default, *drawn = [run.values for run in rows[0].trials.values()]
    assert (default["lr"], default["beta1"]) == (0.001, 0.9)
    assert all(0.01 <= values["lr"] <= 0.02 and 0.5 <= values["beta1"] <= 0.8 for values in drawn)
    assert {values["eps"] for values in drawn} <= {0.001, 0.01}
    searched = found.plan.rules[0].searched
    assert searched["lr"] == "log-uniform 0.01 to 0.02"
    assert searched["beta1"] == "1 - log-uniform 0.2 to 0.5"
    lion = [run.values["lr"] for run in [*rows[1].trials.values()][1:]]
    assert sorted(range(5), key=lion.__getitem__) == sorted(range(5), key=[v["lr"] for v in drawn].__getitem__)
    assert found.complete


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("adamw:lr=1..1", "write lr=low..high, positive numbers, the smaller first, or lr=a/b/c"),
        ("adamw:lr=0.1..0.01", "write lr=low..high"),
        ("adamw:lr=a..b", "lr must be a number; got 'a'"),
        ("adamw:beta1=0.5..2", "beta1 must be"),
        ("adamw:rate=1..2", "has no hyperparameter 'rate'"),
        ("nag:nesterov=true/false", "nesterov is a switch, true or false; compare both: two rules"),
    ],
)
def test_ranges_that_are_none(script, rule, words):
    with pytest.raises(StudyError, match=re.escape(words)):
        run(script(text()), (rule,))


def test_one_training_takes_no_range(script):
    with pytest.raises(StudyError, match=r"a training takes one value of lr, not a range: adamw:lr=0\.01\.\.0\.1"):
        train(script(text()), "adamw:lr=0.01..0.1")
