"""What torch's functions are for a stack of members: where plain `torch.vmap` has no form, a slow one, or one whose
bits would depend on how many members there are.

    linear, matmul         `products`
    cross_entropy          `losses`
    batch_norm             by its definition
    dropout                each member's mask by its own generator, as its single training draws it
    convolutions           member by member
    recurrent layers       `recurrent`, since torch's take no stack of weights

All else is torch.vmap's. A function that is called within `stacked` is looked up here first.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from . import losses, products, recurrent
from .batched import Members

Form = Callable[..., Any]

# The arguments of a cross entropy that is the mean over the examples.
_MEAN = {
    "weight": None, "size_average": None, "ignore_index": -100, "reduce": None, "reduction": "mean",
    "label_smoothing": 0.0,
}  # fmt: skip


class stacked(TorchFunctionMode):  # used as a function is: with stacked(members, generators): ...
    """Within, torch's functions take the forms of this file.

    ``generators``  of each member, for what it draws.
    """

    def __init__(self, members: Members, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self._members, self._generators = members, generators

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        form = _FORMS.get(function)
        if form is None or not self._members.innermost:
            return function(*arguments, **(named or {}))
        return form(self, *arguments, **(named or {}))

    def linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        result: Tensor = self._members.together(products.linear, input, weight, bias)
        return result

    def matmul(self, *factors: Tensor, **named: Tensor) -> Tensor:
        """Of vectors, of matrices, and of as many matrices; anything else is torch's. The second has several names."""
        if "out" in named:
            return torch.matmul(*factors, **named)
        a, b = *factors, *named.values()
        if a.ndim == 1:
            return self.matmul(a.unsqueeze(0), b).squeeze(-2 if b.ndim > 1 else 0)
        if b.ndim == 1:
            return self.matmul(a, b.unsqueeze(1)).squeeze(-1)
        if b.ndim == 2:
            result: Tensor = self._members.together(products.matmul, a.flatten(0, -2), b)
            return result.view(*a.shape[:-1], b.shape[-1])
        if a.shape[:-2] != b.shape[:-2]:
            return torch.matmul(a, b)
        return self._members.together(products.matmul, a, b)  # type: ignore[no-any-return]

    def cross_entropy(self, input: Tensor, target: Tensor, *more: Any, **named: Any) -> Tensor:
        """Of scores (n, classes) and classes (n,), their mean; anything else is torch's."""
        usual = all(named.get(name, default) == default for name, default in _MEAN.items())
        if more or not usual or input.ndim != 2 or target.ndim != 1:
            return functional.cross_entropy(input, target, *more, **named)
        return self._members.together(losses.cross_entropy, input, target)  # type: ignore[no-any-return]

    def dropout(self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0:
            return input

        def together(every: Tensor) -> Tensor:
            # As torch draws it: in the order in which the numbers lie.
            kept = torch.ones_like(every)
            for mask, generator in zip(kept, self._generators, strict=False):  # ghosts have none
                mask.bernoulli_(1 - p, generator=generator)
            return every * (kept.div_(1 - p) if p < 1 else kept)

        # What is the same for all gets a mask for each too.
        result: Tensor = self._members.together(together, input)
        return input.copy_(result) if inplace else result

    def one_by_one(
        self, function: Form, input: Tensor, weight: Tensor, bias: Tensor | None = None, *more: Any, **named: Any
    ) -> Tensor:
        """A function of input, weight and bias, called for each member."""

        def together(every: Tensor, weights: Tensor, biases: Tensor | None) -> Tensor:
            own = zip(every, weights, [None] * len(every) if biases is None else biases, strict=True)
            return torch.stack([function(*each, *more, **named) for each in own])

        return self._members.together(together, input, weight, bias)  # type: ignore[no-any-return]

    def recurrent(self, function: Form, *arguments: Any) -> Any:
        """One of `recurrent`."""
        return function(self.linear, self.dropout, *arguments)


def _batch_norm(
    _: stacked, input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Ioffe & Szegedy 2015: of the input, (n, features, ...), each feature less its mean, by its deviation."""
    shape = (1, -1, *[1] * (input.ndim - 2))
    if training or running_mean is None or running_var is None:
        over = (0, *range(2, input.ndim))
        mean = input.mean(over)
        centred = input - mean.view(shape)
        variance = (centred * centred).mean(over)
        count = input.numel() // input.shape[1]
        if count == 1:
            raise ValueError(f"a batch of one value a feature has no variance to train with; got {tuple(input.shape)}")
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                # torch.vmap has no form of lerp_.
                running_mean.mul_(1 - momentum).add_(mean, alpha=momentum)
                running_var.mul_(1 - momentum).add_(variance, alpha=momentum * count / (count - 1))
    else:
        centred, variance = input - running_mean.view(shape), running_var
    scale = torch.rsqrt(variance + eps)
    if weight is not None:
        scale = scale * weight
    y = centred * scale.view(shape)
    return y if bias is None else y + bias.view(shape)


def _packed(*_: Any, **__: Any) -> Any:
    raise NotImplementedError(recurrent.PACKED)


def _of(form: Form, function: Form) -> Form:
    return lambda mode, *arguments, **named: form(mode, function, *arguments, **named)


_FORMS: Mapping[Any, Form] = {
    functional.linear: stacked.linear,
    functional.cross_entropy: stacked.cross_entropy,
    functional.batch_norm: _batch_norm,
    functional.dropout: stacked.dropout,
    torch._pack_padded_sequence: _packed,
    **dict.fromkeys((torch.matmul, torch.bmm, torch.mm, torch.mv, torch.dot, Tensor.__matmul__), stacked.matmul),
    **dict.fromkeys((Tensor.matmul, Tensor.bmm, Tensor.mm, Tensor.mv, Tensor.dot), stacked.matmul),
    **{f: _of(stacked.one_by_one, f) for f in (functional.conv1d, functional.conv2d, functional.conv3d)},
    **{function: _of(stacked.recurrent, form) for function, form in recurrent.FORMS.items()},
}
