"""Sharpness-aware minimisation, an optimizer that thalweg does not have, in a comparison.

thalweg compare char-transformer -r adamw,examples/sam.py:SAM:lr=1e-4..1e-2:rho=0.02/0.05/0.1

Source: Foret, Kleiner, Mobahi & Neyshabur 2021 (arXiv:2010.01412), with AdamW as what takes the step.
"""

from collections.abc import Callable

import torch

import thalweg


class SAM(torch.optim.Optimizer):
    """The gradient is taken a distance rho uphill of the weights, where the loss is worst to first order."""

    def __init__(self, params, lr: float = 1e-3, rho: float = 0.05, weight_decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "weight_decay": weight_decay})
        self.base = thalweg.AdamW(self.param_groups, lr=lr, weight_decay=weight_decay)
        # The same groups, so that what a scheduler does to these reaches the base.
        self.param_groups, self.state = self.base.param_groups, self.base.state

    def step(self, closure: Callable[[], torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        """Two evaluations of the closure, then the base's step."""
        with torch.enable_grad():
            loss = closure()
        trained = [(p, group["rho"]) for group in self.param_groups for p in group["params"] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p, _ in trained])
        before = [p.detach().clone() for p, _ in trained]
        with torch.no_grad():
            for p, rho in trained:
                p.add_(p.grad, alpha=float(rho / (norm + 1e-12)))
        with torch.enable_grad():
            closure()
        with torch.no_grad():
            for (p, _), w in zip(trained, before, strict=True):
                p.copy_(w)
        self.base.step()
        return loss
