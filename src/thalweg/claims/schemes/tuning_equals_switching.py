"""What is gained by a better learning rate, against what is gained by a better optimizer."""

from typing import TYPE_CHECKING

import numpy as np

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.languages import Words

if TYPE_CHECKING:
    from thalweg.claims.experiments.training import Array

# The learning rates that each is tuned over. The first is its usual one.
RATES = {
    "momentum": (0.1, 0.03, 0.3, 1.0, 3.0, 10.0),
    "nag": (0.01, 0.003, 0.03, 0.1, 0.3, 1.0),
    "rmsprop": (0.01, 0.0003, 0.001, 0.003, 0.03, 0.1),
    "adam": (0.001, 0.0003, 0.003, 0.01, 0.03, 0.1),
    "adamw": (0.001, 0.0003, 0.003, 0.01, 0.03, 0.1),
    "lion": (0.0001, 0.00003, 0.0003, 0.001, 0.003, 0.01),
}
CALLED = ("momentum", "Nesterov", "RMSProp", "Adam", "AdamW", "Lion")
STEPS, WIDTH, BATCH = 300, 32, 32


def measure(seeds: Seeds) -> Measurement:
    """Rates, and the best optimizer, are chosen on other seeds."""
    from thalweg.claims.experiments.training import best, mlp, train

    usual, tuned, known = [], [], []
    for rule, rates in RATES.items():
        grid = [{"lr": lr} for lr in rates]
        tried = train(lambda: mlp(width=WIDTH), rule, grid, seeds.tuning, steps=STEPS, batch=BATCH).test_loss
        chosen = best(tried)
        known.append(tried[chosen])
        pair = [grid[0], grid[chosen]]
        first, second = train(lambda: mlp(width=WIDTH), rule, pair, seeds.judged, steps=STEPS, batch=BATCH).test_loss
        usual.append(first)
        tuned.append(second)
    before, after = np.array(usual), np.array(tuned)
    rate = np.median(before / after, axis=0)
    optimizer = np.median(after, axis=0) / after[best(np.array(known))]
    title = Words("Test loss of each optimizer", "Perte en test de chaque optimizer")
    named = (
        (Words("usual learning rate", "taux d'apprentissage usuel"), before),
        (Words("best learning rate", "meilleur taux d'apprentissage"), after),
    )
    panel = Panel(
        title,
        Words("optimizer", "optimizer"),
        Words("test loss", "perte en test"),
        tuple(_dots(name, losses) for name, losses in named),
        log_y=True,
        ticks=tuple(Words(called, called) for called in CALLED),
    )
    return Measurement({"gains": (rate / optimizer).tolist()}, (panel,))


def _dots(name: Words, losses: "Array") -> Curve:
    """From losses, (optimizers, seeds)."""
    low, middle, high = np.quantile(losses, (0.25, 0.5, 0.75), axis=1).tolist()
    return Curve(name, [float(k) for k in range(len(losses))], middle, low, high, kind="dots")


CLAIM = Claim(
    name="tuning-equals-switching",
    slide="Quel optimizer choisir ?",
    statement=Words(
        "Choosing the learning rate well gains at least as much as choosing the optimizer well.",
        "Bien choisir le taux d'apprentissage fait gagner au moins autant que bien choisir l'optimizer.",
    ),
    measured=Words(
        "Two factors of the test loss after 300 steps, of momentum, Nesterov, RMSProp, Adam, AdamW and Lion on the "
        "digits, a network 64-32-10, batches of 32: the median, over the six, of what the best of six learning rates "
        "gains over the usual one, and the median loss of the six over that of the best one, each at its best rate. "
        "16 trainings each; rates, and the best optimizer, are chosen on 4 other seeds.",
        "Deux facteurs de la perte en test après 300 pas, avec momentum, Nesterov, RMSProp, Adam, AdamW et Lion sur "
        "les chiffres manuscrits, un réseau 64-32-10, des batchs de 32 : la médiane, sur les six, de ce que le "
        "meilleur de six taux d'apprentissage fait gagner face à l'usuel, et la perte médiane des six face à celle du "
        "meilleur, chacun à son meilleur taux. 16 entraînements chacun ; les taux et le meilleur optimizer sont "
        "choisis sur 4 autres graines.",
    ),
    why=Words(
        "Tuned, optimizers often end close to one another: much of what tells them apart as they come is the length "
        "of their steps. Schmidt et al. (2021) found so on eight larger tasks; they also found that trying several "
        "optimizers as they come does about as well as tuning one, since among many usual rates one may suit. How "
        "much a rate gains depends on how far off the usual one is, and the shorter a training is, the more it loses "
        "by a rate that is too small.",
        "Réglés, les optimizers finissent souvent proches les uns des autres : une bonne part de ce qui les distingue "
        "tels quels est la longueur de leurs pas. Schmidt et al. (2021) l'ont trouvé sur huit tâches plus grandes ; "
        "ils ont aussi trouvé qu'essayer plusieurs optimizers tels quels vaut à peu près autant qu'en régler un, car "
        "parmi beaucoup de taux usuels l'un peut convenir. Ce qu'un taux fait gagner dépend de la distance à l'usuel, "
        "et plus un entraînement est court, plus un taux trop petit lui coûte.",
    ),
    bounds=(
        Bound(
            "gains",
            Words("gain of the rate / gain of the optimizer", "gain du taux / gain de l'optimizer"),
            at_least=1.0,
            ratio=True,
        ),
    ),
    seeds=16,
    tuning=4,
    measure=measure,
    figure="valley",
)
