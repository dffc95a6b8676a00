"""The page: figures, formulas and scripts become one file that asks for nothing."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from html import escape
from importlib.resources import files
from itertools import product
from string import Template
from typing import Any

from thalweg import __version__
from thalweg.claims.outcome import Outcome
from thalweg.formula import Rule
from thalweg.formula.compose import tested
from thalweg.formula.javascript import form
from thalweg.formula.rule import hypers, inner
from thalweg.rules import CATALOGUE
from thalweg.view.palette import COLOURS

from . import claims
from .figure import Control, Derivation, Figure, Form, Words
from .figures import figures
from .formulas import FRENCH, shown_formulas, typeset_forms
from .letters import exchanged
from .norm_formulas import FUNCTIONS as NORM_FUNCTIONS
from .surfaces import SURFACES
from .words import SECTIONS, WORDS

# In the order in which they need each other.
SCRIPTS = (
    "words",
    "address",
    "chance",
    "training",
    "normalising",
    "contours",
    "axes",
    "panel",
    "paths",
    "controls",
    "export",
    "python",
    "telling",
    "playing",
    "overview",
    "presenting",
    "app",
)
CLAIMS_SCRIPTS = ("words", "contours", "axes", "panel", "claims")


def page(*names: str) -> str:
    """The whole page as text; with the figures of these names, unless all."""
    return _filled("explorer.html", script(figures(*names)))


def claims_page(shown: Sequence[Outcome], explorer: str = "") -> str:
    """The page of the claims as text. ``explorer``: the file of the explorer that stands beside it, if it does."""
    lines = [f"const {name} = {_json(value)};" for name, value in claims.data(shown, explorer).items()]
    return _filled("claims.html", _run([*lines, *(_file(f"{name}.js") for name in CLAIMS_SCRIPTS)]), "claims.css")


def _filled(page: str, script: str, *styles: str) -> str:
    """A page with styles and a script in it; ``styles``: more than all pages have."""
    light = "".join(f"--c{i}: {light}; " for i, (light, _) in enumerate(COLOURS))
    css = Template(_file("explorer.css")).substitute(light=light, dark=_dark()) + "".join(map(_file, styles))
    return Template(_file(page)).substitute(version=__version__, css=css, script=script)


def _run(lines: Iterable[str]) -> str:
    """A script of its own names, which begins by itself, to stand in a page."""
    text = "\n".join(['(() => {\n"use strict";', *lines, "begin();\n})();"])
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def script(figures: tuple[Figure, ...]) -> str:
    """Everything that runs on the page."""
    names = sorted({name for each in figures for name in each.surfaces})
    forms = {each.label: each for figure in figures for each in figure.forms}
    for figure in figures:
        for each in figure.forms:
            if each != forms[each.label]:
                raise ValueError(f"two figures call different rules {each.label!r}; rename one")
    data = {
        "WORDS": {name: words._asdict() for name, words in WORDS.items()},
        "SECTIONS": [
            {"title": title._asdict(), "names": [each.name for each in figures if each.section == section]}
            for section, title in SECTIONS.items()
            if any(each.section == section for each in figures)
        ],
        "FIGURES": [_figure(each) for each in figures],
        "FORMULA_WORDS": {word: {"en": word, "fr": french} for word, french in FRENCH.items()},
        "CLAIMS": claims.FILE,
    }
    lines = [f"const {name} = {_json(value)};" for name, value in data.items()]
    lines.append(f"const RULES = {{\n{''.join(_rule(each) for each in forms.values())}}};")
    lines.append(f"const SURFACES = {{\n{''.join(_surface(name) for name in names)}}};")
    functions = {f"norm.{name}": text for name, text in NORM_FUNCTIONS.items()}
    functions |= {f"{each.name}.{name}": text for each in figures for name, text in each.functions.items()}
    lines.append(
        f"const FUNCTIONS = {{\n{''.join(f'{_json(name)}: {text},{chr(10)}' for name, text in functions.items())}}};"
    )
    lines += [_file(f"{name}.js") for name in SCRIPTS]
    lines += [_file(f"figures/{each.name}.js") for each in figures]
    # What tests and curious readers may ask the page for, in its console.
    lines.append(
        "window.explorer = { RULES, SURFACES, FIGURES, SCRIPTS, train, settings, formOf, lossOf, startOf, current };"
    )
    return _run(lines)


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "title": figure.title._asdict(),
        "see": figure.see._asdict(),
        "controls": [_control(each) for each in figure.controls],
        "formulas": shown_formulas(figure),
        "letters": exchanged(typeset_forms(figure)),
        "data": figure.data,
        "words": {name: words._asdict() for name, words in figure.words.items()},
        "claims": claims.links(figure.name),
        "question": _said(figure.question),
        "answer": _said(figure.answer),
        "thread": _said(figure.thread),
        "derivation": _derivation(figure.derivation),
    }


def _said(words: Words | None) -> dict[str, str] | None:
    return words._asdict() if words else None


def _derivation(derivation: Derivation | None) -> dict[str, Any] | None:
    """Its title in each language, and its steps, HTML in each language."""
    if derivation is None:
        return None
    steps = [Words(*(f"<p>{escape(said)}</p>{mathml}" for said in words)) for words, mathml in derivation.steps]
    return {**derivation.title._asdict(), "steps": [each._asdict() for each in steps]}


def _control(control: Control) -> dict[str, Any]:
    found = {**asdict(control), "kind": type(control).__name__.lower(), "label": control.label._asdict()}
    if "options" in found:
        found["options"] = {name: words._asdict() for name, words in control.options.items()}  # type: ignore[union-attr]
    return found


def _rule(form_: Form) -> str:
    rule = form_.rule
    numbers = {
        name: {"default": each.default, **({"of": each.of} if each.of else {})} for name, each in hypers(rule).items()
    }
    facts = {
        "title": form_.title._asdict(),
        "defaults": {name: each.default for name, each in hypers(rule).items()},
        "hypers": numbers,
        "tested": list(tested(rule)),
        "switches": {name: str(on) for name, on in form_.switches.items()} | _chain_arguments(form_),
        **_python(rule),
    }
    made = ",\n".join(f"{_json(key)}: {text}" for key, text in _made(form_))
    return f"{_json(form_.label)}: {{...{_json(facts)}, made: {{\n{made}}}}},\n"


def _made(form_: Form) -> Iterator[tuple[str, str]]:
    """The rule's JavaScript with each of the tested hyperparameters 0 and not 0."""
    rule, names = form_.rule, tested(form_.rule)
    for on in product((False, True), repeat=len(names)):
        switches = {**form_.switches, **dict(zip(names, on, strict=True))}
        yield "".join("01"[each] for each in on), form(rule, switches, form_.decay)


