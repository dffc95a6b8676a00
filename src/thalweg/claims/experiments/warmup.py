"""Transformers trained with and without a warm-up of the learning rate."""

from collections.abc import Sequence

from torch import nn

from thalweg.claims.claim import Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, RATE, STEP, at_rate, over_seeds, steps_of
from thalweg.languages import Words
from thalweg.stacks import Lockstep

from .sequences import Transformer
from .training import LARGEST, Array, Trained, best, train

STEPS = 160
# A fifth of the steps. A rate that is reached at the first step is without warm-up.
WARM, AT_ONCE = 32, 1

WITHOUT, WITH = Words("without warm-up", "sans warm-up"), Words("with warm-up", "avec warm-up")
MEAN_LOSS = Words("mean loss over the training", "perte moyenne sur l'entraînement")


def train_transformers(norm: str, schedules: Sequence[tuple[float, int]], seeds: Sequence[int]) -> Trained:
    """Train transformers with LayerNorm and Adam, with each of the schedules, in batches of 16.

    ``schedules``  the learning rate, and after how many steps, in equal rises, it is reached: 1 is without warm-up.
                   Of schedules and seeds there are as many as one stack holds.
    """
    if len(schedules) * len(seeds) > LARGEST:
        raise ValueError(f"at most {LARGEST} trainings; got {len(schedules)} schedules of {len(seeds)} seeds")

    def next_rates(stack: Lockstep, step: int) -> None:
        for member, optimizer in enumerate(stack.optimizers):
            lr, rise = schedules[member // len(seeds)]
            for group in optimizer.param_groups:
                group["lr"] = lr * min(1.0, (step + 2) / rise)

    first = [{"lr": lr / rise} for lr, rise in schedules]
    return train(
        lambda: Transformer(norm, nn.LayerNorm), "adam", first, seeds, steps=STEPS, batch=16, each_step=next_rates
    )


def mean_loss(trained: Trained) -> Array:
    """Of all batches: (settings, seeds). It says how fast a training goes, with less noise than how it ends."""
    mean: Array = trained.batch_loss.mean(-1)
    return mean


def with_and_without(norm: str, rates: Sequence[float], seeds: Seeds) -> tuple[list[float], tuple[Panel, ...]]:
    """The mean loss without warm-up / with it, of each judged seed, and a figure.

    Each at its own best rate, chosen by the seeds for tuning.
    """
    grid = [(rate, rise) for rise in (AT_ONCE, WARM) for rate in rates]
    tried = mean_loss(train_transformers(norm, grid, seeds.tuning)).reshape(2, len(rates), -1)
    chosen = [(rates[best(each)], rise) for each, rise in zip(tried, (AT_ONCE, WARM), strict=True)]
    trained = train_transformers(norm, chosen, seeds.judged)
    without, with_it = mean_loss(trained)
    by_rate = [over_seeds(name, rates, each.T, kind="both") for name, each in zip((WITHOUT, WITH), tried, strict=True)]
    figure = (
        losses([rate for rate, _ in chosen], trained),
        Panel(
            Words("By the learning rate", "Selon le taux d'apprentissage"), RATE, MEAN_LOSS, tuple(by_rate), log_x=True
        ),
    )
    return (without / with_it).tolist(), figure


def losses(rates: Sequence[float], trained: Trained) -> Panel:
    """Of each batch, without warm-up and with it, at these rates."""
    curves = []
    for name, rate, each in zip((WITHOUT, WITH), rates, trained.batch_loss, strict=True):
        curves.append(over_seeds(at_rate(name, rate), steps_of(each), each))
    return Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True)
