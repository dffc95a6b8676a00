"""Between torch's names and a rule's: betas=(0.9, 0.999) at the surface is beta1 and beta2 in the formula."""

import inspect
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal

from thalweg.closest import closest, did_you_mean
from thalweg.formula import Coefficients, Form, Hyper, Rule, Schedule, Switch, like
from thalweg.formula.choices import AS_MATRICES, check_choices
from thalweg.formula.declared import CHAIN_DECAYS
from thalweg.formula.rule import chosen as choices
from thalweg.formula.rule import decay_kind, hypers, of_matrices, once, parts

from .catalogued import catalogued, unwrapped
from .torchs_muon import refuse_torchs

# torch's choices between implementations. There is one here: what asks for nothing else is taken, and what does is
# refused, rather than ignored.
IMPLEMENTATION = {
    "foreach": "every thalweg optimizer is fused already",
    "fused": "every thalweg optimizer is fused already",
    "differentiable": "no step is part of a graph",
}
# What torch has in its groups and checkpoints, and is neither's here.
OF_TORCHS_GROUPS = (*IMPLEMENTATION, "capturable")
# What torch calls the choice between L2 and decoupled decay, where one of its classes has both.
TORCHS_DECAY = "decoupled_weight_decay"
_HAVE_TORCHS_DECAY = ("Adam", "NAdam", "RAdam")
# Behind which argument torch's class takes it by place.
_AFTER = {"NAdam": "momentum_decay", "RAdam": "weight_decay"}
# What torch's class calls a number, and a rule by its paper's name.
_TORCHS_NAMES = {"Adafactor": {"d": "clip_threshold"}}
# What stands around every rule and may differ by parameter group.
CHAIN = ("decay", "lr_scale", "decay_scale", "maximize", "clip_value", "ema", "ema_warmup")
# How a group's parameters are read as matrices, where the rule is of such: that is the model's, and no checkpoint's.
READ = (*AS_MATRICES,)
# All that such a group may say of matrices.
MATRICES = ("products", *READ)
# What a group multiplies its numbers by, whatever a scheduler makes of those.
SCALES = {"lr_scale": "lr", "decay_scale": "weight_decay"}
# What belongs to the optimizer as a whole, with its defaults.
WHOLE: Mapping[str, Any] = {
    "clip_norm": None, "clip_scope": "all", "clip_eps": 1e-6, "nonfinite": "pass", "clear": False, "amp_fused": False,
    "capturable": False,
}  # fmt: skip
SCOPES = ("all", "tensor")
NONFINITE = ("raise", "skip", "pass")


def defaults(rule: type[Rule]) -> dict[str, Any]:
    """The keyword arguments of the rule's optimizer that parameter groups may override, with their defaults."""
    found: dict[str, Any] = {}
    kinds = (hypers(rule), parts(rule, Switch), parts(rule, Form), parts(rule, Coefficients))
    settable: dict[str, Any] = {name: declared for kind in kinds for name, declared in kind.items()}
    for name in (name for name in rule.declared if name in settable and name not in CHAIN):  # that is added below
        declared = settable[name]
        default = None if isinstance(declared, Hyper) and declared.none and not declared.default else declared.default
        if isinstance(declared, Hyper) and declared.of:
            found[declared.of] = (*found.get(declared.of, ()), default)
        else:
            found[name] = default
    decay = {"decay": decay_kind(rule)} if decay_kind(rule) in CHAIN_DECAYS else {}
    scales = {scale: 1.0 for scale, name in SCALES.items() if name in settable}
    scales |= _of_matrices(rule)
    return {**found, **decay, **scales, "maximize": False, "clip_value": None, "ema": None, "ema_warmup": True}


def _of_matrices(rule: type[Rule]) -> dict[str, Any]:
    """What only rules of matrices are asked; ``products`` is decided by the processor where several will do."""
    if not of_matrices(rule):
        return {}
    only = rule.products[0] if len(rule.products) == 1 else None
    return {"products": only, **AS_MATRICES}


