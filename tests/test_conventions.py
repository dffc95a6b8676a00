"""What other libraries mean by the same words: presets, kinds of decay, and the way from one to another."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR

import thalweg
from thalweg import conventions
from thalweg.formula import FormulaError, Hyper, Rule, Switch, like
from thalweg.formula.rule import decay_kind, hypers, parts, text
from thalweg.optim import OPTIMIZERS, optimizer
from thalweg.rules import CATALOGUE, AdamW, RMSprop

Make = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]


def path(make: Make, schedule: Callable[[Any], Any] | None = None, steps: int = 20) -> torch.Tensor:
    """The weights after each step, float64."""
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    made = make([weight])
    scheduled = schedule(made) if schedule else None
    seeded, found = torch.Generator().manual_seed(0), []
    for _ in range(steps):
        weight.grad = torch.randn(3, generator=seeded, dtype=torch.float64)
        made.step()
        if scheduled:
            scheduled.step()
        found.append(weight.detach().clone())
    return torch.stack(found)


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-12, atol=1e-14)


class TestLike:
    @pytest.mark.parametrize("name", CATALOGUE)
    def test_every_convention_is_a_rule(self, name: str) -> None:
        rule = CATALOGUE[name]
        for convention in rule.conventions:
            other = like(rule, convention)
            assert other is like(rule, convention)
            assert (other.__name__, other.followed, other.conventions) == (rule.__name__, convention, rule.conventions)
            made = OPTIMIZERS[name]([torch.nn.Parameter(torch.ones(2, 2))], like=convention)
            for key, value in rule.conventions[convention].items():
                assert {**{n: h.default for n, h in hypers(other).items()}, **_switches(other)}.get(key, value) == value
            assert made.rule is rule
            assert f"like={convention!r}" in text(other)

    def test_arguments_override_it(self) -> None:
        weight = torch.nn.Parameter(torch.ones(2))
        made = thalweg.RMSprop([{"params": [weight], "alpha": 0.5}], 0.25, like="tf1", eps_inside=False)
        group = made.param_groups[0]
        assert (group["lr"], group["alpha"], group["eps"], group["eps_inside"]) == (0.25, 0.5, 1e-10, False)
        assert group["lr_inside"]
        assert group["initial_accumulator_value"] == 1.0
        assert "like" not in group

    def test_it_is_a_set_of_defaults(self) -> None:
        """The kernel and the state are those of the same arguments given one by one."""
        by_name = path(lambda ps: thalweg.RMSprop(ps, like="tf1", momentum=0.9))
        given = {"lr": 1e-3, "alpha": 0.9, "eps": 1e-10, "initial_accumulator_value": 1.0}
        apart = path(lambda ps: thalweg.RMSprop(ps, momentum=0.9, eps_inside=True, lr_inside=True, **given))
        assert torch.equal(by_name, apart)
        assert torch.equal(path(optimizer(like(RMSprop, "tf1"))), path(lambda ps: thalweg.RMSprop(ps, like="tf1")))

    def test_decay_is_a_convention(self) -> None:
        made = thalweg.AdamW([torch.nn.Parameter(torch.ones(2))], like="paper")
        assert made.param_groups[0]["decay"] == decay_kind(like(AdamW, "paper")) == "independent"

    @pytest.mark.parametrize("convention", ["tf2", "", 3])
    def test_refused_in_words(self, convention: Any) -> None:
        with pytest.raises(ValueError, match=r"AdamW: like=.* it has 'torch', 'keras', 'optax', 'paper'"):
            thalweg.AdamW([torch.nn.Parameter(torch.ones(2))], like=convention)
        with pytest.raises(ValueError, match=r"Lion: like='torch' .* no conventions but its own"):
            thalweg.Lion([torch.nn.Parameter(torch.ones(2))], like="torch")  # type: ignore[call-arg]
        with pytest.raises(ValueError, match="AdamW has no convention 'tf3'; it has: torch, keras, optax, paper"):
            like(AdamW, "tf3")

    def test_of_a_rule_of_ones_own(self) -> None:
        class Halving(Rule):
            conventions = {"full": {"share": 1.0, "upside_down": True}}  # noqa: RUF012
            lr = Hyper(0.1)
            share = Hyper(0.5)
            upside_down = Switch(False)

            @staticmethod
            def step(g, lr, share, upside_down):  # type: ignore[no-untyped-def]
                d = lr * share * g
                return -d if upside_down else d

        assert same(
            path(lambda ps: optimizer(Halving)(ps, like="full")), -path(lambda ps: thalweg.SGD(ps, lr=0.1)) + 2 * START
        )
        with pytest.raises(
            FormulaError, match="'shore' is neither a hyperparameter nor a switch nor a choice nor decay"
        ):
            type("Wrong", (Halving,), {"conventions": {"full": {"shore": 1.0}}})


START = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def _switches(rule: type[Rule]) -> dict[str, bool]:
    return {name: switch.default for name, switch in parts(rule, Switch).items()}


class TestDecay:
    """AdamW without gradients shrinks its weights by nothing but decay: w <- w - factor * w."""

    def shrunk(self, kind: str, schedule: Callable[[Any], Any], lr: float = 0.1, steps: int = 8) -> list[float]:
        weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
        made = thalweg.AdamW([weight], lr=lr, weight_decay=0.01, decay=kind)  # type: ignore[arg-type]
        scheduled, factors = schedule(made), []
        for _ in range(steps):
            before = weight.item()
            weight.grad = torch.zeros(1, dtype=torch.float64)
            made.step()
            factors.append((1 - weight.item() / before) / 0.01)
            scheduled.step()
        return factors

    @pytest.mark.parametrize("kind", ["decoupled", "independent", "corrected"])
    @pytest.mark.parametrize("lr", [0.1, 0.5])
    def test_under_a_schedule(self, kind: str, lr: float) -> None:
        rates: list[float] = []

        def schedule(made: Any) -> Any:
            made.register_step_pre_hook(lambda made, *_: rates.append(made.param_groups[0]["lr"]))
            return CosineAnnealingLR(made, T_max=8)

        found = self.shrunk(kind, schedule, lr)
        expected = {
            "decoupled": rates,
            "independent": [rate / lr for rate in rates],
            "corrected": [rate * rate / lr for rate in rates],
        }
        assert found == pytest.approx(expected[kind], abs=1e-9)
        assert found[0] > found[-1] > 0

    def test_a_warm_up_starts_low(self) -> None:
        """The first lr is what it warms up to, not where it begins."""
        factors = self.shrunk("independent", lambda made: LinearLR(made, 0.25, total_iters=3))
        assert factors[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0], abs=1e-9)

    def test_one_cycle_starts_below_its_peak(self) -> None:
        factors = self.shrunk("independent", lambda made: OneCycleLR(made, max_lr=0.3, total_steps=9))
        assert max(factors) <= 1 + 1e-12
        assert factors[0] == pytest.approx(1 / 25, rel=1e-6)

    def test_goes_on_after_a_checkpoint(self) -> None:
        def train(made: Any, weight: torch.nn.Parameter, scheduled: Any, steps: int) -> None:
            for _ in range(steps):
                weight.grad = torch.ones(1, dtype=torch.float64)
                made.step()
                scheduled.step()

        def begin() -> tuple[Any, torch.nn.Parameter, Any]:
            weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
            made = thalweg.AdamW([weight], lr=0.1, weight_decay=0.1, decay="corrected")
            return made, weight, CosineAnnealingLR(made, T_max=10)

        made, weight, scheduled = begin()
        train(made, weight, scheduled, 4)
        other, copied, late = begin()
        other.load_state_dict(made.state_dict())
        late.load_state_dict(scheduled.state_dict())
        copied.data.copy_(weight.data)
        train(made, weight, scheduled, 4)
        train(other, copied, late, 4)
        assert torch.equal(weight, copied)

    def test_a_rate_that_is_set_by_hand(self) -> None:
        """The first lr is the one of construction; a group that came to such decay later has none but the present."""
        weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
        made = thalweg.AdamW([weight], lr=0.1, weight_decay=0.5, decay="independent")
        made.param_groups[0]["lr"] = 0.05
        weight.grad = torch.zeros(1, dtype=torch.float64)
        made.step()
        assert weight.item() == pytest.approx(1 - 0.5 * 0.05 / 0.1)
        assert made.state_dict()["param_groups"][0]["first_lr"] == 0.1
        late = thalweg.AdamW([weight], lr=0.1, weight_decay=0.5)
        assert "first_lr" not in late.param_groups[0]
        late.param_groups[0].update(lr=0.05, decay="independent")
        before = weight.item()
        late.step()
        assert weight.item() == pytest.approx(before / 2)


class TestConverters:
    def test_average_and_running_sum(self) -> None:
        lr = conventions.average_to_heavy_ball(0.5, 0.9)
        one = path(lambda ps: thalweg.Momentum(ps, lr=0.5, momentum=0.9))
        assert same(one, path(lambda ps: thalweg.Momentum(ps, lr=lr, momentum=0.9, heavy_ball=True)))
        assert same(one, path(lambda ps: torch.optim.SGD(ps, lr=lr, momentum=0.9)))
        assert conventions.heavy_ball_to_average(lr, 0.9) == pytest.approx(0.5)

    def test_decay_of_the_paper_and_of_torch(self) -> None:
        """Under a schedule, where they would part if the wrong rate were used."""
        schedule: Callable[[Any], Any] = lambda made: CosineAnnealingLR(made, T_max=20)  # noqa: E731
        decay = conventions.paper_to_torch_decay(1e-3, lr=0.02)
        paper = path(lambda ps: thalweg.AdamW(ps, lr=0.02, weight_decay=1e-3, like="paper"), schedule)
        assert same(paper, path(lambda ps: torch.optim.AdamW(ps, lr=0.02, weight_decay=decay), schedule))
        assert conventions.torch_to_paper_decay(decay, lr=0.02) == pytest.approx(1e-3)

    def test_eps_hat_at_one_step(self) -> None:
        """The first step of both forms, with the eps that makes them equal there, and only there."""
        hat = conventions.eps_to_eps_hat(0.1, 0.999, step=1)
        one = path(lambda ps: thalweg.Adam(ps, lr=0.1, eps=0.1))
        other = path(lambda ps: thalweg.Adam(ps, lr=0.1, eps=hat, eps_hat=True))
        assert same(one[0], other[0])
        assert not same(one[1], other[1])
        assert 0.1 / hat == pytest.approx(31.6, abs=0.1)

    @pytest.mark.parametrize(
        "wrong",
        [
            lambda: conventions.average_to_heavy_ball(0.1, 1.0),
            lambda: conventions.heavy_ball_to_average(0.1, -0.1),
            lambda: conventions.paper_to_torch_decay(0.1, 0.0),
            lambda: conventions.torch_to_paper_decay(0.1, float("nan")),
            lambda: conventions.eps_to_eps_hat(1e-8, 0.999, 0),
        ],
    )
    def test_refused_in_words(self, wrong: Callable[[], float]) -> None:
        with pytest.raises(ValueError, match=r"must be|counted from 1"):
            wrong()


class TestDifferences:
    """Where the conventions part, shown once each."""

    def test_lr_inside_the_momentum(self) -> None:
        """The same at a constant rate; under a schedule the sum remembers old rates."""
        schedule: Callable[[Any], Any] = lambda made: CosineAnnealingLR(made, T_max=20)  # noqa: E731
        for nesterov in (False, True):
            arguments: dict[str, Any] = {"lr": 0.1, "momentum": 0.9, "nesterov": nesterov}
            outside = path(lambda ps, a=arguments: thalweg.SGD(ps, **a))
            inside = path(lambda ps, a=arguments: thalweg.SGD(ps, lr_inside=True, **a))
            assert same(outside, inside)
            assert not same(
                path(lambda ps, a=arguments: thalweg.SGD(ps, **a), schedule),
                path(lambda ps, a=arguments: thalweg.SGD(ps, lr_inside=True, **a), schedule),
            )

    def test_first_rectified_step(self) -> None:
        """With beta2 = 0.999 the paper's RAdam is adaptive from step 5 on, torch's and optax's from step 6."""
        torchs, papers = (
            path(lambda ps, t=t: thalweg.RAdam(ps, lr=0.1, threshold=t, eps=0.0), steps=6) for t in (5.0, 4.0)
        )
        assert same(torchs[:4], papers[:4])
        assert not same(torchs[4], papers[4])
        assert same(torchs, path(lambda ps: torch.optim.RAdam(ps, lr=0.1, eps=0.0), steps=6))

    def test_amsgrad_before_or_after_the_correction(self) -> None:
        """A maximum of corrected mean squares keeps the first, which the correction makes large."""
        made = [
            path(lambda ps, first=first: thalweg.AMSGrad(ps, lr=0.1, betas=(0.9, 0.5), correct_first=first))
            for first in (False, True)
        ]
        assert not same(*made)
