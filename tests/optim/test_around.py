"""What stands around the update: kinds of decay, scales of a group, norms that are held, averages that are followed.

Judged by hand-worked numbers, and by formulas written here in another way.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import nn

import thalweg
from thalweg.formula import FormulaError, Hyper, Rule, Wrapper, torch_reader
from thalweg.formula.rule import wrapped
from thalweg.optim import Optimizer
from thalweg.testing import oracle
from thalweg.wrappers import GPA, Hyperball, UpdateFloor

BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
GRADIENTS = (1.0, 1.0, -0.5, 0.25, 1.0, 2.0, -1.0, 0.5)
Made = Callable[..., Optimizer]


def stepped(
    made: Made, start: Sequence[float], gradients: Sequence[Sequence[float]], dtype: torch.dtype = torch.float64,
    **options: Any,
) -> tuple[list[list[float]], Optimizer]:  # fmt: skip
    """The weights after each step."""
    weight = nn.Parameter(torch.tensor(start, dtype=dtype))
    optimizer, path = made([weight], **options), []
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=dtype)
        optimizer.step()
        path.append(weight.detach().tolist())
    return path, optimizer


# -- decay


@BOTH
@pytest.mark.parametrize(
    ("kind", "expected"),
    [("cautious", [1.8, 2.1, 1.9, -2.1]), ("strictly-cautious", [1.8, 2.1, 2.0, -2.1])],
)
def test_cautious_decay_by_hand(kind: str, expected: list[float], dtype: torch.dtype) -> None:
    """lr = 0.1, weight_decay = 0.5: w - 0.1 (u + 0.5 w where the step agrees); at u = 0 the two conventions part."""
    weights, steps = [2.0, 2.0, 2.0, -2.0], [[1.0, -1.0, 0.0, 1.0]]
    (after,), made = stepped(thalweg.SGD, weights, steps, dtype, lr=0.1, weight_decay=0.5, decay=kind)
    assert after == pytest.approx(expected, rel=1e-6 if dtype == torch.float32 else 1e-15)
    assert "pass 1 of 1" in made.explain()


def test_cautious_decay_costs_adamw_no_bytes() -> None:
    made = thalweg.AdamW([nn.Parameter(torch.ones(4))], decay="cautious")
    assert "28 bytes a weight" in made.explain()
    assert "w <- w - (d + where(d * w >= 0, lr * weight_decay * w, 0))" in made.explain()


@pytest.mark.parametrize(
    ("kind", "share"),
    [("decoupled", 1e-4), ("independent", 0.05), ("corrected", 5e-5), ("palm", 1e-7)],
)
def test_what_each_kind_takes_off(kind: str, share: float) -> None:
    """weight_decay = 0.1, at lr = 0.001 of a schedule that began at 0.002."""
    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    made = thalweg.AdamW([weight], lr=2e-3, weight_decay=0.1, decay=kind)
    made.param_groups[0]["lr"] = 1e-3
    weight.grad = torch.zeros(1, dtype=torch.float64)
    made.step()
    assert 1 - weight.item() == pytest.approx(share, rel=1e-8)


# -- scales of a group


def trained(made: Optimizer, steps: int = 6, schedule: Any = None) -> torch.Tensor:
    (weight,) = made.param_groups[0]["params"]
    for step in range(steps):
        weight.grad = torch.cos(weight.detach() + step)
        made.step()
        if schedule:
            schedule.step()
    return weight.detach()


def start() -> list[nn.Parameter]:
    return [nn.Parameter(torch.linspace(-2, 2, 33, dtype=torch.float64))]


@pytest.mark.parametrize("decay", ["l2", "decoupled", "cautious", "independent", "corrected", "palm"])
def test_scales_stay_whatever_a_scheduler_does(decay: str) -> None:
    """As with the numbers themselves; of a rate that is half as large throughout, so is the first."""
    both: dict[str, Any] = {"decay": decay, "betas": (0.8, 0.9)}
    scaled = thalweg.AdamW(start(), lr=0.2, weight_decay=0.1, lr_scale=0.5, decay_scale=3.0, **both)
    plain = thalweg.AdamW(start(), lr=0.1, weight_decay=0.1 * 3.0, **both)
    found, expected = (
        trained(made, schedule=torch.optim.lr_scheduler.ExponentialLR(made, 0.7)) for made in (scaled, plain)
    )
    assert torch.allclose(found, expected, rtol=1e-14)
    assert scaled.param_groups[0]["lr"] == pytest.approx(0.2 * 0.7**6)
    assert scaled.param_groups[0]["lr_scale"] == 0.5


def test_scales_reach_a_rule_that_decays_by_itself() -> None:
    scaled = thalweg.LAMB(start(), lr=0.1, weight_decay=0.1, decay_scale=0.5, lr_scale=2.0)
    assert torch.equal(trained(scaled), trained(thalweg.LAMB(start(), lr=0.2, weight_decay=0.05)))


def test_scales_are_shown_checked_and_kept() -> None:
    made = thalweg.AdamW(start(), lr=1e-3, lr_scale=0.25)
    assert "lr=0.00025 (0.001 * lr_scale)" in made.explain()
    assert "0.001 * 0.25" in repr(thalweg.ParamGroups(made.param_groups))
    again = thalweg.AdamW(start())
    again.load_state_dict(made.state_dict())
    assert again.param_groups[0]["lr_scale"] == 0.25
    old = made.state_dict()
    del old["param_groups"][0]["lr_scale"]  # as torch's own has none
    again = thalweg.AdamW(start(), lr_scale=0.5)
    again.load_state_dict(old)
    assert again.param_groups[0]["lr_scale"] == 0.5
    with pytest.raises(TypeError, match="lr_scale must be a number, got the string '1'"):
        thalweg.AdamW(start(), lr_scale="1")
    with pytest.raises(ValueError, match="decay_scale must be at least 0 and finite, got -1"):
        thalweg.AdamW(start(), decay_scale=-1.0)


# -- what a wrapper may ask for


class Cooling(Wrapper):
    """Steps that fall with the square of the schedule's factor."""

    @staticmethod
    def step(d, lr, first_lr):  # type: ignore[no-untyped-def]
        return d * lr / first_lr


