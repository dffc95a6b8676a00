"""A script says which way is better where a metric's name does not tell."""

import pytest
from comparing import run

from thalweg.study import Comparison, StudyError, train
from thalweg.study.model.cells import Curve
from thalweg.study.model.metric import choose_metric, reported_by
from thalweg.study.run.engines import Serial
from thalweg.study.run.lr_find import lr_find

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

SCRIPT = """
import torch


def train(trial):
    torch.manual_seed(trial.seed("init"))
    model = torch.nn.Linear(1, 1)
    optimizer = trial.optimizer(model)

    def report(**how):
        wer = (model(torch.ones(1)) - 3.0).abs().sum()
        trial.report(valid_jaccard=-wer, test_jaccard=-wer, valid_wer=wer, test_wer=wer, **how)

    report(higher="jaccard", lower=["valid_wer"])
    for _ in trial.epochs(2):
        loss = (model(torch.ones(1)) - 3.0).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        report({later})
"""


@pytest.fixture
def place(script):
    return script(SCRIPT.replace("{later}", ""))


@pytest.mark.parametrize("metric", ["jaccard", "wer"])
def test_it_is_judged_so(place, metric):
    """Verdict, and what is read back from the store; the faster rate does better by either name."""
    found = run(place, ("sgd:lr=0.1", "sgd:lr=0.001"), trials=1, seeds=3, metric=metric)
    assert (found.metric.name, found.metric.higher_is_better) == (metric, metric == "jaccard")
    assert Comparison.load("s.sqlite").metric == found.metric
    (pair,) = found.family.contrasts
    assert (pair.first, pair.second, pair.answer) == ("sgd:lr=0.001", "sgd:lr=0.1", "worse")


def test_a_search_goes_the_right_way(place):
    found = run(place, ("sgd",), trials=4, seeds=2, metric="jaccard")
    ends = [each.curves["valid_jaccard"].end() for each in found.rows[0].trials.values()]
    assert found.rows[0].winner_trial == ends.index(max(ends))


def test_rates_are_found_by_it(place):
    for metric, up in (("jaccard", True), ("wer", False)):
        rates = lr_find(place, "sgd", points=4, seeds=1, epochs=2, metric=metric, engine=Serial())
        assert rates.higher_is_better == up
        assert rates.best > rates.rates[0].lr


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ("lower='jaccard'", "of jaccard the script says that higher is better, and that lower is better"),
        ("lower='accuracy'", "of accuracy its name says that higher is better, and the script that lower is better"),
        ("higher=['wer', 'jaccard']", "of wer the script says that lower is better, and that higher is better"),
    ],
)
def test_what_is_said_does_not_contradict_itself(script, later, words):
    assert words in train(script(SCRIPT.replace("{later}", later)), "sgd").message
    assert train(script(SCRIPT.replace("{later}", "higher='jaccard', lower='loss'")), "sgd").status == "done"


def test_a_name_that_does_not_tell_says_what_to_write(script):
    text = SCRIPT.replace('report(higher="jaccard", lower=["valid_wer"])', "report()").replace("{later}", "")
    message = train(script(text), "sgd").message
    assert "say it, trial.report(valid_jaccard=..., higher='jaccard') or lower='jaccard', or use one with" in message


def test_trainings_that_disagree_are_refused(script):
    text = SCRIPT.replace("{later}", "").replace(
        'higher="jaccard", lower=["valid_wer"]', '**{trial.options["up"]: ["jaccard", "wer"]}'
    )
    with pytest.raises(StudyError, match="of jaccard one training says that higher is better, and another that lower"):
        run(script(text), ("sgd",), trials=1, seeds=2, metric="jaccard", vary={"up": ["higher", "lower"]})


def test_what_runs_report():
    """Said of one of its splits, it holds for all; nothing said, the name tells."""
    runs = [{"valid_wer": Curve((1,), (0.5,), False), "valid_loss": Curve((1,), (0.5,))}]
    assert reported_by(runs) == {"valid_wer": False, "valid_loss": None}
    assert choose_metric("wer", reported_by(runs)).higher_is_better is False
    assert choose_metric("loss", reported_by(runs)).higher_is_better is False
