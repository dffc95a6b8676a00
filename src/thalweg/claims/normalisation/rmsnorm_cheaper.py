"""RMSNorm takes less time than LayerNorm, where both are written operation by operation."""

from thalweg.claims.claim import Bound, Claim, Measurement, Seeds
from thalweg.languages import Words

# The least of the savings that Zhang and Sennrich 2019 report, 7% to 64%.
LESS = 0.93


def measure(seeds: Seeds) -> Measurement:
    """Each seed draws a width and inputs."""
    from thalweg.claims.experiments.norm_times import ratios

    times, panel = ratios(seeds.judged)
    return Measurement({"time": times["written"]}, (panel,))


CLAIM = Claim(
    name="rmsnorm-cheaper",
    slide="RMSNorm",
    statement=Words(
        "RMSNorm takes less time than LayerNorm, where both are computed in the same way.",
        "RMSNorm demande moins de temps que LayerNorm, quand les deux sont calculées de la même façon.",
    ),
    measured=Words(
        "CPU time of forward and backward, both written operation by operation in PyTorch, on one thread: 262,144 "
        "numbers, one of four widths from 256 to 1,024 drawn by each seed, blocks in random order, the least of five. "
        "Less is read as at least 7% less, the least of what Zhang and Sennrich report.",
        "Temps CPU des passes avant et arrière, les deux écrites opération par opération avec PyTorch, sur un seul "
        "thread : 262 144 nombres, une de quatre largeurs de 256 à 1 024, tirée par chaque graine, blocs en ordre "
        "aléatoire, le plus court de cinq. Moins est lu comme au moins 7 % de moins, le plus petit gain que rapportent "
        "Zhang et Sennrich.",
    ),
    why=Words(
        "RMSNorm leaves out the mean and its subtraction (Zhang and Sennrich 2019) and, as PyTorch has it, the bias, "
        "and their gradients. Written out, each is a walk over memory. Layers that are one kernel walk over the same "
        "memory with either norm, so that how they are made counts for more: the figure has those of torch.nn and "
        "thalweg.nn too.",
        "RMSNorm laisse de côté la moyenne et sa soustraction (Zhang et Sennrich 2019) et, telle que PyTorch l'écrit, "
        "le biais, ainsi que leurs gradients. Écrits un à un, ce sont autant de parcours de la mémoire. Les couches "
        "d'un seul noyau parcourent la même mémoire avec l'une et l'autre, et la façon de les faire compte davantage : "
        "la figure montre aussi celles de torch.nn et de thalweg.nn.",
    ),
    bounds=(
        Bound(
            "time",
            Words("time of RMSNorm / of LayerNorm", "temps de RMSNorm / de LayerNorm"),
            at_most=LESS,
            ratio=True,
        ),
    ),
    seeds=16,
    measure=measure,
    figure="norms",
)
