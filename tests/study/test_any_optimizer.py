"""Optimizers that are no rules of thalweg: torch's, a package's, a file's; in comparisons, trainings and lr-find."""

import copy
import pickle
import shlex
import textwrap
from pathlib import Path

import pytest
import torch
from comparing import run

import thalweg
from thalweg.study import StudyError, read_study, train
from thalweg.study.ask import method_references
from thalweg.study.ask.method_references import find_method, reference_of, resolve_method
from thalweg.study.ask.spec import resolve, study
from thalweg.study.run.engines import Serial
from thalweg.study.run.lr_find import lr_find
from thalweg.view.commands import again

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

SAM = Path(__file__).parents[2] / "examples" / "sam.py"
OWN = """
import torch
from torch import nn
import thalweg


class Mine(torch.optim.SGD):
    def __init__(self, params, lr, momentum=0.9, **more):
        super().__init__(params, lr=lr, momentum=momentum, **more)


class NeedsAWord(torch.optim.SGD):
    def __init__(self, params, kind, lr=0.1):
        super().__init__(params, lr=lr)


class Counting(torch.optim.SGD):
    def __init__(self, params, lr=0.1, steps=5, k: int = 1, bound=float("inf"), sizes=(2, 3), flag=None, parts=(1, 2)):
        assert all(type(each) is int for each in (steps, k, *sizes, *parts)), (steps, k, sizes, parts)
        assert bound == float("inf") and flag in (None, True)
        super().__init__(params, lr=lr)


class Idle(torch.optim.SGD):
    def step(self, closure=None):
        return None


def with_two(model, lr=0.1):
    params = list(model.parameters())
    return torch.optim.LBFGS(params[:1], lr=lr), torch.optim.SGD(params[1:], lr=lr)


def slower(make):
    def wrapper(model, lr=0.1):
        return make(model, lr / 1000)

    return wrapper


slow = slower(stubborn_free := lambda model, lr=0.1: torch.optim.SGD(model.parameters(), lr=lr))


def both(model, lr=0.1, adam_lr=0.01, momentum=0.9):
    weights = [p for p in model.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if p.ndim < 2]
    return torch.optim.SGD(weights, lr=lr, momentum=momentum), thalweg.Adam(rest, lr=adam_lr)


def nothing(model, lr=0.1):
    both(model, lr)


def stubborn(model, lr=0.1):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for group in optimizer.param_groups:
        group["lr"] = 0.03
    return optimizer
"""
CLOSED = """
import torch


def train(trial):
    torch.manual_seed(trial.seed("init"))
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(trial.seed("data")))
    y = torch.tanh(x.sum(1, keepdim=True))
    model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    optimizer = trial.optimizer({given})

    def loss():
        return torch.nn.functional.mse_loss(model(x), y)

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    trial.report(valid_loss=loss().detach(), test_loss=loss().detach())
    for epoch in trial.epochs(3):
        optimizer.step(closure)
        {meanwhile}
        with trial.evaluation():
            trial.report(valid_loss=loss().detach(), test_loss=loss().detach())
"""
GROUPS = "[{'params': model[0].parameters(), 'name': 'body'}, {'params': model[2].parameters(), 'name': 'head'}]"


@pytest.fixture
def own(tmp_path):
    (tmp_path / "mine.py").write_text(textwrap.dedent(OWN))
    return "mine.py"


@pytest.fixture
def closed(script):
    def write(given="model", meanwhile="pass"):
        return script(CLOSED.replace("{given}", given).replace("{meanwhile}", meanwhile))

    return write


def curve(task, rule, **values):
    found = train(task, rule, **values)
    assert found.status == "done", found.message
    return torch.tensor(found.curves["valid_loss"].values, dtype=torch.float64)


PAIRS = {
    "torch.optim.AdamW:lr=0.02:beta1=0.8:weight_decay=0.3": "adamw:lr=0.02:beta1=0.8:weight_decay=0.3",
    "torch.optim.SGD:lr=0.3:momentum=0.9:nesterov=true": "sgd:lr=0.3:momentum=0.9:nesterov=true",
    "torch.optim.RMSprop:lr=0.02:centered=true": "rmsprop:lr=0.02:centered=true",
}


