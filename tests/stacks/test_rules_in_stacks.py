"""Every member has the optimizer that it would have alone: its numbers, its states, its decay, its average."""

from contextlib import ExitStack, contextmanager

import pytest
import torch
from stacked_models import INPUTS, batches, by_a_plain_loop, difference, in_stack, loss, mlp, same_bits
from torch import nn

import thalweg

HOW = {"steps": 20, "dtype": torch.float64}
# The rule, whose it is judged by, and what members are given, one after the other: not all need the same states.
RULES = {
    "sgd": (torch.optim.SGD, [{"lr": 0.1}, {"lr": 0.02, "momentum": 0.9}, {"lr": 0.1, "momentum": 0.5}]),
    "momentum": (thalweg.Momentum, [{"lr": 0.02, "momentum": 0.9}, {"lr": 0.1, "momentum": 0.5}]),
    "adam": (torch.optim.Adam, [{"lr": 0.01}, {"lr": 0.02, "betas": (0.5, 0.9)}, {"lr": 0.01, "weight_decay": 0.1}]),
    "adamw": (torch.optim.AdamW, [{"lr": 0.01, "weight_decay": 0.0}, {"lr": 0.02, "weight_decay": 0.5}]),
    "rmsprop": (torch.optim.RMSprop, [{"lr": 0.001}, {"lr": 0.002, "momentum": 0.5}]),
    "adagrad": (torch.optim.Adagrad, [{"lr": 0.05}, {"lr": 0.1}]),
    "nadam": (thalweg.NAdam, [{"lr": 0.002}, {"lr": 0.004}]),
    "adamax": (torch.optim.Adamax, [{"lr": 0.002}, {"lr": 0.004}]),
    "lion": (thalweg.Lion, [{"lr": 0.001}, {"lr": 0.002, "weight_decay": 0.1}]),
    # Those that keep a number for all, or add up over tensors: each by itself.
    "lamb": (thalweg.LAMB, [{"lr": 0.01}, {"lr": 0.02}]),
    "lars": (thalweg.LARS, [{"lr": 0.1}, {"lr": 0.2}]),
    "prodigy": (thalweg.Prodigy, [{}, {"lr": 0.5}]),
    "stableadamw": (thalweg.StableAdamW, [{"lr": 0.01}, {"lr": 0.02}]),
}
APART = ("nadam", "lamb", "lars", "prodigy", "stableadamw")


@pytest.mark.parametrize("rule", RULES)
def test_each_member_is_stepped_as_alone(rule):
    judge, settings = RULES[rule]
    count = 2 * len(settings)
    stack = in_stack(mlp, rule, settings, range(count), **HOW)
    assert len(stack.stepped) == (count if rule in APART else 1)
    for seed in range(count):
        model, _ = by_a_plain_loop(mlp, judge, settings, seed, **HOW)
        assert difference(model, stack.members[seed]) < 1e-10, seed


@pytest.mark.parametrize("rule", ["sgd", "adamw", "rmsprop", "lamb", "prodigy"])
def test_its_bits_do_not_depend_on_what_the_others_are_given(rule):
    settings = RULES[rule][1]
    count = 3 * len(settings)
    for dtype in (torch.float32, torch.float64):
        together = in_stack(mlp, rule, settings, range(count), dtype=dtype)
        for seed in range(len(settings)):
            (alone,) = in_stack(mlp, rule, settings, [seed], dtype=dtype).members
            assert same_bits(alone, together.members[seed]), (dtype, seed)


def test_a_rule_for_matrices_has_those_of_each_member():
    settings = [{"lr": lr, "others": thalweg.AdamW(lr=0.01, weight_decay=0.0)} for lr in (0.02, 0.05)]

    def by_hand(params, others, **numbers):
        params = [*params]  # three layers, of which the last is the output
        matrices = [p for p in params[:4] if p.ndim == 2]
        rest = [p for p in params if all(p is not each for each in matrices)]
        return thalweg.Muon([{"params": matrices}, {"params": rest, "rule": others}], **numbers)

    stack = in_stack(mlp, "muon", settings, range(4), **HOW)
    for seed in range(4):
        model, _ = by_a_plain_loop(mlp, by_hand, settings, seed, **HOW)
        assert difference(model, stack.members[seed]) < 1e-10, seed
    with pytest.raises(TypeError, match=r"say what does, as Muon\(model, others="):
        thalweg.lockstep(mlp, "muon")


