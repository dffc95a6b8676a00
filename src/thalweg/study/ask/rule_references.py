"""How a comparison names an update rule, in text and in Python.

adamw                             of the catalogue
sgd:momentum=0.9:nesterov=true    a variant: these values are fixed, neither searched nor default
rmsprop:like=tf1                  another library's conventions and defaults
momentum+lookahead:k=10           with a wrapper around it, or several
my_rules.py:SignMomentum          a Rule, or an optimizer class made of one, in a file
package.module:SignMomentum       likewise, in an installed module
"""

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

from thalweg.closest import ending
from thalweg.formula import FormulaError, Rule, Search, Switch, Wrapper, choice, like, wrapped
from thalweg.formula.rule import hypers, inner, parts, text
from thalweg.rules import CATALOGUE, left_to_torch
from thalweg.stats.wording import value_text
from thalweg.study.model.cells import Value
from thalweg.study.model.errors import StudyError
from thalweg.wrappers import WRAPPERS

from .draws import range_of
from .loading import existing_file, is_ours, load_file, where
from .local_modules import script_hash

D = TypeVar("D", Rule, Wrapper)

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
    ranges: Mapping[str, Search] = field(default_factory=dict)
    """Where the user wants a hyperparameter searched, in place of the rule's own box."""


def resolve_rule(reference: str | type) -> ResolvedRule:
    """Find a rule from its reference; `StudyError` says what is wrong with it and what exists."""
    if isinstance(reference, type):
        reference = reference_to(reference)
    if not isinstance(reference, str) or not reference.strip():
        raise StudyError(f"a rule is a name such as 'adamw', or a Rule class; got {reference!r}")
    source, options = _split(reference.strip())
    rule = find_rule(source)
    given = {name: written for name, written in options.items() if not _is_range(written)}
    fixed = checked(rule, {name: read_value(written) for name, written in given.items()}, f"rule {source}")
    ranges = {n: _range(rule, n, written, f"rule {source}") for n, written in options.items() if n not in given}
    told = {name: value_text(fixed[name]) if name in fixed else _range_text(options[name]) for name in options}
    order = [*hypers(rule), *parts(rule, Switch)]
    told = {name: told[name] for name in sorted(told, key=order.index)}
    label = ":".join([_spelled(rule, _short), *(f"{k}={v}" for k, v in told.items())])
    like_it = [f"like={rule.followed}"] if rule.followed else []
    settings = ", ".join([*like_it, *(k if fixed.get(k) is True else f"{k}={v}" for k, v in told.items())])
    name = rule.__name__ + (f" ({settings})" if settings else "")
    written = text(rule)
    # A rule in a file may use helpers, which its own text does not show: the file counts too, and its modules.
    beside = "".join(map(script_hash, files_of(source)))
    digest = hashlib.sha256((written + beside).encode()).hexdigest()
    return ResolvedRule(rule, label, name, _absolute(source), digest, written, fixed, ranges)


def one_training(found: ResolvedRule, command: str) -> ResolvedRule:
    """The rule itself; `StudyError` where it has ranges, which only a comparison can search."""
    if found.ranges:
        name = next(iter(found.ranges))
        raise StudyError(
            f"{command} takes one value of {name}, not a range: {found.label}. `thalweg compare` searches it"
        )
    return found


def _is_range(written: str) -> bool:
    return ".." in written or "|" in written


def _range(rule: type[Rule], name: str, written: str, where: str) -> Search:
    """Where a hyperparameter is searched, from text: ``1e-3..1e-1``, or choices, ``0.8|0.9``."""
    several = [read_value(each) for each in written.split("|" if "|" in written else "..")]
    # Each as a fixed value would be: the complaints are the same.
    values = [float(checked(rule, {name: value}, where)[name]) for value in several]
    if name in parts(rule, Switch):
        raise StudyError(f"{where}: {name} is a switch, true or false; compare both: two rules")
    if "|" in written:
        return choice(*values, axis=name)
    if len(values) != 2 or not 0 < values[0] < values[1]:
        raise StudyError(f"{where}: write {name}=low..high, two positive numbers, or {name}=a|b|c; got {written!r}")
    return range_of(rule, name, *values)


def _range_text(written: str) -> str:
    """One spelling of a range, so that one variant has one label."""
    sign = "|" if "|" in written else ".."
    return sign.join(value_text(float(each)) for each in written.split(sign))


