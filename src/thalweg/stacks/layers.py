"""What torch's functions are for a stack of members: where plain `torch.vmap` has no form, or one whose bits would
depend on how many members there are.

    linear, matmul         `products`
    batch_norm             by its definition
    dropout                each member's mask by its own generator, as its single training draws it
    convolutions           member by member
    recurrent layers       `recurrent`, since torch's take no stack of weights

All else is torch.vmap's. A function that is called within `stacked` is looked up here first.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from . import products, recurrent


class stacked(TorchFunctionMode):  # used as a function is: with stacked(generators): ...
    """Within, torch's functions take the forms of this file. To be entered inside `torch.vmap`.

    ``generators``  of each member, for what it draws.
    ``own``         any tensor of a member, as `torch.vmap` gives it.
    """

    def __init__(self, generators: Sequence[torch.Generator], own: Tensor) -> None:
        super().__init__()
        drop = partial(_dropout, generators, own)
        cells = {function: partial(form, _linear_form, drop) for function, form in recurrent.FORMS.items()}
        self._forms: Mapping[Any, Callable[..., Any]] = {**_FORMS, **cells, functional.dropout: drop}

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        return self._forms.get(function, function)(*arguments, **(named or {}))


def by_members(together: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function of one member's tensors, from one of all members', which have a dimension more, the first."""

    class Form(Function):
        @staticmethod
        def forward(*arguments: Any) -> Tensor:
            # Of tensors that are the same for all members.
            return together(*(_first(x, None, 1) for x in arguments))[0]

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None: ...

        @staticmethod
        def vmap(info: Any, places: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
            every = [_first(x, place, info.batch_size) for x, place in zip(arguments, places, strict=True)]
            return together(*every), 0

    return Form.apply


def _first(x: Any, place: int | None, members: int) -> Any:
    """An argument with the members first; a tensor that all share, once for each."""
    if not isinstance(x, Tensor):
        return x
    return x.expand(members, *x.shape) if place is None else x.movedim(place, 0)


_linear = by_members(products.linear)
_matmul = by_members(products.matmul)


def _linear_form(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return _linear(x, weight, bias)


def _matmul_form(a: Tensor, b: Tensor) -> Tensor:
    """Of matrices, or stacks of as many; anything else is torch's."""
    if a.ndim < 2 or a.ndim != b.ndim or a.shape[:-2] != b.shape[:-2]:
        return torch.matmul(a, b)
    return _matmul(a, b)


def _dropout(
    generators: Sequence[torch.Generator],
    own: Tensor,
    x: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,  # noqa: ARG001  # as torch's
) -> Tensor:
    if not training or p == 0:
        return x

    def together(every: Tensor, _: Tensor) -> Tensor:
        kept = torch.ones(every.shape, dtype=every.dtype)
        for mask, generator in zip(kept, generators, strict=False):  # ghosts have none
            mask.bernoulli_(1 - p, generator=generator)
        return every * kept.div_(1 - p)

    # With a tensor of the member: what is the same for all gets a mask for each too.
    return by_members(together)(x, own)


def _batch_norm(
    x: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Ioffe & Szegedy 2015: of x, (n, features, ...), each feature less its mean, by its deviation."""
    shape = (1, -1, *[1] * (x.ndim - 2))
    if training or running_mean is None or running_var is None:
        over = (0, *range(2, x.ndim))
        mean = x.mean(over)
        centred = x - mean.view(shape)
        variance = (centred * centred).mean(over)
        count = x.numel() // x.shape[1]
        if count == 1:
            raise ValueError(f"a batch of one value a feature has no variance to train with; got {tuple(x.shape)}")
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                # torch.vmap has no form of lerp_.
                running_mean.mul_(1 - momentum).add_(mean, alpha=momentum)
                running_var.mul_(1 - momentum).add_(variance, alpha=momentum * count / (count - 1))
    else:
        centred, variance = x - running_mean.view(shape), running_var
    scale = torch.rsqrt(variance + eps)
    if weight is not None:
        scale = scale * weight
    y = centred * scale.view(shape)
    return y if bias is None else y + bias.view(shape)


def _one_by_one(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The form that calls a function of input, weight and bias for each member."""

    def form(x: Tensor, weight: Tensor, bias: Tensor | None = None, *arguments: Any, **named: Any) -> Tensor:
        def together(every: Tensor, weights: Tensor, biases: Tensor | None) -> Tensor:
            members = zip(every, weights, biases if biases is not None else [None] * len(every), strict=True)
            return torch.stack([function(*own, *arguments, **named) for own in members])

        return by_members(together)(x, weight, bias)

    return form


def _packed(*_: Any, **__: Any) -> Any:
    raise NotImplementedError(recurrent.PACKED)


_FORMS: Mapping[Any, Callable[..., Any]] = {
    functional.linear: _linear_form,
    functional.batch_norm: _batch_norm,
    torch._pack_padded_sequence: _packed,
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm, torch.mm), _matmul_form),
    **{
        convolution: _one_by_one(convolution)
        for convolution in (functional.conv1d, functional.conv2d, functional.conv3d)
    },
}
