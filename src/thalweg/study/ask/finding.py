"""From a reference to what it names: a rule of the catalogue; a rule or an optimizer of a file or installed module."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from thalweg.closest import ending
from thalweg.formula import FormulaError, Rule, Wrapper, like, wrapped
from thalweg.rules import CATALOGUE, left_to_torch
from thalweg.study.model.errors import StudyError
from thalweg.wrappers import WRAPPERS

from .loading import existing_file, load_file, where
from .methods import OTHERS
from .other_optimizers import is_optimizer

D = TypeVar("D", Rule, Wrapper)
Target = type[Rule] | Callable[..., Any]


def find_target(source: str) -> Target:
    """A rule with its wrappers and convention, or another library's optimizer; `StudyError` says what exists."""
    place, _, convention = without_others(source)[0].partition(":like=")
    first, *around = parts_of(place)
    if ":" in first or ("." in first and not first.endswith(".py")):
        module, name, given = _placed(first, "rule")
        rule = rule_of(given)
        if rule is None and is_optimizer(given):
            if around or convention:
                what = f"+{around[0]}" if around else f"like={convention}"
                raise StudyError(f"{first} is no update rule of thalweg, so {what} cannot go with it: leave that out")
            optimizer: Callable[..., Any] = given
            return optimizer
        rule = _declared(module, name, given, Rule)
    else:
        rule = _known(first, Rule, CATALOGUE)
    try:
        rule = reduce(wrapped, [_wrapper(each) for each in around], rule)
    except FormulaError as error:
        raise StudyError(f"rule {source}: {error}") from error
    return _following(rule, place, convention) if convention else rule


def find_rule(source: str) -> type[Rule]:
    """As `find_target`, of update rules alone."""
    found = find_target(source)
    if not (isinstance(found, type) and issubclass(found, Rule)):
        raise StudyError(f"{source} is an optimizer, and no update rule of thalweg: name one of these, adamw")
    return found


def without_others(source: str) -> tuple[str, str]:
    """A reference, and the rule that it names for all that is no matrix."""
    place, _, others = source.partition(f":{OTHERS}=")
    return place, others


def files_of(source: str) -> list[Path]:
    """The files that a reference names."""
    return [file_of(part, source) for part in parts_of(source) if is_file(part)]


def rule_of(given: object) -> type[Rule] | None:
    """A rule itself, or the one that an optimizer class was made of; None for anything else."""
    rule = given if isinstance(given, type) and issubclass(given, Rule) else getattr(given, "rule", None)
    return rule if isinstance(rule, type) and issubclass(rule, Rule) and rule is not Rule else None


def _following(rule: type[Rule], place: str, convention: str) -> type[Rule]:
    if convention not in rule.conventions:
        known = sorted(rule.conventions)
        listed = f"It has: {', '.join(known)}." if known else "It has none but its own."
        raise StudyError(f"rule {place} has no convention {convention!r}{ending(convention, known)} {listed}")
    return like(rule, convention)


def _wrapper(source: str) -> type[Wrapper]:
    return _declared(*_placed(source, "wrapper"), Wrapper) if ":" in source else _known(source, Wrapper, WRAPPERS)


def _known(source: str, kind: type[D], catalogue: Mapping[str, type[D]]) -> type[D]:
    """A rule or a wrapper of the catalogue."""
    if found := catalogue.get(source.lower()):
        return found
    called = kind.__name__.lower()
    if _is_number(source):
        raise StudyError(f"{source} is no {called}: several values of a hyperparameter are written lr=1e-4/{source}")
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


def _placed(source: str, called: str) -> tuple[ModuleType, str, Any]:
    """A module, a name, and what it has by that name: of a file, or installed; None where it has nothing."""
    place, _, name = source.rpartition(":" if ":" in source else ".")
    if is_file(source):
        path = file_of(source, source)
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
            here = Path(f"{place.replace('.', '/')}.py")
            near = f". Of the file here it is {here}:{name}" if here.is_file() else ""
            raise StudyError(f"{called} {source}: cannot import the module {place}: {problem}{near}") from problem
    return module, name, getattr(module, name, None)


def _declared(module: ModuleType, name: str, given: object, kind: type[D]) -> type[D]:
    """A rule or a wrapper that a module has; `StudyError` says what else it has."""
    chosen: object = given if isinstance(given, type) and issubclass(given, kind) else rule_of(given)
    if isinstance(chosen, type) and issubclass(chosen, kind) and chosen is not kind:
        return chosen
    place = module.__file__ and Path(module.__file__).name if "." not in module.__name__ else module.__name__
    classes = {k: v for k, v in vars(module).items() if isinstance(v, type) and v is not kind}
    offered: list[str] = sorted(k for k, v in classes.items() if issubclass(v, kind) or (kind is Rule and _trains(v)))
    listed = (
        f"{kind.__name__}s in it: {', '.join(offered)}."
        if offered
        else f"It defines no subclass of thalweg.{kind.__name__}."
    )
    if given is None:
        own = vars(module)
        makers: list[str] = [k for k in own if inspect.isfunction(own[k]) and own[k].__module__ == module.__name__]
        if module.__name__ == "torch":
            raise StudyError(f"torch has no {name!r}: its optimizers are torch.optim.{name}")
        raise StudyError(f"{place} has no {name!r}{ending(name, [*offered, *makers])} {listed}")
    made = ", nor an optimizer" if kind is Rule else ""
    raise StudyError(f"{name} in {place} is no subclass of thalweg.{kind.__name__}{made}. {listed}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _trains(given: object) -> bool:
    named = isinstance(given, type) and given.__name__ != "Optimizer"
    return rule_of(given) is not None or (named and is_optimizer(given))


def parts_of(source: str) -> list[str]:
    """The rule, then what is wrapped around it, from the inside out; without the convention."""
    return [part.strip() for part in without_others(source)[0].partition(":like=")[0].split("+")]


def is_file(source: str) -> bool:
    """Whether a part of a reference is in a file."""
    return source.rpartition(":")[0].endswith(".py")


def file_of(part: str, source: str) -> Path:
    """The file that a part of a reference is in."""
    return existing_file(part.rpartition(":")[0], f"rule {source}")
