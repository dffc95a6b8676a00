"""A training script of one's own, compared fairly:

    thalweg compare examples/own_script.py:train -r sgd,adamw,lion --trials 17 --seeds 5
    thalweg compare examples/own_script.py:train -r adamw --vary norm=none,layer --trials 17 --seeds 5

The loop is any loop. What the comparison needs is that the optimizer comes from the trial, seeds come from the
trial, also that of the division into training and validation, and each epoch is reported. What the script reads in
trial.options, here the norm, can be varied too.
"""

from math import ceil

import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.nn.functional import cross_entropy

EPOCHS, BATCH = 20, 16


def data(seed: int) -> tuple[torch.Tensor, ...]:
    """178 wines, 13 measurements, 3 growers: a third each for training, validation and test, which is always the same.

    ``seed`` divides the rest into training and validation.
    """
    x, y = load_wine(return_X_y=True)
    *rest, test = torch.randperm(len(y), generator=torch.Generator().manual_seed(0)).tensor_split(3)
    others = torch.cat(rest)
    order = torch.randperm(len(others), generator=torch.Generator().manual_seed(seed))
    parts = (*others[order].tensor_split(2), test)
    inputs, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    mean, std = inputs[parts[0]].mean(0), inputs[parts[0]].std(0)
    return (*((inputs[part] - mean) / std for part in parts), *(labels[part] for part in parts))


def train(trial) -> None:
    x, x_valid, x_test, y, y_valid, y_test = data(trial.seed("split"))
    torch.manual_seed(trial.seed("init"))
    norm = {"none": nn.Identity, "layer": nn.LayerNorm}[trial.options.get("norm", "none")]
    model = nn.Sequential(nn.Linear(13, 16), norm(16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = trial.optimizer(model)
    order = torch.Generator().manual_seed(trial.seed("data"))

    def accuracy(inputs: torch.Tensor, labels: torch.Tensor) -> float:
        return (model(inputs).argmax(1) == labels).float().mean().item()

    for _ in trial.epochs(EPOCHS, steps=ceil(len(y) / BATCH)):
        for batch in torch.randperm(len(y), generator=order).split(BATCH):
            loss = cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        # Schedule-Free rules and averages test other weights than they train: in each round, such are in place.
        for _ in trial.evaluations():
            with torch.no_grad():
                trial.report(
                    train_loss=loss.item(),
                    valid_loss=cross_entropy(model(x_valid), y_valid).item(),
                    valid_accuracy=accuracy(x_valid, y_valid),
                    test_accuracy=accuracy(x_test, y_test),
                    tests=len(y_test),  # so that errors are compared, as ratios
                )
