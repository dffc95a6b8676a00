"""At momentum 1, which the slide's interval holds, the slide's form never moves."""

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import BATCH_LOSS, LOSS, STEP, over_seeds, steps_of
from thalweg.formula import Hyper
from thalweg.languages import Words
from thalweg.rules import Momentum

RATES = (0.01, 0.1, 1.0)
STEPS = 150
# The slide's form at three momenta, and the running sum at 1, which bears only a small rate.
FORMS = (
    (Words("average, γ = 0.9", "moyenne, γ = 0,9"), {"lr": 1.0, "momentum": 0.9}),
    (Words("average, γ = 0.99", "moyenne, γ = 0,99"), {"lr": 1.0, "momentum": 0.99}),
    (Words("running sum, γ = 1", "somme, γ = 1"), {"lr": 0.001, "momentum": 1.0, "heavy_ball": True}),
    (Words("average, γ = 1", "moyenne, γ = 1"), {"lr": 1.0, "momentum": 1.0}),
)


class Closed(Momentum):
    """Momentum whose interval has its end; the catalogue's refuses 1."""

    lr = Hyper(0.1)
    momentum = Hyper(0.9)


def measure(seeds: Seeds) -> Measurement:
    """All at once; of the learning rates at γ = 1 the one that ends lowest counts, for each seed."""
    from thalweg.claims.experiments.training import CHANCE, mlp, train

    judged = [{"lr": lr, "momentum": 1.0} for lr in RATES]
    trained = train(mlp, Closed, [*judged, *(form for _, form in FORMS)], seeds.judged, steps=STEPS, batch=32)
    shown = zip(FORMS, trained.batch_loss[len(judged) :], strict=True)
    curves = tuple(over_seeds(name, steps_of(losses), losses) for (name, _), losses in shown)
    return Measurement(
        {"left": trained.train_loss[: len(judged)].min(0) / CHANCE},
        (Panel(BATCH_LOSS, STEP, LOSS, curves, log_y=True),),
    )


CLAIM = Claim(
    name="momentum-one",
    slide="Avec momentum",
    statement=Words(
        "Any momentum γ in [0, 1] can be used, so 1 as well: the network still learns.",
        "Tout momentum γ de [0, 1] peut servir, donc 1 aussi : le réseau apprend encore.",
    ),
    measured=Words(
        "The loss over the training part after 150 steps, over that of a network that gives every class the same "
        "probability, ln 10: on the digits, a network 64-64-10, batches of 32, in the slide's form with γ = 1, at the "
        "best of the learning rates 0.01, 0.1 and 1 for each of 8 seeds. Beside it, for the figure, γ = 0.9 and 0.99 "
        "at the learning rate 1, and the running sum with γ = 1 at 0.001.",
        "La perte sur la partie d'entraînement après 150 pas, rapportée à celle d'un réseau qui donne la même "
        "probabilité à chaque classe, ln 10 : sur les chiffres manuscrits, un réseau 64-64-10, des batchs de 32, sous "
        "la forme de la diapositive avec γ = 1, au meilleur des taux d'apprentissage 0,01, 0,1 et 1 pour chacune des 8 "
        "graines. À côté, pour la figure, γ = 0,9 et 0,99 au taux d'apprentissage 1, et la somme avec γ = 1 à 0,001.",
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
    measure=measure,
    figure="momentum",
)
