"""A transformer with the norm after each sub-layer needs a warm-up, even at a rate of its own."""

from thalweg.claims.claim import Bound, Claim, Measurement, Seeds
from thalweg.languages import Words

RATES = (1e-3, 2e-3, 4e-3, 8e-3)
WORSE = 1.2


def measure(seeds: Seeds) -> Measurement:
    """Without warm-up and with it, each with its own best learning rate, chosen on other seeds."""
    from thalweg.claims.experiments.warmup import with_and_without

    cost, figure = with_and_without("post", RATES, seeds)
    return Measurement({"cost": cost}, figure)


CLAIM = Claim(
    name="post-norm-needs-warmup",
    slide="RMSNorm",
    statement=Words(
        "A transformer with the norm after its sub-layers needs a warm-up, even at its best learning rate.",
        "Un transformer dont la normalisation suit les sous-couches a besoin d'un warm-up, même à son meilleur taux "
        "d'apprentissage.",
    ),
    measured=Words(
        "Mean loss over 160 steps of Adam in batches of 16, a transformer of 6 blocks, width 16, 2 heads and LayerNorm "
        "after each sub-layer, that reads a digit as four pairs of rows: with a rise of the rate over the first 32 "
        "steps, and without, each at the best of four rates from 0.001 to 0.008, chosen on 3 other seeds. Needs: "
        "without it, a loss at least 1.2 times as high.",
        "Perte moyenne sur 160 pas d'Adam par batchs de 16, pour un transformer de 6 blocs, de largeur 16, à 2 têtes "
        "et LayerNorm après chaque sous-couche, qui lit un chiffre comme quatre paires de lignes : avec une montée du "
        "taux sur les 32 premiers pas, et sans, chacun au meilleur de quatre taux de 0,001 à 0,008, choisi sur 3 "
        "autres graines. A besoin : sans lui, une perte d'au moins 1,2 fois celle avec.",
    ),
    why=Words(
        "With the norm after the sum, gradients at the start are large in the last blocks, and a full rate does harm "
        "there (Xiong et al. 2020, on translation, with far larger networks). A lower rate from the start is another "
        "remedy; the second picture shows what a warm-up changes at each rate.",
        "Quand la normalisation suit la somme, les gradients du départ sont grands dans les derniers blocs, et un taux "
        "entier y fait des dégâts (Xiong et al. 2020, en traduction, avec des réseaux bien plus grands). Un taux plus "
        "faible dès le départ est un autre remède ; la seconde figure montre ce qu'un warm-up change à chaque taux.",
    ),
    bounds=(
        Bound(
            "cost",
            Words("mean loss without warm-up / with it", "perte moyenne sans warm-up / avec"),
            at_least=WORSE,
            ratio=True,
        ),
    ),
    seeds=12,
    tuning=3,
    measure=measure,
    figure="depth",
)
