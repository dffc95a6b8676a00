"""A method for the matrices of a model's layers, and another for all else, as one.

The numbers of the second are called ``others.lr`` and so on, and have draws of their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from thalweg.formula import Hyper, Rule
from thalweg.formula.declared import CHAIN_DECAYS
from thalweg.formula.rule import decay_kind, exempt
from thalweg.study.model.cells import Value
from thalweg.study.model.errors import StudyError

from .methods import OTHERS, Method, Trained, at_group, is_model, method_of_rule, parameters, refuse_options

# What updates the others of a rule for matrices, unless it is said.
USUAL = "adamw"


def with_others(method: Method, others: Method) -> Method:
    """An optimizer that takes matrices alone, which may be any library's, and another beside it."""
    return _joined(method, others, partial(_several, method, others), lambda group: bool(group.get(OTHERS)))


def rule_with_others(rule: type[Rule], others: type[Rule]) -> Method:
    """A rule for matrices and one for all else: one optimizer, of a model."""
    method, beside = method_of_rule(rule), method_of_rule(others)
    found = _joined(method, beside, partial(_one, rule, others), lambda group: group.get("rule") == others.__name__)
    return replace(found, name=method.name, takes_decay=method.takes_decay, rule=rule)


def _joined(
    method: Method,
    others: Method,
    build: Callable[[Trained, Mapping[str, Value], Mapping[str, Any]], Any],
    is_other: Callable[[Mapping[str, Any]], bool],
) -> Method:
    def numbers(group: Mapping[str, Any]) -> Mapping[str, float]:
        if not is_other(group):
            return method.numbers(group)
        return {f"{OTHERS}.{name}": value for name, value in others.numbers(group).items()}

    theirs = {f"{OTHERS}.{name}": _of_others(name, hyper) for name, hyper in others.hypers.items()}
    return Method(
        name=f"{method.name} with {others.name} for what is no matrix",
        hypers={**method.hypers, **theirs},
        switches={**method.switches, **{f"{OTHERS}.{name}": value for name, value in others.switches.items()}},
        build=build,
        numbers=numbers,
        whole=method.whole,
        grouped=False,  # which parameters are matrices is told from the model
    )


def _of_others(name: str, hyper: Hyper) -> Hyper:
    """With draws of its own: a rate that follows the first one's would be no search."""
    side = hyper.search
    if side is None:
        return hyper
    over = f"{OTHERS}.{side.over}" if side.over else None
    return replace(hyper, search=replace(side, axis=f"{OTHERS}.{side.axis or name}", over=over))


def _apart(values: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, Value]]:
    """The values of the one, and those of the other by its own names."""
    own = {name: value for name, value in values.items() if not name.startswith(f"{OTHERS}.")}
    return own, {name.partition(".")[2]: value for name, value in values.items() if name not in own}


def _several(
    method: Method, others: Method, given: Trained, values: Mapping[str, Value], options: Mapping[str, Any]
) -> Any:
    from thalweg.optim.several import Several

    refuse_options(options)
    own, theirs = _apart(values)
    matrices, rest = _divided(given)
    if not matrices or not rest:
        which = "no matrix" if not matrices else "nothing but matrices"
        raise StudyError(f"trial.optimizer(...): {which} is to be trained: leave {OTHERS}= out, or name one rule alone")
    parts = [method.build(matrices, own, {}), others.build(rest, theirs, {})]
    for group in parts[1].param_groups:
        group[OTHERS] = True
    return Several(parts)


def _one(
    rule: type[Rule], others: type[Rule], given: Trained, values: Mapping[str, Value], options: Mapping[str, Any]
) -> Any:
    from thalweg.optim import model_groups
    from thalweg.optim.configured import configured
    from thalweg.optim.factory import optimizer_class
    from thalweg.optim.groups import NO_DECAY

    if not is_model(given):
        raise StudyError(
            f"trial.optimizer(...): {rule.__name__} updates matrices, and {others.__name__} all else: give it the model"
        )
    own, theirs = _apart(values)
    made = optimizer_class(rule)
    # Only what was chosen for them: what holds for every rule they have from the options of the whole.
    beside = configured(optimizer_class(others), {**_decay(others, options), **at_group(others, theirs)})
    # Biases, norms and embeddings apart where they are left alone; decay of every parameter, as other rules have it.
    groups = model_groups.by_rule(made, given, beside, no_decay=NO_DECAY if exempt(others) else ())
    for group in groups:
        group.pop("weight_decay", None)
    return made(groups, **{**at_group(rule, own), **options})


def _decay(rule: type[Rule], options: Mapping[str, Any]) -> dict[str, Any]:
    """The kind of weight decay that holds for every rule, of a rule that leaves it to be chosen."""
    return {"decay": options["decay"]} if "decay" in options and decay_kind(rule) in CHAIN_DECAYS else {}


def _divided(given: Trained) -> tuple[list[Any], list[Any]]:
    """The matrices of layers that have two dimensions, and all else. Of mere parameters, what has two dimensions."""
    from thalweg.optim import routed

    every = [*parameters(given)]
    if any(isinstance(each, dict) for each in every):
        raise StudyError(f"trial.optimizer(...) is given groups: with {OTHERS}= give it the model")
    trained = [each for each in every if each.requires_grad]
    among = [route.param for route in routed(given).matrices] if is_model(given) else trained
    chosen = {id(each) for each in among if each.ndim == 2}
    return [each for each in trained if id(each) in chosen], [each for each in trained if id(each) not in chosen]