@pytest.mark.parametrize("other", PAIRS)
def test_it_trains_as_the_rule_of_the_same_name_does(closed, other):
    task = closed()
    assert torch.allclose(curve(task, other), curve(task, PAIRS[other]), rtol=2e-5)


def test_settings_of_the_comparison_reach_it(closed):
    task = closed()
    for settings in ({"schedule": "cosine"}, {"clip_norm": 0.05}, {"clip_value": 0.01}):
        found = run(task, ["torch.optim.SGD:lr=0.5", "sgd:lr=0.5"], trials=1, seeds=2, **settings)
        theirs, ours = (row.trials[0].curves["valid_loss"].values for row in found.rows)
        plain = run(task, ["sgd:lr=0.5"], trials=1, seeds=2, store="plain.sqlite").rows[0].trials[0]
        assert theirs == pytest.approx(ours, rel=1e-5)
        assert theirs != pytest.approx(plain.curves["valid_loss"].values, rel=1e-5)


def test_its_search_is_what_is_said(closed):
    plan = resolve(study(closed(), ["torch.optim.SGD:lr=1e-3..1e-1:momentum=0.8/0.9", "sgd:lr=1e-3..1e-1"], trials=6))
    theirs, ours = plan.rules
    assert (theirs.label, theirs.asked) == ("torch.optim.SGD", "torch.optim.SGD:lr=0.001..0.1:momentum=0.8/0.9")
    assert [trial["lr"] for trial in theirs.trials[1:]] == [trial["lr"] for trial in ours.trials[1:]]
    assert theirs.trials[0]["lr"] == 0.001  # torch's default
    assert theirs.trials[0]["momentum"] == 0.0
    assert {trial["momentum"] for trial in theirs.trials[1:]} == {0.8, 0.9}
    assert theirs.searched == {"lr": "log-uniform 0.001 to 0.1", "momentum": "one of 0.8, 0.9"}


def test_what_has_no_default_begins_in_the_middle(own, closed):
    (rule,) = resolve(study(closed(), [f"{own}:Mine:lr=1e-3..1e-1:weight_decay=0.1"], trials=3)).rules
    assert rule.trials[0]["lr"] == pytest.approx(0.01)
    assert rule.trials[0]["weight_decay"] == 0.1  # it takes any: **more


def test_matrices_alone(closed):
    task = closed()
    found = train(task, "torch.optim.Muon", lr=0.02)
    assert found.status == "failed"
    assert "Muon only supports 2D parameters" in found.message
    assert "give it the matrices of layers, and another rule the rest: torch.optim.Muon:others=adamw" in found.message
    found = run(task, ["torch.optim.Muon:others=adamw:lr=1e-3..1e-1:others.lr=1e-4..1e-2", "adamw"], trials=3, seeds=2)
    assert found.complete
    first, second = (found.rows[0].trials[k].values for k in (0, 1))
    assert (first["lr"], first["others.lr"]) == (1e-3, 1e-3)
    assert first["others.lr"] != second["others.lr"]
    assert found.rows[0].contender == "torch.optim.Muon:others=adamw"


def test_what_goes_to_the_others():
    nn = torch.nn
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2))
    method = find_method("torch.optim.Muon:others=sgd").method
    made = method.build(model, {"lr": 0.1, "others.lr": 0.2}, {})
    muon, sgd = made.parts
    assert [p.shape for p in muon.param_groups[0]["params"]] == [(3, 4)]
    assert [tuple(p.shape) for p in sgd.param_groups[0]["params"]] == [
        (5, 4), (3,), (3,), (3,), (2, 3), (2,),
    ]  # fmt: skip
    assert (muon.param_groups[0]["lr"], sgd.param_groups[0]["lr"]) == (0.1, 0.2)
    seen = [method.numbers(group) for group in made.param_groups]
    assert [(each.get("lr"), each.get("others.lr")) for each in seen] == [(0.1, None), (None, 0.2)]
    # As one it is stepped, scheduled and cleared.
    torch.optim.lr_scheduler.LambdaLR(made, lambda _: 0.5)
    assert (muon.param_groups[0]["lr"], sgd.param_groups[0]["lr"]) == (0.05, 0.1)
    model(torch.arange(5)).square().sum().backward()
    before = [p.detach().clone() for p in model.parameters()]
    made.step()
    made.zero_grad()
    assert all((p != b).any() for p, b in zip(model.parameters(), before, strict=True))
    assert all(p.grad is None for p in model.parameters())
    assert len(made.state) == 7