def at_surface(rule: type[Rule], values: Mapping[str, Any]) -> dict[str, Any]:
    """A rule's values (beta1=...) as keyword arguments of its optimizer (betas=...)."""
    given = defaults(rule)
    placed = {name: (key, place) for name, key, place in places(rule)}
    for name, value in values.items():
        key, place = placed.get(name, (name, None))
        given[key] = value if place is None else (*given[key][:place], value, *given[key][place + 1 :])
    return given


def by_place(rule: type[Rule], known: Mapping[str, Any]) -> list[str]:
    """The arguments that may be given without a name, in order: the rule's own, as torch's class has them."""
    found = [key for key in known if key not in (*CHAIN, *MATRICES)]
    after = _AFTER.get(unwrapped(rule))
    if after in found and decay_kind(rule) == "l2":
        found.insert(found.index(after) + 1, TORCHS_DECAY)
    return found


def signature(rule: type[Rule]) -> inspect.Signature:
    """The signature of the rule's optimizer."""
    kinds = inspect.Parameter
    apart = dict.fromkeys(apart_of(rule))
    known = {**defaults(rule), **WHOLE, **apart, **({"like": None} if rule.conventions else {})}
    own = by_place(rule, defaults(rule))
    if unwrapped(rule) in _HAVE_TORCHS_DECAY and decay_kind(rule) == "l2":
        known[TORCHS_DECAY] = None
    ordered = [kinds("params", kinds.POSITIONAL_OR_KEYWORD)]
    ordered += [
        kinds(
            name,
            kinds.POSITIONAL_OR_KEYWORD if name in own else kinds.KEYWORD_ONLY,
            default=known[name],
            annotation=_annotation(rule, name, known[name]),
        )
        for name in dict.fromkeys((*own, *known))
    ]
    return inspect.Signature(ordered)


def apart_of(rule: type[Rule]) -> list[str]:
    """What the rule's optimizer takes that is neither an option of groups nor of `WHOLE`."""
    return ["schedule", "readouts", *(["others"] if of_matrices(rule) else [])]


def _annotation(rule: type[Rule], name: str, default: Any) -> Any:
    """The type of an argument, as configuration libraries and catalogue.pyi have it."""
    words: Mapping[str, Any] = {"decay": CHAIN_DECAYS, "clip_scope": SCOPES, "nonfinite": NONFINITE}
    if name == TORCHS_DECAY:
        return bool | None
    if name == "schedule":
        return Schedule | Mapping[str, Schedule] | None
    if name in words:
        return Literal[words[name]]
    if name in parts(rule, Form):
        return Literal[(*parts(rule, Form)[name].choices,)]
    if name in parts(rule, Coefficients):
        return str | Sequence[Sequence[float]]
    if name == "products":
        return Literal[rule.products] | None if default is None else Literal[rule.products]
    if name == "split_sizes":
        return Sequence[int] | None
    if name == "readouts":
        return Mapping[str, Any] | None
    if name == "others":
        return Any
    if name == "like":
        return Literal[(*rule.conventions,)] | None
    if isinstance(default, tuple):
        none = {hyper.none for hyper in hypers(rule).values() if hyper.of == name}
        return tuple[(float | None if True in none else float,) * len(default)]  # type: ignore[misc]
    return float | None if default is None else float if type(default) is int else type(default)


def conventional(rule: type[Rule], name: str, convention: object) -> dict[str, Any]:
    """The `defaults` of the rule by another library's conventions; ``name`` is what the user called."""
    if convention not in rule.conventions:
        known = ", ".join(map(repr, rule.conventions)) or "no conventions but its own"
        raise ValueError(f"{name}: like={convention!r} is none of its conventions; it has {known}")
    return defaults(like(rule, str(convention)))


def numbers(rule: type[Rule], group: Mapping[str, Any]) -> dict[str, float]:
    """The rule's hyperparameters as a parameter group has them now; a learning rate may be a tensor."""
    own = hypers(rule)
    return {name: float(_given(group, key, place, own[name].none)) for name, key, place in places(rule)}


