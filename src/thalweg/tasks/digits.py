"""The data of the digits tasks: scikit-learn's 1,797 handwritten digits of 8x8 pixels, bundled with it.

Source:  E. Alpaydin and C. Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI repository (its test part).
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from .task import Trial, take_step

if TYPE_CHECKING:  # tasks are listed without torch
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor, nn

SPLIT_SEED = 1797
METRICS = ("train_loss", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy")


def statement(batch: str) -> str:
    """What the digits tasks have in common, in words; ``batch`` says how large theirs are."""
    return (
        "Data: scikit-learn's digits, 1,797 images of 8x8 pixels in 10 classes; pixels divided by 16, so in [0, 1]. "
        "Split class by class: numpy RandomState(1797) permutes each class, classes in order; "
        "the first 60% (rounded) train, the next 20% validate, the rest test. In a comparison the first two are "
        "divided anew, by a RandomState of the run's seed for the split (its lower and its upper 32 bits), which "
        "permutes what they hold of each class: the trials of a search have one such split, each re-run its own. "
        f"Loss: cross entropy, mean over the batch. Batches of {batch} without replacement, reshuffled each epoch; "
        "the last batch holds the remainder. Losses and accuracies are over the whole of each part, "
        "before training and after each epoch."
    )


@dataclass(frozen=True)
class Part:
    """Images, float32 of shape (n, 64) in [0, 1], and classes, int64 of shape (n,)."""

    images: "Tensor"
    classes: "Tensor"


@dataclass(frozen=True)
class Digits:
    """The three parts of the data."""

    train: Part
    valid: Part
    test: Part


def split(classes: "NDArray[np.int64]", seed: int | None = None) -> tuple[list[int], list[int], list[int]]:
    """Indices of the train, validation and test examples: 60/20/20 within every class. The last are always the same.

    ``seed``  by which the first two are divided, 64 bits; None: as they always were.
    """
    # RandomState, not Generator: numpy promises that its stream never changes.
    chance = np.random.RandomState(SPLIT_SEED)
    anew = None if seed is None else np.random.RandomState([seed % 2**32, seed >> 32])
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for digit in range(10):
        order = chance.permutation(np.flatnonzero(classes == digit))
        first, second = round(0.6 * len(order)), round(0.8 * len(order))
        if anew:
            order[:second] = anew.permutation(order[:second])
        for part, chosen in zip(parts, (order[:first], order[first:second], order[second:]), strict=True):
            part.extend(int(i) for i in chosen)
    return parts


def load(seed: int | None = None) -> Digits:
    """The data, split (`split`); takes a few milliseconds."""
    import torch
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    scaled = torch.tensor(images / 16.0, dtype=torch.float32)
    labels = torch.tensor(classes, dtype=torch.int64)
    train, valid, test = (Part(scaled[chosen], labels[chosen]) for chosen in split(classes, seed))
    return Digits(train, valid, test)


def batches(part: Part, size: int, seed: int) -> "Iterator[list[tuple[Tensor, Tensor]]]":
    """Endless epochs, each a list of batches in a new order."""
    import torch

    chance = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(part.classes), generator=chance)
        yield [(part.images[chosen], part.classes[chosen]) for chosen in torch.split(order, size)]


def evaluate(model: "nn.Module", data: Digits) -> dict[str, float]:
    """Losses and accuracies over whole parts, under the names in `METRICS`, with the model in evaluation mode."""
    import torch
    from torch.nn.functional import cross_entropy

    found: dict[str, float] = {}
    model.eval()
    with torch.no_grad():
        for name, part in (("train", data.train), ("valid", data.valid), ("test", data.test)):
            scores = model(part.images)
            found[f"{name}_loss"] = float(cross_entropy(scores, part.classes))
            found[f"{name}_accuracy"] = float((scores.argmax(1) == part.classes).double().mean())
    model.train()
    return {name: found[name] for name in METRICS}


def fit(trial: Trial, model: "nn.Module", epochs: int, batch: int) -> None:
    """Train a model from images, (n, 64), to a score for each class, (n, 10); report as `statement` says."""
    from torch.nn.functional import cross_entropy

    data = load(trial.seed("split") if trial.splits else None)
    optimizer = trial.optimizer(model)
    shuffled = batches(data.train, batch, trial.seed("data"))
    trial.report(**evaluate(model, data), tests=len(data.test.classes))

    def loss(images: "Tensor", classes: "Tensor") -> "Tensor":
        return cross_entropy(model(images), classes)

    for _ in trial.epochs(epochs):
        for images, classes in next(shuffled):
            take_step(optimizer, partial(loss, images, classes))
        with trial.evaluation():
            trial.report(**evaluate(model, data), tests=len(data.test.classes))
