"""Optimizers that are no rule of the language: a class of torch.optim.Optimizer, or a function that makes one.

Their hyperparameters are the numbers and switches of their signature; the parts of a tuple have its name and a number
(``betas=(0.9, 0.999)``: ``beta1``, ``beta2``). A function may make several, which are stepped as one.
"""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from math import inf, nan
from typing import Any

from thalweg.formula import Hyper
from thalweg.study.model.cells import Value
from thalweg.study.model.errors import StudyError

from .methods import Method, Trained, by_group, parameters, regrouped

OTHERS = "others"


def is_optimizer(given: object) -> bool:
    """Whether it is an optimizer class, or a function, which may make one."""
    from torch.optim import Optimizer

    return (isinstance(given, type) and issubclass(given, Optimizer)) or inspect.isfunction(given)


def method_of_optimizer(target: Callable[..., Any], name: str, asked: Sequence[str] = ()) -> Method:
    """An optimizer class, or a function, as a method; ``asked``: the names that are given a value or a range.

    A class is given parameters, a function what the script gives: a model, if it gives one.
    """
    declared, open_ended = _declared(target)
    numbers = {key: hyper for key, hyper in declared.items() if isinstance(hyper, Hyper)}
    if open_ended:
        extra = [key for key in asked if key not in declared and "." not in key]
        numbers |= {key: Hyper(nan, low=-inf) for key in extra}
    return Method(
        name=name,
        hypers=numbers,
        switches={key: value for key, value in declared.items() if isinstance(value, bool)},
        build=partial(_built, target, name, numbers),
        numbers=partial(_numbers, numbers),
    )


def with_others(method: Method, others: Method) -> Method:
    """A method for the matrices of a model's layers, and another for all else: as one, the other's names begin so."""
    theirs = {f"{OTHERS}.{name}": hyper for name, hyper in others.hypers.items()}
    switches = {f"{OTHERS}.{name}": value for name, value in others.switches.items()}
    return Method(
        name=f"{method.name} with {others.name} for what is no matrix",
        hypers={**method.hypers, **theirs},
        switches={**method.switches, **switches},
        build=partial(_both, method, others),
        numbers=method.numbers,
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


def _declared(target: Callable[..., Any]) -> tuple[dict[str, Hyper | bool], bool]:
    """Numbers and switches by name, and whether it takes any others."""
    found: dict[str, Hyper | bool] = {}
    open_ended = False
    for each in _arguments(target):
        default = each.default
        if each.kind is each.VAR_KEYWORD:
            open_ended = True
        elif isinstance(default, bool):
            found[each.name] = default
        elif isinstance(default, int | float):
            found[each.name] = Hyper(float(default), low=-inf)
        elif isinstance(default, tuple) and default and all(_is_number(value) for value in default):
            stem = each.name.removesuffix("s")
            for place, value in enumerate(default, 1):
                found[f"{stem}{place}"] = Hyper(float(value), of=each.name, low=-inf)
        elif default is None or default is each.empty:
            found[each.name] = Hyper(nan, low=-inf)
    return found, open_ended


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _built(
    target: Callable[..., Any],
    name: str,
    declared: Mapping[str, Hyper],
    given: Trained,
    values: Mapping[str, Value],
    options: Mapping[str, Any],
) -> Any:
    if options:
        raise StudyError(f"trial.optimizer(...): {next(iter(options))} is no option of every optimizer: leave it out")
    common, single = by_group(values)
    whole = _whole_arguments(target)
    arguments = _at_signature(declared, common, whole)
    own = {group: _at_signature(declared, {**common, **chosen}, whole, chosen) for group, chosen in single.items()}
    taken = given if inspect.isfunction(target) and not own else regrouped(given, own)
    try:
        return _as_one(target(taken, **arguments), name)
    except StudyError:
        raise
    except Exception as problem:
        advice = (
            f". Where it takes only some of the parameters, give it the matrices of layers, and another rule the rest: "
            f"{name}:{OTHERS}=adamw; or write a function that makes both"
            if not inspect.isfunction(target)
            else ""
        )
        said = " ".join(str(problem).split()).rstrip(".")
        raise StudyError(f"{name} could not be made: {type(problem).__name__}: {said}{advice}") from problem


def _as_one(given: Any, name: str) -> Any:
    """What a class or function has made, one optimizer or a list of them, as one; `StudyError` for anything else."""
    from torch.optim import Optimizer

    from thalweg.optim.several import Several

    if isinstance(given, Optimizer):
        return given
    if isinstance(given, list | tuple) and given and all(isinstance(each, Optimizer) for each in given):
        return given[0] if len(given) == 1 else Several(given)
    kind = type(given).__name__
    raise StudyError(f"{name} returns a torch.optim.Optimizer, or a list of them; got {kind}: add the return to it")


def _whole_arguments(target: Callable[..., Any]) -> frozenset[str]:
    """Arguments whose default is a whole number: five iterations are no 5.0."""
    return frozenset(each.name for each in _arguments(target) if type(each.default) is int)


def _at_signature(
    declared: Mapping[str, Hyper],
    values: Mapping[str, Value],
    whole: frozenset[str],
    only: Collection[str] | None = None,
) -> dict[str, Any]:
    """Values as arguments; ``only``: those that follow from these."""
    found: dict[str, Any] = {}
    wanted = {*values} if only is None else {*only, *(declared[name].of for name in only)} - {None}
    for name, value in values.items():
        tuple_name = declared[name].of if name in declared else None
        if not {name, tuple_name} & wanted:
            continue
        if tuple_name:
            found[tuple_name] = (*found.get(tuple_name, ()), value)
        else:
            found[name] = int(value) if name in whole and float(value).is_integer() else value
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


def _both(
    method: Method, others: Method, given: Trained, values: Mapping[str, Value], options: Mapping[str, Any]
) -> Any:
    from thalweg.optim.several import Several

    theirs = {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{OTHERS}.")}
    own = {name: value for name, value in values.items() if not name.startswith(f"{OTHERS}.")}
    matrices, rest = _divided(given)
    if not matrices or not rest:
        which = "no matrix" if not matrices else "nothing but matrices"
        raise StudyError(f"trial.optimizer(...): {which} is to be trained: leave {OTHERS}= out, or name one rule alone")
    return Several([method.build(matrices, own, {}), others.build(rest, theirs, options)])


def _divided(given: Trained) -> tuple[list[Any], list[Any]]:
    """The matrices of layers, and all else: embeddings, vectors, kernels of convolutions."""
    from torch import nn

    from thalweg.optim.kinds import model_parameters

    every = [*parameters(given)]
    if any(isinstance(each, dict) for each in every):
        raise StudyError(f"trial.optimizer(...) is given groups: with {OTHERS}= give it the model")
    told = model_parameters(given) if isinstance(given, nn.Module) else ()
    apart = {id(each.param) for each in told if each.kinds}
    trained = [each for each in every if each.requires_grad]
    matrices = [each for each in trained if each.ndim == 2 and id(each) not in apart]
    chosen = {id(each) for each in matrices}
    return matrices, [each for each in trained if id(each) not in chosen]
