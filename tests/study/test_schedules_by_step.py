"""Schedules by the step in comparisons: what they set, of any optimizer, in stacks, and what is refused."""

import pickle

import pytest
import torch

import thalweg
from thalweg import schedules
from thalweg.cli import main
from thalweg.study import StudyError
from thalweg.study.ask.method_references import find_method
from thalweg.study.ask.methods import method_of_rule
from thalweg.study.ask.spec import resolve, study
from thalweg.study.model.schedules import BY_STEP, ByStep, by_step, find_schedule
from thalweg.study.model.settings import Settings, parted, setting, settings_of
from thalweg.study.run.conduct import conduct, conduct_stack
from thalweg.study.run.trial import Trial
from thalweg.study.run.worker import run_cell

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

EPOCHS, STEPS = 3, 4


def recorder(kept, **told):
    """A training that keeps what each step was taken with."""

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        model = torch.nn.Linear(3, 2)
        optimizer = trial.optimizer(model)
        batch = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
        for _ in trial.epochs(EPOCHS, **told):
            for _ in range(STEPS):
                optimizer.zero_grad()
                (model(batch) ** 2).mean().backward()
                optimizer.step()
                (group,) = optimizer.param_groups
                kept.append((group["lr"], group["weight_decay"], group["betas"][0]))
            trial.report(valid_loss=1.0)

    return train


@pytest.mark.parametrize("rule", ["adamw", "torch.optim.AdamW"])
def test_rates_are_the_formulas_at_every_step_of_any_optimizer(rule):
    kept = []
    found = thalweg.train(
        recorder(kept, steps=STEPS), rule, lr=0.1, weight_decay=0.2, schedule="wsd-by-step:warmup=3:shape=linear"
    )
    assert found.status == "done", found.message
    expected = schedules.WSD(EPOCHS * STEPS, warmup=3, shape="linear")
    assert [lr for lr, _, _ in kept] == [0.1 * expected.at(t) for t in range(1, 13)]
    assert {(decay, beta) for _, decay, beta in kept} == {(0.2, 0.9)}


TOLD = """
    import torch

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        model = torch.nn.Linear(3, 2)
        optimizer = trial.optimizer(model)
        batch = torch.randn(5, 3, generator=torch.Generator().manual_seed(trial.seed("data")))
        seen = []
        for _ in trial.epochs(3, steps=4):
            for _ in range(4):
                loss = (model(batch) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                group = optimizer.param_groups[0]
                seen.append(group["lr"] + 100 * group["weight_decay"] + 10000 * group["betas"][0])
            trial.report(valid_loss=loss.item(), test_loss=sum(seen))
"""


def test_decay_and_momentum_follow_too_and_schedules_are_varied(script):
    plan = resolve(
        study(
            script(TOLD), ("adamw:lr=0.01:weight_decay=0.1",), trials=1, seeds=2,
            vary={"schedule": ["none", "linear-by-step", "cosine-by-step:warmup=2"]},
            decay_schedule="cosine-by-step", momentum_schedule="trapezoid-by-step:last=0.5",
        )
    )  # fmt: skip
    ways = {
        "none": schedules.Constant(12), "linear-by-step": schedules.Linear(12),
        "cosine-by-step:warmup=2": schedules.Cosine(12, warmup=2),
    }  # fmt: skip
    decay, momentum = schedules.Cosine(12), schedules.Trapezoid(12, last=0.5)
    assert [rule.label for rule in plan.rules] == [f"schedule={way}" for way in ways]
    for rule, rate in zip(plan.rules, ways.values(), strict=True):
        found = run_cell(plan.cell(rule, 0, plan.tuning_seed))
        each = [0.01 * rate.at(t) + 10 * decay.at(t) + 9000 * momentum.at(t) for t in range(1, 13)]
        assert found.curves["test_loss"].values[-1] == pytest.approx(sum(each), rel=1e-12), found.message


