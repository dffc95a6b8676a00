"""torch.nn's RMSNorm takes less time than torch.nn's LayerNorm, on the CPU."""

from thalweg.claims.claim import Bound, Claim, Measurement, Seeds
from thalweg.languages import Words

# The least of the savings that Zhang and Sennrich 2019 report, 7% to 64%.
LESS = 0.93


def measure(seeds: Seeds) -> Measurement:
    """Each seed draws a width and inputs."""
    from thalweg.claims.experiments.norm_times import ratios

    times, panel = ratios(seeds.judged)
    return Measurement({"time": times["torch"]}, (panel,))


CLAIM = Claim(
    name="rmsnorm-cheaper-in-torch",
    slide="RMSNorm",
    statement=Words(
        "On the CPU, torch.nn.RMSNorm takes less time than torch.nn.LayerNorm.",
        "Sur CPU, torch.nn.RMSNorm demande moins de temps que torch.nn.LayerNorm.",
    ),
    measured=Words(
        "CPU time of forward and backward, the layers as they are, on one thread: 262,144 numbers, one of four widths "
        "from 256 to 1,024 drawn by each seed, blocks in random order, the least of five. Less is read as at least 7% "
        "less, the least of what Zhang and Sennrich report.",
        "Temps CPU des passes avant et arrière, les couches telles quelles, sur un seul thread : 262 144 nombres, une "
        "de quatre largeurs de 256 à 1 024, tirée par chaque graine, blocs en ordre aléatoire, le plus court de cinq. "
        "Moins est lu comme au moins 7 % de moins, le plus petit gain que rapportent Zhang et Sennrich.",
    ),
    why=Words(
        "What a layer costs is how it is computed, more than how much there is to compute: torch's LayerNorm is one "
        "kernel on the CPU, its RMSNorm a chain of operations, each with a walk over memory. On graphics cards, and in "
        "other versions, that may be otherwise.",
        "Ce qu'une couche coûte tient à la façon de la calculer, plus qu'à la quantité de calcul : sur CPU, la "
        "LayerNorm de torch est un seul noyau, sa RMSNorm une suite d'opérations, dont chacune parcourt la mémoire. "
        "Sur carte graphique, et dans d'autres versions, il peut en être autrement.",
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
