"""Gradient descent on (x - 1)^2 at a rate that diverges, with and without clipping."""

from thalweg.explore.figure import Figure, Form, Numbers, Slider, Words, rate, steps
from thalweg.explore.figures.clipping import BY_NORM
from thalweg.rules import SGD

FIGURE = Figure(
    name="explosion",
    section="regularisation",
    title=Words("Exploding gradients", "L'explosion des gradients"),
    see=Words(
        "At this learning rate every step ends farther from the minimum than it began, and the gradient grows with the "
        "distance. Clipped, it cannot run away; but it does not converge either: it circles the minimum.",
        "À ce taux d'apprentissage chaque pas finit plus loin du minimum, et le gradient croît avec la distance. Avec "
        "le clipping il ne peut plus s'échapper ; mais il ne converge pas non plus : il tourne autour du minimum.",
    ),
    question=Words(
        "Halve the limit τ: how near to the minimum does the clipped weight then circle?",
        "Divisez la limite τ par deux : à quelle distance du minimum le poids tourne-t-il alors ?",
    ),
    answer=Words(
        "Within (η − ½)τ = 0.275 of it, half as far as before. Only η ≤ 1 would end the circling.",
        "À moins de (η − ½)τ = 0,275, deux fois plus près qu'avant. Seul η ≤ 1 y mettrait fin.",
    ),
    thread=Words(
        "What clipping is for: here each step is too long, and without a limit the gradients grow without end.",
        "À quoi sert le clipping : ici chaque pas est trop long et, sans limite, les gradients croissent sans fin.",
    ),
    controls=(
        rate("sgd.lr", 0.05, 1.5, 1.05),
        Slider("limit", Words("limit τ", "limite τ"), 0.1, 5.0, 1.0),
        steps(60, 30),
        Numbers("start", Words("start", "départ"), -4.0, 6.0, (2.4,)),
    ),
    forms=(Form("sgd", Words("Gradient descent", "Descente de gradient"), SGD), BY_NORM),
    shown=("sgd-norm",),
    surfaces=("shifted",),
    words={
        "curve": Words("f(w) = (w − 1)²", "f(w) = (w − 1)²"),
        "weight": Words("The weight", "Le poids"),
        "losses": Words("The loss", "La perte"),
        "free": Words("not clipped", "sans clipping"),
        "clipped": Words("clipped", "avec clipping"),
        "gradient": Words("gradient", "gradient"),
        "diverges": Words(
            "Every step multiplies the distance to the minimum by {factor}. Clipped, no step is longer than ητ = "
            "{longest}, and the weight ends up within (η − ½)τ = {radius} of the minimum.",
            "Chaque pas multiplie la distance au minimum par {factor}. Avec le clipping, aucun pas ne dépasse ητ = "
            "{longest}, et le poids finit à moins de (η − ½)τ = {radius} du minimum.",
        ),
        "circles": Words(
            "It goes to and fro at the same distance. Clipped, it does so within {radius} of the minimum.",
            "Il va et vient à la même distance. Avec le clipping, à moins de {radius} du minimum.",
        ),
        "converges": Words(
            "Every step multiplies the distance to the minimum by {factor}, so both converge; clipping only slows the "
            "first steps.",
            "Chaque pas multiplie la distance au minimum par {factor} : les deux convergent ; le clipping ne fait que "
            "ralentir les premiers pas.",
        ),
        "alike": Words(
            "With a single weight, clipping by norm and by value are the same.",
            "Avec un seul poids, clipping par norme et par valeur sont la même chose.",
        ),
    },
)