def test_a_norm_is_that_of_each_members_own_gradients():
    settings = [{"lr": 0.1, "clip_norm": 0.05}, {"lr": 0.1, "clip_norm": 0.2}]

    class Clipped(torch.optim.SGD):
        def __init__(self, params, clip_norm, **numbers):
            super().__init__(params, **numbers)
            self.clip_norm = clip_norm

        def step(self):
            nn.utils.clip_grad_norm_(self.param_groups[0]["params"], self.clip_norm)
            super().step()

    stack = in_stack(mlp, "sgd", settings, range(4), **HOW)
    for seed in range(4):
        model, _ = by_a_plain_loop(mlp, Clipped, settings, seed, **HOW)
        assert difference(model, stack.members[seed]) < 1e-10, seed


def test_another_librarys_optimizers_take_their_own_steps():
    settings = [{"lr": 0.01}, {"lr": 0.1}]
    stack = in_stack(mlp, torch.optim.Adam, settings, range(4), **HOW)
    assert len(stack.stepped) == 4
    for seed in range(4):
        model, _ = by_a_plain_loop(mlp, torch.optim.Adam, settings, seed, **HOW)
        assert difference(model, stack.members[seed]) < 1e-10, seed


@contextmanager
def averages(stack):
    with ExitStack() as inside:
        for optimizer in stack.stepped:
            inside.enter_context(optimizer.averaged())
        yield


@pytest.mark.parametrize(
    ("rule", "kind", "options"),
    [
        ("adamw", thalweg.AdamW, {"lr": 0.01, "ema": 0.9}),
        ("schedulefreesgd", thalweg.ScheduleFreeSGD, {"lr": 0.1}),
        ("schedulefreeadamw", thalweg.ScheduleFreeAdamW, {"lr": 0.01}),
    ],
)
def test_averages_are_evaluated_and_the_weights_come_back(rule, kind, options):
    stack = in_stack(mlp, rule, [options], range(3), **HOW)
    images = torch.ones(3, 4, INPUTS, dtype=torch.float64)
    trained = stack.evaluate(lambda model, x: model(x), images)
    with averages(stack):
        averaged = stack.evaluate(lambda model, x: model(x), images)
    assert torch.equal(stack.evaluate(lambda model, x: model(x), images), trained)
    for seed in range(3):
        model, optimizer = by_a_plain_loop(mlp, kind, [options], seed, **HOW)
        torch.testing.assert_close(trained[seed], model(images[seed]).detach(), rtol=1e-10, atol=1e-12)
        with optimizer.averaged():
            torch.testing.assert_close(averaged[seed], model(images[seed]).detach(), rtol=1e-10, atol=1e-12)
        assert (averaged[seed] - trained[seed]).abs().max() > 1e-4


def test_each_optimizer_is_handed_the_states_it_would_have():
    settings = RULES["adamw"][1]
    stack = in_stack(mlp, "adamw", settings, range(4), **HOW)
    assert not stack.optimizers[0].state
    stack.hand_back()
    for seed in range(4):
        model, optimizer = by_a_plain_loop(mlp, thalweg.AdamW, settings, seed, **HOW)
        for mine, theirs in zip(stack.members[seed].parameters(), model.parameters(), strict=True):
            states = stack.optimizers[seed].state[mine]
            assert states.keys() == optimizer.state[theirs].keys()
            for name, value in optimizer.state[theirs].items():
                torch.testing.assert_close(torch.as_tensor(states[name]), torch.as_tensor(value), rtol=1e-9, atol=1e-14)


def test_a_groups_numbers_may_be_changed_between_steps():
    stack = in_stack(mlp, "sgd", [{"lr": 0.1}], range(3), steps=0, dtype=torch.float64)
    models = [by_a_plain_loop(mlp, torch.optim.SGD, [{"lr": 0.1}], k, steps=0, dtype=torch.float64) for k in range(3)]
    own = [batches(k, 4, 5, torch.float64) for k in range(3)]
    for step, each in enumerate(zip(*own, strict=True)):
        for k, (model, optimizer) in enumerate(models):
            rate = 0.1 / (1 + step * k)
            stack.optimizers[k].param_groups[0]["lr"] = optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
            loss(model, *each[k]).backward()
            optimizer.step()
        stack.step(loss, *map(torch.stack, zip(*each, strict=True)))
    for k, (model, _) in enumerate(models):
        assert difference(model, stack.members[k]) < 1e-12, k


