"""Schedule, decay and clipping, the same for all or varied; sources of chance that are held."""

import pytest
from comparing import run

from thalweg.rules import CATALOGUE
from thalweg.study import StudyError
from thalweg.study.ask.methods import method_of_rule
from thalweg.study.ask.spec import resolve, study
from thalweg.study.model.settings import Settings, setting, settings_of
from thalweg.study.run.trial import Trial

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

TELLS = """
    import torch

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        model = torch.nn.Linear(4, 1)
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(trial.seed("data")))
        optimizer = trial.optimizer(model)
        for epoch in trial.epochs(4):
            loss = (model(x) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            size = sum(p.abs().sum().item() for p in model.parameters())
            trial.report(valid_loss=(model(x) ** 2).mean().item(), test_loss=size)
"""


def plan_of(rules="sgd", **settings):
    return resolve(study("quadratic-deep", rules, **{"trials": 3, "seeds": 2, **settings}))


def cells_of(plan):
    return {rule.label: plan.cell(rule, 0, plan.tuning_seed) for rule in plan.rules}


def test_settings_reach_every_cell():
    cell = cells_of(plan_of(schedule="cosine", clip_norm=1, clip_value="none"))["sgd"]
    assert cell.schedule == "cosine"
    assert cell.chain == {"clip_norm": 1.0, "clip_value": None}
    assert cells_of(plan_of())["sgd"].chain == {}


def test_settings_are_varied_beside_options_of_the_task():
    found = cells_of(plan_of(vary={"schedule": ["none", "cosine"], "instance": [1, 2], "clip_norm": [0.5, "none"]}))
    assert list(found)[:2] == ["schedule=none instance=1 clip_norm=0.5", "schedule=none instance=1 clip_norm=none"]
    cell = found["schedule=cosine instance=2 clip_norm=0.5"]
    assert (cell.schedule, cell.chain, cell.options["instance"]) == ("cosine", {"clip_norm": 0.5}, 2)
    assert cell.varied == ("instance",)
    assert len({cell.key for cell in found.values()}) == 8


def test_what_is_not_chosen_leaves_the_keys_of_earlier_comparisons():
    told = cells_of(plan_of())["sgd"].identity()
    assert not {"chain", "held", "repeat"} & told.keys()
    assert "repeat" in plan_of().repeat_cells()[0].identity()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"schedule": "cosin"}, "no schedule 'cosin'; did you mean cosine"),
        (
            {"decay": "L2"},
            "decay is one of l2, decoupled, cautious, strictly-cautious, independent, corrected, palm; got 'L2'",
        ),
        ({"clip_norm": 0}, "clip_norm is a number above 0, or none for no clipping; got 0"),
        ({"clip_value": "big"}, "clip_value is a number above 0"),
        ({"clip_norm": True}, "clip_norm is a number above 0"),
        ({"vary": {"schedule": ["none", "cosin"]}}, "no schedule 'cosin'"),
        ({"vary": {"clip_norm": [1, 1.0]}}, "clip_norm=1 is given twice"),
        ({"schedule": "cosine", "vary": {"schedule": ["none", "linear"]}}, "schedule is both varied and the same"),
        ({"clip_norm": 1, "vary": {"clip_norm": [1, 2]}}, "clip_norm is both varied and the same"),
        ({"decay": "l2"}, "write sgd:weight_decay=0.001"),
        ({"vary": {"decay": ["l2", "decoupled"]}}, "weight decay of 0 in every trial"),
        ({"budget": 2}, "a budget of 2 trials needs a pool of at least 9"),
        ({"budget": 9, "trials": 17}, "needs a pool of at least 33, so that there are"),
        ({"budget": 5, "trials": 9}, "give trials=17, or leave the budget out"),
        ({"budget": 1}, "budget must be a whole number, at least 2"),
        ({"minutes": 0}, "minutes must be a number above 0"),
        ({"minutes": 1.0, "budget": 2}, "budget counts trials, and minutes time"),
        ({"hold": ("",)}, "hold names sources of chance"),
    ],
)
def test_what_cannot_be_is_refused_in_words(settings, words):
    with pytest.raises(StudyError) as caught:
        plan_of(**settings)
    assert words in str(caught.value)


def test_a_setting_has_one_spelling():
    assert setting("clip_norm", 1) == setting("clip_norm", "1.0") == setting("clip_norm", 1.0) == "1"
    assert settings_of(Settings("linear", {"decay": "l2"}), {"clip_value": "none", "norm": "batch"}) == Settings(
        "linear", {"clip_value": None, "decay": "l2"}
    )


def test_a_script_is_trained_with_them(script):
    task = script(TELLS)
    found = run(task, "sgd:weight_decay=0.5:lr=0.1", trials=1, seeds=2, vary={"decay": ["l2", "decoupled"]})
    # For plain descent the two are the same formula, but for rounding.
    l2, decoupled = (row.default.mean for row in found.rows)
    assert l2 == pytest.approx(decoupled, rel=1e-6)
    found = run(task, "sgd:lr=0.1", store="c.sqlite", trials=1, seeds=2, vary={"clip_norm": [1e-3, "none"]})
    clipped, free = (row.default.mean for row in found.rows)
    # Four steps of 0.1 with a gradient of norm 0.001 move nothing by more than 0.0004 in all.
    start = run(task, "sgd:lr=0", store="s0.sqlite", trials=1, seeds=2).rows[0].default.mean
    assert abs(clipped - start) < 1e-3 < abs(free - start)
    found = run(task, "sgd:lr=0.1", store="d.sqlite", trials=1, seeds=2, vary={"schedule": ["none", "cosine"]})
    assert found.rows[0].default != found.rows[1].default


def test_a_script_that_chooses_itself_is_told(script):
    task = script(TELLS.replace("trial.optimizer(model)", "trial.optimizer(model, clip_norm=1.0)"))
    with pytest.raises(StudyError, match="clip_norm is chosen by the comparison; leave it out"):
        run(task, "sgd", trials=1, seeds=2, vary={"clip_norm": [1, "none"]})


def test_a_held_source_of_chance_is_the_same_in_every_run(script):
    held = Trial(5, method_of_rule(CATALOGUE["sgd"]), {}, held={"init": 9})
    free = Trial(6, method_of_rule(CATALOGUE["sgd"]), {}, held={"init": 9})
    assert held.seed("init") == free.seed("init")
    assert held.seed("data") != free.seed("data")
    found = run(script(TELLS), "sgd", trials=1, seeds=3, hold=("init", "data"))
    assert found.plan.cell(found.plan.rules[0], 0, 1).held.keys() == {"init", "data"}
    assert found.rows[0].default.sd == 0


def test_a_script_that_does_not_repeat_itself_is_told(script):
    text = TELLS.replace("model = torch", "torch.seed()\n        model = torch")
    found = run(script(text), "adam", trials=1, seeds=2)
    (row,) = found.rows
    assert row.unlike
    assert any(s.startswith("The script does not repeat itself: Adam's default") for s in found.verdict.sentences)
    assert "valid_loss, epoch 1" in " ".join(row.unlike)
