"""What notebooks show, through IPython's own formatters where it is installed."""

import subprocess
import sys
from html.parser import HTMLParser

import pytest

import handmade
import thalweg
from thalweg.formula.text import usual_story
from thalweg.formula.typeset import mathml_of
from thalweg.rules import CATALOGUE


class Words(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_data(self, data):
        self.found.append(data)


def words(text):
    return " ".join("".join(Words(text).found).split())


def in_a_notebook(shown):
    """The HTML that a notebook gets, by IPython's rules: of a class, only a class method is asked."""
    try:
        from IPython.core.formatters import DisplayFormatter
    except ModuleNotFoundError:
        method = getattr(shown, "_repr_html_", None)
        if isinstance(shown, type):
            assert method is None or method.__self__ is shown
        return method() if method else None
    return DisplayFormatter().format(shown)[0].get("text/html")


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_a_rule_shows_its_card(name):
    rule = CATALOGUE[name]
    text = words(in_a_notebook(rule))
    assert text.startswith(rule.__name__)
    assert "for every weight" in text
    assert "hyperparameter" in text


def test_the_base_of_rules_has_nothing_to_show():
    assert in_a_notebook(thalweg.Rule) is None


def test_show_takes_names_rules_and_optimizers():
    import torch

    optimizer = thalweg.AdamW([torch.nn.Parameter(torch.zeros(2))])
    cards = [thalweg.show(given) for given in ("adamw", CATALOGUE["adamw"], thalweg.AdamW, optimizer)]
    assert {repr(card) for card in cards} == {repr(cards[0])}
    assert repr(cards[0]).startswith("AdamW  2017")
    assert "m <- beta1 * m + (1 - beta1) * g" in repr(cards[0])
    # The same as text and as HTML, but for the formulas, which a notebook sets.
    shown = in_a_notebook(cards[0])
    before, after = (part.split() for part in repr(cards[0]).split("once a step"))
    text = words(shown).split()
    assert text[: len(before)] == before
    assert text[-1] == after[-1] == "decay=independent"
    assert "<mi>m</mi>" in shown
    assert mathml_of(usual_story(CATALOGUE["adamw"])) in shown
    assert "<-" not in shown


@pytest.mark.parametrize("given", [3, thalweg.Rule, int])
def test_show_refuses_what_is_no_rule(given):
    with pytest.raises(TypeError, match="show takes a rule"):
        thalweg.show(given)


def test_a_comparison_shows_verdict_and_table():
    found = handmade.comparison(trials=12, hostile=True)
    shown = in_a_notebook(found)
    assert "<img" not in shown
    text = words(shown)
    assert text.index("At an edge of its search") < text.index("On my </script>") < text.index("What it rests on")
    assert "tuned, 5 trials" in text
    assert "verdict" not in repr(found)
    assert len(repr(found)) < 500


def test_a_verdict_shows_its_sentences():
    verdict = handmade.comparison(trials=3, hostile=True).verdict
    shown = in_a_notebook(verdict)
    assert "<img" not in shown
    assert verdict.notices == 1
    assert words(shown.replace("</p>", " ")).startswith(verdict.short)
    assert shown.count("<p>") == len(verdict.sentences) + len(verdict.details)
    assert shown.count("<strong>On my") == 1


def test_several_comparisons_begin_with_what_they_say_together():
    found = handmade.suite(3, trials=3, seeds=2)
    text = words(in_a_notebook(found))
    assert found.across.sentences[0] in text
    assert text.index(found.across.sentences[0]) < text.index(found.comparisons[2].verdict.answer)


def test_figures_are_plotlys_own():
    from plotly.graph_objects import Figure

    found = handmade.comparison(trials=12, seeds=6).figures()
    assert list(found) == ["forest", "intervals", "best", "by-lr", "by-weight_decay", "training"]
    assert all(isinstance(figure, Figure) for figure in found.values())
    for name, figure in found.items():
        listed = [trace.name for trace in figure.data if trace.showlegend]
        # Differences from sgd: it has none from itself.
        assert sorted(listed) == ["adamw", "lion", *(["sgd"] if name != "forest" else []), "sgd:momentum=0.9"]


def test_figures_of_several_tasks_say_of_which():
    found = handmade.suite(10, trials=3, seeds=2).figures()
    assert {"training spiral", "training task-9", "profile", "ranks"} <= set(found)
    assert len(found) == 62


def test_nothing_is_loaded_before_it_is_shown():
    code = "import sys, thalweg; print([m for m in ('torch', 'plotly', 'rich', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
