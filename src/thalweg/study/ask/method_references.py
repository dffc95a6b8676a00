"""How a comparison names what is compared, an update rule or any other optimizer, in text and in Python.

adamw                             of the catalogue
sgd:momentum=0.9:nesterov=true    a variant: these values are fixed, neither searched nor default
rmsprop:like=tf1                  another library's conventions and defaults
momentum+lookahead:k=10           with a wrapper around it, or several
my_rules.py:SignMomentum          a Rule, or an optimizer class made of one, in a file
package.module:SignMomentum       likewise, in an installed module
torch.optim.Muon:lr=1e-3..1e-1    an optimizer of torch, a package or a file (my_optimizers.py:Mine); or a function
                                  that makes one, or several; with the values to try
torch.optim.Muon:others=adamw:lr=0.02   the same for the matrices of layers, and another rule for all else
adamw:lr=1e-4..1e-2:beta1=0.8/0.9 between two numbers, or one of several, in place of the rule's own search
adamw:head.lr=1e-5..1e-3          of the parameter group that the script calls head
"""

import hashlib
import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any, TypeGuard

from thalweg.formula import Rule, Search, choice
from thalweg.formula.rule import inner, of_matrices, text
from thalweg.rules import CATALOGUE
from thalweg.stats.wording import value_text
from thalweg.study.model.cells import Value
from thalweg.study.model.errors import StudyError
from thalweg.study.model.plan import is_range
from thalweg.wrappers import WRAPPERS

from .draws import range_of
from .finding import Target, file_of, files_of, find_rule, find_target, is_file, parts_of, rule_of, without_others
from .local_modules import is_installed, script_hash
from .matrices_and_others import USUAL, rule_with_others, with_others
from .methods import OTHERS, Method, checked, method_of_rule
from .other_optimizers import is_optimizer, method_of_optimizer, needed

WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class FoundMethod:
    """A method as it is now: ``hash`` is the sha256 of all that it consists of, its ``text`` among it."""

    method: Method
    text: str
    hash: str


@dataclass(frozen=True)
class ResolvedMethod(FoundMethod):
    """What a reference names: ``source`` is the reference without its fixed values, for workers."""

    label: str
    name: str
    """With what is fixed, ``label`` short and ``name`` for sentences; where two would be called the same, as below."""
    full_label: str
    full_name: str
    """With ranges too."""
    source: str
    fixed: Mapping[str, Value] = field(default_factory=dict)
    ranges: Mapping[str, Search] = field(default_factory=dict)
    """Where the user wants a hyperparameter searched, in place of the rule's own box."""


def resolve_method(reference: str | type, besides: Sequence[str] = ()) -> ResolvedMethod:
    """Find what a reference names; `StudyError` says what is wrong with it and what exists.

    ``besides``: names that are given values otherwise.
    """
    written = reference if isinstance(reference, str) else reference_of(reference)
    if not written.strip():
        raise StudyError(f"a rule is a name such as 'adamw', or a Rule class; got {reference!r}")
    source, options = _split(written.strip())
    # What is there is taken as it is: to import its file once more would run that.
    target = find_target(source) if isinstance(reference, str) else rule_of(reference) or reference
    found = _as_it_is(source, target, (*options, *besides))
    method = found.method
    given = {name: written for name, written in options.items() if not is_range(written)}
    fixed = checked(method, {name: read_value(written) for name, written in given.items()}, f"rule {source}")
    ranges = {n: _range(method, n, written, f"rule {source}") for n, written in options.items() if n not in given}
    _refuse_incomplete(method, target, source, {*options, *besides})
    told = {name: value_text(fixed[name]) if name in fixed else _range_text(options[name]) for name in options}
    told = {name: told[name] for name in method.named(told)}
    fixed_text = [f"{name}={value}" for name, value in told.items() if name in fixed]
    label = ":".join([_label(source, target), *fixed_text])
    full_label = ":".join([_label(source, target), *(f"{name}={value}" for name, value in told.items())])
    others = _others_in(source, target)
    more = [f"like={method.rule.followed}"] if method.rule and method.rule.followed else []
    more += [f"{OTHERS}={others}"] if others else []
    called = method.rule.__name__ if method.rule else _place_in(source)
    texts = {name: name if fixed.get(name) is True else f"{name}={value}" for name, value in told.items()}
    name = _named(called, [*more, *(text for key, text in texts.items() if key in fixed)])
    full_name = _named(called, [*more, *texts.values()])
    return ResolvedMethod(
        method, found.text, found.hash, label, name, full_label, full_name, _absolute(source), fixed, ranges
    )


