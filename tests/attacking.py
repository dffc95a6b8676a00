"""Attacks on what an optimizer believes of memory, and what has to be the same afterwards."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch

import thalweg
import thalweg.optim.memory

# How a step is taken: asked and run in one call of machine code, of one pass or with a clip by norm; asked, then run
# with the gradients held, as when they are guarded; the same, asked in Python.
MODES = ("one call", "clipped", "gathered", "python")
LIMIT = 1e9  # a clip by norm that never clips
SHAPES = ((3, 3), (5,), ())


def options_of(mode: str) -> dict[str, Any]:
    """What an optimizer has to be made with."""
    return {"clipped": {"clip_norm": LIMIT}, "gathered": {"nonfinite": "raise"}}.get(mode, {})


def use(mode: str, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """From now on steps are taken this way by optimizers that are made with what is returned."""
    if mode == "python":
        patch.setattr(thalweg.optim.memory, "torch_interface", lambda: None)
    return options_of(mode)


def weights(shapes: Sequence[tuple[int, ...]] = SHAPES, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    seeded = torch.Generator().manual_seed(5)
    return [torch.nn.Parameter(torch.randn(s, generator=seeded, dtype=torch.float64).to(dtype)) for s in shapes]


def drawn(param: torch.Tensor, seed: int) -> torch.Tensor:
    seeded = torch.Generator().manual_seed(seed)
    return torch.randn(param.shape, generator=seeded, dtype=torch.float64).to(param.dtype)


@dataclass
class Run:
    """An optimizer under attack, ours or torch's, and the weights it began with."""

    made: Any
    params: list[torch.Tensor]

    @property
    def everyone(self) -> list[torch.Tensor]:
        """The parameters that the optimizer has now."""
        return [p for group in self.made.param_groups for p in group["params"]]

    def give(self, seed: int) -> None:
        for i, p in enumerate(self.everyone):
            p.grad = drawn(p, 1000 * seed + i)

    def step(self, *seeds: int) -> None:
        for seed in seeds:
            self.give(seed)
            self.made.step()

    def state(self, place: int) -> dict[str, Any]:
        found: dict[str, Any] = self.made.state[self.everyone[place]]
        return found

    def forget(self, place: int) -> None:
        self.made.state.pop(self.everyone[place], None)


def fresh() -> torch.Tensor:
    """A parameter that no optimizer has yet."""
    return torch.nn.Parameter(torch.linspace(-1, 1, 9, dtype=torch.float64).view(3, 3))


Attack = Callable[[Run], None]


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float) -> bool:
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), rtol=tolerance, atol=tolerance, equal_nan=True)


def compare(
    attack: Attack,
    options: dict[str, Any],
    name: str = "Adam",
    tolerance: float = 1e-12,
    dtype: torch.dtype = torch.float64,
    **arguments: Any,
) -> None:
    """The same done to ours and to torch's loop leaves the same weights, states and step counts."""
    arguments = {"lr": 0.1, **arguments}
    ours, theirs = (weights(dtype=dtype) for _ in range(2))
    one = Run(getattr(thalweg, name)(ours, **arguments, **options), ours)
    other = Run(getattr(torch.optim, name)(theirs, foreach=False, **arguments), theirs)
    attack(one)
    attack(other)
    assert len(one.everyone) == len(other.everyone)
    for i, (a, b) in enumerate(zip(one.everyone, other.everyone, strict=True)):
        assert close(a.detach(), b.detach(), tolerance), f"weight {i}: {a.detach()} is not {b.detach()}"
    for a, b in zip(one.everyone, other.everyone, strict=True):
        kept, expected = one.made.state.get(a, {}), other.made.state.get(b, {})
        for key, value in expected.items():
            if value is not None:
                assert close(torch.as_tensor(kept[key]), torch.as_tensor(value), tolerance), key


class Attacks:
    """Decorates attacks; each is then done in every mode."""

    def __init__(self) -> None:
        self._all: list[tuple[Attack, dict[str, Any], str, Sequence[str]]] = []

    def __call__(
        self, fails: str = "", only: Sequence[str] = MODES, exists: bool = True, **settings: Any
    ) -> Callable[[Attack], Attack]:
        """``fails`` says why it cannot pass today, ``only`` in which modes; ``settings`` are for `compare`.

        ``exists``: whether this torch can do it at all.
        """

        def register(function: Attack) -> Attack:
            if exists:
                self._all.append((function, settings, fails, only))
            return function

        return register

    def cases(self) -> list[Any]:
        """The function, the settings and the mode of each."""
        return [
            pytest.param(
                function,
                settings,
                mode,
                id=f"{function.__name__}-{mode}",
                marks=[pytest.mark.xfail(reason=fails)] if fails and mode in only else [],
            )
            for function, settings, fails, only in self._all
            for mode in MODES
        ]


class Marked(torch.Tensor):
    """A subclass that is plain memory all the same."""


class Boxed(torch.Tensor):
    """A subclass that has no memory of its own, as quantised and distributed tensors have none."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "Boxed":
        made = torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype, strides=held.stride())
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        def opened(x: Any) -> Any:
            return x.held if isinstance(x, Boxed) else [*map(opened, x)] if isinstance(x, list) else x

        found = function(*map(opened, arguments), **{k: opened(v) for k, v in (named or {}).items()})
        written = function._schema.name.endswith("_") and isinstance(arguments[0], Boxed)
        return arguments[0] if written else found
