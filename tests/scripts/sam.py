"""Sharpness-aware minimization around any optimizer: climb to the worst point near by, take the gradient of there."""

import torch
from sklearn.datasets import load_digits
from torch import nn

RHO = 0.05


class SAM:
    """first_step() climbs, second_step() returns and lets the base optimizer step."""

    def __init__(self, base_optimizer, rho=RHO):
        self.base_optimizer, self.rho = base_optimizer, rho
        self.old = {}

    @property
    def params(self):
        return [p for group in self.base_optimizer.param_groups for p in group["params"] if p.grad is not None]

    @torch.no_grad()
    def first_step(self):
        norm = torch.stack([p.grad.norm() for p in self.params]).norm()
        for p in self.params:
            self.old[p] = p.data.clone()
            p.add_(p.grad, alpha=self.rho / (norm.item() + 1e-12))
        self.base_optimizer.zero_grad()

    @torch.no_grad()
    def second_step(self):
        for p in self.params:
            p.data = self.old[p]
        self.base_optimizer.step()
        self.base_optimizer.zero_grad()


def train(trial):
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16).float(), torch.tensor(y)
    torch.manual_seed(trial.seed("init"))
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    criterion = nn.CrossEntropyLoss()
    optimizer = SAM(trial.optimizer(model))
    order = torch.Generator().manual_seed(trial.seed("data"))
    for _ in trial.epochs(4):
        for idx in torch.randperm(1000, generator=order).split(50):
            criterion(model(x[idx]), y[idx]).backward()
            optimizer.first_step()
            criterion(model(x[idx]), y[idx]).backward()
            optimizer.second_step()
        with torch.no_grad(), trial.evaluation():
            trial.report(
                valid_loss=criterion(model(x[1000:1400]), y[1000:1400]),
                test_loss=criterion(model(x[1400:]), y[1400:]),
            )