def _named(called: str, settings: Sequence[str]) -> str:
    return f"{called} ({', '.join(settings)})" if settings else called


def find_method(source: str, asked: Sequence[str] = ()) -> FoundMethod:
    """The method itself, from a reference without fixed values, and the names of those. Workers call it too."""
    return _as_it_is(source, find_target(source), asked)


def _as_it_is(source: str, target: Target, asked: Sequence[str]) -> FoundMethod:
    method = _method(source, target, asked)
    written = text(method.rule) if method.rule else _text_of(target)
    # A rule in a file may use helpers, which its own text does not show: the file counts too, and its modules.
    beside = "".join(map(script_hash, files_of(source))) + ("" if method.rule else _version_of(target))
    others = without_others(source)[1] or (USUAL if method.rule and of_matrices(method.rule) else "")
    if others:
        beside += find_method(others).hash
    return FoundMethod(method, written, hashlib.sha256((written + beside).encode()).hexdigest())


def resolve_rule(reference: str | type) -> type[Rule]:
    """The update rule that a reference names; `StudyError` where it names another optimizer."""
    found = resolve_method(reference)
    if found.method.rule is None:
        raise StudyError(f"{found.name} is an optimizer, and no update rule of thalweg: it has no formula to show")
    return found.method.rule


def one_training(found: ResolvedMethod, command: str) -> ResolvedMethod:
    """The method itself; `StudyError` where it has ranges, which only a comparison can search."""
    if found.ranges:
        name = next(iter(found.ranges))
        raise StudyError(
            f"{command} takes one value of {name}, not a range: {found.full_label}. `thalweg compare` searches it"
        )
    return found


def _refuse_incomplete(method: Method, target: Target, source: str, options: Collection[str]) -> None:
    """Raise where another library's optimizer comes without what only its user can say."""
    missing = [] if method.rule else [name for name in needed(target) if name not in options and name != "lr"]
    if missing:
        raise StudyError(
            f"rule {source}: {missing[0]} has no default: write {source}:{missing[0]}=... (a number, low..high, or "
            "a/b/c); where it is no number, name a function of a file that makes the optimizer, my_optimizers.py:make"
        )


def refuse_unsearched(found: ResolvedMethod) -> None:
    """Raise where nobody has said which learning rates to try; update rules of thalweg declare it."""
    own = found.source
    if not found.method.rule and "lr" in found.method.hypers and "lr" not in {*found.fixed, *found.ranges}:
        raise StudyError(
            f"rule {own} declares no search: say where to look for its learning rate, {own}:lr=1e-4..1e-1 (in Python "
            'also {"rule": ..., "lr": (1e-4, 1e-1)}), or which it is to be, lr=0.01'
        )


def _range(method: Method, name: str, written: str, where: str) -> Search:
    """Where a hyperparameter is searched, from text: ``1e-3..1e-1``, or choices, ``0.8/0.9``."""
    several = [read_value(each) for each in written.split("/" if "/" in written else "..")]
    # Each as a fixed value would be: the complaints are the same.
    values = [float(checked(method, {name: value}, where)[name]) for value in several]
    if name in method.switches:
        raise StudyError(f"{where}: {name} is a switch, true or false; compare both: two rules")
    if "/" in written:
        return choice(*values, axis=name)
    if len(values) != 2 or not 0 < values[0] < values[1]:
        raise StudyError(
            f"{where}: write {name}=low..high, positive numbers, the smaller first, or {name}=a/b/c; got {written!r}"
        )
    return range_of(method, name, *values)


