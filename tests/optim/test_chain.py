"""What stands around the rule: clipping, decay, gradients that are not finite, in the order that is promised."""

import math
from typing import Any

import pytest
import torch

import thalweg

SHAPES = ((5, 7), (), (33,), (61, 67))
INF, NAN = math.inf, math.nan


def weights(dtype: torch.dtype) -> list[torch.Tensor]:
    seeded = torch.Generator().manual_seed(3)
    return [torch.nn.Parameter(torch.randn(s, generator=seeded).to(dtype)) for s in SHAPES]


def give(params: list[torch.Tensor], seed: int, scale: float = 1.0) -> None:
    seeded = torch.Generator().manual_seed(seed)
    for p in params:
        p.grad = (scale * torch.randn(p.shape, generator=seeded)).to(p.dtype)


def flat(params: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([p.detach().double().reshape(-1) for p in params])


class TestClipNorm:
    def test_it_does_clip(self) -> None:
        weight = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
        made = thalweg.SGD([weight], lr=1.0, clip_norm=1.0)
        weight.grad = torch.full((4,), 50.0, dtype=torch.float64)
        made.step()
        assert weight.detach().norm().item() == pytest.approx(100 / (100 + 1e-6), rel=1e-12)

    def test_over_two_types_of_weights(self) -> None:
        """One norm over all: float32, float64 and bfloat16 weights are updated apart, and clipped together."""
        params = [torch.nn.Parameter(torch.zeros(4, dtype=t)) for t in (torch.float32, torch.float64, torch.bfloat16)]
        made = thalweg.SGD(params, lr=1.0, clip_norm=1.0)
        for p in params:
            p.grad = torch.full_like(p, 2.0)
        made.step()
        expected = -2.0 / (math.sqrt(48) + 1e-6)
        for p, tolerance in zip(params, (1e-7, 1e-14, 4e-3), strict=True):
            assert p.detach().double() == pytest.approx(expected, rel=tolerance)

    def test_changed_between_steps(self) -> None:
        weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        made = thalweg.SGD([weight], lr=1.0)
        moves = []
        for limit in (None, 1.0, 0.5, None):
            made.clip_norm = limit
            before = weight.item()
            weight.grad = torch.full((1,), 3.0, dtype=torch.float64)
            made.step()
            moves.append(before - weight.item())
        assert moves == pytest.approx([3.0, 1.0, 0.5, 3.0], rel=1e-6)

    @pytest.mark.parametrize("strided", [False, True], ids=["dense", "strided"])
    @pytest.mark.parametrize("size", [1e30, 1e-30])
    def test_squares_that_float32_cannot_hold(self, size: float, strided: bool) -> None:
        memory = torch.zeros(8)
        weight = torch.nn.Parameter(memory[::2] if strided else memory[:4])
        made = thalweg.SGD([weight], lr=1.0, clip_norm=1e-31 if size < 1 else 1.0)
        weight.grad = torch.full((4,), size)
        made.step()
        expected = 0.5 if size > 1 else size * 1e-31 / (2e-30 + 1e-6)
        assert weight.detach() == pytest.approx(-expected, rel=1e-5, abs=0)

    def test_nan_reaches_every_weight(self) -> None:
        """As in torch: the norm is nan, and nothing hides it."""
        params = weights(torch.float32)
        made = thalweg.SGD(params, lr=0.1, clip_norm=1.0)
        give(params, 0)
        assert params[2].grad is not None
        params[2].grad[5] = NAN
        made.step()
        assert flat(params).isnan().all()

    def test_missing_gradients_do_not_count(self) -> None:
        params = [torch.nn.Parameter(torch.zeros(2, dtype=torch.float64)) for _ in range(2)]
        made = thalweg.SGD(params, lr=1.0, clip_norm=1.0)
        for seen in ((3.0, 4.0), (3.0, None), (3.0, 4.0)):
            before = params[0].detach().clone()
            for p, g in zip(params, seen, strict=True):
                p.grad = None if g is None else torch.tensor([g, 0.0], dtype=torch.float64)
            made.step()
            norm = 5.0 if seen[1] else 3.0
            assert (before - params[0].detach())[0].item() == pytest.approx(3.0 / (norm + 1e-6), rel=1e-12)


class TestClipValue:
    def test_by_group(self) -> None:
        a, b, c = (torch.nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(3))
        groups = [{"params": [a], "clip_value": 1.0}, {"params": [b]}, {"params": [c], "clip_value": 0.5}]
        made = thalweg.SGD(groups, lr=1.0, clip_norm=100.0)
        for p in (a, b, c):
            p.grad = torch.tensor([-4.0, 0.25, 7.0], dtype=torch.float64)
        made.step()
        found = [p.detach().tolist() for p in (a, b, c)]
        assert found == [[1.0, -0.25, -1.0], [4.0, -0.25, -7.0], [0.5, -0.25, -0.5]]

    def test_the_norm_is_of_the_clipped_gradient(self) -> None:
        weight = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
        made = thalweg.SGD([weight], lr=1.0, clip_value=1.0, clip_norm=1.0)
        weight.grad = torch.tensor([100.0, 0.0, 0.0, 0.0], dtype=torch.float64)
        made.step()
        assert weight.detach()[0].item() == pytest.approx(-1 / (1 + 1e-6), rel=1e-12)


class TestDecay:
    def by_hand(self, kind: str, name: str) -> list[float]:
        """Four steps of one weight from 2, gradient 1, -3, 0.5, 2, lr 0.1, decay 0.4, clip by norm at 1.5."""
        w, m, v, path = 2.0, 0.0, 0.0, []
        for t, g in enumerate((1.0, -3.0, 0.5, 2.0), start=1):
            g *= min(1.0, 1.5 / (abs(g) + 1e-6))
            if kind == "l2":
                g += 0.4 * w
            if name == "SGD":
                m = 0.9 * m + g
                d = 0.1 * m
            else:
                m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
                d = 0.1 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
            w = w - d - (0.1 * 0.4 * w if kind == "decoupled" else 0.0)
            path.append(w)
        return path

    @pytest.mark.parametrize("kind", ["l2", "decoupled"])
    @pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
    def test_by_hand(self, name: str, kind: Any) -> None:
        weight = torch.nn.Parameter(torch.full((1,), 2.0, dtype=torch.float64))
        momentum = {"momentum": 0.9} if name == "SGD" else {}
        made = getattr(thalweg, name)([weight], lr=0.1, weight_decay=0.4, decay=kind, clip_norm=1.5, **momentum)
        path = []
        for g in (1.0, -3.0, 0.5, 2.0):
            weight.grad = torch.full((1,), g, dtype=torch.float64)
            made.step()
            path.append(weight.item())
        assert path == pytest.approx(self.by_hand(kind, name), rel=1e-12)

    def test_the_two_differ(self) -> None:
        assert self.by_hand("l2", "Adam") != pytest.approx(self.by_hand("decoupled", "Adam"), rel=1e-3)

    def test_kind_by_group(self) -> None:
        a, b = (torch.nn.Parameter(torch.full((1,), 2.0, dtype=torch.float64)) for _ in range(2))
        groups = [{"params": [a], "decay": "decoupled"}, {"params": [b]}]
        made = thalweg.SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.4)
        alone = []
        for kind in ("decoupled", "l2"):
            weight = torch.nn.Parameter(torch.full((1,), 2.0, dtype=torch.float64))
            other = thalweg.SGD([weight], lr=0.1, momentum=0.9, weight_decay=0.4, decay=kind)  # type: ignore[arg-type]
            for _ in range(3):
                weight.grad = torch.ones_like(weight)
                other.step()
            alone.append(weight.item())
        for _ in range(3):
            for p in (a, b):
                p.grad = torch.ones_like(p)
            made.step()
        assert [a.item(), b.item()] == alone
        assert alone[0] != alone[1]


