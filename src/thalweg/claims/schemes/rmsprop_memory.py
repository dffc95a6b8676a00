"""RMSProp's α sets for how many steps gradients are remembered: 1 / (1 - α)."""

from math import exp
from typing import TYPE_CHECKING

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, filled
from thalweg.languages import Words

if TYPE_CHECKING:
    import torch

# 1 / (1 - α).
SHORTEST, LONGEST = 10.0, 1000.0
# Of the gradients, after 1.
SIZE, WEIGHTS = 0.1, 1000
SHOWN, POINTS = (0.9, 0.99, 0.999), 60
ALPHA = Words("α = {}", "α = {}")


def measure(seeds: Seeds) -> Measurement:
    """How long g takes to forget that gradients were larger."""
    import torch

    from thalweg.claims.experiments.paths import generators, log_uniform

    chances = generators(seeds.judged)
    memories = torch.cat([log_uniform(SHORTEST, LONGEST, (1,), chance) for chance in chances]).tolist()
    steps = []
    for memory, chance in zip(memories, chances, strict=True):
        left = _left(1 - 1 / memory, round(3 * memory), chance)
        steps.append(next(k for k, share in enumerate(left, 1) if share <= exp(-1)))
    curves = []
    for alpha in SHOWN:
        left = _left(alpha, round(3 / (1 - alpha)), chances[0])
        every = torch.linspace(0, len(left) - 1, min(POINTS, len(left))).round().int().tolist()
        curves.append(Curve(filled(ALPHA, alpha), [k + 1 for k in every], [left[k] for k in every]))
    ends = [SHORTEST, LONGEST]
    return Measurement(
        {"ratio": [n / memory for n, memory in zip(steps, memories, strict=True)]},
        (
            Panel(
                Words("What g still holds of former gradients", "Ce que g retient des anciens gradients"),
                STEP,
                Words("share", "part"),
                tuple(curves),
                log_x=True,
            ),
            Panel(
                Words("Steps until 1/e is left", "Pas jusqu'à ce qu'il reste 1/e"),
                Words("1 / (1 - α)", "1 / (1 - α)"),
                Words("steps", "pas"),
                (
                    Curve(Words("a seed each", "une graine chacun"), memories, steps, kind="dots"),
                    Curve(Words("1 / (1 - α)", "1 / (1 - α)"), ends, ends, dashed=True),
                ),
                log_x=True,
                log_y=True,
            ),
        ),
    )


def _left(alpha: float, steps: int, chance: "torch.Generator") -> list[float]:
    """How far g is from what it comes to, of how far it was, after 1, 2, ... steps, on average over weights."""
    import torch

    from thalweg.optim import OPTIMIZERS

    weights = torch.zeros(WEIGHTS, dtype=torch.float64, requires_grad=True)
    optimizer = OPTIMIZERS["rmsprop"]([weights], alpha=alpha, initial_accumulator_value=1.0)
    left = []
    for _ in range(steps):
        weights.grad = SIZE * torch.randn(WEIGHTS, generator=chance, dtype=torch.float64)
        optimizer.step()
        g = optimizer.state[weights]["square_avg"].mean().item()
        left.append((g - SIZE**2) / (1 - SIZE**2))
    return left


CLAIM = Claim(
    name="rmsprop-memory",
    slide="RMSProp : deuxième réponse",
    statement=Words(
        "α controls the memory of former gradients: 1 / (1 - α) steps.",
        "α contrôle la mémoire des précédents gradients : 1 / (1 - α) pas.",
    ),
    measured=Words(
        "g of RMSProp, on average over 1,000 weights, after random gradients become ten times smaller: steps until "
        "1/e of the distance to its new level is left, over 1 / (1 - α). Each of 24 seeds draws the gradients, and 1 "
        "/ (1 - α) log-uniformly from 10 to 1,000.",
        "g de RMSProp, en moyenne sur 1 000 poids, après que des gradients aléatoires deviennent dix fois plus petits "
        ": nombre de pas jusqu'à ce qu'il ne reste que 1/e de la distance à son nouveau niveau, sur 1 / (1 - α). "
        "Chacune des 24 graines tire les gradients, et 1 / (1 - α) log-uniformément de 10 à 1 000.",
    ),
    why=Words(
        "A gradient that is t steps old has the weight (1 - α) αᵗ in g, and αᵗ = 1/e at t = -1 / ln α, nearly 1 / (1 - "
        "α) where α is near 1 (Hinton, Srivastava and Swersky 2012). The slide allows any α ≥ 0: at α = 1 g stays 0, "
        "and beyond that squared gradients enter with a negative sign. Starting from g = 0, g is too small for as many "
        "steps: what Adam corrects.",
        "Un gradient vieux de t pas a le poids (1 - α) αᵗ dans g, et αᵗ = 1/e pour t = -1 / ln α, soit à peu près 1 / "
        "(1 - α) quand α est proche de 1 (Hinton, Srivastava et Swersky 2012). La diapositive permet tout α ≥ 0 : avec "
        "α = 1, g reste 0, et au-delà les gradients au carré entrent avec un signe négatif. En partant de g = 0, g est "
        "trop petit pendant autant de pas : c'est ce qu'Adam corrige.",
    ),
    bounds=(
        Bound(
            "ratio",
            Words("steps until 1/e is left / (1 / (1 - α))", "pas jusqu'à ce qu'il reste 1/e / (1 / (1 - α))"),
            at_least=0.9,
            at_most=1.1,
            ratio=True,
        ),
    ),
    seeds=24,
    measure=measure,
    figure="accumulator",
)
