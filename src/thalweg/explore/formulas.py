"""The formulas beside a figure, typeset."""

from collections.abc import Collection, Mapping
from typing import Any

from thalweg.formula.rule import decay_kind, hypers
from thalweg.formula.text import usual_story
from thalweg.formula.typeset import WORDS, mathml_of

from . import letters
from .figure import Figure, Form

# What stands around a word that is to be said in the page's language.
MARKS = ("⟦", "⟧")
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
    """Title and MathML of each: the rules', then the figure's own.

    The rules' stand in the page's letters and, if it has others, in the ``lecture``'s. What they say in words is in
    `MARKS`, for the page to say in its language.
    """
    set_here = {control.name for control in figure.controls}
    rules = []
    for form in typeset_forms(figure):
        own, lectures = (_typeset(form, set_here, of(form)) for of in (letters.page, letters.lecture))
        other = {} if lectures == own else {"lecture": lectures}
        rules.append({"title": form.title._asdict(), "mathml": own, **other})
    return [*rules, *({"title": title._asdict(), "mathml": mathml} for title, mathml in figure.formulas)]


def typeset_forms(figure: Figure) -> list[Form]:
    """The rules whose formulas stand beside a figure."""
    return [form for form in figure.forms if figure.shown is None or form.label in figure.shown]


def _typeset(form: Form, set_here: Collection[str], printed: Mapping[str, str]) -> str:
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
    return mathml_of(told, {word: "".join((MARKS[0], word, MARKS[1])) for word in WORDS}, printed)
