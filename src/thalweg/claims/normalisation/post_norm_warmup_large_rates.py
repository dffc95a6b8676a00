"""At large learning rates, the norm after each sub-layer needs a warm-up."""

from thalweg.claims.claim import Bound, Claim, Measurement, Seeds
from thalweg.languages import Words

# Four times the rate that is best without warm-up.
RATE = 8e-3
WORSE = 1.2


def measure(seeds: Seeds) -> Measurement:
    """Without warm-up and with it, at one rate."""
    from thalweg.claims.experiments.warmup import AT_ONCE, WARM, losses, mean_loss, train_transformers

    trained = train_transformers("post", [(RATE, AT_ONCE), (RATE, WARM)], seeds.judged)
    without, with_it = mean_loss(trained)
    return Measurement({"cost": without / with_it}, (losses([RATE, RATE], trained),))


CLAIM = Claim(
    name="post-norm-warmup-large-rates",
    slide="RMSNorm",
    statement=Words(
        "At a large learning rate, a transformer with the norm after its sub-layers needs a warm-up.",
        "À un grand taux d'apprentissage, un transformer dont la normalisation suit les sous-couches a besoin d'un "
        "warm-up.",
    ),
    measured=Words(
        "Mean loss over 160 steps of Adam in batches of 16, a transformer of 6 blocks, width 16, 2 heads and LayerNorm "
        "after each sub-layer, that reads a digit as four pairs of rows: with a rise of the rate over the first 32 "
        "steps, and without. The rate is 0.008, four times the one that is best without warm-up. Needs: without it, a "
        "loss at least 1.2 times as high. No batch's loss counts as more than ln 10, that of a network that says "
        "nothing.",
        "Perte moyenne sur 160 pas d'Adam par batchs de 16, pour un transformer de 6 blocs, de largeur 16, à 2 têtes "
        "et LayerNorm après chaque sous-couche, qui lit un chiffre comme quatre paires de lignes : avec une montée du "
        "taux sur les 32 premiers pas, et sans. Le taux est de 0,008, quatre fois le meilleur sans warm-up. A besoin : "
        "sans lui, une perte d'au moins 1,2 fois celle avec. Aucune perte de batch ne compte pour plus de ln 10, celle "
        "d'un réseau qui ne dit rien.",
    ),
    why=Words(
        "With the norm after the sum, gradients at the start are large in the last blocks, where the first steps at a "
        "full rate do harm that later ones do not undo (Xiong et al. 2020). A lower rate is another remedy.",
        "Quand la normalisation suit la somme, les gradients du départ sont grands dans les derniers blocs, où les "
        "premiers pas à un taux entier font des dégâts que les suivants ne réparent pas (Xiong et al. 2020). Un taux "
        "plus faible est un autre remède.",
    ),
    bounds=(
        Bound(
            "cost",
            Words("mean loss without warm-up / with it", "perte moyenne sans warm-up / avec"),
            at_least=WORSE,
            ratio=True,
        ),
    ),
    seeds=20,
    measure=measure,
    figure="depth",
)
