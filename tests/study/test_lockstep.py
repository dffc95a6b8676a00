"""Comparisons whose trainings run many at once: which those are, and that each comes out as if it were alone."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from comparing import rows, run
from test_compare import stored

from thalweg.study import StudyError, compare
from thalweg.study.ask.method_references import find_method
from thalweg.study.ask.spec import resolve, study
from thalweg.study.model.same import differences
from thalweg.study.run.engines import LocalProcesses, Serial
from thalweg.study.run.rerun import rerun
from thalweg.study.run.trial import Trial
from thalweg.study.run.trials import Trials
from thalweg.study.run.worker import run_cell, run_cells

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

STACKED = """
    import torch
    from torch.nn.functional import mse_loss

    EPOCHS, STEPS = 3, 4

    def model():
        return torch.nn.Sequential(torch.nn.Linear(8, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).double()

    def data(seed):
        chance = torch.Generator().manual_seed(seed)
        x = torch.randn(64, 8, generator=chance).double()
        return x, x.sum(1, keepdim=True) + 0.1 * torch.randn(64, 1, generator=chance)

    def loss(model, x, y):
        return mse_loss(model(x), y)

    def train(trial):
        {single}
        torch.manual_seed(trial.seed("init"))
        net = model()
        optimizer = trial.optimizer(net{options})
        x, y = data(trial.seed("data"))
        trial.report(valid_loss=loss(net, x, y).detach(), test_loss=loss(net, x, y).detach())
        for _ in trial.epochs(EPOCHS):
            for _ in range(STEPS):
                optimizer.zero_grad()
                loss(net, x, y).backward()
                optimizer.step()
            with trial.evaluation():
                trial.report(valid_loss=loss(net, x, y).detach(), test_loss=loss(net, x, y).detach())

    def train_stack(trials):
        {begin}
        stack = trials.lockstep(model{options})
        rates = [optimizer.param_groups[0]["lr"] for optimizer in stack.optimizers]
        {made}
        x, y = map(torch.stack, zip(*map(data, trials.seeds("data"))))
        trials.report(valid_loss=stack.evaluate(loss, x, y), test_loss=stack.evaluate(loss, x, y))
        for epoch in trials.epochs(EPOCHS):
            for _ in range(STEPS):
                losses = stack.step(loss, x, y)
                {stepped}
            with trials.evaluation():
                values = stack.evaluate(loss, x, y)
                {evaluated}
                trials.report(valid_loss=values, test_loss=values)
"""
PLACES = ("single", "begin", "made", "stepped", "evaluated")


@pytest.fixture
def stacked(script):
    """Writes a script with both functions, and with more at the places named; the reference of its `train`."""

    def write(name="script.py", **more):
        text = STACKED.replace("{options}", more.pop("options", ""))
        for place in PLACES:
            text = text.replace(f"{{{place}}}", more.get(place, "pass"))
        return script(text, name)

    return write


class Workers(Serial):
    """In this process, with work divided as for so many."""

    def __init__(self, workers):
        super().__init__()
        self.workers, self.sizes = workers, []

    def map(self, fn, items):
        for item, result in super().map(fn, items):
            if isinstance(item, tuple) and all(hasattr(each, "lockstep") for each in item):
                self.sizes.append(len(item))
            yield item, result


def cells(task, rule="sgd", trials=9, seeds=2, **settings):
    """The search's of a comparison."""
    plan = resolve(study(task, rule, trials=trials, seeds=seeds, **settings))
    return [plan.search_cell(plan.rules[0], k) for k in range(plan.trials)]


def same(first, second):
    return not any(differences(one, two) for one, two in zip(first, second, strict=True))


def test_rows_say_so_and_are_the_same_however_work_is_divided(stacked):
    task = stacked()
    engines = {workers: Workers(workers) for workers in (1, 100)}
    for workers, engine in engines.items():
        found = run(task, ("adam",), trials=9, seeds=2, store=f"{workers}.sqlite", engine=engine)
        assert found.plan.lockstep
        assert all(cell.identity()["lockstep"] for cell in found.plan.search_cells())
    assert rows("1.sqlite") == rows("100.sqlite")
    assert max(engines[1].sizes) >= 9
    assert max(engines[100].sizes) <= 5
    alone = run(task, ("adam",), trials=9, seeds=2, store="alone.sqlite", lockstep=False)
    assert not alone.plan.lockstep
    assert all("lockstep" not in cell.identity() for cell in alone.plan.search_cells())
    assert not {row[0] for row in rows("alone.sqlite")} & {row[0] for row in rows("1.sqlite")}


@pytest.mark.parametrize(
    ("rule", "options", "settings"),
    [
        ("sgd", "", {"clip_norm": 0.1}),
        ("adamw", ", ema=0.9", {}),
        ("schedulefreeadamw", "", {}),
        ("lamb", ", clip_value=0.1", {"schedule": "cosine"}),
        ("lion", "", {"schedule": "linear"}),
    ],
)
def test_a_stack_trains_what_single_trainings_do(stacked, rule, options, settings):
    task = stacked(options=options)
    together = run_cells(cells(task, rule, trials=3, **settings))
    single = [run_cell(cell) for cell in cells(task, rule, trials=3, lockstep=False, **settings)]
    for mine, alone in zip(together, single, strict=True):
        assert (mine.status, mine.steps, mine.state_bytes) == (alone.status, alone.steps, alone.state_bytes)
        for name in ("valid_loss", "test_loss"):
            assert mine.curves[name].epochs == alone.curves[name].epochs
            assert mine.curves[name].values == pytest.approx(alone.curves[name].values, rel=1e-8)


@pytest.mark.parametrize("more", [{}, {"schedule": "cosine"}, {"hold": ("data",)}])
def test_a_stack_is_its_stacks_of_one(stacked, more):
    every = cells(stacked(), "adamw", **more)
    together = run_cells(every)
    assert same(together, [run_cell(cell) for cell in every])
    assert same(together[::2], run_cells(every[::2]))
    assert len({run.curves["test_loss"].values for run in together}) == len(every)
    if "schedule" in more:
        assert not any(
            one.curves == two.curves for one, two in zip(together, run_cells(cells(stacked(), "adamw")), strict=True)
        )


def test_which_function_trains(stacked, script):
    task = stacked(single='raise RuntimeError("singly")')
    assert run(task, ("sgd",)).complete
    with pytest.raises(StudyError, match="RuntimeError: singly"):
        run(task, ("sgd",), lockstep=False, store="single.sqlite")
    task = stacked("other.py", begin='raise RuntimeError("in a stack")')
    with pytest.raises(StudyError, match="RuntimeError: in a stack"):
        run(task, ("sgd",), store="other.sqlite")
    assert run(task, ("sgd",), lockstep=False, store="other_single.sqlite").complete
    assert not run(script(name="quick.py"), ("sgd",), store="quick.sqlite").plan.lockstep


def test_the_function_is_that_beside_the_one_named(stacked, tmp_path):
    text = (tmp_path / stacked().rpartition(":")[0]).read_text()
    (tmp_path / "named.py").write_text(
        text.replace("def train(", "def main(").replace("def train_stack", "def main_stack")
    )
    assert resolve(study(f"{tmp_path}/named.py:main", "sgd", trials=3, seeds=2)).lockstep
    (tmp_path / "apart.py").write_text(text.replace("def train(", "def main("))
    assert not resolve(study(f"{tmp_path}/apart.py:main", "sgd", trials=3, seeds=2)).lockstep


def test_an_optimizer_of_another_library_makes_all_trainings_single(stacked):
    found = run(stacked(), ("sgd", "torch.optim.Adam:lr=0.01"), trials=3, seeds=2)
    assert not found.plan.lockstep
    assert found.complete


def test_a_study_goes_on_as_it_began(stacked):
    task = stacked()
    run(task, trials=3, seeds=2, store="single.sqlite", lockstep=False)
    engine = Workers(1)
    assert not run(task, trials=9, seeds=2, store="single.sqlite", engine=engine).plan.lockstep
    assert set(engine.sizes) == {1}
    run(task, trials=3, seeds=2, store="stacks.sqlite")
    with pytest.raises(StudyError, match=r"the study in this store trains in lockstep.*name another store"):
        run(task, trials=9, seeds=2, store="stacks.sqlite", lockstep=False)
    assert run(task, trials=9, seeds=2, store="stacks.sqlite").plan.lockstep
    run(task, trials=9, seeds=2, store="whole.sqlite")
    assert set(rows("whole.sqlite")) <= set(rows("stacks.sqlite"))


def test_a_study_in_lockstep_takes_no_optimizer_of_another_library(stacked):
    task = stacked()
    run(task, ("sgd",), trials=3, seeds=2)
    with pytest.raises(StudyError, match=r"trains in lockstep.*torch.optim.Adam.*name another store"):
        run(task, ("sgd", "torch.optim.Adam:lr=0.01"), trials=3, seeds=2)


def test_a_row_trained_again_is_the_same(stacked):
    found = run(stacked(), ("adamw",), trials=9, seeds=2)
    for chosen in (*list(found.rows[0].trials.values())[:3], found.rows[0].tuned_runs[1]):
        again = rerun("s.sqlite", chosen.key[:12], engine=Serial())
        assert again.same, again.differences


def test_one_that_raises_fails_alone(stacked):
    bound = 'if max(rates) > 0.05: raise ValueError("too fast")'
    task = stacked(made=bound)
    runs = run_cells(cells(task))
    assert {run.status for run in runs} == {"done", "failed"}
    without = run_cells(cells(stacked("without.py")))
    for mine, other in zip(runs, without, strict=True):
        assert (mine.status == "failed") == (mine.values["lr"] > 0.05)
        if mine.status == "failed":
            assert "ValueError: too fast" in mine.message
            assert "script.py:" in mine.message
        else:
            assert mine.curves == other.curves


def test_one_that_diverges_is_a_result_and_its_neighbours_are_as_without_it(stacked):
    torn = "values = torch.where(torch.tensor(rates) > 0.05, torch.nan, values)"
    runs = run_cells(cells(stacked(evaluated=torn)))
    others = run_cells(cells(stacked("without.py")))
    for mine, other in zip(runs, others, strict=True):
        if mine.values["lr"] > 0.05:
            assert mine.status == "diverged"
            assert mine.message.endswith("was nan at the end of epoch 1")
            assert (mine.steps, mine.curves["valid_loss"].epochs) == (4, (0,))
        else:
            assert (mine.status, mine.curves) == (other.status, other.curves)
    assert {run.status for run in runs} == {"diverged", "done"}


@pytest.mark.parametrize("place", ["evaluated", "stepped"])
def test_what_is_kept_of_a_diverged_one_does_not_depend_on_the_others(stacked, place):
    name = "values" if place == "evaluated" else "losses"
    torn = f"{name} = torch.where(torch.tensor(rates) > 0.01, torch.nan, {name}); trials.check({name})"
    every = cells(stacked(**{place: torn}), "adamw")
    together = run_cells(every)
    wild = [k for k, run in enumerate(together) if run.status == "diverged"]
    assert 1 < len(wild) < len(every)
    assert same([together[k] for k in wild], run_cells([every[k] for k in wild]))
    assert same(together, [run_cell(cell) for cell in every])


def test_options_that_are_never_read_compare_nothing(stacked):
    with pytest.raises(StudyError, match=r"compares nothing: it never read trial.options\['width'\]"):
        run(stacked(), ("sgd",), vary={"width": [1, 2]})
    task = stacked("reads.py", begin='width = trials.options["width"]')
    assert run(task, ("sgd",), vary={"width": [1, 2]}, store="reads.sqlite").complete


def test_a_rate_that_the_script_sets_itself_is_told(stacked):
    with pytest.raises(StudyError, match=r"sets lr \(0.25 at its first step, whatever is chosen\) itself"):
        run(stacked(made='for each in stack.optimizers: each.param_groups[0]["lr"] = 0.25'), ("sgd",))
    relative = 'for each in stack.optimizers: each.param_groups[0]["lr"] *= 0.5'
    assert run(stacked("relative.py", made=relative), ("sgd",), store="relative.sqlite").complete


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"made": "torch.rand(1)"}, "it draws from torch's common generator, .* seeded by trials.seeds"),
        (
            {"made": "torch.manual_seed(5)", "evaluated": "values *= float('nan')"},
            "it draws from torch's .* or seeds it",
        ),
        ({"evaluated": "trials[0].report(valid_loss=1.0)"}, "there is no report by itself: trials.report is of all"),
        ({"begin": "trials[0].optimizer(model())"}, r"are made with its models: trials.lockstep\(make_model\)"),
        ({"made": "trials.lockstep(model)"}, "trials.lockstep is called once"),
        ({"evaluated": "import random; random.random()"}, "it draws from Python's common generator"),
        ({"evaluated": "import numpy; numpy.random.rand()"}, "it draws from numpy's common generator"),
        (
            {"begin": "global loss; loss = lambda m, x, y: torch.sigmoid(m(x)[:1]).mean()"},
            "depends on how many there",
        ),
    ],
)
def test_what_would_make_trainings_depend_on_each_other_is_refused(stacked, more, words):
    with pytest.raises(StudyError, match=words + ".* One at a time they train with --single"):
        run(stacked(**more), ("sgd",))


