"""The letters of the typeset formulas: the page's own, one letter for one thing, or those of the lecture."""

from collections.abc import Iterable, Mapping

from thalweg.formula import Rule
from thalweg.formula.symbols import symbol
from thalweg.rules import NAG, Adagrad, Momentum, RMSprop

from .figure import Form

# Rules name their states as their papers do; on the page the accumulator of squares is v, and a velocity too.
PAGE: Mapping[str, str] = {
    "total": "v",
    "b": "v",
    "scaled": "u",
    "squares": "‖g‖²",
    "norm": "‖g‖",
    "clip_value": "c",
    "clip_norm": "c",
    "clip_eps": "ε",
    "clip_scale": "s",
}

# The lecture's, where it has others: for all rules, then for some.
_LECTURE: Mapping[str, str] = {"w": "θ", "g": "∇ℒ(θ)"}
_OF_RULE: Mapping[type[Rule], Mapping[str, str]] = {
    Momentum: {"momentum": "γ"},
    NAG: {"momentum": "γ"},
    Adagrad: {"total": "g"},
    RMSprop: {"v": "g"},
}
# Where it clips, the gradient is g, and the limit α; where it decays, the weights are w, and the momentum β.
_CLIPPED: Mapping[str, str] = {"w": "θ", "clip_value": "α", "clip_norm": "α"}
_DECAYED: Mapping[str, str] = {"momentum": "β"}


def lecture(form: Form) -> Mapping[str, str]:
    """What the lecture writes for some names of a rule, where it writes something else than the page."""
    if form.clip:
        return _CLIPPED
    return _DECAYED if form.decay else {**_LECTURE, **_OF_RULE.get(form.rule, {})}


def swapped(forms: Iterable[Form]) -> dict[str, str]:
    """The page's letters that are others in the lecture, each with the lecture's: for a figure's own words."""
    return {PAGE.get(name) or symbol(name).letter: letter for form in forms for name, letter in lecture(form).items()}