def test_a_stack_gives_what_single_trainings_give():
    kept = []

    def stacked(trials):
        stack = trials.lockstep(lambda: torch.nn.Linear(3, 2))
        batch = torch.randn(5, 3, generator=torch.Generator().manual_seed(1)).expand(len(trials), 5, 3)
        for _ in trials.epochs(EPOCHS, STEPS):
            for _ in range(STEPS):
                stack.step(lambda model, x: (model(x) ** 2).mean(), batch)
                groups = [optimizer.param_groups[0] for optimizer in stack.optimizers]
                kept.append([(group["lr"], group["weight_decay"], group["betas"][0]) for group in groups])
            trials.report(valid_loss=[1.0] * len(trials))

    method = method_of_rule(thalweg.AdamW.rule)
    chosen = ["linear-by-step", "cosine-by-step:warmup=0.5"]

    def trial(k):
        values = {name: hyper.default for name, hyper in method.hypers.items()} | {"lr": 0.1 * (k + 1)}
        return Trial(
            k, method, values, schedule=find_schedule(chosen[k]), by_step={"momentum": by_step("trapezoid-by-step")}
        )

    endings = conduct_stack([trial(0), trial(1)], stacked)
    assert [ending.status for ending in endings] == ["done", "done"], endings[0].message
    for k in range(2):
        single = []
        assert conduct(trial(k), recorder(single, steps=STEPS)).status == "done"
        assert single == [step[k] for step in kept]


def test_a_training_that_does_not_say_its_steps_is_told_what_to_write():
    found = thalweg.train(recorder([]), "adamw", schedule="cosine-by-step")
    assert found.status == "failed"
    assert found.message == (
        "schedule=cosine-by-step goes by the step, so it must know how many there will be: write "
        "trial.epochs(n, steps=len(loader)), with the number of steps of an epoch"
    )
    assert thalweg.train(recorder([]), "adamw", schedule="cosine").status == "done"


def test_a_schedule_that_does_not_fit_is_refused_in_words():
    found = thalweg.train(recorder([], steps=STEPS), "adamw", schedule="cosine-by-step:warmup=20")
    assert "schedule cosine-by-step:warmup=20: Cosine: warmup=20 take 20 steps, and there are 12" in found.message


def test_an_optimizer_without_the_number_is_refused():
    def train(trial):
        model = torch.nn.Linear(3, 2)
        optimizer = trial.optimizer(model)
        for _ in trial.epochs(1, steps=1):
            model(torch.ones(1, 3)).sum().backward()
            optimizer.step()
            trial.report(valid_loss=1.0)

    method = method_of_rule(thalweg.Rprop.rule)
    values = {name: hyper.default for name, hyper in method.hypers.items()}
    ending = conduct(Trial(0, method, values, by_step={"momentum": by_step("cosine-by-step")}), train)
    assert ending.message == "Rprop has no momentum, so momentum_schedule= can change nothing"


MISCOUNTED = """
    import torch

    def train(trial):
        model = torch.nn.Linear(3, 2)
        optimizer = trial.optimizer(model)
        for _ in trial.epochs(2{steps}):
            for _ in range(4):
                loss = (model(torch.ones(1, 3)) ** 2).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            trial.report(valid_loss=loss)
"""


@pytest.mark.parametrize(
    ("steps", "schedule", "words"),
    [
        (", steps=8", "linear-by-step", "said that there are 16 steps, and the optimizer took 8, so schedule= ended"),
        (", steps=3", "linear-by-step", "said that there are 6 steps, and the optimizer took 8, so schedule= ended"),
        ("", "linear-by-step", "write trial.epochs(n, steps=len(loader))"),
        (", steps=4", "wsd-by-step:warmup=6:cooldown=6", "warmup=6 and cooldown=6 take 12 steps, and there are 8"),
    ],
)
def test_a_comparison_that_cannot_be_scheduled_so_stops_at_its_first_training(script, steps, schedule, words):
    task = script(MISCOUNTED.format(steps=steps))
    with pytest.raises(StudyError, match=r"of script.py:train \(.*\) cannot be scheduled so") as caught:
        thalweg.compare(task, ["sgd", "adamw"], trials=2, seeds=2, schedule=schedule, engine=thalweg.study.Serial())
    assert words in str(caught.value)
    assert "--engine" not in str(caught.value)


def test_a_training_cut_short_to_find_a_rate_has_fewer_steps_than_it_said(script):
    task = script(MISCOUNTED.format(steps=", steps=4").replace("epochs(2", "epochs(40"))
    engine = thalweg.study.Serial()
    found = thalweg.lr_find(task, "sgd", points=4, seeds=1, epochs=1, schedule="linear-by-step", engine=engine)
    assert "failed" not in {rate.status for rate in found.rates}


