"""Steps that a CUDA graph records: what they need is there before, and stays as it is while they may be replayed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from . import gpus
from .kernel_launch import KernelLaunch
from .launch import Launch
from .sequence import Steps
from .settings import FIRST_LR, How
from .signals import Signals, on_device

NOT_LIKE = (
    "a CUDA graph cannot record this step, since it takes over what a step just like it has made, and there is none, "
    "or another recording has it: take two or three outside of the recording first, and one between two recordings, "
    "with the same parameters, options and gradients present (torch's notes on CUDA graphs call it a warm-up)"
)
_STALE = (
    "a CUDA graph has been replayed that updates what this optimizer no longer has: since it was recorded, states were "
    "replaced (load_state_dict does that). Its steps are not counted. Record it anew"
)


def under_way(groups: Iterable[Mapping[str, Any]]) -> bool:
    """Whether what is given to the GPU of these groups' parameters is recorded."""
    return any(asked() for asked in gpus.recorders(p for group in groups for p in group["params"]))


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


def refuse_to_ask(launches: Iterable[Launch]) -> None:
    """Raise RuntimeError if any of these counts on a device that records now, and so cannot be asked."""
    if any(x.behind and x.device is not None and x.device.recording for x in launches):
        raise RuntimeError(
            "the GPU has the step counts, and cannot be asked while it records a CUDA graph: look at state, "
            "state_dict() and skipped_steps before or afterwards"
        )


def refuse_to_read(given: Iterable[tuple[str, object]]) -> None:
    """Raise RuntimeError for a number, with what it is called, that the host would have to read on the GPU."""
    for name, value in given:
        if any(map(on_device, value if isinstance(value, tuple) else (value,))):
            raise RuntimeError(
                f"a CUDA graph cannot record this step, which would wait for the GPU: {name} is a tensor there, and of "
                "such a step reads learning rates, and a scaler's numbers that are both there. Give a number"
            )


def read_by_the_host(
    groups: Sequence[Mapping[str, Any]], keys: Sequence[Sequence[str]], found_inf: object, grad_scale: object,
    signals: Signals,
) -> Iterator[tuple[str, object]]:  # fmt: skip
    """What a step asks the host for, but for ``signals``; ``keys``: of each group, those that decide anything."""
    if not signals.scaled:
        yield from (("found_inf", found_inf), ("grad_scale", grad_scale))
    for i, (group, own) in enumerate(zip(groups, keys, strict=True)):
        stay = ("lr", *FIRST_LR) if i in signals.rates else ()
        yield from ((f"{key} of group {i}", group.get(key)) for key in own if key not in stay)


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
        """Launches that update the same as recorded ones count with them; those that update some of it share it."""
        mine = [x for x in launches if isinstance(x, KernelLaunch) and x.device is not None]
        known = [(before.updated, before.settled) for before in self.launches]
        same = {x: next((settled for of, settled in known if of == x.updated), None) for x in mine}
        for x, settled in same.items():
            x.settled = settled or x.settled
        # Where a step is left out each launch counts that: one of them where replays do.
        counting = {x.settled.left_out for x in mine if same[x]}
        for x in [x for x in mine if not same[x]]:
            left = {of: place for place, of in enumerate(x.updated)}
            for updated, settled in known:
                own = [(place, of) for place, of in enumerate(updated) if place not in settled.borrowed]
                if both := [(left.pop(of), place) for place, of in own if of in left]:
                    x.settled.share(settled, *map(list, zip(*both, strict=True)))
                    if settled.left_out not in counting:
                        x.settled.left_out = settled.left_out
                        counting.add(settled.left_out)

    def agree(self, launches: Sequence[Launch]) -> None:
        """Steps that the host has counted are counted on the device too, where recorded ones go on from there."""
        for x in launches if self else ():
            if isinstance(x, KernelLaunch) and x.rewritten:
                x.leave_counting()

    def check(self, launches: Sequence[Launch], report: bool) -> None:
        """Take note of what has been replayed; waits.

        Where it is to be reported, raises RuntimeError, once, for a graph that has updated what belongs to none of
        these any more.
        """
        mine = [x for x in launches if isinstance(x, KernelLaunch) and x.device is not None]
        asked, here = {x.settled for x in mine}, {of for x in mine for of in x.updated}
        others = {x.settled: here.issuperset(x.updated) for x in self.launches if x.settled not in asked}
        went_on = [settled.went_on() and not alive for settled, alive in others.items() if alive or report]
        if any(went_on):
            raise RuntimeError(_STALE)
