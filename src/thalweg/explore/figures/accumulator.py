"""AdaGrad slows down, since its accumulator only grows; RMSProp's forgets."""

from thalweg.explore.figure import Choice, Figure, Form, Numbers, Slider, Words, rate, steps, title
from thalweg.explore.reading import rate_of
from thalweg.rules import Adagrad, RMSprop

FIGURE = Figure(
    name="accumulator",
    section="schemes",
    title=Words("AdaGrad slows down, RMSProp forgets", "AdaGrad ralentit, RMSProp oublie"),
    see=Words(
        "AdaGrad's accumulator G adds up all squared gradients: its steps shrink, and it slows down on the way. "
        "RMSProp's v is a moving average and can decrease: at the same η it arrives, but the noise keeps shaking it.",
        "L'accumulateur G d'AdaGrad additionne tous les gradients au carré : ses pas rapetissent et il ralentit en "
        "chemin. Le v de RMSProp est une moyenne mobile, qui peut décroître : au même η il arrive, mais le bruit ne "
        "cesse de le secouer.",
    ),
    question=Words(
        "At which step has AdaGrad's rate of x fallen to less than a tenth of its first?",
        "À quel pas le taux de x d'AdaGrad est-il tombé à moins du dixième du premier ?",
    ),
    answer=Words(
        "At step 23. It cannot rise again, since G only grows; after 300 steps 2.2% of it are left.",
        "Au pas 23. Il ne peut plus remonter, puisque G ne fait que croître ; après 300 pas il en reste 2,2 %.",
    ),
    thread=Words(
        "Equal progress has a price: what AdaGrad divides by never gets smaller.",
        "Ce progrès uniforme a un prix : ce par quoi AdaGrad divise ne diminue jamais.",
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
        Slider("rmsprop.alpha", Words("RMSProp: memory α", "RMSProp : mémoire α"), 0.5, 0.999, 0.9),
        steps(500, 300),
        Slider("seed", Words("seed of the noise", "graine du bruit"), 0, 99, 0, whole=True),
        Numbers("start", Words("start", "départ"), -5.5, 5.5, (-3.0, 1.8)),
    ),
    forms=(
        Form("adagrad", title(Adagrad), Adagrad),
        Form("rmsprop", title(RMSprop), RMSprop),
    ),
    surfaces=("noisy", "ellipse"),
    functions={"adagrad": rate_of(Adagrad, "total", lr_decay=0.0), "rmsprop": rate_of(RMSprop, "v")},
    words={
        "norm": Words("‖G‖ and ‖v‖, the accumulators' norms", "‖G‖ et ‖v‖, les normes des accumulateurs"),
        "rate": Words("η / (√G + ε) or η / (√v + ε), the rate of x", "η / (√G + ε) ou η / (√v + ε), le taux de x"),
        "paths": Words("The paths", "Les chemins"),
        "effective": Words("rate of x", "taux de x"),
        "change": Words("of its first", "du premier"),
        "note": Words(
            "After {steps} steps the rate of x is {adagrad} times its first with AdaGrad, {rmsprop} times with "
            "RMSProp; AdaGrad's accumulator has decreased {fallsA} times, RMSProp's {fallsR} times.",
            "Après {steps} pas le taux de x est {adagrad} fois le premier avec AdaGrad, {rmsprop} fois avec RMSProp ; "
            "l'accumulateur d'AdaGrad a décru {fallsA} fois, celui de RMSProp {fallsR} fois.",
        ),
        "begin": Words("No step so far: the accumulators are 0.", "Aucun pas : les accumulateurs valent 0."),
    },
)
