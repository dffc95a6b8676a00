"""The sides of a cell: thalweg, every form torch has, other libraries. All start alike and do the same work."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from cells import Cell
from thalweg.optim import OPTIMIZERS
from thalweg.speed.cases import EagerLion, Step, parameters

Parameters = list[torch.nn.Parameter]
Make = Callable[[Parameters], Any]
# GradScaler's first scale, and what the chains are set to.
SCALE, CLIP_NORM, EMA = 65_536.0, 1.0, 0.999

# torch's class for each rule and what makes it the same rule; Lion it has none of. dampening = momentum makes torch's
# running sum the moving average.
_TORCH: Mapping[str, tuple[type[torch.optim.Optimizer], Mapping[str, float]]] = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.9}),
    "adagrad": (torch.optim.Adagrad, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "nag": (torch.optim.SGD, {"lr": 1e-2, "momentum": 0.9, "nesterov": True}),
    "rprop": (torch.optim.Rprop, {}),
    "adadelta": (torch.optim.Adadelta, {}),
    "adamax": (torch.optim.Adamax, {}),
    "nadam": (torch.optim.NAdam, {}),
    "radam": (torch.optim.RAdam, {}),
    "amsgrad": (torch.optim.Adam, {"amsgrad": True}),
}
# pytorch_optimizer's class where torch has none, and what makes it the same rule. Its ADOPT, LARS, LAMB and MARS
# are others.
_PYTORCH_OPTIMIZER: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "lion": ("Lion", {}),
    "signum": ("SignSGD", {"lr": 1e-4, "momentum": 0.9}),
    "adabound": ("AdaBound", {}),
    "amsbound": ("AdaBound", {"ams_bound": True}),
    "adabelief": ("AdaBelief", {"rectify": True, "weight_decay": 0.0}),
    "adan": ("Adan", {}),
    "stableadamw": ("StableAdamW", {}),
    "prodigy": ("Prodigy", {}),
    "schedulefreesgd": ("ScheduleFreeSGD", {}),
    "schedulefreeadamw": ("ScheduleFreeAdamW", {}),
    "ademamix": ("AdEMAMix", {}),
    "laprop": ("LaProp", {}),
    "grams": ("Grams", {}),
    "came": ("CAME", {}),
}
_FORMS = {"loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
# Other libraries' packages, by the name their sides begin with. pytorch_optimizer's AdamW is torch's own class.
PEERS = {"optimi": "torch-optimi", "pytorch_optimizer": "pytorch_optimizer"}


@dataclass(frozen=True)
class Side:
    """``refill`` writes the gradients of a new backward pass; ``call`` is what is timed."""

    params: Parameters
    refill: Step
    call: Step


def sides(cell: Cell) -> dict[str, Side]:
    """Every side that the cell has, by name, each on parameters of its own with equal values."""
    torch.manual_seed(0)
    start = parameters(cell.model.shapes)
    # What a backward pass writes: the first layers' gradients last.
    sources = [_grad(p) * SCALE if cell.chain == "full" else _grad(p) for p in reversed(start)]
    found: dict[str, Side] = {}
    for name, make in _makers(cell):
        params = [torch.nn.Parameter(p.detach().clone()) for p in start]
        new_gradients(params, sources)
        if cell.chain == "full":  # which clears them: the next backward pass adds to the same tensors
            refill: Step = partial(torch._foreach_copy_, [_grad(p) for p in reversed(params)], sources)
        else:
            refill = partial(new_gradients, params, sources)
        found[name] = Side(params, refill, make(params))
    return found


def new_gradients(params: Parameters, sources: list[torch.Tensor]) -> None:
    """As after `zero_grad()` and a backward pass."""
    for p in params:
        p.grad = None
    for p, source in zip(reversed(params), sources, strict=True):
        p.grad = source.clone()


def check(found: Mapping[str, Side], cleared: bool) -> None:
    """Let every side take two steps, and raise if their weights differ by more than rounding."""
    ours, *others = found.items()
    before = [p.detach().clone() for p in ours[1].params]
    for name, side in found.items():
        for _ in range(2):
            side.refill()
            side.call()
        if cleared and any(_grad(p).any() for p in side.params):
            raise RuntimeError(f"{name} left gradients that are not 0, so the sides do not do the same work")
    moved = _distance(ours[1].params, before)
    for name, side in others:
        if name == "thalweg, not wrapped":  # which does less
            continue
        # A decay left out would be 1e-2, twice rounded weights under Lion's small steps are 3e-4.
        if not _distance(side.params, ours[1].params) < 2e-3 * moved:
            raise RuntimeError(f"{name} and {ours[0]} take different steps, so their times cannot be compared")


def _distance(ones: list[Any], others: list[Any]) -> float:
    differences = torch._foreach_sub([p.detach() for p in ones], [p.detach() for p in others])
    return float(torch.stack(torch._foreach_norm(differences)).norm())


def _grad(p: torch.Tensor) -> torch.Tensor:
    assert p.grad is not None
    return p.grad


def _makers(cell: Cell) -> Iterator[tuple[str, Callable[[Parameters], Step]]]:
    """What makes each side's call, from parameters that have gradients."""
    yield "thalweg", partial(_thalweg, cell)
    forms = _torch_forms(cell.rule)
    for form, make in forms.items():
        yield f"torch {form}", partial(_CHAINED[cell.chain], make)
    if cell.chain == "full" and "fused" in forms:
        yield "torch fused, grad_scale", partial(_scaled_by_fused, forms["fused"])
    if cell.chain == "step":
        yield from _peers(cell.rule)


