"""Steps that a CUDA graph records: what they need is there before, and stays as it is while they may be replayed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch

from . import gpus
from .kernel_launch import KernelLaunch
from .launch import Launch
from .sequence import Steps
from .settings import How
from .settled import Settled

NOT_LIKE = (
    "a CUDA graph cannot record this step, since none like it has been taken so far: take two or three outside of the "
    "recording first, with the same parameters, options and gradients present (torch's notes on CUDA graphs call it a "
    "warm-up)"
)
_STALE = (
    "a CUDA graph has been replayed that updates what this optimizer no longer has: since it was recorded, states were "
    "replaced (load_state_dict) or parameters joined (add_param_group, a first gradient). Record it anew"
)


def under_way(groups: Iterable[Mapping[str, Any]]) -> bool:
    """Whether what is given to the GPU of these groups' parameters is recorded."""
    places = dict.fromkeys(p.device for group in groups for p in group["params"])
    if any(device is not None and device.recording for device in map(gpus.device_of, places)):
        return True
    return any(place.type == "cuda" for place in places) and captured()


def captured() -> bool:
    """Whether torch's operations are recorded, on a GPU without kernels of ours."""
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def refuse(how: How, watched: bool) -> None:
    """Raise RuntimeError for options with which no step can be recorded."""
    if not how.capturable:
        raise RuntimeError(
            "a CUDA graph records only steps of an optimizer that is made with capturable=True: then all that a step "
            "needs is on the GPU"
        )
    if watched:
        raise RuntimeError("a CUDA graph cannot record a step that watch() measures: record first, then call watch()")


def refusal(why: str) -> RuntimeError:
    """``why``  a reason of `ahead.waits`."""
    return RuntimeError(
        f"a CUDA graph cannot record this step, which would wait for the GPU: {why}. What changes from step to step is "
        "given as a tensor there, such as lr=torch.tensor(1e-3, device='cuda')"
    )


class Recorded:
    """The steps that have been recorded, with all that they use: a graph may be replayed at any time."""

    def __init__(self) -> None:
        self._steps: list[Steps] = []
        self.launches: list[KernelLaunch] = []

    def __bool__(self) -> bool:
        return bool(self._steps)

    def keep(self, steps: Steps, launches: Sequence[Launch]) -> None:
        """Take note that a step has been recorded."""
        self._steps.append(steps)
        for x in launches:
            if isinstance(x, KernelLaunch) and x not in self.launches:
                x.settled.replayed = True
                self.launches.append(x)

    def hand_on(self, launches: Sequence[Launch]) -> None:
        """Launches that update the same as recorded ones count with them."""
        for x in launches:
            for before in self.launches:
                if isinstance(x, KernelLaunch) and x.updates_the_same(before):
                    x.settled = before.settled

    def agree(self, launches: Sequence[Launch]) -> None:
        """Steps that the host has counted are counted on the device too, where recorded ones go on from there."""
        for x in launches if self else ():
            if isinstance(x, KernelLaunch) and x.rewritten:
                x.leave_counting()

    def check(self, launches: Sequence[Launch]) -> None:
        """Raise RuntimeError, once, for a graph that has updated what belongs to none of these any more; waits."""
        here = {id(x.settled) for x in launches if isinstance(x, KernelLaunch) and x.device is not None}
        if [settled for settled in self._settled() if id(settled) not in here and settled.went_on()]:
            raise RuntimeError(_STALE)

    def _settled(self) -> Iterator[Settled]:
        return iter({id(x.settled): x.settled for x in self.launches}.values())