def test_a_function_that_makes_two(own, closed):
    task = closed()
    found = run(task, [f"{own}:both:lr=0.01..1:adam_lr=0.001..0.1", "sgd"], trials=3, seeds=2)
    assert found.complete
    assert found.rows[0].contender == "both"
    assert found.rows[0].tuned_runs[0].state_bytes > 0
    one, two = (curve(task, f"{own}:both:lr=0.1:adam_lr={lr}") for lr in (0.01, 0.1))
    assert one[1] != two[1]


def test_sam_asks_for_the_loss_twice(closed):
    # By hand: f(w) = w * w at 1 with rho 0.05 is judged at 1.05, where its slope is 2.1; plain AdamW steps by lr.
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = find_method(f"{SAM}:SAM").method.build([weight], {"lr": 0.1, "rho": 0.05, "weight_decay": 0.0}, {})
    seen = []

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        seen.append(weight.item())
        return loss

    optimizer.step(closure)
    assert seen == pytest.approx([1.0, 1.05])
    assert weight.item() == pytest.approx(0.9)
    assert weight.grad.item() == pytest.approx(2.1)
    found = run(closed(), [f"{SAM}:SAM:lr=0.001..0.1", "adamw", "torch.optim.LBFGS:lr=0.1"], trials=2, seeds=2)
    assert found.complete
    assert {run.status for run in found.runs} == {"done"}


def test_a_package_that_tests_other_weights(closed):
    task = closed()
    theirs = curve(task, "schedulefree.SGDScheduleFree:lr=0.5:momentum=0.9")
    ours = curve(task, "schedulefreesgd:lr=0.5:momentum=0.9")
    assert torch.allclose(theirs, ours, rtol=1e-4)
    assert "Schedule-Free SGD" in resolve_method("schedulefree.SGDScheduleFree:lr=1").text
    plain = Path("script.py").read_text().replace("with trial.evaluation():", "if True:")
    Path("script.py").write_text(plain)
    found = train(task, "schedulefree.SGDScheduleFree:lr=0.5")
    assert found.status == "failed"
    assert "tests other weights than it trains" in found.message


def test_values_of_one_group(closed):
    task = closed(GROUPS)
    for rule in ("adamw", "torch.optim.AdamW"):
        slow, fast = (curve(task, f"{rule}:lr=0.01:head.lr={lr}") for lr in (0.01, 0.1))
        assert torch.equal(slow, curve(task, f"{rule}:lr=0.01"))
        assert slow[1] != fast[1]
        assert curve(task, f"{rule}:lr=0.01:body.beta1=0.5")[2] != slow[2]
    (rule,) = resolve(study(task, ["adamw:head.lr=1e-4..1e-2"], trials=3)).rules
    assert "head.lr" not in rule.trials[0]  # by default it is what the script gives it
    assert rule.trials[1]["head.lr"] != rule.trials[1]["lr"]
    found = run(task, ["adamw:head.lr=1e-4..1e-2"], trials=2, seeds=2)
    assert found.complete
    ended = train(task, "adamw:tail.lr=0.1")
    assert "no group" not in ended.message
    assert "its groups are called body, head: write {'params': ..., 'name': 'tail'}" in ended.message
    assert "no group of it has a name" in train(closed(), "adamw:tail.lr=0.1").message


def test_a_rate_that_the_maker_or_the_script_sets_itself_is_told(own, closed):
    with pytest.raises(StudyError, match=r"sets lr .0\.03 at its first step, whatever is chosen. itself"):
        run(closed(), [f"{own}:stubborn:lr=0.01..1"], trials=2, seeds=2)
    task = closed(meanwhile="pass").partition(":")[0]
    text = Path(task).read_text()
    Path(task).write_text(text.replace("    def loss", "    optimizer.param_groups[0]['lr'] = 0.05\n\n    def loss"))
    with pytest.raises(StudyError, match=r"sets lr .0\.05 at its first step, whatever is chosen. itself"):
        run(f"{task}:train", ["torch.optim.SGD:lr=0.01..1"], trials=2, seeds=2, store="o.sqlite")


