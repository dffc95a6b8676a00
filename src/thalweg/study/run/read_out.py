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

# Later than any training's steps: of a start that is not known before the first of them.
_UNKNOWN = 2**40


def options(readouts: Sequence[str]) -> dict[str, Any]:
    """What an optimizer is made with to keep them, by name; nothing for the weights that are trained."""
    asked = {text: found for text in readouts if (found := readout_of(text))}
    shares = sorted({each.start for each in asked.values() if 0 < each.start < 1})

    def kept(each: Readout) -> Averaged | Window:
        if each.kind == "window":
            return Window(each.count, each.every)
        start = _UNKNOWN + shares.index(each.start) if each.start in shares else int(each.start)
        return Averaged(each.horizon, each.blend, start)

    return {"readouts": {text: kept(each) for text, each in asked.items()}} if asked else {}


def begin(groups: Iterable[dict[str, Any]], readouts: Sequence[str], steps: int | None) -> None:
    """Give averages that start after a share of all steps their start, before the first; ``steps``: of the training.

    Raises `StudyError` where a script has not said how many there are.
    """
    shares = {text: found for text in readouts if (found := readout_of(text)) and 0 < found.start < 1}
    if shares and steps is None:
        raise StudyError(
            f"readout={next(iter(shares))} starts after a share of all steps, and the script does not say how many "
            "there are: write trial.epochs(n, steps=len(loader)), or the steps that an epoch takes"
        )
    for group in groups if shares else ():
        starts = [*group["average_starts"]]
        for name, kind, slot, _ in group["readouts"]:
            if kind == "averaged" and name in shares:
                starts[slot] = float(shares[name].starts_at(steps or 0))
        group["average_starts"] = tuple(starts)


def never_begun(readouts: Sequence[str], planned: int | None, taken: int) -> str:
    """What is wrong where a share of the steps that were planned is more than were taken; "" if nothing."""
    for text in readouts:
        found = readout_of(text)
        start = found.starts_at(planned) if found and planned is not None and 0 < found.start < 1 else -1
        if start >= taken:
            return (
                f"readout={text} was to start after step {start} of {planned}, and the optimizer took {taken}: let "
                "trial.epochs(n, steps=...) have the optimizer's own steps of an epoch"
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
