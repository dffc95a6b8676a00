"""What a checkpoint is to an optimizer: states by parameter, found by name where both sides know names."""

import sys
import warnings
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

import torch

from thalweg.formula import Scalar, State
from thalweg.formula.compose import live_states, usual_switches
from thalweg.formula.kernel import counts_steps
from thalweg.formula.rule import hypers, of_matrices, parts, shaped

from . import readouts, surface, torchs_muon, transformers_adafactor
from .catalogued import catalogued
from .joined import Part, Rules
from .named import OPTIMIZERS
from .scheduling import COUNT
from .state import shape_of

Saved = dict[str, Any]


def fitted(saved: Saved, groups: Sequence[Mapping[str, Any]], rules: Rules) -> Saved:
    """The checkpoint as an optimizer with these groups takes it: its own order, names of options, and rules.

    Raises ValueError for one that is of other parameters or another optimizer, KeyError for one without step counts
    that are needed. Warns of states by another rule that are taken by their key alone.
    """
    saved, only = _without_only_rule(_by_torch(saved))
    ordered = by_name(_with_counts_of_groups(saved), groups, rules)
    _refuse_other_rules(ordered, groups, rules)
    pairs = zip(ordered["param_groups"], groups, strict=False)
    plain = [_plainly(theirs, own, rules) for theirs, own in pairs]
    ordered = _with_own_keys(ordered, groups, rules)
    _refuse_uncounted(ordered, groups, rules)
    filled = with_options({**ordered, "param_groups": _begun(ordered, plain)}, groups, surface.CHAIN)
    found = readouts.loaded(filled, groups, rules.own.made.__name__)
    refuse(found, groups, rules, _by_others(saved, ordered, groups, rules), only)
    _warn_of_another(only, found, groups, rules)
    return found


def _by_torch(saved: Saved) -> Saved:
    """The checkpoint without the rule in groups that one of torch's classes has saved.

    What such a class has loaded it saves again: there the rule is whose checkpoint it has begun with. It is known by
    torch's choices between implementations, of which ours keep none.
    """
    groups = [
        {key: value for key, value in group.items() if key != "rule"}
        if surface.IMPLEMENTATION.keys() & group
        else group
        for group in saved["param_groups"]
    ]
    return {**saved, "param_groups": groups}


def _without_only_rule(saved: Saved) -> tuple[Saved, str | None]:
    """The checkpoint of a single rule as torch has such, saying nothing of it, and the rule's name, where it says that.

    Its groups are not told apart by their rule, so what may be loaded is decided by what its states are alone.
    """
    said = {group.get("rule") for group in saved["param_groups"]}
    if len(said) != 1 or None in said:
        return saved, None
    plain = [{key: value for key, value in group.items() if key != "rule"} for group in saved["param_groups"]]
    return {**saved, "param_groups": plain}, str(said.pop())


def _warn_of_another(only: str | None, saved: Saved, groups: Sequence[Mapping[str, Any]], rules: Rules) -> None:
    """Warn where states by the ``only`` rule of the checkpoint are taken for those of another one by their key alone.

    Many averages are alike, as those of Adam and RAdam, which may go on from one another; so it is no error. Of a rule
    that is not known here nothing is known.
    """
    means = {} if only is None else _means(only, rules)
    for theirs, own in zip(saved["param_groups"], groups, strict=True):
        part = rules.of(own)
        kept = {key for number in theirs["params"] for key in saved["state"].get(number, {})}
        if part.name != only and (other := _of_other_meaning(means, part, kept & means.keys())):
            warnings.warn(
                f"the checkpoint is {only}'s, and {part.name} goes on with {_some(other)} from there: the two declare "
                "each for itself what is kept by that name, which may be another average or sum (momentum_buffer is a "
                f"sum in SGD, and an average in Muon). Load it into {only}, or load only the weights; or, if they mean "
                "the same, delete 'rule' from the checkpoint's param_groups",
                stacklevel=_outside(),
            )
            return


def _outside() -> int:
    """The ``stacklevel`` of whoever calls neither from here nor from torch, for a warning of the caller's."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("thalweg", "torch"):
        level, frame = level + 1, frame.f_back
    return level


def _of_other_meaning(means: Mapping[str, State], part: Part, keys: Collection[str]) -> list[str]:
    """Which of the rule's own states, by these keys, are not inherited from a declaration that is among ``means``."""
    own = parts(part.made.rule, State).values()
    return sorted(state.key for state in own if state.key in keys and means.get(state.key) is not state)


