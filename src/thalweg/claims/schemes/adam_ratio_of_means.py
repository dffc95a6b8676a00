"""Whether a step of Adam is as long as the ratio of expectations says."""

from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.claims.experiments.training import Array
    from thalweg.stacks import Lockstep

# Means of drawn gradients, in their deviations. Judged are the clear one and the noisy one.
MEANS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
CLEAR, NOISY = 3.0, 0.1
COPIES, STEPS, KEPT = 200, 600, 300
LR, BATCH = 1e-3, 64
# Of a training: after how many steps. Judged are the last five together.
LOOKS = (1, 3, 10, 30, 100, 200, 225, 250, 275, 300)
LAST = 5


def measure(seeds: Seeds) -> Measurement:
    """Steps on drawn gradients of known expectations, and in trainings, where all batches give them exactly."""
    drawn = np.array([_drawn(seed) for seed in seeds.judged])
    claimed, taken = _trained(seeds.judged)
    expected = [mean / (1 + mean**2) ** 0.5 for mean in MEANS]
    clear, noisy = MEANS.index(CLEAR), MEANS.index(NOISY)
    length = Words("|step| / lr", "|pas| / lr")
    slide = Words("|E[g]| / sqrt(E[g²])", "|E[g]| / sqrt(E[g²])")
    looks = [float(t) for t in LOOKS]
    return Measurement(
        {
            "clear": (drawn[:, clear] / expected[clear]).tolist(),
            "noisy": (drawn[:, noisy] / expected[noisy]).tolist(),
            "training": np.exp(np.log(taken / claimed)[:, -LAST:].mean(1)).tolist(),
        },
        (
            Panel(
                Words("Drawn gradients of one distribution", "Gradients tirés d'une même loi"),
                Words("mean of the gradient / its deviation", "moyenne du gradient / son écart type"),
                length,
                (
                    over_seeds(Words("Adam", "Adam"), MEANS, drawn, kind="both"),
                    Curve(slide, list(MEANS), expected, dashed=True),
                ),
                log_x=True,
                log_y=True,
            ),
            Panel(
                Words("In a training on the digits", "Pendant un entraînement sur les chiffres"),
                STEP,
                length,
                (
                    over_seeds(Words("Adam", "Adam"), looks, taken, kind="both"),
                    over_seeds(slide, looks, claimed, kind="both", dashed=True),
                ),
                log_x=True,
                log_y=True,
            ),
        ),
    )


def _drawn(seed: int) -> list[float]:
    """The mean length of a step, for each of `MEANS`, once Adam has forgotten its beginning."""
    import torch

    from thalweg.claims.experiments.gradients import Fed

    chance = torch.Generator().manual_seed(seed)
    means = torch.tensor(MEANS, dtype=torch.float64)[:, None]
    adam = Fed("adam", means.expand(-1, COPIES))
    total = torch.zeros(len(MEANS), dtype=torch.float64)
    for step in range(STEPS):
        moved = adam.step(means + torch.randn(len(MEANS), COPIES, generator=chance, dtype=torch.float64))
        if step >= STEPS - KEPT:
            total += moved.abs().mean(1)
    lengths: list[float] = (total / KEPT).tolist()
    return lengths


def _trained(seeds: tuple[int, ...]) -> tuple["Array", "Array"]:
    """What the slide says, and the length of the step itself, in learning rates and means over weights: (seeds, looks).

    Both at the same weights: those before the step.
    """
    from thalweg.claims.experiments.gradients import moments_of, weights_of
    from thalweg.claims.experiments.training import mlp, train

    claimed, taken = [], []
    before: list[Tensor] = []

    def look(stack: "Lockstep", step: int) -> None:
        if step in LOOKS:
            taken.append(((weights_of(stack) - before.pop()).abs().mean(1) / LR).tolist())
        if step + 1 in LOOKS:
            before.append(weights_of(stack))
            moments = [moments_of(model, BATCH) for model in stack.members]
            claimed.append([float((mean.abs() / square.sqrt()).nan_to_num().mean()) for mean, square in moments])

    train(mlp, "adam", [{"lr": LR}], seeds, steps=LOOKS[-1] + 1, batch=BATCH, each_step=look)
    return np.array(claimed).T, np.array(taken).T


CLAIM = Claim(
    name="adam-ratio-of-means",
    slide="Adam : interprétation du learning rate",
    statement=Words(
        "A step of Adam is about lr |E[g]| / sqrt(E[g²]) long.",
        "Un pas d'Adam a une longueur d'environ lr |E[g]| / sqrt(E[g²]).",
    ),
    measured=Words(
        "The mean length of a step over weights, against the mean of that value. On independent normal gradients, "
        "with a mean of 3 deviations (clear) and of a tenth of one (noisy), 200 weights, 300 steps after 300 others. "
        "And in trainings on the digits, a network 64-64-10, batches of 64, learning rate 0.001, after 200, 225, 250, "
        "275 and 300 steps, where both expectations are exact, over all batches. 12 seeds; betas 0.9 and 0.999.",
        "La longueur d'un pas, en moyenne sur les poids, face à la moyenne de cette valeur. Sur des gradients normaux "
        "indépendants, de moyenne égale à 3 écarts types (net) et à un dixième d'écart type (bruité), 200 poids, 300 "
        "pas après 300 autres. Et pendant des entraînements sur les chiffres manuscrits, un réseau 64-64-10, des "
        "batchs de 64, un taux d'apprentissage de 0,001, après 200, 225, 250, 275 et 300 pas, où les deux espérances "
        "sont exactes, sur tous les batchs. 12 graines ; bêtas 0,9 et 0,999.",
    ),
    why=Words(
        "The slide takes a ratio of two estimates for the ratio of what they estimate. But m averages about "
        "(1 + beta1) / (1 - beta1) = 19 gradients only, and |m| is not small where E[g] is: under pure noise the ratio "
        "is 0, and a step is still about lr sqrt((1 - beta1) / (1 + beta1)) = 0.23 lr at root mean square. In a "
        "training v also remembers gradients larger than those of now, which makes steps shorter. What the slide "
        "concludes, a length of about lr at most, is another claim.",
        "La diapositive prend le rapport de deux estimateurs pour le rapport de ce qu'ils estiment. Mais m ne moyenne "
        "qu'environ (1 + beta1) / (1 - beta1) = 19 gradients, et |m| n'est pas petit là où E[g] l'est : sous un bruit "
        "pur, le rapport est nul, et un pas a encore une longueur quadratique moyenne d'environ lr sqrt((1 - beta1) / "
        "(1 + beta1)) = 0,23 lr. Pendant un entraînement, v se souvient aussi de gradients plus grands que ceux d'à "
        "présent, ce qui raccourcit les pas. Ce que la diapositive en conclut, une longueur d'au plus lr environ, est "
        "une autre affirmation.",
    ),
    bounds=(
        Bound(
            "clear",
            Words("step / what is claimed, clear gradients", "pas / valeur affirmée, gradients nets"),
            at_least=0.8,
            at_most=1.25,
            ratio=True,
        ),
        Bound(
            "noisy",
            Words("step / what is claimed, noisy gradients", "pas / valeur affirmée, gradients bruités"),
            at_least=0.8,
            at_most=1.25,
            ratio=True,
        ),
        Bound(
            "training",
            Words("step / what is claimed, in a training", "pas / valeur affirmée, pendant un entraînement"),
            at_least=0.8,
            at_most=1.25,
            ratio=True,
        ),
    ),
    seeds=12,
    measure=measure,
    figure="bias",
)
