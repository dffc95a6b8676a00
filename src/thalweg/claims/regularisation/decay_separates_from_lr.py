"""How far the best decay moves with the learning rate: with L2, and with both forms of decoupled decay."""

from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import RATE, over_seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from thalweg.claims.experiments.training import Array

RATES = (0.003, 0.01, 0.03)
# Powers of ten, equally far apart.
POWERS = {"adam": (-2.5, -2.0, -1.5, -1.0, -0.5), "adamw": (-1.0, -0.5, 0.0, 0.5, 1.0)}
WIDTH, EXAMPLES, WRONG, BATCH, STEPS = 32, 200, 0.2, 32, 600
NAMES = {
    "l2": Words("L2", "L2"),
    "library": Words("weight decay, lr × λ", "weight decay, lr × λ"),
    "paper": Words("weight decay, λ alone (paper)", "weight decay, λ seul (article)"),
}


def measure(seeds: Seeds) -> Measurement:
    """For each seed the best decay at each rate, and the slope through these."""
    from thalweg.claims.experiments.training import mlp, train

    lowest = {}
    for rule, powers in POWERS.items():
        grid = [{"lr": lr, "weight_decay": 10**power} for lr, power in product(RATES, powers)]
        model = partial(mlp, width=WIDTH)
        trained = train(model, rule, grid, seeds.judged, steps=STEPS, batch=BATCH, examples=EXAMPLES, wrong=WRONG)
        losses = np.log(trained.test_loss.T).reshape(-1, len(RATES), len(powers))
        lowest[rule] = np.array([[vertex(powers, row) for row in each] for each in losses])
    # At a constant rate the paper's λ is lr times the library's, and the trainings are the same.
    best = {"l2": lowest["adam"], "library": lowest["adamw"], "paper": lowest["adamw"] + np.log10(RATES)}
    shift = {name: np.abs([np.polyfit(np.log10(RATES), row, 1)[0] for row in each]) for name, each in best.items()}
    curves = tuple(over_seeds(NAMES[name], RATES, 10**each, kind="both") for name, each in best.items())
    panel = Panel(
        Words("Best decay by learning rate", "Meilleur decay selon le taux d'apprentissage"),
        RATE,
        Words("best λ", "meilleur λ"),
        curves,
        log_x=True,
        log_y=True,
    )
    return Measurement({name: (shift["l2"] - shift[name]).tolist() for name in ("paper", "library")}, (panel,))


def vertex(x: tuple[float, ...], y: "Array") -> float:
    """Where the parabola through the least of the values y and its neighbours is lowest; x equally far apart."""
    k = int(np.clip(np.argmin(y), 1, len(x) - 2))
    left, middle, right = y[k - 1 : k + 2]
    bent = left - 2 * middle + right
    # No farther than the neighbours, where the least value is at an end.
    moved = np.clip((left - right) / 2 / bent, -1, 1) if bent > 0 else np.sign(left - right)
    return float(x[k] + (x[1] - x[0]) * moved)


CLAIM = Claim(
    name="decay-separates-from-lr",
    slide="Problème de la régularisation",
    statement=Words(
        "With weight decay the best λ depends less on the learning rate than with L2 regularisation.",
        "Avec le weight decay, le meilleur λ dépend moins du taux d'apprentissage qu'avec la régularisation L2.",
    ),
    measured=Words(
        "By how many powers of ten the best λ, by loss on test, moves when the learning rate grows tenfold, at rates "
        "from 0.003 to 0.03: how much farther for Adam with L2 than for AdamW, whose λ is multiplied by the rate "
        "(libraries) or not (the paper). A network 64-32-10, 200 of the digits with 20% of labels wrong, 600 steps "
        "with batches of 32, five λ a factor of sqrt(10) apart, a parabola through the least three; 12 seeds.",
        "De combien de puissances de dix le meilleur λ, selon la perte en test, se déplace quand le taux "
        "d'apprentissage est multiplié par dix, entre 0,003 et 0,03 : l'écart entre Adam avec L2 et AdamW, dont le λ "
        "est multiplié par le taux (bibliothèques) ou non (article). Réseau 64-32-10, 200 chiffres manuscrits avec 20 "
        "% d'étiquettes fausses, 600 pas avec des batchs de 32, cinq λ espacés d'un facteur sqrt(10), une parabole "
        "par les trois plus bas ; 12 graines.",
    ),
    why=Words(
        "Loshchilov and Hutter (2019, figures 1 and 2) saw the best λ of L2 fall as the rate rises, and that of their "
        "decay stay. What is balanced matters: in a training too short to settle, lr × λ × steps counts with "
        "libraries' weight decay, λ × steps with the paper's. In one that settles, the rate cancels where it "
        "multiplies both gradient and decay, with L2 as in libraries; in the paper's form λ alone stands against lr "
        "times the gradient, so that the best λ grows with the rate.",
        "Loshchilov et Hutter (2019, figures 1 et 2) ont vu le meilleur λ de L2 baisser quand le taux monte, et celui "
        "de leur decay rester. Tout dépend de ce qui s'équilibre : dans un entraînement trop court pour se "
        "stabiliser, c'est lr × λ × pas qui compte avec le weight decay des bibliothèques, λ × pas avec celui de "
        "l'article. Dans un entraînement qui se stabilise, le taux se simplifie là où il multiplie gradient et decay, "
        "avec L2 comme dans les bibliothèques ; sous la forme de l'article, λ seul fait face à lr fois le gradient, "
        "et le meilleur λ croît avec le taux.",
    ),
    bounds=(
        Bound(
            "paper",
            Words(
                "shift with L2 - shift with weight decay as in the paper",
                "déplacement avec L2 - avec le weight decay de l'article",
            ),
            at_least=0.25,
        ),
        Bound(
            "library",
            Words(
                "shift with L2 - shift with weight decay as in libraries",
                "déplacement avec L2 - avec le weight decay des bibliothèques",
            ),
            at_least=0.25,
        ),
    ),
    seeds=12,
    measure=measure,
    figure="decay",
)
