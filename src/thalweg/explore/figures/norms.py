"""BatchNorm, LayerNorm and RMSNorm on one table: which numbers are taken together."""

from thalweg.explore.figure import Choice, Figure, Numbers, Slider, Words
from thalweg.explore.norm_formulas import NORMS, shown

# Features of different size and place, as inputs have them.
TABLE = (
    (0.4, 3.1, -2.5, 6.2),
    (-0.6, 2.6, 1.0, 7.4),
    (1.2, 3.6, -4.2, 5.1),
    (0.1, 2.9, 0.3, 8.3),
    (-0.9, 3.4, -1.4, 4.6),
)

FIGURE = Figure(
    name="norms",
    section="normalisation",
    title=Words("Three norms", "Trois normalisations"),
    see=Words(
        "The outlined numbers are taken together: a feature over all examples, or one example over its features. "
        "Drag a value of that line: every output of the line moves, and no other. The dark knob in the table "
        "chooses another line.",
        "Les nombres encadrés sont pris ensemble : une feature sur toutes les observations, ou une observation sur "
        "toutes ses features. Déplacez une valeur de cette ligne : toutes les sorties de la ligne bougent, et aucune "
        "autre. Le bouton sombre du tableau choisit une autre ligne.",
    ),
    question=Words(
        "Drag one value. How many outputs move with it, under each of the three norms?",
        "Déplacez une valeur. Combien de sorties bougent avec elle, pour chacune des trois normalisations ?",
    ),
    answer=Words(
        "BatchNorm: 5, those of one feature in all examples. LayerNorm and RMSNorm: 4, those of one example.",
        "BatchNorm : 5, celles d'une feature dans toutes les observations. LayerNorm et RMSNorm : 4, celles d'une "
        "observation.",
    ),
    thread=Words(
        "Gradients keep a good size where the numbers within the network do: that is what the norms see to.",
        "Les gradients gardent une bonne taille là où les nombres du réseau la gardent : c'est le rôle des "
        "normalisations.",
    ),
    controls=(
        Choice(
            "norm",
            Words("norm", "normalisation"),
            {name: Words(title, title) for name, title in NORMS.items()},
            "batch",
        ),
        Slider("eps", Words("ε", "ε"), 1e-8, 10.0, 1e-5, log=True),
        Numbers("cell", Words("chosen value", "valeur choisie"), 0, 4, (1.0, 3.0)),
        Numbers("x", Words("values", "valeurs"), -9.9, 9.9, tuple(value for row in TABLE for value in row)),
    ),
    formulas=shown(*NORMS),
    words={
        "before": Words("Before: x", "Avant : x"),
        "after": Words("After: z", "Après : z"),
        "line": Words("The outlined line: x before, z after", "La ligne encadrée : x avant, z après"),
        "example": Words("ex.", "obs."),
        "feature": Words("feature", "feature"),
        "examples": Words("example", "observation"),
        "features": Words("feature", "feature"),
        "norm": Words("norm", "normalisation"),
        "mean": Words("mean μ", "moyenne μ"),
        "spread": Words("deviation σ", "écart-type σ"),
        "chosen": Words("chosen x", "x choisi"),
        "output": Words("its z", "son z"),
        "choose": Words("Chosen value: row and column", "Valeur choisie : ligne et colonne"),
        "said-x": Words("x", "x"),
        "said-z": Words("z", "z"),
        "batch": Words(
            "BatchNorm takes feature {line} of all 5 examples together: mean {mean}, standard deviation {spread}. "
            "Afterwards the feature has mean 0 and standard deviation {after}.",
            "BatchNorm prend ensemble la feature {line} des 5 observations : moyenne {mean}, écart-type {spread}. "
            "Ensuite la feature a une moyenne de 0 et un écart-type de {after}.",
        ),
        "layer": Words(
            "LayerNorm takes the 4 features of example {line} together: mean {mean}, standard deviation {spread}. "
            "Afterwards this example has mean 0 and standard deviation {after}, whatever the others are.",
            "LayerNorm prend ensemble les 4 features de l'observation {line} : moyenne {mean}, écart-type {spread}. "
            "Ensuite cette observation a une moyenne de 0 et un écart-type de {after}, quelles que soient les autres.",
        ),
        "rms": Words(
            "RMSNorm divides the 4 features of example {line} by their root mean square, {spread}, which becomes "
            "{after}. The mean is left in, and no sign changes.",
            "RMSNorm divise les 4 features de l'observation {line} par leur moyenne quadratique, {spread}, qui devient "
            "{after}. La moyenne reste, et aucun signe ne change.",
        ),
    },
)
