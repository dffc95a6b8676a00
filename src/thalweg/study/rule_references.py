"""How a comparison names an update rule, in text and in Python.

adamw                             of the catalogue
sgd:momentum=0.9:nesterov=true    a variant: these values are fixed, neither searched nor default
my_rules.py:SignMomentum          a Rule, or an optimizer class made of one, in a file
package.module:SignMomentum       likewise, in an installed module
"""

import hashlib
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from thalweg.closest import closest
from thalweg.formula import Rule, Switch
from thalweg.formula.rule import hypers, parts, text
from thalweg.rules import CATALOGUE

from .cells import Value
from .errors import StudyError
from .loading import existing_file, file_hash, load_file, where

WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class ResolvedRule:
    """A rule of a comparison: ``source`` is the reference without its fixed values, for workers."""

    rule: type[Rule]
    label: str
    name: str
    source: str
    hash: str
    text: str
    fixed: Mapping[str, Value] = field(default_factory=dict)


def ending(word: str, known: list[str]) -> str:
    """The end of a sentence about an unknown word: `; did you mean X?` when a known word is close."""
    found = closest(word, known)
    return f"; did you mean {found}?" if found else "."


def resolve_rule(reference: str | type) -> ResolvedRule:
    """Find a rule from its reference; `StudyError` says what is wrong with it and what exists."""
    if isinstance(reference, type):
        reference = reference_to(reference)
    if not isinstance(reference, str) or not reference.strip():
        raise StudyError(f"a rule is a name such as 'adamw', or a Rule class; got {reference!r}")
    source, options = _split(reference.strip())
    rule = find_rule(source)
    fixed = _fixed_values(rule, options, source)
    base = next((name for name, known in CATALOGUE.items() if known is rule), rule.__name__)
    label = ":".join([base, *(f"{k}={_written(v)}" for k, v in fixed.items())])
    settings = ", ".join(k if v is True else f"{k}={_written(v)}" for k, v in fixed.items())
    name = rule.__name__ + (f" ({settings})" if settings else "")
    written = text(rule)
    # A rule in a file may use helper functions beside it, which its own text does not show: the file counts too.
    beside = file_hash(_rule_file(source)) if _is_file(source) else ""
    digest = hashlib.sha256((written + beside).encode()).hexdigest()
    return ResolvedRule(rule, label, name, _absolute(source), digest, written, fixed)


def find_rule(source: str) -> type[Rule]:
    """The rule itself, from a reference without fixed values. Workers call it too."""
    if ":" not in source:
        found = CATALOGUE.get(source.lower())
        if found is None:
            names = sorted(CATALOGUE)
            raise StudyError(
                f"there is no rule {source!r}{ending(source.lower(), names)} The catalogue: {', '.join(names)}. "
                "A rule of your own is given as my_rules.py:ClassName."
            )
        return found
    place, _, name = source.rpartition(":")
    if _is_file(source):
        path = _rule_file(source)
        try:
            module = load_file(path)
        except StudyError:
            raise
        except Exception as problem:
            raise StudyError(f"rule {source}: importing {path.name} failed: {where(problem, path)}") from problem
    else:
        try:
            module = importlib.import_module(place)
        except ImportError as problem:
            raise StudyError(f"rule {source}: cannot import the module {place}: {problem}") from problem
    found = getattr(module, name, None)
    rule = found if isinstance(found, type) and issubclass(found, Rule) else getattr(found, "rule", None)
    if isinstance(rule, type) and issubclass(rule, Rule) and rule is not Rule:
        return rule
    offered = sorted(
        k for k, v in vars(module).items() if isinstance(v, type) and issubclass(v, Rule) and v is not Rule
    )
    listed = f"Rules in it: {', '.join(offered)}." if offered else "It defines no subclass of thalweg.Rule."
    if found is None:
        raise StudyError(f"{place} has no {name!r}{ending(name, offered)} {listed}")
    raise StudyError(f"{name} in {place} is no subclass of thalweg.Rule, nor an optimizer made of one. {listed}")


def reference_to(given: type) -> str:
    """The text by which another process finds a Rule subclass, or an optimizer class with ``.rule``."""
    rule = given if issubclass(given, Rule) else getattr(given, "rule", None)
    if not (isinstance(rule, type) and issubclass(rule, Rule)) or rule is Rule:
        raise StudyError(
            f"{given.__module__}.{given.__qualname__} is no update rule: give a name of the catalogue, a subclass of "
            "thalweg.Rule, or an optimizer class made of one"
        )
    for name, known in CATALOGUE.items():
        if known is rule:
            return name
    if "." in rule.__qualname__:
        raise StudyError(f"{rule.__qualname__} is defined inside a function or class: move it to the top of its file")
    if rule.__module__ == "__main__" or rule.__module__.startswith("thalweg_file_"):
        file = getattr(sys.modules[rule.__module__], "__file__", None)
        if file is None or not Path(file).is_file():
            raise StudyError(
                f"{rule.__name__} was typed into an interactive session, where worker processes cannot find it: "
                "save it in a file and import it from there"
            )
        return f"{Path(file).resolve()}:{rule.__name__}"
    return f"{rule.__module__}:{rule.__name__}"


def _split(reference: str) -> tuple[str, dict[str, str]]:
    """The source, and the fixed values as written. Everything from the first part with `=` on is a value."""
    pieces = reference.split(":")
    first = next((i for i, piece in enumerate(pieces) if "=" in piece and i > 0), len(pieces))
    options: dict[str, str] = {}
    for piece in pieces[first:]:
        name, equals, value = (part.strip() for part in piece.partition("="))
        if not equals or not name or not value:
            raise StudyError(f"rule {reference}: write fixed values as name=value, separated by colons; got {piece!r}")
        if name in options:
            raise StudyError(f"rule {reference}: {name} is given twice")
        options[name] = value
    return ":".join(pieces[:first]), options


def _fixed_values(rule: type[Rule], options: Mapping[str, str], source: str) -> dict[str, Value]:
    numbers, switches = hypers(rule), parts(rule, Switch)
    fixed: dict[str, Value] = {}
    for name, written in options.items():
        if name in switches:
            if written.lower() not in WORDS:
                raise StudyError(f"rule {source}: {name} is a switch: write {name}=true or {name}=false, not {written}")
            fixed[name] = WORDS[written.lower()]
        elif name in numbers:
            try:
                value = float(written)
            except ValueError:
                raise StudyError(f"rule {source}: {name}={written} is not a number") from None
            if problem := numbers[name].problem(value):
                raise StudyError(f"rule {source}: {name} {problem}")
            fixed[name] = value
        else:
            known = [*numbers, *switches]
            raise StudyError(
                f"rule {source} has no hyperparameter {name!r}{ending(name, known)} It has: {', '.join(known)}."
            )
    # In the order of the rule, so that one variant has one label.
    return {name: fixed[name] for name in (*numbers, *switches) if name in fixed}


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.12g}"


def _is_file(source: str) -> bool:
    return source.rpartition(":")[0].endswith(".py")


def _rule_file(source: str) -> Path:
    return existing_file(source.rpartition(":")[0], f"rule {source}")


def _absolute(source: str) -> str:
    return f"{_rule_file(source)}:{source.rpartition(':')[2]}" if _is_file(source) else source
