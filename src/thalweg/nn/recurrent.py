"""A recurrent layer with normalisation inside its cell."""

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor, nn

from .layers import LayerNorm

Layer = Callable[[int], nn.Module]


class LayerNormGRU(nn.Module):
    """A gated recurrent unit whose summed inputs are normalised. With x the input and h the state, at each step:

        (r, z) = sigmoid(norm1(W x) + norm2(U h))         the first two thirds of W and U
        c      = tanh(norm3(W x) + r * norm4(U h))        the last third
        h     <- (1 - z) * c + z * h                      as in torch.nn.GRU: where z is 1, the state stays

    Each norm has its own gain and bias. The sums that come from the input and those that come from the state are
    normalised apart, those of r and z together, over 2 * width.

    ``layer``  makes a norm, called with the number of sums. Its bias is the cell's: with a norm that has none, such as
               `RMSNorm`, the cell has none. None: no norms, W x + a and U h + b; that is torch.nn.GRU.

    Weights have torch.nn.GRU's shapes, order (r, z, c) and start, uniform in +-1 / sqrt(width).

    Source:  Ba, Kiros & Hinton 2016, "Layer Normalization" (arXiv:1607.06450), the GRU of its supplementary material,
             read through the authors' code: lngru_layer, which github.com/ryankiros/layer-norm describes.
    Departs: from that code, whose W x has a bias inside the norm, beside the norm's own.
    """

    def __init__(self, inputs: int, width: int, layer: Layer | None = LayerNorm) -> None:
        super().__init__()
        self.inputs, self.width = inputs, width
        self.weight_input = nn.Parameter(torch.empty(3 * width, inputs))
        self.weight_state = nn.Parameter(torch.empty(3 * width, width))
        self.split_sizes = dict.fromkeys(("weight_input", "weight_state"), (width,) * 3)  # for thalweg.routed
        plain = layer is None
        self.bias_input = nn.Parameter(torch.empty(3 * width)) if plain else None
        self.bias_state = nn.Parameter(torch.empty(3 * width)) if plain else None
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / sqrt(width), 1 / sqrt(width))
        make = layer or nn.Identity
        self.input_gates_norm, self.input_candidate_norm = make(2 * width), make(width)
        self.state_gates_norm, self.state_candidate_norm = make(2 * width), make(width)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs, (n, length, width), and the last state, (n, width), from inputs, (n, length, inputs).

        ``state`` is the one to begin with, (n, width); 0 if not given. Raises `ValueError` for other shapes.
        """
        if x.ndim != 3 or x.shape[1] == 0 or x.shape[2] != self.inputs:
            raise ValueError(f"inputs must be (n, length, {self.inputs}), length at least 1; got {tuple(x.shape)}")
        # Not len(x), which is a number while a model is exported for batches of any size.
        wanted = (x.shape[0], self.width)
        h = x.new_zeros(wanted) if state is None else state
        if h.shape != wanted:
            raise ValueError(f"the state must be {wanted}; got {tuple(h.shape)}")
        # What comes from the input waits for no state: all steps at once.
        sums = nn.functional.linear(x, self.weight_input, self.bias_input)
        gates = self.input_gates_norm(sums[..., : 2 * self.width])
        candidates = self.input_candidate_norm(sums[..., 2 * self.width :])
        outputs = []
        for gate, candidate in zip(gates.unbind(1), candidates.unbind(1), strict=True):
            h = self._step(gate, candidate, h)
            outputs.append(h)
        return torch.stack(outputs, 1), h

    def _step(self, gate: Tensor, candidate: Tensor, h: Tensor) -> Tensor:
        sums = nn.functional.linear(h, self.weight_state, self.bias_state)
        r, z = torch.sigmoid(gate + self.state_gates_norm(sums[:, : 2 * self.width])).chunk(2, 1)
        c = torch.tanh(candidate + r * self.state_candidate_norm(sums[:, 2 * self.width :]))
        return torch.lerp(c, h, z)

    def extra_repr(self) -> str:
        return f"{self.inputs}, {self.width}"
