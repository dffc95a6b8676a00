"""Optimizers that are no rule of the language: a class of torch.optim.Optimizer, or a function that makes one.

Their hyperparameters are the numbers and switches of their signature; the parts of a tuple have its name and a number
(``betas=(0.9, 0.999)``: ``beta1``, ``beta2``). A function may make several, which are stepped as one.
"""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from math import inf, isfinite, nan
from typing import Any

from thalweg.formula import Hyper
from thalweg.study.model.cells import Value
from thalweg.study.model.errors import StudyError

from .methods import OTHERS, Method, Trained, by_group, is_model, refuse_options, regrouped


def is_optimizer(given: object) -> bool:
    """Whether it is an optimizer class, or a function, which may make one."""
    from torch.optim import Optimizer

    return (isinstance(given, type) and issubclass(given, Optimizer)) or inspect.isfunction(given)


def method_of_optimizer(
    target: Callable[..., Any], name: str, asked: Sequence[str] = (), reference: str = ""
) -> Method:
    """An optimizer class, or a function, as a method; ``asked``: the names that are given a value or a range.

    A class is given parameters, a function what the script gives: a model, if it gives one. ``reference``: as which it
    is asked for, where that is not its name.
    """
    declared, counted, open_ended = _declared(target)
    whole = frozenset(each.name for each in _arguments(target) if _is_whole(each))
    numbers = {key: hyper for key, hyper in declared.items() if isinstance(hyper, Hyper)}
    if open_ended:
        extra = [key for key in asked if key not in declared and "." not in key]
        numbers |= {key: Hyper(nan, low=-inf) for key in extra}
    return Method(
        name=name,
        hypers=numbers,
        switches={key: value for key, value in declared.items() if isinstance(value, bool)},
        build=partial(_built, target, name, reference or name, numbers, counted | whole),
        numbers=partial(_numbers, numbers),
        whole=whole,
    )


def needed(target: Callable[..., Any]) -> list[str]:
    """The arguments that have no default, parameters apart."""
    rest = list(_arguments(target))
    return [each.name for each in rest if each.default is each.empty and each.kind is not each.VAR_KEYWORD]


def _arguments(target: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    """All but the first, which are the parameters, and what is taken by place alone."""
    try:
        given = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError) as problem:
        raise StudyError(f"{target!r} does not say what it takes ({problem}): write a function that calls it") from None
    yield from (each for each in given[1:] if each.kind not in (each.POSITIONAL_ONLY, each.VAR_POSITIONAL))


def _declared(target: Callable[..., Any]) -> tuple[dict[str, Hyper | bool], frozenset[str], bool]:
    """Numbers and switches by name, those whose default is a whole number, and whether it takes any others."""
    found: dict[str, Hyper | bool] = {}
    counted: set[str] = set()
    open_ended = False
    for each in _arguments(target):
        default = each.default
        if each.kind is each.VAR_KEYWORD:
            open_ended = True
        elif isinstance(default, bool):
            found[each.name] = default
        elif isinstance(default, int | float):
            # What is no number to be stored, an infinite bound, is left to the optimizer unless it is chosen.
            found[each.name] = Hyper(float(default) if isfinite(default) else nan, low=-inf)
            counted |= {each.name} if isinstance(default, int) else set()
        elif isinstance(default, tuple) and default and all(_is_number(value) and isfinite(value) for value in default):
            stem = each.name.removesuffix("s")
            for place, value in enumerate(default, 1):
                found[f"{stem}{place}"] = Hyper(float(value), of=each.name, low=-inf)
                counted |= {f"{stem}{place}"} if isinstance(value, int) else set()
        elif default is None or default is each.empty:
            found[each.name] = Hyper(nan, low=-inf)
    return found, frozenset(counted), open_ended


