"""How much of a result is the seed? 64 trainings of one network in some seconds: python examples/many_seeds.py"""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import thalweg
from thalweg.stacks import rows
from thalweg.tasks.digits import load

SEEDS, EPOCHS, BATCH = 64, 20, 64


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def loss(model: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    return cross_entropy(model(images), classes)


def accuracy(model: nn.Module, images: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    return (model(images).argmax(1) == classes).double().mean()


torch.set_num_threads(1)  # what there is to do in a step is too little to be shared
data = load()
stack = thalweg.lockstep(make_model, "adamw", settings=[{"lr": 3e-3}], seeds=range(SEEDS))
chances = [torch.Generator().manual_seed(seed) for seed in range(SEEDS)]
for _ in range(EPOCHS):
    order = torch.stack([torch.randperm(len(data.train.classes), generator=chance) for chance in chances])
    for index in order.split(BATCH, 1):
        stack.step(loss, rows(data.train.images, index), rows(data.train.classes, index))

every = (data.test.images.expand(SEEDS, -1, -1), data.test.classes.expand(SEEDS, -1))
found = stack.evaluate(accuracy, *every)
print(f"test accuracy of {SEEDS} trainings that differ in their seeds: {found.mean():.2%}, deviation {found.std():.2%}")
print(f"the best of them {found.max():.2%}, the worst {found.min():.2%}")
