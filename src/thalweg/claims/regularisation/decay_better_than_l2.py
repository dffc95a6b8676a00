"""Adam with weight decay (AdamW) against Adam with L2 regularisation, each at its best."""

from functools import partial
from itertools import product

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import over_seeds
from thalweg.languages import Words

RATES = (0.001, 0.003, 0.01, 0.03)
DECAYS = {"adam": (0.0003, 0.001, 0.003, 0.01, 0.03), "adamw": (0.03, 0.1, 0.3, 1.0, 3.0)}
NAMES = {"adam": Words("Adam, L2", "Adam, L2"), "adamw": Words("AdamW", "AdamW")}
WIDTH, EXAMPLES, BATCH, STEPS = 32, 100, 32, 300


def measure(seeds: Seeds) -> Measurement:
    """Each with its own best learning rate and decay, chosen on other seeds."""
    from thalweg.claims.experiments.training import best, mlp, train

    trained = partial(train, partial(mlp, width=WIDTH), steps=STEPS, batch=BATCH, examples=EXAMPLES)
    losses, curves = {}, []
    for rule, decays in DECAYS.items():
        grid = [{"lr": lr, "weight_decay": decay} for lr, decay in product(RATES, decays)]
        tuned = trained(rule, grid, seeds.tuning).test_loss
        k = best(tuned)
        losses[rule] = trained(rule, [grid[k]], seeds.judged).test_loss[0]
        by_decay = tuned.reshape(len(RATES), len(decays), -1)[k // len(decays)].T
        # λ by the best of all, since the two have scales of their own.
        scaled = [decay / grid[k]["weight_decay"] for decay in decays]
        curves.append(over_seeds(NAMES[rule], scaled, by_decay, kind="both"))
    title = Words("Loss on test at the best rate", "Perte en test au meilleur taux")
    x, y = Words("λ / best λ", "λ / meilleur λ"), Words("loss on test", "perte en test")
    panel = Panel(title, x, y, tuple(curves), log_x=True)
    return Measurement({"better": losses["adamw"] / losses["adam"]}, (panel,))


CLAIM = Claim(
    name="decay-better-than-l2",
    slide="Problème de la régularisation",
    statement=Words(
        "With an adaptive method, weight decay is to be preferred to L2 regularisation: its loss on test is lower.",
        "Avec une méthode adaptative, il faut préférer le weight decay à la régularisation L2 : la perte en test est "
        "plus faible.",
    ),
    measured=Words(
        "Loss on test of AdamW over that of Adam with L2: a network 64-32-10, 100 of the digits, 300 steps with "
        "batches of 32; each at its best of four learning rates from 0.001 to 0.03 and five λ (L2 from 0.0003 to "
        "0.03, weight decay from 0.03 to 3), chosen on 12 other seeds; 64 seeds.",
        "Perte en test d'AdamW, rapportée à celle d'Adam avec L2 : réseau 64-32-10, 100 chiffres manuscrits, 300 pas "
        "avec des batchs de 32 ; chacun au meilleur de quatre taux d'apprentissage de 0,001 à 0,03 et de cinq λ (L2 "
        "de 0,0003 à 0,03, weight decay de 0,03 à 3), choisi sur 12 autres graines ; 64 graines.",
    ),
    why=Words(
        "Under Adam the two are different regularisations (see l2-shrinks-unequally-with-scaling); which of them is "
        "better is a question of the task, not of the formula. Loshchilov and Hutter (2019) found weight decay better "
        "with deep convolutional networks and long schedules, which are not measured here.",
        "Avec Adam, ce sont deux régularisations différentes (voir l2-shrinks-unequally-with-scaling) ; laquelle est "
        "la meilleure dépend de la tâche, pas de la formule. Loshchilov et Hutter (2019) ont trouvé le weight decay "
        "meilleur avec des réseaux convolutifs profonds et de longs schedules, qui ne sont pas mesurés ici.",
    ),
    bounds=(
        Bound(
            "better",
            Words("loss on test, AdamW / Adam with L2", "perte en test, AdamW / Adam avec L2"),
            at_most=0.95,
            ratio=True,
        ),
    ),
    seeds=64,
    tuning=12,
    measure=measure,
    figure="decay",
)
