"""The layers' functions: as those of torch.nn.functional, and faster on the CPU where the tensors are large enough.

Which calls kernels serve is said in `served`; below the sizes here, too, torch's own function is called.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from . import channels, tokens
from .launch import real_type
from .served import alike, served
from .tokens import TokenNorm

# Numbers in x from which on kernels are worth their call, measured (docs/norms.md): torch's RMSNorm is a chain of
# plain operations, its LayerNorm and BatchNorm are single ones, and good.
RMS_FROM = 2**14
LAYER_FROM = 2**22
PLANES_FROM = 2**18
COLUMNS_FROM = 2**22


def rms_norm(
    x: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """As torch.nn.functional.rms_norm: x of shape (..., *normalized_shape), divided by its root mean square.

    ``eps``  None: the smallest number that 1 can grow by, in the type that is computed in.
    """
    # Small calls go on at once: a microsecond counts there.
    if _large(x, RMS_FROM):
        norm = TokenNorm(tuple(normalized_shape), _eps(x, eps), centred=False)
        # torch's result would be of the larger type.
        if (weight is None or weight.dtype == x.dtype) and _fits(norm, x, weight, None):
            return tokens.normalise(norm, x, None, weight, None)[0]
    return functional.rms_norm(x, normalized_shape, weight, eps)


def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """As torch.nn.functional.layer_norm: x of shape (..., *normalized_shape), less its mean, by its deviation."""
    if _large(x, LAYER_FROM):
        norm = TokenNorm(tuple(normalized_shape), eps, centred=True)
        if _fits(norm, x, weight, bias):
            return tokens.normalise(norm, x, None, weight, bias)[0]
    return functional.layer_norm(x, normalized_shape, weight, bias, eps)


def add_rms_norm(
    x: Tensor,
    residual: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(rms_norm(x + residual), x + residual), in one walk over memory."""
    if _large(x, RMS_FROM):
        norm = TokenNorm(tuple(normalized_shape), _eps(x, eps), centred=False)
        if (weight is None or weight.dtype == x.dtype) and (found := _added(norm, x, residual, weight, None)):
            return found
    total = x + residual
    return rms_norm(total, normalized_shape, weight, eps), total


def add_layer_norm(
    x: Tensor,
    residual: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """(layer_norm(x + residual), x + residual), in one walk over memory."""
    if _large(x, LAYER_FROM):
        norm = TokenNorm(tuple(normalized_shape), eps, centred=True)
        if found := _added(norm, x, residual, weight, bias):
            return found
    total = x + residual
    return layer_norm(total, normalized_shape, weight, bias, eps), total


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """As torch.nn.functional.batch_norm: x of shape (n, channels, ...), each channel normalised over all else.

    In training the running estimates become (1 - momentum) * themselves + momentum * the batch's, the variance's
    unbiased. Otherwise they are what x is normalised with, which is torch's function whatever the size.
    """
    estimates = (running_mean, running_var)
    if not training or not _fits_channels(x, weight, bias, *estimates):
        return functional.batch_norm(x, *estimates, weight, bias, training, momentum, eps)
    by_channel = channels.normalise(x, weight, bias, eps)
    if running_mean is not None and running_var is not None:
        count = x.numel() // x.shape[1]
        _move(running_mean, by_channel.mean, momentum, 1.0)
        _move(running_var, by_channel.variance, momentum, count / (count - 1))  # unbiased
    return by_channel.y


def _move(running: Tensor, of_batch: Tensor, momentum: float, factor: float) -> None:
    """running = (1 - momentum) * running + momentum * factor * of_batch, rounded once where memory holds fewer bits."""
    with torch.no_grad():
        wide = running.float() if running.dtype == torch.bfloat16 else running
        wide.mul_(1 - momentum).add_(of_batch, alpha=momentum * factor)
        if wide is not running:
            running.copy_(wide)


def _large(x: Tensor, least: int) -> bool:
    """Whether x has so many numbers. Not asked while a model is recorded: the answer would become a condition."""
    if torch.compiler.is_compiling() or not isinstance(x, Tensor) or x.is_nested:
        return False
    count = x.numel()
    return type(count) is int and count >= least  # not a symbol, of a tracer with sizes left open


def _eps(x: Tensor, eps: float | None) -> float:
    """As torch chooses it: for half precision, which is computed in float32, that of float32."""
    return torch.finfo(real_type(x)).eps if eps is None else eps


def _added(
    norm: TokenNorm, x: Tensor, residual: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor] | None:
    same = x.shape == residual.shape and x.dtype == residual.dtype
    if same and _fits(norm, x, weight, bias) and _fits(norm, residual, weight, bias):
        y, total = tokens.normalise(norm, x, residual, weight, bias)
        return y, total
    return None


def _fits(norm: TokenNorm, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> bool:
    """Whether kernels serve the call; torch says what is wrong with one whose shapes do not agree."""
    shape = norm.shape
    parameters = [p for p in (weight, bias) if p is not None]
    return (
        served(x, weight, bias)
        and 0 < len(shape) <= x.dim()
        and x.shape[-len(shape) :] == shape
        and all(p.shape == shape and p.is_contiguous() for p in parameters)
        and alike(x, parameters)
        and x.is_contiguous()
    )


def _fits_channels(x: Tensor, *others: Tensor | None) -> bool:
    if not _large(x, PLANES_FROM) or x.dim() < 2 or not served(x, *others):
        return False
    count = x.shape[1]
    present = [t for t in others if t is not None]
    running = others[2:]
    return (
        all(t.shape == (count,) and t.is_contiguous() for t in present)
        and alike(x, present)
        and len({t is None for t in running}) == 1
        and x.numel() > count
        and (channels.planes_in(x) or (x.numel() >= COLUMNS_FROM and channels.channels_last_in(x)))
    )
