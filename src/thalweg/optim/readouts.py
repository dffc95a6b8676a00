"""Averages of the weights by name, to be read out at test: what is asked for, what groups and states keep of it.

In every parameter group stand, as plain tuples, so that checkpoints have them:

    readouts            ("long", "averaged", 0, 1.0)    its slot of the next two, and its blend
                        ("lawa", "window", 5, 100)      how many weights, and after how many steps each
    average_horizons    of the four slots of `thalweg.wrappers.readouts.Readouts`; 0: there is no such average
    average_starts      likewise
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import torch

from thalweg.closest import did_you_mean
from thalweg.formula import Rule, State, wrapped
from thalweg.formula.rule import parts, tests_other_weights
from thalweg.wrappers import readouts as formulas
from thalweg.wrappers.readouts import Readouts

from .launch import Launch
from .settings import Group
from .watched import WatchedState

_blended: Callable[..., torch.Tensor] = formulas.blended  # formulas have no types
KEYS = ("readouts", "average_horizons", "average_starts")
# The horizon of a plain mean: longer than any training, and a number that kernels can have.
ENDLESS = 1e18
# So many steps that they are never taken.
NEVER = 2**62
# The horizons and starts of the slots, while there is nothing in them.
FREE = [(0.0, 0.0)] * len(parts(Readouts, State))

Entry = tuple[str, str, int, float]
"""A readout as it stands in a group."""


@dataclass(frozen=True)
class Averaged:
    """An average of the weights; see `averaged`."""

    horizon: float | None
    blend: float
    start: int

    @property
    def slot(self) -> tuple[float, float]:
        """The horizon and start of the average that it is read from."""
        return (ENDLESS if self.horizon is None else float(self.horizon), float(self.start))


@dataclass(frozen=True)
class Window:
    """The mean of some weights along the way; see `window`."""

    count: int
    every: int


def averaged(horizon: float | None = None, *, blend: float = 1.0, start: int = 0) -> Averaged:
    """An average of the weights, to be read out at test: ``AdamW(..., readouts={"tail": averaged(start=8000)})``.

    ``horizon``  in steps: exponential, with the decay 1 - 1 / horizon, and the plain mean of what there is while that
                 is shorter. None: always the plain mean.
    ``blend``    how far from the weights to the average, above 0 and at most 1.
    ``start``    the step after which it begins; until then it is the weights.

    Raises TypeError for what is no number, ValueError for one that is outside its range.
    """
    if horizon is not None and not 1 <= _number("averaged", "horizon", horizon) < inf:
        raise ValueError(f"thalweg.averaged: horizon is a number of steps, at least 1, or None; got {horizon!r}")
    if not 0 < _number("averaged", "blend", blend) <= 1:
        raise ValueError(f"thalweg.averaged: blend is above 0, the weights, and at most 1, the average; got {blend!r}")
    return Averaged(horizon, float(blend), _count("averaged", "start", start, 0))


def window(count: int, *, every: int) -> Window:
    """The mean of the last ``count`` weights of those after every so many steps: latest weight averaging, LAWA.

    Source:  Kaddour 2022, arXiv:2209.14981, where one is kept after each epoch.

    While there are fewer it is the mean of these, and before the first it is the weights. Each is kept as it was: so
    many copies of the weights, made only in the steps after which one is kept. Raises as `averaged`.
    """
    return Window(_count("window", "count", count, 1), _count("window", "every", every, 1))


def _number(function: str, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"thalweg.{function}: {name} must be a number, got {value!r}")
    return float(value)


def _count(function: str, name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"thalweg.{function}: {name} must be a whole number, at least {least}, got {value!r}")
    if value < least:
        raise ValueError(f"thalweg.{function}: {name} must be at least {least}, got {value!r}")
    return int(value)


def entries(name: str, rule: type[Rule], asked: object) -> dict[str, Any]:
    """What is to stand in the groups of an optimizer that is called ``name``, by `KEYS`.

    Raises TypeError for what are no readouts, ValueError for more averages than there are slots for, and for a rule
    that tests other weights of its own.
    """
    if not isinstance(asked, Mapping) or not all(isinstance(key, str) and key for key in asked):
        raise TypeError(
            f'{name}: readouts are averages by name, {{"tail": thalweg.averaged(start=8000)}}; got {asked!r}'
        )
    for key, each in asked.items():
        if not isinstance(each, Averaged | Window):
            raise TypeError(
                f"{name}: the readout {key!r} is thalweg.averaged(...) or thalweg.window(...); got {each!r}"
            )
    if asked and tests_other_weights(rule):
        raise ValueError(
            f"{name} tests other weights of its own than those it trains, which an average of the latter would hide: "
            "leave readouts out, and use optimizer.averaged()"
        )
    return _joined(name, (), FREE, [_unlaid_entry(key, each) for key, each in asked.items()]) if asked else {}


# A readout with its average's horizon and start in the place of the slot that is not chosen yet.
_Unlaid = tuple[str, str, Any, float]


def _unlaid_entry(key: str, asked: Averaged | Window) -> _Unlaid:
    if isinstance(asked, Window):
        return (key, "window", asked.count, asked.every)
    return (key, "averaged", asked.slot, asked.blend)


def _unlaid(group: Mapping[str, Any]) -> list[_Unlaid]:
    slots = _slots(group)
    return [
        (key, kind, slots[what] if kind == "averaged" else what, number)
        for key, kind, what, number in group.get("readouts") or ()
    ]


def _slots(group: Mapping[str, Any]) -> list[tuple[float, float]]:
    return list(zip(group["average_horizons"], group["average_starts"], strict=True)) if "readouts" in group else FREE


def _joined(
    name: str, laid: Sequence[Entry], slots: Sequence[tuple[float, float]], more: Sequence[_Unlaid]
) -> dict[str, Any]:
    """Readouts that have their slots, and more: averages of the same horizon and start are one, blended otherwise."""
    taken, found = list(slots), list(laid)
    for key, kind, what, number in more:
        if kind == "averaged" and what not in taken:
            if FREE[0] not in taken:
                raise ValueError(
                    f"{name} keeps at most {len(FREE)} averages of different horizons and starts beside the weights: "
                    f"leave {key!r} out, or another readout"
                )
            taken[taken.index(FREE[0])] = what
        found.append((key, kind, taken.index(what) if kind == "averaged" else what, number))
    return dict(zip(KEYS, (tuple(found), *zip(*taken, strict=True)), strict=True))


def around(rule: type[Rule], groups: Iterable[Mapping[str, Any]]) -> type[Rule]:
    """The rule with the averages around it, where a group has readouts and the rule does not keep them already."""
    asked = any(group.get("readouts") for group in groups)
    return wrapped(rule, Readouts) if asked and Readouts not in rule.wrappers else rule


def have_windows(groups: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a group has a window among its readouts."""
    return any(kind == "window" for group in groups for _, kind, *_ in group.get("readouts") or ())


