"""The average of the weights: kept by the kernel, put in place and taken back."""

import math
from collections.abc import Callable

import pytest
import torch

import thalweg
from thalweg.formula import Hyper, Rule, State
from thalweg.optim import Optimizer, optimizer

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def network(dtype: torch.dtype = torch.float64) -> torch.nn.Sequential:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(6, 9), torch.nn.BatchNorm1d(9), torch.nn.Tanh(), torch.nn.Linear(9, 2)]
    return torch.nn.Sequential(*layers).to(dtype)


def train(model: torch.nn.Module, made: Optimizer, steps: int, after: Callable[[], None] = lambda: None) -> None:
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for p in model.parameters():
            p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype)
        made.step()
        after()


@pytest.mark.parametrize("dtype", DTYPES)
def test_is_kept_in_float32_at_least(dtype: torch.dtype) -> None:
    """In bfloat16 an average with 0.999 never moves: each share is less than half of the last digit."""
    weight = torch.nn.Parameter(torch.ones(40, dtype=dtype))
    made = thalweg.SGD([weight], lr=1.0, ema=0.999, ema_warmup=False)
    for _ in range(100):
        weight.grad = torch.full_like(weight, 2.0 if float(weight.detach()[0]) > 0 else -2.0)  # 1, -1, 1, -1 ...
        made.step()
    average = made.state[weight]["ema"]
    assert average.dtype == torch.promote_types(dtype, torch.float32)
    expected = 1.0
    for i in range(100):
        expected += 0.001 * ((-1.0 if i % 2 == 0 else 1.0) - expected)
    assert float(average[0]) == pytest.approx(expected, rel=1e-5)


def test_warms_up() -> None:
    """By hand: the average keeps 2/11 of what it was, then 3/12, then 4/13; of each weight by its own count."""
    whole, late = (torch.nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(2))
    made = thalweg.SGD([whole, late], lr=1.0, ema=0.999)
    for step in range(3):
        whole.grad = torch.ones_like(whole)  # -1, -2, -3
        late.grad = torch.ones_like(late) if step == 2 else None
        made.step()
    with made.averaged():
        assert whole.tolist() == pytest.approx([(-9 / 11 * 3 / 12 - 2 * 9 / 12) * 4 / 13 - 3 * 9 / 13] * 3)
        assert late.tolist() == pytest.approx([-9 / 11] * 3)


def test_warmed_up_it_is_the_plain_average() -> None:
    """With 0.9 from the 80th step on: (1 + t) / (10 + t) is 0.9 there."""
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    made = thalweg.SGD([weight], lr=1.0, ema=0.9)
    plain = None
    for step in range(1, 101):
        weight.grad = torch.tensor([math.sin(step)], dtype=torch.float64)
        made.step()
        if plain is not None:
            plain = 0.9 * plain + 0.1 * float(weight.detach())
        if step == 79:
            plain = float(made.state[weight]["ema"])
    assert float(made.state[weight]["ema"]) == pytest.approx(plain, rel=1e-12)


def test_trained_weights_come_back() -> None:
    model = network()
    made = thalweg.AdamW(model.parameters(), lr=0.1, ema=0.9)
    train(model, made, 3)
    own = {name: value.clone() for name, value in model.state_dict().items()}

    def fail() -> None:
        with made.averaged(model, [torch.randn(8, 6, dtype=torch.float64)]):
            assert not torch.equal(model.state_dict()["0.weight"], own["0.weight"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    for name, value in model.state_dict().items():
        assert torch.equal(value, own[name]), name
    train(model, made, 1)  # and training goes on


def test_a_saved_model_is_the_average() -> None:
    model, other = network(), network()
    made = thalweg.AdamW(model.parameters(), lr=0.1, ema=0.9)
    train(model, made, 3)
    with made.averaged():
        other.load_state_dict(model.state_dict())
    assert torch.allclose(other[0].weight, made.state[model[0].weight]["ema"])


def test_batch_norm_is_refreshed_for_the_average() -> None:
    model, batch = network(), torch.randn(32, 6, dtype=torch.float64)
    made = thalweg.AdamW(model.parameters(), lr=0.3, ema=0.5)
    train(model, made, 3)
    own = model[1].running_mean.clone()
    with made.averaged(model, [(batch, "a target that is not looked at")]):
        expected = model[0](batch).mean(0)
        assert torch.allclose(model[1].running_mean, expected)
        assert model.training
    assert torch.equal(model[1].running_mean, own)


def test_groups_average_each_in_their_own_way() -> None:
    a, b, c = (torch.nn.Parameter(torch.ones(3)) for _ in range(3))
    made = thalweg.SGD(
        [{"params": [a], "ema": 0.5}, {"params": [b], "ema": 0.9}, {"params": [c]}], lr=1.0, ema_warmup=False
    )
    for p in (a, b, c):
        p.grad = torch.ones(3)
    made.step()
    with made.averaged():
        assert [p.tolist()[0] for p in (a, b, c)] == pytest.approx([0.5, 0.9, 0.0])


def test_switched_on_in_the_middle() -> None:
    """The average starts at the weights before the first step it sees."""
    weight = torch.nn.Parameter(torch.zeros(3))
    made = thalweg.SGD([weight], lr=1.0, ema_warmup=False)
    weight.grad = -torch.ones(3)
    made.step()
    made.param_groups[0]["ema"] = 0.5
    made.step()
    with made.averaged():
        assert weight.tolist() == [1.5] * 3


def test_a_rule_may_say_what_to_test() -> None:
    @optimizer
    class Ahead(Rule):
        """Steps down the gradient; what is tested is the last step undone."""

        lr = Hyper(0.5)
        last = State("last")

        @staticmethod
        def step(g, last, lr):  # type: ignore[no-untyped-def]
            d = lr * g
            last = d
            return d, last

        @staticmethod
        def evaluate(w, last):  # type: ignore[no-untyped-def]
            return w + last

    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    made = Ahead([weight])
    weight.grad = torch.tensor([2.0, -2.0])
    made.step()
    assert weight.tolist() == [0.0, 3.0]
    with made.averaged():
        assert weight.tolist() == [1.0, 2.0]


def test_mistakes_are_named() -> None:
    model = network()
    plain = thalweg.AdamW(model.parameters())
    with pytest.raises(RuntimeError, match=r"nothing is averaged: make the optimizer with AdamW\(\.\.\., ema=0.999\)"):
        plain.averaged().__enter__()
    made = thalweg.AdamW(model.parameters(), ema=0.9)
    with pytest.raises(TypeError, match="give both the model and batches"):
        made.averaged(model).__enter__()
    train(model, made, 1)
    with made.averaged():
        with pytest.raises(RuntimeError, match="take steps outside"):
            made.step()
        with pytest.raises(RuntimeError, match="in place already"):
            made.averaged().__enter__()
    with pytest.raises(ValueError, match="ema must be at least 0 and below 1"):
        thalweg.AdamW(model.parameters(), ema=1.0)
