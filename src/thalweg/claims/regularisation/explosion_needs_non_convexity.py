"""Whether gradients explode on losses that are not convex only: they do on a convex one, at too large a rate."""

from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from thalweg.claims.experiments.training import Array

EXAMPLES, STEPS, SHOWN = 200, 100, 60
# The learning rate times the largest curvature. Beyond 2 a quadratic diverges; the slide's example is at 1.05 x 2.
LARGE, SMALL = 2.1, 1.9


def measure(seeds: Seeds) -> Measurement:
    """At a rate on either side of the stable ones, from a start for each seed."""
    norms = {product: np.array([_norms(product, seed) for seed in seeds.judged]) for product in (LARGE, SMALL)}
    curves = tuple(
        over_seeds(
            Words(f"lr × curvature {product}", f"lr × courbure {product}".replace(".", ",")),
            range(SHOWN),
            each[:, :SHOWN],
            dashed=product == SMALL,
        )
        for product, each in norms.items()
    )
    title = Words("Gradient of a convex loss", "Gradient d'une perte convexe")
    return Measurement(
        {"growth": norms[LARGE][:, -1] / norms[LARGE][:, 0]},
        (Panel(title, STEP, Words("norm", "norme"), curves, log_y=True),),
    )


def _norms(product: float, seed: int) -> "Array":
    """The norm of the gradient before each step and in the end, of a linear regression of the digits' classes."""
    import torch
    from torch.nn.functional import one_hot

    from thalweg.claims.experiments.paths import path
    from thalweg.claims.experiments.training import digits

    data, chance = digits().train, torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(data.classes), generator=chance)[:EXAMPLES]
    x, y = data.images[chosen].double(), one_hot(data.classes[chosen], 10).double()
    curvature = float(torch.linalg.matrix_norm(x, 2) ** 2 / EXAMPLES)

    def gradient(w: torch.Tensor) -> torch.Tensor:
        return x.T @ (x @ w - y) / EXAMPLES

    start = torch.randn(64, 10, generator=chance, dtype=torch.float64) / 8
    walk = path("sgd", start, gradient, steps=STEPS, lr=product / curvature)
    return np.array([float(gradient(w).norm()) for w in walk])


CLAIM = Claim(
    name="explosion-needs-non-convexity",
    slide="Gradient clipping",
    statement=Words(
        "Gradients explode only where the loss is not convex.",
        "Les gradients n'explosent que si la fonction de perte n'est pas convexe.",
    ),
    measured=Words(
        "How much the norm of the gradient grows in 100 steps of gradient descent on a convex loss: least squares of "
        "the classes of 200 of the digits, by a linear map, at a learning rate of 2.1 divided by the largest "
        "curvature; 24 seeds.",
        "De combien la norme du gradient croît en 100 pas de descente de gradient sur une perte convexe : moindres "
        "carrés sur les classes de 200 chiffres manuscrits, par une application linéaire, avec un taux "
        "d'apprentissage égal à 2,1 divisé par la plus grande courbure ; 24 graines.",
    ),
    why=Words(
        "Along a direction of curvature h a step multiplies the gradient by 1 - lr h, which is beyond -1 where lr h > "
        "2: convex or not. The slide's own example, (x - 1)² at 1.05, is convex. What deep losses add is curvature "
        "that grows exponentially with depth and along the way, so that no one rate suits it: see "
        "gradients-explode-with-depth.",
        "Dans une direction de courbure h, un pas multiplie le gradient par 1 - lr h, au-delà de -1 dès que lr h > 2, "
        "que la perte soit convexe ou non. L'exemple même de la diapositive, (x - 1)² à 1,05, est convexe. Les pertes "
        "profondes y ajoutent une courbure qui croît exponentiellement avec la profondeur et change en chemin, si "
        "bien qu'aucun taux ne lui convient partout : voir gradients-explode-with-depth.",
    ),
    bounds=(
        Bound(
            "growth",
            Words("norm of the gradient after 100 steps / before", "norme du gradient après 100 pas / avant"),
            at_most=10,
            ratio=True,
        ),
    ),
    seeds=24,
    measure=measure,
    figure="explosion",
)
