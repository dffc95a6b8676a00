import dataclasses
import textwrap

import pytest

from thalweg.study.ask.spec import resolve, study
from thalweg.study.model.cells import Cell
from thalweg.study.model.errors import StudyError
from thalweg.study.run.worker import run_cell


def run(reference, rule="adam", trial=0, seed=None):
    plan = resolve(study(reference, rule, trials=3))
    return run_cell(plan.cell(plan.rules[0], trial, plan.tuning_seed if seed is None else seed))


def body(text):
    """A script whose train has a model `m`, an optimizer `o`, a loss `l()`, and then these lines."""
    start = """
    import torch

    def train(trial):
        m = torch.nn.Linear(2, 1)
        o = trial.optimizer(m)
        l = lambda: (m(torch.ones(1, 2)) ** 2).sum()
    """
    return textwrap.dedent(start).rstrip() + "\n" + textwrap.indent(textwrap.dedent(text).strip(), "    ") + "\n"


STEP = "l().backward(); o.step()\n"
START = "trial.report(valid_loss=l())\n"


def test_a_run_keeps_what_was_reported_and_measured(script):
    found = run(script())
    assert (found.status, found.message, found.steps) == ("done", "", 3)
    assert found.curves["valid_loss"].epochs == (0, 1, 2, 3)
    assert found.curves["valid_loss"] == found.curves["test_loss"]
    assert 0 < found.step_seconds <= found.seconds
    assert found.state_bytes >= 2 * 4 * 9
    assert found.host


def test_a_script_that_seeds_nothing_is_deterministic_all_the_same(script):
    reference = script(body("trial.report(valid_loss=l())\n" + STEP + "trial.report(valid_loss=l())"))
    assert run(reference).curves == run(reference).curves != run(reference, seed=5).curves


def test_a_script_may_import_what_lies_beside_it_and_starts_anew_each_time(script, tmp_path):
    (tmp_path / "beside_it.py").write_text("value = 0.5\n")
    text = body("count.append(1)\n" + STEP + "trial.report(valid_loss=beside_it.value + len(count))")
    reference = script("import beside_it\ncount = []\n" + text)
    assert run(reference).curves["valid_loss"].values == run(reference).curves["valid_loss"].values == (1.5,)


def test_options_of_the_task_reach_the_optimizer(script):
    text = body("trial.report(valid_loss=l())\n" + STEP + "trial.report(valid_loss=l())")
    plain = run(script(text, "plain.py"), "sgd:lr=0.1")
    clipped = run(script(text.replace("(m)\n", "(m.parameters(), clip_norm=1e-6)\n", 1), "clipped.py"), "sgd:lr=0.1")
    assert plain.status == clipped.status == "done", clipped.message
    moved, still = (run.curves["valid_loss"].values for run in (plain, clipped))
    assert abs(still[0] - still[1]) < 1e-3 < abs(moved[0] - moved[1])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (START + STEP + "trial.report(valid_loss=float('nan'))", "valid_loss was nan at the end of epoch 1"),
        ("for _ in trial.epochs(5): trial.report(valid_loss=1e999)", "valid_loss was inf at the end of epoch 1"),
        ("for _ in trial.epochs(5): trial.check(l() / 0)", "the loss was inf in epoch 1"),
        ("trial.report(valid_loss=float('inf'))", "valid_loss was inf before training"),
    ],
)  # fmt: skip
def test_a_loss_that_is_not_finite_ends_the_run_as_diverged(script, lines, message):
    found = run(script(body(lines)))
    assert (found.status, found.message) == ("diverged", message)