def test_what_it_is_made_of_counts(own, closed):
    first = resolve_method(f"{own}:Mine:lr=0.1")
    again = resolve_method(f"{own}:Mine:lr=0.2")
    assert first.hash == again.hash
    Path(own).write_text(Path(own).read_text() + "# more\n")
    assert resolve_method(f"{own}:Mine:lr=0.1").hash != first.hash
    known = method_references._distributions_of.cache_info().misses
    plain, with_others = (resolve_method(f"torch.optim.Muon{more}:lr=1").hash for more in ("", ":others=adamw"))
    assert plain != with_others != resolve_method("torch.optim.Muon:others=sgd:lr=1").hash
    assert method_references._distributions_of.cache_info().misses <= known + 1  # for torch, a quarter of a second


def test_a_change_of_its_file_is_told_by_name(own, closed):
    task, events = closed(), []
    run(task, [f"{own}:Mine:lr=0.1", "sgd"], trials=1, seeds=2)
    Path(own).write_text(Path(own).read_text().replace("momentum=0.9, **more", "momentum=0.5, **more"))
    found = run(task, [f"{own}:Mine:lr=0.1", "sgd"], trials=1, seeds=2, events=events)
    assert events[0].changed == ("mine.py",)
    assert events[0].done == len([cell for cell, _ in found.trainings if cell.called == "sgd"]) + 1
    assert "mine.py" in found.provenance["files"]


def test_one_spelling_however_it_is_given(own, tmp_path, monkeypatch):
    text = "torch.optim.Adafactor:lr=0.0001..0.1:d=1/2:weight_decay=0.5:maximize=false"
    table = {"rule": torch.optim.Adafactor, "lr": (1e-4, 0.1), "d": [1.0, 2.0], "weight_decay": 0.5, "maximize": False}
    assert reference_of(table) == text
    assert reference_of(torch.optim.Muon) == "torch.optim.Muon"
    assert reference_of(thalweg.AdamW) == "adamw"
    assert study("digits-mlp", table).rules == study("digits-mlp", [text]).rules == (text,)
    (tmp_path / "study.toml").write_text(
        'task = "digits-mlp"\nrules = ["adamw", {rule = "torch.optim.Adafactor", lr = "1e-4..1e-1", d = [1.0, 2]},'
        ' {rule = "mine.py:Mine", lr = 0.1}]'
    )
    found = read_study("study.toml").rules
    assert found[:2] == ("adamw", "torch.optim.Adafactor:lr=1e-4..1e-1:d=1/2")
    assert found[2] == "mine.py:Mine:lr=0.1"
    plan = resolve(read_study("study.toml", trials=3))
    assert plan.rules[1].asked == "torch.optim.Adafactor:lr=0.0001..0.1:d=1/2"
    monkeypatch.syspath_prepend(tmp_path)
    import mine

    assert resolve_method(reference_of(mine.both)).method.hypers.keys() == {"lr", "adam_lr", "momentum"}


def test_the_command_that_makes_it_again(own, closed):
    task = closed()
    rules = [
        "torch.optim.Muon:others=rmsprop:lr=1e-3..1e-1:others.lr=1e-4..1e-2:nesterov=false",
        f"{own}:both:lr=0.01..1:momentum=0.8/0.9",
        "schedulefree.AdamWScheduleFree:lr=0.1",
        f"{SAM}:SAM:lr=0.1",
    ]
    plan = resolve(study(task, rules, trials=3))
    words = shlex.split(again([plan], None))
    assert words[:3] == ["thalweg", "compare", task]
    assert resolve(study(task, words[words.index("-r") + 1].split(","), trials=3)) == plan


