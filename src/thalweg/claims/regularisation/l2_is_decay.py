"""Under plain gradient descent L2 regularisation and weight decay take the same path."""

from collections.abc import Sequence
from math import cos, pi
from typing import TYPE_CHECKING, Any

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from torch import Tensor

    from thalweg.claims.experiments.training import Array

DECAY, EXAMPLES, STEPS = 0.1, 200, 200
WEIGHTS_APART = Words("Distance between the weights", "Distance entre les poids")
OF_NORM = Words("distance / norm of the weights", "distance / norme des poids")
PAIRS = {
    "kinds": Words("L2 and weight decay", "L2 et weight decay"),
    "decay": Words("weight decay and none", "weight decay et rien"),
}


def measure(seeds: Seeds) -> Measurement:
    """Three trainings from each seed."""
    apart = distances("sgd", seeds.judged, lr=0.3)
    return Measurement({"apart": apart["kinds"].max(1)}, (panel(apart),))


def distances(rule: str, seeds: Sequence[int], **settings: Any) -> "dict[str, Array]":
    """How far apart the weights of trainings that differ in nothing but decay are after steps 1, 2, ...

    By pair, as in `PAIRS`, over the norm of the weights of the second: (seeds, steps). A network 64-64-10 in float64,
    on a part of the digits, all of it a batch; the learning rate falls to 0 along a cosine.
    """
    import torch
    from torch.nn.functional import cross_entropy
    from torch.nn.utils import parameters_to_vector

    from thalweg.claims.experiments.training import digits, mlp
    from thalweg.stacks import lockstep, rows

    kinds = ({"decay": "l2"}, {"decay": "decoupled"}, {"weight_decay": 0.0})
    members = [{"weight_decay": DECAY, **settings, **kind} for kind in kinds for _ in seeds]
    stack = lockstep(lambda: mlp().double(), rule, settings=members, seeds=[*seeds] * len(kinds))
    data = digits().train
    chances = [torch.Generator().manual_seed(seed) for seed in seeds]
    kept = torch.stack([torch.randperm(len(data.classes), generator=chance)[:EXAMPLES] for chance in chances])
    index = kept.repeat(len(kinds), 1)
    images, classes = rows(data.images, index).double(), rows(data.classes, index)
    weights = []
    for step in range(STEPS):
        for optimizer in stack.optimizers:
            optimizer.param_groups[0]["lr"] = settings["lr"] * (1 + cos(pi * step / STEPS)) / 2
        stack.step(lambda model, x, y: cross_entropy(model(x), y), images, classes)
        weights.append(torch.stack([parameters_to_vector(model.parameters()).detach() for model in stack.members]))
    l2, decoupled, none = torch.chunk(torch.stack(weights, 1), len(kinds))

    def apart(a: "Tensor", b: "Tensor") -> "Array":
        distance: Array = ((a - b).norm(dim=-1) / b.norm(dim=-1)).numpy()
        return distance

    return {"kinds": apart(l2, decoupled), "decay": apart(decoupled, none)}


def panel(apart: "dict[str, Array]") -> Panel:
    """A curve for each pair."""
    steps = range(1, STEPS + 1)
    curves = tuple(over_seeds(name, steps, apart[pair], dashed=pair == "decay") for pair, name in PAIRS.items())
    return Panel(WEIGHTS_APART, STEP, OF_NORM, curves, log_y=True)


CLAIM = Claim(
    name="l2-is-decay",
    slide="Problème de la régularisation",
    statement=Words(
        "Under plain gradient descent, L2 regularisation is weight decay.",
        "Pour la descente de gradient classique, la régularisation L2 est le weight decay.",
    ),
    measured=Words(
        "The largest distance between the weights of the two on the way, over the weights' norm: gradient descent in "
        "float64, a network 64-64-10, all of 200 of the digits as a batch, 200 steps at a learning rate that falls "
        "from 0.3 to 0, λ = 0.1; 8 seeds.",
        "Plus grande distance entre les poids des deux en chemin, rapportée à la norme des poids : descente de "
        "gradient en float64, réseau 64-64-10, 200 chiffres manuscrits en un seul batch, 200 pas à un taux "
        "d'apprentissage qui descend de 0,3 à 0, λ = 0,1 ; 8 graines.",
    ),
    why=Words(
        "The gradient of λ/2 ||w||² is λ w, and descent takes lr times the gradient off the weight: lr λ w, which is "
        "weight decay. The same at every step, whatever the schedule; what remains is rounding. It holds as long as "
        "decay is multiplied by the rate, and for no rule that remembers or scales gradients.",
        "Le gradient de λ/2 ||w||² est λ w, et la descente ôte au poids le taux fois le gradient : lr λ w, "
        "c'est-à-dire le weight decay. Il en va ainsi à chaque pas, quel que soit le schedule ; il ne reste que les "
        "arrondis. Cela vaut tant que le decay est multiplié par le taux, et pour aucune règle qui garde ou normalise "
        "les gradients.",
    ),
    bounds=(
        Bound(
            "apart",
            Words("distance between the weights / their norm", "distance entre les poids / leur norme"),
            at_most=1e-10,
        ),
    ),
    seeds=8,
    measure=measure,
    figure="decay",
)
