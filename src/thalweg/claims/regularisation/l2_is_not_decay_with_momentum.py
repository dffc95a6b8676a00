"""With momentum L2 regularisation and weight decay take different paths."""

from thalweg.claims.claim import Bound, Claim, Measurement, Seeds
from thalweg.languages import Words

from .l2_is_decay import distances, panel


def measure(seeds: Seeds) -> Measurement:
    """As for descent without momentum."""
    apart = distances("momentum", seeds.judged, lr=0.3, momentum=0.9)
    share = apart["kinds"].max(1) / apart["decay"].max(1)
    return Measurement({"share": share}, (panel(apart),))


CLAIM = Claim(
    name="l2-is-not-decay-with-momentum",
    slide="Problème de la régularisation",
    statement=Words(
        "With momentum, L2 regularisation is not weight decay: the weights take another path.",
        "Avec momentum, la régularisation L2 n'est pas le weight decay : les poids suivent un autre chemin.",
    ),
    measured=Words(
        "The largest distance between the weights of the two on the way, over the largest between weight decay and "
        "none: momentum 0.9 in float64, a network 64-64-10, all of 200 of the digits as a batch, 200 steps at a "
        "learning rate that falls from 0.3 to 0, λ = 0.1; 8 seeds.",
        "Plus grande distance entre les poids des deux en chemin, rapportée à la plus grande entre le weight decay et "
        "son absence : momentum 0,9 en float64, réseau 64-64-10, 200 chiffres manuscrits en un seul batch, 200 pas à "
        "un taux d'apprentissage qui descend de 0,3 à 0, λ = 0,1 ; 8 graines.",
    ),
    why=Words(
        "L2's λ w enters the velocity and acts over the following 1 / (1 - γ) steps, weight decay at once (Loshchilov "
        "and Hutter 2019): the former lags. Where the rate is constant and the gradient that of all examples, both "
        "come to rest at the same weights in the slide's form, since there the gradient is -λ w for either. So the "
        "path differs, not the goal.",
        "Le λ w de L2 entre dans la vélocité et agit sur les 1 / (1 - γ) pas suivants, le weight decay tout de suite "
        "(Loshchilov et Hutter 2019) : le premier est en retard. À taux constant, et avec le gradient de tous les "
        "exemples, les deux s'arrêtent, sous la forme de la diapositive, aux mêmes poids, puisque le gradient y vaut "
        "-λ w pour l'un comme pour l'autre. C'est donc le chemin qui diffère, pas le but.",
    ),
    bounds=(
        Bound(
            "share",
            Words(
                "distance between the two / what weight decay itself changes",
                "distance entre les deux / ce que change le weight decay lui-même",
            ),
            at_least=0.01,
            share=True,
        ),
    ),
    seeds=8,
    measure=measure,
    figure="decay",
)