REFUSED = {
    "torch.optim.Muon": "declares no search: say where to look for its learning rate, torch.optim.Muon:lr=1e-4..1e-1",
    "torch.optim.Moun:lr=0.1": "torch.optim has no 'Moun'; did you mean Muon?",
    "no.such.Thing:lr=0.1": "cannot import the module no.such",
    "torch.optim.SGD:lr=0.1:beta=1": "has no hyperparameter 'beta'. It has: lr, momentum",
    "torch.optim.SGD:lr=0.1:nesterov=1": "nesterov is a switch, true or false",
    "torch.optim.SGD+lookahead:lr=0.1": "is no update rule of thalweg, so +lookahead cannot go with it",
    "torch.optim.SGD:like=tf1:lr=0.1": "is no update rule of thalweg, so like=tf1 cannot go with it",
    "adamw:others=sgd": "others= is for rules and optimizers that take matrices alone",
    "torch.optim.Muon:others=torch.optim.SGD:lr=0.1": "torch.optim.SGD is an optimizer, and no update rule",
    "mine.py:NeedsAWord:lr=0.1": "kind has no default: write mine.py:NeedsAWord:kind=... ",
    "elsewhere.Mine:lr=0.1": "No module named 'elsewhere'. Of the file here it is elsewhere.py:Mine",
    "torch.AdamW:lr=0.1": "torch has no 'AdamW': its optimizers are torch.optim.AdamW",
    "1e-3": "several values of a hyperparameter are written lr=1e-4/1e-3",
    "torch.optim.SGD:lr=0.1..0.01": "positive numbers, the smaller first",
    "mine.py:Nothing": "mine.py has no 'Nothing'; did you mean nothing?",
}


@pytest.mark.parametrize("reference", REFUSED)
def test_refusals_say_what_to_write(own, closed, reference):
    Path("elsewhere.py").touch()
    with pytest.raises(StudyError) as caught:
        resolve(study(closed(), [reference]))
    assert REFUSED[reference] in str(caught.value)


def test_what_makes_no_optimizer(own, closed):
    found = train(closed(), f"{own}:nothing", lr=0.1)
    assert "nothing returns a torch.optim.Optimizer, or a list of them; got NoneType: add the return" in found.message
    with pytest.raises(StudyError, match="a table with a rule in it"):
        study("digits-mlp", [{"optimizer": "adamw"}])
    with pytest.raises(StudyError, match="d is a number, a switch, a list of choices or a range"):
        study("digits-mlp", [{"rule": "adamw", "d": None}])


def test_whole_numbers_tuples_and_what_is_no_number(own, closed):
    rules = [f"{own}:Counting:lr=0.1:steps=1..9:k=2:size1=4:flag=true"]
    found = run(closed(), rules, trials=6, seeds=2)
    assert {run.status for run in found.runs} == {"done"}, found.runs[0].message
    assert "bound" not in found.rows[0].trials[0].values
    assert len({trial.values["steps"] for trial in found.rows[0].trials.values()}) > 2
    with pytest.raises(StudyError, match=r"k must be a whole number; got 2\.5"):
        resolve(study(closed(), [f"{own}:Counting:lr=0.1:k=2.5"]))
    with pytest.raises(StudyError, match=r"no hyperparameter 'betas': write beta1 and beta2, a number each"):
        resolve(study(closed(), ["torch.optim.AdamW:lr=0.1:betas=0.9"]))


def test_draws_of_the_others_are_their_own(closed):
    rule = "torch.optim.Muon:others=momentum:lr=1e-3..1e-1"
    muon, momentum = resolve(study(closed(), [rule, "momentum"], trials=12)).rules
    lrs = [[trial[name] for trial in muon.trials[1:]] for name in ("lr", "others.lr")]
    assert sorted(range(11), key=lrs[0].__getitem__) != sorted(range(11), key=lrs[1].__getitem__)
    # Its rate is divided by 1 minus its own momentum, as alone.
    boxes = [[trial[a] * (1 - trial[b]) for trial in rule.trials] for rule, a, b in (
        (muon, "others.lr", "others.momentum"), (momentum, "lr", "momentum"))]  # fmt: skip
    assert max(boxes[0]) < 2 * max(boxes[1])


def test_several_that_ask_for_the_loss_are_refused(own, closed):
    found = train(closed(), f"{own}:with_two", lr=0.1)
    assert "LBFGS asks for the loss again in its step, so it can only be alone" in found.message


