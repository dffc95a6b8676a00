"""Without its first average and its correction Adam is RMSProp."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import LOSS, STEP, over_seeds, steps_of
from thalweg.languages import Words

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, STEPS, LR = 20, 200, 0.03
VARIANTS: tuple[tuple[Words, str, Mapping[str, Any]], ...] = (
    (Words("RMSProp", "RMSProp"), "rmsprop", {"alpha": 0.999}),
    (
        Words("Adam, beta1 = 0, no correction", "Adam, beta1 = 0, sans correction"),
        "adam",
        {"betas": (0.0, 0.999), "bias_correction": False},
    ),
    (Words("Adam, beta1 = 0", "Adam, beta1 = 0"), "adam", {"betas": (0.0, 0.999)}),
    (Words("Adam", "Adam"), "adam", {"betas": (0.9, 0.999)}),
)


def measure(seeds: Seeds) -> Measurement:
    """Each variant on the same quadratic, from the same start, with the same noise."""
    losses, apart = [], []
    for seed in seeds.judged:
        runs = [_run(seed, rule, settings) for _, rule, settings in VARIANTS]
        losses.append([loss for loss, _ in runs])
        paths = [path for _, path in runs]
        apart.append(float((paths[1] - paths[0]).norm(dim=1).max() / paths[0].norm(dim=1).max()))
    each = np.array(losses)
    curves = [over_seeds(name, steps_of(each), each[:, k], dashed=k == 1) for k, (name, _, _) in enumerate(VARIANTS)]
    title = Words("Loss on a noisy quadratic", "Perte sur une quadratique bruitée")
    return Measurement({"apart": apart}, (Panel(title, STEP, LOSS, tuple(curves), log_y=True),))


def _run(seed: int, rule: str, settings: Mapping[str, Any]) -> tuple[list[float], "Tensor"]:
    """The losses of a descent and its path, (steps, weights)."""
    import torch

    from thalweg.optim import OPTIMIZERS

    chance = torch.Generator().manual_seed(seed)
    curvatures = 10 ** (2 * torch.rand(WEIGHTS, generator=chance, dtype=torch.float64) - 1)
    weights = torch.randn(WEIGHTS, generator=chance, dtype=torch.float64)
    optimizer = OPTIMIZERS[rule]([weights], lr=LR, **settings)
    losses, path = [], []
    for _ in range(STEPS):
        losses.append(float((curvatures * weights**2).sum() / 2))
        noise = torch.randn(WEIGHTS, generator=chance, dtype=torch.float64)
        weights.grad = curvatures * (weights + 0.1 * noise)
        optimizer.step()
        path.append(weights.clone())
    return losses, torch.stack(path)


CLAIM = Claim(
    name="adam-is-rmsprop-with-beta1",
    slide="Adam : combiner AdaGrad et RMSProp",
    statement=Words(
        "With beta1 = 0 and without its correction, Adam is RMSProp.",
        "Avec beta1 = 0 et sans sa correction, Adam est RMSProp.",
    ),
    measured=Words(
        "The paths of both, 200 steps at a learning rate of 0.03 on a noisy quadratic in 20 dimensions, with "
        "curvatures from 0.1 to 10, in float64: the largest distance between them, divided by the largest from the "
        "minimum. RMSProp's alpha is Adam's beta2, 0.999; quadratic, start and noise are of 12 seeds.",
        "Les chemins des deux, 200 pas à un taux d'apprentissage de 0,03 sur une quadratique bruitée en dimension 20, "
        "de courbures entre 0,1 et 10, en float64 : la plus grande distance entre eux, divisée par la plus grande "
        "distance au minimum. Le alpha de RMSProp est le beta2 d'Adam, 0,999 ; la quadratique, le départ et le bruit "
        "viennent de 12 graines.",
    ),
    why=Words(
        "Term by term the two formulas are then one; paths differ by rounding at most. So what Adam adds to RMSProp is "
        "an average of the gradient and a correction of both averages (Kingma & Ba 2015, section 5). RMSProp as it is "
        "usually set has alpha 0.99, and forgets ten times as fast.",
        "Terme à terme, les deux formules n'en font alors qu'une ; les chemins diffèrent au plus par les arrondis. Ce "
        "qu'Adam ajoute à RMSProp est donc une moyenne du gradient et une correction des deux moyennes (Kingma et Ba "
        "2015, section 5). RMSProp, avec ses réglages usuels, a un alpha de 0,99, et oublie dix fois plus vite.",
    ),
    bounds=(
        Bound(
            "apart",
            Words("distance of the paths, relative", "distance relative des chemins"),
            at_most=1e-9,
        ),
    ),
    seeds=12,
    measure=measure,
    figure="race",
)
