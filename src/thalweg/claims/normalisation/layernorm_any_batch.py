"""LayerNorm gives an example the same output in every batch; BatchNorm does not."""

from thalweg.claims.claim import Bound, Claim, Measurement, Panel, Seeds
from thalweg.claims.drawing import over_seeds
from thalweg.languages import Words

SIZES, JUDGED = (2, 4, 8, 16, 32, 64), 16
BATCHES = 20
# In float64, whose grain is 2e-16: what is above comes from no rounding.
EXACT, CLEAR = 1e-12, 0.1


def measure(seeds: Seeds) -> Measurement:
    """The sums of a first layer, of one digit that stands in batches of others."""
    import torch
    from torch import nn

    from thalweg.claims.experiments.training import digits

    images = digits().train.images.double()
    kinds = {"layer": nn.LayerNorm, "batch": nn.BatchNorm1d}
    spread: dict[str, list[list[float]]] = {name: [] for name in kinds}
    exact = []
    for seed in seeds.judged:
        chance = torch.Generator().manual_seed(seed)
        weights = torch.randn(64, 64, generator=chance, dtype=torch.float64) / 8
        example, *others = images[torch.randperm(len(images), generator=chance)] @ weights
        drawn = {
            size: [torch.randperm(len(others), generator=chance)[: size - 1].tolist() for _ in range(BATCHES)]
            for size in SIZES
        }
        outputs = {}
        for name, kind in kinds.items():
            norm = kind(64, dtype=torch.float64)
            with torch.no_grad():
                outputs[name] = [
                    torch.stack([norm(torch.stack([example, *(others[k] for k in batch)]))[0] for batch in drawn[size]])
                    for size in SIZES
                ]
            spread[name].append([float(of.var(0).mean().sqrt()) for of in outputs[name]])
        with torch.no_grad():
            evaluated = nn.LayerNorm(64, dtype=torch.float64).eval()(example.unsqueeze(0))
        exact.append(max(float((of - evaluated).abs().max()) for of in outputs["layer"]))
    words = {"layer": Words("LayerNorm", "LayerNorm"), "batch": Words("BatchNorm", "BatchNorm")}
    return Measurement(
        {"layer": exact, "batch": [of[SIZES.index(JUDGED)] for of in spread["batch"]]},
        (
            Panel(
                Words("An example's output, from batch to batch", "La sortie d'une observation, d'un batch à l'autre"),
                Words("examples in a batch", "observations par batch"),
                Words("deviation of the output", "écart-type de la sortie"),
                tuple(over_seeds(words[name], SIZES, of, kind="both") for name, of in spread.items()),
                log_x=True,
            ),
        ),
    )


CLAIM = Claim(
    name="layernorm-any-batch",
    slide="Layer Normalization",
    statement=Words(
        "LayerNorm gives an example the same output whatever batch it stands in, and the same in evaluation; "
        "BatchNorm does not.",
        "LayerNorm donne à une observation la même sortie quel que soit son batch, et la même en évaluation ; "
        "BatchNorm non.",
    ),
    measured=Words(
        "A digit's 64 sums after a random layer, normalised in 20 batches of each size from 2 to 64, with other "
        "digits, in float64. Of LayerNorm the largest difference from its output alone in evaluation; of BatchNorm the "
        "deviation of the output between batches of 16, where 1 is the deviation that the outputs have within a batch.",
        "Les 64 sommes d'un chiffre après une couche aléatoire, normalisées dans 20 batchs de chaque taille de 2 à 64, "
        "avec d'autres chiffres, en float64. Pour LayerNorm, le plus grand écart à sa sortie seule en évaluation ; "
        "pour BatchNorm, l'écart-type de la sortie entre batchs de 16, où 1 est l'écart-type des sorties au sein d'un "
        "batch.",
    ),
    why=Words(
        "LayerNorm's mean and variance come from the example's own features (Ba et al. 2016). BatchNorm's are "
        "estimated from n examples, with an error that falls as 1 / √n: it shrinks as batches grow, and never "
        "vanishes. That noise need not be bad: it regularises.",
        "La moyenne et la variance de LayerNorm viennent des features de l'observation elle-même (Ba et al. 2016). "
        "Celles de BatchNorm sont estimées sur n observations, avec une erreur en 1 / √n : elle baisse quand les "
        "batchs grandissent, sans jamais disparaître. Ce bruit n'est pas forcément mauvais : il régularise.",
    ),
    bounds=(
        Bound(
            "layer",
            Words("LayerNorm: largest change of an output", "LayerNorm : plus grand changement d'une sortie"),
            at_most=EXACT,
        ),
        Bound(
            "batch",
            Words("BatchNorm: deviation between batches of 16", "BatchNorm : écart-type entre batchs de 16"),
            at_least=CLEAR,
        ),
    ),
    seeds=12,
    measure=measure,
    figure="batchsize",
)
