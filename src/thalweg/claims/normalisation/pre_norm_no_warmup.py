"""A transformer with the norm before each sub-layer needs no warm-up."""

from thalweg.claims.claim import Bound, Claim, Measurement, Seeds
from thalweg.languages import Words

RATES = (2e-3, 4e-3, 8e-3, 1.6e-2)
MARGIN = 1.1


def measure(seeds: Seeds) -> Measurement:
    """Without warm-up and with it, each with its own best learning rate, chosen on other seeds."""
    from thalweg.claims.experiments.warmup import with_and_without

    cost, figure = with_and_without("pre", RATES, seeds)
    return Measurement({"cost": cost}, figure)


CLAIM = Claim(
    name="pre-norm-no-warmup",
    slide="RMSNorm",
    statement=Words(
        "A transformer with the norm directly before its sub-layers trains without warm-up as well as with it.",
        "Un transformer dont la normalisation précède directement les sous-couches s'entraîne aussi bien sans warm-up "
        "qu'avec.",
    ),
    measured=Words(
        "Mean loss over 160 steps of Adam in batches of 16, a transformer of 6 blocks, width 16, 2 heads and LayerNorm "
        "before each sub-layer, that reads a digit as four pairs of rows: with a rise of the rate over the first 32 "
        "steps, and without, each at the best of four rates from 0.002 to 0.016, chosen on 3 other seeds. As well: a "
        "loss at most 10% higher.",
        "Perte moyenne sur 160 pas d'Adam par batchs de 16, pour un transformer de 6 blocs, de largeur 16, à 2 têtes "
        "et LayerNorm avant chaque sous-couche, qui lit un chiffre comme quatre paires de lignes : avec une montée du "
        "taux sur les 32 premiers pas, et sans, chacun au meilleur de quatre taux de 0,002 à 0,016, choisi sur 3 "
        "autres graines. Aussi bien : une perte plus haute de 10 % au plus.",
    ),
    why=Words(
        "With the norm before, the sum grows from sub-layer to sub-layer, while what each adds does not; gradients at "
        "the start are well-behaved in all blocks, from which Xiong et al. 2020 conclude that a warm-up can be left "
        "out. The second picture shows what a warm-up changes at each rate.",
        "Quand la normalisation précède, la somme grandit de sous-couche en sous-couche, mais non ce que chacune "
        "ajoute ; les gradients du départ sont réguliers dans tous les blocs, et Xiong et al. 2020 en concluent qu'on "
        "peut se passer de warm-up. La seconde figure montre ce qu'un warm-up change à chaque taux.",
    ),
    bounds=(
        Bound(
            "cost",
            Words("mean loss without warm-up / with it", "perte moyenne sans warm-up / avec"),
            at_most=MARGIN,
            ratio=True,
        ),
    ),
    seeds=12,
    tuning=3,
    measure=measure,
    figure="depth",
)
