"""What a stack cannot do is said in words, and what to do instead."""

import pytest
import torch
from stacked_models import INPUTS, in_stack, loss, mlp
from torch import Tensor, nn
from torch.nn import functional

import thalweg


def step(make, inputs=None, loss=loss, count=2):
    stack = thalweg.lockstep(make, "adamw", seeds=range(count))
    images, classes = torch.zeros(count, 5, INPUTS), torch.zeros(count, 5, dtype=torch.int64)
    return stack.step(loss, *((images, classes) if inputs is None else inputs))


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(INPUTS, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x + torch.randn_like(x))


class Packed(nn.Module):
    def __init__(self, kind) -> None:
        super().__init__()
        self.layer, self.lengths = kind(6, 10, batch_first=True), torch.tensor([6, 5, 5, 2, 1])

    def forward(self, x: Tensor) -> Tensor:
        sequences = nn.utils.rnn.pack_padded_sequence(x.view(len(x), 6, 6), self.lengths, batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.layer(sequences)[0], batch_first=True)[0].mean(1)


REFUSED = {
    "random numbers": (Noisy, loss, r"random numbers .* use nn.Dropout.* or train these models one by one"),
    "a mask over channels": (
        lambda: nn.Sequential(nn.Unflatten(1, (6, 6)), nn.Dropout1d(), nn.Flatten(), nn.Linear(INPUTS, 10)),
        loss,
        "use nn.Dropout",
    ),
    "a number of a tensor": (
        mlp,
        lambda model, x, y: loss(model, x, y) * float(model[0].weight.mean()),
        r"a number is asked of a tensor .* without train_stack",
    ),
    "an if": (
        mlp,
        lambda model, x, y: loss(model, x, y) if model[0].weight.mean() > 0 else 2 * loss(model, x, y),
        r"an if .* torch.where",
    ),
    "a loss for each example": (
        mlp,
        lambda model, x, y: functional.cross_entropy(model(x), y, reduction="none"),
        r"a member's loss is one number; got \(5,\): take the mean",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("count", [1, 2])
def test_what_cannot_be_stacked_is_refused_with_what_to_do(what, count):
    make, own, said = REFUSED[what]
    with pytest.raises((RuntimeError, ValueError), match=said):
        step(make, loss=own, count=count)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_packed_sequences_are_refused(kind):
    with pytest.raises(NotImplementedError, match="packed sequences have no form for a stack of models: pad them"):
        step(lambda: Packed(kind))


def test_a_batch_of_one_has_no_variance():
    def make():
        return nn.Sequential(nn.Linear(INPUTS, 4), nn.BatchNorm1d(4), nn.Linear(4, 10))

    with pytest.raises(ValueError, match=r"more than 1 value per channel|one value a feature"):
        step(make, (torch.zeros(2, 1, INPUTS), torch.zeros(2, 1, dtype=torch.int64)))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (torch.zeros(3, 5, INPUTS), r"one entry for each of the 2 members.*got \(3, 5, 36\).*x.expand\(2"),
        (torch.zeros(5, INPUTS), r"one entry for each of the 2 members.*got \(5, 36\)"),
        (torch.tensor(1.0), r"one entry for each of the 2 members.*got \(\)"),
    ],
)
def test_inputs_have_an_entry_for_each_member(images, said):
    with pytest.raises(ValueError, match=said):
        step(mlp, (images, torch.zeros(2, 5, dtype=torch.int64)))
    stack = thalweg.lockstep(mlp, "adamw", seeds=[0, 1])
    with pytest.raises(ValueError, match=said):
        stack.evaluate(lambda model, x: model(x), images)


def test_inputs_are_tensors():
    with pytest.raises(TypeError, match=r"inputs are tensors.* got a float: torch.full"):
        step(mlp, (torch.zeros(2, 5, INPUTS), 0.1))


@pytest.mark.parametrize(
    "kinds",
    [
        (lambda: nn.Linear(36, 10), lambda: nn.Linear(36, 9)),
        (lambda: nn.Linear(36, 10), lambda: nn.Linear(36, 10, bias=False)),
        (lambda: nn.Linear(36, 10, bias=False), lambda: nn.Linear(36, 10)),
        (lambda: nn.Linear(36, 10), lambda: nn.Sequential(nn.Linear(36, 10))),
        (lambda: nn.Linear(36, 10), lambda: nn.Linear(36, 10, dtype=torch.float64)),
        (
            lambda: nn.Sequential(nn.Linear(36, 10), nn.BatchNorm1d(10, track_running_stats=False)),
            lambda: nn.Sequential(nn.Linear(36, 10), nn.BatchNorm1d(10)),
        ),
    ],
)
def test_models_are_of_one_kind(kinds):
    each = iter(kinds)
    with pytest.raises(ValueError, match="the members are not models of one kind"):
        thalweg.lockstep(lambda: next(each)(), "adamw", seeds=[0, 1])


def test_settings_and_seeds_are_as_many():
    for settings, seeds in (([{}, {}], [0, 1, 2]), ([], []), ([{}], [])):
        with pytest.raises(ValueError, match=f"got {len(settings)} settings and {len(seeds)} seeds"):
            thalweg.lockstep(mlp, "adamw", settings=settings, seeds=seeds)


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match="adamz"):
        thalweg.lockstep(mlp, "adamz")


def test_a_stack_goes_on_after_a_refusal():
    stack = in_stack(mlp, "sgd", [{"lr": 0.1}], [0, 1], steps=1)
    images, classes = torch.ones(2, 5, INPUTS), torch.zeros(2, 5, dtype=torch.int64)
    with pytest.raises(ValueError, match="one number"):
        stack.step(lambda model, x, y: model(x), images, classes)
    before = [model[0].weight.detach().clone() for model in stack.members]
    losses = [stack.step(loss, images, classes) for _ in range(2)]
    assert (losses[1] < losses[0]).all()
    assert not any(torch.equal(model[0].weight, x) for model, x in zip(stack.members, before, strict=True))
