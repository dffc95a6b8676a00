"""The layers: drop-in for torch.nn's of the same names (arguments, parameters, state_dict, train and eval).

Each is torch's module with a faster function; what they compute stands in `formulas`.
"""

from typing import overload

import torch
from torch import Tensor

from . import functional


class RMSNorm(torch.nn.RMSNorm):
    """x / sqrt(mean(x^2) + eps) * weight, over the last dimensions (Zhang & Sennrich 2019).

    Arguments: those of torch.nn.RMSNorm.
    """

    @overload
    def forward(self, x: Tensor) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]: ...
    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """(..., *normalized_shape) to the same. With a residual of that shape: (norm of the sum, the sum)."""
        if residual is None:
            return functional.rms_norm(x, self.normalized_shape, self.weight, self.eps)
        return functional.add_rms_norm(x, residual, self.normalized_shape, self.weight, self.eps)


class LayerNorm(torch.nn.LayerNorm):
    """(x - mean) / sqrt(variance + eps) * weight + bias, over the last dimensions (Ba, Kiros & Hinton 2016).

    Arguments: those of torch.nn.LayerNorm.
    """

    @overload
    def forward(self, input: Tensor) -> Tensor: ...
    @overload
    def forward(self, input: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]: ...
    def forward(self, input: Tensor, residual: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """(..., *normalized_shape) to the same. With a residual of that shape: (norm of the sum, the sum)."""
        if residual is None:
            return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)
        return functional.add_layer_norm(input, residual, self.normalized_shape, self.weight, self.bias, self.eps)


class _BatchNorm(torch.nn.modules.batchnorm._BatchNorm):
    def forward(self, input: Tensor) -> Tensor:
        """(n, channels, ...) to the same."""
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the plain mean over all batches
                momentum = 1.0 / float(self.num_batches_tracked)
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        updated = not self.training or self.track_running_stats
        return functional.batch_norm(
            input,
            self.running_mean if updated else None,
            self.running_var if updated else None,
            self.weight,
            self.bias,
            by_batch,
            momentum,
            self.eps,
        )


class BatchNorm1d(_BatchNorm, torch.nn.BatchNorm1d):
    """Each channel of (n, channels) or (n, channels, length), over the batch (Ioffe & Szegedy 2015).

    Arguments: those of torch.nn.BatchNorm1d.
    """


class BatchNorm2d(_BatchNorm, torch.nn.BatchNorm2d):
    """Each channel of (n, channels, height, width), over the batch and all places (Ioffe & Szegedy 2015).

    Arguments: those of torch.nn.BatchNorm2d.
    """


class BatchNorm3d(_BatchNorm, torch.nn.BatchNorm3d):
    """Each channel of (n, channels, depth, height, width), over the batch and all places (Ioffe & Szegedy 2015).

    Arguments: those of torch.nn.BatchNorm3d.
    """
