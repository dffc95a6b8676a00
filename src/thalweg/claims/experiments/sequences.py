"""Networks that read a digit as a sequence of its rows."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from thalweg.nn.transformer import Layer, SelfAttention, TransformerBlock, TransformerStack

PIXELS, CLASSES = 64, 10
# A recurrent net reads a row at a time; a transformer has two rows at a place.
ROWS, PLACES = 8, 4


class Recurrent(nn.Module):
    """h <- tanh(norm(W x + U h)), row by row from h = 0; a dense layer on the last h. (n, 64) to (n, 10).

    ``norms``  makes what normalises the sums, from the width: a layer for each of the eight steps, or one for all.
    """

    def __init__(self, width: int, norms: Callable[[int], Sequence[nn.Module]]) -> None:
        super().__init__()
        self.input, self.state = nn.Linear(PIXELS // ROWS, width), nn.Linear(width, width, bias=False)
        self.norms = nn.ModuleList(norms(width))
        self.output = nn.Linear(width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        sums = self.input(images.view(len(images), ROWS, -1))
        h = torch.zeros_like(sums[:, 0])
        for step in range(ROWS):
            norm = self.norms[step % len(self.norms)]
            h = torch.tanh(norm(sums[:, step] + self.state(h)))
        return self.output(h)  # type: ignore[no-any-return]


class Attention(SelfAttention):
    """Its parent's, without dropout and masks, written with products, which a stack of models computes at once."""

    def forward(self, x: Tensor) -> Tensor:
        split = self.queries_keys_values(x).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = split.permute(2, 0, 3, 1, 4).unbind(0)
        weights = torch.softmax(queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5, -1)
        return self.output((weights @ values).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Transformer(nn.Module):
    """Pieces and their places embedded, blocks, the mean over places, a dense layer. (n, 64) to (n, 10).

    ``norm``  as `thalweg.nn.TransformerBlock` takes it; ``layer`` too. Weights begin as Xavier's, as in the
              transformers that the norm's place was first studied on.
    """

    def __init__(self, norm: str, layer: Layer, *, width: int = 16, heads: int = 2, layers: int = 6) -> None:
        super().__init__()
        self.pieces = nn.Linear(PIXELS // PLACES, width)
        self.places = nn.Parameter(torch.randn(PLACES, width))
        self.blocks = TransformerStack(width, heads, layers, norm=norm, layer=layer, causal=False)
        for block in self.blocks:
            if isinstance(block, TransformerBlock):
                block.attention[0] = Attention(width, heads, 0.0, causal=False)
        self.output = nn.Linear(width, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        x = self.pieces(images.view(len(images), PLACES, -1)) + self.places
        return self.output(self.blocks(x).mean(1))  # type: ignore[no-any-return]
