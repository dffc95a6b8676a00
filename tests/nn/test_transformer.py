"""Transformer blocks against the papers' formulas, written a second time in numpy's float64."""

import numpy as np
import pytest
import torch

import thalweg.nn
from thalweg.nn.transformer import PLACES, TransformerBlock, TransformerStack

WIDTH, HEADS, LENGTH = 12, 4, 7
NORMS = {"layer": thalweg.nn.LayerNorm, "rms": thalweg.nn.RMSNorm, "none": torch.nn.Identity}


def block(norm="pre", layer=thalweg.nn.LayerNorm, **options):
    """A block in float64, all of whose parameters are random: gains that are 1 would hide mistakes."""
    torch.manual_seed(3)
    made = TransformerBlock(WIDTH, HEADS, norm=norm, layer=layer, **options).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


def inputs(n=2, length=LENGTH):
    return torch.randn(n, length, WIDTH, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def dense(x, module):
    return x @ module.weight.detach().numpy().T + module.bias.detach().numpy()


def normed(x, module):
    if isinstance(module, torch.nn.Identity):
        return x
    gain = module.weight.detach().numpy()
    if isinstance(module, torch.nn.RMSNorm):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + np.finfo(np.float64).eps) * gain
    away = x - x.mean(-1, keepdims=True)
    return away / np.sqrt((away**2).mean(-1, keepdims=True) + 1e-5) * gain + module.bias.detach().numpy()


def attention(x, module, causal):
    """One example, (length, width); softmax(Q K^T / sqrt(d)) V for each head, d features a head."""
    found, d = [], WIDTH // HEADS
    queries, keys, values = np.split(dense(x, module.queries_keys_values), 3, -1)
    for head in range(HEADS):
        q, k, v = (part[:, head * d : (head + 1) * d] for part in (queries, keys, values))
        weights = np.exp(q @ k.T / np.sqrt(d))
        if causal:
            weights = np.tril(weights)
        found.append(weights / weights.sum(-1, keepdims=True) @ v)
    return dense(np.concatenate(found, -1), module.output)


def by_hand(x, made, causal=True):
    """The block of one example, its sub-layers and norms found in the module, in the order of the paper."""
    parts = dict(made.named_modules())

    def attend(y):
        return attention(y, parts["attention.0"], causal)

    def feed(y):
        return dense(np.maximum(dense(y, parts["feed_forward.0"]), 0.0), parts["feed_forward.2"])

    for f, name in ((attend, "attention"), (feed, "feed_forward")):
        first = made.get_submodule(f"{name}_norm")
        if made.norm == "post":
            x = normed(x + f(x), first)
        elif made.norm == "pre":
            x = x + f(normed(x, first))
        else:
            x = x + normed(f(normed(x, first)), made.get_submodule(name)[-1])
    return x


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("layer", NORMS)
@pytest.mark.parametrize("norm", PLACES)
def test_a_block_is_the_formula(norm, layer, causal):
    made = block(norm, NORMS[layer], causal=causal)
    expected = np.stack([by_hand(example, made, causal) for example in inputs().numpy()])
    np.testing.assert_allclose(made(inputs()).detach().numpy(), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("norm", PLACES)
def test_gradients_reach_every_parameter(norm):
    made = block(norm)
    made(inputs()).square().sum().backward()
    assert [name for name, p in made.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


@pytest.mark.parametrize("norm", PLACES)
def test_a_later_position_changes_nothing_before_it(norm):
    made, x = block(norm), inputs()
    changed = x.clone()
    changed[:, 4] = x[:, 4].flip(-1)  # not by a constant, which LayerNorm takes out
    moved = (made(x) - made(changed)).abs().amax((0, 2))
    assert (moved[:4] == 0).all()
    assert (moved[4:] > 0).all()
    free = block(norm, causal=False)
    assert ((free(x) - free(changed)).abs().amax((0, 2)) > 0).all()


@pytest.mark.parametrize(("norm", "norms"), [("pre", 5), ("post", 4), ("sandwich", 9)])
def test_a_stack_ends_with_a_norm_where_its_sum_is_not_normalised(norm, norms):
    stack = TransformerStack(WIDTH, HEADS, 2, norm=norm, layer=thalweg.nn.LayerNorm).double()
    assert sum(isinstance(module, torch.nn.LayerNorm) for module in stack.modules()) == norms
    end = stack(3.0 * inputs())
    assert end.mean(-1).abs().max() < 1e-9
    assert (end.var(-1, correction=0) - 1).abs().max() < 1e-3


def test_the_norm_is_rmsnorm_unless_told_otherwise():
    made = TransformerBlock(WIDTH, HEADS)
    assert [type(m) for m in made.children()][::2] == [thalweg.nn.RMSNorm] * 2
    assert "norm='pre'" in repr(made)


def test_dropout_works_in_training_alone():
    made, plain, x = block(dropout=0.5), block(), inputs()
    assert not torch.equal(made(x), made(x))
    torch.testing.assert_close(made.eval()(x), plain(x))
    attended = made.attention[0]
    assert torch.equal(attended(x), attended(x))
    assert not torch.equal(attended.train()(x), attended(x))


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((12, 3), {"norm": "before"}, "one of pre, post, sandwich; got 'before'"),
        ((12, 5), {}, "heads must divide the width 12; got 5"),
        ((12, 0), {}, "heads must divide the width 12; got 0"),
    ],
)
def test_what_does_not_fit_is_named(arguments, options, said):
    with pytest.raises(ValueError, match=said):
        TransformerBlock(*arguments, **options)
    with pytest.raises(ValueError, match=said):
        TransformerStack(*arguments, 2, **options)


@pytest.mark.parametrize("shape", [(7, 12), (2, 7, 11), (1, 2, 7, 12)])
def test_another_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"takes \(n, length, 12\); got \("):
        TransformerBlock(12, 3)(torch.zeros(shape))
