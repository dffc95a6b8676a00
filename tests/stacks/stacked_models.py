"""Small models of every kind that a stack has a form for, and their training: in a stack, and by a plain loop."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import thalweg
import thalweg.nn as ours
from thalweg.nn.recurrent import LayerNormGRU
from thalweg.stacks import Lockstep

Make = Callable[[], nn.Module]
INPUTS, CLASSES = 36, 10


class Recurrent(nn.Module):
    """A recurrent layer over six steps of six numbers, and a linear layer on its last output."""

    def __init__(self, kind: Any, batch_first: bool = True, **options: Any) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.layer = kind(6, 7, batch_first=batch_first, **options)
        self.out = nn.Linear(7 * (1 + self.layer.bidirectional), CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(len(x), 6, 6)
        outputs, _ = self.layer(x if self.batch_first else x.transpose(0, 1))
        return self.out(outputs.mean(1 if self.batch_first else 0))


class NormalisedGRU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = LayerNormGRU(6, 7)
        self.out = nn.Linear(7, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer(x.view(len(x), 6, 6))[1])


class Attention(nn.Module):
    """One head over six tokens, with an embedding of their places."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Embedding(6, 6)
        self.norm = nn.LayerNorm(6)
        # The same added to every key changes nothing: a bias would have a gradient of noise.
        self.query, self.key, self.value = nn.Linear(6, 7), nn.Linear(6, 7, bias=False), nn.Linear(6, 7)
        self.out = nn.Linear(7, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x.view(len(x), 6, 6) + self.place(torch.arange(6)))
        weights = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2) / 7**0.5, -1)
        return self.out((weights @ self.value(x)).mean(1))


class ByHeads(nn.Module):
    """torch's own attention, whose product with the state is torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.MultiheadAttention(6, 2, batch_first=True, bias=False)
        self.out = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(len(x), 6, 6)
        return self.out(self.layer(x, x, x)[0].mean(1))


class Added(nn.Module):
    """A linear layer by torch.addmm, for which a stack has no form: torch's bits depend on how many there are."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(13, CLASSES) / 4), nn.Parameter(torch.zeros(CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x[:, :13], self.weight)


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Linear(36, 36), nn.Linear(36, 36), nn.Linear(36, CLASSES)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.second(torch.tanh(self.first(x)))))


def mlp(activation: Callable[[], nn.Module] = nn.ReLU, widths: Sequence[int] = (13, 7)) -> nn.Module:
    """Layers of odd widths."""
    layers: list[nn.Module] = []
    for width, following in zip((INPUTS, *widths), (*widths, CLASSES), strict=True):
        layers += [nn.Linear(width, following), activation()]
    return nn.Sequential(*layers[:-1])


def normalised(norm: Callable[[int], nn.Module]) -> nn.Module:
    """A norm behind weights without a bias, of which some norms let no gradient through but noise."""
    return nn.Sequential(nn.Linear(INPUTS, 14, bias=False), norm(14), nn.Tanh(), nn.Linear(14, CLASSES))


def cnn(norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 6, 6)),
        nn.Conv2d(1, 6, 3, bias=False),
        norm(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24, CLASSES),
    )