class Rateless(Rule):
    """A rule without a learning rate."""

    size = Hyper(0.1)

    @staticmethod
    def step(g, size):  # type: ignore[no-untyped-def]
        return size * g


class Warm(Rule):
    """A rule that asks for its own first rate."""

    lr = Hyper(0.1)

    @staticmethod
    def step(g, lr, first_lr):  # type: ignore[no-untyped-def]
        return lr * g + first_lr


def test_a_wrapper_asks_for_both_rates() -> None:
    made = thalweg.wrap(thalweg.SGD, Cooling)(start(), lr=0.5, lr_scale=0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(made, 0.5)
    found = trained(made, 4, schedule)
    expected = start()[0].detach()
    for step in range(4):
        expected = expected - 0.25 * 0.25**step * torch.cos(expected + step)
    assert torch.allclose(found, expected, rtol=1e-14)
    assert "first_lr=0.25" in thalweg.wrap(thalweg.SGD, Cooling)(start(), lr=0.25).explain()
    (after,), _ = stepped(thalweg.optimizer(Warm), [1.0], [[1.0]], lr=0.25)
    assert after == [0.5]


def test_a_wrapper_that_asks_for_a_rate_needs_a_rule_with_one() -> None:
    with pytest.raises(FormulaError, match="Cooling asks for lr, and Rateless has no learning rate lr"):
        wrapped(Rateless, Cooling)


# -- norms


@BOTH
def test_hyperball_by_hand(dtype: torch.dtype) -> None:
    """W = (3, 4), u = (1, -1), lr = 0.1: along R u / |u|, then back to the norm 5."""
    (after,), _ = stepped(thalweg.wrap(thalweg.SGD, Hyperball), [3.0, 4.0], [[1.0, -1.0]], dtype, lr=0.1)
    assert after == pytest.approx([2.5971976381, 4.2725360652], rel=1e-7 if dtype == torch.float32 else 1e-10)


def test_hyperball_as_it_is_written() -> None:
    """W <- R (W - lr R u / |u|) / |W - lr R u / |u||, in this order, for Adam's u."""
    generator = torch.Generator().manual_seed(1)
    weight = nn.Parameter(torch.randn(5, 7, generator=generator, dtype=torch.float64))
    rows = [torch.randn(5, 7, generator=generator, dtype=torch.float64) for _ in range(20)]
    expected, radius = weight.detach().clone(), weight.detach().norm()
    other = nn.Parameter(torch.zeros_like(expected))
    adam = torch.optim.Adam([other], lr=1.0)  # whose own weights do not matter: its steps are u
    made = thalweg.wrap(thalweg.Adam, Hyperball)([weight], lr=0.03)
    for gradient in rows:
        weight.grad, other.grad, before = gradient.clone(), gradient.clone(), other.detach().clone()
        made.step()
        adam.step()
        u = before - other.detach()
        expected = expected - 0.03 * radius * u / u.norm()
        expected *= radius / expected.norm()
    assert torch.allclose(weight.detach(), expected, rtol=1e-11)


@pytest.mark.slow
@BOTH
def test_a_held_matrix_keeps_its_norm(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(2)
    weight = nn.Parameter(torch.randn(16, 32, generator=generator, dtype=dtype))
    radius, away = weight.detach().double().norm(), 0.0
    made = thalweg.wrap(thalweg.Adam, Hyperball)([weight], lr=0.02)
    for _ in range(10_000):
        weight.grad = torch.randn(16, 32, generator=generator, dtype=dtype)
        made.step()
        away = max(away, abs(float(weight.detach().double().norm() / radius) - 1))
    assert away <= 1e-6


def test_what_starts_at_zero_is_left_to_the_rule_and_so_is_a_step_of_zero() -> None:
    made = thalweg.wrap(thalweg.SGD, Hyperball)
    zeros, _ = stepped(made, [0.0, 0.0], [[1.0, 2.0], [1.0, 0.0]], lr=0.1)
    assert zeros[1] == pytest.approx([-0.2, -0.2])
    still, _ = stepped(made, [3.0, 4.0], [[0.0, 0.0], [1.0, -1.0]], lr=0.1)
    assert still[0] == [3.0, 4.0]
    assert still[1] == pytest.approx([2.5971976381, 4.2725360652])


def test_the_radius_is_kept_in_checkpoints() -> None:
    made = thalweg.wrap(thalweg.Adam, Hyperball)
    whole, half = (nn.Parameter(torch.linspace(-2, 2, 33)) for _ in range(2))
    whole_made, half_made = made([whole], lr=0.1), made([half], lr=0.1)
    trained(whole_made, 3)
    trained(half_made, 3)
    with torch.no_grad():
        whole *= 2  # so that the norm no longer says what the radius was
        half *= 2
    resumed = nn.Parameter(half.detach().clone())
    again = made([resumed], lr=0.1)
    again.load_state_dict(copy.deepcopy(half_made.state_dict()))
    assert torch.equal(trained(again, 3), trained(whole_made, 3))


def test_decay_beside_the_rule_leaves_a_held_norm_short_by_its_share_once() -> None:
    weight = nn.Parameter(torch.tensor([3.0, 4.0], dtype=torch.float64))
    made = thalweg.wrap(thalweg.AdamW, Hyperball)([weight], lr=0.1, weight_decay=0.01)
    for _ in range(5):
        weight.grad = torch.tensor([1.0, -1.0], dtype=torch.float64)
        made.step()
        # The share is of the weight before the step, whose direction is nearly that after it.
        assert weight.detach().norm().item() == pytest.approx(5 * (1 - 0.1 * 0.01), rel=1e-4)


def test_a_step_that_would_end_at_zero_is_left_to_the_rule() -> None:
    """W = (3, 4) and a gradient along it: at lr 1 the step is W itself."""
    (after,), _ = stepped(thalweg.wrap(thalweg.SGD, Hyperball), [3.0, 4.0], [[0.6, 0.8]], lr=1.0)
    assert after == pytest.approx([2.4, 3.2])


def test_a_group_is_left_out() -> None:
    held_out = thalweg.wrap(thalweg.Adam, Hyperball)(start(), lr=0.1, hold_norm=False)
    assert torch.equal(trained(held_out), trained(thalweg.Adam(start(), lr=0.1)))


def test_the_floor_of_the_relative_update() -> None:
    """|d| = 0.1 sqrt(2) is below 0.1 * 0.35 * 5; twice as long a step is not."""
    made = thalweg.wrap(thalweg.SGD, UpdateFloor)
    (short,), _ = stepped(made, [3.0, 4.0], [[1.0, -1.0]], lr=0.1)
    length = 0.1 * 0.35 * 5 / math.sqrt(2)
    assert short == pytest.approx([3 - length, 4 + length], rel=1e-14)
    (long,), _ = stepped(made, [3.0, 4.0], [[2.0, -2.0]], lr=0.1)
    assert long == [2.8, 4.2]
    (none,), _ = stepped(made, [3.0, 4.0], [[0.0, 0.0]], lr=0.1)
    assert none == [3.0, 4.0]
    (off,), _ = stepped(made, [3.0, 4.0], [[1.0, -1.0]], lr=0.1, least_update=0.0)
    assert off == [2.9, 4.1]


# -- averages that gradients are taken at


def test_gpa_by_hand() -> None:
    """Around Adam at lr 1: y is trained, x tested, and z goes Adam's own path."""
    path, made = stepped(thalweg.wrap(thalweg.Adam, GPA), [0.0], [[g] for g in GRADIENTS], lr=1.0)
    assert [w for (w,) in path[:4]] == pytest.approx([-0.302310, -0.606922, -0.767407, -0.928042], abs=5e-7)
    (weight,) = made.param_groups[0]["params"]
    assert made.state[weight]["path"].item() == pytest.approx(-5.39399064, abs=5e-9)
    with made.averaged():
        assert weight.item() == pytest.approx(-0.08835984, abs=5e-9)


def test_gpa_decays_the_path() -> None:
    """z <- z - lr (g + decay y), where y is what gradients are taken at."""
    made = thalweg.wrap(thalweg.SGD, GPA)
    path, optimizer = stepped(made, [1.0], [[0.0]] * 3, lr=0.1, weight_decay=0.5, decay="decoupled", mu_x=0.9, mu_y=0.5)
    x = y = z = 1.0
    for _ in range(3):
        z = z - 0.1 * 0.5 * y
        x = 0.9 * x + 0.1 * z
        y = 0.5 * x + 0.5 * z
    assert path[-1] == pytest.approx([y], rel=1e-14)
    (weight,) = optimizer.param_groups[0]["params"]
    with optimizer.averaged():
        assert weight.item() == pytest.approx(x, rel=1e-13)


# -- all of them


@pytest.mark.parametrize("wrapper", [GPA, Hyperball, UpdateFloor], ids=lambda wrapper: wrapper.__name__)
@pytest.mark.parametrize("name", ["sgd", "adam", "rprop", "lamb"])
@BOTH
def test_kernels_agree_with_the_oracle(name: str, wrapper: type[Wrapper], dtype: torch.dtype) -> None:
    made = thalweg.wrap(thalweg.optim.OPTIMIZERS[name], wrapper)
    decay: dict[str, Any] = {"weight_decay": 0.0} if name == "lamb" else {}
    generator = torch.Generator().manual_seed(3)
    shapes = ((17, 5), (), (31,), (0,))
    weights = [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]
    rows = [[torch.randn(shape, generator=generator).to(dtype) for shape in shapes] for _ in range(12)]
    params = [nn.Parameter(weight.clone()) for weight in weights]
    optimizer = made(params, lr=0.05, **decay)
    for row in rows:
        for param, gradient in zip(params, row, strict=True):
            param.grad = gradient.clone()
        optimizer.step()
    values = torch_reader.values_of(made.rule, lr=0.05, **decay)
    exact = [[gradient.double() for gradient in row] for row in rows]
    tolerance = 1e-12 if dtype == torch.float64 else 2e-5
    for param, now in zip(params, oracle.trained(made.rule, weights, exact, values), strict=True):
        assert float((param.detach().double() - now.weight).norm()) <= tolerance * max(float(now.weight.norm()), 1e-3)


# -- on a model


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.inner, self.norm = nn.Embedding(7, 4), nn.Linear(4, 4), nn.LayerNorm(4)


def test_create_holds_matrices_alone() -> None:
    made = thalweg.create(
        thalweg.wrap(thalweg.Adam, Hyperball), Network(), lr=0.01, exempt={"lr_scale": 0.1, "eps": 1e-6}
    )
    decayed, exempt = made.param_groups
    assert decayed["param_names"] == ["inner.weight"]
    assert (decayed["hold_norm"], exempt["hold_norm"]) == (True, False)
    assert (decayed["lr_scale"], exempt["lr_scale"], exempt["eps"]) == (1.0, 0.1, 1e-6)