class TestNotFinite:
    def test_first_gradient_of_a_late_parameter(self) -> None:
        a, b = weights(torch.float32)[2:]
        made = thalweg.AdamW([a, b], lr=0.1, nonfinite="skip")
        a.grad = torch.ones_like(a)
        made.step()
        b.grad = torch.full_like(b, NAN)
        made.step()
        assert list(made.state_dict()["state"]) == [0]
        assert float(made.state_dict()["state"][0]["step"]) == 1.0
        b.grad = torch.ones_like(b)
        made.step()
        assert [float(s["step"]) for s in made.state_dict()["state"].values()] == [2.0, 1.0]

    def test_scalars_of_a_group_start_with_the_group(self) -> None:
        """AdaBound's first learning rate is that of the first step taken."""
        params = weights(torch.float32)
        made = thalweg.AdaBound(params, lr=1e-3, nonfinite="skip")
        give(params, 0)
        assert params[0].grad is not None
        params[0].grad[0, 0] = NAN
        made.step()
        made.param_groups[0]["lr"] = 0.5
        give(params, 1)
        made.step()
        assert made.param_groups[0]["base_lr"] == 1e-3

    def test_pass_is_torchs(self) -> None:
        ours, theirs = weights(torch.float32), weights(torch.float32)
        made, loop = thalweg.SGD(ours, lr=0.1), torch.optim.SGD(theirs, lr=0.1)
        for params, o in ((ours, made), (theirs, loop)):
            give(params, 0)
            assert params[2].grad is not None
            params[2].grad[:3] = torch.tensor([NAN, INF, -INF])
            o.step()
        assert torch.equal(flat(ours).isnan(), flat(theirs).isnan())
        assert torch.allclose(flat(ours).nan_to_num(), flat(theirs).nan_to_num(), rtol=1e-6)

    def test_names(self) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
        made = thalweg.AdamW(model.named_parameters(), nonfinite="raise")
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        assert model[1].weight.grad is not None
        model[1].weight.grad[0] = NAN
        with pytest.raises(thalweg.NonFiniteGradient, match=r"not finite in '1\.weight' \(4 of 8 values\); nothing"):
            made.step()
        for p in model.parameters():
            p.grad = torch.full_like(p, INF)
        message = r"'0\.weight' \(12 of 12 values\), '0\.bias' \(4 of 4 values\), '1\.weight' .*, and 1 more; nothing"
        with pytest.raises(ArithmeticError, match=message):
            made.step()

    def test_names_over_groups_and_types(self) -> None:
        a, b, c = (torch.nn.Parameter(torch.ones(2, dtype=t)) for t in (torch.float32, torch.float64, torch.float32))
        made = thalweg.SGD([{"params": [a]}, {"params": [b, c]}], nonfinite="raise")
        for p in (a, b, c):
            p.grad = torch.zeros_like(p)
        c.grad = torch.tensor([0.0, INF])
        with pytest.raises(thalweg.NonFiniteGradient, match=r"in parameter 1 of group 1 \(2\) \(1 of 2 values\);"):
            made.step()

    def test_names_where_some_have_no_gradient(self) -> None:
        params = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
        made = thalweg.SGD(params, nonfinite="raise")
        params[2].grad = torch.full((2,), NAN)
        with pytest.raises(thalweg.NonFiniteGradient, match="parameter 2 of group 0"):
            made.step()
        params[0].grad = torch.ones(2)
        with pytest.raises(thalweg.NonFiniteGradient, match="parameter 2 of group 0"):
            made.step()

    @pytest.mark.parametrize("nonfinite", ["raise", "skip"])
    @pytest.mark.parametrize(
        ("dtype", "value"), [(torch.float64, 1e200), (torch.float32, 3e38), (torch.bfloat16, 3e38)], ids=str
    )
    def test_large_is_not_infinite(self, dtype: torch.dtype, value: float, nonfinite: Any) -> None:
        """The sum of squares of finite gradients overflows float64; that is no reason to stop."""
        weight = torch.nn.Parameter(torch.zeros(5, dtype=dtype))
        made = thalweg.SGD([weight], lr=1.0, nonfinite=nonfinite)
        weight.grad = torch.full((5,), value, dtype=dtype)
        made.step()
        assert torch.equal(weight.detach(), -weight.grad)
        assert made.skipped_steps == 0

    def test_changed_between_steps(self) -> None:
        weight = torch.nn.Parameter(torch.zeros(1))
        made = thalweg.SGD([weight], lr=1.0)
        weight.grad = torch.full((1,), INF)
        made.nonfinite = "skip"
        made.step()
        assert weight.item() == 0.0
        made.nonfinite = "pass"
        made.step()
        assert weight.item() == -INF
