"""Momentum and Nesterov's look-ahead against plain gradient descent, in a narrow valley."""

from thalweg.explore.figure import Choice, Figure, Form, Numbers, Slider, Words, rate, steps
from thalweg.rules import NAG, SGD, Momentum

FIGURE = Figure(
    name="momentum",
    section="schemes",
    title=Words("Momentum", "Momentum"),
    see=Words(
        "Along the valley the gradients agree, and momentum's velocity m grows; across it they cancel. It carries the "
        "weights past the minimum, and they have to turn back. Nesterov's form looks ahead and overshoots less.",
        "Le long de la vallée les gradients s'accordent et la vitesse m du momentum croît ; en travers ils se "
        "compensent. L'élan fait rater le minimum, puis il faut faire machine arrière. La forme de Nesterov regarde "
        "devant elle et dépasse moins.",
    ),
    question=Words(
        "Lower μ until x no longer passes the minimum, at η = 0.2 and 150 steps: where is that?",
        "Baissez μ jusqu'à ce que x ne dépasse plus le minimum, à η = 0,2 et 150 pas : où est-ce ?",
    ),
    answer=Words(
        "At μ = ((1 − η) / (1 + η))² = 0.444. Beyond it x swings about the minimum, as a pendulum with too little "
        "friction.",
        "À μ = ((1 − η) / (1 + η))² = 0,444. Au-delà, x oscille autour du minimum, comme un pendule trop peu freiné.",
    ),
    thread=Words(
        "Gradients from few examples jump to and fro; their average goes straighter, and gathers speed.",
        "Des gradients tirés de peu d'exemples sautent en tous sens ; leur moyenne va plus droit, et prend de la "
        "vitesse.",
    ),
    controls=(
        rate("lr", 0.001, 2.0, 0.2),
        Slider("momentum", Words("momentum μ", "momentum μ"), 0.01, 0.99, 0.9),
        Choice(
            "velocity",
            Words("velocity", "vitesse"),
            {
                "average": Words("average: m ← μm + (1 − μ)g", "moyenne : m ← μm + (1 − μ)g"),
                "sum": Words("sum: m ← μm + g", "somme : m ← μm + g"),
            },
            "average",
            brings={"average": {"lr": 0.2}, "sum": {"lr": 0.02}},
        ),
        steps(150, 60),
        Numbers("start", Words("start", "départ"), -5.5, 5.5, (-4.5, 1.8)),
    ),
    forms=(
        Form("sgd", Words("Gradient descent", "Descente de gradient"), SGD),
        Form("momentum", Words("Momentum", "Momentum"), Momentum),
        Form("momentum-sum", Words("Momentum (sum)", "Momentum (somme)"), Momentum, switches={"heavy_ball": True}),
        Form("nag", Words("NAG", "NAG"), NAG),
    ),
    shown=("momentum", "momentum-sum", "nag"),
    surfaces=("valley",),
    words={
        "paths": Words("The paths on ½(x² + 20y²)", "Les chemins sur ½(x² + 20y²)"),
        "along": Words("x, along the valley", "x, le long de la vallée"),
        "minimum": Words("minimum", "minimum"),
        "back": Words("turns back", "machine arrière"),
        "turned": Words("turns at x", "retour en x"),
        "turns": Words(
            "Momentum passes the minimum at step {past} and turns back at step {back}, at x = {x}.",
            "Le momentum passe le minimum au pas {past} et fait machine arrière au pas {back}, en x = {x}.",
        ),
        "straight": Words("Momentum has not turned back so far.", "Le momentum n'a pas encore fait machine arrière."),
        "losses": Words(
            "After {steps} steps the loss is {plain} without momentum, {momentum} with it, {nag} with Nesterov's form.",
            "Après {steps} pas la perte vaut {plain} sans momentum, {momentum} avec, {nag} avec la forme de Nesterov.",
        ),
        "average": Words(
            "In an average a gradient enters with the weight 1 − μ: at an η 1 / (1 − μ) = {factor} times as large its "
            "path is the sum's. The others run at η(1 − μ), the part of a gradient that enters at once.",
            "Dans une moyenne, un gradient entre avec le poids 1 − μ : pour un η 1 / (1 − μ) = {factor} fois plus "
            "grand, son chemin est celui de la somme. Les autres ont η(1 − μ), la part d'un gradient qui entre tout de "
            "suite.",
        ),
    },
)
