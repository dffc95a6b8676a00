"""Momentum and Nesterov's look-ahead against plain gradient descent, in a narrow valley."""

from thalweg.explore.figure import Choice, Figure, Form, Numbers, Slider, Words, rate, steps
from thalweg.rules import NAG, SGD, Momentum

FIGURE = Figure(
    name="momentum",
    section="schemes",
    title=Words("Momentum", "Momentum"),
    see=Words(
        "Along the valley the gradients agree, and momentum gathers speed; across it they cancel. The speed carries it "
        "past the minimum, and it has to turn back. Nesterov's form looks ahead and overshoots less.",
        "Le long de la vallée les gradients s'accordent et le momentum prend de la vitesse ; en travers ils se "
        "compensent. L'élan lui fait rater le minimum, puis il fait machine arrière. La forme de Nesterov regarde "
        "devant elle et dépasse moins.",
    ),
    controls=(
        rate("lr", 0.001, 2.0, 0.02),
        Slider("momentum", Words("momentum μ", "momentum μ"), 0.01, 0.99, 0.9),
        Choice(
            "velocity",
            Words("velocity", "vitesse"),
            {
                "sum": Words("a sum: v ← μv + g", "une somme : v ← μv + g"),
                "average": Words("an average: v ← μv + (1 − μ)g", "une moyenne : v ← μv + (1 − μ)g"),
            },
            "sum",
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
    shown=("momentum-sum", "momentum", "nag"),
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
            "In an average every gradient is multiplied by 1 − μ: it is the sum's path at an η that is "
            "1 / (1 − μ) = {factor} times as large.",
            "Dans une moyenne chaque gradient est multiplié par 1 − μ : c'est le chemin de la somme pour un η "
            "1 / (1 − μ) = {factor} fois plus grand.",
        ),
    },
)