def _thalweg(cell: Cell, params: Parameters) -> Step:
    made = cell.made
    if cell.chain == "step":
        return made(params).step
    if cell.chain == "clip":
        return made(params, clip_norm=CLIP_NORM).step
    optimizer = made(params, clip_norm=CLIP_NORM, ema=EMA, clear=True, nonfinite="skip")
    scale = torch.tensor(SCALE)

    def step() -> None:
        optimizer.grad_scale = scale
        optimizer.step()

    return step


def _torch_forms(rule: str) -> dict[str, Make]:
    """The optimizers torch has for the rule; for Lion, eager code as one writes it oneself."""
    if rule == "lion":
        return {"foreach": EagerLion}
    if rule not in _TORCH:
        return {}
    made, options = _TORCH[rule]
    known = inspect.signature(made).parameters
    return {
        form: partial(_made, made, {**options, **how}) for form, how in _FORMS.items() if how.keys() <= known.keys()
    }


def _made(made: type[torch.optim.Optimizer], options: Mapping[str, Any], params: Parameters) -> torch.optim.Optimizer:
    """torch's optimizer, with momentum's average at 0, where torch would start from the first gradient."""
    optimizer = made(params, **options)
    for p in params if "dampening" in options else ():
        optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)
    return optimizer


def _step(make: Make, params: Parameters) -> Step:
    step: Step = make(params).step
    return step


def _clip_and_step(make: Make, params: Parameters) -> Step:
    optimizer = make(params)

    def call() -> None:
        torch.nn.utils.clip_grad_norm_(params, CLIP_NORM)
        optimizer.step()

    return call


def _full(make: Make, params: Parameters) -> Step:
    """torch's chain as people write it: GradScaler's unscale, clip, step, EMA, zero_grad(set_to_none=False)."""
    optimizer, grads, (weights, averages) = make(params), [_grad(p) for p in params], _averaged(params)
    inverse, found = torch.tensor(1 / SCALE), torch.tensor(0.0)

    def call() -> None:
        torch._amp_foreach_non_finite_check_and_unscale_(grads, found, inverse)
        torch.nn.utils.clip_grad_norm_(params, CLIP_NORM)
        if not found.item():
            optimizer.step()
        torch._foreach_lerp_(averages, weights, 1 - EMA)
        torch._foreach_zero_(grads)

    return call


def _scaled_by_fused(make: Make, params: Parameters) -> Step:
    """The shortest chain torch allows: the fused kernel unscales, the norm tells whether all is finite."""
    optimizer, grads, (weights, averages) = make(params), [_grad(p) for p in params], _averaged(params)
    scale = torch.tensor(SCALE)

    def call() -> None:
        norm = torch.nn.utils.clip_grad_norm_(params, CLIP_NORM * SCALE)
        optimizer.grad_scale, optimizer.found_inf = scale, (~norm.isfinite()).float()
        optimizer.step()
        torch._foreach_lerp_(averages, weights, 1 - EMA)
        torch._foreach_zero_(grads)

    return call


_CHAINED = {"step": _step, "clip": _clip_and_step, "full": _full}


def _averaged(params: Parameters) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """The weights, and copies of them to be their moving average."""
    weights = [p.detach() for p in params]
    return weights, [w.clone() for w in weights]


def installed_peers() -> dict[str, str]:
    """The versions of the other libraries that are installed."""
    found = {}
    for name, package in PEERS.items():
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _peers(rule: str) -> Iterator[tuple[str, Callable[[Parameters], Step]]]:
    """Other libraries' optimizers for the rule, set to do the same."""
    known = installed_peers()
    if "optimi" in known and rule in ("adamw", "lion"):
        yield "optimi", partial(_optimi, rule, None)
        yield "optimi foreach", partial(_optimi, rule, True)
    if "pytorch_optimizer" in known and rule in _PYTORCH_OPTIMIZER:
        yield "pytorch_optimizer", partial(_pytorch_optimizer, rule)
    if "+" in rule:
        yield "thalweg, not wrapped", partial(_step, OPTIMIZERS[rule.partition("+")[0]])


def _pytorch_optimizer(rule: str, params: Parameters) -> Step:
    import pytorch_optimizer

    name, options = _PYTORCH_OPTIMIZER[rule]
    made = getattr(pytorch_optimizer, name)(params, **options)
    if hasattr(made, "train"):
        made.train()
    step: Step = made.step
    return step


def _optimi(rule: str, foreach: bool | None, params: Parameters) -> Step:
    import optimi

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its foreach is said to be deprecated in favour of a GPU's kernels
        if rule == "lion":
            made = optimi.Lion(params, lr=1e-4, foreach=foreach)
        else:
            made = optimi.AdamW(params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, foreach=foreach)
    step: Step = made.step
    return step
