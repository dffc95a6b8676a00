"""Adam's corrected averages are unbiased where gradients are identically distributed."""

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import STEP, over_seeds
from thalweg.languages import Words

STEPS, COPIES = 100, 40_000


def measure(seeds: Seeds) -> Measurement:
    """Many weights are given gradients of one distribution: the mean over them is what a state is expected to be."""
    import torch

    from thalweg.claims.experiments.gradients import Fed, corrections

    averages = []
    for seed in seeds.judged:
        chance = torch.Generator().manual_seed(seed)
        mean, sd = (torch.rand(2, generator=chance, dtype=torch.float64) + 0.5).tolist()
        skewed = bool(torch.rand((), generator=chance) < 0.5)
        gradient = torch.empty(COPIES, dtype=torch.float64)
        adam = Fed("adam", gradient)
        steps = []
        for t in range(1, STEPS + 1):
            if skewed:
                gradient.exponential_(generator=chance).sub_(1).mul_(sd).add_(mean)
            else:
                gradient.normal_(mean, sd, generator=chance)
            adam.step(gradient)
            m, v = float(adam.state("exp_avg").mean()) / mean, float(adam.state("exp_avg_sq").mean())
            v /= mean**2 + sd**2
            c1, c2 = corrections(t)
            steps.append((m, v, m / c1, v / c2))
        averages.append(steps)
    # (seeds, steps, 4): each divided by what it is to estimate.
    each = np.array(averages)
    apart = np.abs(each[:, :, 2:] - 1).max(1)
    x = [float(t) for t in range(1, STEPS + 1)]
    named = (
        (Words("m, uncorrected", "m, sans correction"), True),
        (Words("v, uncorrected", "v, sans correction"), True),
        (Words("m, corrected", "m, avec correction"), False),
        (Words("v, corrected", "v, avec correction"), False),
    )
    curves = tuple(over_seeds(name, x, each[:, :, k], dashed=dashed) for k, (name, dashed) in enumerate(named))
    return Measurement(
        {
            "first": apart[:, 0].tolist(),
            "second": apart[:, 1].tolist(),
            "uncorrected_first": each[:, 0, 0].tolist(),
            "uncorrected_second": each[:, -1, 1].tolist(),
        },
        (
            Panel(
                Words("Averages of Adam, against what they estimate", "Moyennes d'Adam, face à ce qu'elles estiment"),
                STEP,
                Words("mean / expectation", "moyenne / espérance"),
                curves,
            ),
        ),
    )


CLAIM = Claim(
    name="adam-moments-unbiased",
    slide="Adam : correction du biais de l'initialisation",
    statement=Words(
        "With identically distributed gradients, Adam's corrected averages are unbiased at every step, and the "
        "uncorrected ones are not.",
        "Si les gradients sont identiquement distribués, les moyennes corrigées d'Adam sont sans biais à chaque pas, "
        "et les moyennes non corrigées ne le sont pas.",
    ),
    measured=Words(
        "Means of Adam's two averages over 40,000 weights, 100 steps, in float64. Their gradients are independent "
        "draws of one distribution for each of 12 seeds: normal or shifted exponential, with a mean and a deviation "
        "from 0.5 to 1.5. Of the corrected averages the largest relative distance of all steps counts; of the "
        "uncorrected ones, m after the first and v after the last. Betas 0.9 and 0.999.",
        "Les deux moyennes d'Adam, moyennées sur 40 000 poids, pendant 100 pas, en float64. Leurs gradients sont des "
        "tirages indépendants d'une loi pour chacune de 12 graines : normale ou exponentielle décalée, de moyenne et "
        "d'écart type entre 0,5 et 1,5. Des moyennes corrigées compte le plus grand écart relatif de tous les pas ; "
        "des moyennes non corrigées, m après le premier et v après le dernier. Les bêtas sont 0,9 et 0,999.",
    ),
    why=Words(
        "Both averages start at 0: after t steps the weights of the gradients in them add up to 1 - beta^t, by which "
        "the correction divides (Kingma & Ba 2015, section 3). It is exact for gradients of one distribution, and need "
        "not be for those of a training. For v the bias lasts about 1 / (1 - beta2) steps, for m about "
        "1 / (1 - beta1).",
        "Les deux moyennes partent de 0 : après t pas, les poids des gradients y ont pour somme 1 - beta^t, et la "
        "correction divise par cette somme (Kingma et Ba 2015, section 3). Elle est exacte pour des gradients d'une "
        "même loi, et pas forcément pour ceux d'un entraînement. Le biais de v dure environ 1 / (1 - beta2) pas, "
        "celui de m environ 1 / (1 - beta1).",
    ),
    bounds=(
        Bound(
            "first",
            Words("how far m, corrected, is from E[g] at most", "plus grand écart relatif de m corrigée à E[g]"),
            at_most=0.05,
            share=True,
        ),
        Bound(
            "second",
            Words("how far v, corrected, is from E[g²] at most", "plus grand écart relatif de v corrigée à E[g²]"),
            at_most=0.05,
            share=True,
        ),
        Bound(
            "uncorrected_first",
            Words("m, uncorrected, / E[g] after one step", "m non corrigée / E[g] après un pas"),
            at_most=0.5,
            share=True,
        ),
        Bound(
            "uncorrected_second",
            Words("v, uncorrected, / E[g²] after 100 steps", "v non corrigée / E[g²] après 100 pas"),
            at_most=0.5,
            share=True,
        ),
    ),
    seeds=12,
    measure=measure,
    figure="bias",
)