MODELS: Mapping[str, Make] = {
    **{
        f"mlp with {activation.__name__}": partial(mlp, activation)
        for activation in (nn.ReLU, nn.Tanh, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.ELU)
    },
    "dropout": lambda: nn.Sequential(nn.Linear(INPUTS, 13), nn.Dropout(0.3), nn.ReLU(), nn.Linear(13, CLASSES)),
    "BatchNorm1d": partial(normalised, nn.BatchNorm1d),
    "BatchNorm1d of ours": partial(normalised, ours.BatchNorm1d),
    "LayerNorm": partial(normalised, nn.LayerNorm),
    "LayerNorm of ours": partial(normalised, ours.LayerNorm),
    "RMSNorm": partial(normalised, nn.RMSNorm),
    "RMSNorm of ours": partial(normalised, ours.RMSNorm),
    "GroupNorm": partial(normalised, partial(nn.GroupNorm, 7)),
    "cnn": cnn,
    "cnn with BatchNorm2d of ours": partial(cnn, ours.BatchNorm2d),
    "cnn with GroupNorm": partial(cnn, partial(nn.GroupNorm, 3)),
    "Conv1d": lambda: nn.Sequential(
        nn.Unflatten(1, (6, 6)), nn.Conv1d(6, 5, 3, padding=1), nn.GELU(), nn.Flatten(), nn.Linear(30, CLASSES)
    ),
    "RNN": partial(Recurrent, nn.RNN),
    "RNN with relu": partial(Recurrent, nn.RNN, nonlinearity="relu", bias=False),
    "GRU": partial(Recurrent, nn.GRU, batch_first=False),
    "deep GRU": partial(Recurrent, nn.GRU, num_layers=2, bidirectional=True),
    "LSTM": partial(Recurrent, nn.LSTM),
    "deep LSTM": partial(Recurrent, nn.LSTM, batch_first=False, num_layers=2, bidirectional=True),
    "LSTM with dropout": partial(Recurrent, nn.LSTM, num_layers=2, dropout=0.2),
    "GRU with dropout": partial(Recurrent, nn.GRU, num_layers=2, dropout=0.2, batch_first=False),
    "LayerNormGRU": NormalisedGRU,
    "attention": Attention,
    "MultiheadAttention": ByHeads,
    "tied weights": Tied,
    "no form": Added,
}


def loss(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    return functional.cross_entropy(model(images), classes)


def batches(seed: int, steps: int, batch: int, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    """Images, (batch, 36), and their classes, of a member that is known by its seed."""
    chance = torch.Generator().manual_seed(1000 + seed)
    return [
        (
            torch.randn(batch, INPUTS, generator=chance, dtype=dtype),
            torch.randint(0, CLASSES, (batch,), generator=chance),
        )
        for _ in range(steps)
    ]


def in_stack(
    make: Make, rule: Any, settings: Sequence[Mapping[str, Any]], seeds: Sequence[int], *, steps: int = 5,
    batch: int = 5, dtype: torch.dtype = torch.float32, loss: Callable[..., Tensor] = loss,
) -> Lockstep:  # fmt: skip
    """Models with these seeds after so many steps, each on its own batches; with settings by seed."""
    chosen = [settings[seed % len(settings)] for seed in seeds]
    stack = thalweg.lockstep(lambda: make().to(dtype), rule, settings=chosen, seeds=seeds)
    for each in zip(*(batches(seed, steps, batch, dtype) for seed in seeds), strict=True):
        stack.step(loss, *map(torch.stack, zip(*each, strict=True)))
    return stack


def by_a_plain_loop(
    make: Make, optimizer: Callable[..., torch.optim.Optimizer], settings: Sequence[Mapping[str, Any]], seed: int, *,
    steps: int = 5, batch: int = 5, dtype: torch.dtype = torch.float32, loss: Callable[..., Tensor] = loss,
) -> tuple[nn.Module, torch.optim.Optimizer]:  # fmt: skip
    """The single training of the member with this seed, as anybody writes it."""
    torch.manual_seed(seed)
    model = make().to(dtype)
    stepped = optimizer(model.parameters(), **settings[seed % len(settings)])
    for images, classes in batches(seed, steps, batch, dtype):
        stepped.zero_grad()
        loss(model, images, classes).backward()
        stepped.step()
    return model, stepped


def difference(model: nn.Module, other: nn.Module) -> float:
    """The largest of the difference of two models' weights and buffers, in units of each tensor's largest number."""
    mine, theirs = model.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    return max(
        float((x.double() - theirs[name].double()).abs().max() / x.double().abs().max().clamp(min=1e-30))
        for name, x in mine.items()
    )


def same_bits(model: nn.Module, other: nn.Module) -> bool:
    mine, theirs = model.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(x, theirs[name]) for name, x in mine.items())