def test_what_is_drawn_before_there_are_models_is_the_same_for_all_stacks(stacked):
    task = stacked(begin="noise = torch.rand(1)", stepped="x = x + noise")
    every = cells(task)
    assert same(run_cells(every), [run_cell(cell) for cell in every])


def test_a_failed_beginning_binds_nobody(stacked, script):
    """Neither to stacks, nor to the function for them: the same store takes what is mended."""
    task = stacked(made="raise ValueError('no')")
    with pytest.raises(StudyError, match="ValueError: no"):
        run(task, ("sgd",), store="s.sqlite")
    assert not run(task, ("sgd",), store="s.sqlite", lockstep=False).plan.lockstep


def test_a_study_of_stacks_whose_function_is_gone_says_so(stacked, script):
    task = stacked()
    assert run(task, ("sgd",), store="s.sqlite").plan.lockstep
    path = task.rpartition(":")[0]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("def train_stack", "def train_many"))
    with pytest.raises(StudyError, match="has no function for stacks any more: put it back, or name another store"):
        run(task, ("sgd",), store="s.sqlite")


def test_reports_have_a_value_for_each():
    method = resolve(study("digits-mlp", "sgd", trials=3, seeds=2)).rules[0]
    single = [Trial(seed, find_method(method.source, ()).method, {"lr": 0.1}) for seed in range(3)]
    every = Trials(single)
    for given, said in (
        (torch.ones(2), r"valid_loss must have a value for each of the 3 trials; it has 2"),
        ([0.1, 0.2, 0.3, 0.4], r"valid_loss must have a value for each of the 3 trials; it has 4"),
        (0.5, r"valid_loss must have a value for each of the 3 trials; got 0.5"),
        (torch.tensor(0.5), r"valid_loss must have a value for each of the 3 trials; got 0.5"),
        (torch.ones(3, 2), r"valid_loss must be a number"),
    ):
        with pytest.raises(StudyError, match=said):
            every.report(valid_loss=given)
    with pytest.raises(
        StudyError, match=r"trials.check: the loss must have a value for each of the 3 trials; it has 2"
    ):
        every.check(torch.ones(2))
    with pytest.raises(StudyError, match=r"trial.report takes values by name"):
        every.report(torch.ones(3))
    with pytest.raises(StudyError, match=r"was called without values"):
        every.report()
    every.report(valid_loss=[0.1, 0.2, 0.3], test_accuracy=np.full(3, 0.5))
    assert [trial.outcome()["curves"]["valid_loss"].values for trial in single] == [(0.1,), (0.2,), (0.3,)]


