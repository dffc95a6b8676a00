"""How a trial's optimizers keep the averages that are to be tested, and how these are put in place."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from thalweg import optim
from thalweg.optim.readouts import Averaged, Window, kept_by
from thalweg.study.model.errors import StudyError
from thalweg.study.model.readouts import NONE, Readout, readout_of

from .stepped import parts, testing

# Later than any training's steps: of a start that is not known before the first of them. With its number among the
# others, so that averages that start apart are two.
_UNKNOWN = 2**40


def options(readouts: Sequence[str]) -> dict[str, Any]:
    """What an optimizer is made with to keep them, by name; nothing for the weights that are trained."""
    asked = _asked(readouts)
    later = sorted({each.start for each in asked.values() if each.start})

    def kept(each: Readout) -> Averaged | Window:
        if each.kind == "window":
            return Window(each.count, each.every)
        return Averaged(each.horizon, each.blend, _UNKNOWN + later.index(each.start) if each.start else 0)

    return {"readouts": {text: kept(each) for text, each in asked.items()}} if asked else {}


def _asked(readouts: Sequence[str]) -> dict[str, Readout]:
    return {text: found for text in readouts if (found := readout_of(text))}


class Kept:
    """The averages of one optimizer, which begin after steps of the training.

    ``taken``  how many steps it has begun.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, readouts: Sequence[str]) -> None:
        self._parts = [part for part in parts(optimizer) if isinstance(part, optim.Optimizer)]
        self._later = {text: each for text, each in _asked(readouts).items() if each.start}
        self.taken = 0

    def before_step(self, planned: int | None) -> None:
        """Give averages their start, in groups where they have none yet; ``planned``: the steps of the training.

        Raises `StudyError` where a start is a share of all steps, and a script has not said how many there are.
        """
        for part in self._parts if self._later else ():
            for group in part.param_groups:
                if max(group["average_starts"]) >= _UNKNOWN:
                    self._begin(part, group, planned)
        self.taken += 1

    def _begin(self, part: optim.Optimizer, group: dict[str, Any], planned: int | None) -> None:
        share = next((text for text, each in self._later.items() if each.start < 1), None)
        if share and planned is None:
            raise StudyError(
                f"readout={share} starts after a share of all steps, and the script does not say how many there are: "
                "write trial.epochs(n, steps=len(loader)), or the steps that an epoch takes"
            )
        # A group counts its own steps, and may have come later than others.
        missed = _steps(part, part.param_groups) - _steps(part, [group])
        starts = [*group["average_starts"]]
        for name, kind, slot, _ in group["readouts"]:
            if kind == "averaged" and starts[slot] >= _UNKNOWN:
                starts[slot] = float(max(self._later[name].starts_at(planned or 0) - missed, 0))
        group["average_starts"] = tuple(starts)


def _steps(optimizer: optim.Optimizer, groups: Iterable[dict[str, Any]]) -> int:
    """The most that a parameter of these groups has taken."""
    stepped = [param for group in groups for param in group["params"] if optimizer.state.has(param)]
    return max((int(optimizer.state.own(param)["step"]) for param in stepped), default=0)


def never_begun(readouts: Sequence[str], planned: int | None, taken: Iterable[int]) -> str:
    """What is wrong where an average is of no weights yet when a training has ended; "" if nothing.

    ``planned`` are its steps, ``taken`` those of each optimizer.
    """
    least = min(filter(None, taken), default=0)  # one that was never stepped has nothing to average
    for text, each in _asked(readouts).items() if least else ():
        if each.kind == "window" and each.every > least:
            return (
                f"readout={text} keeps its first weights after step {each.every}, and the optimizer took {least}: "
                "write a smaller every="
            )
        if each.kind == "averaged" and (start := each.starts_at(planned or 0)) >= least:
            if each.start < 1:
                return (
                    f"readout={text} was to start after step {start} of {planned}, and the optimizer took {least}: let "
                    "trial.epochs(n, steps=...) have the optimizer's own steps of an epoch"
                )
            return (
                f"readout={text} was to start after step {start}, and the optimizer took {least}: write an earlier "
                "start, or a share of all steps, start=0.8"
            )
    return ""


@contextmanager
def in_place(
    optimizer: torch.optim.Optimizer, readouts: Mapping[int, str], model: Any = None, batches: Any = None
) -> Iterator[None]:
    """Within, the parameters of each group hold its readout, by the group's `id`; without one as within `testing`."""
    with ExitStack() as inside:
        for part in parts(optimizer):
            names = [readouts.get(id(group), NONE) for group in part.param_groups]
            if isinstance(part, optim.Optimizer) and {*names} != {NONE}:
                chosen = [None if name == NONE else name for name in names]
                inside.enter_context(part.readout(chosen, model, batches))
            else:
                inside.enter_context(testing(part))
        yield


def state_bytes(optimizer: torch.optim.Optimizer, readout: str) -> int:
    """Of all tensors that it keeps, each once, but for what it keeps for other readouts alone."""
    groups = {id(param): group for group in optimizer.param_groups for param in group["params"]}
    tensors = {
        id(value): value
        for param, state in optimizer.state.items()
        if isinstance(state, dict)
        for key, value in state.items()
        if isinstance(value, torch.Tensor) and kept_by(readout, groups.get(id(param), {}), str(key))
    }
    return sum(t.numel() * t.element_size() for t in tensors.values())


class Chance:
    """The generators that a whole process shares, as they stand now."""

    def __init__(self) -> None:
        self._python, self._numpy, self._torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
        self._cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]

    def put_back(self) -> None:
        """Have them stand so again."""
        random.setstate(self._python)
        np.random.set_state(self._numpy)
        torch.set_rng_state(self._torch)
        if self._cuda:
            torch.cuda.set_rng_state_all(self._cuda)