def in_force(rule: type[Rule], group: Mapping[str, Any]) -> dict[str, float]:
    """The same times the group's scales: what formulas are given."""
    found = numbers(rule, group)
    return found | {name: found[name] * float(group.get(by, 1.0)) for by, name in SCALES.items() if name in found}


def _given(group: Mapping[str, Any], key: str, place: int | None, none: bool) -> Any:
    """What a group says; ``none``: None is its 0."""
    value = group[key] if place is None else group[key][place]
    return 0.0 if none and value is None else value


@once
def places(rule: type[Rule]) -> tuple[tuple[str, str, int | None], ...]:
    """Where a group has each hyperparameter: (its name, the group's key, its place in the tuple there)."""
    found: list[tuple[str, str, int | None]] = []
    for name, hyper in hypers(rule).items():
        before = sum(key == hyper.of for _, key, _ in found)
        found.append((name, hyper.of, before) if hyper.of else (name, name, None))
    return tuple(found)


def switches(rule: type[Rule], group: Mapping[str, Any]) -> dict[str, Any]:
    """The rule's switches as a parameter group has them, and its choices, by word or as they are given.

    Lists are tuples, though a group may have been through JSON.
    """
    found: dict[str, Any] = {name: bool(group[name]) for name in parts(rule, Switch)}
    return found | {name: _nested(group[name]) for name in _chosen(rule)}


@once
def _chosen(rule: type[Rule]) -> tuple[str, ...]:
    return (*choices(rule), *(MATRICES if of_matrices(rule) else ()))


