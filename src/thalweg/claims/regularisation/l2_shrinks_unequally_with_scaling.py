"""Under Adam L2 takes less off weights with large gradients; weight decay takes the same share off all."""

from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from thalweg.claims.experiments.training import Array

LR, DECAY, BATCH, STEPS = 0.001, 1e-4, 64, 200
# Weights are put in so many groups of one size, by their gradients.
GROUPS = 20
KINDS = {"l2": Words("L2", "L2"), "decoupled": Words("weight decay", "weight decay")}


def measure(seeds: Seeds) -> Measurement:
    """The median over the weights of each group, in the first layer."""
    grouped = [_by_gradient(*_decayed(seed)) for seed in seeds.judged]
    sizes = np.array([size for size, _ in grouped])
    shares = {kind: np.array([each[kind] for _, each in grouped]) for kind in KINDS}
    quarter = GROUPS // 4
    spread = {
        kind: np.median(each[:, :quarter], axis=1) / np.median(each[:, -quarter:], axis=1)
        for kind, each in shares.items()
    }
    curves = tuple(
        over_seeds(name, np.median(sizes, axis=0).tolist(), shares[kind], kind="both") for kind, name in KINDS.items()
    )
    panel = Panel(
        Words("What decay takes off a weight", "Ce que le decay ôte à un poids"),
        Words("root mean square of its gradients", "racine du carré moyen de ses gradients"),
        Words("part taken off / (lr λ steps)", "part ôtée / (lr λ pas)"),
        curves,
        log_x=True,
        log_y=True,
    )
    return Measurement(spread, (panel,))


def _decayed(seed: int) -> "tuple[Array, dict[str, Array]]":
    """Of each weight of the first layer its gradients' size, and what decay took off it, over lr λ times its path.

    Weights with decay get the gradients of those without, so that nothing but decay sets them apart.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from thalweg.claims.experiments.training import digits, mlp
    from thalweg.optim import OPTIMIZERS

    data, chance = digits().train, torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = mlp().double()
    weight = next(model.parameters())
    copies = {kind: weight.detach().clone().requires_grad_() for kind in KINDS}
    optimizers = [OPTIMIZERS["adam"](model.parameters(), lr=LR)]
    optimizers += [OPTIMIZERS["adam"]([w], lr=LR, weight_decay=DECAY, decay=kind) for kind, w in copies.items()]
    squares, path = torch.zeros_like(weight), torch.zeros_like(weight)
    for _ in range(STEPS):
        chosen = torch.randperm(len(data.classes), generator=chance)[:BATCH]
        gradients = torch.autograd.grad(
            cross_entropy(model(data.images[chosen].double()), data.classes[chosen]), [*model.parameters()]
        )
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.grad = gradient
        for copy in copies.values():
            copy.grad = gradients[0]
        squares += gradients[0] ** 2
        path += weight.detach()
        for optimizer in optimizers:
            optimizer.step()
    taken = {kind: ((weight - copy) / (LR * DECAY * path)).detach().flatten().numpy() for kind, copy in copies.items()}
    return (squares / STEPS).sqrt().flatten().numpy(), taken


def _by_gradient(size: "Array", taken: "dict[str, Array]") -> "tuple[list[float], dict[str, list[float]]]":
    """Medians of groups of weights, from the smallest gradients to the largest."""
    groups = np.array_split(np.argsort(size), GROUPS)
    return [float(np.median(size[group])) for group in groups], {
        kind: [float(np.median(each[group])) for group in groups] for kind, each in taken.items()
    }


CLAIM = Claim(
    name="l2-shrinks-unequally-with-scaling",
    slide="Problème de la régularisation",
    statement=Words(
        "With Adam, L2 regularisation shrinks weights with large gradients less; weight decay shrinks all by one "
        "factor.",
        "Avec Adam, la régularisation L2 réduit moins les poids dont les gradients sont grands ; le weight decay les "
        "réduit tous d'un même facteur.",
    ),
    measured=Words(
        "What decay takes off the weights of the first layer of a network 64-64-10, relative to them, in 200 steps of "
        "Adam on the digits, learning rate 0.001, batches of 64, λ = 0.0001: of the quarter with the smallest "
        "gradients over that with the largest, medians; 16 seeds. Weights with decay get the gradients of those "
        "without, so that nothing but decay sets them apart.",
        "Ce que le decay ôte aux poids de la première couche d'un réseau 64-64-10, relativement à eux, en 200 pas "
        "d'Adam sur les chiffres manuscrits, taux d'apprentissage 0,001, batchs de 64, λ = 0,0001 : quart aux plus "
        "petits gradients sur quart aux plus grands, médianes ; 16 graines. Les poids avec decay reçoivent les "
        "gradients de ceux sans : seul le decay les distingue.",
    ),
    why=Words(
        "Adam divides all of the gradient by the root of its recent squares, and L2's λ w is part of it: what is "
        "taken off is lr λ w / sqrt(v) (Loshchilov and Hutter 2019, proposition 2). Weight decay stands beside the "
        "scaling and takes lr λ w. The larger λ, the more λ w itself makes up v, and the less unequal L2 is.",
        "Adam divise tout le gradient par la racine de ses carrés récents, et le λ w de L2 en fait partie : il ôte lr "
        "λ w / sqrt(v) (Loshchilov et Hutter 2019, proposition 2). Le weight decay reste hors de la normalisation et "
        "ôte lr λ w. Plus λ est grand, plus λ w lui-même fait v, et moins L2 est inégal.",
    ),
    bounds=(
        Bound(
            "l2",
            Words("share that L2 takes, small gradients / large ones", "part ôtée par L2, petits gradients / grands"),
            at_least=2,
            ratio=True,
        ),
        Bound(
            "decoupled",
            Words(
                "share that weight decay takes, small gradients / large ones",
                "part ôtée par le weight decay, petits gradients / grands",
            ),
            at_least=0.99,
            at_most=1.01,
            ratio=True,
        ),
    ),
    seeds=16,
    measure=measure,
    figure="decay",
)
