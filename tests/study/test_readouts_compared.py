"""Averages of the weights as a setting: several of one training, each as if it were alone."""

from dataclasses import replace

import pytest
import torch
from comparing import rows, run
from test_lockstep import PLACES, STACKED

from thalweg.optim.averaging import refreshed
from thalweg.optim.readouts import FREE, averaged, window
from thalweg.study import StudyError
from thalweg.study.ask.spec import resolve, study
from thalweg.study.model.readouts import AVERAGES, Readout, kept_together, readout_of, written
from thalweg.study.model.same import differences
from thalweg.study.run.engines import Serial
from thalweg.study.run.outlook import outlook
from thalweg.study.run.rerun import rerun
from thalweg.study.run.stacking import stacks, trainings
from thalweg.study.run.worker import run_cell, run_cells
from thalweg.view.commands import again

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

READOUTS = [
    "none",
    "averaged:start=0.8",
    "averaged:horizon=5",
    "averaged:horizon=5:blend=0.5",
    "window:count=3:every=2",
]

# Noisy descent in two dimensions, whose weights one can follow; what is tested is drawn for, as dropout would.
SCRIPT = """
    import torch

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        model = torch.nn.Linear(2, 1)
        chance = torch.Generator().manual_seed(trial.seed("data"))
        optimizer = trial.optimizer(model{options})
        trial.report(valid_loss=1.0, test_loss=1.0)
        for epoch in trial.epochs(6{steps}):
            for _ in range(5):
                x = torch.randn(8, 2, generator=chance)
                x = x + torch.randn(8, 2)  # of the common generator
                optimizer.zero_grad()
                (model(x) - x.sum(1, keepdim=True)).square().mean().backward()
                optimizer.step()
            {evaluate}
                value = (model.weight - 1).square().sum() + 1e-6 * torch.rand(())
                trial.report(valid_loss=value, test_loss=value)
"""
EACH, ONCE = "for _ in trial.evaluations():", "with trial.evaluation():"


def text(evaluate=EACH, steps=", steps=5", options=""):
    return SCRIPT.replace("{evaluate}", evaluate).replace("{steps}", steps).replace("{options}", options)


def cells(task, readouts=READOUTS, trial=0, rule="sgd:lr=0.05:momentum=0.5", **settings):
    """A trial's cells, one for each readout."""
    plan = resolve(study(task, rule, trials=3, seeds=2, vary={"readout": readouts}, **settings))
    return [plan.search_cell(contender, trial) for contender in plan.rules]


def same(one, two):
    return [differences(a, b) for a, b in zip(one, two, strict=True)] == [()] * len(one)


# As it is written


def test_a_readout_has_one_spelling():
    assert written("averaged:start=0.80:horizon=100.0:blend=1") == "averaged:horizon=100:start=0.8"
    assert written("window:every=10:count=5") == "window:count=5:every=10"
    assert readout_of("averaged:horizon=100:start=0.8") == Readout("averaged", 100.0, 1.0, 0.8)
    assert readout_of("window:count=5:every=10") == Readout("window", count=5, every=10)
    assert readout_of("none") is None
    assert written("averaged:start=1234567890123") == "averaged:start=1234567890123"
    assert [readout_of(f"averaged:start={start}").starts_at(30) for start in (0.8, 0.5, 12)] == [24, 15, 12]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("average", "readout is none, averaged or window; got 'average'; did you mean averaged?"),
        ("averaged:horizont=5", "averaged has no 'horizont'; did you mean horizon?"),
        ("averaged:horizon=0.5", "horizon of averaged is a number of steps, at least 1; got '0.5'"),
        ("averaged:blend=0", "blend of averaged is above 0"),
        ("averaged:start=1.5", "start of averaged is a whole number of steps, or below 1 a share of all"),
        ("averaged:start=x", "got 'x'"),
        ("averaged:start=1:start=2", "given twice"),
        ("window:count=5", "window needs every too"),
        ("window:count=2.5:every=1", "count of window is a whole number"),
        (0.999, "readout is none, averaged or window; got 0.999"),
    ],
)
def test_what_cannot_be_is_refused_in_words(given, words):
    with pytest.raises(StudyError) as caught:
        written(given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "settings", "words"),
    [
        (
            "torch.optim.SGD:lr=1e-3..1e-1",
            {"readout": "averaged"},
            "is kept by a rule of thalweg, asked for by its name",
        ),
        ("schedulefreesgd", {"readout": "averaged"}, "ScheduleFreeSGD tests other weights of its own"),
        ("sgd", {"readout": "averaged", "vary": {"readout": ["none", "averaged"]}}, "readout is both varied and"),
        ("sgd", {"vary": {"readout": ["averaged:blend=1", "averaged"]}}, "readout=averaged is given twice"),
    ],
)
def test_what_cannot_be_tested_is_refused_before(rule, settings, words):
    with pytest.raises(StudyError) as caught:
        resolve(study("quadratic-deep", rule, trials=3, seeds=2, **settings))
    assert words.lower() in str(caught.value).lower()


