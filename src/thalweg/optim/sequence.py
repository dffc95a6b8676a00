"""How a step is taken: its passes in their order, as parts that run one after the other.

Where all parts are machine code and the step is short, they run in one call (`Memory.run`), which looks first whether
all is where it was. Otherwise the gradients are looked at, and held, and the parts run one by one. It is one list:

    AdamW               update, advance
    Muon                enter, products, update, advance
    clipped by norm     norm, join (the clip's scale), update, advance
    LAMB, guarded       norm, guard, total (of its layer), join, join, update, advance
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from thalweg.formula import Sum, between
from thalweg.formula.between import Part
from thalweg.formula.kernel import available
from thalweg.formula.rule import parts

from . import joining
from .ahead import Ahead, waits
from .device_step import device_parts
from .flat_launch import FlatLaunch
from .launch import Call, Launch, Runs, Totals, added
from .settings import How

# Up to this many weights a step is taken in one call that keeps the interpreter's lock, so that nothing can move while
# it runs: half a millisecond. Longer steps let other threads run, and hold the gradients meanwhile. Each pass counts.
LOCKED_UP_TO = 1_000_000

Bad = list[tuple[int, torch.Tensor, int]]
"""The parameters whose gradient holds nan or infinity: place among all, parameter, how many values."""


@dataclass(frozen=True, eq=False)
class Steps:
    """The parts of a step."""

    parts: tuple[Runs, ...]
    locked: tuple[Part, ...]
    """The same if all are machine code and short: then they may run while the interpreter's lock is held. Else none."""


class NotFinite(Exception):
    """Raised by a part that guards: nothing has been written."""

    def __init__(self, bad: Bad) -> None:
        self.bad = bad


def steps(launches: Sequence[Launch], how: How, measured: bool, ahead: Ahead) -> Steps:
    """A step's parts, for launches whose numbers are filled; ``measured``: norms are added up on the way.

    ``ahead``  how a device takes it that need not be waited for.
    """
    if waits(launches, how, ahead) is None:
        return Steps(tuple(device_parts(launches, how, measured, ahead)), ())
    made: list[Runs] = []
    passes = 1
    # A clip by value would hide an infinity, so what is guarded is the gradient before it.
    if how.guarded:
        made += [part for x in launches for part in x.norm(limited=False)]
        made.append(Call(lambda: _guard(launches)))
        passes += 1
    if how.clip_norm is not None:
        limited = [x.limited for x in launches]
        if not how.guarded or any(limited):
            made += [part for x, one in zip(launches, limited, strict=True) for part in x.norm(one)]
            passes += 1
        squares = [x.squares(one)[0] for x, one in zip(launches, limited, strict=True)]
        clip = np.array([how.clip_norm, how.clip_eps])
        made.append(_join(squares, launches, "clip_scale", clip, how.apart))
    if entered := [part for x in launches for part in x.enter()]:
        made += entered
        passes += 1
    for stage in range(max((len(x.stages) for x in launches), default=0)):
        staged = [x for x in launches if len(x.stages) > stage]
        made += [part for x in staged for part in x.total(stage)]
        passes += 1
        for rule in dict.fromkeys(x.rule for x in staged):
            own = [x for x in staged if x.rule is rule]
            for name in own[0].sums(stage):
                by_tensor = parts(rule, Sum)[name].scope == "tensor"
                made.append(_join([x.sums(stage)[name] for x in own], own, name, None, by_tensor))
    made += [part for x in launches for part in x.update(again=passes > 1, measured=measured)]
    made += [x.advance() for x in launches]
    short = passes * sum(x.weights for x in launches) <= LOCKED_UP_TO
    machine = tuple(part for part in made if isinstance(part, Part))
    return Steps(tuple(made), machine if short and len(machine) == len(made) else ())


def _join(
    totals: Sequence[Totals], launches: Sequence[Launch], name: str, clip: np.ndarray | None, by_tensor: bool
) -> Runs:
    if any(isinstance(x, FlatLaunch) for x in launches):
        return Call(lambda: joining.join_on_devices(totals, launches, name, clip, by_tensor))
    numbers = [x.numbers for x in launches]
    if available():
        return between.join(totals, numbers, name, clip, by_tensor)
    return Call(lambda: joining.join(totals, numbers, name, clip, by_tensor))


def _guard(launches: Sequence[Launch]) -> None:
    """Raise for a gradient with nan or infinity. A sum of squares that overflowed alone does not count."""
    squares = [x.squares(limited=False)[0] for x in launches]
    squares = [of.cpu().numpy() if isinstance(of, torch.Tensor) else of for of in squares]
    if math.isfinite(sum(float(of.sum()) for of in squares)):
        return
    bad: Bad = []
    for x, of in zip(launches, squares, strict=True):
        for i in np.flatnonzero(~np.isfinite(of)).tolist():
            param = x.members.params[i]
            assert param.grad is not None
            count = added(~torch.isfinite(param.grad))  # nan where nothing is computed (FakeTensorMode)
            if count > 0:
                bad.append((x.members.places[i], param, int(count)))
    if bad:
        raise NotFinite(bad)