def _begun(saved: Saved, groups: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """These groups in the place of the checkpoint's first ones."""
    return [*groups, *saved["param_groups"][len(groups) :]]


def _plainly(theirs: Mapping[str, Any], own: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """A saved group in the words of the optimizer's group: its rule said where that says its, decay said once.

    How parameters are read as matrices is the optimizer's own, since the model is what it is whoever has trained it.

    What stands around every rule but this one, as the decay of one that does it itself, is left out: it would be done
    beside the rule's own.
    """
    part = rules.of(own)
    left_out = {"rule", *surface.CHAIN} - {*surface.defaults(part.whole)}
    rule = part.made.rule
    said = torchs_muon.without_torchs(
        rule, surface.without_torchs_decay(rule, transformers_adafactor.group(rule, theirs))
    )
    kept = {"rule", *(surface.READ if of_matrices(part.whole) else ())}
    return {key: value for key, value in said.items() if key not in left_out} | {k: own[k] for k in own if k in kept}


def _with_own_keys(saved: Saved, groups: Sequence[Mapping[str, Any]], rules: Rules) -> Saved:
    """The checkpoint with states under the keys that the rules here keep them by, where another library has others."""
    state = dict(saved["state"])
    for theirs, own in zip(saved["param_groups"], groups, strict=False):
        rule = rules.of(own).made.rule
        state |= {n: transformers_adafactor.state(rule, state[n]) for n in theirs["params"] if n in state}
    return {**saved, "state": state}


def _refuse_other_rules(saved: Saved, groups: Sequence[Mapping[str, Any]], rules: Rules) -> None:
    """Raise ValueError for a group that another rule has updated, where names have not told what to do with it."""
    for place, (theirs, own) in enumerate(zip(saved["param_groups"], groups, strict=False)):
        if _is_by_another(theirs, own, rules):
            raise ValueError(
                f"the checkpoint's group {place} has been updated by {theirs['rule']}, the optimizer's is by "
                f"{rules.of(own).name}: make it with the groups that were saved; or save with names (a model, or "
                "model.named_parameters()), by which states are found in any groups"
            )


def _is_by_another(theirs: Mapping[str, Any], own: Mapping[str, Any], rules: Rules) -> bool:
    """Whether a saved group says that another rule has updated it; torch's say nothing."""
    return bool(theirs.get("rule", rules.of(own).name) != rules.of(own).name)


def _by_others(saved: Saved, ordered: Saved, groups: Sequence[Mapping[str, Any]], rules: Rules) -> dict[int, str]:
    """The numbers of the parameters that another rule has updated than the one that now does, with its name."""
    by = {number: group for group in saved["param_groups"] for number in group["params"]}
    pairs = zip(ordered["param_groups"], groups, strict=False)
    return {n: by[n]["rule"] for theirs, own in pairs for n in theirs["params"] if _is_by_another(by[n], own, rules)}


def _means(name: str, rules: Rules) -> Mapping[str, State]:
    """The states that the rule of this name keeps of its own, by key; none of a rule that is not known here."""
    beside = [part.made for part in (rules.own, *rules.beside.values()) if part.name == name]
    made = next(iter(beside), OPTIMIZERS.get(name.lower()))
    return {} if made is None else {state.key: state for state in parts(made.rule, State).values()}


def by_name(saved: Saved, groups: Sequence[Mapping[str, Any]], rules: Rules) -> Saved:
    """The checkpoint in the order of the optimizer's groups and parameters, if both have names; else as it is.

    Where not one name is the same (``module.`` before each of them, say) names tell nothing, and torch's way,
    by position, remains. A checkpoint that groups the same names otherwise, or has updated them by other rules, gives
    its states; the hyperparameters are then the optimizer's own, since those of other groups are not theirs. Raises
    ValueError if some names are the same and some are not, and for names that occur in several groups and tell
    parameters apart in none.
    """
    own = [group.get("param_names") for group in groups]
    theirs = [group.get("param_names") for group in saved["param_groups"]]

    def by_others(order: Sequence[int]) -> bool:
        ordered = [saved["param_groups"][place] for place in order]
        return any(_is_by_another(of, group, rules) for of, group in zip(ordered, groups, strict=True))

    if None in own or None in theirs or (own == theirs and not by_others(range(len(groups)))):
        return saved
    mine, others = ([list(names or ()) for names in side] for side in (own, theirs))
    here, there = ({name for names in side for name in names} for side in (mine, others))
    if not here & there:
        return saved
    if here != there:
        missing, more = sorted(here - there), sorted(there - here)
        raise ValueError(
            "the checkpoint is of other parameters:"
            + (f" it has nothing for {_some(missing)}" if missing else "")
            + (";" if missing and more else "")
            + (f" it has {_some(more)}, which the optimizer has not" if more else "")
        )
    sets = {frozenset(names): i for i, names in enumerate(others)}
    if [sorted(names) for names in mine] == [sorted(names) for names in others] and not by_others(range(len(groups))):
        order = list(range(len(mine)))
    elif repeated := sorted({name for side in (mine, others) for name, n in Counter(chain(*side)).items() if n > 1}):
        raise ValueError(
            f"the checkpoint groups its parameters otherwise, and {_some(repeated)} stand in several groups, so that "
            "names do not tell which is which: make the optimizer with the groups it was saved with"
        )
    elif {frozenset(names) for names in mine} == {*sets} and not by_others([sets[frozenset(n)] for n in mine]):
        order = [sets[frozenset(names)] for names in mine]
    else:
        return _regrouped(saved, groups, rules)
    ordered = []
    for names, place in zip(mine, order, strict=True):
        group = saved["param_groups"][place]
        if len({*names}) < len(names):
            raise ValueError(f"two parameters of one group are called {_some(sorted({*names}))}: names tell nothing")
        number = dict(zip(group["param_names"], group["params"], strict=True))
        ordered.append({**group, "params": [number[name] for name in names], "param_names": names})
    return {**saved, "param_groups": ordered}


def _regrouped(saved: Saved, groups: Sequence[Mapping[str, Any]], rules: Rules) -> Saved:
    """The checkpoint's states in the optimizer's own groups, with what groups keep from step to step."""
    theirs = saved["param_groups"]
    number = {name: n for group in theirs for name, n in zip(group["param_names"], group["params"], strict=True)}
    # The steps that this optimizer has counted are none of the checkpoint's.
    own = [{key: value for key, value in group.items() if key not in ("params", COUNT)} for group in groups]
    for group in own:
        scalars = [name for name, scalar in parts(rules.of(group).whole, Scalar).items() if scalar.scope != "tensor"]
        for key in (COUNT, *scalars, *readouts.KEYS):
            said = {of[key] for of in theirs if key in of and {*of["param_names"]} & {*group["param_names"]}}
            if len(said) > 1:
                raise ValueError(
                    "the checkpoint groups its parameters otherwise, and its groups have gone different ways "
                    f"({key} is {' and '.join(map(str, sorted(said)))}): make the optimizer with the groups it was "
                    "saved with"
                )
            group.update(dict.fromkeys((key,), *said) if said else {})
    return {
        **saved,
        "param_groups": [{**group, "params": [number[name] for name in group["param_names"]]} for group in own],
    }


def with_options(saved: Saved, groups: Sequence[Mapping[str, Any]], options: Sequence[str]) -> Saved:
    """The checkpoint with the optimizer's own options where it says nothing of them: torch knows nothing of them."""
    pairs = zip(saved["param_groups"], groups, strict=False)
    filled = [{**{key: own[key] for key in options if key in own}, **before_warmup(theirs)} for theirs, own in pairs]
    return {**saved, "param_groups": [*filled, *saved["param_groups"][len(filled) :]]}


def joined_checkpoints(*saved: Saved) -> Saved:
    """The checkpoints of several optimizers as that of one with all their groups, in this order.

    For who had an optimizer for the matrices and one for the rest:
    ``optimizer.load_state_dict(thalweg.joined_checkpoints(matrices.state_dict(), rest.state_dict()))``.
    """
    state: dict[int, Any] = {}
    groups: list[dict[str, Any]] = []
    for each in saved:
        first = sum(len(group["params"]) for group in groups)
        numbers = {
            number: first + place for place, number in enumerate(chain(*(g["params"] for g in each["param_groups"])))
        }
        state |= {numbers[number]: kept for number, kept in each["state"].items()}
        groups += [{**group, "params": [numbers[n] for n in group["params"]]} for group in each["param_groups"]]
    return {"state": state, "param_groups": groups}


def before_warmup(group: dict[str, Any]) -> dict[str, Any]:
    """A group that was saved before averages warmed up goes on as it was."""
    return {"ema_warmup": False, **group} if group.get("ema") else group


def _with_counts_of_groups(saved: Saved) -> Saved:
    """The checkpoint with a step count in every state, where it has one for a whole group, as some libraries do."""
    state, groups = dict(saved["state"]), []
    for group in saved["param_groups"]:
        if "step" in group:
            count = torch.tensor(float(group["step"]))
            uncounted = [n for n in group["params"] if "step" not in state.get(n, {})]
            state.update({n: {**state.get(n, {}), "step": count.clone()} for n in uncounted})
            group = {key: value for key, value in group.items() if key != "step"}
        groups.append(group)
    return {**saved, "state": state, "param_groups": groups}


def _refuse_uncounted(saved: Saved, groups: Sequence[Mapping[str, Any]], rules: Rules) -> None:
    """Raise KeyError, as torch does, for a state without a step count whose rule needs it.

    A step counted from 0 with averages that are old would be a large one. torch.optim.SGD counts none; where it left a
    buffer, the first step is past.
    """
    for theirs, own in zip(saved["param_groups"], groups, strict=False):
        rule = rules.of(own).whole
        averages = {state.key for state in parts(rule, State).values()}
        counted = counts_steps(rule, tuple(usual_switches(rule).items())) and catalogued(rule) != "SGD"
        states = [saved["state"].get(n, {}) for n in theirs["params"]]
        bare = [kept for kept in states if "step" not in kept and averages & {*kept}]
        if bare and counted:
            raise KeyError(
                f"step: the checkpoint has {_some(sorted(averages & {*bare[0]}))} of a parameter, but not how "
                "many steps it has taken, neither in its state nor in its group"
            )


def refuse(
    saved: Saved, groups: Sequence[Mapping[str, Any]], rules: Rules, by_others: Mapping[int, str], only: str | None
) -> None:
    """Raise ValueError for the states of another optimizer (``only``: its rule's name), or of another shape.

    A state that is missing alone is created when it is needed, as when momentum is switched on; one that is there
    alone does no harm. Both together mean that the averages are there, under names that nobody reads. Where another
    rule has updated a parameter (``by_others``, with its name), its states have to be all that the present one needs,
    and to mean the same: to be inherited from one declaration, as AMSGrad has its averages from Adam. Of others a key
    says little: momentum_buffer is a sum in SGD, and an average in Muon. A matrix for a side of the parameter has to be
    there if anything is: SOAP's axes are found in the first step, and in no later one.
    """
    counts = [[len(group["params"]) for group in side] for side in (saved["param_groups"], groups)]
    if counts[0] != counts[1]:
        theirs_are, own_are = (f"{_many(len(sizes), 'group')} of {', '.join(map(str, sizes))}" for sizes in counts)
        # torch's words, which people search for, then what is the matter.
        other = "a different number of parameter groups"
        wrong = other if len(counts[0]) != len(counts[1]) else "groups that don't match the size of optimizer's group"
        raise ValueError(
            f"the loaded state dict has {wrong}: {theirs_are} parameters, the optimizer {own_are}. Make it with the "
            "groups that were saved; or save with names (torch.optim.AdamW(model.named_parameters())), by which states "
            "are found in any"
        )
    for theirs, own in zip(saved["param_groups"], groups, strict=False):
        rule, name = rules.of(own).whole, rules.of(own).name
        known = {state.key for state in parts(rule, State).values()} | {"step"}
        known |= {name for name, scalar in parts(rule, Scalar).items() if scalar.scope == "tensor"}
        said = {**surface.defaults(rule), **own, **theirs}
        _refuse_other_forms(said, rules.of(own), "another optimizer" if only is None else only)
        values = {**surface.numbers(rule, said), **surface.switches(rule, said)}
        for number, param in zip(theirs["params"], own["params"], strict=False):
            live = live_states(rule, {**values, **shaped(rule, param)})
            needed = {state.key: state for state in live.values()}
            kept = saved["state"].get(number, {})
            kept = {key: value for key, value in kept.items() if isinstance(value, torch.Tensor)}
            strange = sorted(key for key in kept.keys() - known if not readouts.is_windows(key))
            missing = sorted(needed.keys() - kept.keys())
            if strange and missing:
                raise ValueError(
                    f"the checkpoint is of another optimizer: its states are {_some(strange)}, and {_some(missing)} "
                    f"of {name} is not among them"
                )
            if kept and number in by_others:
                _refuse_other_meanings(by_others[number], rules.of(own), needed, {*kept}, rules)
            sides = [key for key in missing if needed[key].shape in ("left", "right", "least")]
            if sides and kept:
                raise ValueError(
                    f"the checkpoint has {_some(sorted(kept))} of a parameter, but not {_some(sides)} of {name}, and "
                    "matrices that start at 0 in the middle of a training would hold it up: load a checkpoint of "
                    f"{name}, or only the weights, and begin with the first step"
                )
            for key in needed.keys() & kept.keys():
                if kept[key].shape != shape_of(rule, values, param, needed[key]):
                    raise ValueError(
                        f"the checkpoint's state {key!r} has the shape {tuple(kept[key].shape)}, its parameter "
                        f"{tuple(param.shape)}: was it made for another model?"
                    )


def _refuse_other_forms(said: Mapping[str, Any], part: Part, theirs: str) -> None:
    """Raise ValueError where a group says one number for what is several to the rule, the reverse, or None for one.

    eps of Adafactor are two, of AdamW one; betas of Adan are three, of AdamW two.
    """
    places, own = surface.places(part.whole), hypers(part.whole)
    wanted = Counter(key for _, key, place in places if place is not None)
    for name, key, place in places:
        found = len(said[key]) if isinstance(said[key], tuple | list) else 0
        absent = found == wanted[key] and (said[key] if place is None else said[key][place]) is None
        if found != wanted[key] or (absent and not own[name].none):
            raise ValueError(
                f"the checkpoint is of {theirs}: its {key} is {said[key]!r}, and that of {part.name} is "
                f"{_many(wanted[key] or 1, 'number')}. Load it into an optimizer of the rule that it is of, or load "
                "only the weights"
            )


def _refuse_other_meanings(theirs: str, part: Part, needed: Mapping[str, State], kept: set[str], rules: Rules) -> None:
    """Raise ValueError unless the states that one rule ``kept`` are what another one needs.

    What goes around every rule, as averages of the weights, means the same beside each.
    """
    changed = f"the checkpoint's parameters have been updated by other rules, and of one that is now by {part.name}"
    if missing := sorted(needed.keys() - kept):
        wrong = f"{_some(missing)} is not among its states"
    elif other := _of_other_meaning(_means(theirs, rules), part, needed):
        wrong = f"{_some(other)} is {theirs}'s, which may be another average or sum of that name"
    else:
        return
    raise ValueError(f"{changed} {wrong}: make the optimizer with the groups that were saved")


def restored(
    saved: Saved, groups: Sequence[Mapping[str, Any]], rules: Rules
) -> list[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """Each parameter with the tensors saved for it, as copies, and as precise as checkpoint, parameter and rule want.

    torch casts every state to its parameter's type, which for float32 averages of bfloat16 weights is a loss, and
    keeps the checkpoint's own tensors, so that training would go on inside the checkpoint. Neither does what was saved
    in half precision stay so beside float32 weights: an average of squares there would hardly move.
    """

    def loaded(key: str, value: torch.Tensor, param: torch.Tensor, least: Mapping[str, str | None]) -> torch.Tensor:
        if key not in least:  # numbers, and what another optimizer keeps
            return value.detach().to(param.device if value.dim() else "cpu", copy=True)
        dtype = torch.promote_types(value.dtype, param.dtype) if value.is_floating_point() else value.dtype
        if wanted := least[key]:
            dtype = torch.promote_types(dtype, getattr(torch, wanted))
        return value.detach().to(param.device, dtype, copy=True)

    found = []
    for theirs, own in zip(saved["param_groups"], groups, strict=True):
        least = {state.key: state.dtype for state in parts(rules.of(own).whole, State).values()}
        for number, param in zip(theirs["params"], own["params"], strict=True):
            kept = {
                key: value for key, value in saved["state"].get(number, {}).items() if isinstance(value, torch.Tensor)
            }
            found.append((param, {key: loaded(key, value, param, least) for key, value in kept.items()}))
    return found


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