@pytest.mark.parametrize(
    ("name", "make", "given"),
    [
        ("averaged:horizon={}", lambda x: averaged(x), [0, 0.5, 1, 1.5, 100, float("inf"), float("nan")]),
        ("averaged:blend={}", lambda x: averaged(blend=x), [-1, 0, 1e-3, 0.5, 1, 1.1, float("nan")]),
        ("averaged:start={}", lambda x: averaged(start=x), [-1, 0, 1, 12]),
        ("window:count={}:every=2", lambda x: window(x, every=2), [-1, 0, 1, 2.5, 5]),
        ("window:count=2:every={}", lambda x: window(2, every=x), [-1, 0, 1, 2.5, 5]),
    ],
)
def test_a_comparison_takes_what_an_optimizer_takes(name, make, given):
    def takes(read, value):
        try:
            read(value)
        except (StudyError, TypeError, ValueError):
            return False
        return True

    taken = [takes(make, x) for x in given]
    assert [takes(lambda x: written(name.format(x)), x) for x in given] == taken
    assert {*taken} == {True, False}
    assert len(FREE) == AVERAGES


def test_keys_of_earlier_cells_stand():
    plain, *others = cells("quadratic-deep")
    assert "readout" not in plain.identity()
    assert plain.key == replace(plain, readout="none").key
    assert others[0].identity() == {**plain.identity(), "readout": "averaged:start=0.8"}
    assert len({cell.key for cell in (plain, *others)}) == len(READOUTS)


def test_the_command_says_it():
    plan = resolve(study("quadratic-deep", "sgd", trials=3, seeds=2, readout="averaged:start=0.80"))
    assert "--readout averaged:start=0.8" in again([plan], None)
    plan = resolve(study("quadratic-deep", "sgd", trials=3, seeds=2, vary={"readout": READOUTS}))
    assert f"--vary readout={','.join(READOUTS)}" in again([plan], None)


# Which are one training


def test_those_that_differ_in_nothing_else_are_one_training():
    first, second = cells("digits-cnn", rule="sgd"), cells("digits-cnn", rule="sgd", trial=1)
    mixed = [cell for pair in zip(first, second, strict=True) for cell in pair]
    assert trainings(mixed) == [tuple(first), tuple(second)]
    assert stacks(mixed, 2) == [tuple(first), tuple(second)]


def test_a_stack_has_all_readouts_of_its_trainings():
    every = [cells("quadratic-deep", rule="sgd", trial=trial) for trial in range(3)]
    del every[1][0]
    assert stacks([cell for own in every for cell in own], 2) == [tuple(cell for own in every for cell in own)]


def test_one_training_keeps_four_averages():
    asked = [*(f"averaged:horizon={k}" for k in range(1, 7)), "none", "averaged:horizon=5:blend=0.5"]
    assert kept_together(asked, lambda text: text) == [asked[:4], asked[4:]]


# Each as if it were alone


def test_each_is_the_same_alone_and_together(script):
    asked = cells(script(text()))
    together = run_cells(asked)
    assert same(together, [run_cell(cell) for cell in asked])
    assert same(together[::-1], run_cells(asked[::-1]))
    ends = {run.curves["valid_loss"].values[-1] for run in together}
    assert len(ends) == len(READOUTS)
    assert all(run.status == "done" and run.steps == 30 for run in together)
    # A weight of two numbers and a bias: momentum, a step count each; an average; or three copies.
    plain = together[0].state_bytes
    assert [run.state_bytes - plain for run in together] == [0, 12, 12, 12, 36]


