"""The letters of the typeset formulas: the page's own, one for one thing, or those of the lecture."""

from collections.abc import Iterable, Mapping

from thalweg.formula import Rule
from thalweg.formula.symbols import symbol
from thalweg.rules import NAG, Adagrad, Momentum, RMSprop

from .figure import Form

# What the chain calls its own; τ is the limit of both clips.
_CHAIN: Mapping[str, str] = {
    "clip_value": "τ",
    "clip_norm": "τ",
    "clip_eps": "ε",
    "clip_scale": "s",
    "norm": "‖g‖",
    "squares": "‖g‖²",
}
# Where a rule has words or letters of its own: m is an average of gradients, or their sum; v an average of their
# squares, and G the sum of these.
_OF_RULE: Mapping[type[Rule], Mapping[str, str]] = {
    Momentum: {"v": "m"},
    NAG: {"b": "m"},
    Adagrad: {"total": "G"},
    RMSprop: {"scaled": "u"},
}

# The lecture's: the velocity is v, an accumulator is g.
_LECTURE: Mapping[str, str] = {"w": "θ", "g": "∇ℒ(θ)"}
_LECTURE_OF_RULE: Mapping[type[Rule], Mapping[str, str]] = {
    Momentum: {"momentum": "γ", "v": "v"},
    NAG: {"momentum": "γ", "b": "v"},
    Adagrad: {"total": "g"},
    RMSprop: {"v": "g"},
}
# Where it clips, the gradient is g, and the limit α; where it decays, the weights are w, and the momentum β.
_CLIPPED: Mapping[str, str] = {"w": "θ", "clip_value": "α", "clip_norm": "α"}
_DECAYED: Mapping[type[Rule], Mapping[str, str]] = {Momentum: {"momentum": "β", "v": "v"}}


def page(form: Form) -> Mapping[str, str]:
    """What the page writes for some names of a rule, instead of what they are usually printed as."""
    return {**_CHAIN, **_OF_RULE.get(form.rule, {})}


def lecture(form: Form) -> Mapping[str, str]:
    """Likewise the lecture; where it has no letter of its own, the page's."""
    if form.clip:
        others = _CLIPPED
    elif form.decay:
        others = _DECAYED.get(form.rule, {})
    else:
        others = {**_LECTURE, **_LECTURE_OF_RULE.get(form.rule, {})}
    return {**page(form), **others}


def exchanged(forms: Iterable[Form]) -> dict[str, str]:
    """The page's letters that are others in the lecture, each with the lecture's: for a figure's own words.

    What is one letter on the page and two in the lecture is left as it is.
    """
    found: dict[str, set[str]] = {}
    for form in forms:
        own, lectures = page(form), lecture(form)
        for name in {"w", "g", *form.rule.declared, *lectures}:
            usual = own.get(name) or symbol(name).letter
            found.setdefault(usual, set()).add(lectures.get(name) or usual)
    one = {usual: min(letters) for usual, letters in found.items() if len(letters) == 1}
    return {usual: letter for usual, letter in sorted(one.items()) if letter != usual}