class Sometimes(nn.Module):
    """One layer that is used, and one that is used where that is asked for."""

    def __init__(self):
        super().__init__()
        self.always, self.sometimes = nn.Linear(INPUTS, 10), nn.Linear(INPUTS, 10)
        self.fixed = nn.Parameter(torch.ones(10), requires_grad=False)

    def forward(self, x, both=False):
        return self.always(x) * self.fixed + (self.sometimes(x) if both else 0)


def test_what_gets_no_gradient_is_not_touched_not_even_by_decay():
    settings = [{"lr": 0.1, "weight_decay": 0.5}]
    stack = in_stack(Sometimes, "adamw", settings, range(3), steps=0)
    before = [model.sometimes.weight.detach().clone() for model in stack.members]
    each = [batches(k, 4, 5, torch.float32) for k in range(3)]
    inputs = [[torch.stack(x) for x in zip(*row, strict=True)] for row in zip(*each, strict=True)]
    for row in inputs[:2]:
        stack.step(loss, *row)
    for model, weight in zip(stack.members, before, strict=True):
        assert torch.equal(model.sometimes.weight, weight)
        assert model.sometimes.weight.grad is None
        assert torch.equal(model.fixed, torch.ones(10))

    def with_both(model, images, classes):
        return nn.functional.cross_entropy(model(images, both=True), classes)

    # Used from the third step on, and no more after it: in torch it has a gradient, then none again.
    stack.step(with_both, *inputs[2])
    third = [model.sometimes.weight.detach().clone() for model in stack.members]
    stack.step(loss, *inputs[3])
    for k, (model, weight) in enumerate(zip(stack.members, third, strict=True)):
        torch.manual_seed(k)
        alone = Sometimes()
        optimizer = torch.optim.AdamW(alone.parameters(), **settings[0])
        for step, row in enumerate(each[k]):
            optimizer.zero_grad()
            (with_both if step == 2 else loss)(alone, *row).backward()
            optimizer.step()
        assert not torch.equal(weight, before[k])
        assert torch.equal(model.sometimes.weight, weight)
        assert difference(alone, model) < 1e-5, k


@pytest.mark.parametrize("rule", ["sgd", "adamw", "lamb"])
def test_a_member_that_diverges_leaves_its_neighbours_alone(rule):
    wild = [{"lr": 0.01}, {"lr": 1e30}, {"lr": 0.02}, {"lr": 0.03}]
    tame = [{"lr": 0.01}, {"lr": 0.05}, {"lr": 0.02}, {"lr": 0.03}]
    beside_wild, beside_tame = (in_stack(mlp, rule, settings, range(4)) for settings in (wild, tame))
    assert not all(p.isfinite().all() for p in beside_wild.members[1].parameters()) or rule == "lamb"
    for k in (0, 2, 3):
        assert all(p.isfinite().all() for p in beside_wild.members[k].parameters())
        assert same_bits(beside_wild.members[k], beside_tame.members[k]), k


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_nor_does_a_loss_that_is_not_finite(bad):
    def scaled(model, images, classes, factor):
        return factor * loss(model, images, classes)

    finished = []
    for factor in (bad, 1.0):
        stack = in_stack(mlp, "adamw", [{"lr": 0.01}], range(3), steps=0)
        for each in zip(*(batches(k, 4, 5, torch.float32) for k in range(3)), strict=True):
            losses = stack.step(scaled, *map(torch.stack, zip(*each, strict=True)), torch.tensor([factor, 1.0, 1.0]))
            assert losses[0].isfinite() == (factor == 1.0)
        finished.append(stack.members)
    for k in (1, 2):
        assert same_bits(finished[0][k], finished[1][k]), k


@pytest.mark.parametrize("rule", ["adamw", "lamb"])
def test_one_that_is_frozen_keeps_its_weights_and_goes_on_giving_its_loss(rule):
    stack = in_stack(mlp, rule, [{"lr": 0.01}], range(3), steps=2)
    kept = {name: x.clone() for name, x in stack.members[1].state_dict().items()}
    stack.freeze([1])
    images, classes = map(torch.stack, zip(*(batches(k, 1, 5, torch.float32)[0] for k in range(3)), strict=True))
    losses = torch.stack([stack.step(loss, images, classes) for _ in range(3)])
    assert all(torch.equal(x, kept[name]) for name, x in stack.members[1].state_dict().items())
    assert losses[0, 1] == losses[1, 1] == losses[2, 1] > 0
    assert (losses[0, [0, 2]] > losses[2, [0, 2]]).all()
