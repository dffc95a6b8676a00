"""The norm directly before each sub-layer trains faster than the norm after it."""

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, filled, over_seeds, steps_of
from thalweg.languages import Words

RATES = {"pre": (2e-3, 4e-3, 8e-3, 1.6e-2), "post": (1e-3, 2e-3, 4e-3, 8e-3)}
NAMES = {"pre": Words("norm before, lr {}", "avant, lr {}"), "post": Words("norm after, lr {}", "après, lr {}")}
BETTER = 1.1


def measure(seeds: Seeds) -> Measurement:
    """Both with warm-up, each with its own best learning rate, chosen on other seeds."""
    from thalweg.claims.experiments.training import best
    from thalweg.claims.experiments.warmup import WARM, mean_loss, train_transformers

    curves, losses = [], {}
    for norm, name in NAMES.items():
        grid = [(rate, WARM) for rate in RATES[norm]]
        chosen = grid[best(mean_loss(train_transformers(norm, grid, seeds.tuning)))]
        trained = train_transformers(norm, [chosen], seeds.judged)
        losses[norm] = mean_loss(trained)[0]
        named = filled(name, chosen[0])
        curves.append(over_seeds(named, steps_of(trained.batch_loss), trained.batch_loss[0]))
    return Measurement(
        {"cost": losses["post"] / losses["pre"]},
        (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),),
    )


CLAIM = Claim(
    name="pre-norm-better",
    slide="RMSNorm",
    statement=Words(
        "A transformer trains faster with the norm directly before its attention and feed-forward blocks than after "
        "them.",
        "Un transformer s'entraîne plus vite quand la normalisation précède directement les blocs d'attention et de "
        "Feed Forward Network que quand elle les suit.",
    ),
    measured=Words(
        "Mean loss over 160 steps of Adam in batches of 16, a transformer of 6 blocks, width 16, 2 heads and "
        "LayerNorm, that reads a digit as four pairs of rows. Both with a rise of the rate over the first 32 steps, "
        "each at the best of four rates, before from 0.002 to 0.016 and after from 0.001 to 0.008, chosen on 3 other "
        "seeds. Faster: a mean loss at least 10% higher with the norm after.",
        "Perte moyenne sur 160 pas d'Adam par batchs de 16, pour un transformer de 6 blocs, de largeur 16, à 2 têtes "
        "et LayerNorm, qui lit un chiffre comme quatre paires de lignes. Les deux avec une montée du taux sur les 32 "
        "premiers pas, chacun au meilleur de quatre taux, avant de 0,002 à 0,016 et après de 0,001 à 0,008, choisi sur "
        "3 autres graines. Plus vite : une perte moyenne plus haute d'au moins 10 % avec la normalisation après.",
    ),
    why=Words(
        "With the norm before, the sum of all blocks runs through the network untouched, and so does its gradient; "
        "with the norm after, each block scales both anew (Xiong et al. 2020). That says how fast it trains, not where "
        "a long training ends: there post-norm may be the better one.",
        "Quand la normalisation précède, la somme de tous les blocs traverse le réseau intacte, et son gradient "
        "aussi ; quand elle suit, chaque bloc remet les deux à l'échelle (Xiong et al. 2020). Cela dit la vitesse de "
        "l'entraînement, non où un long entraînement finit : là, post-norm peut être meilleure.",
    ),
    bounds=(
        Bound(
            "cost",
            Words("mean loss with the norm after / before", "perte moyenne avec la normalisation après / avant"),
            at_least=BETTER,
            ratio=True,
        ),
    ),
    seeds=16,
    tuning=3,
    measure=measure,
    figure="depth",
)