def test_what_is_tested_is_the_average(script):
    """Against the weights themselves, as they were after each step."""
    keeps = text().replace("optimizer.step()", "optimizer.step(); seen.append(model.weight.detach().clone())")
    keeps = keeps.replace("chance =", "seen = []; chance =").replace(
        "+ 1e-6 * torch.rand(())", "+ 0 * check(seen, model, _)"
    )
    keeps += """
    def check(seen, model, name):
        want = {
            "none": seen[-1],
            "averaged:start=0.8": torch.stack(seen[24:] or seen[-1:]).mean(0),
            "window:count=3:every=2": torch.stack(seen[1::2][-3:]).mean(0),
        }
        torch.testing.assert_close(model.weight.detach(), want[name], rtol=1e-6, atol=1e-7)
        return 1
    """
    readouts = ["none", "averaged:start=0.8", "window:count=3:every=2"]
    for found in run_cells(cells(script(keeps), readouts)):
        assert (found.status, found.message) == ("done", "")


def test_a_script_that_tests_once_trains_each(script):
    once, each = script(text(ONCE), "once.py"), script(text(), "each.py")
    alone = run_cells(cells(once))
    assert [run.curves for run in alone] == [run.curves for run in run_cells(cells(each))]
    assert len({run.curves["valid_loss"].values[-1] for run in alone}) == len(READOUTS)


def test_a_script_that_counts_its_own_epochs(script):
    own = text(steps="").replace("trial.epochs(6)", "range(6)")
    readouts = READOUTS[2:]
    together = run_cells(cells(script(own), readouts))
    assert together[0].curves["valid_loss"].epochs == (0, 1, 2, 3, 4, 5, 6)
    assert same(together, [run_cell(cell) for cell in cells(script(own), readouts)])


def test_one_that_diverges_ends_alone(script):
    """The second readout is infinite from the third epoch on."""
    bad = text().replace("value = (", "value = (float('inf') if _ == 'averaged:start=0.8' and epoch > 1 else 1) * (")
    asked = cells(script(bad), READOUTS[:3])
    together = run_cells(asked)
    assert [run.status for run in together] == ["done", "diverged", "done"]
    assert together[1].message == "valid_loss was inf at the end of epoch 3"
    assert (together[1].steps, together[1].curves["valid_loss"].epochs) == (15, (0, 1, 2))
    assert same(together, [run_cell(cell) for cell in asked])
    lost = script(text().replace("value = (", "trial.check(float('inf') if epoch > 1 else 0); value = ("), "lost.py")
    assert {(run.status, run.steps) for run in run_cells(cells(lost))} == {("diverged", 15)}


def test_where_one_fails_each_is_trained_alone(script):
    bad = text().replace("value = (", "1 / ('count' not in _); value = (")
    together = run_cells(cells(script(bad)))
    assert [run.status for run in together] == ["done"] * 4 + ["failed"]
    assert "ZeroDivisionError" in together[-1].message


@pytest.mark.parametrize(
    ("written_so", "words"),
    [
        ({"steps": ""}, "write trial.epochs(n, steps=len(loader))"),
        ({"steps": ", steps=50"}, "was to start after step 240 of 300, and the optimizer took 30"),
        (
            {"evaluate": "if True:", "options": "); trial.evaluation().__enter__("},
            "readout=averaged:start=0.8 tests other weights than it trains",
        ),
        ({"options": ", readouts={}"}, "readouts is chosen by the comparison"),
    ],
)
def test_a_script_that_cannot_is_told(script, written_so, words):
    plain, averaged = run_cells(cells(script(text(**written_so)), READOUTS[:2]))
    assert plain.status == "done"
    assert averaged.status == "failed"
    assert words in averaged.message


def test_a_script_that_tests_some_more_often_trains_these_alone(script):
    own = text("for _ in trial.evaluations() if epoch == 5 else once(trial):")
    own += """
    def once(trial):
        with trial.evaluation():
            yield
    """
    asked = cells(script(own), READOUTS[:3])
    together = run_cells(asked)
    assert {len(run.curves["valid_loss"].values) for run in together} == {7}
    assert same(together, [run_cell(cell) for cell in asked])


def test_what_is_reported_after_the_rounds_is_of_nobody(script):
    after = script(text("list(trial.evaluations())\n            if True:"))
    plain, *others = run_cells(cells(after, READOUTS[:3]))
    assert plain.status == "done"
    assert all(
        "evaluate inside `for _ in trial.evaluations():`, and report there too; valid_loss" in run.message
        for run in others
    )
    trained = text("trial.report(train_loss=1.0)\n            " + EACH)
    found = run_cells(cells(script(trained, "trained.py"), READOUTS[:3]))
    assert {(run.status, run.curves["train_loss"].values[0]) for run in found} == {("done", 1.0)}


