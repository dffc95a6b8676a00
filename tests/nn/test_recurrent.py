"""The recurrent layer: torch.nn.GRU without norms, the paper's formula with them."""

import numpy as np
import pytest
import torch

import thalweg.nn
from thalweg.nn.recurrent import LayerNormGRU

INPUTS, WIDTH, LENGTH = 3, 5, 6


def inputs(n=4):
    return torch.randn(n, LENGTH, INPUTS, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


def layer(norm=thalweg.nn.LayerNorm):
    torch.manual_seed(1)
    made = LayerNormGRU(INPUTS, WIDTH, norm).double()
    for name, parameter in made.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter)
    return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("begun", [False, True])
def test_without_norms_it_is_torchs(begun, dtype):
    torch.manual_seed(4)
    theirs, ours = torch.nn.GRU(INPUTS, WIDTH, batch_first=True), LayerNormGRU(INPUTS, WIDTH, layer=None)
    names = {"weight_input": "weight_ih_l0", "weight_state": "weight_hh_l0"}
    names |= {"bias_input": "bias_ih_l0", "bias_state": "bias_hh_l0"}
    ours.load_state_dict({name: theirs.state_dict()[their] for name, their in names.items()})
    ours, theirs, x = ours.to(dtype), theirs.to(dtype), inputs().to(dtype)
    start = torch.randn(4, WIDTH, dtype=dtype) if begun else None
    outputs, last = ours(x, start)
    expected, their_last = theirs(x, None if start is None else start[None])
    torch.testing.assert_close(outputs, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(last, their_last[0], rtol=1e-6, atol=1e-6)
    (outputs.square().sum() + last.sum()).backward()
    (expected.square().sum() + their_last.sum()).backward()
    for name, their in names.items():
        torch.testing.assert_close(
            ours.get_parameter(name).grad, theirs.get_parameter(their).grad, rtol=1e-4, atol=1e-5
        )


def by_hand(made, x, h):
    """The GRU of the supplementary material of Ba, Kiros & Hinton 2016, in float64, one example and step at a time."""
    values = {name: p.detach().numpy() for name, p in made.named_parameters()}

    def normed(sums, name):
        away = sums - sums.mean()
        return away / np.sqrt((away**2).mean() + 1e-5) * values[f"{name}.weight"] + values[f"{name}.bias"]

    def sigmoid(a):
        return 1 / (1 + np.exp(-a))

    w, u = values["weight_input"], values["weight_state"]
    found = []
    for step in x:
        gates = normed(w[: 2 * WIDTH] @ step, "input_gates_norm") + normed(u[: 2 * WIDTH] @ h, "state_gates_norm")
        r, z = sigmoid(gates[:WIDTH]), sigmoid(gates[WIDTH:])
        from_state = normed(u[2 * WIDTH :] @ h, "state_candidate_norm")
        c = np.tanh(normed(w[2 * WIDTH :] @ step, "input_candidate_norm") + r * from_state)
        h = (1 - z) * c + z * h
        found.append(h)
    return np.stack(found)


@pytest.mark.parametrize("begun", [False, True])
def test_with_norms_it_is_the_formula(begun):
    made = layer()
    start = torch.randn(4, WIDTH, dtype=torch.float64) if begun else torch.zeros(4, WIDTH, dtype=torch.float64)
    outputs, last = made(inputs(), start if begun else None)
    expected = np.stack([by_hand(made, x, h) for x, h in zip(inputs().numpy(), start.numpy(), strict=True)])
    np.testing.assert_allclose(outputs.detach().numpy(), expected, rtol=1e-9, atol=1e-11)
    assert torch.equal(last, outputs[:, -1])


@pytest.mark.parametrize("norm", [thalweg.nn.LayerNorm, thalweg.nn.RMSNorm, torch.nn.Identity, None])
def test_gradients_reach_every_parameter(norm):
    made = layer(norm)
    made(inputs())[0].square().sum().backward()
    assert [name for name, p in made.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_a_later_input_changes_no_earlier_output():
    made, x = layer(), inputs()
    changed = x.clone()
    changed[:, 3] += 1.0
    moved = (made(x)[0] - made(changed)[0]).abs().amax((0, 2))
    assert (moved[:3] == 0).all()
    assert (moved[3:] > 0).all()


def test_a_sequence_may_be_read_in_two_parts():
    made, x = layer(), inputs()
    first, state = made(x[:, :2])
    rest, last = made(x[:, 2:], state)
    whole, end = made(x)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole)
    torch.testing.assert_close(last, end)


def test_the_start_is_torchs():
    """Uniform within 1 / sqrt(width), gains 1, biases 0."""
    made = LayerNormGRU(40, 100)
    for weight in (made.weight_input, made.weight_state):
        assert weight.abs().max() <= 0.1
        assert weight.std().item() == pytest.approx(0.2 / 12**0.5, rel=0.02)
    assert {name.split(".")[-1]: p.unique().tolist() for name, p in made.named_parameters() if "norm" in name} == {
        "weight": [1.0],
        "bias": [0.0],
    }
    assert "LayerNormGRU(\n  40, 100" in repr(made)


@pytest.mark.parametrize("shape", [(4, 3), (4, 6, 2), (4, 0, 3)])
def test_another_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"inputs must be \(n, length, 3\), length at least 1; got \("):
        layer()(torch.zeros(shape, dtype=torch.float64))


def test_another_state_is_named():
    with pytest.raises(ValueError, match=r"the state must be \(4, 5\); got \(1, 4, 5\)"):
        layer()(inputs(), torch.zeros(1, 4, 5, dtype=torch.float64))
