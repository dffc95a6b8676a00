"""The gradient grows exponentially with depth where weights are larger than critical."""

from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from thalweg.claims.experiments.training import Array

DEPTHS = (2, 5, 10, 15, 20, 25, 30)
# Standard deviations of the weights over those of He et al. 2015, at which signals keep their size.
SIZES = {"larger": 1.5, "critical": 1.0}
BATCH = 64


def measure(seeds: Seeds) -> Measurement:
    """Networks at their start, of each depth and size of weights, for each seed."""
    norms = {
        name: np.array([[_norm(depth, size, seed) for depth in DEPTHS] for seed in seeds.judged])
        for name, size in SIZES.items()
    }
    fitted = {name: [_line(row) for row in np.log(each)] for name, each in norms.items()}
    curves = tuple(
        over_seeds(
            Words(f"{size} times critical", f"{size} fois critique".replace(".", ",")),
            DEPTHS,
            norms[name],
            kind="both",
            dashed=name == "critical",
        )
        for name, size in SIZES.items()
    )
    panel = Panel(
        Words("Gradient of the first layer", "Gradient de la première couche"),
        Words("hidden layers", "couches cachées"),
        Words("norm", "norme"),
        curves,
        log_y=True,
    )
    return Measurement(
        {
            "growth": [float(np.exp(slope)) for slope, _ in fitted["larger"]],
            "straight": [explained for _, explained in fitted["larger"]],
            "critical": [float(np.exp(slope)) for slope, _ in fitted["critical"]],
        },
        (panel,),
    )


def _norm(depth: int, size: float, seed: int) -> float:
    """Of the gradient of the first layer's weights, on a batch of the digits."""
    import torch
    from torch.nn.functional import cross_entropy

    from thalweg.claims.experiments.training import digits, mlp

    data = digits().train
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = mlp(hidden=depth).double()
        for parameter in model.parameters():
            if parameter.ndim == 2:
                torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
                parameter.data *= size
            else:
                torch.nn.init.zeros_(parameter)
        chosen = torch.randperm(len(data.classes))[:BATCH]
    loss = cross_entropy(model(data.images[chosen].double()), data.classes[chosen])
    return float(torch.autograd.grad(loss, next(model.parameters()))[0].norm())


def _line(logs: "Array") -> tuple[float, float]:
    """The slope of the line through the logarithms by depth, and the share of their variance that it explains."""
    slope, start = np.polyfit(DEPTHS, logs, 1)
    left = logs - slope * np.array(DEPTHS) - start
    return float(slope), float(1 - left.var() / logs.var())


CLAIM = Claim(
    name="gradients-explode-with-depth",
    slide="Gradient clipping",
    statement=Words(
        "Where weights are larger than critical, the norm of the gradient grows exponentially with depth.",
        "Avec des poids plus grands que la valeur critique, la norme du gradient croît exponentiellement avec la "
        "profondeur.",
    ),
    measured=Words(
        "The gradient of the first layer of ReLU networks at their start, 2 to 30 hidden layers 64 wide, on 64 of the "
        "digits: a line through the norm's logarithm by depth, with weights 1.5 times as large as He et al. 2015 draw "
        "them, and as large; 24 seeds.",
        "Gradient de la première couche de réseaux ReLU à leur départ, de 2 à 30 couches cachées de largeur 64, sur "
        "64 chiffres manuscrits : une droite par le logarithme de la norme selon la profondeur, avec des poids 1,5 "
        "fois aussi grands que ceux de He et al. 2015, puis aussi grands ; 24 graines.",
    ),
    why=Words(
        "The gradient comes back through the product of all layers' Jacobians, each of which multiplies its norm by "
        "about the same factor: 1.5 here, 1 with critical weights (He et al. 2015; Pascanu et al. 2013 for recurrent "
        "networks). The loss is not convex in either case: what explodes is the product. After normalisation the "
        "factor no longer depends on the size of the weights.",
        "Le gradient revient par le produit des jacobiennes de toutes les couches, dont chacune multiplie sa norme "
        "par à peu près le même facteur : 1,5 ici, 1 avec les poids critiques (He et al. 2015 ; Pascanu et al. 2013 "
        "pour les réseaux récurrents). La perte n'est convexe dans aucun des deux cas : c'est le produit qui explose. "
        "Avec une normalisation, le facteur ne dépend plus de la taille des poids.",
    ),
    bounds=(
        Bound(
            "growth",
            Words(
                "growth of the norm by layer, larger weights", "croissance de la norme par couche, poids plus grands"
            ),
            at_least=1.2,
            ratio=True,
        ),
        Bound(
            "straight",
            Words(
                "variance of the norm's logarithm that a line explains",
                "variance du logarithme de la norme expliquée par une droite",
            ),
            at_least=0.95,
            share=True,
        ),
        Bound(
            "critical",
            Words(
                "growth of the norm by layer, critical weights", "croissance de la norme par couche, poids critiques"
            ),
            at_least=1 / 1.1,
            at_most=1.1,
            ratio=True,
        ),
    ),
    seeds=24,
    measure=measure,
    figure="explosion",
)
