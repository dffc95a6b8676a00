"""What a trial does with an optimizer, whoever wrote it: clip, time its steps, test the right weights."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any

import torch

from thalweg import optim
from thalweg.optim.several import Several

CLIPPING = ("clip_value", "clip_norm")


def time_steps(
    optimizer: torch.optim.Optimizer,
    seconds: list[float],
    at_first: Callable[[], None],
    clipping: Mapping[str, float],
    before: Callable[[], None],
) -> None:
    """From now on add to ``seconds`` what each step takes; ``at_first`` is called before the first of them, then
    ``before`` before each.

    ``clipping``  bounds that the gradients get before each step, each number's and then the norm of all, where the
                  optimizer does not clip itself; what a closure computes is clipped where it ends.

    By a subclass: with hooks, torch would record every step for its profiler, which takes longer than a small step.
    """
    kind: Any = type(optimizer)

    def step(self: torch.optim.Optimizer, closure: Callable[[], Any] | None = None) -> Any:
        if not seconds:
            at_first()
        before()
        started = perf_counter()
        if closure is None:
            _clip(self, clipping)
            loss = kind.step(self)
        else:
            loss = kind.step(self, _clipped(self, closure, clipping) if clipping else closure)
        seconds.append(perf_counter() - started)
        return loss

    step.hooked = True  # type: ignore[attr-defined]  # as it is on every optimizer
    own = {"step": step, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    optimizer.__class__ = type(kind.__name__, (kind,), own)


def _clipped(
    optimizer: torch.optim.Optimizer, closure: Callable[[], Any], clipping: Mapping[str, float]
) -> Callable[[], Any]:
    def clipped() -> Any:
        loss = closure()
        _clip(optimizer, clipping)
        return loss

    return clipped


def _clip(optimizer: torch.optim.Optimizer, clipping: Mapping[str, float]) -> None:
    params = [param for group in optimizer.param_groups for param in group["params"]] if clipping else []
    if "clip_value" in clipping:
        torch.nn.utils.clip_grad_value_(params, clipping["clip_value"])
    if "clip_norm" in clipping:
        torch.nn.utils.clip_grad_norm_(params, clipping["clip_norm"])


def parts(optimizer: torch.optim.Optimizer) -> tuple[torch.optim.Optimizer, ...]:
    """Those that it is made of; itself, where it is one."""
    return optimizer.parts if isinstance(optimizer, Several) else (optimizer,)


def tests_other_weights(optimizer: torch.optim.Optimizer) -> bool:
    """Whether what is to be tested are not the weights that it trains, as with averages and Schedule-Free."""
    return any(_ours_do(part) or _switches(part) for part in parts(optimizer))


def begin(optimizer: torch.optim.Optimizer) -> None:
    """Put one that has a mode for training and one for testing, as Schedule-Free's package, into the first."""
    for part in filter(_switches, parts(optimizer)):
        part.train()  # type: ignore[attr-defined]


def skipped(optimizer: torch.optim.Optimizer) -> int:
    """How many of its steps were left out because of gradients that are not finite: of several, by all of them."""
    return min(part.skipped_steps if isinstance(part, optim.Optimizer) else 0 for part in parts(optimizer))


@contextmanager
def testing(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Within, the parameters hold the weights to test."""
    with ExitStack() as inside:
        for part in parts(optimizer):
            inside.enter_context(_testing(part))
        yield


@contextmanager
def _testing(part: torch.optim.Optimizer) -> Iterator[None]:
    if isinstance(part, optim.Optimizer) and _ours_do(part):
        with part.averaged():
            yield
    elif _switches(part):
        part.eval()  # type: ignore[attr-defined]
        try:
            yield
        finally:
            part.train()  # type: ignore[attr-defined]
    else:
        yield


def _ours_do(part: torch.optim.Optimizer) -> bool:
    return isinstance(part, optim.Optimizer) and part.tests_other_weights


def _switches(part: torch.optim.Optimizer) -> bool:
    return not isinstance(part, optim.Optimizer) and all(callable(getattr(part, n, None)) for n in ("train", "eval"))
