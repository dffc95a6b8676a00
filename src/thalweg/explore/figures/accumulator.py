"""AdaGrad slows down, since its accumulator only grows; RMSProp's forgets."""

from thalweg.explore.figure import Choice, Figure, Form, Numbers, Slider, Words, rate, steps
from thalweg.explore.reading import rate_of
from thalweg.rules import Adagrad, RMSprop

FIGURE = Figure(
    name="accumulator",
    section="schemes",
    title=Words("AdaGrad slows down, RMSProp forgets", "AdaGrad ralentit, RMSProp oublie"),
    see=Words(
        "AdaGrad's accumulator g adds up all squared gradients: its steps shrink, and it slows down on the way. "
        "RMSProp's is a moving average, which can decrease: at the same η it arrives, but the noise keeps shaking it.",
        "L'accumulateur g d'AdaGrad additionne tous les gradients au carré : ses pas rapetissent et il ralentit en "
        "chemin. Celui de RMSProp est une moyenne mobile, qui peut décroître : au même η il arrive, mais le bruit ne "
        "cesse de le secouer.",
    ),
    controls=(
        Choice(
            "surface",
            Words("loss", "perte"),
            {
                "noisy": Words("a valley, noisy gradients", "une vallée, gradients bruités"),
                "ellipse": Words("x² + 3y², without noise", "x² + 3y², sans bruit"),
            },
            "noisy",
            brings={"noisy": {"start": (-3.0, 1.8), "lr": 0.05}, "ellipse": {"start": (-3.0, 1.8), "lr": 0.3}},
        ),
        rate("lr", 0.005, 2.0, 0.05),
        Slider("rmsprop.alpha", Words("RMSProp: memory α", "RMSProp : mémoire α"), 0.5, 0.999, 0.9),
        steps(500, 300),
        Slider("seed", Words("seed of the noise", "graine du bruit"), 0, 99, 0, whole=True),
        Numbers("start", Words("start", "départ"), -5.5, 5.5, (-3.0, 1.8)),
    ),
    forms=(
        Form("adagrad", Words("Adagrad", "Adagrad"), Adagrad),
        Form("rmsprop", Words("RMSprop", "RMSprop"), RMSprop),
    ),
    surfaces=("noisy", "ellipse"),
    functions={"adagrad": rate_of(Adagrad, "total", lr_decay=0.0), "rmsprop": rate_of(RMSprop, "v")},
    words={
        "norm": Words("‖g‖, the accumulator's norm", "‖g‖, la norme de l'accumulateur"),
        "rate": Words("η / (√g + ε), the rate that x gets", "η / (√g + ε), le taux que reçoit x"),
        "paths": Words("The paths", "Les chemins"),
        "effective": Words("rate of x", "taux de x"),
        "change": Words("of its first", "du premier"),
        "note": Words(
            "After {steps} steps the rate of x is {adagrad} times its first with AdaGrad, {rmsprop} times with "
            "RMSProp; AdaGrad's accumulator has decreased {fallsA} times, RMSProp's {fallsR} times.",
            "Après {steps} pas le taux de x est {adagrad} fois le premier avec AdaGrad, {rmsprop} fois avec RMSProp ; "
            "l'accumulateur d'AdaGrad a décru {fallsA} fois, celui de RMSProp {fallsR} fois.",
        ),
        "begin": Words("No step so far: the accumulators are 0.", "Aucun pas : les accumulateurs valent 0."),
    },
)
