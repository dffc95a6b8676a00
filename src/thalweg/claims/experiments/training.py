"""Many trainings of small networks on the digits: what most claims are measured on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import log
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thalweg.stacks import Lockstep, lockstep, rows
from thalweg.tasks.digits import Digits, load

Array = NDArray[np.float64]
Settings = Mapping[str, Any]

# Members of one stack: more gain nothing.
LARGEST = 64
# The loss of a network that says nothing, of 10 classes. A training that diverges counts as no better.
CHANCE = log(10)


@dataclass(frozen=True)
class Trained:
    """What came of trainings, for each of the settings and seeds. Losses above `CHANCE`, and nan, are cut to it.

    ``batch_loss``  of each step's batch, before the step: (settings, seeds, steps).
    ``train_loss``, ``test_loss``, ``test_error``  over the whole parts in the end: (settings, seeds).
    """

    batch_loss: Array
    train_loss: Array
    test_loss: Array
    test_error: Array

    def steps_to(self, loss: float, window: int = 10) -> Array:
        """`steps_to` of each training: (settings, seeds)."""
        return steps_to(self.batch_loss, loss, window)


def steps_to(batch_loss: Array, loss: float, window: int = 10) -> Array:
    """After how many steps the mean loss of a window of batches is at most ``loss``, from losses (..., steps).

    As many steps as there are, where that never happens.
    """
    sums = np.cumsum(batch_loss, axis=-1)
    sums[..., window:] -= sums[..., :-window].copy()
    means = sums[..., window - 1 :] / window
    first = (means <= loss).argmax(-1) + window
    steps: Array = np.where((means <= loss).any(-1), first, batch_loss.shape[-1]).astype(np.float64)
    return steps


def train(
    make_model: Callable[[], nn.Module],
    rule: str | type,
    settings: Sequence[Settings],
    seeds: Sequence[int],
    *,
    steps: int,
    batch: int = 64,
    examples: int | None = None,
    wrong: float = 0.0,
    each_step: Callable[[Lockstep, int], None] | None = None,
) -> Trained:
    """Train a network, made after torch.manual_seed(seed), with each of the settings from each of the seeds.

    ``rule``       as `thalweg.lockstep` takes it, with its settings.
    ``batch``      examples of a step, drawn without replacement, in a new order each epoch, by the seed: the same
                   order for all settings.
    ``examples``   how many of the training part's; all 1,078 unless given. Which ones, the seed says.
    ``wrong``      the share of these whose class is replaced by another one, both by the seed.
    ``each_step``  called with the stack after each step, and which step it was, from 0.
    """
    members = [(setting, seed) for setting in settings for seed in seeds]
    parts = [
        _train(make_model, rule, members[start : start + LARGEST], steps, batch, examples, wrong, each_step)
        for start in range(0, len(members), LARGEST)
    ]
    shape = len(settings), len(seeds)
    return Trained(*(np.concatenate(each).reshape(*shape, *each[0].shape[1:]) for each in zip(*parts, strict=True)))


class OnTheWay:
    """The loss over the training part after every so many steps of one stack: an ``each_step`` of `train`."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._losses: list[Tensor] = []

    def __call__(self, stack: Lockstep, step: int) -> None:
        if (step + 1) % self._every == 0:
            train = digits().train
            count = len(stack)
            images, classes = train.images.expand(count, -1, -1), train.classes.expand(count, -1)
            self._losses.append(stack.evaluate(_loss, images, classes))

    @property
    def losses(self) -> Array:
        """So far, cut as those of `Trained`: (members, points)."""
        return cut(torch.stack(self._losses, 1))

    @property
    def steps(self) -> list[float]:
        """After how many steps each was measured: (points)."""
        return [float(self._every * (k + 1)) for k in range(len(self._losses))]


def to_zero(steps: int) -> Callable[[Lockstep, int], None]:
    """For `train`, each step: learning rates that fall to 0, by as much at every one of ``steps``.

    What a training ends with then depends less on its last batches.
    """

    def lower(stack: Lockstep, step: int) -> None:
        for optimizer in stack.optimizers:
            for group in optimizer.param_groups:
                group["lr"] *= 1 - 1 / (steps - step)

    return lower


