"""What a contender trains with, under one protocol: an update rule of the language, or any other optimizer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import isnan
from typing import Any

from thalweg.closest import ending
from thalweg.formula import Hyper, Rule, Switch
from thalweg.formula.declared import CHAIN_DECAYS
from thalweg.formula.rule import decay_kind, exempt, hypers, parts
from thalweg.stats.wording import listed
from thalweg.study.model.cells import Value
from thalweg.study.model.errors import StudyError

# What a script gives `trial.optimizer`: a model, its parameters, or groups of them.
Trained = Any
# In references and before names of numbers: what updates the parameters that are no matrices.
OTHERS = "others"


@dataclass(frozen=True)
class Method:
    """What a contender trains with.

    ``name``         what it is called in messages.
    ``hypers``       its numbers, by name. One whose default is nan has none of its own: it is left to the optimizer
                     unless it is chosen.
    ``switches``     what is on or off in it, each with its default.
    ``build``        the optimizer, from what the script gives, values by name, and options that hold for every rule.
    ``numbers``      of one parameter group, as they are now, by the same names; those that can be seen there.
    ``whole``        those of its numbers that are whole ones: five iterations are no 5.2.
    ``takes_decay``  whether the kind of its weight decay may be chosen.
    ``grouped``      whether it may have numbers of single parameter groups, ``head.lr``, which a script gives it.
    ``rule``         the update rule, where it is one.
    """

    name: str
    hypers: Mapping[str, Hyper]
    switches: Mapping[str, bool]
    build: Callable[[Trained, Mapping[str, Value], Mapping[str, Any]], Any]
    numbers: Callable[[Mapping[str, Any]], Mapping[str, float]]
    whole: frozenset[str] = frozenset()
    takes_decay: bool = False
    grouped: bool = True
    rule: type[Rule] | None = None

    def hyper(self, name: str) -> Hyper | None:
        """A number by its name; of one parameter group by both names: ``head.lr``."""
        if name in self.hypers:
            return self.hypers[name]
        group, _, inner = name.rpartition(".")
        found = self.hypers.get(inner) if self.grouped and group.isidentifier() else None
        return replace(found, default=float("nan")) if found else None

    def named(self, given: Iterable[str]) -> list[str]:
        """Names in the method's own order, so that one variant has one label; those of groups last."""
        order = [*self.hypers, *self.switches]
        return sorted(given, key=lambda name: order.index(name) if name in order else len(order))


def method_of_rule(rule: type[Rule]) -> Method:
    """An update rule as a method."""
    return Method(
        name=rule.__name__,
        hypers=hypers(rule),
        switches={name: switch.default for name, switch in parts(rule, Switch).items()},
        build=partial(built, rule),
        numbers=partial(numbers_of, rule),
        takes_decay=decay_kind(rule) in CHAIN_DECAYS,
        rule=rule,
    )


def checked(method: Method, given: Mapping[str, object], where: str) -> dict[str, Value]:
    """Hyperparameters as numbers and switches; `StudyError` for a name the method has not, or a value it refuses."""
    found: dict[str, Value] = {}
    for name, value in given.items():
        if name in method.switches:
            if not isinstance(value, bool):
                raise StudyError(f"{where}: {name} is a switch, true or false; got {value!r}")
            found[name] = value
        elif hyper := method.hyper(name):
            if isinstance(value, bool) and isnan(hyper.default) and "." not in name:
                found[name] = value  # nobody says what it is: None is its default
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise StudyError(f"{where}: {name} must be a number; got {value!r}")
            if problem := hyper.problem(float(value)):
                raise StudyError(f"{where}: {name} {problem}")
            if name in method.whole and not float(value).is_integer():
                raise StudyError(f"{where}: {name} must be a whole number; got {value!r}")
            found[name] = float(value)
        else:
            known = [*method.hypers, *method.switches]
            places = [each for each, hyper in method.hypers.items() if hyper.of == name]
            near = f": write {listed(places)}, a number each." if places else ending(name, known)
            inner = name.rpartition(".")[2]
            if not method.grouped and inner != name and inner in method.hypers:
                near = f": its groups are matrices and others; write {inner} of the one, {OTHERS}.{inner} of the other."
            raise StudyError(f"{where} has no hyperparameter {name!r}{near} It has: {', '.join(known)}.")
    return {name: found[name] for name in method.named(found)}


def is_model(given: Trained) -> bool:
    """Whether a script gives a model."""
    from torch import nn

    return isinstance(given, nn.Module)


def parameters(given: Trained) -> Any:
    """A model's parameters, or what was given in their place."""
    return given.parameters() if hasattr(given, "parameters") else given


def refuse_options(options: Mapping[str, Any]) -> None:
    """Raise for options that only an update rule's optimizer has."""
    if options:
        raise StudyError(f"trial.optimizer(...): {next(iter(options))} is no option of every optimizer: leave it out")


def by_group(values: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, dict[str, Value]]]:
    """Values of all groups, and those of single ones by the group's name."""
    common = {name: value for name, value in values.items() if "." not in name}
    own: dict[str, dict[str, Value]] = {}
    for name, value in values.items():
        group, dot, inner = name.rpartition(".")
        if dot:
            own.setdefault(group, {})[inner] = value
    return common, own


def regrouped(given: Trained, own: Mapping[str, Mapping[str, Any]]) -> Any:
    """Parameter groups with what is chosen for single ones of them in place; `StudyError` where there is none such."""
    if not own:
        return parameters(given)
    groups = [dict(group) for group in parameters(given) if isinstance(group, dict)]
    names = [str(group["name"]) for group in groups if "name" in group]
    if missing := next((name for name in own if name not in names), ""):
        have = f"its groups are called {', '.join(names)}" if names else "no group of it has a name"
        raise StudyError(
            f"trial.optimizer(...): {missing}.{next(iter(own[missing]))} is of a parameter group called {missing}, and "
            f"{have}: write {{'params': ..., 'name': {missing!r}}}"
        )
    return [{**group, **own.get(str(group.get("name")), {})} for group in groups]


def built(rule: type[Rule], given: Trained, values: Mapping[str, Value], options: Mapping[str, Any]) -> Any:
    """The rule's optimizer."""
    # Here, not at the top: torch is imported when something is to be trained.
    from thalweg.optim import build, param_groups

    if is_model(given) and (left_out := exempt(rule)):
        # Biases, norms and embeddings apart, with the decay that they would have had.
        groups = param_groups(given, exempt=left_out)
        given = [{name: value for name, value in group.items() if name != "weight_decay"} for group in groups]
    common, single = by_group(values)
    own = {group: at_group(rule, chosen, common) for group, chosen in single.items()}
    return build(rule, regrouped(given, own), common, **options)


def at_group(
    rule: type[Rule], chosen: Mapping[str, Value], common: Mapping[str, Value] | None = None
) -> dict[str, Any]:
    """What is chosen, and nothing else, as a parameter group of the rule takes it; ``common``: what holds for all."""
    from thalweg.optim import surface

    keys = {name: key for name, key, _ in surface.places(rule)}
    every = surface.at_surface(rule, {**(common or {}), **chosen})
    return {(key := keys.get(name, name)): every[key] for name in chosen}


def numbers_of(rule: type[Rule], group: Mapping[str, Any]) -> Mapping[str, float]:
    """The rule's numbers, as a parameter group has them now."""
    from thalweg.optim import surface

    known = surface.numbers(rule, group)
    return {name: known[name] for name in hypers(rule)}
