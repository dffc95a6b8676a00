"""The data of the digits tasks: scikit-learn's 1,797 handwritten digits of 8x8 pixels, bundled with it.

Source:  E. Alpaydin and C. Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI repository (its test part).
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from .task import Trial, Trials, take_step

if TYPE_CHECKING:  # tasks are listed without torch
    from collections.abc import Callable, Iterator

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


@lru_cache(maxsize=1)
def examples() -> Part:
    """All 1,797 of them."""
    import torch
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    return Part(torch.tensor(images / 16.0, dtype=torch.float32), torch.tensor(classes, dtype=torch.int64))


def load(seed: int | None = None) -> Digits:
    """The data, split (`split`); takes a few milliseconds."""
    every = examples()
    return Digits(*(Part(every.images[own], every.classes[own]) for own in split(every.classes.numpy(), seed)))


def batches(part: Part, size: int, seed: int) -> "Iterator[list[tuple[Tensor, Tensor]]]":
    """Endless epochs, each a list of batches in a new order."""
    import torch

    chance = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(len(part.classes), generator=chance)
        yield [(part.images[chosen], part.classes[chosen]) for chosen in torch.split(order, size)]


def loss(model: "nn.Module", images: "Tensor", classes: "Tensor") -> "Tensor":
    """The mean cross entropy."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(model(images), classes)


def scores(model: "nn.Module", images: "Tensor", classes: "Tensor") -> dict[str, "Tensor"]:
    """Loss and accuracy over a part."""
    from torch.nn.functional import cross_entropy

    given = model(images)
    return {"loss": cross_entropy(given, classes), "accuracy": (given.argmax(1) == classes).double().mean()}


def evaluate(model: "nn.Module", data: Digits) -> dict[str, "Tensor"]:
    """Losses and accuracies over whole parts, under the names in `METRICS`, with the model in evaluation mode."""
    import torch

    model.eval()
    with torch.no_grad():
        values = _named(lambda part: scores(model, part.images, part.classes), data)
    model.train()
    return values


def _named(of: "Callable[[Part], dict[str, Tensor]]", data: Digits) -> dict[str, "Tensor"]:
    parts = {"train": data.train, "valid": data.valid, "test": data.test}
    every = {f"{name}_{kind}": value for name, part in parts.items() for kind, value in of(part).items()}
    return {name: every[name] for name in METRICS}


def fit(trial: Trial, model: "nn.Module", epochs: int, batch: int) -> None:
    """Train a model from images, (n, 64), to a score for each class, (n, 10); report as `statement` says."""
    data = load(trial.seed("split") if trial.splits else None)
    optimizer = trial.optimizer(model)
    shuffled = batches(data.train, batch, trial.seed("data"))
    trial.report(**evaluate(model, data), tests=len(data.test.classes))
    for _ in trial.epochs(epochs, ceil(len(data.train.classes) / batch)):
        for images, classes in next(shuffled):
            take_step(optimizer, partial(loss, model, images, classes))
        for _ in trial.evaluations(model, [data.train.images]):
            trial.report(**evaluate(model, data), tests=len(data.test.classes))


def fit_stack(trials: Trials, make_model: "Callable[[], nn.Module]", epochs: int, batch: int) -> None:
    """As `fit`, of many trainings at once, each with data and an order of its own."""
    import torch

    from thalweg.stacks import rows

    every = examples()
    classes = every.classes.numpy()
    seeds = trials.seeds("split") if trials.splits else [None] * len(trials)
    splits = {seed: split(classes, seed) for seed in {*seeds}}  # all trials of a search have one
    train, valid, test = (torch.tensor(part) for part in zip(*(splits[seed] for seed in seeds), strict=True))
    data = Digits(*(Part(rows(every.images, part), rows(every.classes, part)) for part in (train, valid, test)))
    stack = trials.lockstep(make_model)
    chances = [torch.Generator().manual_seed(seed) for seed in trials.seeds("data")]

    def evaluated() -> dict[str, "Tensor"]:
        return _named(lambda part: stack.evaluate(scores, part.images, part.classes), data)

    trials.report(**evaluated(), tests=test.shape[1])
    for _ in trials.epochs(epochs, ceil(train.shape[1] / batch)):
        order = torch.stack([torch.randperm(train.shape[1], generator=chance) for chance in chances])
        for chosen in torch.split(train.gather(1, order), batch, 1):
            stack.step(loss, rows(every.images, chosen), rows(every.classes, chosen))
        for _ in trials.evaluations():
            trials.report(**evaluated(), tests=test.shape[1])
