"""One gradient, clipped by value and by norm."""

from thalweg.explore.figure import Figure, Form, Numbers, Slider, Words
from thalweg.formula import chain
from thalweg.formula.expression import number
from thalweg.formula.javascript import function
from thalweg.rules import SGD

_NAMES = ("x", "y", "limit")
_X, _Y, _LIMIT = map(number, _NAMES)
_SCALE = chain.norm_scale(_X * _X + _Y * _Y, _LIMIT, 1e-6)

# The explosion's figure runs them too.
BY_VALUE = Form(
    "sgd-value",
    Words("Gradient descent, clipped by value", "Descente de gradient, clipping par valeur"),
    SGD,
    clip="value",
)
BY_NORM = Form(
    "sgd-norm",
    Words("Gradient descent, clipped by norm", "Descente de gradient, clipping par norme"),
    SGD,
    clip="norm",
)

FIGURE = Figure(
    name="clipping",
    section="regularisation",
    title=Words("Gradient clipping", "Gradient clipping"),
    see=Words(
        "Drag the gradient. By value only what is beyond the limit is cut, so the direction turns. By norm the "
        "direction stays, so one large coordinate shrinks the small one along with it.",
        "Déplacez le gradient. Par valeur, seul ce qui dépasse la limite est coupé : la direction change. Par norme la "
        "direction reste : une grande coordonnée écrase alors la petite.",
    ),
    question=Words(
        "How far can clipping by value turn a gradient? Lower the limit to τ = 0.1 and drag it to (5; 0.1).",
        "De combien le clipping par valeur peut-il tourner un gradient ? Baissez la limite à τ = 0,1 et amenez-le en "
        "(5 ; 0,1).",
    ),
    answer=Words(
        "Up to 45°, from an axis to a corner of the square: here by 43.9°.",
        "Jusqu'à 45°, d'un axe à un coin du carré : ici de 43,9°.",
    ),
    thread=Words(
        "Decay holds the weights; now and then it is a gradient that must be held.",
        "Le weight decay retient les poids ; parfois, c'est un gradient qu'il faut retenir.",
    ),
    controls=(
        Slider("limit", Words("limit τ", "limite τ"), 0.1, 5.0, 1.5),
        Numbers("gradient", Words("gradient", "gradient"), -5.0, 5.0, (4.5, 0.9)),
    ),
    forms=(BY_VALUE, BY_NORM),
    functions={
        "value": function(_NAMES, [chain.limited(each, 1.0, _LIMIT) for each in (_X, _Y)]),
        "norm": function(_NAMES, [_SCALE * each for each in (_X, _Y)]),
    },
    words={
        "plane": Words("The vector", "Le vecteur"),
        "bars": Words("Its coordinates", "Ses coordonnées"),
        "gradient": Words("gradient", "gradient"),
        "value": Words("by value", "par valeur"),
        "norm": Words("by norm", "par norme"),
        "length": Words("norm", "norme"),
        "turned": Words("turned by", "tourné de"),
        "within": Words(
            "The gradient is within the limit: nothing is cut.", "Le gradient est dans la limite : rien n'est coupé."
        ),
        "corner": Words(
            "Its coordinates are within the limit, its norm is not: only the clip by norm cuts.",
            "Ses coordonnées sont dans la limite, sa norme non : seul le clipping par norme coupe.",
        ),
        "cut": Words(
            "By value the direction turns by {angle}. By norm it stays, and both coordinates shrink to {scale} times "
            "what they were: {small} goes from {before} to {after}.",
            "Par valeur, la direction tourne de {angle}. Par norme elle reste, et les deux coordonnées sont "
            "multipliées par {scale} : {small} passe de {before} à {after}.",
        ),
    },
)
