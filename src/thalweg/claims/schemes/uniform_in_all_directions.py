"""In a valley that lies across the coordinates, neither AdaGrad nor RMSProp progresses equally."""

from thalweg.claims.claim import Bound, Claim, Curve, Measurement, Panel, Seeds
from thalweg.languages import Words

RULES = {"adagrad": {"lr": 0.8}, "rmsprop": {"lr": 0.2, "alpha": 0.9}}
TITLES = {"adagrad": Words("AdaGrad", "AdaGrad"), "rmsprop": Words("RMSProp", "RMSProp")}


def measure(seeds: Seeds) -> Measurement:
    """As along the coordinates; each valley turned by its seed's angle."""
    from math import pi

    from thalweg.claims.experiments.valleys import Valleys, ratio

    valleys = Valleys.drawn(seeds.judged, turned=True)
    ratios = {rule: ratio(valleys.left(rule, **settings)) for rule, settings in RULES.items()}
    degrees = (valleys.angle * 180 / pi).tolist()
    return Measurement(
        ratios,
        (
            Panel(
                Words("Uniform is 1; a dot is a valley", "Uniforme : 1 ; un point par vallée"),
                Words("the valley is turned by, degrees", "angle de la vallée, en degrés"),
                Words("left of flat / left of steep", "reste de plat / reste de raide"),
                tuple(Curve(TITLES[rule], degrees, values, kind="dots") for rule, values in ratios.items()),
                log_y=True,
            ),
        ),
    )


CLAIM = Claim(
    name="uniform-in-all-directions",
    slide="RMSProp : deuxième réponse",
    statement=Words(
        "AdaGrad and RMSProp learn uniformly in all directions.",
        "AdaGrad et RMSProp permettent un apprentissage uniforme dans toutes les directions.",
    ),
    measured=Words(
        "10 steps in valleys that are 3 to 100 times as steep across as along, a ratio drawn log-uniformly by each of "
        "48 seeds, which also turns the valley by an angle from 0 to 90 degrees; 200 starts, 1 to 3 away from the "
        "minimum both along and across: the share of the distance that is left along the valley over that left "
        "across, root mean squares over the starts. AdaGrad with the learning rate 0.8, RMSProp with 0.2 and α = 0.9.",
        "10 pas dans des vallées de 3 à 100 fois plus raides en travers que le long, rapport tiré log-uniformément "
        "par chacune des 48 graines, qui tourne aussi la vallée d'un angle de 0 à 90 degrés ; 200 départs, à une "
        "distance du minimum de 1 à 3 le long comme en travers : la part de la distance qui reste le long de la "
        "vallée sur celle qui reste en travers, en moyennes quadratiques sur les départs. AdaGrad au taux "
        "d'apprentissage 0,8, RMSProp à 0,2 avec α = 0,9.",
    ),
    why=Words(
        "Each coordinate is scaled by itself. Where the valley lies askew, the steep direction's gradient is in both, "
        "and both are scaled by it; what is left resembles plain descent, which prefers the steep direction. To scale "
        "any direction needs the full matrix of gradient products, which Duchi, Hazan and Singer 2011 have too, or an "
        "approximation of it (Gupta, Koren and Singer 2018). Along the coordinates, at 0 and 90 degrees, the progress "
        "is uniform.",
        "Chaque coordonnée est mise à l'échelle seule. Là où la vallée est en biais, le gradient de la direction raide "
        "est dans les deux, et les deux sont divisées par lui ; ce qui reste ressemble à une descente simple, qui "
        "privilégie la direction raide. Mettre à l'échelle une direction quelconque demande la matrice complète des "
        "produits de gradients, que Duchi, Hazan et Singer 2011 ont aussi, ou une approximation (Gupta, Koren et "
        "Singer 2018). Le long des coordonnées, à 0 et 90 degrés, la progression est uniforme.",
    ),
    bounds=tuple(
        Bound(
            rule,
            Words(
                f"{title.en}: share left along the valley / across it",
                f"{title.fr} : part restante le long de la vallée / en travers",
            ),
            at_least=0.8,
            at_most=1.25,
            ratio=True,
        )
        for rule, title in TITLES.items()
    ),
    seeds=48,
    measure=measure,
    figure="adagrad",
)