def _chain_arguments(form_: Form) -> dict[str, str]:
    return {"decay": _json(form_.decay)} if form_.decay else {}


def _python(rule: type[Rule]) -> dict[str, str | None]:
    """How a program writes the optimizer, and what it must import for it."""
    if rule in CATALOGUE.values():
        return {"python": f"thalweg.{rule.__name__}", "from": None}
    own = inner(rule)
    return {"python": f"thalweg.optimizer({own.__name__})", "from": f"from {own.__module__} import {own.__name__}"}


def _surface(name: str) -> str:
    found = SURFACES[name]
    facts = {
        "title": found.title._asdict(),
        "boxes": found.boxes,
        "start": found.start,
        "minimum": found.minimum,
        "noise": found.noise,
        "weights": found.weights,
        "text": found.text,
    }
    return f"{_json(name)}: {{...{_json(facts)}, call: {found.javascript}}},\n"


def _dark() -> str:
    """The dark colours, twice: as the reader's system has it, and as the page's button says."""
    dark = "".join(f"--c{i}: {dark}; " for i, (_, dark) in enumerate(COLOURS))
    colours = (
        "color-scheme: dark; --page: #15181c; --raised: #1f242a; --ink: #e6e9ec; --quiet: #a3adb8; --line: #3a424b; "
        f"--grid: #262c33; --contour: #56697d; --accent: #79b8ff; {dark}"
    )
    return (
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {colours} }} }}\n'
        f':root[data-theme="dark"] {{ {colours} }}'
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _file(name: str) -> str:
    return files("thalweg.explore").joinpath("page", *name.split("/")).read_text(encoding="utf-8")
