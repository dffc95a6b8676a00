"""study.toml: the same study as from Python and from the command line."""

import pytest

from thalweg.cli.asking import asked_for
from thalweg.study import StudyError, read_study
from thalweg.study.ask.spec import Study, plans, study

WHOLE = """
task = "quadratic-deep"
rules = ["sgd", "adamw:weight_decay=0.1"]
trials = 75
seeds = 7
study_seed = 3
metric = "loss"
schedule = "cosine"
clip_value = 0.5
budget = 25
hold = ["data"]
against = "adamw:weight_decay=0.1 instance=2 clip_norm=none"
matters = 0.5
target = 0.01

[vary]
instance = [1, 2]
clip_norm = [1.0, "none"]
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        (tmp_path / "study.toml").write_text(text)
        return str(tmp_path / "study.toml")

    return write


def test_file_python_and_command_line_say_the_same(written):
    vary = {"instance": [1, 2], "clip_norm": [1.0, "none"]}
    python = study(
        "quadratic-deep", ["sgd", "adamw:weight_decay=0.1"], trials=75, seeds=7, study_seed=3, metric="loss",
        schedule="cosine", clip_value=0.5, budget=25, hold=["data"], vary=vary,
        against="adamw:weight_decay=0.1 instance=2 clip_norm=none", matters=0.5, target=0.01,
    )  # fmt: skip
    given = {
        "rules": ["sgd,adamw:weight_decay=0.1"], "trials": 75, "seeds": 7, "study_seed": 3, "metric": "loss",
        "schedule": "cosine", "clip_value": "0.5", "budget": 25, "hold": ["data"],
        "vary": ["instance=1,2", "clip_norm=1.0,none"],
        "against": "adamw:weight_decay=0.1 instance=2 clip_norm=none", "matters": 0.5, "target": 0.01,
    }  # fmt: skip
    from_file = read_study(written(WHOLE))
    assert plans(from_file) == plans(python) == plans(asked_for("quadratic-deep", given))
    assert asked_for(written(WHOLE), {}) == from_file


def test_what_is_given_beside_the_file_stands_before_it(written):
    found = asked_for(written(WHOLE), {"trials": 90, "budget": 5, "rules": ["lion"]})
    assert (found.trials, found.budget, found.rules) == (90, 5, ("lion",))


def test_every_setting_can_stand_in_a_file(written):
    told = read_study(written(WHOLE))
    assert {name for name in Study.__struct_fields__ if getattr(told, name) is None} == {
        "decay", "clip_norm", "decay_schedule", "momentum_schedule", "minutes"
    }  # fmt: skip
    assert read_study(written('task = "digits-mlp"\nrules = ["sgd"]\nminutes = 2')).minutes == 2


def test_several_tasks_and_files_beside_it(written, tmp_path):
    (tmp_path / "mine.py").write_text("def train(trial): ...\n")
    (tmp_path / "rule.py").write_text("from thalweg import Rule\n")
    found = read_study(written('tasks = ["digits-mlp", "mine.py:train"]\nrules = ["sgd", "sgd+lookahead"]\nbudget = 5'))
    assert found.tasks == ("digits-mlp", f"{tmp_path / 'mine.py'}:train")
    assert [plan.task for plan in plans(found)] == ["digits-mlp", "mine.py:train"]
    assert found.budget == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rules = 1", "task is missing"),
        ('task = "digits-mlp"\nrules = ["sgd"]\nbudgets = [5, 8]', "study.toml: budgets is one number now"),
        ('task = "digits-mlp"', "rules is missing"),
        ('task = "digits-mlp"\nrules = ["sgd"]\ntrails = 3', "no setting 'trails'; did you mean trials?"),
        ('task = "digits-mlp"\nrules = ["sgd"]\ntrials = "many"', "trials: expected `int`, got `str`"),
        (
            'task = "digits-mlp"\nrules = [1]',
            "a rule is a name such as 'adamw', a Rule or an optimizer class, or a table; got 1",
        ),
        ('task = "digits-mlp"\nrules = ["sgd"]\ntrials = 0', "trials must be a whole number, at least 1"),
        ('task = "digits-mlp"\ntasks = ["digits-mlp"]\nrules = ["sgd"]', "task or tasks, not both"),
        ('task = ["digits-mlp", "digits-mlp"]\nrules = ["sgd"]', "digits-mlp is listed twice"),
        ('task = "digits-mlp"\nrules = ["sgd"]\n[vary]\nschedule = ["none", "cosin"]', "no schedule 'cosin'"),
        ('task = "digits-mlp"\nrules = ["sgd"]\n[vary]\nnorm = "batch"', "the values of norm are a list"),
        ("task = ", "is not valid TOML"),
    ],
)
def test_a_mistake_is_told_with_its_place(written, text, words):
    with pytest.raises(StudyError) as caught:
        read_study(written(text))
    assert str(caught.value).startswith("study.toml: ") or "study.toml is not valid" in str(caught.value)
    assert words in str(caught.value)


def test_no_such_file(tmp_path):
    with pytest.raises(StudyError, match=r"there is no file .*none\.toml"):
        read_study(tmp_path / "none.toml")
