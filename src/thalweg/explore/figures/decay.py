"""L2 against decoupled weight decay, under gradient descent, momentum and Adam."""

from thalweg.explore.decay import l2_share
from thalweg.explore.figure import Figure, Form, Numbers, Slider, Words, rate, steps
from thalweg.explore.surfaces import SURFACES
from thalweg.formula.expression import number
from thalweg.formula.javascript import function
from thalweg.rules import SGD, Adam, Momentum

RULES = {
    "sgd": (SGD, Words("Gradient descent", "Descente de gradient")),
    "momentum": (Momentum, Words("Momentum", "Momentum")),
    "adam": (Adam, Words("Adam", "Adam")),
}
L2, DECOUPLED = Words("L2", "L2"), Words("decoupled", "découplé")
SHARE = ("v", "t", "lr", "beta2", "eps", "weight_decay")

FIGURE = Figure(
    name="decay",
    section="regularisation",
    title=Words("L2 or weight decay", "L2 ou weight decay"),
    see=Words(
        "Small weights overfit less (Krogh & Hertz 1991). Under gradient descent the two ways to them are one and the "
        "same. Under momentum the paths differ, the end does not. Under Adam even the end differs: L2 passes through "
        "the scaling and hardly touches the steep coordinate y.",
        "De petits poids limitent le sur-apprentissage (Krogh et Hertz 1991). Pour la descente de gradient, les deux "
        "voies sont une seule et même chose. Avec momentum les chemins diffèrent, pas l'arrivée. Avec Adam l'arrivée "
        "aussi : L2 passe par la normalisation et touche à peine la coordonnée raide y.",
    ),
    question=Words(
        "Set λ = 1 and 400 steps: where does gradient descent end?",
        "Mettez λ = 1 et 400 pas : où la descente de gradient finit-elle ?",
    ),
    answer=Words(
        "At x = 2 / (1 + λ) = 1 and y = 30 / (20 + λ) = 1.429: the flat coordinate gives way, the steep one hardly.",
        "En x = 2 / (1 + λ) = 1 et y = 30 / (20 + λ) = 1,429 : la coordonnée plate cède, la raide à peine.",
    ),
    thread=Words(
        "A rule goes wherever the loss on the examples leads; what else one wants, such as small weights, is the "
        "penalty's affair.",
        "Une règle va là où mène la perte sur les exemples ; ce que l'on veut en plus, comme de petits poids, c'est "
        "l'affaire de la pénalité.",
    ),
    controls=(
        Slider("lambda", Words("weight decay λ", "weight decay λ"), 0.01, 2.0, 0.5, log=True),
        steps(400, 200),
        rate("sgd.lr", 0.001, 0.1, 0.02, RULES["sgd"][1]),
        rate("momentum.lr", 0.001, 0.5, 0.05, RULES["momentum"][1]),
        rate("adam.lr", 0.005, 0.5, 0.05, RULES["adam"][1]),
        Numbers("start", Words("start", "départ"), -1.6, 3.2, SURFACES["apart"].start),
    ),
    forms=tuple(
        Form(f"{label}-{kind}", Words(f"{title.en}, {name.en}", f"{title.fr}, {name.fr}"), rule, decay=kind)
        for label, (rule, title) in RULES.items()
        for kind, name in (("l2", L2), ("decoupled", DECOUPLED))
    ),
    shown=("momentum-l2", "momentum-decoupled", "adam-l2", "adam-decoupled"),
    surfaces=("apart",),
    functions={"share": function(SHARE, [l2_share(*map(number, SHARE))])},
    words={
        **{label: title for label, (_, title) in RULES.items()},
        "l2": L2,
        "decoupled": DECOUPLED,
        "share": Words("Adam: decay in one step", "Adam : décroissance en un pas"),
        "part": Words("part of the weight", "part du poids"),
        "end": Words("where it ends", "arrivée"),
        "of": Words("of", "de"),
        "l2x": Words("L2, x (flat)", "L2, x (plat)"),
        "l2y": Words("L2, y (steep)", "L2, y (raide)"),
        "both": Words("decoupled, both", "découplé, les deux"),
        "note": Words(
            "Paths are at most {sgd} apart under gradient descent, {momentum} under momentum, {adam} under Adam. Of "
            "the minimum's y, Adam keeps {l2} with L2 and {decoupled} with decoupled decay.",
            "Les chemins s'écartent d'au plus {sgd} pour la descente de gradient, {momentum} avec momentum, {adam} "
            "avec Adam. Du y du minimum, Adam garde {l2} avec L2 et {decoupled} avec le weight decay découplé.",
        ),
    },
)
