"""Between torch's names and a rule's: betas=(0.9, 0.999) at the surface is beta1 and beta2 in the formula."""

import inspect
from collections.abc import Mapping
from typing import Any

from thalweg.closest import closest
from thalweg.formula import Hyper, Rule, Switch, like
from thalweg.formula.rule import DECAYS as KINDS
from thalweg.formula.rule import decay_kind, hypers, once, parts

# torch's choices between implementations: there is one here, so they are refused rather than ignored.
IMPLEMENTATION = ("foreach", "fused", "capturable", "differentiable")
# What stands around every rule and may differ by parameter group.
CHAIN = ("decay", "maximize", "clip_value", "ema")
# What belongs to the optimizer as a whole, with its defaults.
WHOLE: Mapping[str, Any] = {
    "clip_norm": None, "clip_scope": "all", "clip_eps": 1e-6, "nonfinite": "pass", "clear": False, "amp_fused": False,
}  # fmt: skip
SCOPES = ("all", "tensor")
NONFINITE = ("raise", "skip", "pass")
# The kinds of weight decay that the chain does, so that they can be chosen.
DECAYS = tuple(kind for kind in KINDS if kind != "own")


def defaults(rule: type[Rule]) -> dict[str, Any]:
    """The keyword arguments of the rule's optimizer that parameter groups may override, with their defaults."""
    found: dict[str, Any] = {}
    settable: dict[str, Hyper | Switch] = {**hypers(rule), **parts(rule, Switch)}
    for name in (name for name in rule.declared if name in settable and name != "ema"):  # that is the chain's, below
        declared = settable[name]
        if isinstance(declared, Hyper) and declared.of:
            found[declared.of] = (*found.get(declared.of, ()), declared.default)
        else:
            found[name] = declared.default
    decay = {"decay": decay_kind(rule)} if decay_kind(rule) in DECAYS else {}
    return {**found, **decay, "maximize": False, "clip_value": None, "ema": None}


def at_surface(rule: type[Rule], values: Mapping[str, Any]) -> dict[str, Any]:
    """A rule's values (beta1=...) as keyword arguments of its optimizer (betas=...)."""
    given = defaults(rule)
    places = {name: (key, place) for name, key, place in _places(rule)}
    for name, value in values.items():
        key, place = places.get(name, (name, None))
        given[key] = value if place is None else (*given[key][:place], value, *given[key][place + 1 :])
    return given


def signature(rule: type[Rule]) -> inspect.Signature:
    """The signature of the rule's optimizer."""
    kinds = inspect.Parameter
    own = set(defaults(rule)) - set(CHAIN)
    ordered = [kinds("params", kinds.POSITIONAL_OR_KEYWORD)]
    ordered += [
        kinds(name, kinds.POSITIONAL_OR_KEYWORD if name in own else kinds.KEYWORD_ONLY, default=value)
        for name, value in {**defaults(rule), **WHOLE, **({"like": None} if rule.conventions else {})}.items()
    ]
    return inspect.Signature(ordered)


def conventional(rule: type[Rule], name: str, convention: object) -> dict[str, Any]:
    """The `defaults` of the rule by another library's conventions; ``name`` is what the user called."""
    if convention not in rule.conventions:
        known = ", ".join(map(repr, rule.conventions)) or "no conventions but its own"
        raise ValueError(f"{name}: like={convention!r} is none of its conventions; it has {known}")
    return defaults(like(rule, str(convention)))


def numbers(rule: type[Rule], group: Mapping[str, Any]) -> dict[str, float]:
    """The rule's hyperparameters as a parameter group has them now; a learning rate may be a tensor."""
    return {name: float(_given(group, key, place)) for name, key, place in _places(rule)}


def _given(group: Mapping[str, Any], key: str, place: int | None) -> Any:
    value = group[key] if place is None else group[key][place]
    return 0.0 if key == "ema" and value is None else value


