"""What a figure of the explorer is, before anything is drawn: its words, its controls, the formulas it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from thalweg.formula import Rule
from thalweg.languages import Words as Words


@dataclass(frozen=True)
class Slider:
    """A number between ``low`` and ``high``; ``log``: its logarithm moves evenly; ``whole``: whole numbers only."""

    name: str
    label: Words
    low: float
    high: float
    start: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Choice:
    """One of several. ``brings``: for an option, what it sets other controls to when it is chosen."""

    name: str
    label: Words
    options: Mapping[str, Words]
    start: str
    brings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Several:
    """Any number of several."""

    name: str
    label: Words
    options: Mapping[str, Words]
    start: tuple[str, ...]


@dataclass(frozen=True)
class Toggle:
    """Yes or no."""

    name: str
    label: Words
    start: bool = False


@dataclass(frozen=True)
class Numbers:
    """Numbers that are dragged in the figure itself, such as a starting point; without a control beside it.

    ``low``, ``high``: between which each of them stays.
    """

    name: str
    label: Words
    low: float
    high: float
    start: tuple[float, ...]


Control = Slider | Choice | Several | Toggle | Numbers


@dataclass(frozen=True)
class Form:
    """A rule that a figure runs, and how: the JavaScript, and the typeset formula, are made from it.

    ``label``     what the figure's script calls it; a rule may be there more than once.
    ``title``     its name for readers.
    ``switches``  those that are not as usual.
    ``decay``     the kind of weight decay, unless the rule's own.
    ``clip``      the chain's clipping that the typeset formula shows.
    """

    label: str
    title: Words
    rule: type[Rule]
    switches: Mapping[str, bool] = field(default_factory=dict)
    decay: str | None = None
    clip: Literal["", "value", "norm"] = ""


@dataclass(frozen=True)
class Derivation:
    """How one comes to what the figure shows, in a few steps: a sentence each, and its formula as MathML, or ""."""

    title: Words
    steps: tuple[tuple[Words, str], ...]


@dataclass(frozen=True)
class Figure:
    """One figure.

    ``name``      of its address, and of its script, page/figures/<name>.js.
    ``see``       what to look for, in two or three sentences.
    ``forms``     the rules it runs; ``shown``: labels of those whose formulas are typeset, unless all.
    ``surfaces``  names of the surfaces it needs.
    ``formulas``  further formulas: title, MathML.
    ``data``      anything else its script needs, as JSON; ``functions`` likewise, as JavaScript of the library's own
                  formulas (`thalweg.formula.javascript.function`).
    ``words``     what its script writes into the figure.
    ``question``  something to find out with the figure's own controls, and its ``answer``, with the number.
    ``thread``    a sentence that leads here from the figure before; the first has none.
    """

    name: str
    section: str
    title: Words
    see: Words
    controls: tuple[Control, ...]
    forms: tuple[Form, ...] = ()
    shown: tuple[str, ...] | None = None
    surfaces: tuple[str, ...] = ()
    formulas: tuple[tuple[Words, str], ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Words] = field(default_factory=dict)
    question: Words | None = None
    answer: Words | None = None
    thread: Words | None = None
    derivation: Derivation | None = None


# As the papers spell them; otherwise a rule is called as its class.
_SPELT = {"Adagrad": "AdaGrad", "RMSprop": "RMSProp"}


def spelt(text: str) -> str:
    """A text in which rules are called as everywhere on the page."""
    for name, theirs in _SPELT.items():
        text = text.replace(name, theirs)
    return text


def title(rule: type[Rule]) -> Words:
    """A rule's name for readers."""
    return Words(spelt(rule.__name__), spelt(rule.__name__))


def rate(name: str, low: float, high: float, start: float, of: Words | None = None) -> Slider:
    """A slider for a learning rate; ``of``: whose."""
    label = Words("learning rate η", "taux d'apprentissage η")
    return Slider(name, label if of is None else Words(f"{of.en}: η", f"{of.fr} : η"), low, high, start, log=True)


def steps(high: int, start: int) -> Slider:
    """How many steps are drawn; the page's play button moves it."""
    return Slider("steps", Words("steps", "pas"), 0, high, start, whole=True)
