"""Whether L2, which momentum propagates, ends in a worse network than weight decay beside it."""

from functools import partial

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import over_seeds
from thalweg.languages import Words

LR, MOMENTUM = 1.0, 0.9
DECAYS = (0.0003, 0.001, 0.003, 0.01, 0.03)
WIDTH, EXAMPLES, BATCH, STEPS = 32, 200, 32, 300
NAMES = {"l2": Words("L2", "L2"), "decoupled": Words("weight decay", "weight decay")}


def measure(seeds: Seeds) -> Measurement:
    """Each with its own best decay, chosen on other seeds."""
    from thalweg.claims.experiments.training import best, mlp, train

    model = partial(mlp, width=WIDTH)
    losses, curves = {}, []
    for kind, name in NAMES.items():
        grid = [{"lr": LR, "momentum": MOMENTUM, "weight_decay": decay, "decay": kind} for decay in DECAYS]
        tuned = train(model, "momentum", grid, seeds.tuning, steps=STEPS, batch=BATCH, examples=EXAMPLES).test_loss
        chosen = [grid[best(tuned)]]
        trained = train(model, "momentum", chosen, seeds.judged, steps=STEPS, batch=BATCH, examples=EXAMPLES)
        losses[kind] = trained.test_loss[0]
        curves.append(over_seeds(name, DECAYS, tuned.T, kind="both", dashed=kind == "l2"))
    title = Words("Loss on test by decay", "Perte en test selon le decay")
    panel = Panel(title, Words("decay λ", "decay λ"), Words("loss on test", "perte en test"), tuple(curves), log_x=True)
    return Measurement({"worse": losses["l2"] / losses["decoupled"]}, (panel,))


CLAIM = Claim(
    name="l2-harms-momentum",
    slide="Problème de la régularisation",
    statement=Words(
        "That momentum propagates L2 regularisation does harm: weight decay ends at a lower loss on test.",
        "La propagation de la régularisation L2 par le momentum nuit : le weight decay atteint une perte en test plus "
        "faible.",
    ),
    measured=Words(
        "Loss on test with L2 over that with weight decay: momentum 0.9 at a learning rate of 1, a network 64-32-10, "
        "200 of the digits, 300 steps with batches of 32; each at its best of five λ from 0.0003 to 0.03, chosen on 8 "
        "other seeds; 48 seeds.",
        "Perte en test avec L2, rapportée à celle avec weight decay : momentum 0,9 avec un taux d'apprentissage de 1, "
        "réseau 64-32-10, 200 chiffres manuscrits, 300 pas avec des batchs de 32 ; chacun au meilleur de cinq λ, de "
        "0,0003 à 0,03, choisi sur 8 autres graines ; 48 graines.",
    ),
    why=Words(
        "Under momentum L2's share of a step comes some 1 / (1 - γ) steps late, but all of it comes, and at a "
        "constant rate, with the gradient of all examples, both rest at the same weights. Weights change slowly "
        "against so short a delay. It is the scaling of adaptive rules, not momentum, that makes L2 another "
        "regularisation (Loshchilov and Hutter 2019).",
        "Avec momentum, la part de L2 dans un pas arrive avec environ 1 / (1 - γ) pas de retard, mais elle arrive "
        "tout entière, et à taux constant, avec le gradient de tous les exemples, les deux s'arrêtent aux mêmes "
        "poids. Les poids changent lentement à l'échelle d'un retard si court. C'est la normalisation des méthodes "
        "adaptatives, et non le momentum, qui fait de L2 une autre régularisation (Loshchilov et Hutter 2019).",
    ),
    bounds=(
        Bound(
            "worse",
            Words("loss on test with L2 / with weight decay", "perte en test avec L2 / avec weight decay"),
            at_least=1.02,
            ratio=True,
        ),
    ),
    seeds=48,
    tuning=8,
    measure=measure,
    figure="decay",
)
