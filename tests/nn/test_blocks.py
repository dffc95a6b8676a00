"""Norm before or after the activation: order, bias, and the formula in numpy's float64."""

import numpy as np
import pytest
import torch

import thalweg.nn
from thalweg.nn.blocks import ConvBlock, DenseBlock

EPS = 1e-5


def random(module):
    """In float64, with every parameter random."""
    torch.manual_seed(2)
    for parameter in module.double().parameters():
        torch.nn.init.normal_(parameter)
    return module


def centred(x, axes):
    away = x - x.mean(axes, keepdims=True)
    return away / np.sqrt((away**2).mean(axes, keepdims=True) + EPS)


@pytest.mark.parametrize("placement", ["before", "after"])
@pytest.mark.parametrize(("layer", "axes"), [(thalweg.nn.BatchNorm1d, 0), (thalweg.nn.LayerNorm, 1)])
def test_a_dense_block_is_the_formula(layer, axes, placement):
    made = random(DenseBlock(5, 4, layer=layer, placement=placement))
    values = {name.split(".")[-2] + name.split(".")[-1]: p.detach().numpy() for name, p in made.named_parameters()}
    x = np.random.default_rng(1).normal(size=(9, 5))
    summed = x @ values["0weight"].T + values.get("0bias", 0.0)
    norm = "1" if placement == "before" else "2"

    def normed(y):
        return centred(y, axes) * values[norm + "weight"] + values[norm + "bias"]

    expected = np.maximum(normed(summed), 0) if placement == "before" else normed(np.maximum(summed, 0))
    np.testing.assert_allclose(made(torch.tensor(x)).detach().numpy(), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("placement", ["before", "after"])
def test_a_conv_block_is_a_dense_block_at_every_place(placement):
    """With a window of one place, and the same weights."""
    conv = random(ConvBlock(3, 4, kernel=1, layer=thalweg.nn.BatchNorm2d, placement=placement))
    dense = DenseBlock(3, 4, layer=thalweg.nn.BatchNorm1d, placement=placement).double()
    dense.load_state_dict({name: v.flatten(1) if v.ndim == 4 else v for name, v in conv.state_dict().items()})
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    by_place = dense(x.permute(0, 2, 3, 1).flatten(0, 2)).view(2, 5, 6, 4).permute(0, 3, 1, 2)
    torch.testing.assert_close(conv(x), by_place)


def test_a_conv_block_keeps_the_size_and_takes_a_norm_of_the_whole_image():
    made = ConvBlock(2, 4, kernel=5, layer=lambda channels: thalweg.nn.LayerNorm((channels, 8, 8)))
    assert made(torch.ones(3, 2, 8, 8)).shape == (3, 4, 8, 8)


BATCHED = (thalweg.nn.BatchNorm1d, torch.nn.BatchNorm1d)
OTHERS = (thalweg.nn.LayerNorm, thalweg.nn.RMSNorm, torch.nn.Identity)


@pytest.mark.parametrize("layer", [*BATCHED, *OTHERS])
@pytest.mark.parametrize("placement", ["before", "after"])
def test_the_bias_is_left_out_where_batchnorm_would_take_it_out(layer, placement):
    made = DenseBlock(3, 4, layer=layer, placement=placement)
    assert (made[0].bias is None) == (layer in BATCHED and placement == "before")


def test_a_bias_has_no_effect_there_and_has_one_elsewhere():
    """What the rule rests on, with a bias put back in."""
    x = torch.randn(8, 3, dtype=torch.float64)
    for layer, effect in ((thalweg.nn.BatchNorm1d, False), (thalweg.nn.LayerNorm, True), (thalweg.nn.RMSNorm, True)):
        made = DenseBlock(3, 4, layer=layer).double()
        without = made(x)
        made[0].bias = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64))
        assert torch.allclose(made(x), without, atol=1e-9) != effect


@pytest.mark.parametrize("placement", ["before", "after"])
def test_gradients_reach_every_parameter(placement):
    blocks = (
        DenseBlock(3, 4, layer=thalweg.nn.BatchNorm1d, placement=placement),
        torch.nn.Sequential(
            torch.nn.Unflatten(1, (3, 1, 1)), ConvBlock(3, 4, layer=thalweg.nn.BatchNorm2d, placement=placement)
        ),
    )
    for made in map(random, blocks):
        (made(torch.randn(16, 3, dtype=torch.float64)) ** 3).sum().backward()
        assert [name for name, p in made.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_the_activation_may_be_another():
    made = DenseBlock(3, 4, layer=torch.nn.Identity, activation=torch.nn.Tanh)
    assert isinstance(made[2], torch.nn.Tanh)


@pytest.mark.parametrize("block", [DenseBlock, ConvBlock])
def test_another_placement_is_named(block):
    with pytest.raises(ValueError, match="before or after the activation; got 'pre'"):
        block(3, 4, layer=torch.nn.Identity, placement="pre")


def test_an_even_window_is_named():
    with pytest.raises(ValueError, match="kernel must be odd, so that the image keeps its size; got 2"):
        ConvBlock(3, 4, kernel=2, layer=torch.nn.Identity)
