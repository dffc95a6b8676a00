"""Whether Lion's two betas have roles as clear as Adam's: what exchanging them does."""

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, over_seeds, steps_of
from thalweg.languages import Words

STEPS, WIDTH, BATCH = 300, 32, 32
# The usual betas, and rates around the best of either order.
RULES = {
    "lion": ("Lion", (0.9, 0.99), (3e-4, 1e-3, 3e-3, 1e-2)),
    "adam": ("Adam", (0.9, 0.999), (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)),
}
EXCHANGED = Words("{}, exchanged", "{}, échangés")


def measure(seeds: Seeds) -> Measurement:
    """Each rule with its betas as they are and exchanged, each at its own best learning rate."""
    from thalweg.claims.experiments.training import best, mlp, train

    curves, harm = [], {}
    for rule, (called, betas, rates) in RULES.items():
        chosen = []
        for order in (betas, betas[::-1]):
            grid = [{"lr": lr, "betas": order} for lr in rates]
            tried = train(lambda: mlp(width=WIDTH), rule, grid, seeds.tuning, steps=STEPS, batch=BATCH)
            chosen.append(grid[best(tried.train_loss)])
        trained = train(lambda: mlp(width=WIDTH), rule, chosen, seeds.judged, steps=STEPS, batch=BATCH)
        harm[rule] = trained.train_loss[1] / trained.train_loss[0]
        for k, name in enumerate((Words(called, called), Words(*(text.format(called) for text in EXCHANGED)))):
            curves.append(over_seeds(name, steps_of(trained.batch_loss), trained.batch_loss[k], dashed=k == 1))
    return Measurement(
        {"less": harm["lion"] / harm["adam"]},
        (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),),
    )


CLAIM = Claim(
    name="lion-betas",
    slide="Optimizer Lion",
    statement=Words(
        "Lion's two betas have no roles as clear as Adam's: exchanging them harms a training less.",
        "Les deux bêtas de Lion n'ont pas un rôle aussi clair que ceux d'Adam : les échanger nuit moins à un "
        "entraînement.",
    ),
    measured=Words(
        "The training loss after 300 steps with beta1 and beta2 exchanged, divided by that without: of Lion (0.9 and "
        "0.99) against Adam (0.9 and 0.999). On the digits, a network 64-32-10, batches of 32, 16 trainings each, at "
        "the best of four or five learning rates for each order of the betas, chosen on 6 other seeds.",
        "La perte d'entraînement après 300 pas avec beta1 et beta2 échangés, divisée par celle sans échange : pour "
        "Lion (0,9 et 0,99) face à Adam (0,9 et 0,999). Sur les chiffres manuscrits, un réseau 64-32-10, des batchs "
        "de 32, 16 entraînements chacun, au meilleur de quatre ou cinq taux d'apprentissage pour chaque ordre des "
        "bêtas, choisi sur 6 autres graines.",
    ),
    why=Words(
        "Adam has two averages, of the gradient and of its square: with beta1² above beta2, m remembers gradients "
        "that v has forgotten the size of, and steps may be of any length. Lion has one average and a sign: beta2 is "
        "its memory, beta1 how much it counts against the newest gradient, and in either order a step has one length "
        "(Chen et al. 2023). So Lion's betas have roles too, which one can state, but they cannot change the length "
        "of a step.",
        "Adam a deux moyennes, du gradient et de son carré : avec beta1² au-dessus de beta2, m se souvient de "
        "gradients dont v a oublié la taille, et les pas peuvent avoir toutes les longueurs. Lion a une moyenne et un "
        "signe : beta2 est sa mémoire, beta1 le poids de celle-ci face au dernier gradient, et quel que soit leur "
        "ordre, un pas a toujours la même longueur (Chen et al. 2023). Les bêtas de Lion ont donc aussi des rôles, "
        "que l'on peut dire, mais ils ne changent pas la longueur d'un pas.",
    ),
    bounds=(
        Bound(
            "less",
            Words("harm of the exchange, Lion / Adam", "dommage de l'échange, Lion / Adam"),
            at_most=1.0,
            ratio=True,
        ),
    ),
    seeds=16,
    tuning=6,
    measure=measure,
    figure="sign",
)