def test_steps_that_are_said_again_must_be_as_many_but_of_an_optimizer_made_anew():
    def train(trial, anew):
        model = torch.nn.Linear(3, 2)
        optimizer = trial.optimizer(model)
        for epochs in (2, 3):
            for _ in trial.epochs(epochs, steps=1):
                model(torch.ones(1, 3)).sum().backward()
                optimizer.step()
                rates.append(optimizer.param_groups[0]["lr"])
            if anew:
                optimizer = trial.optimizer(model)
        trial.report(valid_loss=1.0)

    rates = []
    found = thalweg.train(lambda trial: train(trial, False), "sgd", lr=1.0, schedule="linear-by-step")
    assert "said 2 steps at first, and 3 now" in found.message
    rates.clear()
    found = thalweg.train(lambda trial: train(trial, True), "sgd", lr=1.0, schedule="linear-by-step")
    assert found.status == "done", found.message
    assert rates == pytest.approx([1.0, 1 / 2, 1.0, 2 / 3, 1 / 3])


def test_a_step_that_is_left_out_does_not_count():
    def rates(**told):
        def train(trial):
            model = torch.nn.Linear(3, 2)
            optimizer = trial.optimizer(model, nonfinite="skip")
            for _ in trial.epochs(1, steps=6):
                for factor in (1.0, torch.nan, torch.inf, 1.0, torch.nan, 1.0):
                    optimizer.zero_grad()
                    (model(torch.ones(1, 3)).sum() * factor).backward()
                    before = model.weight.detach().clone()
                    optimizer.step()
                    if factor == 1.0:
                        kept.append((before - model.weight)[0, 0].item())
                trial.report(valid_loss=1.0)

        kept = []
        found = thalweg.train(train, "sgd", lr=0.5, **told)
        assert found.status == "done", found.message
        return kept

    assert rates(schedule="linear-by-step") == pytest.approx([0.5, 0.5 * 5 / 6, 0.5 * 4 / 6])
    assert rates() == pytest.approx([0.5] * 3)


def test_where_a_group_has_its_momentum_is_seen_group_by_group():
    def train(trial):
        model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 1))
        optimizer = trial.optimizer(model)
        for _ in trial.epochs(1, steps=4):
            for _ in range(4):
                model(torch.ones(1, 3)).sum().backward()
                optimizer.step()
                matrix, vector = optimizer.param_groups
                kept.append([matrix["momentum"], vector["betas"][0]])
            trial.report(valid_loss=1.0)

    kept = []
    method = find_method("torch.optim.Muon:others=adamw", ()).method
    values = {"lr": 0.1, "momentum": 0.8, "others.lr": 0.1}
    ending = conduct(Trial(0, method, values, by_step={"momentum": by_step("linear-by-step")}), train)
    assert ending.status == "done", ending.message
    for step, left in zip(kept, (1, 0.75, 0.5, 0.25), strict=True):
        assert step == pytest.approx([0.8 * left, 0.9 * left])


@pytest.mark.parametrize(
    ("rule", "settings", "words"),
    [
        ("sgd", {"decay_schedule": "cosine-by-step"}, "sgd has a weight decay of 0 in every trial, so decay_schedule="),
        ("sgd", {"momentum_schedule": "cosine-by-step"}, "write sgd:momentum=0.9"),
        ("torch.optim.SGD:lr=0.1..1", {"momentum_schedule": "cosine-by-step"}, "a momentum of 0 in every trial"),
        ("rprop", {"momentum_schedule": "cosine-by-step"}, "rprop has no momentum, so momentum_schedule= can change"),
        ("rprop", {"vary": {"decay_schedule": ["none", "cosine-by-step"]}}, "decay_schedule= "),
    ],
)
def test_a_schedule_of_what_is_not_there_is_refused_before_anything_is_trained(rule, settings, words):
    with pytest.raises(StudyError) as caught:
        resolve(study("quadratic-deep", rule, trials=2, seeds=2, **settings))
    assert words in str(caught.value)