def best(values: Array) -> int:
    """The setting with the least mean over the seeds, from (settings, seeds)."""
    return int(values.mean(1).argmin())


def _train(
    make_model: Callable[[], nn.Module],
    rule: str | type,
    members: Sequence[tuple[Settings, int]],
    steps: int,
    batch: int,
    examples: int | None,
    wrong: float,
    each_step: Callable[[Lockstep, int], None] | None,
) -> tuple[Array, Array, Array, Array]:
    data = digits()
    settings, seeds = zip(*members, strict=True)
    stack = lockstep(make_model, rule, settings=settings, seeds=seeds)
    orders = [_Order(len(data.train.classes), examples, seed) for seed in seeds]
    classes = torch.stack([order.mislabelled(data.train.classes, wrong) for order in orders])
    losses = []
    for step in range(steps):
        index = torch.stack([order.following(batch) for order in orders])
        losses.append(stack.step(_loss, rows(data.train.images, index), classes.gather(1, index)))
        if each_step:
            each_step(stack, step)
    # On the examples that each was trained on.
    kept = torch.stack([order.kept for order in orders])
    trained = stack.evaluate(_scores, rows(data.train.images, kept), classes.gather(1, kept))
    count = len(members)
    tested = stack.evaluate(_scores, data.test.images.expand(count, -1, -1), data.test.classes.expand(count, -1))
    batch_loss = torch.stack(losses, 1)
    return cut(batch_loss), cut(trained[:, 0]), cut(tested[:, 0]), tested[:, 1].double().numpy()


class _Order:
    """Endless epochs over some examples, in a new order each."""

    def __init__(self, count: int, examples: int | None, seed: int) -> None:
        self._chance = torch.Generator().manual_seed(seed)
        self.kept = torch.randperm(count, generator=self._chance)[:examples]
        self._left = self.kept[:0]

    def mislabelled(self, classes: Tensor, wrong: float) -> Tensor:
        """Classes, (n,), of which a share among those kept is replaced by another of the ten."""
        chance = torch.Generator().manual_seed(self._chance.initial_seed() + 1)
        chosen = self.kept[: round(wrong * len(self.kept))]
        moved = torch.randint(1, 10, chosen.shape, generator=chance)
        return classes.index_copy(0, chosen, (classes[chosen] + moved) % 10)

    def following(self, size: int) -> Tensor:
        """The examples of the next batch: of the next epoch where this one has too few left."""
        if len(self._left) < size:
            self._left = self.kept[torch.randperm(len(self.kept), generator=self._chance)]
        batch, self._left = self._left[:size], self._left[size:]
        return batch


@lru_cache(maxsize=1)
def digits() -> Digits:
    """Images, (n, 64), and classes; brought to mean 0 and deviation 1, over all pixels of the training part."""
    data = load()
    mean, sd = data.train.images.mean(), data.train.images.std()
    return Digits(*(replace(part, images=(part.images - mean) / sd) for part in (data.train, data.valid, data.test)))


def mlp(
    *,
    width: int = 64,
    hidden: int = 1,
    activation: Callable[[], nn.Module] = nn.ReLU,
    norm: Callable[[int], nn.Module] | None = None,
) -> nn.Module:
    """A fully connected network, 64 pixels to 10 classes. ``norm`` makes a layer before each activation."""
    layers: list[nn.Module] = []
    inputs = 64
    for _ in range(hidden):
        layers.append(nn.Linear(inputs, width))
        if norm:
            layers.append(norm(width))
        layers.append(activation())
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 10))


def _loss(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    return cross_entropy(model(images), classes)


def _scores(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Loss and share of errors, (2,)."""
    outputs = model(images)
    return torch.stack([cross_entropy(outputs, classes), (outputs.argmax(1) != classes).float().mean()])


def cut(losses: Tensor) -> Array:
    """Losses above `CHANCE`, and nan, as `CHANCE`."""
    return losses.double().nan_to_num(CHANCE).clamp(max=CHANCE).numpy()