def settings(rule: type[Rule], group: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a rule's states and formulas depend on: numbers in force, switches and choices."""
    return {**in_force(rule, group), **switches(rule, group)}


def torchs_decay(rule: type[Rule], name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with torch's ``decoupled_weight_decay``, of rules whose decay is L2, as the ``decay`` it is.

    And with a number that torch has under another name under the rule's own.
    """
    for theirs, own in _TORCHS_NAMES.get(catalogued(rule), {}).items():
        if theirs in given:
            if own in given:
                raise TypeError(f"{name} got {own}={given[own]!r} and {theirs}={given[theirs]!r}: give one of them")
            given = {own if key == theirs else key: value for key, value in given.items()}
    if decay_kind(rule) != "l2" or TORCHS_DECAY not in given:
        return dict(given)
    asked, others = given[TORCHS_DECAY], {key: value for key, value in given.items() if key != TORCHS_DECAY}
    if asked is None:
        return others
    if not isinstance(asked, bool):
        raise TypeError(f"{name}: {TORCHS_DECAY} is True or False, got {asked!r}")
    kind = "decoupled" if asked else "l2"
    if given.get("decay", kind) != kind:
        raise TypeError(f"{name} got decay={given['decay']!r} and {TORCHS_DECAY}={asked}: give one of them")
    return {**others, "decay": kind}


def with_torchs_decay(rule: type[Rule], group: Mapping[str, Any]) -> dict[str, Any]:
    """A saved group that also says its decay and numbers as torch's class of the same name does, to be loaded there."""
    names = _TORCHS_NAMES.get(catalogued(rule), {})
    group = {**group, **{theirs: group[own] for theirs, own in names.items() if own in group}}
    if unwrapped(rule) not in _HAVE_TORCHS_DECAY or "decay" not in group:
        return dict(group)
    return {**group, TORCHS_DECAY: group["decay"] == "decoupled"}


def without_torchs_decay(rule: type[Rule], group: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse: a loaded group whose decay, and numbers, are said in one way."""
    names = _TORCHS_NAMES.get(catalogued(rule), {})
    group = {key: value for key, value in group.items() if key not in names or names[key] not in group}
    plain = {key: value for key, value in group.items() if key != TORCHS_DECAY}
    if names.keys() & group.keys():
        plain = torchs_decay(rule, rule.__name__, plain)
    return plain if "decay" in group else torchs_decay(rule, rule.__name__, group)


def described(value: Any) -> str:
    """A value in a message; of a string, that it is one."""
    return f"the string {value!r}: leave out its quotes" if isinstance(value, str) else repr(value)


def plain(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as plain Python: numbers of NumPy's and sequences of any kind, as configurations hold them.

    What is ``known`` as a tuple becomes one. What is no number stays as it is, for `check` to refuse.
    """
    return {
        key: tuple(map(_plain, value))
        if isinstance(known.get(key), tuple) and _is_sequence(value)
        else _nested(value)
        if key in _LISTS
        else _plain(value)
        for key, value in given.items()
    }


# What is given as a list, or a list of lists.
_LISTS = ("coefficients", "split_sizes")


def _nested(value: Any) -> Any:
    """A list of lists, as coefficients are given, as tuples; anything else as `_plain`."""
    if isinstance(value, tuple | list):
        return tuple(_nested(each) for each in value)
    return _plain(value)


def chosen(rule: type[Rule], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that somebody chose. Who hands over every one has read the signature, as configuration libraries
    do: what is as its default there was not chosen."""
    usual = defaults(rule)
    if not usual.keys() <= given.keys():
        return dict(given)
    plainly = plain(given, usual)
    return {key: value for key, value in given.items() if key not in usual or plainly[key] != usual[key]}


def _is_tensor(value: Any) -> bool:
    """Asked without torch, which this file does not need."""
    return hasattr(value, "numel") and hasattr(value, "requires_grad")


def _is_sequence(value: Any) -> bool:
    return hasattr(value, "__len__") and hasattr(value, "__getitem__") and not isinstance(value, str | Mapping)


def _plain(value: Any) -> Any:
    if isinstance(value, bool | int | float) and type(value) in (bool, int, float):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def without_implementation(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without those that choose between torch's implementations; TypeError for one that is asked for."""
    for key, why in IMPLEMENTATION.items():
        if given.get(key):
            raise TypeError(f"{name} takes no {key}={given[key]!r}: {why}; leave it out")
    return {key: value for key, value in given.items() if key not in OF_TORCHS_GROUPS or value}


def check_group(rule: type[Rule], name: str, group: Mapping[str, Any]) -> None:
    """Raise for what a parameter group cannot say. Keys of the user's own are his, unless they look like a slip."""
    known = defaults(rule)
    if "weight_decay" not in known and group.get("weight_decay"):
        raise TypeError(f"{name} takes no weight decay, but a group has weight_decay={group['weight_decay']!r}")
    refuse_torchs(rule, name, group)
    for key in group:
        if key not in known and (meant := closest(key, known, cutoff=0.85)):
            raise TypeError(f"{name}: a group has {key!r}; did you mean {meant!r}?")
        if (
            (key in WHOLE and (key not in OF_TORCHS_GROUPS or group[key]))
            or key == "schedule"
            or (key == "readouts" and isinstance(group[key], Mapping))
        ):
            raise TypeError(f"{name}: {key!r} belongs to the optimizer as a whole, not to a group")


def check_whole(name: str, given: Mapping[str, Any]) -> None:
    """Raise for options of the whole optimizer that are outside their range."""
    for key in ("clip_norm", "clip_eps"):
        if given[key] is not None and not isinstance(given[key], Real):
            raise TypeError(f"{name}: {key} must be a number, got {described(given[key])}")
    if given["clip_norm"] is not None and not given["clip_norm"] > 0:
        raise ValueError(f"{name}: clip_norm must be above 0, or None for no clipping, got {given['clip_norm']!r}")
    if not given["clip_eps"] >= 0:
        raise ValueError(f"{name}: clip_eps must be at least 0, got {given['clip_eps']!r}")
    if not isinstance(given["capturable"], bool):
        raise TypeError(f"{name}: capturable is True or False, got {described(given['capturable'])}")
    if given["clip_scope"] not in SCOPES:
        raise ValueError(f"{name}: clip_scope must be one of {', '.join(SCOPES)}, got {given['clip_scope']!r}")
    if given["nonfinite"] not in NONFINITE:
        raise ValueError(f"{name}: nonfinite must be one of {', '.join(NONFINITE)}, got {given['nonfinite']!r}")


# What rules with one average and with two call the same number.
_ALIKE = {"betas": "momentum", "momentum": "betas"}


def _meant(asked: str, takes: Sequence[str]) -> str:
    """The end of a sentence about an argument that is not taken."""
    alike = _ALIKE.get(asked)
    return f"; did you mean {alike!r}?" if alike in takes else did_you_mean(asked, takes)


def check(rule: type[Rule], name: str, given: Mapping[str, Any]) -> None:
    """Raise for arguments that the rule's optimizer does not take, or outside their range.

    ``name`` is what the user called; ``given`` the keyword arguments, or a group's own.
    """
    known = defaults(rule)
    refuse_torchs(rule, name, given)
    if unknown := [key for key in given if key not in known]:
        takes = [*known, *WHOLE, *apart_of(rule), *(["like"] if rule.conventions else [])]
        raise TypeError(f"{name} takes no {unknown[0]!r}; it takes {', '.join(takes)}{_meant(unknown[0], takes)}")
    merged = {**known, **given}
    for key, value in merged.items():
        if isinstance(known[key], tuple) and (not isinstance(value, tuple) or len(value) != len(known[key])):
            raise ValueError(f"{name}: {key} must be {len(known[key])} numbers, like {known[key]}, got {value!r}")
        if isinstance(value, tuple) and len({_is_tensor(each) for each in value}) > 1:
            raise ValueError(f"{name}: {key} must be all numbers or all tensors, as in torch, got {value!r}")
    for hyper, key, place in places(rule):
        written = _given(merged, key, place, hypers(rule)[hyper].none)
        try:
            if isinstance(written, str):
                raise TypeError("a string")
            if _is_tensor(written) and written.numel() != 1:
                raise ValueError(f"{name}: {hyper} must be one number, got {written!r}")
            value = float(written)
        except (TypeError, RuntimeError) as error:
            raise TypeError(f"{name}: {hyper} must be a number, got {described(written)}") from error
        if problem := hypers(rule)[hyper].problem(value):
            raise ValueError(f"{name}: {hyper} {problem}")
    if merged["clip_value"] is not None and not isinstance(merged["clip_value"], Real):
        raise TypeError(f"{name}: clip_value must be a number, got {described(merged['clip_value'])}")
    if merged["clip_value"] is not None and not float(merged["clip_value"]) > 0:
        raise ValueError(f"{name}: clip_value must be above 0, or None for no clipping, got {merged['clip_value']!r}")
    if "decay" in merged and merged["decay"] not in CHAIN_DECAYS:
        raise ValueError(f"{name}: decay must be one of {', '.join(CHAIN_DECAYS)}, got {merged['decay']!r}")
    for key in SCALES.keys() & merged.keys():
        if not isinstance(merged[key], Real):
            raise TypeError(f"{name}: {key} must be a number, got {described(merged[key])}")
        if problem := Hyper(1.0).problem(float(merged[key])):
            raise ValueError(f"{name}: {key} {problem}")
    for key in (*parts(rule, Switch), "maximize"):
        if isinstance(merged[key], str):
            raise TypeError(f"{name}: {key} is True or False, got {described(merged[key])}")
    check_choices(rule, name, merged)
    for switch, declared in parts(rule, Switch).items():
        if merged[switch] and not (
            all(float(merged[key]) > 0 for key in declared.needs)
            and not any(float(merged[key]) for key in declared.bars)
        ):
            wanted = [f"{key} above 0" for key in declared.needs] + [f"{key} 0" for key in declared.bars]
            raise ValueError(f"{name}: {switch} needs {' and '.join(wanted)}")
