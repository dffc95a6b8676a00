"""A training script of one's own, compared fairly:

    thalweg compare examples/own_script.py:train -r sgd,adamw,lion --trials 10 --seeds 5
    thalweg compare examples/own_script.py:train -r adamw --vary norm=none,layer --trials 10 --seeds 5

The loop is any loop. What the comparison needs is that the optimizer comes from the trial, seeds come from the
trial, and each epoch is reported. What the script reads in trial.options, here the norm, can be varied too.
"""

import torch
from sklearn.datasets import load_wine
from torch import nn
from torch.nn.functional import cross_entropy

EPOCHS = 20


def data() -> tuple[torch.Tensor, ...]:
    """178 wines, 13 measurements, 3 growers: a third each for training, validation and test."""
    x, y = load_wine(return_X_y=True)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    inputs, labels = torch.tensor(x, dtype=torch.float32)[order], torch.tensor(y)[order]
    train, valid, test = order.tensor_split(3)
    mean, std = inputs[: len(train)].mean(0), inputs[: len(train)].std(0)
    parts = ((inputs - mean) / std).split([len(train), len(valid), len(test)])
    return (*parts, *labels.split([len(train), len(valid), len(test)]))


def train(trial) -> None:
    x, x_valid, x_test, y, y_valid, y_test = data()
    torch.manual_seed(trial.seed("init"))
    norm = {"none": nn.Identity, "layer": nn.LayerNorm}[trial.options.get("norm", "none")]
    model = nn.Sequential(nn.Linear(13, 16), norm(16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = trial.optimizer(model)
    order = torch.Generator().manual_seed(trial.seed("data"))

    def accuracy(inputs: torch.Tensor, labels: torch.Tensor) -> float:
        return (model(inputs).argmax(1) == labels).float().mean().item()

    for _ in trial.epochs(EPOCHS):
        for batch in torch.randperm(len(y), generator=order).split(16):
            loss = cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        # Schedule-Free rules and averages test other weights than they train: within, these are in place.
        with torch.no_grad(), trial.evaluation():
            trial.report(
                train_loss=loss.item(),
                valid_loss=cross_entropy(model(x_valid), y_valid).item(),
                valid_accuracy=accuracy(x_valid, y_valid),
                test_accuracy=accuracy(x_test, y_test),
            )
