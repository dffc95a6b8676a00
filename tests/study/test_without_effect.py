"""A search without effect is told: what the script sets itself, and what is the same whatever is chosen."""

import pytest
from comparing import run

from thalweg.study import StudyError

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

SCRIPT = """
import torch


def train(trial):
    torch.manual_seed(trial.seed("init"))
    model = torch.nn.Linear(3, 1)
    optimizer = trial.optimizer(model)
    x = torch.randn(8, 3)
    {begin}
    for epoch in trial.epochs(2):
        for step in range(3):
            {before}
            loss = (model(x) - x[:, :1]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            {after}
        trial.report(valid_loss=loss, test_loss=loss)
"""


def text(begin: str = "", before: str = "", after: str = "") -> str:
    return SCRIPT.format(begin=begin, before=before, after=after)


SCHEDULER = "scheduler = torch.optim.lr_scheduler."
OVERWRITTEN = {
    "OneCycleLR": text(SCHEDULER + "OneCycleLR(optimizer, max_lr=0.1, total_steps=99)", after="scheduler.step()"),
    "CyclicLR": text(SCHEDULER + "CyclicLR(optimizer, 0.01, 0.1, cycle_momentum=False)", after="scheduler.step()"),
    "an assignment": text(before="optimizer.param_groups[0]['lr'] = 0.1 * 0.5**epoch"),
    "before the first step": text("optimizer.param_groups[0]['lr'] = 0.25"),
}
RELATIVE = {
    "LambdaLR from below": text(SCHEDULER + "LambdaLR(optimizer, lambda t: 0.1 * (t + 1))", after="scheduler.step()"),
    "CosineAnnealingLR": text(SCHEDULER + "CosineAnnealingLR(optimizer, 9)", after="scheduler.step()"),
    "OneCycleLR": text(
        SCHEDULER + "OneCycleLR(optimizer, optimizer.param_groups[0]['lr'], total_steps=9, cycle_momentum=False)",
        after="scheduler.step()",
    ),
    "a warm-up by hand": text("lr = optimizer.param_groups[0]['lr']", "optimizer.param_groups[0]['lr'] = lr * 0.5"),
    "ReduceLROnPlateau": text(SCHEDULER + "ReduceLROnPlateau(optimizer)", after="scheduler.step(loss.detach())"),
}


@pytest.mark.parametrize("name", OVERWRITTEN)
def test_a_learning_rate_that_the_script_sets(name, script):
    with pytest.raises(StudyError, match="sets lr") as raised:
        run(script(OVERWRITTEN[name]), ("adamw",))
    said = str(raised.value)
    assert "so the search of adamw has no effect on it" in said
    assert "--schedule" in said
    # Followed, it works.
    fixed = said.rpartition(": ")[2]
    assert fixed.startswith("adamw:lr=")
    assert run(script(OVERWRITTEN[name]), (fixed,)).complete


@pytest.mark.parametrize("name", RELATIVE)
def test_what_multiplies_goes_along(name, script):
    found = run(script(RELATIVE[name]), ("adamw",))
    assert found.complete
    assert len({trial.curves["valid_loss"].end() for trial in found.rows[0].trials.values()}) == 3


def test_a_momentum_that_is_cycled(script):
    cycled = RELATIVE["OneCycleLR"].replace(", cycle_momentum=False", "")
    with pytest.raises(StudyError, match="sets beta1") as raised:
        run(script(cycled), ("adamw",), trials=20, budget=10)
    assert "adamw:beta1=" in str(raised.value)


def test_what_changes_nothing_is_told(script):
    """What is reported moves, and has nothing to do with what was trained."""
    apart = text().replace("valid_loss=loss, test_loss=loss", "valid_loss=1 / (epoch + 1), test_loss=1 / (epoch + 1)")
    found = run(script(apart), ("adamw:beta1=0.9:beta2=0.999",), trials=4)
    sentence = next(each for each in found.verdict.sentences if "changed nothing" in each)
    assert found.rows[0].alike in sentence
    assert "the default and trial 1 differ in lr and gave the same curves" in sentence


def test_other_searches_are_not_told_so(script):
    found = run(script(), ("adamw", "sgd"), trials=5)
    assert [row.alike for row in found.rows] == ["", ""]
    assert not any("changed nothing" in each for each in found.verdict.sentences)


def test_a_metric_that_does_not_move(script):
    stuck = text().replace("valid_loss=loss", "valid_loss=0.25")
    with pytest.raises(StudyError, match=r"valid_loss was 0\.2500 at every report of all \d trainings"):
        run(script(stuck), ("adamw",))
