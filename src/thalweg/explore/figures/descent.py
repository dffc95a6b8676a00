"""Gradient descent on x^2: the learning rate, from crawl to divergence."""

from thalweg.explore.figure import Figure, Form, Numbers, Words, rate, steps
from thalweg.rules import SGD

FIGURE = Figure(
    name="descent",
    section="schemes",
    title=Words("Gradient descent", "Descente de gradient"),
    see=Words(
        "Drag the start. A small learning rate crawls; from 0.5 on every step crosses the valley; at 1 it only goes to "
        "and fro, and above 1 it climbs out.",
        "Déplacez le départ. Un petit taux d'apprentissage rampe ; à partir de 0,5 chaque pas traverse la vallée ; à 1 "
        "il ne fait qu'aller et venir, et au-delà il remonte.",
    ),
    question=Words(
        "Find the learning rate at which it only goes to and fro, and the one that reaches the minimum in a single "
        "step.",
        "Trouvez le taux d'apprentissage auquel il ne fait qu'aller et venir, et celui qui atteint le minimum en un "
        "seul pas.",
    ),
    answer=Words(
        "η = 1 and η = 0.5: a step multiplies w by 1 − 2η, which is −1 and 0.",
        "η = 1 et η = 0,5 : un pas multiplie w par 1 − 2η, soit −1 et 0.",
    ),
    controls=(
        rate("sgd.lr", 0.01, 1.2, 0.1),
        steps(40, 15),
        Numbers("start", Words("start", "départ"), -3.2, 3.2, (2.5,)),
    ),
    forms=(Form("sgd", Words("Gradient descent", "Descente de gradient"), SGD),),
    surfaces=("parabola",),
    words={
        "curve": Words("f(w) = w²", "f(w) = w²"),
        "down": Words("It comes down on one side.", "Il descend d'un seul côté."),
        "across": Words(
            "Every step crosses the valley, and still comes lower.", "Chaque pas traverse la vallée, et descend."
        ),
        "circle": Words("It goes to and fro, and never comes lower.", "Il va et vient sans jamais descendre."),
        "away": Words("It diverges: every step ends higher than it began.", "Il diverge : chaque pas finit plus haut."),
        "factor": Words(
            "Each step multiplies the distance to the minimum by", "Chaque pas multiplie la distance au minimum par"
        ),
    },
)