def names(groups: Sequence[Group]) -> list[str]:
    """What there is to be read out, by name."""
    return list(dict.fromkeys(key for group in groups for key, *_ in group.get("readouts") or ()))


def described(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every readout in words: ``'tail' is average2``."""
    return list(dict.fromkeys(_described(*entry) for group in groups for entry in group.get("readouts") or ()))


def _described(name: str, kind: str, what: int, number: float) -> str:
    if kind == "window":
        return f"{name!r} is the mean of {what} weights, one kept after every {number:g} steps"
    return f"{name!r} is average{what + 1}" if number == 1 else f"{name!r} is w + {number:g} * (average{what + 1} - w)"


def check_name(called: str, name: object, groups: Sequence[Group]) -> None:
    """Raise for a name that no readout has of an optimizer that is called so: RuntimeError where there is none."""
    known = names(groups)
    if not known:
        raise RuntimeError(f"there is nothing to read out: make the optimizer with {called}(..., readouts={{...}})")
    if name not in known:
        raise ValueError(
            f"there is no readout {name!r}{did_you_mean(str(name), known, otherwise='.')} There are "
            f"{', '.join(map(repr, known))}"
        )


@torch.no_grad()
def to_test(
    groups: Sequence[Group], chosen: Sequence[str | None], states: WatchedState
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each parameter with what is read out of it, where that is not the parameter itself: ``chosen`` by group."""
    found = []
    for group, name in zip(groups, chosen, strict=True):
        entry = next((each for each in group.get("readouts") or () if each[0] == name), None)
        for param in group["params"] if entry else ():
            state = states.own(param) if states.has(param) else {}
            if entry and (weights := _read(entry, param.detach(), state)) is not None:
                found.append((param, weights))
    return found


def _read(entry: Entry, own: torch.Tensor, state: Mapping[str, Any]) -> torch.Tensor | None:
    name, kind, what, number = entry
    if kind == "averaged":
        average = state.get(f"average{what + 1}")
        return None if average is None else _blended(own, average, number)
    there = [state[key] for key in map(_key, (name,) * what, range(what)) if key in state]
    wide = torch.promote_types(own.dtype, torch.float32)
    return torch.stack([each.to(wide) for each in there]).mean(0) if there else None


def _key(name: str, place: int) -> str:
    """Under which key a parameter's state has one of a window's weights."""
    return f"window {name} {place}"


def is_windows(key: str) -> bool:
    """Whether a state's key is that of a window's weights."""
    return key.startswith("window ")


def kept_by(name: str | None, group: Mapping[str, Any], key: str) -> bool:
    """Whether an optimizer of this one readout, or without any, would keep a state of this key too."""
    entry = next((each for each in group.get("readouts") or () if each[0] == name), None)
    if is_windows(key):
        return entry is not None and entry[1] == "window" and key in map(_key, (entry[0],) * entry[2], range(entry[2]))
    averages = [f"average{slot + 1}" for slot in range(len(FREE))]
    return key not in averages or (entry is not None and entry[1] == "averaged" and key == averages[entry[2]])


class Windows:
    """Copies the weights that windows keep, after the steps they are kept of."""

    def __init__(self) -> None:
        self._left = 0  # so many steps before another is due

    def follow(
        self, groups: Sequence[Group], launches: Sequence[Launch], looked_at: bool, settle: Callable[[], object]
    ) -> None:
        """A step has been taken, and counted. ``looked_at``: somebody may have written to the counts meanwhile.

        ``settle``  puts right what only a device has counted.
        """
        self._left -= 1
        if self._left <= 0 or looked_at:
            settle()
            self._left = min((_copied(x, groups) for x in launches), default=NEVER)


@torch.no_grad()
def _copied(launch: Launch, groups: Sequence[Group]) -> int:
    """Copy what is due in a launch, and say how many steps later something can be due again."""
    members, present, left = launch.members, launch.counts.present, NEVER
    steps = launch.counts.steps.astype(np.int64)
    for place, i in enumerate(members.groups):
        own = members.group_of == place
        for name, kind, count, every in groups[i].get("readouts") or ():
            if kind != "window":
                continue
            since = steps % every
            left = min(left, every - int(since[own].max()))
            for k in np.flatnonzero(own & (since == 0) & (True if present is None else present)).tolist():
                _keep(members.states[k], _key(name, int(steps[k]) // every % count), members.params[k])
    return left


def _keep(state: dict[str, Any], key: str, param: torch.Tensor) -> None:
    kept = state.get(key)
    if kept is not None and kept.shape == param.shape and kept.dtype == param.dtype and kept.device == param.device:
        kept.copy_(param)
    else:
        state[key] = param.detach().clone(memory_format=torch.preserve_format)


def loaded(saved: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], called: str) -> dict[str, Any]:
    """A checkpoint with the readouts that the optimizer has besides the checkpoint's own, which come first.

    An average that the checkpoint does not have begins with the weights that come with it.
    """
    joined = []
    for theirs, own in zip(saved["param_groups"], groups, strict=False):
        known = {key for key, *_ in theirs.get("readouts") or ()}
        more = [each for each in _unlaid(own) if each[0] not in known]
        both = _joined(called, theirs.get("readouts") or (), _slots(theirs), more) if known or more else {}
        joined.append({**theirs, **_begun(both, theirs, saved["state"])})
    return {**saved, "param_groups": [*joined, *saved["param_groups"][len(joined) :]]}


def _begun(entries: dict[str, Any], group: Mapping[str, Any], states: Mapping[int, Any]) -> dict[str, Any]:
    """The entries of a group whose averages, where none is saved, start at the steps that have been taken."""
    if not entries:
        return {}
    there = [states[number] for number in group["params"] if states.get(number)]
    taken = max((float(state["step"]) for state in there if "step" in state), default=0.0)
    starts = [
        start if not there or any(f"average{slot + 1}" in state for state in there) else max(start, taken)
        for slot, start in enumerate(entries["average_starts"])
    ]
    lives = zip(entries["average_horizons"], entries["average_starts"], starts, strict=True)
    return {**entries, "average_starts": tuple(later if horizon else start for horizon, start, later in lives)}