def _range_text(written: str) -> str:
    """One spelling of a range, so that one variant has one label."""
    sign = "/" if "/" in written else ".."
    return sign.join(value_text(float(each)) for each in written.split(sign))


def _method(source: str, target: Target, asked: Sequence[str]) -> Method:
    place, others = without_others(source)
    beside = find_rule(others) if others else None
    if beside is not None and of_matrices(beside):
        raise StudyError(
            f"rule {source}: {OTHERS}= names what updates all that is no matrix, and {others} is for matrices: write "
            f"{OTHERS}={USUAL}"
        )
    if _is_rule(target):
        if of_matrices(target):
            return rule_with_others(target, beside or find_rule(USUAL))
        if others:
            raise StudyError(f"rule {place}: {OTHERS}= is for rules and optimizers that take matrices alone, muon")
        return method_of_rule(target)
    method = method_of_optimizer(target, _place_in(place), asked, place)
    return method if beside is None else with_others(method, method_of_rule(beside))


def _is_rule(target: Target) -> TypeGuard[type[Rule]]:
    return isinstance(target, type) and issubclass(target, Rule)


def _place_in(source: str) -> str:
    """What an optimizer is called: as it is imported; of a file, its name there."""
    place, _ = without_others(source)
    return place.rpartition(":")[2] if is_file(place) else place.replace(":", ".")


def _label(source: str, target: Target) -> str:
    others = _others_in(source, target)
    own = _spelled(target, _short) if _is_rule(target) else _place_in(source)
    return own + (f":{OTHERS}={others}" if others else "")


def _others_in(source: str, target: Target) -> str:
    """What a label says of the others: nothing where it is the usual of a rule for matrices."""
    others = without_others(source)[1]
    if not others:
        return ""
    called = _spelled(find_rule(others), _short)
    return "" if _is_rule(target) and called == USUAL else called


def _text_of(target: Target) -> str:
    """Its source, for the page and for its identity; its name where there is none to read."""
    try:
        return inspect.getsource(target)
    except (OSError, TypeError):
        return f"{getattr(target, '__module__', '')}.{getattr(target, '__qualname__', target)}"


def _version_of(target: Target) -> str:
    """Of the package that an optimizer comes from, torch apart, which counts for everything."""
    top = str(getattr(target, "__module__", "")).partition(".")[0]
    return ", ".join(f"{name} {version(name)}" for name in _distributions_of(top) if name != "torch")


@lru_cache(maxsize=64)
def _distributions_of(top: str) -> tuple[str, ...]:
    """What a module that is loaded was installed by. It takes a quarter of a second to look through all there is."""
    return tuple(packages_distributions().get(top, ()))


def reference_of(given: object) -> str:
    """A reference as text, however it was given.

    A text is taken as it is; a class or a function is named by its place; a table names what it is about as ``rule``,
    and the values to try by their names: a number or switch, a list of choices, two numbers in a tuple or a text
    ``"1e-4..1e-1"`` for all between them. ``{"rule": torch.optim.Muon, "lr": (1e-3, 1e-1), "momentum": [0.9, 0.95]}``.
    """
    if isinstance(given, str):
        return given
    if isinstance(given, Mapping):
        if "rule" not in given:
            raise StudyError(
                f"a rule with its values is a table with a rule in it, rule = 'adamw'; got {dict(given)!r}"
            )
        values = [
            f"{name}={reference_of(value) if name == OTHERS else _value_text(name, value)}"
            for name, value in given.items()
            if name != "rule"
        ]
        return ":".join([reference_of(given["rule"]), *values])
    if isinstance(given, type) or inspect.isfunction(given):
        return reference_to(given)
    raise StudyError(f"a rule is a name such as 'adamw', a Rule or an optimizer class, or a table; got {given!r}")


def _value_text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        return "/".join(_value_text(name, each) for each in value)
    if isinstance(value, tuple) and len(value) == 2:
        return "..".join(_value_text(name, each) for each in value)
    if isinstance(value, bool | int | float):
        return value_text(value)
    raise StudyError(f"{name} is a number, a switch, a list of choices or a range '1e-4..1e-1'; got {value!r}")


