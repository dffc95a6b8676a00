"""Adam's bias correction on and off, and the size of its step."""

from thalweg.explore.derivations import ADAM
from thalweg.explore.figure import Choice, Figure, Form, Slider, Words, steps
from thalweg.explore.reading import corrected
from thalweg.rules import Adam

FIGURE = Figure(
    name="bias",
    section="schemes",
    title=Words("Adam: bias correction", "Adam : correction du biais"),
    see=Words(
        "Both averages start at 0, far below what they estimate; divided by 1 − βᵗ they are right from the first step. "
        "So Adam's step stays within about η. Without the correction the first steps are several times as long; after "
        "a long quiet a rare large gradient breaks the bound even with it.",
        "Les deux moyennes partent de 0, bien en dessous de ce qu'elles estiment ; divisées par 1 − βᵗ, elles sont "
        "justes dès le premier pas. Le pas d'Adam reste donc à peu près inférieur à η. Sans correction les premiers "
        "pas sont plusieurs fois plus longs ; après un long calme, un rare grand gradient dépasse la borne même "
        "avec elle.",
    ),
    question=Words(
        "Without noise (σ = 0): how long is the longest step without the correction, and when is it?",
        "Sans bruit (σ = 0) : combien vaut le plus long pas sans correction, et quand a-t-il lieu ?",
    ),
    answer=Words(
        "6.57 η, at step 12: (1 − β₁ᵗ) / √(1 − β₂ᵗ) is largest there. With the correction every step is η.",
        "6,57 η, au pas 12 : (1 − β₁ᵗ) / √(1 − β₂ᵗ) y est maximal. Avec la correction, chaque pas vaut η.",
    ),
    thread=Words(
        "Adam takes both: momentum's average m of the gradients, and RMSProp's average v of their squares.",
        "Adam prend les deux : la moyenne m des gradients, comme le momentum, et la moyenne v de leurs carrés, comme "
        "RMSProp.",
    ),
    controls=(
        Slider("beta1", Words("β₁, memory of m", "β₁, mémoire de m"), 0.0, 0.99, 0.9),
        Slider("beta2", Words("β₂, memory of v", "β₂, mémoire de v"), 0.9, 0.9999, 0.999),
        Slider("noise", Words("noise of the gradient σ", "bruit du gradient σ"), 0.0, 5.0, 0.3),
        Choice(
            "gradients",
            Words("gradients", "gradients"),
            {
                "even": Words("all of one size", "tous d'une même taille"),
                "rare": Words("quiet, then a large one", "le calme, puis un grand"),
            },
            "even",
            brings={"even": {"steps": 100}, "rare": {"steps": 1200}},
        ),
        steps(1500, 100),
        Slider("seed", Words("seed of the noise", "graine du bruit"), 0, 99, 0, whole=True),
    ),
    forms=(
        Form("adam", Words("Adam", "Adam"), Adam),
        Form(
            "adam-uncorrected",
            Words("without correction", "sans correction"),
            Adam,
            switches={"bias_correction": False},
        ),
    ),
    shown=("adam",),
    derivation=ADAM,
    functions={"corrected": corrected(Adam)},
    words={
        "m": Words("m and m̂: the gradient's mean", "m et m̂ : moyenne du gradient"),
        "v": Words("v and v̂: the mean of its square", "v et v̂ : moyenne de son carré"),
        "size": Words("the size of the step, |Δ| / η", "la taille du pas, |Δ| / η"),
        "corrected": Words("with correction", "avec correction"),
        "plain": Words("without", "sans"),
        "true": Words("what they estimate", "ce qu'elles estiment"),
        "largest": Words("largest |Δ| / η", "plus grand |Δ| / η"),
        "now": Words("|Δ| / η now", "|Δ| / η actuel"),
        "begin": Words("No step so far.", "Aucun pas pour l'instant."),
        "kept": Words(
            "The longest step is {adam} η with the correction and {plain} η without.",
            "Le plus long pas vaut {adam} η avec la correction et {plain} η sans elle.",
        ),
        "broken": Words(
            "At step {at} one gradient is {factor} times the others, which had taught v to be small: the step is "
            "{adam} η. For a lone gradient it can be (1 − β₁) / √(1 − β₂) = {most} η.",
            "Au pas {at} un gradient vaut {factor} fois les autres, qui avaient rendu v petit : le pas vaut {adam} η. "
            "Pour un gradient isolé il peut atteindre (1 − β₁) / √(1 − β₂) = {most} η.",
        ),
    },
)
