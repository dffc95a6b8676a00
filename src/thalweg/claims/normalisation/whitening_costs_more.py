"""Whitening a layer's inputs takes many times as long as normalising each dimension alone."""

from statistics import median

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.claims.experiments.timing import cpu_seconds
from thalweg.languages import Words

WIDTHS, JUDGED = (64, 128, 256, 512), 256
EXAMPLES, EPSILON = 1024, 1e-5
ROUNDS = 5


def measure(seeds: Seeds) -> Measurement:
    """Both on the same inputs: correlated features, as a layer's are."""
    import torch
    from torch import Tensor

    def each_alone(x: Tensor) -> Tensor:
        centred = x - x.mean(0)
        return centred * torch.rsqrt((centred * centred).mean(0) + EPSILON)

    def whitened(x: Tensor) -> Tensor:
        centred = x - x.mean(0)
        values, vectors = torch.linalg.eigh(centred.mT @ centred / len(x) + EPSILON * torch.eye(x.shape[1]))
        whitening: Tensor = vectors * torch.rsqrt(values) @ vectors.mT
        return centred @ whitening

    seconds: dict[str, list[list[float]]] = {"alone": [], "whitened": []}
    for width in WIDTHS:
        both = []
        for seed in seeds.judged:
            chance = torch.Generator().manual_seed(seed)
            x = torch.randn(EXAMPLES, width, generator=chance) @ torch.randn(width, width, generator=chance)
            calls = {"alone": lambda x=x: each_alone(x), "whitened": lambda x=x: whitened(x)}
            both.append(cpu_seconds(calls, ROUNDS, seed))
        for name, of in seconds.items():
            of.append([one[name] for one in both])
    ratios = [[b / a for a, b in zip(*each, strict=True)] for each in zip(*seconds.values(), strict=True)]
    names = {
        "alone": Words("each dimension alone", "chaque dimension seule"),
        "whitened": Words("whitening", "blanchiment"),
    }
    curves = tuple(
        Curve(names[name], WIDTHS, [1e3 * median(own) for own in of], kind="both") for name, of in seconds.items()
    )
    return Measurement(
        {"cost": ratios[WIDTHS.index(JUDGED)]},
        (
            Panel(
                Words("Time to normalise 1,024 inputs", "Temps pour normaliser 1 024 entrées"),
                Words("width of the layer", "largeur de la couche"),
                Words("milliseconds", "millisecondes"),
                curves,
                log_x=True,
                log_y=True,
            ),
        ),
    )


CLAIM = Claim(
    name="whitening-costs-more",
    slide="Couche Batch Normalization : première approximation",
    statement=Words(
        "To whiten a layer's inputs, with their covariance matrix and its inverse square root, is very expensive "
        "against normalising each dimension alone.",
        "Blanchir les entrées d'une couche, avec leur matrice de variance-covariance et sa racine carrée inverse, est "
        "très coûteux face à la normalisation de chaque dimension seule.",
    ),
    measured=Words(
        "CPU time of both, without gradients, on the same 1,024 inputs of width 256, drawn anew for each seed, on one "
        "thread: blocks in random order, the least of five. Very expensive is read as at least ten times. The figure "
        "has widths from 64 to 512.",
        "Temps CPU des deux, sans gradients, sur les mêmes 1 024 entrées de largeur 256, tirées de nouveau pour chaque "
        "graine, sur un seul thread : blocs en ordre aléatoire, le plus court de cinq. Très coûteux est lu comme au "
        "moins dix fois. La figure montre des largeurs de 64 à 512.",
    ),
    why=Words(
        "With n inputs of d features, the covariance takes about n d² operations and the inverse square root about d³; "
        "each dimension alone takes n d (Ioffe & Szegedy 2015, section 3). The gradient through the root would come on "
        "top.",
        "Avec n entrées de d features, la covariance demande environ n d² opérations et la racine carrée inverse "
        "environ d³ ; chaque dimension seule en demande n d (Ioffe & Szegedy 2015, section 3). Le gradient à travers "
        "la racine viendrait en plus.",
    ),
    bounds=(
        Bound(
            "cost",
            Words("time of whitening / of each dimension alone", "temps du blanchiment / de chaque dimension seule"),
            at_least=10,
            ratio=True,
        ),
    ),
    seeds=8,
    measure=measure,
)