def test_divergence_cannot_be_swallowed(script):
    lines = """
        for _ in trial.epochs(1000):
            o.zero_grad(); l().backward(); o.step()
            try:
                trial.report(valid_loss=1.0 if _ < 2 else float("nan"))
            except Exception:
                pass
    """
    found = run(script(body(lines)))
    assert (found.status, found.steps) == ("diverged", 3)
    assert found.curves["valid_loss"].values == (1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (body("x = 1\ny = x / 0"), "ZeroDivisionError: division by zero (script.py:9)"),
        (body("import sys; sys.exit(3)"), "SystemExit: 3 (script.py:8)"),
        (body("trial.report(valid_loss=1.0)"), "it never stepped the optimizer that trial.optimizer gave it"),
        (body(STEP), "it never called trial.report"),
        (body(STEP + "trial.report(train_loss=1.0)"), "it reports no validation metric"),
        ("def train(trial): trial.report(valid_loss=1.0)", "it never called trial.optimizer(model)"),
        (body("trial.report(valid_quality=1.0)"), "'valid_quality' does not tell whether higher or lower is better"),
        (body("trial.report(loss=1.0)"), "must begin with train_, valid_ or test_"),
        (body("trial.report()"), "without values"),
        (body("trial.report(0.5)"), "takes values by name: trial.report(valid_loss=..., test_loss=...)"),
        (body("trial.optimizer(torch.optim.Adam)"), "takes the model, and gives the optimizer; got the class Adam"),
        (body("trial.report(valid_loss='low')"), "valid_loss must be a number or a tensor with one element, got 'low'"),
        (body("trial.report(valid_loss=torch.ones(3))"), "a tensor with one element, got shape (3,)"),
        (body("trial.report(valid_accuracy=97.4)"), "valid_accuracy must be a fraction from 0 to 1, got 97.4"),
        (body("for _ in trial.epochs(1):\n" + 2 * "  trial.report(valid_loss=1)\n"), "reported twice in epoch 1"),
        (body("trial.optimizer(m, lr=0.1)"), "lr is chosen by the comparison"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_script_fails_in_words(script, text, message):
    found = run(script(text))
    assert found.status == "failed"
    assert message in found.message


@pytest.mark.parametrize(
    "number",
    ["l()", "l().detach().reshape(1, 1)", "numpy.float32(0.5)", "numpy.array(0.5)", "numpy.array([0.5])", "1", "True"],
)
def test_a_number_may_come_in_any_form(script, number):
    found = run(script("import numpy\n" + body(STEP + f"trial.report(valid_loss={number})")))
    assert found.status == "done", found.message
    assert type(found.curves["valid_loss"].values[0]) is float


def test_what_is_reported_after_a_step_is_no_value_before_training(script):
    steps = body(2 * (STEP + "trial.report(valid_loss=l())\n"))
    assert run(script(steps)).curves["valid_loss"].epochs == (1, 2)
    assert run(script(body(START + STEP + "trial.report(valid_loss=l())"))).curves["valid_loss"].epochs == (0, 1)


def test_a_finite_value_however_bad_is_done_and_counts(script):
    found = run(script(body(START + STEP + "trial.report(valid_loss=1e30)")))
    assert (found.status, found.curves["valid_loss"].end(last=1)) == ("done", 1e30)


def test_an_accuracy_just_beyond_one_is_rounding(script):
    found = run(script(body(STEP + "trial.report(valid_accuracy=1 + 1e-7)")))
    assert found.curves["valid_accuracy"].values == (1.0,)


def test_evaluation_holds_the_weights_to_test_and_gives_the_trained_ones_back(script):
    lines = """
        for _ in trial.epochs(2):
            o.zero_grad(); l().backward(); o.step()
            with trial.evaluation():
                tested = l().item()
            trial.report(valid_loss=l(), test_loss=tested)
    """
    text = body(lines)
    plain = run(script(text), "sgd:lr=0.1")
    averaged = run(script(text.replace("(m)\n", "(m, ema=0.9)\n", 1), "averaged.py"), "sgd:lr=0.1")
    assert plain.curves["valid_loss"] == plain.curves["test_loss"] == averaged.curves["valid_loss"]
    assert averaged.curves["test_loss"] != averaged.curves["valid_loss"]


@pytest.mark.parametrize(("rule", "more"), [("schedulefreesgd", ""), ("sgd", ", ema=0.9")])
def test_weights_that_are_not_to_be_tested_are_refused(script, rule, more):
    """A script without trial.evaluation() would test Schedule-Free and averages at the wrong weights."""
    lines = """
        trial.report(valid_loss=l())
        for _ in trial.epochs(2):
            o.zero_grad(); l().backward(); o.step()
            trial.report(valid_loss=l())
    """
    found = run(script(body(lines).replace("(m)\n", f"(m{more})\n", 1)), rule)
    assert found.status == "failed"
    assert "tests other weights than it trains" in found.message
    assert "with trial.evaluation():" in found.message
    assert run(script(body(lines)), "sgd").status == "done"


def test_a_schedule_is_part_of_the_cell(script):
    plan = resolve(study(script(), "sgd:lr=0.01", trials=1))
    cell = plan.cell(plan.rules[0], 0, 1)
    scheduled = dataclasses.replace(cell, schedule="linear")
    assert run_cell(scheduled).curves != run_cell(cell).curves


def test_options_of_the_task_are_part_of_the_cell_and_of_its_name():
    plans = [resolve(study(f"quadratic-deep{options}", "sgd")) for options in ("", ":instance=1", ":instance=2")]
    assert [plan.task for plan in plans] == ["quadratic-deep", "quadratic-deep", "quadratic-deep:instance=2"]
    keys = [plan.cell(plan.rules[0], 0, 1).key for plan in plans]
    assert keys[0] == keys[1] != keys[2]


def test_seeds_are_apart_by_axis_and_alike_across_rules(script):
    lines = STEP + "trial.report(valid_loss=trial.seed('init'), test_loss=trial.seed('data'))"
    reference = script(body(lines))
    one, two = run(reference, "adam"), run(reference, "sgd", trial=2)
    assert one.curves == two.curves
    assert one.curves["valid_loss"] != one.curves["test_loss"]
    assert 0 <= one.curves["valid_loss"].values[0] < 2**63


def test_a_script_or_rule_changed_meanwhile_stops_the_comparison(script, tmp_path):
    reference = script()
    plan = resolve(study(reference, "adam"))
    script(body(STEP))
    with pytest.raises(StudyError, match=r"script.py was changed while"):
        run_cell(plan.cell(plan.rules[0], 0, 1))
    reference = script()
    rule = "from thalweg.formula import Hyper, Rule\nclass Mine(Rule):\n    lr = Hyper(0.1)\n"
    rule += "    @staticmethod\n    def step(g, lr):\n        return lr * g\n"
    (tmp_path / "mine.py").write_text(rule)
    plan = resolve(study(reference, f"{tmp_path / 'mine.py'}:Mine"))
    assert run_cell(plan.cell(plan.rules[0], 0, 1)).status == "done"
    (tmp_path / "mine.py").write_text(rule.replace("lr * g", "2 * lr * g"))
    with pytest.raises(StudyError, match="rule Mine was changed while"):
        run_cell(plan.cell(plan.rules[0], 0, 1))


def test_the_key_is_made_of_what_determines_the_result():
    cell = Cell("t", "h", "adam", "r", {"lr": 0.1, "amsgrad": False}, 3, {"torch": "2"})
    same = Cell("t", "h", "adam", "r", {"amsgrad": False, "lr": 0.1}, 3, {"torch": "2"}, 7, "here", "there")
    assert cell.key == same.key
    others = [
        Cell(**{**cell.identity(), name: value})
        for name, value in {
            "task": "u", "task_hash": "i", "rule": "sgd", "rule_hash": "s",
            "values": {"lr": 0.2, "amsgrad": False}, "seed": 4, "versions": {"torch": "3"},
            "options": {"instance": 2}, "schedule": "cosine",
        }.items()
    ]  # fmt: skip
    assert len({cell.key, *(other.key for other in others)}) == 10