def _is_whole(argument: inspect.Parameter) -> bool:
    """Whether it takes whole numbers alone: so it says, or its default is a count (a 0 or 1 may be short for 0.0)."""
    if argument.annotation is not argument.empty:
        return argument.annotation in (int, "int")
    return type(argument.default) is int and argument.default > 1


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _built(
    target: Callable[..., Any],
    name: str,
    reference: str,
    declared: Mapping[str, Hyper],
    counted: Collection[str],
    given: Trained,
    values: Mapping[str, Value],
    options: Mapping[str, Any],
) -> Any:
    refuse_options(options)
    common, single = by_group(values)
    arguments = _at_signature(declared, common, counted)
    own = {group: _at_signature(declared, {**common, **chosen}, counted, chosen) for group, chosen in single.items()}
    taken = given if inspect.isfunction(target) and not own else regrouped(given, own)
    try:
        return _as_one(target(taken, **arguments), name)
    except StudyError:
        raise
    except Exception as problem:
        said = " ".join(str(problem).split()).rstrip(".")
        advice = _advice(target, given, reference)
        raise StudyError(f"{name} could not be made: {type(problem).__name__}: {said}{advice}") from problem


def _advice(target: Callable[..., Any], given: Trained, reference: str) -> str:
    """What may help where an optimizer could not be made."""
    if inspect.isfunction(target):
        return ". It is given the model, as trial.optimizer is: use model.parameters()" if is_model(given) else ""
    if not is_model(given):
        return ""
    return (
        ". Where it takes only some of the parameters, give it the matrices of layers, and another rule the rest: "
        f"{reference}:{OTHERS}=adamw; or write a function that makes both"
    )


def _as_one(given: Any, name: str) -> Any:
    """What a class or function has made, one optimizer or a list of them, as one; `StudyError` for anything else."""
    from torch.optim import Optimizer

    from thalweg.optim.several import Several

    if isinstance(given, Optimizer):
        return given
    if isinstance(given, list | tuple) and given and all(isinstance(each, Optimizer) for each in given):
        asking = [type(each).__name__ for each in given if _asks_for_the_loss(each)]
        if asking and len(given) > 1:
            raise StudyError(f"{name}: {asking[0]} asks for the loss again in its step, so it can only be alone")
        return given[0] if len(given) == 1 else Several(given)
    kind = type(given).__name__
    raise StudyError(f"{name} returns a torch.optim.Optimizer, or a list of them; got {kind}: add the return to it")


def _asks_for_the_loss(optimizer: Any) -> bool:
    """Whether a step needs a closure."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    return closure is not None and closure.default is closure.empty


def _at_signature(
    declared: Mapping[str, Hyper],
    values: Mapping[str, Value],
    counted: Collection[str],
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """Values as arguments; ``only``: those that follow from these. A tuple of defaults is left as it is."""
    found: dict[str, Any] = {}
    parts: dict[str, list[Value]] = {}
    for name in (*(each for each in declared if each in values), *(each for each in values if each not in declared)):
        value = values[name]
        if name in counted and not isinstance(value, bool) and value.is_integer():
            value = int(value)  # five iterations are no 5.0
        if name in declared and (of := declared[name].of):
            parts.setdefault(of, []).append(value)
        elif only is None or name in only:
            found[name] = value
    for of, given in parts.items():
        own = [name for name, hyper in declared.items() if hyper.of == of]
        moved = any(values[name] != declared[name].default for name in own) if only is None else {*own} & {*only}
        if moved:
            found[of] = tuple(given)
    return found


def _numbers(declared: Mapping[str, Hyper], group: Mapping[str, Any]) -> Mapping[str, float]:
    found = {}
    places: dict[str, int] = {}
    for name, hyper in declared.items():
        value: Any = group.get(hyper.of or name)
        if hyper.of:
            place = places[hyper.of] = places.get(hyper.of, -1) + 1
            value = value[place] if isinstance(value, tuple | list) and place < len(value) else None
        if hasattr(value, "item"):  # a learning rate may be a tensor
            value = value.item()
        if _is_number(value):
            found[name] = float(value)
    return found
