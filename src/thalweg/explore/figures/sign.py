"""Lion's steps of one size, by the sign alone, against Adam's and gradient descent's."""

from thalweg.explore.figure import Choice, Figure, Form, Numbers, Slider, Words, rate, steps
from thalweg.rules import SGD, Adam, Lion

FIGURE = Figure(
    name="sign",
    section="schemes",
    title=Words("Lion: only the sign", "Lion : seulement le signe"),
    see=Words(
        "Lion moves every coordinate by exactly η, whatever the gradient's size: its steps are the corners of a "
        "square. Adam's lie within it and shrink near the minimum; Lion's cannot, so it keeps circling at a distance "
        "that η decides. Lower η and the circle closes.",
        "Lion déplace chaque coordonnée d'exactement η, quelle que soit la taille du gradient : ses pas sont les coins "
        "d'un carré. Ceux d'Adam restent dedans et rapetissent près du minimum ; ceux de Lion ne le peuvent pas, "
        "et il tourne autour à une distance que η décide. Baissez η, et le cercle se resserre.",
    ),
    question=Words(
        "Lower the η of Lion and Adam to 0.05 and take 300 steps: how far from the minimum does Lion end?",
        "Baissez à 0,05 le η de Lion et d'Adam, et faites 300 pas : à quelle distance du minimum Lion finit-il ?",
    ),
    answer=Words(
        "It circles between 0.022 and 0.081 from it: each of its steps is still η√2 = 0.071 long.",
        "Il tourne entre 0,022 et 0,081 du minimum : chacun de ses pas garde une longueur de η√2 = 0,071.",
    ),
    thread=Words(
        "Where Adam's v equals m² its step is η times the sign of m; Lion takes nothing but the sign.",
        "Là où le v d'Adam vaut m², son pas est η fois le signe de m ; Lion ne prend que ce signe.",
    ),
    controls=(
        Choice(
            "surface",
            Words("surface", "surface"),
            {"ellipse": Words("x² + 3y²", "x² + 3y²"), "valley": Words("a narrow valley", "une vallée étroite")},
            "ellipse",
            brings={"ellipse": {"start": (-2.57, 1.84)}, "valley": {"start": (-4.33, 1.84)}},
        ),
        rate("lr", 0.003, 0.5, 0.15, of=Words("Lion and Adam", "Lion et Adam")),
        rate("sgd.lr", 0.001, 0.2, 0.03, of=Words("gradient descent", "descente de gradient")),
        Slider("lion.beta1", Words("Lion: β₁", "Lion : β₁"), 0.0, 0.99, 0.9),
        Slider("lion.beta2", Words("Lion: β₂", "Lion : β₂"), 0.0, 0.999, 0.99),
        steps(300, 100),
        Numbers("start", Words("start", "départ"), -5.5, 5.5, (-2.57, 1.84)),
    ),
    forms=(
        Form("lion", Words("Lion", "Lion"), Lion),
        Form("adam", Words("Adam", "Adam"), Adam),
        Form("sgd", Words("Gradient descent", "Descente de gradient"), SGD),
    ),
    shown=("lion",),
    surfaces=("ellipse", "valley"),
    words={
        "paths": Words("The paths", "Les chemins"),
        "square": Words("All steps so far, in units of η", "Tous les pas jusqu'ici, en unités de η"),
        "direction": Words("−g, direction", "−g, direction"),
        "distance": Words("distance to the minimum", "distance au minimum"),
        "short": Words("distance", "distance"),
        "corner": Words(
            "Lion's step number {steps} is ({lx}; {ly}) η, Adam's ({ax}; {ay}) η.",
            "Le pas numéro {steps} de Lion vaut ({lx} ; {ly}) η, celui d'Adam ({ax} ; {ay}) η.",
        ),
        "circles": Words(
            "In its last {last} steps Lion was between {near} η and {far} η from the minimum, Adam between {anear} η "
            "and {afar} η.",
            "Dans ses {last} derniers pas Lion était entre {near} η et {far} η du minimum, Adam entre {anear} η et "
            "{afar} η.",
        ),
        "begin": Words("No step so far.", "Aucun pas pour l'instant."),
    },
)
