"""The letters of the formulas beside the figures: the page's, and the lecture's as its slides have them."""

import re
import xml.etree.ElementTree as ElementTree

from thalweg.explore.figure import Form, Words
from thalweg.explore.figures import figures
from thalweg.explore.formulas import MARKS, shown_formulas
from thalweg.explore.letters import exchanged
from thalweg.rules import Adam, Momentum

# What the page writes, and what it means there.
LETTERS = {
    "w": "the weights", "g": "the gradient", "d": "the step", "t": "the step's number",
    "m": "a sum or an average of gradients", "v": "an average of their squares", "G": "the sum of their squares",
    "u": "a gradient divided", "c": "a correction of bias", "s": "the clip's factor",
    "η": "learning rate", "μ": "momentum", "α": "memory", "β": "memory", "λ": "weight decay", "ε": "eps",
    "τ": "the limit", "‖g‖": "norm", "‖g‖²": "its square",
}  # fmt: skip
FUNCTIONS = {"clip", "min", "sign"}


def written(element):
    """A formula as text, without what is invisible: a fraction is a/(b), a root √(a)."""
    parts = [written(each) for each in element]
    match element.tag:
        case "mfrac":
            text = f"{parts[0]}/({parts[1]})"
        case "msqrt":
            text = f"√({''.join(parts)})"
        case _:
            text = (element.text or "") + "".join(parts)
    return re.sub(r"[\u2061-\u2064]", "", text)


def rows(html):
    return [written(each) for each in ElementTree.fromstring(f"<div>{html}</div>").iter("mtr")]


def formulas(name, key):
    figure = next(each for each in figures() if each.name == name)
    return {each["title"]["en"]: rows(each[key]) for each in shown_formulas(figure) if key in each}


def test_every_letter_of_the_rules_has_a_meaning_and_none_is_a_word():
    found = {
        letter
        for figure in figures()
        for each in shown_formulas(figure)
        if "lecture" in each
        for letter in re.findall(r"<mi>(.*?)</mi>", each["mathml"])
    }
    assert found - FUNCTIONS == {*LETTERS}


def test_the_lecture_s_momentum_adagrad_and_rmsprop():
    momentum = next(formula for title, formula in formulas("momentum", "lecture").items() if title == "Momentum")
    assert momentum == ["v←γv+(1−γ)⋅∇ℒ(θ)", "d=ηv", "θ←θ−d"]
    adagrad, rmsprop = formulas("accumulator", "lecture").values()
    assert adagrad == ["g←g+∇ℒ(θ)2", "d=η⋅∇ℒ(θ)/(√(g)+ε)", "θ←θ−d"]
    assert rmsprop == ["g←αg+(1−α)⋅∇ℒ(θ)2", "u=∇ℒ(θ)/(√(g)+ε)", "d=ηu", "θ←θ−d"]
    (adam,) = formulas("bias", "lecture").values()
    assert {"m←β1m+(1−β1)⋅∇ℒ(θ)", "v←β2v+(1−β2)⋅∇ℒ(θ)2"} <= {*adam}


def test_what_a_letter_is_exchanged_for_in_words_is_one_thing():
    title = Words("", "")
    momentum, adam = Form("a", title, Momentum), Form("b", title, Adam)
    assert exchanged([momentum]) == {"g": "∇ℒ(θ)", "m": "v", "w": "θ", "μ": "γ"}
    # Adam's m is the lecture's m.
    assert exchanged([momentum, adam]) == {"g": "∇ℒ(θ)", "w": "θ", "μ": "γ"}


def test_words_are_marked_for_the_page_to_say():
    figure = next(each for each in figures() if each.name == "bias")
    assert "once a step".join(MARKS) in shown_formulas(figure)[0]["mathml"]
