"""A step, from what the groups say to what is counted; the plan it needs is kept from step to step."""

from collections.abc import Callable, Sequence
from functools import partial

from torch.autograd.graph import increment_version

from thalweg.formula import Rule

from . import plan as planning
from . import recording
from .ahead import Ahead
from .common import uneven
from .driver import PLAN
from .launch import Launch
from .plan import Plan
from .recording import Recorded
from .sequence import Bad, NotFinite
from .settings import Group, GroupNumbers, How, RuleOf, Settings, Switches, by_rate
from .signals import Signals, signals
from .telemetry import Telemetry
from .watched import WatchedState

_PLAIN = Ahead(Signals())
"""Of a step on the processor."""


class MustKnow(Exception):
    """Raised before anything is done: the step has to know what is on a device, so it is to be asked there."""


class Stepper:
    """Takes an optimizer's steps."""

    def __init__(self, recorded: Recorded | None = None) -> None:
        """``recorded``  steps that others have recorded, of the same optimizer."""
        self.settings = Settings()
        self.plan: Plan | None = None
        self.recorded = recorded or Recorded()
        self._recording = False
        self.left_out = 0
        """Steps that a device has left out, as far as it has been asked."""
        self._counting: Sequence[Launch] = ()
        """What the last plan has a device count, also when that is dropped: graphs may be replayed before the next."""
        self._last = Ahead(Signals())

    def begin(
        self, groups: Sequence[Group], how: How, telemetry: Telemetry | None, counted: bool, found_inf: object,
        grad_scale: object,
    ) -> Signals | None:  # fmt: skip
        """Begin a step that a GPU may take: what of a scaler's numbers and learning rates stays there; None: nothing.

        ``counted``: see `Ahead`. Raises RuntimeError for a step that cannot be recorded.
        """
        plan = self.plan
        self._recording = recording.under_way(groups) if plan is None else plan.recording
        if self._recording:
            recording.refuse(how, telemetry is not None)
        if plan is None:
            if self._recording:
                raise RuntimeError(recording.NOT_LIKE)
            return None
        given = signals(found_inf, grad_scale, groups) if plan.devices else None
        if given is None and not self._recording:
            return None
        fresh = bool(plan.created) and not how.capturable
        kinds = (given is not None and given.scaled, given is not None and bool(given.rates))
        ahead = Ahead(
            Signals(), *kinds, counted, telemetry is not None, fresh=fresh, kept=plan.keeps, recorded=self._recording
        )
        why = plan.waits(how, ahead)
        if not self._recording:
            return None if why else given
        if why and plan.launches:
            raise recording.refusal(why)
        keys = [self.settings.asked(rule) for rule in plan.rules]
        recording.refuse_to_read(recording.read_by_the_host(groups, keys, found_inf, grad_scale, given or Signals()))
        return given

    def take(
        self, rule_of: RuleOf, groups: Sequence[Group], states: WatchedState, how: How, scale: float,
        telemetry: Telemetry | None, signals: Signals | None = None, counted: bool = False,
    ) -> Bad:  # fmt: skip
        """Take a step; ``scale`` is what the loss was multiplied by. The gradients that stopped it, empty if none did.

        ``signals``: a scaler's in place of that, and groups' learning rates as they are, where `begin` says so;
        ``counted``: see `Ahead`.
        Then nothing has been written, and states that were created for this step are dropped.
        """
        rates = () if signals is None else signals.rates
        numbers, switches = self.settings.read(rule_of, groups, scale, how.clear, rates)
        plan = self.plan
        rules = self.settings.rules
        if plan is None or plan.rules is not rules or not plan.fits(groups, switches, states):
            plan = self._planned(rules, groups, states, switches)
        if states.exposed:
            plan.memory.keep()
        measured = telemetry is not None and telemetry.due
        if not plan.devices and signals is None:  # nothing more is asked
            ahead = _PLAIN
        else:
            ahead = self._ahead(groups, numbers, how, signals, counted, telemetry, plan)
        try:
            if not self._at_once(plan, numbers, how, measured, ahead):
                again = partial(self._ahead, groups, numbers, how, signals, counted, telemetry)
                plan = self.plan = self._held(plan, groups, numbers, how, measured, ahead, again)
        except NotFinite as stopped:
            self._undo(states)
            return stopped.bad
        if self._recording:  # nothing has been done so far
            return []
        for x in plan.launches:
            x.counts.advanced()
        if telemetry is not None:
            telemetry.taken(plan.launches, how, measured)
        for x in plan.launches:
            x.taken(groups)
        if plan.devices:
            self.recorded.agree(plan.launches)
        plan.created.clear()
        return []

    def settle(self, report: bool = True) -> None:
        """Put right what only the device knows of the steps so far, and wait for that; see `left_out`.

        Raises RuntimeError while a graph is recorded, and, where these are to be reported, see `Recorded.check`.
        """
        recording.refuse_to_ask((*self._counting, *self.recorded.launches))
        self.left_out += max((x.settle() for x in self._counting), default=0)
        if self.recorded:
            self.recorded.check(self._counting, report)

    def _planned(
        self, rules: Sequence[type[Rule]], groups: Sequence[Group], states: WatchedState,
        switches: tuple[Switches, ...],
    ) -> Plan:  # fmt: skip
        """A plan made anew, for what there is now; raises `MustKnow` if groups were given other scalars on the way."""
        if self._recording:
            raise RuntimeError(recording.NOT_LIKE)
        before = self._counting
        for x in before:
            x.moved = False  # the numbers have just been read
        self.settle()
        plan = self.plan = planning.make(rules, groups, states, switches)
        self._counting = plan.launches if plan.devices else ()
        for x in self._counting:
            x.owners = groups
        if self.recorded:
            self.recorded.hand_on(plan.launches)
            self.settle()  # they may have been replayed since states were looked at last
        if any(x.moved for x in (*before, *self._counting)):
            raise MustKnow
        return plan

    def _ahead(
        self, groups: Sequence[Group], numbers: Sequence[GroupNumbers], how: How, signals: Signals | None,
        counted: bool, telemetry: Telemetry | None, plan: Plan,
    ) -> Ahead:  # fmt: skip
        """How a device takes the step that need not be waited for; raises `MustKnow` if it has to be, and may not."""
        if not plan.devices:
            if signals is not None:
                raise MustKnow
            return _PLAIN
        for x in plan.launches:
            x.owners, x.moved = groups, False  # the numbers have just been read
        if any(x.behind and x.rewritten for x in plan.launches) and not self._recording:
            self.settle()
        behind = how.capturable or any(x.behind for x in plan.launches)
        # With capturable=True the states of a first step that is left out stay.
        fresh = bool(plan.created) and not how.capturable
        given, now = signals or Signals(), self._last.signals
        kinds = given.scaled, bool(given.rates), counted, telemetry is not None
        found = Ahead(now, *kinds, behind, fresh, plan.keeps, uneven(plan.launches, numbers))
        if found.key != self._last.key:
            self._last = found
        if (signals is not None or behind) and (why := plan.waits(how, self._last)):
            if self._recording:
                raise recording.refusal(why)
            if signals is not None:
                raise MustKnow
            self.settle()
            if any(x.moved for x in plan.launches):
                raise MustKnow
        # A scaler's are where the loss is.
        where = plan.launches[0].members.params[0].device if plan.launches else None
        now.found, now.scale = (x if x is None else x.to(where, non_blocking=True) for x in (given.found, given.scale))
        now.rates = {
            i: by_rate(plan.rules[i], groups[i], rate["lr"].detach().double(), numbers[i])
            for i, rate in given.rates.items()
        }
        return self._last

    def _at_once(self, plan: Plan, numbers: Sequence[GroupNumbers], how: How, measured: bool, ahead: Ahead) -> bool:
        """Take the whole step in one call of machine code, if everything is as it was the last time."""
        # Gradients that are cleared may belong to a graph or be shared: looked at one by one.
        if not plan.direct or how.clear:
            return False
        steps = plan.steps(numbers, how, measured, ahead)
        if steps is None or not steps.locked:
            return False
        memory = plan.memory
        return memory.run(steps.locked) or (memory.cost == PLAN and plan.mend() and memory.run(steps.locked))

    def _held(
        self, plan: Plan, groups: Sequence[Group], numbers: Sequence[GroupNumbers], how: How, measured: bool,
        ahead: Ahead, again: Callable[[Plan], Ahead],
    ) -> Plan:  # fmt: skip
        """Take the step part by part, its gradients held meanwhile; the plan it was taken by.

        ``again``  what ``ahead`` is of another plan.
        """
        grads = plan.gather()
        if grads is None:  # memory is not where it was
            plan = self._planned(plan.rules, groups, plan.mapping, plan.switches)
            ahead = again(plan)
            grads = plan.gather()
        if grads is None:
            raise RuntimeError("a gradient does not fit its parameter: " + planning.misfit(groups))
        if plan.devices and uneven(plan.launches, numbers) != ahead.uneven:  # as the gradients show only now
            ahead = again(plan)
        if how.clear:
            grads.refuse_to_clear()
        rewritten = self._recording and any(x.rewritten for x in plan.launches)
        steps = None if rewritten else plan.steps(numbers, how, measured, ahead, self._recording)
        if steps is None:
            raise RuntimeError(recording.NOT_LIKE)
        if self._recording:
            self.recorded.keep(steps, plan.launches)
        for part in steps.parts:
            part.run()
        # Kernels write behind autograd's back; a graph that still needs the old weights must notice.
        increment_version(grads.present)
        if how.clear:
            grads.cleared()
        return plan

    def _undo(self, states: WatchedState) -> None:
        """Drop the states that were created for a step that is not taken."""
        assert self.plan is not None
        for param in self.plan.created:
            states.drop(param)
        if self.plan.created:
            self.plan = None
