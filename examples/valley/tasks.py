"""Three small tasks from data that scikit-learn and plotly bring along: study.toml compares fifteen optimizers on them.

tabular      of which continent a country is, from Gapminder's table: 4 numbers to 5 classes.
regression   how long its people live, from the same table: 8 numbers to 1.
autoencoder  handwritten digits of 8x8 pixels through 8 numbers and back.

    thalweg train examples/valley/tasks.py:tabular adam
    thalweg compare examples/valley/tasks.py:tabular -r adam,sgd --trials 9 --seeds 3

Sources:  Gapminder (gapminder.org, CC BY 4.0), 142 countries in 12 years, as plotly has it; E. Alpaydin and C. Kaynak
          1998, "Optical Recognition of Handwritten Digits", as scikit-learn has it.
"""

import csv
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib.resources import files
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from thalweg.stacks import rows

TEST, VALID = 0.4, 0.15  # of all rows; a large test part, since it is what optimizers are told apart by
SPLIT_SEED = 2007


@dataclass(frozen=True)
class Problem:
    """What is learned.

    ``table``   inputs, (n, inputs), and targets, (n,) classes or (n, outputs) values; not yet scaled.
    ``scaled``  which of them are brought to mean 0 and deviation 1.
    ``make``    the network, with weights from torch's generator.
    ``loss``    from the network's outputs and the targets, the mean over the rows.
    """

    table: Callable[[], tuple[np.ndarray, np.ndarray]]
    scaled: tuple[bool, bool]
    make: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    epochs: int
    batch: int

    @property
    def counts(self) -> bool:
        """Whether targets are classes, so that there is an accuracy."""
        return self.loss is cross_entropy


