"""RMSProp, too, progresses equally in coordinates whose gradients differ in size."""

from thalweg.claims.claim import Bound, Claim, Measurement, Seeds
from thalweg.languages import Words

LR, ALPHA = 0.2, 0.9


def measure(seeds: Seeds) -> Measurement:
    """Beside plain descent."""
    from thalweg.claims.experiments.valleys import beside_descent

    return beside_descent(seeds.judged, "RMSProp", "rmsprop", lr=LR, alpha=ALPHA)


CLAIM = Claim(
    name="rmsprop-uniform",
    slide="RMSProp : deuxième réponse",
    statement=Words(
        "RMSProp, too, learns uniformly where descent prefers the direction with the larger gradient.",
        "RMSProp aussi a un apprentissage uniforme, là où la descente privilégie la direction au plus grand gradient.",
    ),
    measured=Words(
        "10 steps in the valley x² + κ y², with κ drawn log-uniformly from 3 to 100 by each of 24 seeds, from 200 "
        "starts, each coordinate 1 to 3 away from the minimum: the share of the distance that is left in x over that "
        "in y, root mean squares over the starts. Descent with the learning rate that halves y at each step, RMSProp "
        "with 0.2 and α = 0.9.",
        "10 pas dans la vallée x² + κ y², κ étant tiré log-uniformément de 3 à 100 par chacune des 24 graines, depuis "
        "200 départs, chaque coordonnée à une distance du minimum de 1 à 3 : la part de la distance qui reste en x "
        "sur celle qui reste en y, en moyennes quadratiques sur les départs. La descente au taux d'apprentissage qui "
        "divise y par deux à chaque pas, RMSProp à 0,2 avec α = 0,9.",
    ),
    why=Words(
        "The moving average of a coordinate's squared gradients carries the square of any factor that they have, and "
        "its root takes it out again (Hinton, Srivastava and Swersky 2012): the path of a coordinate does not depend "
        "on its curvature, as long as ε is small beside the root. Close to the minimum, steps keep the size of the "
        "learning rate in every coordinate, and shake both equally.",
        "La moyenne mobile des gradients au carré d'une coordonnée porte le carré de tout facteur qu'ils ont, et sa "
        "racine le retire (Hinton, Srivastava et Swersky 2012) : le chemin d'une coordonnée ne dépend pas de sa "
        "courbure, tant que ε est petit devant la racine. Près du minimum, les pas gardent la taille du taux "
        "d'apprentissage dans chaque coordonnée, et les secouent toutes également.",
    ),
    bounds=(
        Bound(
            "descent",
            Words("descent: share left of x / share left of y", "descente : part restante de x / part restante de y"),
            at_least=2.0,
            ratio=True,
        ),
        Bound(
            "rmsprop",
            Words("RMSProp: share left of x / share left of y", "RMSProp : part restante de x / part restante de y"),
            at_least=0.8,
            at_most=1.25,
            ratio=True,
        ),
    ),
    seeds=24,
    measure=measure,
    figure="adagrad",
)
