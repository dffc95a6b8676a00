"""The learning rate moved tenfold harms more than any other hyperparameter moved as far."""

from collections.abc import Mapping, Sequence
from typing import Any

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.languages import Words

Settings = Mapping[str, Any]

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
STEPS, BATCH, WIDTH = 150, 32, 32
# What the lecture gives each scheme, beside the learning rate, at its usual value.
SCHEMES: Mapping[str, Settings] = {
    "momentum": {"momentum": 0.9},
    "adagrad": {"eps": 1e-10},
    "rmsprop": {"alpha": 0.99, "eps": 1e-8},
    "adamw": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01},
    "lion": {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1},
}
TITLES = {"momentum": "momentum", "adagrad": "AdaGrad", "rmsprop": "RMSProp", "adamw": "AdamW", "lion": "Lion"}
# A decay rate's memory, 1 / (1 - rate), is moved; eps by more, since it spans many decades.
DECAYS = ("momentum", "alpha", "beta1", "beta2")
FACTOR, EPS_FACTOR = 10.0, 1e4
# Hyperparameters of one part in the scheme, to be drawn alike.
SHOWN = (
    (Words("learning rate", "taux d'apprentissage"), ("lr",)),
    (Words("γ, β₁", "γ, β₁"), ("momentum", "beta1")),
    (Words("α, β₂", "α, β₂"), ("alpha", "beta2")),
    (Words("ε", "ε"), ("eps",)),
    (Words("weight decay", "weight decay"), ("weight_decay",)),
)


