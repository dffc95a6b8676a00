"""Singular values through Newton-Schulz: what a list of coefficients makes of each, and one list that goes uphill."""

from thalweg.explore.figure import Choice, Figure, Numbers, Words, steps
from thalweg.explore.orthogonalising import EPS, REFUSED, SAFETY, divisor, step, typeset
from thalweg.rules.orthogonalising import LISTS

FIGURE = Figure(
    name="singular",
    section="schemes",
    title=Words("Muon: every direction alike", "Muon : toutes les directions à égalité"),
    see=Words(
        "Muon divides a matrix M of averaged gradients by its norm, then multiplies it by itself so that each singular "
        "value σ becomes aσ + bσ³ + cσ⁵, step after step on its way to 1. Drag the values; choose another list of "
        "(a, b, c).",
        "Muon divise une matrice M de gradients moyennés par sa norme, puis la multiplie par elle-même de sorte que "
        "chaque valeur singulière σ devienne aσ + bσ³ + cσ⁵, pas après pas, en route vers 1. Déplacez les valeurs ; "
        "choisissez une autre liste de (a, b, c).",
    ),
    question=Words(
        "Of the lists of five steps, which brings the five values nearest to 1? Then drag the least to 0.001.",
        "Parmi les listes de cinq pas, laquelle amène les cinq valeurs le plus près de 1 ? Amenez ensuite la plus "
        "petite en 0,001.",
    ),
    answer=Words(
        "“you”: all between 0.978 and 1.003. But it leaves the least at 0.446, where “cans” brings it to 0.846: what "
        "is quick near 1 is slow far from it.",
        "« you » : toutes entre 0,978 et 1,003. Mais elle laisse la plus petite à 0,446, là où « cans » l'amène à "
        "0,846 : qui est rapide près de 1 est lent au loin.",
    ),
    thread=Words(
        "Lion makes all coordinates of a step equal in size; Muon does so with the directions of a whole matrix.",
        "Lion rend égales toutes les coordonnées d'un pas ; Muon fait de même avec les directions d'une matrice "
        "entière.",
    ),
    controls=(
        Choice(
            "list",
            Words("list of coefficients", "liste de coefficients"),
            {name: Words(name, name) for name in LISTS},
            "polar-express",
            brings={name: {"steps": len(entries)} for name, entries in LISTS.items()},
        ),
        steps(max(map(len, LISTS.values())), 5),
        Numbers("values", Words("singular values", "valeurs singulières"), 1e-4, 1.0, (1.0, 0.3, 0.1, 0.03, 0.01)),
    ),
    formulas=((Words("A step of Newton-Schulz", "Un pas de Newton-Schulz"), typeset()),),
    data={"lists": dict(LISTS), "refused": REFUSED, "safety": SAFETY, "eps": EPS},
    functions={"step": step(), "divisor": divisor()},
    words={
        "each": Words("Each singular value", "Chaque valeur singulière"),
        "map": Words("What becomes of every value", "Ce que devient chaque valeur"),
        "refused": Words("A list that is refused: “aol”", "Une liste refusée : « aol »"),
        "this": Words("this step alone", "ce pas seul"),
        "all": Words("all steps so far", "tous les pas jusqu'ici"),
        "before": Words("σ / ‖M‖, before the steps", "σ / ‖M‖, avant les pas"),
        "after": Words("after the steps", "après les pas"),
        "uphill": Words("up the gradient", "remonte le gradient"),
        "value": Words("singular value", "valeur singulière"),
        "norm": Words("divided", "divisée"),
        "aol": Words("refused list", "liste refusée"),
        "drag": Words("singular value {place}", "valeur singulière {place}"),
        "note": Words(
            "After {steps} of {all} steps of “{list}” the values lie between {low} and {high}: the largest is {after} "
            "times the least, and was {begun} times.",
            "Après {steps} pas sur {all} de « {list} », les valeurs sont entre {low} et {high} : la plus grande vaut "
            "{after} fois la plus petite, contre {begun} fois au départ.",
        ),
        "why": Words(
            "“aol”, which NVIDIA's Emerging-Optimizers had, takes {from} to {to}: along that direction the step goes "
            "up the gradient, so thalweg refuses such lists.",
            "« aol », qui vient d'Emerging-Optimizers (NVIDIA), envoie {from} en {to} : dans cette direction le pas "
            "remonte le gradient, et thalweg refuse de telles listes.",
        ),
    },
)
