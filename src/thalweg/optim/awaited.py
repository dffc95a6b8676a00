"""Which steps wait for a GPU to be done, in words, before any is taken."""

from collections.abc import Sequence
from dataclasses import dataclass

from thalweg.formula import Rule
from thalweg.formula.compose import summing

from .ahead import Ahead, keeps, waits
from .devices import Device
from .settings import How
from .signals import Signals


@dataclass(frozen=True, eq=False)
class Expected:
    """A launch as it would be planned."""

    rule: type[Rule]
    device: Device | None

    @property
    def stages(self) -> Sequence[int]:
        """As `Launch.stages`."""
        return summing(self.rule)


def awaited(launches: Sequence[Expected], how: How, counted: bool) -> list[str]:
    """A sentence for each kind of step that waits, and why; one if none does.

    ``counted``  see `Ahead`.
    """

    def why(**step: bool) -> str | None:
        return waits(launches, how, Ahead(Signals(), counted=counted, kept=keeps(launches), **step))

    # Where passes are taken one by one, the host waits for what they add up, and for nothing else.
    adds = how.guarded or how.clip_norm is not None or any(x.stages for x in launches)
    always = why()
    graphs = [] if not how.capturable else [_recordable(why(recorded=True))]
    if always and adds:
        return [f"every step waits for it, since {always}", *graphs]
    found = []
    signalled = {"a GradScaler": why(scaled=True), "a learning rate": why(rated=True)}
    for reason in dict.fromkeys(each for each in signalled.values() if each):
        who = " or ".join(name for name, each in signalled.items() if each == reason)
        found.append(f"where {who} is on it every step waits for it, since {reason}")
    some = {"that make states": why(fresh=not how.capturable), "for which gradients are absent": why(uneven=True)}
    but = " and those ".join(which for which, waiting in some.items() if waiting)
    return [*(found or ["no step waits for it" + (f", but those {but}" if but else "")]), *graphs]


def _recordable(waits: str | None) -> str:
    """``waits``  why a step does."""
    if waits:
        return f"a CUDA graph cannot record a step, since {waits}"
    return "a CUDA graph may record a step (capturable), after a few outside of it"
