"""At momentum 1, which the slide's interval holds, the slide's form never moves."""

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, over_seeds, steps_of
from thalweg.formula import Hyper
from thalweg.languages import Words
from thalweg.rules import Momentum

RATES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
STEPS = 300
# The slide's form at three momenta, and the running sum at 1.
FORMS = (
    (Words("average, γ = 0.9, lr {:g}", "moyenne, γ = 0,9, lr {:g}"), {"momentum": 0.9}),
    (Words("average, γ = 0.99, lr {:g}", "moyenne, γ = 0,99, lr {:g}"), {"momentum": 0.99}),
    (Words("average, γ = 1, lr {:g}", "moyenne, γ = 1, lr {:g}"), {"momentum": 1.0}),
    (Words("running sum, γ = 1, lr {:g}", "somme, γ = 1, lr {:g}"), {"momentum": 1.0, "heavy_ball": True}),
)
JUDGED = 2


class Closed(Momentum):
    """Momentum whose interval has its end; the catalogue's refuses 1."""

    lr = Hyper(0.1)
    momentum = Hyper(0.9)


def measure(seeds: Seeds) -> Measurement:
    """Each form at its own best learning rate, chosen on other seeds."""
    from thalweg.claims.training import CHANCE, best, mlp, train

    curves, left = [], []
    for name, form in FORMS:
        grid = [{"lr": lr, **form} for lr in RATES]
        chosen = grid[best(train(mlp, Closed, grid, seeds.tuning, steps=STEPS, batch=32).train_loss)]
        trained = train(mlp, Closed, [chosen], seeds.judged, steps=STEPS, batch=32)
        left.append(trained.train_loss[0] / CHANCE)
        name = Words(*(text.format(chosen["lr"]) for text in name))
        curves.append(over_seeds(name, steps_of(trained.batch_loss), trained.batch_loss[0]))
    return Measurement({"left": left[JUDGED]}, (Panel(BATCH_LOSS, STEP, LOSS, tuple(curves), log_y=True),))


CLAIM = Claim(
    name="momentum-one",
    slide="Avec momentum",
    statement=Words(
        "Any momentum γ in [0, 1] can be used, so 1 as well: the network still learns.",
        "Tout momentum γ de [0, 1] peut servir, donc 1 aussi : le réseau apprend encore.",
    ),
    measured=Words(
        "The loss over the training part after 300 steps, over that of a network that gives every class the same "
        "probability, ln 10: on the digits, a network 64-64-10, batches of 32, in the slide's form with γ = 1, at the "
        "best of ten learning rates from 0.0001 to 3, chosen on 3 others. Beside it, for the figure, γ = 0.9, γ = "
        "0.99, and the running sum with γ = 1, each at its best learning rate.",
        "La perte sur la partie d'entraînement après 300 pas, rapportée à celle d'un réseau qui donne la même "
        "probabilité à chaque classe, ln 10 : sur les chiffres manuscrits, un réseau 64-64-10, des batchs de 32, sous "
        "la forme de la diapositive avec γ = 1, au meilleur de dix taux d'apprentissage de 0,0001 à 3, choisi sur 3 "
        "autres graines. À côté, pour la figure, γ = 0,9, γ = 0,99, et la somme avec γ = 1, chacun à son meilleur taux "
        "d'apprentissage.",
    ),
    why=Words(
        "At γ = 1 the slide's velocity is v ← v + 0 × gradient: it begins at 0 and stays there, so no weight ever "
        "moves. The interval must be [0, 1). In the running sum, v ← v + gradient (Polyak 1964), weights do move at γ "
        "= 1, but without friction: on a quadratic the oscillation never dies; a small rate may still lower the loss "
        "within a short training.",
        "Avec γ = 1, la vélocité de la diapositive est v ← v + 0 × gradient : elle part de 0 et y reste, si bien "
        "qu'aucun poids ne bouge. L'intervalle doit être [0, 1[. Avec la somme, v ← v + gradient (Polyak 1964), les "
        "poids bougent même avec γ = 1, mais sans frottement : sur une quadratique, l'oscillation ne s'éteint jamais ; "
        "un petit taux peut encore faire baisser la perte pendant un entraînement court.",
    ),
    bounds=(
        Bound(
            "left",
            Words("loss in the end / ln 10", "perte à la fin / ln 10"),
            at_most=0.5,
            share=True,
        ),
    ),
    seeds=8,
    tuning=3,
    measure=measure,
)
