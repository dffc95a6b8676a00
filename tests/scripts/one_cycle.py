"""Super-convergence: the learning rate goes up and down once, to a maximum of the script's own, momentum against it."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 3


def train(trial):
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16).float(), torch.tensor(y)
    generator = torch.Generator().manual_seed(trial.seed("data"))
    loader = DataLoader(TensorDataset(x[:1000], y[:1000]), batch_size=50, shuffle=True, generator=generator)
    torch.manual_seed(trial.seed("init"))
    model = nn.Sequential(nn.Linear(64, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, 10))
    optimizer = trial.optimizer(model)
    scheduler = OneCycleLR(optimizer, max_lr=0.01, epochs=EPOCHS, steps_per_epoch=len(loader))
    for _ in trial.epochs(EPOCHS):
        model.train()
        for inputs, targets in loader:
            loss = nn.functional.cross_entropy(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        model.eval()
        with torch.no_grad(), trial.evaluation():
            trial.report(
                train_loss=loss,
                valid_loss=nn.functional.cross_entropy(model(x[1000:1400]), y[1000:1400]),
                test_loss=nn.functional.cross_entropy(model(x[1400:]), y[1400:]),
            )
