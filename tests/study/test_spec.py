import subprocess
import sys

import msgspec
import pytest

import thalweg.rules
from thalweg.formula import Hyper, Rule
from thalweg.study import StudyError
from thalweg.study.ask.spec import resolve, study
from thalweg.study.model.plan import Plan

RULES = """
    from thalweg.formula import Hyper, Rule, log_uniform

    class Plain(Rule):
        lr = Hyper(0.1, log_uniform(1e-3, 1.0))

        @staticmethod
        def step(g, lr):
            return lr * g

    class Made:
        rule = Plain

    number = 3
"""


class InThisFile(Rule):
    """Found by its file or module from a worker."""

    lr = Hyper(0.1)

    @staticmethod
    def step(g, lr):
        return lr * g


@pytest.fixture
def rules(tmp_path):
    import textwrap

    (tmp_path / "my_rules.py").write_text(textwrap.dedent(RULES))
    return tmp_path / "my_rules.py"


def labels(*rules):
    return [rule.label for rule in resolve(study("digits-mlp", rules)).rules]


def refusal(*rules, task="digits-mlp", **settings):
    with pytest.raises(StudyError) as caught:
        resolve(study(task, rules, **settings))
    return str(caught.value)


def test_references_in_text_and_in_python(rules):
    assert labels("adamw", "SGD", thalweg.rules.Lion) == ["adamw", "sgd", "lion"]
    assert labels(f"{rules}:Plain") == labels(f"{rules}:Made") == ["Plain"]
    assert labels(f"{rules}:Plain:lr=0.5") == ["Plain:lr=0.5"]
    assert labels("thalweg.rules:Adam") == ["adam"]
    assert labels(InThisFile) == ["InThisFile"]


def test_a_variant_is_normalised_and_named():
    (one,) = resolve(study("digits-mlp", "sgd:nesterov=TRUE:momentum=.90")).rules
    assert one.label == "sgd:momentum=0.9:nesterov=true"
    assert one.name == "SGD (momentum=0.9, nesterov)"
    assert one.trials[0]["momentum"] == 0.9
    assert one.trials[0]["nesterov"] is True


def test_a_plan_survives_json():
    plan = resolve(study("digits-mlp", ["sgd:momentum=0.9", "adamw"], trials=30, seeds=3))
    again = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert again == plan
    assert [c.key for c in again.search_cells()] == [c.key for c in plan.search_cells()]


def test_more_trials_and_seeds_keep_the_keys_of_fewer():
    small, big = (resolve(study("digits-mlp", ["adam", "sgd"], trials=n, seeds=n)) for n in (25, 40))
    assert {c.key for c in small.search_cells()} <= {c.key for c in big.search_cells()}
    chosen = {"adam": (0, 3), "sgd": (0,)}
    assert {c.key for c in small.fresh_cells(chosen)} <= {c.key for c in big.fresh_cells(chosen)}


def test_the_tuning_seed_is_not_among_the_fresh_ones():
    plan = resolve(study("digits-mlp", "adam", seeds=50))
    assert plan.tuning_seed not in plan.fresh_seeds
    assert len(set(plan.fresh_seeds)) == 50


def test_rules_take_turns():
    plan = resolve(study("digits-mlp", ["adam", "sgd"], trials=3))
    assert [(c.trial, c.rule) for c in plan.search_cells()] == [
        (0, "adam"), (0, "sgd"), (1, "adam"), (1, "sgd"), (2, "adam"), (2, "sgd")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("adamv", "there is no rule 'adamv'; did you mean adam"),
        ("zzz", "The catalogue: adabelief, "),
        ("adam:beta3=0.5", "has no hyperparameter 'beta3'; did you mean beta"),
        ("adam:lr=-1", "lr must be at least 0 and finite, got -1"),
        ("adam:beta1=1", "beta1 must be at least 0 and below 1, got 1"),
        ("adam:lr=nan", "lr must be"),
        ("adam:lr=fast", "lr must be a number; got 'fast'"),
        ("adam:lr=yes", "lr must be a number; got True"),
        ("adam:amsgrad=2", "amsgrad is a switch, true or false; got 2.0"),
        ("adam:lr=1:lr=2", "lr is given twice"),
        ("adam:lr=1:fast", "write fixed values as name=value"),
        ("nowhere.py:Mine", "there is no file nowhere.py"),
        ("no.such.module:Mine", "cannot import the module no.such.module"),
        ("", "a rule is a name"),
        (3, "a rule is a name"),
        (int, "is no update rule"),
    ],
)
def test_a_bad_rule_is_refused_in_words(rule, words):
    assert words in refusal(rule)


def test_a_bad_rule_file_is_refused_in_words(rules):
    assert "has no 'Plane'; did you mean Plain? Rules in it: Made, Plain." in refusal(f"{rules}:Plane")
    assert "number in" in refusal(f"{rules}:number")
    rules.write_text("def broken(:\n")
    assert "my_rules.py:1 is not valid Python" in refusal(f"{rules}:Plain")
    rules.write_text("x = 1\nraise OSError('no data')\n")
    assert "importing my_rules.py failed: OSError: no data (my_rules.py:2)" in refusal(f"{rules}:Plain")


def test_a_rule_inside_a_function_is_refused():
    class Local(Rule):
        lr = Hyper(0.1)

        @staticmethod
        def step(g, lr):
            return lr * g

    assert "move it to the top of its file" in refusal(Local)


def test_a_rule_typed_into_a_session_is_refused():
    code = """
import thalweg.study.ask.spec as spec
from thalweg.formula import Rule
R = type("R", (), {})
from thalweg.rules import SGD
SGD.__module__ = "__main__"
from thalweg.rules import CATALOGUE
CATALOGUE.pop("sgd")
try:
    spec.study("digits-mlp", SGD)
except spec.StudyError as e:
    print(e)
"""
    shown = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=True)
    assert "interactive session" in shown.stdout


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"trials": 0}, "trials must be a whole number, at least 1"),
        ({"trials": 2.5}, "trials must be a whole number"),
        ({"trials": True}, "trials must be a whole number"),
        ({"seeds": 1}, "seeds must be a whole number, at least 2"),
        ({"study_seed": -1}, "study_seed must be"),
        ({"budgets": (3,)}, "a study has no setting 'budgets'; did you mean budget?"),
    ],
)
def test_a_bad_setting_is_refused_in_words(settings, words):
    assert words in refusal("adam", **settings)


def test_no_rules_and_doubled_rules_are_refused():
    assert "name at least one rule" in refusal()
    assert "the rule adam is listed twice" in refusal("adam", "Adam")


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("digits-mpl", "there is no task 'digits-mpl'; did you mean digits-mlp? Tasks: digits-mlp, "),
        ("gone.py:train", "there is no file gone.py"),
        ("gone.py", "say which function trains, for instance gone.py:train"),
        ("gone.py:", "for instance gone.py:train"),
        (None, "a task is a name"),
    ],
)
def test_a_bad_task_is_refused_in_words(task, words):
    assert words in refusal("adam", task=task)


def test_a_study_is_made_without_torch():
    code = "import sys; from thalweg.study.ask.spec import *; resolve(study('digits-mlp', 'adam'))"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
