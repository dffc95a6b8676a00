"""A sigmoid's almost linear part: normalising brings values there, gamma and beta let them leave it."""

from thalweg.explore.figure import Choice, Figure, Slider, Toggle, Words
from thalweg.explore.norm_formulas import shown
from thalweg.explore.normalising import sigmoid
from thalweg.formula.derivative import derivative
from thalweg.formula.expression import number
from thalweg.formula.javascript import function

_CURVE = sigmoid(number("x"))

FIGURE = Figure(
    name="sigmoid",
    section="normalisation",
    title=Words("γ, β and the sigmoid", "γ, β et la sigmoïde"),
    see=Words(
        "Far from 0 a sigmoid is flat, and its gradient vanishes; near 0 it is almost a straight line. Normalising "
        "brings all values to the line; γ and β, which are learned, let them leave it. Ioffe & Szegedy (2015) put the "
        "norm before the activation; Szegedy's later code has ReLU before BatchNorm (Chollet 2016), as the lecture "
        "advises: on a small network that was worse, as measured below.",
        "Loin de 0 la sigmoïde est plate et son gradient s'éteint ; près de 0 c'est presque une droite. Normaliser "
        "ramène toutes les valeurs sur la droite ; γ et β, appris, leur permettent d'en sortir. Ioffe et Szegedy "
        "(2015) placent la couche avant l'activation ; du code plus récent de Szegedy applique ReLU avant BatchNorm "
        "(Chollet 2016), ce que le cours conseille : sur un petit réseau c'était moins bon, mesuré ci-dessous.",
    ),
    question=Words(
        "With the norm before the activation and β = 0: up to which γ do all 40 values stay within |x| ≤ 1?",
        "Avec la normalisation avant l'activation et β = 0 : jusqu'à quel γ les 40 valeurs restent-elles dans "
        "|x| ≤ 1 ?",
    ),
    answer=Words(
        "Up to γ = 0.442: the largest of them is 2.26 once normalised, and γ multiplies it.",
        "Jusqu'à γ = 0,442 : la plus grande vaut 2,26 une fois normalisée, et γ la multiplie.",
    ),
    thread=Words(
        "Once numbers have mean 0 and deviation 1, what is behind them no longer sees their size: γ and β give it "
        "back.",
        "Une fois les nombres centrés et réduits, la suite ne voit plus leur taille : γ et β la rendent.",
    ),
    controls=(
        Choice(
            "place",
            Words("the norm stands", "la normalisation est placée"),
            {
                "before": Words("before the activation", "avant l'activation"),
                "after": Words("after the activation", "après l'activation"),
            },
            "before",
        ),
        Slider("mean", Words("mean of the inputs", "moyenne des entrées"), -4.0, 4.0, 3.0),
        Slider("spread", Words("deviation of the inputs", "écart-type des entrées"), 0.2, 3.0, 2.5),
        Slider("gamma", Words("gain γ", "gain γ"), 0.1, 3.0, 2.0),
        Slider("beta", Words("bias β", "biais β"), -4.0, 4.0, -1.0),
        Toggle("undo", Words("γ = σ and β = μ: undo the norm", "γ = σ et β = μ : défaire la normalisation")),
    ),
    formulas=shown("batch"),
    # 40 normal numbers from this seed, and the eps of torch's layers.
    data={"seed": 1, "count": 40, "eps": 1e-5},
    # (x) => [the sigmoid, its slope]
    functions={"sigmoid": function(["x"], [_CURVE, derivative(_CURVE, "x")])},
    words={
        "raw": Words("Without a norm", "Sans normalisation"),
        "normalised": Words("Normalised", "Normalisé"),
        "scaled": Words("With γ and β", "Avec γ et β"),
        "linear": Words("almost linear", "presque linéaire"),
        "value": Words("what the sigmoid takes", "entrée de la sigmoïde"),
        "out": Words("to the next layer", "couche suivante"),
        "curve": Words("sigmoid", "sigmoïde"),
        "inside": Words("μ ± σ", "μ ± σ"),
        "near": Words("|x| ≤ 1", "|x| ≤ 1"),
        "flat": Words("slope < 0.05", "pente < 0,05"),
        "slope": Words("mean slope", "pente moyenne"),
        "passed": Words("to the next layer", "couche suivante"),
        "before": Words(
            "Without a norm {raw} of {count} values lie where the sigmoid is almost flat. Normalised, {none} do, and "
            "{linear} lie in its almost linear part. With γ = {gamma} and β = {beta}, {flat} are almost flat and "
            "{line} almost linear.",
            "Sans normalisation, {raw} valeurs sur {count} tombent où la sigmoïde est presque plate. Normalisées : "
            "{none}, et {linear} dans la partie presque linéaire. Avec γ = {gamma} et β = {beta} : {flat} dans la "
            "partie plate, {line} dans la partie presque linéaire.",
        ),
        "after": Words(
            "The sigmoid has flattened {raw} of {count} values, and a norm after it cannot undo that. It centres what "
            "the next layer takes: mean 0 and deviation 1, then mean {beta} and deviation {gamma}.",
            "La sigmoïde a aplati {raw} valeurs sur {count}, et une normalisation placée après n'y change rien. Elle "
            "centre ce que prend la couche suivante : moyenne 0 et écart-type 1, puis moyenne {beta} et écart-type "
            "{gamma}.",
        ),
    },
)
