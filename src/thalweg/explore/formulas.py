"""The formulas beside a figure, typeset."""

from collections.abc import Collection, Mapping
from typing import Any

from thalweg.formula import Rule
from thalweg.formula.rule import decay_kind, hypers
from thalweg.formula.text import usual_story
from thalweg.formula.typeset import WORDS, mathml_of
from thalweg.rules import NAG, Adagrad, Momentum, RMSprop

from .figure import Figure, Form, Words

# One symbol for one thing on the whole page, where rules have words or letters of their own: m is an average of
# gradients, or their sum; v an average of their squares; G the sum of the squares.
NAMES: Mapping[type[Rule], Mapping[str, str]] = {
    Momentum: {"v": "m"},
    NAG: {"b": "m"},
    Adagrad: {"total": "G"},
    RMSprop: {"scaled": "u"},
}
# What the chain calls its own; tau is the limit of both clips.
OF_CHAIN = {
    "clip_value": "tau", "clip_norm": "tau", "clip_eps": "epsilon", "clip_scale": "s", "squares": "q",
}  # fmt: skip

# In French, what the typeset formulas say in words.
FRENCH = {
    "once a step": "une fois par pas",
    "then once": "puis une fois",
    "for every weight": "pour chaque poids",
    "for every matrix": "pour chaque matrice",
    "for each": "pour chaque",
    "kept for the next step": "gardé pour le pas suivant",
    "of each parameter": "de chaque paramètre",
    "of each group": "de chaque groupe",
    "of all parameters": "de tous les paramètres",
    "of each row": "de chaque ligne",
    "of each column": "de chaque colonne",
    "of each matrix": "de chaque matrice",
    "if": "si",
    "otherwise": "sinon",
}


def shown_formulas(figure: Figure) -> list[dict[str, Any]]:
    """Title and MathML of each, in the page's languages: the rules', then the figure's own."""
    labels = [form.label for form in figure.forms] if figure.shown is None else figure.shown
    set_here = {control.name for control in figure.controls}
    rules = [(form.title, _typeset(form, set_here)) for form in figure.forms if form.label in labels]
    own = [(title, Words(mathml, mathml)) for title, mathml in figure.formulas]
    return [{"title": title._asdict(), "mathml": mathml._asdict()} for title, mathml in (*rules, *own)]


def _typeset(form: Form, set_here: Collection[str]) -> Words:
    kind = form.decay or decay_kind(form.rule)
    # Decay that is 0 unless somebody sets it is left out, as in the papers.
    given = hypers(form.rule).get("weight_decay")
    idle = form.decay is None and kind != "own" and (given is None or given.default == 0)
    # So are options that are 0 and that no control of the figure sets.
    unused = [name for name, hyper in hypers(form.rule).items() if f"{form.label}.{name}" not in set_here]
    told = usual_story(
        form.rule,
        form.switches,
        "none" if idle else kind,
        clip_value=form.clip == "value",
        clip_norm=form.clip == "norm",
        fixed={name: 0.0 for name in unused if hypers(form.rule)[name].default == 0 and name != "weight_decay"},
    )
    names = {**OF_CHAIN, **NAMES.get(form.rule, {})}
    return Words(mathml_of(told, None, names), mathml_of(told, {word: FRENCH[word] for word in WORDS}, names))