def test_a_group_that_comes_later_begins_with_the_others(script):
    """After step 10 of 30: its averages begin after the training's step 24, and 20."""
    late = text().replace("trial.optimizer(model)", "trial.optimizer([model.weight]); seen = []")
    late = late.replace(
        "for _ in range(5):",
        "epoch == 2 and optimizer.add_param_group({'params': [model.bias]})\n            for _ in range(5):",
    ).replace("optimizer.step()", "optimizer.step(); seen.append(model.bias.detach().clone())")
    late = late.replace("+ 1e-6 * torch.rand(())", "+ 0 * check(seen, model, _)")
    late += """
    def check(seen, model, name):
        want = torch.stack(seen[24 if name == "averaged:start=0.8" else 20 :] or seen[-1:]).mean(0)
        torch.testing.assert_close(model.bias.detach(), want, rtol=1e-6, atol=1e-7)
        return 1
    """
    for found in run_cells(cells(script(late), ["averaged:start=0.8", "averaged:start=20"])):
        assert (found.status, found.message) == ("done", "")


def test_what_holds_no_weights_yet_is_refused(script):
    readouts = ["none", "averaged:start=29", "averaged:start=30", "window:count=2:every=30", "window:count=2:every=31"]
    found = run_cells(cells(script(text()), readouts))
    assert [run.status for run in found] == ["done", "done", "failed", "done", "failed"]
    assert "was to start after step 30, and the optimizer took 30: write an earlier start" in found[2].message
    assert "keeps its first weights after step 31, and the optimizer took 30" in found[4].message


def test_each_optimizer_counts_its_own_steps(script):
    two = text(steps=", steps=10").replace("trial.optimizer(model)", "trial.optimizer([model.weight])")
    two = two.replace("chance =", "other = trial.optimizer([model.bias])\n        chance =")
    two = two.replace("optimizer.step()", "optimizer.step(); other.step()")
    plain, share = run_cells(cells(script(two), READOUTS[:2]))
    assert (plain.status, plain.steps) == ("done", 60)
    assert "was to start after step 48 of 60, and the optimizer took 30" in share.message


def test_a_comparison_trains_once(script):
    """Told by the trainings that a script counts beside itself."""
    counts = text().replace("model = torch", "with open('trained', 'a') as f: f.write('x')\n        model = torch")
    task, settings = script(counts), {"trials": 1, "seeds": 2}
    found = run(task, "sgd:lr=0.05", vary={"readout": READOUTS}, **settings)
    with open("trained") as file:
        assert len(file.read()) == 4  # the default, once more, and two re-runs
    (plan,) = outlook(study(task, "sgd:lr=0.05", vary={"readout": READOUTS}, **settings), store="s.sqlite")
    assert (plan.search, plan.again, plan.stored) == (2, 2, 4)
    assert [rule.label for rule in found.plan.rules] == [f"readout={readout}" for readout in READOUTS]
    for readout in READOUTS:
        run(task, "sgd:lr=0.05", readout=readout, store="alone.sqlite", **settings)
    assert rows("alone.sqlite") == rows("s.sqlite")
    cell = found.plan.cell(found.plan.rules[2], 0, found.plan.fresh_seeds[0])
    assert rerun("s.sqlite", cell.key, engine=Serial()).same


# In stacks


def stack_cells(task):
    """Of three trainings, one of them without its last two readouts, which another comparison may have brought."""
    every = [cells(task, trial=trial, rule="adam") for trial in range(3)]
    return [*every[0], *every[1][:3], *every[2]]


def stacked(**replaced):
    tested = STACKED.replace("with trials.evaluation():", "for readouts in trials.evaluations():")
    tested = tested.replace("{options}", "").replace("trials.epochs(EPOCHS)", "trials.epochs(EPOCHS, STEPS)")
    for place in PLACES:
        tested = tested.replace(f"{{{place}}}", replaced.get(place, "pass"))
    return tested


def test_a_stack_gives_each_what_it_has_alone(script):
    asked = stack_cells(script(stacked()))
    assert asked[0].lockstep
    together = run_cells(asked)
    assert {(run.status, run.message) for run in together} == {("done", "")}
    assert same(together, [run_cell(cell) for cell in asked])
    assert len({run.curves["valid_loss"].values[-1] for run in together}) == len(asked)


