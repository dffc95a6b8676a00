"""A member of a stack trains as it would by a plain loop, and to the same bits whoever its neighbours are."""

import pytest
import torch
from stacked_models import MODELS, by_a_plain_loop, difference, in_stack, same_bits

ADAMW = [{"lr": 0.001 * (1 + k), "weight_decay": 0.01} for k in range(7)]
# One of each form; the others come with the slow tests.
SPAN = (
    "mlp with GELU", "dropout", "BatchNorm1d", "LayerNorm of ours", "cnn", "LSTM", "GRU with dropout", "attention",
    "no form",
)  # fmt: skip
each_model = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SPAN else pytest.mark.slow) for name in MODELS]
)


@each_model
def test_a_member_trains_as_by_a_plain_loop_of_torch(name):
    how = {"steps": 20, "batch": 5, "dtype": torch.float64}
    stack = in_stack(MODELS[name], "adamw", ADAMW, range(7), **how)
    for k in (0, 3, 6):
        model, _ = by_a_plain_loop(MODELS[name], torch.optim.AdamW, ADAMW, k, **how)
        assert difference(model, stack.members[k]) < 1e-10, k


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        pytest.param(name, dtype, marks=() if name in SPAN and dtype is torch.float32 else pytest.mark.slow)
        for name in MODELS
        for dtype in (torch.float32, torch.float64)
        if name in SPAN or dtype is torch.float32
    ],
)
def test_the_bits_do_not_depend_on_the_neighbours(name, dtype):
    largest = in_stack(MODELS[name], "adamw", ADAMW, range(33), steps=2, dtype=dtype)
    shuffled = torch.randperm(33, generator=torch.Generator().manual_seed(5)).tolist()
    for seeds in ([5], [32, 5, 1, 2, 0, 7, 9], shuffled):
        stack = in_stack(MODELS[name], "adamw", ADAMW, seeds, steps=2, dtype=dtype)
        for model, seed in zip(stack.members, seeds, strict=True):
            assert same_bits(model, largest.members[seed]), (len(seeds), seed)


@each_model
def test_nor_do_those_of_what_is_evaluated(name):
    def scores(model, images):
        given = model(images)
        return {"scores": given, "largest": given.max()}

    images = torch.randn(31, 9, 36, generator=torch.Generator().manual_seed(3))
    together = in_stack(MODELS[name], "adamw", ADAMW, range(31), steps=1).evaluate(scores, images)
    for seeds in ([5], [30, 5, 1, 2, 0, 7, 9]):
        found = in_stack(MODELS[name], "adamw", ADAMW, seeds, steps=1).evaluate(scores, images[seeds])
        assert torch.equal(found["scores"], together["scores"][seeds]), len(seeds)
        assert torch.equal(found["largest"], together["largest"][seeds]), len(seeds)


def test_dropout_draws_the_masks_of_the_single_training_and_leaves_the_generator_alone():
    seen = {}

    def watched(model, images, classes):
        hidden = model[1](torch.ones(5, 13, dtype=images.dtype))
        seen.setdefault("masks", []).append(hidden)
        return hidden.sum() + 0 * model(images).sum()

    torch.manual_seed(77)
    before = torch.get_rng_state()
    stack = in_stack(MODELS["dropout"], "sgd", [{"lr": 0.1}], [3, 4], steps=0)
    images = torch.zeros(2, 5, 36)
    sums = torch.stack([stack.step(watched, images, images) for _ in range(3)])
    assert torch.equal(torch.get_rng_state(), before)
    for k, seed in enumerate((3, 4)):
        torch.manual_seed(seed)
        model = MODELS["dropout"]()
        for step in range(3):
            alone = watched(model, images[0], images[0])
            assert sums[step, k] == alone
            assert 0 < alone < 5 * 13 / 0.7
