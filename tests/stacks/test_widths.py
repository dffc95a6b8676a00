"""Whatever the widths, the batch and the number of members: the single training, and the same bits."""

from functools import partial

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from stacked_models import Added, by_a_plain_loop, difference, in_stack, loss, mlp, same_bits
from torch import nn
from torch.nn import functional

ADAMW = [{"lr": 0.001 * (1 + k)} for k in range(5)]
ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.Softplus, nn.Mish)


@settings(max_examples=15)
@given(
    widths=st.lists(st.integers(1, 40), min_size=1, max_size=2),
    batch=st.integers(1, 33),
    count=st.integers(1, 20),
    activation=st.sampled_from(ACTIVATIONS),
    single=st.booleans(),
)
@example(widths=[3], batch=1, count=17, activation=nn.Mish, single=False)
@example(widths=[1], batch=1, count=17, activation=nn.Softplus, single=True)
def test_any_widths_batch_and_number_of_members(widths, batch, count, activation, single):
    def make():
        return mlp(activation, widths)

    how = {"steps": 2, "batch": batch, "dtype": torch.float32 if single else torch.float64}
    stack = in_stack(make, "adamw", ADAMW, range(count), **how)
    for seed in {0, count // 2, count - 1}:
        (alone,) = in_stack(make, "adamw", ADAMW, [seed], **how).members
        assert same_bits(alone, stack.members[seed]), seed
    if not single:
        model, _ = by_a_plain_loop(make, torch.optim.AdamW, ADAMW, count - 1, **how)
        assert difference(model, stack.members[count - 1]) < 1e-9


class Scaled(nn.Module):
    """A network with a scale of its own that is learned: one number a member, next to its neighbours'."""

    def __init__(self, function):
        super().__init__()
        self.scale, self.out, self.function = nn.Parameter(torch.rand(())), nn.Linear(36, 10), function

    def forward(self, x):
        return self.out(x) * self.function(self.scale)


@pytest.mark.parametrize("function", [torch.sigmoid, functional.softplus, functional.mish, lambda x: x**1.7])
def test_one_number_a_member_has_the_same_bits_at_the_end_of_a_tensor_and_within(function):
    for dtype in (torch.float32, torch.float64):
        how = {"steps": 4, "dtype": dtype}
        together = in_stack(partial(Scaled, function), "sgd", [{"lr": 0.1}], range(33), **how)
        assert together.alone
        for seed in (0, 9, 31, 32):
            (alone,) = in_stack(partial(Scaled, function), "sgd", [{"lr": 0.1}], [seed], **how).members
            assert same_bits(alone, together.members[seed]), (dtype, seed)


def test_what_torch_computes_in_one_way_only_is_trained_together():
    for function in (torch.exp, torch.tanh, torch.square, lambda x: x**2, lambda x: x.clamp(0.1).sqrt()):
        assert not in_stack(partial(Scaled, function), "sgd", [{"lr": 0.1}], range(3), steps=1).alone


def test_a_model_without_an_independent_form_is_trained_one_by_one():
    how = {"steps": 4, "batch": 29}
    stacks = {count: in_stack(Added, "adamw", ADAMW, range(count), **how) for count in (1, 7, 20)}
    assert all(stack.alone for stack in stacks.values())
    for count in (1, 7):
        for k in range(count):
            assert same_bits(stacks[count].members[k], stacks[20].members[k]), (count, k)
    model, _ = by_a_plain_loop(Added, torch.optim.AdamW, ADAMW, 6, dtype=torch.float64, **how)
    of_seven = in_stack(Added, "adamw", ADAMW, range(7), dtype=torch.float64, **how)
    assert difference(model, of_seven.members[6]) < 1e-10


def test_shapes_that_come_later_are_put_to_the_test_too():
    """A member of 32 numbers leaves the end of a tensor to its ghosts, one of 10 does not."""
    stack = in_stack(lambda: mlp(nn.Sigmoid, [32]), "sgd", [{"lr": 0.1}], range(3), steps=1, batch=1)
    assert not stack.alone
    stack = in_stack(lambda: mlp(nn.Sigmoid, [5]), "sgd", [{"lr": 0.1}], range(3), steps=1, batch=29)
    assert not stack.alone
    stack.step(loss, torch.ones(3, 1, 36), torch.zeros(3, 1, dtype=torch.int64))
    assert stack.alone