def reference_to(given: Any) -> str:
    """The text by which another process finds a Rule subclass, an optimizer class, or a function that makes one."""
    rule = rule_of(given)
    if rule is not None:
        return _spelled(rule, _place)
    if not is_optimizer(given):
        raise StudyError(
            f"{given.__module__}.{given.__qualname__} is no update rule: give a name of the catalogue, a subclass of "
            "thalweg.Rule, or an optimizer class"
        )
    import torch  # only who has an optimizer of its comes here

    public = getattr(torch.optim, given.__name__, None)
    return f"torch.optim.{public.__name__}" if public is given and public else _place(given, {})


def _spelled(rule: type[Rule], call: Callable[[type[Any], Mapping[str, type[Any]]], str]) -> str:
    """A rule by what its parts are called: the rule, its wrappers from the inside out, its convention."""
    called = [call(inner(rule), CATALOGUE), *(call(wrapper, WRAPPERS) for wrapper in rule.wrappers)]
    return "+".join(called) + (f":like={rule.followed}" if rule.followed else "")


def _known(declared: Any, catalogue: Mapping[str, type[Any]]) -> str | None:
    """Its name in the catalogue."""
    return next((name for name, known in catalogue.items() if known is declared), None)


def _short(declared: type[Any], catalogue: Mapping[str, type[Any]]) -> str:
    """What a rule or wrapper is called in a label."""
    return _known(declared, catalogue) or declared.__name__


def _place(declared: Any, catalogue: Mapping[str, type[Any]]) -> str:
    """The text by which another process finds a rule or wrapper."""
    if name := _known(declared, catalogue):
        return name
    module = sys.modules.get(declared.__module__)
    file = getattr(module, "__file__", None)
    if file is None or not Path(file).is_file():
        raise StudyError(
            f"{declared.__name__} was typed into an interactive session, where worker processes cannot find it: "
            "save it in a file (in a notebook: %%writefile my_optimizers.py) and import it from there"
        )
    names = [declared.__name__, *vars(module)]
    name = next((each for each in names if vars(module).get(each) is declared), "")
    if not name and "." in declared.__qualname__:
        raise StudyError(
            f"{declared.__qualname__} is defined inside a function or class: move it to the top of its file"
        )
    if not name:
        raise StudyError(
            f"{declared.__name__} is in {file} under no name of its own: give it one at the top of the file"
        )
    # A file of one's own counts with all that it imports; what is installed, by its version.
    return f"{declared.__module__}:{name}" if is_installed(Path(file)) else f"{Path(file).resolve()}:{name}"


def _split(reference: str) -> tuple[str, dict[str, str]]:
    """The source, and the fixed values as written. Everything from the first part with `=` on is a value."""
    pieces = reference.split(":")
    first = next((i for i, piece in enumerate(pieces) if "=" in piece and i > 0), len(pieces))
    options = assignments(pieces[first:], f"rule {reference}", "fixed values as name=value, separated by colons")
    convention, others = options.pop("like", None), options.pop(OTHERS, None)
    source = ":".join(pieces[:first]) + (f":like={convention.lower()}" if convention else "")
    if others and others.endswith(".py"):
        raise StudyError(
            f"rule {reference}: {OTHERS}= names a rule of the catalogue, {OTHERS}=adamw; for one of your own write a "
            "function that makes both optimizers"
        )
    return source + (f":{OTHERS}={others.lower() if others.isidentifier() else others}" if others else ""), options


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


def _absolute(source: str) -> str:
    """The reference with the paths of its files in full: workers may stand in another folder."""
    place, others = without_others(source)
    convention = place.partition(":like=")[1:]
    whole = [f"{file_of(p, source)}:{p.rpartition(':')[2]}" if is_file(p) else p for p in parts_of(place)]
    return "+".join(whole) + "".join(convention) + (f":{OTHERS}={others}" if others else "")
