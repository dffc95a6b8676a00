"""Small batches: what BatchNorm takes from one is a noisy estimate; LayerNorm and RMSNorm take none."""

from thalweg.explore.figure import Figure, Slider, Words
from thalweg.explore.norm_formulas import shown

FIGURE = Figure(
    name="batchsize",
    section="normalisation",
    title=Words("Small batches", "Petits batchs"),
    see=Words(
        "BatchNorm guesses a feature's mean and deviation from the batch: the smaller the batch, the worse the guess. "
        "So the same example gets another value in every batch. LayerNorm and RMSNorm look at the example alone.",
        "BatchNorm estime la moyenne et l'écart-type d'une feature sur le batch : plus il est petit, plus "
        "l'estimation est mauvaise. La même observation reçoit donc une autre valeur à chaque batch. LayerNorm et "
        "RMSNorm ne regardent que l'observation.",
    ),
    question=Words(
        "From how many examples on is the mean off by at most 0.2 deviations, typically?",
        "À partir de combien d'observations l'erreur typique sur la moyenne est-elle d'au plus 0,2 écart-type ?",
    ),
    answer=Words(
        "From n = 25: the error is 1/√n. With 4 examples it is 0.5.",
        "À partir de n = 25 : l'erreur vaut 1/√n. Avec 4 observations, elle vaut 0,5.",
    ),
    thread=Words(
        "All of that took the mean of a batch for the truth; with few examples it is a guess.",
        "Tout cela prenait la moyenne d'un batch pour la vérité ; avec peu d'observations, ce n'est qu'une estimation.",
    ),
    controls=(
        Slider("n", Words("examples in a batch, n", "observations par batch, n"), 1, 64, 4, whole=True),
        Slider("value", Words("the example's value", "valeur de l'observation"), -2.5, 2.5, 1.5),
        Slider("seed", Words("draw again", "tirer à nouveau"), 0, 99, 1, whole=True),
    ),
    formulas=shown("batch", "layer", "rms"),
    # How many batches of each size; the example's further features; the eps of torch's layers.
    data={
        "count": 40,
        "sizes": (1, 2, 4, 8, 16, 32, 64),
        "others": (0.9, 1.8, -0.7, 2.2, 0.4, 1.1, 2.6),
        "eps": 1e-5,
    },
    words={
        "mean": Words("The mean of each batch; dashed: all data", "La moyenne de chaque batch ; tirets : tout"),
        "deviation": Words(
            "The deviation of each batch; dashed: all data", "L'écart-type de chaque batch ; tirets : tout"
        ),
        "z": Words("One example, normalised in 40 batches", "Une observation, normalisée dans 40 batchs"),
        "size": Words("examples in the batch, n", "observations dans le batch, n"),
        "batch": Words("batch", "batch"),
        "all": Words("all data", "tout"),
        "norm": Words("norm", "normalisation"),
        "average": Words("mean z", "z moyen"),
        "spread": Words("deviation of z", "écart-type de z"),
        "least": Words("least z", "plus petit z"),
        "most": Words("largest z", "plus grand z"),
        "some": Words(
            "From {n} examples the mean is off by 1/√n = {error} deviations, typically, and z of the same example "
            "goes from {low} to {high}. LayerNorm gives {layer} and RMSNorm {rms}, in every batch.",
            "Avec {n} observations, l'erreur typique sur la moyenne est de 1/√n = {error} écart-type, et le z de la "
            "même observation va de {low} à {high}. LayerNorm donne {layer} et RMSNorm {rms}, dans tous les batchs.",
        ),
        "two": Words(
            "Two examples always become −1 and +1 (but for ε), whatever they were. LayerNorm gives {layer} and "
            "RMSNorm {rms}.",
            "Deux observations deviennent toujours −1 et +1 (à ε près), quelles qu'elles soient. LayerNorm donne "
            "{layer} et RMSNorm {rms}.",
        ),
        "one": Words(
            "A single example is its own mean: BatchNorm gives 0 whatever comes in, so that only β is left, and torch "
            "refuses to train so. LayerNorm gives {layer} and RMSNorm {rms}.",
            "Une observation seule est sa propre moyenne : BatchNorm donne 0 quelle que soit l'entrée, il ne reste "
            "que β, et torch refuse d'entraîner ainsi. LayerNorm donne {layer} et RMSNorm {rms}.",
        ),
    },
)
