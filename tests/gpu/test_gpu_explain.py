"""`explain()` says what a GPU's kernels serve, and which steps wait for it; the card is not there."""

import pytest
import torch
from stand_in import StandIn, standing_in

import thalweg
from thalweg.formula import Hyper, Rule, Sum
from thalweg.optim import Optimizer
from thalweg.optim.awaited import Expected, awaited
from thalweg.optim.settings import How

FALLING = thalweg.schedules.Cosine(steps=10)


def explained(optimizer: Optimizer) -> str:
    with standing_in(StandIn()):
        return " ".join(optimizer.explain().split())


def made(rule: type[Optimizer] = thalweg.AdamW, **options: object) -> Optimizer:
    return rule([torch.nn.Parameter(torch.zeros(3, 2))], **options)


def test_who_serves_it() -> None:
    assert "compiled for cpu by Triton: 1 parameter, 6 weights, float32: 28 bytes a weight" in explained(made())
    assert "Triton" not in made().explain()
    assert "waits for it" not in made().explain()


@pytest.mark.parametrize(
    ("rule", "options", "expected"),
    [
        (thalweg.AdamW, {}, "cpu no step waits for it numbers"),
        (
            thalweg.AdamW,
            {"clip_norm": 1.0, "nonfinite": "skip"},
            "cpu no step waits for it, but those that make states",
        ),
        (thalweg.LAMB, {"clip_norm": 1.0}, "cpu no step waits for it"),
        (
            thalweg.AdamW,
            {"capturable": True, "nonfinite": "skip"},
            "cpu no step waits for it a CUDA graph may record a step (capturable), after a few",
        ),
        (
            thalweg.SOAP,
            {"capturable": True},
            "a CUDA graph cannot record a step, since how SOAP multiplies matrices depends on the step's number",
        ),
        (thalweg.NAdam, {"nonfinite": "skip"}, "cpu no step waits for it, but those that make states numbers"),
        (
            thalweg.Prodigy,
            {"capturable": True},
            "cpu no step waits for it, but those for which gradients are absent a CUDA",
        ),
        (thalweg.Adafactor, {"clip_norm": 1.0}, "cpu no step waits for it"),
        (thalweg.AdamW, {"nonfinite": "raise"}, "cpu every step waits for it, since nonfinite='raise' has to know"),
        (
            thalweg.SOAP,
            {"nonfinite": "skip"},
            "cpu every step waits for it, since SOAP keeps what products of matrices make",
        ),
        (thalweg.Prodigy, {}, "cpu every step waits for it, since Prodigy keeps numbers that follow from sums"),
        (thalweg.AdamW, {"schedule": FALLING}, "cpu where a GradScaler is on it every step waits for it, since a s"),
        (thalweg.AdamW, {"schedule": FALLING, "nonfinite": "skip"}, "cpu every step waits for it, since a schedule"),
    ],
)
def test_which_steps_wait(rule: type[Optimizer], options: dict[str, object], expected: str) -> None:
    assert expected in explained(made(rule, **options))


def test_two_devices_wait_for_what_is_added_up() -> None:
    def said(rule: type[Optimizer], clip_norm: float | None = None) -> list[str]:
        how = How(clip_norm, "all", 1e-6, "pass", False)
        return awaited([Expected(rule.rule, StandIn()), Expected(rule.rule, StandIn())], how, False)

    apart = "every step waits for it, since not all parameters are on one GPU"
    assert said(thalweg.LAMB) == said(thalweg.AdamW, clip_norm=1.0) == [apart]
    assert said(thalweg.AdamW) == [f"where a GradScaler or a learning rate is on it {apart}"]


def test_rows_and_columns() -> None:
    said = explained(made(thalweg.Adafactor))
    assert "compiled for cpu by Triton: 1 parameter, 6 weights, float32" in said
    assert "torch one by one" not in said


class OverAll(Rule):
    """Adds up by row, and over all parameters.

    Source:  nowhere.
    """

    lr = Hyper(0.01)
    of_row = Sum("row")
    over_all = Sum("all")

    @staticmethod
    def sums(g):
        return {"of_row": g * g, "over_all": g * g}

    @staticmethod
    def after(of_row, over_all):
        return {"share": of_row / over_all}

    @staticmethod
    def step(g, share, lr):
        return lr * g * share


def test_a_sum_over_all_beside_rows_is_the_hosts() -> None:
    said = awaited([Expected(OverAll, StandIn())], How(None, "all", 1e-6, "pass", False), False)
    assert said == [
        "every step waits for it, since what OverAll adds up over all parameters is put together by the host"
    ]


def test_steps_that_are_measured_do_not_wait() -> None:
    clipping = made(clip_norm=1.0)
    clipping.watch(every=7)
    assert "cpu no step waits for it" in explained(clipping)