@once
def _places(rule: type[Rule]) -> tuple[tuple[str, str, int | None], ...]:
    """Where a group has each hyperparameter: (its name, the group's key, its place in the tuple there)."""
    found: list[tuple[str, str, int | None]] = []
    for name, hyper in hypers(rule).items():
        before = sum(key == hyper.of for _, key, _ in found)
        found.append((name, hyper.of, before) if hyper.of else (name, name, None))
    return tuple(found)


def switches(rule: type[Rule], group: Mapping[str, Any]) -> dict[str, bool]:
    """The rule's switches as a parameter group has them."""
    return {name: bool(group[name]) for name in parts(rule, Switch)}


def check_group(rule: type[Rule], name: str, group: Mapping[str, Any]) -> None:
    """Raise for what a parameter group cannot say. Keys of the user's own are his, unless they look like a slip."""
    known = defaults(rule)
    if "weight_decay" not in known and group.get("weight_decay"):
        raise TypeError(f"{name} takes no weight decay, but a group has weight_decay={group['weight_decay']!r}")
    for key in group:
        if key not in known and (meant := closest(key, known, cutoff=0.85)):
            raise TypeError(f"{name}: a group has {key!r}; did you mean {meant!r}?")
        if key in WHOLE:
            raise TypeError(f"{name}: {key!r} belongs to the optimizer as a whole, not to a group")
        if key in IMPLEMENTATION:
            raise TypeError(f"{name} takes no {key!r}: every thalweg optimizer is fused already; leave it out")


def check_whole(name: str, given: Mapping[str, Any]) -> None:
    """Raise for options of the whole optimizer that are outside their range."""
    for key in ("clip_norm", "clip_eps"):
        if given[key] is not None and not isinstance(given[key], int | float):
            raise TypeError(f"{name}: {key} must be a number, got {given[key]!r}")
    if given["clip_norm"] is not None and not given["clip_norm"] > 0:
        raise ValueError(f"{name}: clip_norm must be above 0, or None for no clipping, got {given['clip_norm']!r}")
    if not given["clip_eps"] >= 0:
        raise ValueError(f"{name}: clip_eps must be at least 0, got {given['clip_eps']!r}")
    if given["clip_scope"] not in SCOPES:
        raise ValueError(f"{name}: clip_scope must be one of {', '.join(SCOPES)}, got {given['clip_scope']!r}")
    if given["nonfinite"] not in NONFINITE:
        raise ValueError(f"{name}: nonfinite must be one of {', '.join(NONFINITE)}, got {given['nonfinite']!r}")


def check(rule: type[Rule], name: str, given: Mapping[str, Any]) -> None:
    """Raise for arguments that the rule's optimizer does not take, or outside their range.

    ``name`` is what the user called; ``given`` the keyword arguments, or a group's own.
    """
    known = defaults(rule)
    for key in given:
        if key in IMPLEMENTATION:
            raise TypeError(f"{name} takes no {key!r}: every thalweg optimizer is fused already; leave it out")
    if unknown := [key for key in given if key not in known]:
        raise TypeError(f"{name} takes no {unknown[0]!r}; it takes {', '.join(known)}")
    merged = {**known, **given}
    for key, value in merged.items():
        if isinstance(known[key], tuple) and (not isinstance(value, tuple | list) or len(value) != len(known[key])):
            raise ValueError(f"{name}: {key} must be {len(known[key])} numbers, like {known[key]}, got {value!r}")
    for hyper, key, place in _places(rule):
        written = _given(merged, key, place)
        try:
            value = float(written)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{name}: {hyper} must be a number, got {written!r}") from error
        if problem := hypers(rule)[hyper].problem(value):
            raise ValueError(f"{name}: {hyper} {problem}")
    if merged["clip_value"] is not None and not merged["clip_value"] > 0:
        raise ValueError(f"{name}: clip_value must be above 0, or None for no clipping, got {merged['clip_value']!r}")
    if "decay" in merged and merged["decay"] not in DECAYS:
        raise ValueError(f"{name}: decay must be one of {', '.join(DECAYS)}, got {merged['decay']!r}")
    if merged.get("nesterov") and not (merged.get("momentum", 0) > 0 and merged.get("dampening", 0) == 0):
        raise ValueError(f"{name}: nesterov needs momentum above 0 and dampening 0, as in torch")