@cache
def held_out(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to test, always the same, and the rest."""
    # RandomState, not Generator: numpy promises that its stream never changes.
    test, rest = np.split(np.random.RandomState(SPLIT_SEED).permutation(count), [round(TEST * count)])
    return test, rest


@lru_cache(maxsize=4)
def scaled(problem: Problem, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Inputs and targets; what is scaled is so by means and deviations of the rows that are not tested."""
    table = problem.table()
    _, rest = held_out(len(table[0]))
    return tuple(
        as_tensor((each - each[rest].mean(0)) / each[rest].std(0) if is_scaled else each, dtype)
        for each, is_scaled in zip(table, problem.scaled, strict=True)
    )


def divided(count: int, seed: int) -> dict[str, Tensor]:
    """Which rows train, validate and test: the last are always the same, the others are divided by the seed."""
    test, rest = held_out(count)
    valid, train = np.split(np.random.RandomState([seed % 2**32, seed >> 32]).permutation(rest), [round(VALID * count)])
    return {name: torch.tensor(rows) for name, rows in (("train", train), ("valid", valid), ("test", test))}


def as_tensor(values: np.ndarray, dtype: torch.dtype) -> Tensor:
    """Classes stay whole numbers."""
    return torch.tensor(values, dtype=torch.int64 if values.dtype.kind == "i" else dtype)


def orders(count: int, size: int, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Endless epochs: for each, the rows of its batches, in a new order; the last batch holds the remainder."""
    chance = torch.Generator().manual_seed(seed)
    while True:
        yield torch.split(torch.randperm(count, generator=chance), size)


def loss_of(problem: Problem, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The mean loss of a model over some rows."""
    return problem.loss(model(inputs), targets)


def values_of(problem: Problem, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The loss over some rows and, of classes, the accuracy: (1,) or (2,)."""
    outputs = model(inputs)
    values = [problem.loss(outputs, targets)]
    if problem.counts:
        values.append((outputs.argmax(-1) == targets).to(outputs.dtype).mean())
    return torch.stack(values)


def named(part: str, values: Tensor) -> dict[str, Tensor]:
    """Values, the last dimension of which is that of `values_of`, by the names that they are reported under."""
    return {f"{part}_{name}": values[..., i] for i, name in enumerate(("loss", "accuracy")[: values.shape[-1]])}


def fit(trial, problem: Problem) -> None:
    """One training."""
    inputs, targets = scaled(problem, torch.get_default_dtype())
    parts = divided(len(targets), trial.seed("split"))
    torch.manual_seed(trial.seed("init"))
    model = problem.make()
    optimizer = trial.optimizer(model)

    def report() -> None:
        values = {}
        with torch.no_grad(), trial.evaluation():
            for name, part in parts.items():
                values |= named(name, values_of(problem, model, inputs[part], targets[part]))
        trial.report(**values, tests=len(parts["test"]) if problem.counts else None)

    report()
    shuffled = orders(len(parts["train"]), problem.batch, trial.seed("data"))
    for _ in trial.epochs(problem.epochs):
        for batch in next(shuffled):
            chosen = parts["train"][batch]
            optimizer.zero_grad()
            loss_of(problem, model, inputs[chosen], targets[chosen]).backward()
            optimizer.step()
        report()


def fit_stack(trials, problem: Problem) -> None:
    """As `fit`, of many trainings at once: each has its own division of the rows, and its own order of them."""
    inputs, targets = scaled(problem, torch.get_default_dtype())
    each = [divided(len(targets), seed) for seed in trials.seeds("split")]
    parts = {name: torch.stack([division[name] for division in each]) for name in each[0]}
    stack = trials.lockstep(problem.make)

    def report() -> None:
        values = {}
        with trials.evaluation():
            for name, part in parts.items():
                found = stack.evaluate(partial(values_of, problem), rows(inputs, part), rows(targets, part))
                values |= named(name, found)
        trials.report(**values, tests=parts["test"].shape[1] if problem.counts else None)

    report()
    shuffled = [orders(parts["train"].shape[1], problem.batch, seed) for seed in trials.seeds("data")]
    for _ in trials.epochs(problem.epochs):
        for batch in map(torch.stack, zip(*map(next, shuffled), strict=True)):
            chosen = parts["train"].gather(1, batch)
            stack.step(partial(loss_of, problem), rows(inputs, chosen), rows(targets, chosen))
        report()


@cache
def gapminder() -> tuple[dict[str, str], ...]:
    """142 countries in every fifth year from 1952 to 2007: 1,704 rows."""
    place = files("plotly") / "package_data" / "datasets" / "gapminder.csv.gz"
    with place.open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8", newline="") as text:
        return tuple(csv.DictReader(text))


def column(name: str) -> np.ndarray:
    """A column of Gapminder's table; what counts people or money by its logarithm."""
    values = np.array([float(row[name]) for row in gapminder()])
    return np.log(values) if name in ("pop", "gdpPercap") else values


def continents() -> np.ndarray:
    """The continent of each row: 0 to 4, in the order of their names."""
    return np.unique([row["continent"] for row in gapminder()], return_inverse=True)[1].astype(np.int64)


@cache
def countries() -> tuple[np.ndarray, np.ndarray]:
    """Year, population, income and length of life; the continent."""
    return np.stack([column(name) for name in ("year", "pop", "gdpPercap", "lifeExp")], axis=1), continents()


@cache
def lives() -> tuple[np.ndarray, np.ndarray]:
    """Year, population, income, and one of five numbers 1 for the continent; length of life, (n, 1)."""
    numbers = np.stack([column(name) for name in ("year", "pop", "gdpPercap")], axis=1)
    return np.concatenate([numbers, np.eye(5)[continents()]], axis=1), column("lifeExp")[:, None]


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 images, (n, 64), in [0, 1]; the same again."""
    from sklearn.datasets import load_digits

    images = load_digits().data / 16.0
    return images, images


def layers(*widths: int, between: Callable[[], nn.Module]) -> nn.Module:
    """Dense layers with biases, PyTorch's initialisation, and a function between every two."""
    made = [[nn.Linear(a, b), between()] for a, b in pairwise(widths)]
    return nn.Sequential(*[each for pair in made for each in pair][:-1])


TABULAR = Problem(countries, (True, False), partial(layers, 4, 64, 64, 5, between=nn.ReLU), cross_entropy, 30, 32)
REGRESSION = Problem(lives, (True, True), partial(layers, 8, 64, 64, 1, between=nn.Tanh), mse_loss, 30, 32)
AUTOENCODER = Problem(digits, (False, False), partial(layers, 64, 32, 8, 32, 64, between=nn.Tanh), mse_loss, 30, 64)


def tabular(trial) -> None:
    """The continent, judged by accuracy on 682 rows; about a third of a second on one core."""
    fit(trial, TABULAR)


def tabular_stack(trials) -> None:
    """Many trainings at once."""
    fit_stack(trials, TABULAR)


def regression(trial) -> None:
    """Length of life, judged by the mean squared error in units of its variance; a third of a second."""
    fit(trial, REGRESSION)


def regression_stack(trials) -> None:
    """Many trainings at once."""
    fit_stack(trials, REGRESSION)


def autoencoder(trial) -> None:
    """Digits through 8 numbers, judged by the mean squared error of a pixel; a fifth of a second."""
    fit(trial, AUTOENCODER)


def autoencoder_stack(trials) -> None:
    """Many trainings at once."""
    fit_stack(trials, AUTOENCODER)
