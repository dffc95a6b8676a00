"""A rare gradient after a long silence makes a step of Adam longer than the learning rate."""

import numpy as np

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.claims.drawing import over_seeds
from thalweg.languages import Words

WEIGHTS, STEPS, RARE = 500, 3000, 1 / 1000
# Of the figure: after how many steps without a gradient one comes.
SILENCES = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000, 2000, 3000)


def measure(seeds: Seeds) -> Measurement:
    """The longest step of all weights and steps, of each seed's gradients."""
    import torch

    from thalweg.claims.experiments.gradients import Fed

    longest, shared = [], []
    for seed in seeds.judged:
        chance = torch.Generator().manual_seed(seed)
        gradient = torch.empty(WEIGHTS, dtype=torch.float64)
        adam = Fed("adam", gradient)
        lengths = []
        for _ in range(STEPS):
            gradient.normal_(generator=chance).mul_(torch.rand(WEIGHTS, generator=chance) < RARE)
            lengths.append(adam.step(gradient).abs())
        each = torch.stack(lengths)
        longest.append(float(each.max()))
        shared.append(torch.sort(each.max(0).values).values.numpy())
    shares = [float(k) for k in (np.arange(WEIGHTS) + 1) / WEIGHTS]
    return Measurement(
        {"longest": longest},
        (
            Panel(
                Words("One gradient after a silence", "Un gradient après un silence"),
                Words("steps of silence before", "pas de silence avant"),
                Words("|step| / lr", "|pas| / lr"),
                (
                    Curve(Words("Adam", "Adam"), SILENCES, [_after(silence) for silence in SILENCES], kind="both"),
                    Curve(Words("lr", "lr"), SILENCES, [1.0] * len(SILENCES), dashed=True),
                ),
                log_x=True,
            ),
            Panel(
                Words("The longest step of each weight", "Le plus long pas de chaque poids"),
                Words("share of the weights", "part des poids"),
                Words("|step| / lr", "|pas| / lr"),
                (
                    over_seeds(Words("Adam", "Adam"), shares, shared),
                    Curve(Words("lr", "lr"), [0.0, 1.0], [1.0, 1.0], dashed=True),
                ),
            ),
        ),
    )


def _after(silence: int) -> float:
    """The length of a step on the first gradient, which comes after steps without one."""
    import torch

    from thalweg.claims.experiments.gradients import Fed

    gradient = torch.zeros(1, dtype=torch.float64)
    adam = Fed("adam", gradient)
    for _ in range(silence):
        adam.step(gradient)
    return abs(float(adam.step(gradient + 1)))


CLAIM = Claim(
    name="adam-step-never-longer",
    slide="Adam : interprétation du learning rate",
    statement=Words(
        "No step of Adam is ever longer than lr.",
        "Aucun pas d'Adam n'est jamais plus long que lr.",
    ),
    measured=Words(
        "The longest step of 500 weights in 3,000 steps, in learning rates. Gradients are rare, as those of a seldom "
        "word are: normal in one step of 1,000, and 0 in the others. 12 seeds; betas 0.9 and 0.999.",
        "Le plus long pas de 500 poids en 3 000 pas, en taux d'apprentissage. Les gradients sont rares, comme ceux "
        "d'un mot peu fréquent : normaux un pas sur 1 000, et nuls aux autres. 12 graines ; bêtas 0,9 et 0,999.",
    ),
    why=Words(
        "After a long silence a gradient g gives m = (1 - beta1) g and v = (1 - beta2) g²: a step of (1 - beta1) / "
        "sqrt(1 - beta2) = 3.16 lr, as Kingma & Ba (2015, section 2.1) say, who call it the largest. Two gradients "
        "close to one another make longer ones; by the inequality of Cauchy and Schwarz no step is longer than (1 - "
        "beta1) / sqrt((1 - beta2) (1 - beta1²/beta2)) = 7.27 lr. Where gradients are not rare, steps longer than lr "
        "are few.",
        "Après un long silence, un gradient g donne m = (1 - beta1) g et v = (1 - beta2) g² : un pas de (1 - beta1) / "
        "sqrt(1 - beta2) = 3,16 lr, comme le disent Kingma et Ba (2015, section 2), pour qui c'est le plus long. Deux "
        "gradients proches en font de plus longs ; d'après l'inégalité de Cauchy-Schwarz, aucun pas ne dépasse (1 - "
        "beta1) / sqrt((1 - beta2) (1 - beta1²/beta2)) = 7,27 lr. Là où les gradients ne sont pas rares, peu de pas "
        "sont plus longs que lr.",
    ),
    bounds=(
        Bound(
            "longest",
            Words("the longest step / lr", "le plus long pas / lr"),
            at_most=1.001,
            ratio=True,
        ),
    ),
    seeds=12,
    measure=measure,
    figure="bias",
)
