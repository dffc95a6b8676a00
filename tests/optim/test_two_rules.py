"""A rule belongs to a launch: two rules in one optimizer, with one norm over both. There is no public way yet."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

import thalweg
from attacking import MODES, use, weights
from thalweg.formula import Rule
from thalweg.optim import Optimizer, surface

SHAPES = ((3, 3), (5,), (), (7, 2))
HALF = 2


class Two(thalweg.AdamW):
    """Another rule for every group that says so."""

    def _rule_of(self, group: Mapping[str, Any]) -> type[Rule]:
        other: type[Rule] | None = group.get("other")
        return self.whole if other is None else other


def two(params: list[torch.Tensor], other: type[Optimizer], options: dict[str, Any], more: dict[str, Any]) -> Two:
    """AdamW for the first half, another optimizer's rule for the second."""
    made = Two([{"params": params[:HALF]}, {"params": params[HALF:]}], lr=0.1, **options)
    group = made.param_groups[1]
    kept = {"params": group["params"], "other": other.whole}
    group.clear()
    group.update({**surface.defaults(other.whole), **more, **kept})
    return made


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "more"), [("SGD", {"lr": 0.2, "momentum": 0.9}), ("LAMB", {"lr": 0.05})])
@pytest.mark.parametrize("limit", [None, 0.5])
def test_each_as_if_alone_under_one_norm(
    name: str, more: dict[str, Any], limit: float | None, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = getattr(thalweg, name)
    options = {**use(mode, monkeypatch), **({"clip_norm": limit} if limit else {})}
    params, plain = weights(SHAPES), weights(SHAPES)
    made = two(params, other, options, more)
    alone = [thalweg.AdamW(plain[:HALF], lr=0.1), other(plain[HALF:], **more)]
    for step in range(5):
        for p, q in zip(params, plain, strict=True):
            seeded = torch.Generator().manual_seed(10 * step + p.numel())
            p.grad = torch.randn(p.shape, generator=seeded, dtype=torch.float64)
            q.grad = p.grad.clone()
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(plain, limit)
        made.step()
        for optimizer in alone:
            optimizer.step()
    for p, q in zip(params, plain, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-13)
    assert made._plan is not None
    assert {launch.rule for launch in made._plan.launches} == {made.whole, other.whole}
    keys = [{*made.state[p]} for p in (params[0], params[-1])]
    assert keys == [{"step", "exp_avg", "exp_avg_sq"}, {*alone[1].state[plain[-1]]}]


def test_shared_scalars_stay_with_their_rule() -> None:
    """Prodigy keeps its estimate for all of its own parameters; what AdamW does beside it does not reach it."""
    params, plain = weights(SHAPES), weights(SHAPES)
    made = two(params, thalweg.Prodigy, {}, {})
    alone = thalweg.Prodigy(plain[HALF:])
    for step in range(4):
        for p, q in zip(params, plain, strict=True):
            seeded = torch.Generator().manual_seed(step)
            p.grad = torch.randn(p.shape, generator=seeded, dtype=torch.float64)
            q.grad = p.grad.clone()
        made.step()
        alone.step()
    for p, q in zip(params[HALF:], plain[HALF:], strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-13)