def find_rule(source: str) -> type[Rule]:
    """The rule itself, from a reference without fixed values. Workers call it too."""
    place, _, convention = source.partition(":like=")
    first, *around = _parts(place)
    rule = _found(first, Rule, CATALOGUE)
    try:
        rule = reduce(wrapped, [_found(each, Wrapper, WRAPPERS) for each in around], rule)
    except FormulaError as error:
        raise StudyError(f"rule {source}: {error}") from error
    if not convention:
        return rule
    if convention not in rule.conventions:
        known = sorted(rule.conventions)
        listed = f"It has: {', '.join(known)}." if known else "It has none but its own."
        raise StudyError(f"rule {place} has no convention {convention!r}{ending(convention, known)} {listed}")
    return like(rule, convention)


def files_of(source: str) -> list[Path]:
    """The files that a reference names."""
    return [_file_of(part, source) for part in _parts(source) if _is_file(part)]


def _found(source: str, kind: type[D], catalogue: Mapping[str, type[D]]) -> type[D]:
    """A rule, or a wrapper: of the catalogue, in a file, or in an installed module."""
    called = kind.__name__.lower()
    if ":" not in source:
        found = catalogue.get(source.lower())
        if found is None:
            if left := left_to_torch(source):
                raise StudyError(left)
            names = sorted(catalogue)
            if source.endswith(".py"):
                raise StudyError(f"{called} {source}: say which class of it, for instance {source}:MyRule")
            if kind is Rule and source.lower() in WRAPPERS:
                raise StudyError(f"{source} is a wrapper, which goes around a rule: write adamw+{source.lower()}")
            raise StudyError(
                f"there is no {called} {source!r}{ending(source.lower(), names)} The catalogue: {', '.join(names)}. "
                f"A {called} of your own is given as my_{called}s.py:ClassName."
            )
        return found
    place, _, name = source.rpartition(":")
    if _is_file(source):
        path = _file_of(source, source)
        try:
            module = load_file(path)
        except StudyError:
            raise
        except Exception as problem:
            raise StudyError(f"{called} {source}: importing {path.name} failed: {where(problem, path)}") from problem
    else:
        try:
            module = importlib.import_module(place)
        except ImportError as problem:
            raise StudyError(f"{called} {source}: cannot import the module {place}: {problem}") from problem
    found = getattr(module, name, None)
    chosen: object = found if isinstance(found, type) and issubclass(found, kind) else rule_of(found)
    if isinstance(chosen, type) and issubclass(chosen, kind) and chosen is not kind:
        return chosen
    classes = {k: v for k, v in vars(module).items() if isinstance(v, type) and v is not kind}
    offered = sorted(k for k, v in classes.items() if issubclass(v, kind) or (kind is Rule and rule_of(v)))
    listed = (
        f"{kind.__name__}s in it: {', '.join(offered)}."
        if offered
        else f"It defines no subclass of thalweg.{kind.__name__}."
    )
    if found is None:
        raise StudyError(f"{place} has no {name!r}{ending(name, offered)} {listed}")
    made = ", nor an optimizer made of one" if kind is Rule else ""
    raise StudyError(f"{name} in {place} is no subclass of thalweg.{kind.__name__}{made}. {listed}")


def rule_of(given: object) -> type[Rule] | None:
    """A rule itself, or the one that an optimizer class was made of; None for anything else."""
    rule = given if isinstance(given, type) and issubclass(given, Rule) else getattr(given, "rule", None)
    return rule if isinstance(rule, type) and issubclass(rule, Rule) and rule is not Rule else None


def reference_to(given: type) -> str:
    """The text by which another process finds a Rule subclass, or an optimizer class with ``.rule``."""
    rule = rule_of(given)
    if rule is None:
        raise StudyError(
            f"{given.__module__}.{given.__qualname__} is no update rule: give a name of the catalogue, a subclass of "
            "thalweg.Rule, or an optimizer class made of one"
        )
    return _spelled(rule, _place)


def _spelled(rule: type[Rule], call: Callable[[type[Any], Mapping[str, type[Any]]], str]) -> str:
    """A rule by what its parts are called: the rule, its wrappers from the inside out, its convention."""
    called = [call(inner(rule), CATALOGUE), *(call(wrapper, WRAPPERS) for wrapper in rule.wrappers)]
    return "+".join(called) + (f":like={rule.followed}" if rule.followed else "")


