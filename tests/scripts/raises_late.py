"""A training that gives up by an exception of its own when the loss has risen in the second epoch."""

import torch
from sklearn.datasets import load_diabetes
from torch import nn


class TrainingDiverged(RuntimeError):
    pass


def train(trial):
    x, y = load_diabetes(return_X_y=True)
    x, y = torch.tensor(x / x.std(0)).float(), torch.tensor(y).float()
    y = (y - y.mean()) / y.std()
    torch.manual_seed(trial.seed("init"))
    model = nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 1), nn.Flatten(0))
    optimizer = trial.optimizer(model)
    criterion = nn.MSELoss()
    order = torch.Generator().manual_seed(trial.seed("data"))

    def loss_of(part):
        with torch.no_grad():
            return criterion(model(x[part]), y[part]).item()

    trial.report(valid_loss=loss_of(slice(260, 350)), test_loss=loss_of(slice(350, None)))
    for epoch in trial.epochs(5):
        for batch in torch.randperm(260, generator=order).split(26):
            optimizer.zero_grad()
            loss = criterion(model(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
        if epoch == 1 and not loss_of(slice(0, 260)) < 1.5:  # also when it is nan
            raise TrainingDiverged(f"loss {loss.item():.3g} in epoch {epoch}, stopping")
        with trial.evaluation():
            trial.report(valid_loss=loss_of(slice(260, 350)), test_loss=loss_of(slice(350, None)))
