"""Made by `python -m thalweg.optim.stubs` from the rules; a test fails when it is out of date."""

from collections.abc import Iterable
from typing import Any, Literal

import torch

from .optimizer import Optimizer

_Params = Iterable[torch.Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, torch.Tensor]]

OPTIMIZERS: dict[str, type[Optimizer]]

__all__ = [
    "OPTIMIZERS",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Momentum",
    "RMSprop",
    "SGD",
]

class SGD(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: float | torch.Tensor = 0.001,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        decay: Literal["l2", "decoupled"] = "l2",
        maximize: bool = False,
        clip_value: float | None = None,
        ema: float | None = None,
        clip_norm: float | None = None,
        clip_scope: Literal["all", "tensor"] = "all",
        clip_eps: float = 1e-06,
        nonfinite: Literal["pass", "raise", "skip"] = "pass",
        clear: bool = False,
        amp_fused: bool = False,
    ) -> None: ...

class Momentum(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: float | torch.Tensor = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        decay: Literal["l2", "decoupled"] = "l2",
        maximize: bool = False,
        clip_value: float | None = None,
        ema: float | None = None,
        clip_norm: float | None = None,
        clip_scope: Literal["all", "tensor"] = "all",
        clip_eps: float = 1e-06,
        nonfinite: Literal["pass", "raise", "skip"] = "pass",
        clear: bool = False,
        amp_fused: bool = False,
    ) -> None: ...

class Adagrad(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: float | torch.Tensor = 0.01,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        decay: Literal["l2", "decoupled"] = "l2",
        maximize: bool = False,
        clip_value: float | None = None,
        ema: float | None = None,
        clip_norm: float | None = None,
        clip_scope: Literal["all", "tensor"] = "all",
        clip_eps: float = 1e-06,
        nonfinite: Literal["pass", "raise", "skip"] = "pass",
        clear: bool = False,
        amp_fused: bool = False,
    ) -> None: ...

class RMSprop(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: float | torch.Tensor = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        decay: Literal["l2", "decoupled"] = "l2",
        maximize: bool = False,
        clip_value: float | None = None,
        ema: float | None = None,
        clip_norm: float | None = None,
        clip_scope: Literal["all", "tensor"] = "all",
        clip_eps: float = 1e-06,
        nonfinite: Literal["pass", "raise", "skip"] = "pass",
        clear: bool = False,
        amp_fused: bool = False,
    ) -> None: ...

class Adam(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: float | torch.Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        decay: Literal["l2", "decoupled"] = "l2",
        maximize: bool = False,
        clip_value: float | None = None,
        ema: float | None = None,
        clip_norm: float | None = None,
        clip_scope: Literal["all", "tensor"] = "all",
        clip_eps: float = 1e-06,
        nonfinite: Literal["pass", "raise", "skip"] = "pass",
        clear: bool = False,
        amp_fused: bool = False,
    ) -> None: ...

class AdamW(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: float | torch.Tensor = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-08,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        *,
        decay: Literal["l2", "decoupled"] = "decoupled",
        maximize: bool = False,
        clip_value: float | None = None,
        ema: float | None = None,
        clip_norm: float | None = None,
        clip_scope: Literal["all", "tensor"] = "all",
        clip_eps: float = 1e-06,
        nonfinite: Literal["pass", "raise", "skip"] = "pass",
        clear: bool = False,
        amp_fused: bool = False,
    ) -> None: ...

class Lion(Optimizer):
    def __init__(
        self,
        params: _Params,
        lr: float | torch.Tensor = 0.0001,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        decay: Literal["l2", "decoupled"] = "decoupled",
        maximize: bool = False,
        clip_value: float | None = None,
        ema: float | None = None,
        clip_norm: float | None = None,
        clip_scope: Literal["all", "tensor"] = "all",
        clip_eps: float = 1e-06,
        nonfinite: Literal["pass", "raise", "skip"] = "pass",
        clear: bool = False,
        amp_fused: bool = False,
    ) -> None: ...
