"""Full-batch, mini-batch and one-example descent on a line through points."""

from thalweg.explore.figure import Figure, Form, Numbers, Slider, Words, rate, steps
from thalweg.explore.regression import COUNT, INTERCEPT, REACH, SLOPE, squared_error
from thalweg.formula.derivative import derivative
from thalweg.formula.expression import number
from thalweg.formula.javascript import function
from thalweg.rules import SGD

_NAMES = ("a", "b", "x", "y")
_ERROR = squared_error(*map(number, _NAMES))

FIGURE = Figure(
    name="batches",
    section="schemes",
    title=Words("Full batch, mini-batch, one example", "Base complète, mini-batch, un exemple"),
    see=Words(
        "By steps the full batch is best: its path is straight. By examples read it is the slowest: one example is "
        "enough for a step. But the fewer examples a step reads, the more it wanders about the minimum.",
        "Par pas, la base complète est la meilleure : son chemin est direct. Par exemples lus, c'est la plus lente : "
        "un seul exemple suffit pour un pas. Mais moins un pas lit d'exemples, plus il erre autour du minimum.",
    ),
    question=Words(
        "Which size of the mini-batch needs the fewest examples to come within 0.1 of the lowest loss?",
        "Quelle taille de mini-batch demande le moins d'exemples pour arriver à moins de 0,1 du minimum ?",
    ),
    answer=Words(
        "One at a time: 14 examples. Six at a time need 84 and the full batch 420; in all three cases that is 14 "
        "steps.",
        "Un à la fois : 14 exemples. Par six il en faut 84, et 420 avec la base complète ; dans les trois cas, 14 pas.",
    ),
    thread=Words(
        "So far each step used the exact gradient; on much data even one costs too much, and a few examples must do.",
        "Jusqu'ici chaque pas avait le gradient exact ; avec beaucoup de données c'est trop cher, et quelques "
        "exemples doivent suffire.",
    ),
    controls=(
        Slider("size", Words("mini-batch size", "taille du mini-batch"), 1, COUNT, 6, whole=True),
        rate("sgd.lr", 0.005, 0.5, 0.1),
        steps(200, 60),
        Slider("noise", Words("noise of the points", "bruit des points"), 0.0, 1.5, 0.6),
        Slider("seed", Words("seed of the order", "graine de l'ordre"), 0, 99, 0, whole=True),
        Numbers("start", Words("start", "départ"), -2.5, 3.5, (-1.5, -1.0)),
    ),
    forms=(Form("sgd", Words("Gradient descent", "Descente de gradient"), SGD),),
    data={"count": COUNT, "intercept": INTERCEPT, "slope": SLOPE, "reach": REACH},
    functions={"example": function(_NAMES, [_ERROR, derivative(_ERROR, "a"), derivative(_ERROR, "b")])},
    words={
        "full": Words("full batch", "base complète"),
        "mini": Words("mini-batch", "mini-batch"),
        "one": Words("one example", "un exemple"),
        "line": Words("The points, and the lines so far", "Les points, et les droites à ce pas"),
        "plane": Words("The paths of the two weights", "Les chemins des deux poids"),
        "bySteps": Words("Loss by steps", "Perte par pas"),
        "byExamples": Words("Loss by examples read", "Perte par exemples lus"),
        "above": Words("loss above the lowest", "perte − minimum"),
        "examples": Words("examples read", "exemples lus"),
        "intercept": Words("intercept a", "ordonnée a"),
        "slope": Words("slope b", "pente b"),
        "loss": Words("loss", "perte"),
        "note": Words(
            "After {steps} steps the full batch has read {full} examples, the mini-batches {mini}, one at a time "
            "{one}. To be below 0.1 above the lowest loss they took {toFull}, {toMini} and {toOne} examples.",
            "Après {steps} pas, la base complète a lu {full} exemples, les mini-batchs {mini}, un à la fois {one}. "
            "Pour passer sous 0,1 au-dessus du minimum, il leur a fallu {toFull}, {toMini} et {toOne} exemples.",
        ),
        "more": Words("more than {read}", "plus de {read}"),
    },
)
