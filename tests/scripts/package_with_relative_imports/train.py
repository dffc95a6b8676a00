"""python -m package_with_relative_imports.train, once; now compared."""

import torch
from torch.nn.functional import cross_entropy

from . import data
from .config import Config
from .models import build_model


def evaluate(model, loader) -> dict[str, float]:
    model.eval()
    loss = correct = count = 0
    with torch.no_grad():
        for x, y in loader:
            logits = model(x)
            loss += cross_entropy(logits, y, reduction="sum").item()
            correct += (logits.argmax(1) == y).sum().item()
            count += len(y)
    return {"loss": loss / count, "accuracy": correct / count}


def train(trial) -> None:
    config = Config()
    train_loader, valid_loader, test_loader = data.loaders(config, trial.seed("data"))
    torch.manual_seed(trial.seed("init"))
    model = build_model(config, inputs=13, classes=3)
    optimizer = trial.optimizer(model)
    for _ in trial.epochs(config.epochs):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()
        with trial.evaluation():
            found = {"valid": evaluate(model, valid_loader), "test": evaluate(model, test_loader)}
        trial.report(**{f"{split}_{name}": value for split, each in found.items() for name, value in each.items()})