def measure(seeds: Seeds) -> Measurement:
    """Around the best learning rate, chosen on other seeds, one hyperparameter at a time is moved either way."""
    import numpy as np

    from thalweg.claims.experiments.training import best, mlp, train

    harms: dict[str, dict[str, Any]] = {}
    for scheme, usual in SCHEMES.items():

        def losses(settings: Sequence[Settings], own: Sequence[int], rule: str = scheme) -> Any:
            given = [_as_given(each) for each in settings]
            return train(lambda: mlp(width=WIDTH), rule, given, own, steps=STEPS, batch=BATCH).train_loss

        grid = [{"lr": lr, **usual} for lr in RATES]
        chosen = grid[best(losses(grid, seeds.tuning))]
        either = losses([chosen, *(each for name in chosen for each in _moved(chosen, name))], seeds.judged)
        # Of the two ways the worse, relative to the loss where nothing is moved.
        worse = either[1:].reshape(len(chosen), 2, -1).max(1) / either[0]
        harms[scheme] = dict(zip(chosen, worse, strict=True))
    curves = []
    for k, (words, names) in enumerate(SHOWN):
        at = [(place, name) for place, scheme in enumerate(SCHEMES) for name in names if name in harms[scheme]]
        each = np.array([harms[[*SCHEMES][place]][name] for place, name in at])
        low, middle, high = np.quantile(each, (0.25, 0.5, 0.75), axis=1).tolist()
        beside = (k - len(SHOWN) // 2) / 10
        curves.append(Curve(words, [place + beside for place, _ in at], middle, low, high, kind="dots"))
    return Measurement(
        {
            scheme: each["lr"] / np.max([harm for name, harm in each.items() if name != "lr"], axis=0)
            for scheme, each in harms.items()
        },
        (
            Panel(
                Words("What moving one hyperparameter costs", "Ce que coûte un hyper-paramètre déplacé"),
                Words("scheme", "schéma"),
                Words("loss / loss where nothing is moved", "perte / perte sans déplacement"),
                tuple(curves),
                log_y=True,
                ticks=tuple(Words(title, title) for title in TITLES.values()),
            ),
        ),
    )


def _moved(settings: Settings, name: str) -> list[Settings]:
    """The settings with one of them moved up, and down."""
    value, factor = settings[name], EPS_FACTOR if name == "eps" else FACTOR
    up, down = value * factor, value / factor
    if name in DECAYS:
        # A memory of one step, of the newest gradient alone, is the shortest.
        up, down = 1 - (1 - value) / factor, 1 - min((1 - value) * factor, 1)
    return [{**settings, name: up}, {**settings, name: down}]


def _as_given(settings: Settings) -> Settings:
    """As the library takes them: both betas are one."""
    betas = [settings[name] for name in ("beta1", "beta2") if name in settings]
    others = {name: value for name, value in settings.items() if name not in ("beta1", "beta2")}
    return {**others, "betas": tuple(betas)} if betas else others


CLAIM = Claim(
    name="learning-rate-most-sensitive",
    slide="Avec momentum",
    statement=Words(
        "In every scheme of the lecture the learning rate is by far the most sensitive hyperparameter.",
        "Dans tous les schémas du cours, le taux d'apprentissage est de loin l'hyper-paramètre le plus sensible.",
    ),
    measured=Words(
        "Loss over the training part after 150 steps, on the digits, a network 64-32-10, batches of 32. Momentum, "
        "AdaGrad, RMSProp, AdamW and Lion, each at the best of ten learning rates from 0.0001 to 3, chosen on 4 other "
        "seeds, and the usual values of the rest; then one hyperparameter at a time is moved up and down, and the "
        "worse of the two counts: learning rate and weight decay by a factor of 10, the memory 1 / (1 - γ), 1 / (1 - "
        "α), 1 / (1 - β) by 10 (no shorter than a step), ε by 10,000. Weight decay is 0.01 in AdamW, 0.1 in Lion; 12 "
        "seeds.",
        "Perte sur la partie d'entraînement après 150 pas, sur les chiffres manuscrits, un réseau 64-32-10, des "
        "batchs de 32. Momentum, AdaGrad, RMSProp, AdamW et Lion, chacun au meilleur de dix taux d'apprentissage de "
        "0,0001 à 3, choisi sur 4 autres graines, et aux valeurs usuelles du reste ; puis un hyper-paramètre à la "
        "fois est déplacé vers le haut et vers le bas, et le pire des deux compte : taux d'apprentissage et weight "
        "decay d'un facteur 10, mémoire 1 / (1 - γ), 1 / (1 - α), 1 / (1 - β) d'un facteur 10 (au moins un pas), ε "
        "d'un facteur 10 000. Le weight decay vaut 0,01 dans AdamW, 0,1 dans Lion ; 12 graines.",
    ),
    why=Words(
        "The learning rate scales every step: too large, the descent diverges or shakes, too small, it does not "
        "arrive in the time it has. The other hyperparameters change from how many gradients a step is made, and its "
        "length much less; of all of them it is the first to tune (Bengio 2012). The statement ends where a move is "
        "not small for a memory: with 1 / (1 - γ) beyond the length of training, momentum harms as well. AdaGrad has "
        "only ε beside it.",
        "Le taux d'apprentissage multiplie chaque pas : trop grand, la descente diverge ou s'agite, trop petit, elle "
        "n'arrive pas dans le temps donné. Les autres hyper-paramètres changent de combien de gradients un pas est "
        "fait, et bien moins sa longueur ; de tous, c'est le premier à régler (Bengio 2012). L'énoncé s'arrête là où "
        "une mémoire est trop longue : avec 1 / (1 - γ) au-delà de la durée de l'entraînement, le momentum nuit "
        "aussi. AdaGrad n'a que ε à côté.",
    ),
    bounds=tuple(
        Bound(
            scheme,
            Words(
                f"{title}: loss with the learning rate moved / with the worst other one moved",
                f"{title} : perte avec le taux d'apprentissage déplacé / avec le pire des autres déplacé",
            ),
            at_least=2.0,
            ratio=True,
        )
        for scheme, title in TITLES.items()
    ),
    seeds=12,
    tuning=4,
    measure=measure,
    figure="descent",
)