def test_minutes_end_a_search_of_stacks(stacked):
    found = run(stacked(), trials=640, seeds=2, minutes=0.002)
    assert found.plan.lockstep
    for row in found.rows:
        assert 1 <= len(row.trials) < 640
    again = run(stacked(), trials=640, seeds=2, minutes=0.002)
    assert again.verdict == found.verdict


def test_digits_mlp_by_stacks_is_digits_mlp():
    every = cells("digits-mlp", "adamw", trials=3)
    assert all(cell.lockstep for cell in every)
    together = run_cells(every)
    assert same(together[2:], run_cells(every[2:]))
    (single,) = [run_cell(cell) for cell in cells("digits-mlp", "adamw", trials=3, lockstep=False)[2:]]
    assert single.curves.keys() == together[2].curves.keys()
    begin = {name: curve.values[0] for name, curve in single.curves.items()}
    assert begin == pytest.approx({name: curve.values[0] for name, curve in together[2].curves.items()}, rel=1e-6)
    # float32 from here on: the same training, but for rounding.
    assert together[2].curves["test_loss"].values[:5] == pytest.approx(single.curves["test_loss"].values[:5], rel=1e-3)
    assert (together[2].steps, together[2].state_bytes) == (single.steps, single.state_bytes)


@pytest.mark.slow  # two worker processes
def test_digits_mlp_is_the_same_by_any_number_of_workers():
    asked = {"rules": ["adam"], "trials": 9, "seeds": 2}
    found = compare("digits-mlp", **asked, store="one.sqlite", engine=Serial())
    assert found.plan.lockstep
    compare("digits-mlp", **asked, store="two.sqlite", workers=2)
    assert rows("one.sqlite") == rows("two.sqlite")
    chosen = found.rows[0].tuned_runs[0]
    assert rerun("two.sqlite", chosen.key, engine=Serial()).same


