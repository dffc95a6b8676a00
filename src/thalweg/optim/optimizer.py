"""The optimizer: torch's contract around a rule."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from threading import RLock
from typing import Any, ClassVar, overload

import torch
from torch._C import _len_torch_dispatch_stack
from torch._compile import _disable_dynamo
from torch.optim import optimizer as torch_optimizer

from thalweg.formula import Rule, Schedule
from thalweg.formula.rule import of_matrices, tests_other_weights

from . import (
    arguments,
    averaging,
    configured,
    loading,
    model_groups,
    products,
    reading,
    readouts,
    scheduling,
    surface,
    torchs_muon,
)
from . import plan as planning
from .explain import Explanation, explain
from .joined import Part, Rules
from .plan import Plan
from .sequence import Bad
from .settings import How
from .signals import Signals
from .stepping import MustKnow, Stepper
from .telemetry import Telemetry
from .watched import WatchedState

_OUTSIDE = "outside of `with optimizer.averaged()` and `with optimizer.readout(...)`"


class NonFiniteGradient(ArithmeticError):
    """A gradient holds nan or infinity; the message names the parameters. Nothing has been updated."""


class Optimizer(torch.optim.Optimizer):
    """A `torch.optim.Optimizer` that runs a rule and the chain around it in one kernel over all parameters.

    Subclasses are made from rules by `optimizer`. Besides the rule's own arguments each takes

    ``maximize``    climb instead of descend;
    ``decay``       who does weight decay and what scales it, where the rule leaves it to the chain: ``"l2"``,
                    ``"decoupled"``, ``"cautious"``, ``"strictly-cautious"``, ``"independent"``, ``"corrected"`` or
                    ``"palm"``, as `thalweg.formula.Decay` says;
    ``lr_scale``, ``decay_scale``  what lr and weight_decay are multiplied by, whatever a scheduler makes of them;
    ``clip_value``  limit each coordinate of the gradient to +-clip_value;
    ``ema``         keep an exponential moving average of the weights with this decay (0.999); see `averaged`.
                    ``ema_warmup=True``, the default, begins with a lower one, (1 + t) / (10 + t) at step t, while
                    that is below it: the weights before training are soon forgotten;
    ``clip_norm``   scale the gradients so that their norm is at most clip_norm (the gradients in memory are not
                    changed), ``clip_scope`` over ``"all"`` parameters together, as
                    `torch.nn.utils.clip_grad_norm_`, or of each ``"tensor"``; ``clip_eps`` is added to the norm:
                    1e-6 as in torch, 0 for the exact limit;
    ``nonfinite``   what to do when a gradient holds nan or infinity: ``"pass"`` it on like torch, ``"raise"``
                    `NonFiniteGradient`, or ``"skip"`` the whole step (counted in ``skipped_steps``);
    ``clear``       set the gradients to 0 once they are used, in the same pass over memory;
    ``amp_fused``   have `torch.amp.GradScaler` leave unscaling to `step`, which saves a pass over memory. Frameworks
                    that clip gradients themselves (Lightning) refuse such an optimizer;
    ``capturable``  have all that a step needs on the GPU, so that `torch.cuda.graph` may record it, after a few steps
                    outside (docs/gpu.md). On a CPU it changes nothing.

    ``readouts``    averages of the weights by name, ``{"tail": thalweg.averaged(start=8000)}``, each to be put in place
                    at test by ``with optimizer.readout("tail")``: see `readout`.

    ``like``        (rules that have conventions) another library's, or the paper's, conventions and defaults, where
                    no argument says otherwise: ``"torch"``, ``"tf1"``, ``"keras"``, ``"optax"``, ``"paper"``.

    ``schedule``    a `thalweg.Schedule` of the learning rate, or a mapping of numbers' names to such: ``"lr"``,
                    ``"weight_decay"``, ``"momentum"`` (beta1, of rules with betas), or any of the rule's formula. Each
                    is its first value (``group["initial_lr"]``) times the factor at the step; steps that are skipped
                    do not count. Who changes such a number otherwise gets a RuntimeError at the next step.

    Those up to ``ema`` and all of the rule's may differ by parameter group; the others are attributes of the optimizer
    and may be changed between steps. So may ``grad_scale``, what the loss was multiplied by: a number or a tensor.
    """

    rule: ClassVar[type[Rule]]
    whole: type[Rule]
    """The rule with the weight average around it, and of an optimizer that has readouts theirs: what is computed."""
    clip_norm: float | None
    clip_scope: str
    clip_eps: float
    nonfinite: str
    clear: bool
    amp_fused: bool
    capturable: bool = False
    # Defaults of the class, since torch.amp.GradScaler sets both for the time of a step and then deletes them.
    grad_scale: float | torch.Tensor | None = 1.0
    found_inf: torch.Tensor | None = None
    """Set by `torch.amp.GradScaler` for the time of a step: other than 0 if a gradient is not finite."""

    def __new__(cls, *given: Any, **options: Any) -> Any:
        """Without parameters a value, `Configured`: ``thalweg.AdamW(lr=3e-4)``, to update others with."""
        if configured.without_parameters(cls, given, options):
            return configured.configured(cls, options)
        return super().__new__(cls)

    def __init__(self, params: Any, *given: Any, **options: Any) -> None:
        name, asked = type(self).__name__, arguments.read(type(self), given, options)
        kept = readouts.entries(name, self.rule, asked.apart["readouts"] or {})
        vars(self).update(asked.whole)
        self._checked: tuple[Any, ...] = ()
        self._skipped = 0
        self._stepper = Stepper()
        self._telemetry: Telemetry | None = None
        self._swapped = False
        self._windows: readouts.Windows | None = None
        self._lock = RLock()
        self._rules = Rules(type(self))
        self._scheduling = scheduling.scheduling(self._rules, asked.apart["schedule"])
        self._keep_readouts([kept])
        groups = arguments.parameters(type(self), model_groups.given(type(self), params, asked.apart["others"]))
        super().__init__(groups, {**asked.usual, **kept})
        self._watch_state(WatchedState())
        if self._scheduling is not None:
            self._scheduling.check(self.param_groups)

    @property
    def _plan(self) -> Plan | None:
        """What the next step is planned to do; None if that is to be planned anew."""
        return self._stepper.plan

    @_plan.setter
    def _plan(self, plan: Plan | None) -> None:
        _settle(self._lock, self._stepper)
        self._stepper.plan = plan

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """What `torch.amp.GradScaler` and Lightning ask."""
        return self.amp_fused

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with their own hyperparameters; what is not given is as for the others.

        ``rule`` of a group is another rule that updates it, by name (``"AdamW"``), as an optimizer's class, or that
        with options (``thalweg.AdamW(lr=3e-4)``); what is then not given is that rule's own.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"{type(self).__name__}: a parameter group is a dictionary, got {param_group!r}")
        part = self._rules.joining(param_group, self.defaults)
        name = part.made.__name__
        known = surface.defaults(part.whole)
        # In the caller's own dictionary, as torch does.
        kept = surface.torchs_decay(part.whole, name, surface.without_implementation(name, param_group))
        given = surface.plain({key: value for key, value in kept.items() if key in known}, known)
        param_group.update(given)
        for key in param_group.keys() - kept.keys():
            del param_group[key]
        usual = self._rules.usual(part, self.defaults)
        surface.check(part.whole, name, {**{key: usual[key] for key in known}, **given})
        own, self.defaults = self.defaults, usual  # those of the group's rule, which torch fills in
        try:
            super().add_param_group(param_group)
        finally:
            self.defaults = own
        params = self.param_groups[-1]["params"]
        if len({*params}) < len(params):
            self.param_groups.pop()
            raise ValueError(f"{name}: a parameter is given twice in one group")
        if of_matrices(part.whole):
            self._as_matrices(part)
        self._rules.joined(part, self.param_groups, self.defaults)
        if "readouts" in param_group:
            self._keep_readouts([param_group])
            self._fill()
        self._rules.start_scalars(self.param_groups)
        if self._scheduling is not None:
            self._scheduling.join(self.param_groups)
        self._plan = None

    def _as_matrices(self, part: Part) -> None:
        """Decide what the last group leaves open of matrices, and refuse what is none."""
        group = self.param_groups[-1]
        products.decided(part.whole, group)
        called = planning.names(self.param_groups)[-len(group["params"]) :]
        values = surface.settings(part.whole, group)
        user_called = type(self).__name__ if of_matrices(self.rule) else part.made.__name__
        try:
            for param, name in zip(group["params"], called, strict=True):
                products.refuse(part.whole, user_called, name, param, values)
        except ValueError:
            self.param_groups.pop()
            raise

    def _rule_of(self, group: Mapping[str, Any]) -> type[Rule]:
        """The rule that updates a group's parameters, with what goes around it; asked in every step."""
        rules = self._rules
        return rules.of(group).whole if rules.beside else self.whole

    def _keep_readouts(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """From now on keep what these groups are to be read out of."""
        self._rules.around(groups)
        self.whole = self._rules.own.whole
        if readouts.have_windows(groups):
            self._windows = readouts.Windows()

    def _fill(self) -> None:
        """Give the groups what they do not say of the options that there are now."""
        self.defaults = {**surface.defaults(self.whole), **self.defaults}
        for group in self.param_groups:
            for key, value in self._rules.usual(self._rules.of(group), self.defaults).items():
                group.setdefault(key, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        recorded = None
        if "_stepper" in vars(self):  # a checkpoint is loaded, and says nothing of steps that were left out
            # What has been replayed in vain is told whoever asks next; before anything is replaced.
            with self._lock:
                self._stepper.settle(report=False)
            self._skipped += self._stepper.left_out
            recorded = self._stepper.recorded  # graphs may be replayed all the same
        super().__setstate__(state)
        vars(self).setdefault("_lock", RLock())
        self._stepper = Stepper(recorded)
        self._watch_state(WatchedState(self.state))
        self._skipped = vars(self).pop("skipped_steps", vars(self).get("_skipped", 0))
        absent = (("_telemetry", None), ("_swapped", False), ("_checked", ()), ("_windows", None))  # after unpickling
        for kept, value in absent:
            vars(self).setdefault(kept, value)
        vars(self).setdefault("_rules", Rules(type(self)))
        self._rules.write(self.param_groups, self.defaults)
        self._keep_readouts(self.param_groups)
        for options in (self.defaults, *self.param_groups):
            for key in surface.OF_TORCHS_GROUPS:  # a torch checkpoint's choice of implementation is not ours
                options.pop(key, None)
        for group in self.param_groups:
            group.update(loading.before_warmup(group))
        self._fill()
        for group in self.param_groups:
            rule = self._rule_of(group)
            known = surface.defaults(rule)
            group.update(surface.plain({key: group[key] for key in known}, known))  # JSON and YAML have no tuples
            products.decided(rule, group)
        if "schedule" in vars(self):  # after unpickling
            self._scheduling = scheduling.scheduling(self._rules, vars(self).pop("schedule"))
        vars(self).setdefault("_scheduling", None)
        if self._scheduling is not None:
            self._scheduling.load(self.param_groups, [of for of in dict.values(self.state) if isinstance(of, dict)])

    def _watch_state(self, state: WatchedState) -> None:
        self.state: WatchedState = state
        state.settle = partial(_settle, self._lock, self._stepper)

    @property
    def skipped_steps(self) -> int:
        """How many steps were left out, by ``nonfinite="skip"`` or by a scaler; on a GPU this waits for it."""
        _settle(self._lock, self._stepper)
        return self._skipped + self._stepper.left_out

    @property
    def schedule(self) -> Mapping[str, Schedule]:
        """What is scheduled, by the rule's own names."""
        return {} if self._scheduling is None else dict(self._scheduling.given)

    @property
    def tests_other_weights(self) -> bool:
        """Whether what is to be tested are not the weights that it trains: of a rule's own, or with ``ema``."""
        own = (self._rules.of(group).made.rule for group in self.param_groups)
        return any(map(tests_other_weights, own)) or any(group.get("ema") for group in self.param_groups)

    def __repr__(self) -> str:
        """torch's, and what belongs to the optimizer as a whole."""
        whole = "".join(f"    {key}: {getattr(self, key)}\n" for key in sorted(surface.WHOLE))
        scheduled = f"    schedule: {self.schedule}\n" if self.schedule else ""
        return f"{super().__repr__().removesuffix(')')}\nAll Groups\n{whole}{scheduled})"

    def state_dict(self) -> dict[str, Any]:
        """As every torch optimizer's: ``state`` by parameter number, ``param_groups`` with all hyperparameters.

        Each group says the ``rule`` that has updated it, too: a state's key alone does not tell what it is.
        """
        _settle(self._lock, self._stepper)  # what groups keep is on a device, perhaps
        seen = self.state.seen
        found = super().state_dict()
        # The states' dictionaries stay ours: what a caller does to the result replaces nothing here. The tensors are
        # the caller's too from now on.
        found["state"] = {k: dict(v) if isinstance(v, dict) else v for k, v in found["state"].items()}
        found["param_groups"] = [
            {"rule": part.name, **torchs_muon.with_torchs(rule, surface.with_torchs_decay(rule, group))}
            for group in found["param_groups"]
            for part in (self._rules.of(group),)
            for rule in (part.made.rule,)
        ]
        if not (self._optimizer_state_dict_pre_hooks or self._optimizer_state_dict_post_hooks):
            self.state.seen = seen
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state that this class, or torch's of the same name, has saved.

        By parameter name where both sides know names (`named_parameters`), so that their order is harmless; else by
        position. States are as wide as the widest of what was saved, the parameter and what the rule asks for. Raises
        ValueError for a checkpoint that is of other parameters, or by other rules where its states do not fit, KeyError
        for one without step counts that are needed.
        """
        if self._swapped:
            raise RuntimeError(f"the averaged weights are in place: load {_OUTSIDE}")
        loaded: dict[str, Any] = {}

        # Around the user's own hooks: they change the checkpoint before, and see the finished state after.
        def sort(_optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
            loaded.update(loading.fitted(saved, self.param_groups, self._rules))
            return loaded

        def restore(_optimizer: torch.optim.Optimizer) -> None:
            for param, tensors in loading.restored(loaded, self.param_groups, self._rules):
                if tensors:
                    self.state.own(param).update(tensors)

        before = self.register_load_state_dict_pre_hook(sort)
        after = self.register_load_state_dict_post_hook(restore, prepend=True)
        try:
            super().load_state_dict(state_dict)
        finally:
            before.remove()
            after.remove()
        if self._telemetry is not None:
            self._telemetry.groups = self.param_groups

    def __getstate__(self) -> dict[str, Any]:
        own = {key: vars(self)[key] for key in (*surface.WHOLE, "grad_scale") if key in vars(self)}
        own["skipped_steps"] = self.skipped_steps
        scheduled = None if self._scheduling is None else self._scheduling.asked
        several = {"_rules": self._rules} if self._rules.beside else {}
        return {**super().__getstate__(), **own, **several, "schedule": scheduled}

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient, once. ``closure`` computes the loss again and returns it."""
        # torch wraps the steps of its optimizers for hooks and profilers. It costs 9 us: done only when there are any.
        given = () if closure is None else (closure,)
        if torch.compiler.is_dynamo_compiling():
            return _untraced_step(self, *given)
        return _observed_step(self, *given) if _observed(self) else self._step(*given)

    step.hooked = True  # type: ignore[attr-defined]

    def _step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        # Two threads may step one optimizer, as in torch: one after the other, since they share the plan's tables.
        with self._lock:
            self._update()
        return loss

    def _update(self) -> None:
        if self._swapped:
            raise RuntimeError(f"the averaged weights are in place: take steps {_OUTSIDE}")
        how = self._how()
        if _len_torch_dispatch_stack():
            reading.refuse_pretence(self.param_groups)
        plan, signals = self._stepper.plan, None
        if plan is None or plan.recorders:
            signals = self._stepper.begin(
                self.param_groups, how, self._telemetry, self._counted, self.found_inf, self.grad_scale
            )
        if signals is None and self.found_inf is not None and float(self.found_inf):
            self._skip()
            return
        if not isinstance(self.state, WatchedState):  # somebody gave the optimizer another one
            self._watch_state(WatchedState(self.state))
            self.state.seen = self.state.exposed = True
        scheduled = self._scheduling
        take: Callable[[How, Signals | None], Bad] = self._take
        if scheduled is not None:
            take = lambda *given: scheduled.step(self.param_groups, lambda: self._take(*given))  # noqa: E731
        try:
            bad = take(how, signals)
        except MustKnow:  # which is raised before anything is done
            if self.found_inf is not None and float(self.found_inf):
                self._skip()
                return
            bad = take(how, None)
        except LookupError:
            self._refuse_rewritten()
            raise
        if bad:
            self._leave_out(bad)
        elif self._windows and (plan := self._plan):
            self._windows.follow(self.param_groups, plan.launches, self.state.exposed, self._stepper.settle)

    def _refuse_rewritten(self) -> None:
        """Raise ValueError for a group whose rule is not the one that it was added for."""
        for place, group in enumerate(self.param_groups if self._rules.beside else ()):
            part = self._rules.of(group)
            if absent := [key for key in surface.defaults(part.whole) if key not in group]:
                raise ValueError(
                    f"group {place} is to be updated by {part.name} and has no {absent[0]!r}: a group's rule is said "
                    "when it is added, so leave group['rule'] as it is, and add another group for another rule"
                ) from None

    def _take(self, how: How, signals: Signals | None) -> Bad:
        scale = 1.0 if signals is not None and signals.scale is not None else self._scale()
        return self._stepper.take(
            self._rule_of, self.param_groups, self.state, how, scale, self._telemetry, signals, self._counted
        )

    @property
    def _counted(self) -> bool:
        """Whether something follows from how many steps have been taken that a device does not know of."""
        return self._scheduling is not None or bool(self._windows)

    def _scale(self) -> float:
        scale = 1.0 if self.grad_scale is None else float(self.grad_scale)
        if scale == 0:
            raise ValueError("grad_scale is 0: it is what the loss was multiplied by")
        return scale

    def _how(self) -> How:
        """The options of the whole optimizer are attributes, so they are checked when one has another value."""
        now = _OPTIONS(self)
        if now != self._checked:
            given = dict(zip(surface.WHOLE, now, strict=True))
            surface.check_whole(type(self).__name__, given)
            del given["amp_fused"]
            self._checked, self._chosen = now, How(**given)
        return self._chosen

    def explain(self) -> Explanation:
        """What a step computes as it would be taken now: formulas, numbers, passes over memory, who serves whom.

        Text that shows itself in a console, and with `print`. Works before the first step; changes nothing.
        """
        return explain(self)

    def watch(self, every: int = 10) -> Telemetry:
        """Measure norms of gradient, weight and step in every ``every``-th step from now on; see `Telemetry`.

        The kernels add them up while they update, so on parameters that come from memory ``every=1`` costs nothing;
        on many small ones the default keeps it within 5% of a step.
        """
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be a whole number of steps, at least 1, got {every!r}")
        self._telemetry = Telemetry(self.param_groups, every)
        return self._telemetry

    @contextmanager
    def averaged(self, model: torch.nn.Module | None = None, batches: Iterable[Any] | None = None) -> Iterator[None]:
        """Within, the parameters hold the weights to test and keep: with ``ema=0.999``, their average.

        What is saved or evaluated there is the average; afterwards the trained weights are back, also after an
        exception. Parameters without a step so far are left alone. With ``model`` and ``batches`` (inputs, or tuples
        that start with them) every BatchNorm's running statistics are computed anew for the averaged weights, as
        `torch.optim.swa_utils.update_bn` does, and put back afterwards too.
        Raises RuntimeError if nothing is averaged, and if a step is taken within.
        """
        self._check_swap(model, batches)
        numbers, _ = self._stepper.settings.read(self._rule_of, self.param_groups, 1.0, False)
        if not self.tests_other_weights:
            raise RuntimeError(
                f"nothing is averaged: make the optimizer with {type(self).__name__}(..., ema=0.999), or set "
                "param_groups[i]['ema'] (a checkpoint's settings replace those given)"
            )
        with self._in_place(averaging.to_test(self._rule_of, self.param_groups, numbers, self.state), model, batches):
            yield

    @contextmanager
    def readout(
        self,
        name: str | Sequence[str | None],
        model: torch.nn.Module | None = None,
        batches: Iterable[Any] | None = None,
    ) -> Iterator[None]:
        """Within, the parameters hold one of the ``readouts`` that the optimizer was made with, by its name.

        ``name`` may be one for each parameter group, None for the weights to test that a group has without.
        As `averaged` in all else. Raises ValueError for a name that there is not, RuntimeError where nothing is kept.
        """
        names = [name] * len(self.param_groups) if isinstance(name, str) or not isinstance(name, Sequence) else name
        for each in {*names} - {None}:
            readouts.check_name(type(self).__name__, each, self.param_groups)
        self._check_swap(model, batches)
        numbers, _ = self._stepper.settings.read(self._rule_of, self.param_groups, 1.0, False)
        usual = [i for i, name in enumerate(names) if name is None]
        groups, of = [self.param_groups[i] for i in usual], [numbers[i] for i in usual]
        pairs = averaging.to_test(self._rule_of, groups, of, self.state)
        with self._in_place([*pairs, *readouts.to_test(self.param_groups, names, self.state)], model, batches):
            yield

    def _check_swap(self, model: object, batches: object) -> None:
        if (model is None) != (batches is None):
            raise TypeError("to refresh BatchNorm's statistics give both the model and batches of inputs")
        if self._swapped:
            raise RuntimeError("the averaged weights are in place already")

    @contextmanager
    def _in_place(
        self, pairs: averaging.Pairs, model: torch.nn.Module | None, batches: Iterable[Any] | None
    ) -> Iterator[None]:
        with averaging.swapped(pairs):
            self._swapped = True
            try:
                with nullcontext() if model is None or batches is None else averaging.refreshed(model, batches):
                    yield
            finally:
                self._swapped = False

    def _skip(self) -> None:
        """Leave a step out. Gradients that would be cleared are: what is not finite must not be added to."""
        self._skipped += 1
        if self.clear:
            self.zero_grad(set_to_none=False)

    def _leave_out(self, bad: Bad) -> None:
        """A step that is not taken because of gradients that are not finite: it leaves no trace."""
        if self._telemetry is not None:
            self._telemetry.nonfinite([param for _, param, _ in bad])
        if self.nonfinite == "skip":
            self._skip()
            return
        called = planning.names(self.param_groups)
        found = [f"{called[place]} ({count} of {param.numel()} values)" for place, param, count in bad]
        more = f", and {len(found) - 3} more" if len(found) > 3 else ""
        raise NonFiniteGradient(f"the gradient is not finite in {', '.join(found[:3])}{more}; nothing was updated")


_OPTIONS = operator.attrgetter(*surface.WHOLE)


def _settle(lock: RLock, stepper: Stepper) -> None:
    """For whoever looks at states, maybe in another thread than steps are taken in; it does not hold the optimizer."""
    with lock:
        stepper.settle()


def _observed(optimizer: Optimizer) -> bool:
    """Whether hooks or a profiler want to know of the step."""
    return bool(
        optimizer._optimizer_step_pre_hooks
        or optimizer._optimizer_step_post_hooks
        or torch_optimizer._global_optimizer_pre_hooks
        or torch_optimizer._global_optimizer_post_hooks
        or torch._C._autograd._profiler_enabled()
    )


# torch's own wrapper: record the step, run the hooks.
_observed_step = Optimizer.profile_hook_step(Optimizer._step)
# torch.compile must not trace what asks for addresses: it takes the step between two graphs.
_untraced_step = _disable_dynamo(_observed_step)
