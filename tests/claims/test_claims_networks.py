"""What claims about sequences and norms are measured with, against torch's own."""

from math import log

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from thalweg.claims.experiments import norm_times, warmup
from thalweg.claims.experiments.sequences import Attention, Recurrent, Transformer
from thalweg.claims.experiments.timing import cpu_seconds
from thalweg.claims.experiments.training import digits
from thalweg.nn.transformer import SelfAttention
from thalweg.stacks import lockstep


def test_attention_written_with_products_is_torch_s() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(16, 2, 0.0, causal=False), SelfAttention(16, 2, 0.0, causal=False)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 4, 16)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("norm", "kind"), [("layer", nn.LayerNorm), ("rms", nn.RMSNorm)])
def test_norms_written_operation_by_operation_are_torch_s(norm: str, kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    ours, theirs = norm_times.LAYERS[norm]["written"](32), kind(32, eps=1e-5)
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    theirs.load_state_dict(ours.state_dict())
    x = 3 * torch.randn(5, 32) + 1
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_recurrent_net_without_norm_is_torch_s_rnn() -> None:
    torch.manual_seed(0)
    ours, theirs = Recurrent(6, lambda _: [nn.Identity()]), nn.RNN(8, 6, batch_first=True)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.input.weight)
        theirs.weight_hh_l0.copy_(ours.state.weight)
        theirs.bias_ih_l0.copy_(ours.input.bias)
        theirs.bias_hh_l0.zero_()
    images = torch.randn(5, 64)
    _, last = theirs(images.view(5, 8, 8))
    torch.testing.assert_close(ours(images), ours.output(last[0]))


def test_a_norm_for_each_step_is_used_at_its_step() -> None:
    net = Recurrent(4, lambda width: [nn.BatchNorm1d(width) for _ in range(8)])
    seen: list[int] = []
    for step, norm in enumerate(net.norms):
        norm.register_forward_hook(lambda *_, step=step: seen.append(step))
    net(torch.randn(5, 64))
    assert seen == [*range(8)]


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_transformers_are_trained_at_once(norm: str) -> None:
    stack = lockstep(lambda: Transformer(norm, nn.LayerNorm, layers=1), "adam", seeds=[0, 1])
    stack.step(lambda model, x: model(x).square().mean(), torch.randn(2, 5, 64))
    assert not stack.alone


def test_rates_rise_in_equal_steps_and_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two members of a stack, each against a training by torch's Adam at rates written down."""
    monkeypatch.setattr(warmup, "STEPS", 30)
    trained = warmup.train_transformers("pre", [(4e-3, 20), (2e-3, 1)], [7])
    data = digits().train
    for member, rates in enumerate(([*(2e-4 * step for step in range(1, 20)), *[4e-3] * 11], [2e-3] * 30)):
        torch.manual_seed(7)
        model = Transformer("pre", nn.LayerNorm)
        adam = torch.optim.Adam(model.parameters())
        chance = torch.Generator().manual_seed(7)
        # Which examples, and then the first epoch's order of them.
        kept = torch.randperm(len(data.classes), generator=chance)
        order = kept[torch.randperm(len(kept), generator=chance)]
        for rate, batch, its in zip(rates, order.split(16), trained.batch_loss[member, 0], strict=False):
            adam.param_groups[0]["lr"] = rate
            loss = cross_entropy(model(data.images[batch]), data.classes[batch])
            # A loss above that of a network that says nothing counts as it.
            assert min(loss.item(), log(10)) == pytest.approx(its, rel=1e-3)
            adam.zero_grad()
            loss.backward()
            adam.step()
        assert loss < 0.9 * log(10)


def test_more_trainings_than_a_stack_holds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at most 64 trainings; got 2 schedules of 33 seeds"):
        warmup.train_transformers("pre", [(1e-3, 1), (1e-3, 2)], range(33))


def test_more_work_takes_more_time() -> None:
    seconds = cpu_seconds({"short": lambda: sum(range(1_000)), "long": lambda: sum(range(20_000))}, 5, 0)
    assert 5 < seconds["long"] / seconds["short"] < 80
