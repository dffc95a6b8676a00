"""Gradients of several small batches added up before each step."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

MICRO_BATCH = 16
ACCUMULATION_STEPS = 4


def train(trial):
    x, y = load_digits(return_X_y=True)
    dataset = TensorDataset(torch.tensor(x / 16).float(), torch.tensor(y))
    fixed = torch.Generator().manual_seed(0)
    train_set, valid_set, test_set, _ = random_split(dataset, [800, 300, 300, len(dataset) - 1400], generator=fixed)
    generator = torch.Generator().manual_seed(trial.seed("data"))
    train_loader = DataLoader(train_set, batch_size=MICRO_BATCH, shuffle=True, generator=generator)

    torch.manual_seed(trial.seed("init"))
    model = nn.Sequential(nn.Linear(64, 32), nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = trial.optimizer(model)
    loss_fn = nn.CrossEntropyLoss()

    def evaluate(subset):
        inputs, labels = next(iter(DataLoader(subset, batch_size=len(subset))))
        logits = model(inputs)
        return loss_fn(logits, labels), (logits.argmax(1) == labels).float().mean()

    for _ in trial.epochs(3):
        optimizer.zero_grad()
        for i, (inputs, labels) in enumerate(train_loader):
            loss = loss_fn(model(inputs), labels) / ACCUMULATION_STEPS
            loss.backward()
            if (i + 1) % ACCUMULATION_STEPS == 0 or i + 1 == len(train_loader):
                optimizer.step()
                optimizer.zero_grad()
        with torch.no_grad(), trial.evaluation():
            (valid_loss, valid_acc), (test_loss, test_acc) = evaluate(valid_set), evaluate(test_set)
        trial.report(valid_loss=valid_loss, valid_acc=valid_acc, test_loss=test_loss, test_acc=test_acc)
