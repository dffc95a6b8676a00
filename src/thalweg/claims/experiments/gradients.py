"""What optimizers make of gradients, and what gradients a network has: for claims about single steps and states."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from thalweg.optim import OPTIMIZERS
from thalweg.rules import Adam
from thalweg.stacks import Lockstep

from .training import digits


class Fed:
    """An optimizer that is given its gradients, wherever its weights would be.

    ``rule``      by its name, with its ``settings``; at learning rate 1, unless they say otherwise.
    ``like``      a tensor of the gradients' shape and type.
    """

    def __init__(self, rule: str, like: Tensor, **settings: Any) -> None:
        self._weights = torch.zeros_like(like)
        self._optimizer = OPTIMIZERS[rule]([self._weights], **{"lr": 1.0, **settings})

    def step(self, gradient: Tensor) -> Tensor:
        """What the step adds to the weights, of the gradient's shape: free of their rounding, since they are 0."""
        self._weights.zero_()
        self._weights.grad = gradient
        self._optimizer.step()
        return self._weights.clone()

    def state(self, key: str) -> Tensor:
        """A state after the last step, by its key in a checkpoint."""
        kept: Tensor = self._optimizer.state[self._weights][key]
        return kept


def weights_of(stack: Lockstep) -> Tensor:
    """All weights of each member in a row, (members, weights)."""
    return torch.stack([_flat([*model.parameters()]) for model in stack.members])


def gradients_of(stack: Lockstep) -> Tensor:
    """The last step's gradients, in the order of `weights_of`, (members, weights)."""
    grads = [[x.grad for x in model.parameters() if x.grad is not None] for model in stack.members]
    return torch.stack([_flat(each) for each in grads])


def states(stack: Lockstep, name: str) -> Tensor:
    """A state of each member's weights by its key in a checkpoint, in the order of `weights_of`, (members, weights)."""
    of = {weight: state[name] for each in stack.stepped for weight, state in each.state.items()}
    return torch.stack([_flat([of[x] for x in model.parameters()]) for model in stack.members])


def corrections(t: int) -> tuple[float, float]:
    """What Adam divides its averages m and v by at step t, with its usual betas: by the rule's own formula."""
    adam: Any = Adam
    numbers = adam.prepare(t, beta1=0.9, beta2=0.999, eps=1e-8, eps_hat=False, bias_correction=True)
    return numbers["c1"], numbers["c2"]


def moments_of(model: nn.Module, batch: int) -> tuple[Tensor, Tensor]:
    """Mean and mean square of a batch's gradient on the digits, over all batches that there are: (weights,) each.

    Exact: from the gradients of all 1,078 examples, of which a batch is drawn without replacement.
    """
    data = digits().train
    count = len(data.classes)

    def loss(weights: dict[str, Tensor], image: Tensor, number: Tensor) -> Tensor:
        return cross_entropy(functional_call(model, weights, (image[None],)), number[None])

    weights = {name: x.detach() for name, x in model.named_parameters()}
    each = vmap(grad(loss), (None, 0, 0))(weights, data.images, data.classes)
    mean = _flat([x.mean(0) for x in each.values()])
    variance = _flat([x.var(0) for x in each.values()]) * (1 / batch - 1 / count)
    return mean, mean.square() + variance


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([x.detach().flatten() for x in tensors])