def test_a_stack_says_what_is_in_place(script):
    writes = "with open('places', 'a') as file: print(readouts, file=file)"
    run_cells(stack_cells(script(stacked(evaluated=writes))))
    with open("places") as file:
        rounds = file.read().splitlines()
    assert rounds[-5:] == [str([each, each if place < 3 else "none", each]) for place, each in enumerate(READOUTS)]


def test_a_stack_with_batch_norm_is_refused(script):
    normed = stacked().replace("torch.nn.Tanh()", "torch.nn.BatchNorm1d(5)")
    plain, average = run_cells(cells(script(normed), ["none", "averaged"], rule="adam"))
    assert plain.status == "done"
    assert (average.status, average.message) == (
        "failed",
        "readout=averaged cannot be tested in a stack of models with BatchNorm, whose running statistics would be "
        "those of the weights that are trained: train with --single, where trial.evaluations(model, batches) takes "
        "them anew",
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", ["quadratic-deep", "digits-mlp"])
def test_a_stack_of_a_task_of_ours(task):
    asked = stack_cells(task)
    assert same(run_cells(asked), [run_cell(cell) for cell in asked])


# BatchNorm


def test_batch_norm_has_the_statistics_of_what_is_tested(script):
    """Of the average, over the batches that the script gives; the weights keep those that they were trained with."""
    given = "for _ in trial.evaluations(model, [torch.ones(4, 2) * torch.arange(4)[:, None]]):"
    normed = text(given).replace("Linear(2, 1)", "Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1))")
    normed = normed.replace("value = (model.weight", "value = abs(model[1].running_mean) + 0 * (model[0].weight")
    linear = normed.replace("abs(model[1].running_mean)", "abs(model[0](torch.full((1, 2), 1.5)))")
    plain, averaged = run_cells(cells(script(normed), READOUTS[::2][:2]))
    once, _ = run_cells(cells(script(normed.replace(given, ONCE), "once.py"), READOUTS[:2]))
    _, expected = run_cells(cells(script(linear, "linear.py"), READOUTS[::2][:2]))
    assert plain.curves == once.curves
    values = [run.curves["valid_loss"].values[1:] for run in (averaged, expected)]
    assert values[0] == pytest.approx(values[1], abs=3e-6)


def normed(given, loader=""):
    """A script whose value is of BatchNorm's statistics."""
    model = "Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1))"
    found = text(f"for _ in trial.evaluations({given}):").replace("Linear(2, 1)", model)
    found = found.replace("value = (model.weight", "value = abs(model[1].running_mean) + (model[0].weight")
    return found.replace("chance =", f"{loader}\n        chance =")


@pytest.mark.parametrize(
    ("batches", "loader"),
    [
        # Of 6, 6 and 4: the mean of their means depends on the order.
        ("loader", "loader = torch.utils.data.DataLoader(torch.randn(16, 2), batch_size=6, shuffle=True)"),
        ("iter(loader)", "loader = torch.randn(16, 2).split(4)"),
    ],
)
def test_each_goes_through_the_same_batches(script, batches, loader):
    asked = cells(script(normed(f"model, {batches}", loader)), READOUTS[:3])
    together = run_cells(asked)
    assert [run.status for run in together] == ["done"] * 3
    assert same(together, [run_cell(cell) for cell in asked])


def test_batches_that_are_used_up_are_refused(script):
    used = script(normed("model, loader", "loader = iter(torch.randn(16, 2).split(4))"))
    plain, average = run_cells(cells(used, READOUTS[:2]))
    assert plain.status == "done"
    assert "there are no batches to take BatchNorm's statistics of" in average.message
    with pytest.raises(ValueError, match="no batches"), refreshed(torch.nn.BatchNorm1d(1), []):
        pass


@pytest.mark.parametrize("given", ["model", "batches=[torch.ones(4, 2)]"])
def test_a_model_without_batches_is_refused_without_readouts_too(script, given):
    run = run_cell(cells(script(normed(given)))[0])
    assert "takes both the model and batches of its inputs, or neither" in run.message


@pytest.mark.slow
@pytest.mark.parametrize("task", ["digits-tiny-batch", "digits-cnn-bn"])
def test_batch_norm_in_a_task_of_ours(task):
    asked = cells(task, ["none", "averaged"], rule="sgd:lr=0.02")
    plain, averaged = run_cells(asked)
    assert same([plain], [run_cell(asked[0])])
    assert averaged.curves["valid_accuracy"].values[-1] > 0.9
