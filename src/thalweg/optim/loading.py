"""What a checkpoint is to an optimizer: states by parameter, found by name where both sides know names."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch

from thalweg.formula import Rule, Scalar, State
from thalweg.formula.compose import live_states, usual_switches
from thalweg.formula.kernel import counts_steps
from thalweg.formula.rule import inner, parts

from . import readouts, surface
from .scheduling import COUNT
from .state import shape_of

Saved = dict[str, Any]


def by_name(saved: Saved, groups: Sequence[Mapping[str, Any]], rule: type[Rule]) -> Saved:
    """The checkpoint in the order of the optimizer's groups and parameters, if both have names; else as it is.

    Where not one name is the same (``module.`` before each of them, say) names tell nothing, and torch's way,
    by position, remains. A checkpoint that groups the same names otherwise gives its states; the hyperparameters are
    then the optimizer's own, since those of other groups are not theirs. Raises ValueError if some names are the same
    and some are not, and for names that occur in several groups and tell parameters apart in none.
    """
    own = [group.get("param_names") for group in groups]
    theirs = [group.get("param_names") for group in saved["param_groups"]]
    if None in own or None in theirs or own == theirs:
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
    if [sorted(names) for names in mine] == [sorted(names) for names in others]:
        order = list(range(len(mine)))
    elif repeated := sorted({name for side in (mine, others) for name, n in Counter(chain(*side)).items() if n > 1}):
        raise ValueError(
            f"the checkpoint groups its parameters otherwise, and {_some(repeated)} stand in several groups, so that "
            "names do not tell which is which: make the optimizer with the groups it was saved with"
        )
    elif {frozenset(names) for names in mine} == {frozenset(names) for names in others}:
        places = {frozenset(names): i for i, names in enumerate(others)}
        order = [places[frozenset(names)] for names in mine]
    else:
        scalars = [n for n, s in parts(rule, Scalar).items() if s.scope != "tensor"]
        return _regrouped(saved, groups, [COUNT, *scalars, *readouts.KEYS])
    ordered = []
    for names, place in zip(mine, order, strict=True):
        group = saved["param_groups"][place]
        if len({*names}) < len(names):
            raise ValueError(f"two parameters of one group are called {_some(sorted({*names}))}: names tell nothing")
        number = dict(zip(group["param_names"], group["params"], strict=True))
        ordered.append({**group, "params": [number[name] for name in names], "param_names": names})
    return {**saved, "param_groups": ordered}


def _regrouped(saved: Saved, groups: Sequence[Mapping[str, Any]], kept: Sequence[str]) -> Saved:
    """The checkpoint's states in the optimizer's own groups, with what groups have ``kept`` from step to step."""
    theirs = saved["param_groups"]
    number = {name: n for group in theirs for name, n in zip(group["param_names"], group["params"], strict=True)}
    # The steps that this optimizer has counted are none of the checkpoint's.
    own = [{key: value for key, value in group.items() if key not in ("params", COUNT)} for group in groups]
    for group in own:
        for key in kept:
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


def with_counts(saved: Saved, rule: type[Rule]) -> Saved:
    """The checkpoint with a step count in every state; some libraries keep one for the whole group.

    Raises KeyError, as torch does, where there is none and the rule needs it: a step counted from 0 with averages that
    are old would be a large one. torch.optim.SGD counts none; where it left a buffer, the first step is past.
    """
    averages = {state.key for state in parts(rule, State).values()}
    counted = counts_steps(rule, tuple(usual_switches(rule).items())) and inner(rule).__name__ != "SGD"
    state, groups = dict(saved["state"]), []
    for group in saved["param_groups"]:
        uncounted = [n for n in group["params"] if "step" not in state.get(n, {})]
        bare = [n for n in uncounted if averages & {*state.get(n, ())}]
        if "step" in group:
            count = torch.tensor(float(group["step"]))
            state.update({n: {**state.get(n, {}), "step": count.clone()} for n in uncounted})
            group = {key: value for key, value in group.items() if key != "step"}
        elif bare and counted:
            raise KeyError(
                f"step: the checkpoint has {_some(sorted(averages & {*state[bare[0]]}))} of a parameter, but not how "
                "many steps it has taken, neither in its state nor in its group"
            )
        groups.append(group)
    return {**saved, "state": state, "param_groups": groups}


def refuse(saved: Saved, groups: Sequence[Mapping[str, Any]], rule: type[Rule]) -> None:
    """Raise ValueError for the states of another optimizer, or of parameters of another shape.

    A state that is missing alone is created when it is needed, as when momentum is switched on; one that is there
    alone does no harm. Both together mean that the averages are there, under names that nobody reads.
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
    known = {state.key for state in parts(rule, State).values()} | {"step"}
    known |= {name for name, scalar in parts(rule, Scalar).items() if scalar.scope == "tensor"}
    for theirs, own in zip(saved["param_groups"], groups, strict=False):
        said = {**surface.defaults(rule), **own, **theirs}
        values = {**surface.numbers(rule, said), **surface.switches(rule, said)}
        needed = {state.key: state for state in live_states(rule, values).values()}
        for number, param in zip(theirs["params"], own["params"], strict=False):
            kept = saved["state"].get(number, {})
            kept = {key: value for key, value in kept.items() if isinstance(value, torch.Tensor)}
            strange = sorted(key for key in kept.keys() - known if not readouts.is_windows(key))
            missing = sorted(needed.keys() - kept.keys())
            if strange and missing:
                raise ValueError(
                    f"the checkpoint is of another optimizer: its states are {_some(strange)}, and {_some(missing)} "
                    f"of {rule.__name__.removeprefix('Readouts').removeprefix('WeightAverage')} is not among them"
                )
            for key in needed.keys() & kept.keys():
                if kept[key].shape != shape_of(rule, values, param, needed[key]):
                    raise ValueError(
                        f"the checkpoint's state {key!r} has the shape {tuple(kept[key].shape)}, its parameter "
                        f"{tuple(param.shape)}: was it made for another model?"
                    )


def restored(
    saved: Saved, groups: Sequence[Mapping[str, Any]], rule: type[Rule]
) -> list[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """Each parameter with the tensors saved for it, as copies, and as precise as checkpoint, parameter and rule want.

    torch casts every state to its parameter's type, which for float32 averages of bfloat16 weights is a loss, and
    keeps the checkpoint's own tensors, so that training would go on inside the checkpoint. Neither does what was saved
    in half precision stay so beside float32 weights: an average of squares there would hardly move.
    """
    least = {state.key: state.dtype for state in parts(rule, State).values()}

    def loaded(key: str, value: torch.Tensor, param: torch.Tensor) -> torch.Tensor:
        if key not in least:  # numbers, and what another optimizer keeps
            return value.detach().to(param.device if value.dim() else "cpu", copy=True)
        dtype = torch.promote_types(value.dtype, param.dtype) if value.is_floating_point() else value.dtype
        if wanted := least[key]:
            dtype = torch.promote_types(dtype, getattr(torch, wanted))
        return value.detach().to(param.device, dtype, copy=True)

    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    params = [param for group in groups for param in group["params"]]
    return [
        (
            param,
            {
                key: loaded(key, value, param)
                for key, value in saved["state"].get(number, {}).items()
                if isinstance(value, torch.Tensor)
            },
        )
        for number, param in zip(numbers, params, strict=True)
    ]


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