def test_several_as_one_are_copied_whole_and_take_no_more():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))
    made = find_method("torch.optim.Muon:others=sgd").method.build(model, {"lr": 0.1, "others.lr": 0.2}, {})
    model(torch.ones(1, 2)).sum().backward()
    made.step()
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert [type(part) for part in other.parts] == [type(part) for part in made.parts]
        assert [group["lr"] for group in other.param_groups] == [0.1, 0.2]
    with pytest.raises(RuntimeError, match=r"add the group to one of \.parts"):
        made.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))]})


def test_what_a_file_has_under_another_name(tmp_path, monkeypatch, closed):
    (tmp_path / "named.py").write_text(textwrap.dedent(OWN))
    monkeypatch.syspath_prepend(tmp_path)
    import named

    assert reference_of(named.slow) == f"{tmp_path / 'named.py'}:slow"
    assert reference_of(named.Mine) == f"{tmp_path / 'named.py'}:Mine"
    task = closed()
    slow, fast = (train(task, reference_of(each), lr=0.5).final["valid_loss"] for each in (named.slow, named.both))
    assert slow != pytest.approx(fast, rel=0.01)
    assert train(task, named.both, lr=0.5).final["valid_loss"] == fast


def test_a_warm_up_over_choices_has_its_effect(closed):
    task = closed(meanwhile="scheduler.step()").partition(":")[0]
    text = Path(task).read_text()
    more = "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (step + 1))"
    Path(task).write_text(text.replace("    def loss", f"    {more}\n\n    def loss"))
    assert run(f"{task}:train", ["sgd:lr=0.05/0.1/0.2/0.4"], trials=6, seeds=2).complete


def test_ranges_are_no_part_of_what_a_run_stands_for(closed):
    task = closed()
    events = []
    run(task, ["adamw:lr=1e-4..1e-2"], trials=1, seeds=2)
    run(task, ["adamw:lr=1e-4..1e-1"], trials=1, seeds=2, events=events)
    assert events[0].done == events[0].total


def test_one_whose_every_run_fails_is_not_judged(own, closed):
    found = run(closed(), ["adamw", "sgd", f"{own}:nothing:lr=0.1"], trials=2, seeds=2)
    first, second, *_ = found.verdict.sentences
    assert first.startswith("Nothing is said of nothing (lr=0.1): every run of it failed; the first: nothing returns a")
    assert second == found.verdict.answer
    assert second.startswith("On script.py:train, of the settings found in 2 trials each, ")
    assert "nothing" not in " ".join(found.verdict.sentences[1:])
    pooled = run(closed(), ["adamw", f"{own}:nothing:lr=0.01..0.1"], trials=6, seeds=2, store="pooled.sqlite")
    assert pooled.verdict.answer.endswith(": there is nothing to compare it with.")


def test_one_that_changes_nothing_is_told(own, closed):
    found = train(closed(), f"{own}:Idle", lr=0.1)
    assert found.message.startswith("mine.py.Idle changed no weight in 3 steps") or "Idle changed no" in found.message


def test_a_class_from_anywhere_trains_once(closed):
    class Halved(torch.optim.SGD):
        def __init__(self, params, lr=0.1):
            super().__init__(params, lr=lr / 2)

    task = closed()
    assert torch.equal(curve(task, Halved, lr=0.2), curve(task, torch.optim.SGD, lr=0.1))


def test_lr_find(own, closed):
    task = closed()
    found = lr_find(task, "torch.optim.SGD:momentum=0.9", low=1e-3, high=1.0, points=5, engine=Serial())
    assert len(found.rates) == 5
    assert shlex.split(found.command)[:4] == ["thalweg", "compare", task, "-r"]
    searched = shlex.split(found.command)[4]
    assert searched.startswith("torch.optim.SGD:momentum=0.9:lr=")
    assert resolve(study(task, [searched], trials=3)).rules[0].searched.keys() == {"lr"}
    own_range = lr_find(task, f"{own}:Mine", low=1e-3, high=1.0, points=5, engine=Serial()).command
    assert resolve_method(shlex.split(own_range)[4]).name == "Mine"
    with pytest.raises(StudyError, match="declares no search of lr: give both ends"):
        lr_find(task, f"{own}:Mine", engine=Serial())
