"""With γ the deviation and β the mean, BatchNorm gives back what it was given."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.claims.drawing import over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:  # claims are listed without torch
    from torch import Tensor

BATCH, SHOWN = 64, 40
# Of other batches: their sizes, and how many of each.
SIZES, TIMES = tuple(2**k for k in range(1, 9)), 20


def measure(seeds: Seeds) -> Measurement:
    """In float64, so that rounding is all that can be left."""
    import torch

    errors, others = [], []
    for seed, x in zip(seeds.judged, _taken(seeds.judged), strict=True):
        chance = torch.Generator().manual_seed(seed)
        x = x[torch.randperm(len(x), generator=chance)]
        batch = x[:BATCH]
        errors.append(float(_errors(restored(batch, batch), batch).max()))
        # γ and β are of all examples, mean and deviation of one batch.
        drawn = [[x[torch.randperm(len(x), generator=chance)[:size]] for _ in range(TIMES)] for size in SIZES]
        others.append([float(np.mean([_errors(restored(y, x), y).mean() for y in of])) for of in drawn])
    return Measurement({"error": errors}, (_one_unit(batch), _by_size(others)))


def restored(batch: "Tensor", examples: "Tensor") -> "Tensor":
    """What BatchNorm makes of a batch, (n, features), if γ and β are deviation and mean of examples, (m, features)."""
    from torch.nn.functional import batch_norm

    eps = 1e-5
    gamma = (examples.var(0, correction=0) + eps).sqrt()
    return batch_norm(batch, None, None, gamma, examples.mean(0), training=True, eps=eps)


def _taken(seeds: Sequence[int]) -> "Iterator[Tensor]":
    """Of a network from each seed what its second hidden layer gives to a norm, (1078, 64), in float64."""
    import torch

    from thalweg.claims.experiments.training import digits, mlp
    from thalweg.stacks import models

    for model in models(lambda: mlp(hidden=2).double(), seeds)[0]:
        with torch.no_grad():
            x = digits().train.images.double()
            for layer in [*model.children()][:3]:
                x = layer(x)
        yield x


def _errors(result: "Tensor", x: "Tensor") -> "Tensor":
    """How far each number is from what it should be, in deviations of its feature."""
    return (result - x).abs() / x.std(0)


def _one_unit(batch: "Tensor") -> Panel:
    from torch.nn.functional import batch_norm

    x = batch[:SHOWN, 0].tolist()
    normalised = batch_norm(batch, None, None, training=True)[:SHOWN, 0].tolist()
    again = restored(batch, batch)[:SHOWN, 0].tolist()
    return Panel(
        Words("One unit over a batch", "Une unité sur un batch"),
        Words("what BatchNorm takes", "ce que prend BatchNorm"),
        Words("what it gives", "ce qu'elle donne"),
        (
            Curve(Words("γ = 1, β = 0", "γ = 1, β = 0"), x, normalised, kind="dots"),
            Curve(Words("γ = σ, β = μ", "γ = σ, β = μ"), x, again, kind="dots"),
        ),
    )


def _by_size(errors: Sequence[Sequence[float]]) -> Panel:
    name = Words("γ = σ, β = μ of all examples", "γ = σ, β = μ de tous les exemples")
    return Panel(
        Words("Other batches", "Autres batchs"),
        Words("examples in a batch", "exemples d'un batch"),
        Words("error, in deviations", "erreur, en écarts-types"),
        (over_seeds(name, SIZES, errors, kind="both"),),
        log_x=True,
        log_y=True,
    )


CLAIM = Claim(
    name="gamma-beta-restore",
    slide="Couche Batch Normalization : seconde approximation",
    statement=Words(
        "γ and β keep the power of representation: with them BatchNorm can be the identity.",
        "γ et β conservent le pouvoir de représentation : avec eux, BatchNorm peut être l'identité.",
    ),
    measured=Words(
        "The largest error, in deviations of the unit, with which BatchNorm gives back a batch of 64 digits if γ and β "
        "are the batch's own deviation (the root of variance + ε) and mean: what the second layer of an untrained "
        "network 64-64-64-10 computes before its activation, in float64, from 12 seeds.",
        "La plus grande erreur, en écarts-types de l'unité, avec laquelle BatchNorm rend un batch de 64 chiffres "
        "manuscrits si γ et β sont l'écart-type (racine de variance + ε) et la moyenne du batch : ce que la deuxième "
        "couche d'un réseau 64-64-64-10 non entraîné calcule avant son activation, en float64, depuis 12 graines.",
    ),
    why=Words(
        "γ (x - μ) / √(σ² + ε) + β is x for γ = √(σ² + ε), β = μ (Ioffe & Szegedy 2015, section 3). That is exact for "
        "one batch: mean and variance of the next are others, while γ and β stay, so that in training other batches "
        "come back with the error of their estimates, as the figure shows by size. In test, where mean and variance "
        "are fixed, the layer is an affine map, and with γ and β of these the identity for all.",
        "γ (x - μ) / √(σ² + ε) + β vaut x pour γ = √(σ² + ε), β = μ (Ioffe & Szegedy 2015, section 3). C'est exact "
        "pour un batch : la moyenne et la variance du suivant sont autres, tandis que γ et β restent, si bien qu'à "
        "l'entraînement d'autres batchs reviennent avec l'erreur de leurs estimations, comme la figure le montre par "
        "taille. En test, où moyenne et variance sont fixes, la couche est une application affine et, avec les γ et β "
        "qui y répondent, l'identité pour tous.",
    ),
    bounds=(
        Bound("error", Words("largest error, in deviations", "plus grande erreur, en écarts-types"), at_most=1e-9),
    ),
    seeds=12,
    measure=measure,
    figure="sigmoid",
)
