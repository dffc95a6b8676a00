"""Every rule of the catalogue on one surface, each with its own learning rate."""

from thalweg.explore.figure import Choice, Figure, Form, Numbers, Several, Slider, Words, rate, steps, title
from thalweg.explore.rates import LOWEST, RACE_SURFACES, RATES
from thalweg.explore.surfaces import SURFACES
from thalweg.formula.rule import of_matrices
from thalweg.rules import CATALOGUE

RACING = {label: rule for label, rule in CATALOGUE.items() if not of_matrices(rule)}
FIRST = ("sgd", "momentum", "rmsprop", "adam", "lion")
FAMILIES = {
    "momentum": Words("momentum", "momentum"),
    "adaptive": Words("adaptive", "adaptatives"),
    "sign": Words("by sign", "par signe"),
    "layer-wise": Words("layer-wise", "par couche"),
    "parameter-free": Words("parameter-free", "sans taux à choisir"),
    "schedule-free": Words("schedule-free", "sans calendrier"),
}


def _title(label: str) -> Words:
    return Words("Gradient descent", "Descente de gradient") if label == "sgd" else title(RACING[label])


def _family(family: str) -> Several:
    members = [label for label, rule in RACING.items() if rule.family == family]
    return Several(
        f"family.{family}",
        FAMILIES[family],
        {label: _title(label) for label in members},
        tuple(label for label in members if label in FIRST),
    )


def _rate(label: str) -> Slider:
    rates = [RATES[surface][label] for surface in RACE_SURFACES]
    return rate(f"{label}.lr", min(rates) / 100, max(rates) * 10, RATES["valley"][label], _title(label))


FIGURE = Figure(
    name="race",
    section="schemes",
    title=Words("A race of all rules", "La course de toutes les règles"),
    see=Words(
        "Every rule starts with the best of a grid of learning rates for this surface, so all had the same search. "
        "Move one: a rule's own rate matters more than the rule. Who leads changes with the step, the start and the "
        "surface. Shampoo, SOAP, Muon and NorMuon do not race: they turn matrices, and a point of the plane is none.",
        "Chaque règle part avec le meilleur taux d'une même grille pour cette surface : toutes ont eu droit à la même "
        "recherche. Changez un taux : il compte plus que la règle. Qui mène dépend du pas, du départ et de la surface. "
        "Shampoo, SOAP, Muon et NorMuon ne courent pas : ils transforment des matrices, et un point n'en est pas une.",
    ),
    question=Words(
        "Divide the rates of RMSProp and Adam by ten: after how many steps is their loss below 0.01, and after how "
        "many before?",
        "Divisez par dix les taux de RMSProp et d'Adam : après combien de pas leur perte passe-t-elle sous 0,01, et "
        "après combien avant ?",
    ),
    answer=Words(
        "RMSProp after 247 steps instead of 8, Adam after 70 instead of 51.",
        "RMSProp après 247 pas au lieu de 8, Adam après 70 au lieu de 51.",
    ),
    thread=Words(
        "By now there are many rules; here all that a point of the plane allows run side by side, each with its own "
        "rate.",
        "Voilà bien des règles ; ici courent toutes celles qu'un point du plan permet, chacune avec son propre taux.",
    ),
    controls=(
        Choice(
            "surface",
            Words("surface", "surface"),
            {name: SURFACES[name].title for name in RACE_SURFACES},
            "valley",
            brings={
                name: {"start": SURFACES[name].start, **{f"{label}.lr": best for label, best in RATES[name].items()}}
                for name in RACE_SURFACES
            },
        ),
        steps(300, 100),
        Slider("seed", Words("seed of the noise", "graine du bruit"), 0, 99, 0, whole=True),
        Slider("goal", Words("loss to reach", "perte à atteindre"), 1e-6, 1.0, 0.01, log=True),
        *(_rate(label) for label in RACING),
        *(_family(family) for family in FAMILIES),
        Numbers("start", Words("start", "départ"), -5.5, 5.5, SURFACES["valley"].start),
    ),
    forms=tuple(Form(label, _title(label), rule) for label, rule in RACING.items()),
    shown=FIRST,
    surfaces=RACE_SURFACES,
    data={"rules": list(RACING), "lowest": LOWEST},
    words={
        "rule": Words("rule", "règle"),
        "reached": Words("steps to below", "pas jusque sous"),
        "above": Words("Loss above the lowest", "Perte au-dessus du minimum"),
        "paths": Words("The paths, and where each rule is now", "Les chemins, et où en est chaque règle"),
        "none": Words("Choose a rule.", "Choisissez une règle."),
        "leads": Words(
            "{rule} leads after {steps} steps, with a loss of {loss}. That holds for this surface, this start and "
            "these rates: another rate may change it.",
            "{rule} mène après {steps} pas, avec une perte de {loss}. Cela vaut pour cette surface, ce départ et ces "
            "taux : un autre taux peut tout changer.",
        ),
    },
)
