"""AdaGrad progresses equally in directions whose gradients differ in size, where descent prefers the steep one."""

from thalweg.claims.claim import Bound, Claim, Measurement, Seeds
from thalweg.languages import Words

LR = 0.8


def measure(seeds: Seeds) -> Measurement:
    """Beside plain descent."""
    from thalweg.claims.experiments.valleys import beside_descent

    return beside_descent(seeds.judged, "AdaGrad", "adagrad", lr=LR)


CLAIM = Claim(
    name="adagrad-uniform",
    slide="AdaGrad : une première réponse",
    statement=Words(
        "Descent prefers the direction with the larger gradient; AdaGrad learns uniformly.",
        "La descente privilégie la direction au plus grand gradient ; AdaGrad a un apprentissage uniforme.",
    ),
    measured=Words(
        "10 steps in the valley x² + κ y², with κ drawn log-uniformly from 3 to 100 by each of 24 seeds (the slide's "
        "is 3), from 200 starts, each coordinate 1 to 3 away from the minimum: the share of the distance that is left "
        "in x over that in y, root mean squares over the starts. Descent with the learning rate that halves y at each "
        "step, AdaGrad with 0.8.",
        "10 pas dans la vallée x² + κ y², κ étant tiré log-uniformément de 3 à 100 par chacune des 24 graines (il "
        "vaut 3 sur la diapositive), depuis 200 départs, chaque coordonnée à une distance du minimum de 1 à 3 : la "
        "part de la distance qui reste en x sur celle qui reste en y, en moyennes quadratiques sur les départs. La "
        "descente au taux d'apprentissage qui divise y par deux à chaque pas, AdaGrad à 0,8.",
    ),
    why=Words(
        "Descent's progress in a direction is in proportion to its curvature. Dividing by the root of the sum of "
        "squared gradients takes any factor out of a coordinate's gradients, so that its path is the same whatever its "
        "curvature (Duchi, Hazan and Singer 2011). What is equal is the way covered: of two coordinates the nearer one "
        "still arrives first. It holds for coordinates, not for other directions.",
        "La progression de la descente dans une direction est proportionnelle à sa courbure. Diviser par la racine de "
        "la somme des gradients au carré retire tout facteur des gradients d'une coordonnée, si bien que son chemin "
        "est le même quelle que soit sa courbure (Duchi, Hazan et Singer 2011). Ce qui est égal est le chemin parcouru "
        ": de deux coordonnées, la plus proche arrive toujours la première. Cela vaut pour les coordonnées, non pour "
        "d'autres directions.",
    ),
    bounds=(
        Bound(
            "descent",
            Words("descent: share left of x / share left of y", "descente : part restante de x / part restante de y"),
            at_least=2.0,
            ratio=True,
        ),
        Bound(
            "adagrad",
            Words("AdaGrad: share left of x / share left of y", "AdaGrad : part restante de x / part restante de y"),
            at_least=0.8,
            at_most=1.25,
            ratio=True,
        ),
    ),
    seeds=24,
    measure=measure,
    figure="adagrad",
)
