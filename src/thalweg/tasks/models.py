"""The models of tasks that are more than a row of layers. Imports torch, so tasks import it when they train."""

import torch
from torch import Tensor, nn

from thalweg.nn import BatchNorm1d
from thalweg.nn.recurrent import LayerNormGRU
from thalweg.nn.transformer import Layer, TransformerStack


class OverPositions(BatchNorm1d):
    """BatchNorm of each feature over all n * length positions of (n, length, width)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(0, 1)).view_as(x)


class NextCharacter(nn.Module):
    """A score for each character to come next, (n, length, characters), from characters, int64, (n, length)."""

    def __init__(
        self, characters: int, length: int, width: int, heads: int, layers: int, norm: str, layer: Layer
    ) -> None:
        super().__init__()
        self.characters = nn.Embedding(characters, width)
        self.places = nn.Embedding(length, width)
        self.transformer = TransformerStack(width, heads, layers, norm=norm, layer=layer)
        self.output = nn.Linear(width, characters)

    def forward(self, x: Tensor) -> Tensor:
        places = self.places(torch.arange(x.shape[1]))
        return self.output(self.transformer(self.characters(x) + places))  # type: ignore[no-any-return]


class SequenceReader(nn.Module):
    """A score for each class, (n, classes), from images, (n, length * inputs), read piece by piece."""

    def __init__(self, length: int, inputs: int, width: int, classes: int, layer: Layer | None) -> None:
        super().__init__()
        self.pieces = nn.Unflatten(1, (length, inputs))
        self.recurrent = LayerNormGRU(inputs, width, layer)
        self.output = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        _, last = self.recurrent(self.pieces(x))
        return self.output(last)  # type: ignore[no-any-return]