KILLED = """
import sys
from thalweg.study import compare
compare(sys.argv[1], ["sgd", "adam"], trials=20, seeds=2, store=sys.argv[2], workers=2)
"""


@pytest.mark.slow  # kill -9
def test_killed_in_the_middle_it_goes_on_to_the_same_rows(stacked):
    task = stacked(stepped="import time; time.sleep(0.02)")

    def start():
        return subprocess.Popen([sys.executable, "-c", KILLED, task, "killed.sqlite"], start_new_session=True)

    process = start()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not stored("killed.sqlite"):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    kept = stored("killed.sqlite")
    assert start().wait(300) == 0
    compare(task, ["sgd", "adam"], trials=20, seeds=2, store="whole.sqlite", engine=Serial())
    assert rows("killed.sqlite") == rows("whole.sqlite")
    assert 0 < kept < len(rows("whole.sqlite"))


@pytest.mark.slow  # processes that die
def test_one_whose_process_dies_leaves_the_others_as_they_would_be(stacked):
    others = run_cells(cells(stacked("without.py")))
    *_, below, fastest = sorted(run.values["lr"] for run in others)
    task = stacked(made=f"import os\n        if max(rates) > {below}: os._exit(3)")
    asked = {"rules": ["sgd"], "trials": 9, "seeds": 2}
    found = compare(task, **asked, store="s.sqlite", workers=2)
    trials = found.rows[0].trials.values()
    for mine, other in zip(trials, others, strict=True):
        assert (mine.status == "died") == (mine.values["lr"] == fastest)
        assert mine.status == "died" or mine.curves == other.curves