def test_a_schedule_of_what_is_there_in_some_trial_is_planned():
    for rule in ("sgd:momentum=0/0.9", "adam", "torch.optim.Muon:others=adamw:lr=1e-3..1e-1"):
        resolve(study("quadratic-deep", rule, trials=5, seeds=2, momentum_schedule="cosine-by-step"))
    resolve(study("quadratic-deep", "sgd:weight_decay=0.1", trials=1, seeds=2, decay_schedule="cosine-by-step"))


def test_a_training_with_a_scheduler_of_its_own_is_refused():
    def train(trial):
        model = torch.nn.Linear(3, 2)
        optimizer = trial.optimizer(model)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        for _ in trial.epochs(2, steps=1):
            model(torch.ones(1, 3)).sum().backward()
            optimizer.step()
            scheduler.step()
            trial.report(valid_loss=1.0)

    found = thalweg.train(train, "sgd", schedule="linear-by-step")
    assert found.message == (
        "the training sets lr itself (by a scheduler?), and schedule= does too: leave one of the two out"
    )


def test_names_are_written_in_one_way():
    asked = by_step("wsd-by-step:shape=linear:warmup=50.0:cooldown=0.2")
    assert asked.written == "wsd-by-step:warmup=50:shape=linear"
    assert by_step(asked.written) == pickle.loads(pickle.dumps(asked)) == asked
    assert asked.of(1000) == schedules.WSD(1000, warmup=50, shape="linear")
    assert setting("schedule", "wsd-by-step:cooldown=0.2") == "wsd-by-step"
    assert isinstance(find_schedule("cosine-by-step"), ByStep)
    assert len(BY_STEP) == 6
    for name in BY_STEP:
        assert by_step(name).written == name


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("schedule", "cosin-by-step", "did you mean cosine-by-step"),
        ("schedule", "constant-by-step", "there is no schedule 'constant-by-step' by the step"),
        ("schedule", "cosine-by-step:warmup", "write each number once, as in cosine-by-step:warmup=50; got 'warmup'"),
        ("schedule", "cosine-by-step:warm=3", "cosine-by-step takes no 'warm'; did you mean warmup?"),
        ("decay_schedule", "cosine-by-step:foo=1", "takes no 'foo'. It takes warmup, first, last."),
        ("schedule", "cosine-by-step:steps=100", "how many steps there are, the training says: leave steps= out"),
        ("momentum_schedule", "cosine-by-step:steps=1", "momentum_schedule cosine-by-step:steps=1: how many"),
        ("decay_schedule", "wsd-by-step:warmup=0.7:cooldown=0.7", "decay_schedule wsd-by-step:warmup=0.7:cooldown"),
        ("schedule", "wsd-by-step:shape=round", "shape is one of linear, cosine"),
        ("schedule", "wsd-by-step:warmup=0.7:cooldown=0.7", "take"),
        ("decay_schedule", "cosine", "there is no schedule 'cosine' by the step; did you mean cosine-by-step"),
        ("momentum_schedule", "lin-by-step", "did you mean linear-by-step"),
    ],
)
def test_what_is_no_schedule_is_refused_in_words(name, given, words):
    with pytest.raises(StudyError) as caught:
        setting(name, given)
    assert words in str(caught.value)


@pytest.mark.parametrize("verb", ["compare", "train", "lr-find"])
def test_help_names_schedules_by_the_step(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert "cosine-by-step" in capsys.readouterr().out


def test_none_leaves_the_keys_of_earlier_comparisons():
    assert settings_of(Settings(), {"decay_schedule": "none", "momentum_schedule": "none"}) == Settings()
    asked = {"decay_schedule": "cosine-by-step", "clip_norm": 1.0}
    arguments, numbers = parted(settings_of(Settings(), asked).chain)
    assert arguments == {"clip_norm": 1.0}
    assert numbers == {"weight_decay": by_step("cosine-by-step")}

    def cell(**settings):
        plan = resolve(study("quadratic-deep", "sgd:weight_decay=0.1", trials=1, seeds=2, **settings))
        return plan.cell(plan.rules[0], 0, plan.tuning_seed)

    assert cell(decay_schedule="none").key == cell().key
    assert cell(decay_schedule="cosine-by-step:warmup=3").chain == {"decay_schedule": "cosine-by-step:warmup=3"}
    with pytest.raises(StudyError, match="decay_schedule is both varied and the same for all"):
        cell(decay_schedule="cosine-by-step", vary={"decay_schedule": ["none", "linear-by-step"]})
