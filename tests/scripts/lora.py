"""Low-rank adapters, written by hand: a network that knows even digits learns all of them, its own weights frozen."""

import math

import torch
from sklearn.datasets import load_digits
from torch import nn


class LoRALinear(nn.Module):
    def __init__(self, base: nn.Linear, r: int = 4, alpha: int = 8):
        super().__init__()
        self.base = base
        self.lora_A = nn.Parameter(torch.empty(r, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, r))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.scaling = alpha / r

    def forward(self, x):
        return self.base(x) + self.scaling * (x @ self.lora_A.T @ self.lora_B.T)


def pretrain(model, x, y, steps=60):
    """What a checkpoint would bring."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def add_adapters(model):
    for p in model.parameters():
        p.requires_grad = False
    for name, module in list(model.named_children()):
        if isinstance(module, nn.Linear):
            setattr(model, name, LoRALinear(module))
    return model


def train(trial):
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16).float(), torch.tensor(y)
    even = torch.arange(1000)[y[:1000] % 2 == 0]
    torch.manual_seed(trial.seed("init"))
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 10))
    pretrain(model, x[even], y[even])
    add_adapters(model)
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = trial.optimizer(trainable)
    order = torch.Generator().manual_seed(trial.seed("data"))

    @torch.no_grad()
    def accuracy(part):
        return (model(x[part]).argmax(1) == y[part]).float().mean().item()

    trial.report(valid_accuracy=accuracy(slice(1000, 1400)), test_accuracy=accuracy(slice(1400, None)))
    for _ in trial.epochs(4):
        for batch in torch.randperm(1000, generator=order).split(50):
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with trial.evaluation():
            trial.report(valid_accuracy=accuracy(slice(1000, 1400)), test_accuracy=accuracy(slice(1400, None)))