def _known(declared: type[Any], catalogue: Mapping[str, type[Any]]) -> str | None:
    """Its name in the catalogue."""
    return next((name for name, known in catalogue.items() if known is declared), None)


def _short(declared: type[Any], catalogue: Mapping[str, type[Any]]) -> str:
    """What a rule or wrapper is called in a label."""
    return _known(declared, catalogue) or declared.__name__


def _place(declared: type[Any], catalogue: Mapping[str, type[Any]]) -> str:
    """The text by which another process finds a rule or wrapper."""
    if name := _known(declared, catalogue):
        return name
    if "." in declared.__qualname__:
        raise StudyError(
            f"{declared.__qualname__} is defined inside a function or class: move it to the top of its file"
        )
    if declared.__module__ == "__main__" or is_ours(declared.__module__):
        file = getattr(sys.modules[declared.__module__], "__file__", None)
        if file is None or not Path(file).is_file():
            raise StudyError(
                f"{declared.__name__} was typed into an interactive session, where worker processes cannot find it: "
                "save it in a file and import it from there"
            )
        return f"{Path(file).resolve()}:{declared.__name__}"
    return f"{declared.__module__}:{declared.__name__}"


def _split(reference: str) -> tuple[str, dict[str, str]]:
    """The source, and the fixed values as written. Everything from the first part with `=` on is a value."""
    pieces = reference.split(":")
    first = next((i for i, piece in enumerate(pieces) if "=" in piece and i > 0), len(pieces))
    options = assignments(pieces[first:], f"rule {reference}", "fixed values as name=value, separated by colons")
    convention = options.pop("like", None)
    return ":".join(pieces[:first]) + (f":like={convention.lower()}" if convention else ""), options


def assignments(pieces: Iterable[str], where: str, form: str, twice: str = "leave one out") -> dict[str, str]:
    """Pieces of text that give a name a value, read; ``form``, ``twice``: what to write instead, in the complaint."""
    found: dict[str, str] = {}
    for piece in pieces:
        name, equals, written = (part.strip() for part in piece.partition("="))
        if not (name and equals and written):
            raise StudyError(f"{where}: write {form}; got {piece!r}")
        if name in found:
            raise StudyError(f"{where}: {name} is given twice; {twice}")
        found[name] = written
    return found


def read_value(written: str) -> Any:
    """A hyperparameter's value from text: a switch, a number, or else the text, for `checked` to refuse."""
    if written.lower() in WORDS:
        return WORDS[written.lower()]
    try:
        return float(written)
    except ValueError:
        return written


def checked(rule: type[Rule], given: Mapping[str, object], where: str) -> dict[str, Value]:
    """Hyperparameters as numbers and switches; `StudyError` for a name the rule has not, or a value it refuses."""
    numbers, switches = hypers(rule), parts(rule, Switch)
    found: dict[str, Value] = {}
    for name, value in given.items():
        if name in switches:
            if not isinstance(value, bool):
                raise StudyError(f"{where}: {name} is a switch, true or false; got {value!r}")
            found[name] = value
        elif name in numbers:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise StudyError(f"{where}: {name} must be a number; got {value!r}")
            if problem := numbers[name].problem(float(value)):
                raise StudyError(f"{where}: {name} {problem}")
            found[name] = float(value)
        else:
            known = [*numbers, *switches]
            raise StudyError(f"{where} has no hyperparameter {name!r}{ending(name, known)} It has: {', '.join(known)}.")
    # In the order of the rule, so that one variant has one label.
    return {name: found[name] for name in (*numbers, *switches) if name in found}


def _parts(source: str) -> list[str]:
    """The rule, then what is wrapped around it, from the inside out; without the convention."""
    return [part.strip() for part in source.partition(":like=")[0].split("+")]


def _is_file(source: str) -> bool:
    return source.rpartition(":")[0].endswith(".py")


def _file_of(part: str, source: str) -> Path:
    return existing_file(part.rpartition(":")[0], f"rule {source}")


def _absolute(source: str) -> str:
    """The reference with the paths of its files in full: workers may stand in another folder."""
    convention = source.partition(":like=")[1:]
    whole = [f"{_file_of(p, source)}:{p.rpartition(':')[2]}" if _is_file(p) else p for p in _parts(source)]
    return "+".join(whole) + "".join(convention)