@pytest.mark.slow  # it waits for a clock
def test_one_that_takes_too_long_is_stopped_and_not_its_neighbours(stacked):
    task = stacked(made="import time\n        if max(rates) > 0.05: time.sleep(1000)")
    wild = sum(cell.values["lr"] > 0.05 for cell in cells(task, trials=3))
    assert wild == 1
    found = run(task, ("sgd",), trials=3, seeds=2, engine=LocalProcesses(2, run_timeout=0.08))
    trials = found.rows[0].trials.values()
    assert sorted(run.status for run in trials) == ["done", "done", "stopped"]
    assert all((run.status == "stopped") == (run.values["lr"] > 0.05) for run in trials)


HOW = """
    import torch
    from torch.nn.functional import cross_entropy
    from thalweg.stacks import Lockstep
    from thalweg.tasks.digits import load

    def make():
        return torch.nn.Sequential(
            torch.nn.Linear(64, 32, bias=False), torch.nn.BatchNorm1d(32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
        )

    def loss(model, images, classes):
        return cross_entropy(model(images), classes)

    def train(trial):
        data = load()
        chance = torch.Generator().manual_seed(trial.seed("data"))
        torch.manual_seed(trial.seed("init"))
        model = make()
        optimizer = trial.optimizer(model)
        if trial.options["how"] == "stack":
            torch.manual_seed(trial.seed("init"))
            stack = Lockstep([model], lambda k, own: optimizer, [torch.Generator()])
        for _ in trial.epochs(5):
            for index in torch.randperm(len(data.train.classes), generator=chance).split(64):
                images, classes = data.train.images[index], data.train.classes[index]
                if trial.options["how"] == "stack":
                    stack.step(loss, images[None], classes[None])
                else:
                    optimizer.zero_grad()
                    loss(model, images, classes).backward()
                    optimizer.step()
            model.eval()
            with torch.no_grad():
                values = {part: loss(model, *own) for part, own in (
                    ("valid_loss", (data.valid.images, data.valid.classes)),
                    ("test_loss", (data.test.images, data.test.classes)),
                )}
            model.train()
            trial.report(**values)
"""


@pytest.mark.slow  # some hundred trainings
def test_a_stack_and_a_plain_loop_are_not_told_apart(script):
    """What a study says of the two ways to compute one training in float32, whose roundings differ: nothing."""
    found = run(script(HOW), ("adamw",), vary={"how": ["single", "stack"]}, trials=9, seeds=8, metric="test_loss")
    assert found.complete
    assert found.verdict.best is None
    assert "cannot tell how=stack from how=single" in found.verdict.answer
    single, stack = (sorted(run.curves["test_loss"].values[-1] for run in row.tuned_runs) for row in found.rows)
    # The same trainings but for rounding, which five epochs let grow.
    assert stack == pytest.approx(single, rel=0.01)
    assert stack != single
