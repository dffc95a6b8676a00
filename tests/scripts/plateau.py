"""The learning rate is divided when the validation loss no longer falls."""

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau


def train(trial):
    features, target = load_diabetes(return_X_y=True)
    x = torch.tensor(features / features.std(0)).float()
    y = torch.tensor((target - target.mean()) / target.std()).float().unsqueeze(1)
    (x_train, x_valid, x_test), (y_train, y_valid, y_test) = x.split([260, 90, 92]), y.split([260, 90, 92])

    torch.manual_seed(trial.seed("init"))
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = trial.optimizer(model)
    scheduler = ReduceLROnPlateau(optimizer, mode="min", factor=0.2, patience=1, threshold=0.01)
    order = torch.Generator().manual_seed(trial.seed("data"))
    mse = nn.MSELoss()
    for _ in trial.epochs(10):
        for batch in torch.randperm(len(x_train), generator=order).split(20):
            optimizer.zero_grad()
            mse(model(x_train[batch]), y_train[batch]).backward()
            optimizer.step()
        with torch.no_grad(), trial.evaluation():
            valid_mse, test_mse = mse(model(x_valid), y_valid), mse(model(x_test), y_test)
        scheduler.step(valid_mse)
        trial.report(valid_mse=valid_mse, test_mse=test_mse)
