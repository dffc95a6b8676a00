"""At a rate that suits the norm before, the norm after each sub-layer needs a warm-up."""

from thalweg.claims.claim import Bound, Claim, Measurement, Seeds
from thalweg.languages import Words

RATES = (2e-3, 4e-3, 8e-3, 1.6e-2)
WORSE = 1.2


def measure(seeds: Seeds) -> Measurement:
    """The rate is the best for pre-norm without warm-up, chosen on other seeds."""
    from thalweg.claims.experiments.training import best
    from thalweg.claims.experiments.warmup import AT_ONCE, WARM, losses, mean_loss, train_transformers

    grid = [(rate, AT_ONCE) for rate in RATES]
    rate = RATES[best(mean_loss(train_transformers("pre", grid, seeds.tuning)))]
    trained = train_transformers("post", [(rate, AT_ONCE), (rate, WARM)], seeds.judged)
    without, with_it = mean_loss(trained)
    return Measurement({"cost": without / with_it}, (losses([rate, rate], trained),))


CLAIM = Claim(
    name="post-norm-warmup-at-pre-rate",
    slide="RMSNorm",
    statement=Words(
        "At the learning rate that suits the norm before the sub-layers, the norm after them needs a warm-up.",
        "Au taux d'apprentissage qui convient à la normalisation avant les blocs, la normalisation après a besoin d'un "
        "warm-up.",
    ),
    measured=Words(
        "Mean loss over 160 steps of Adam in batches of 16, a transformer of 6 blocks, width 16, 2 heads and LayerNorm "
        "after each sub-layer, that reads a digit as four pairs of rows: with a rise of the rate over the first 32 "
        "steps, and without. The rate is the best of four from 0.002 to 0.016 for the same with the norm before, "
        "without warm-up, chosen on 3 other seeds. Needs: a loss of 1.2 times without it.",
        "Perte moyenne sur 160 pas d'Adam par batchs de 16, pour un transformer de 6 blocs, de largeur 16, à 2 têtes "
        "et LayerNorm après chaque bloc, qui lit un chiffre comme quatre paires de lignes : avec une montée du taux "
        "sur les 32 premiers pas, et sans. Le taux est le meilleur de quatre de 0,002 à 0,016 pour le même avec la "
        "normalisation avant, sans warm-up, choisi sur 3 autres graines. A besoin : une perte de 1,2 fois sans lui.",
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
    seeds=12,
    tuning=3,
    measure=measure,
    figure="depth",
)
