"""AdaGrad on x^2 + 3y^2 from two starts: the same progress in every coordinate."""

from thalweg.explore.figure import Figure, Form, Numbers, Words, rate, steps, title
from thalweg.rules import SGD, Adagrad

FIGURE = Figure(
    name="adagrad",
    section="schemes",
    title=Words("AdaGrad: equal progress", "AdaGrad : un apprentissage uniforme"),
    see=Words(
        "Gradient descent privileges y, whose gradient is three times as large. AdaGrad divides each coordinate by the "
        "size of its own gradients: from the diagonal it goes straight, x and y side by side. Drag the starts.",
        "La descente de gradient privilégie y, dont le gradient est trois fois plus grand. AdaGrad divise chaque "
        "coordonnée par la taille de ses propres gradients : depuis la diagonale il va tout droit, x et y au même "
        "rythme. Déplacez les départs.",
    ),
    question=Words(
        "Show a single step. How far does AdaGrad move x and y, from either start?",
        "Montrez un seul pas. De combien AdaGrad déplace-t-il x et y, depuis l'un ou l'autre départ ?",
    ),
    answer=Words(
        "By η = 0.8 each: after one step G is g², so that the step is η g / |g|.",
        "De η = 0,8 chacun : après un pas G vaut g², et le pas vaut η g / |g|.",
    ),
    thread=Words(
        "Momentum still has one learning rate for all coordinates, though some are steep and some flat.",
        "Le momentum garde un seul taux d'apprentissage pour toutes les coordonnées, qu'elles soient raides ou plates.",
    ),
    controls=(
        rate("adagrad.lr", 0.05, 3.0, 0.8, of=Words("AdaGrad", "AdaGrad")),
        rate("sgd.lr", 0.01, 0.4, 0.08, of=Words("gradient descent", "descente de gradient")),
        steps(50, 10),
        Numbers("first", Words("first start", "premier départ"), -3.2, 3.2, (-2.0, 2.0)),
        Numbers("second", Words("second start", "second départ"), -3.2, 3.2, (2.8, 1.4)),
    ),
    forms=(
        Form("sgd", Words("Gradient descent", "Descente de gradient"), SGD),
        Form("adagrad", title(Adagrad), Adagrad),
    ),
    shown=("adagrad",),
    surfaces=("ellipse",),
    words={
        "share": Words("what is left of x and y", "ce qui reste de x et y"),
        "first": Words("first start", "premier départ"),
        "second": Words("second start", "second départ"),
        "left": Words("left of", "reste de"),
        "note": Words(
            "After {steps} steps from the first start AdaGrad has left {ax} of x and {ay} of y, gradient descent {sx} "
            "of x and {sy} of y.",
            "Après {steps} pas depuis le premier départ, il reste à AdaGrad {ax} de x et {ay} de y, à la descente de "
            "gradient {sx} de x et {sy} de y.",
        ),
    },
)
