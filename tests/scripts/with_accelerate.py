"""A regression with Hugging Face Accelerate, which prepares model, optimizer and loaders."""

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from sklearn.datasets import load_diabetes
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def get_dataloaders(batch_size: int = 32):
    x, y = load_diabetes(return_X_y=True)
    x, y = torch.tensor(x).float(), torch.tensor(y).float()[:, None]
    dataset = TensorDataset(x / x.std(0), (y - y.mean()) / y.std())
    parts = random_split(dataset, [0.6, 0.2, 0.2], generator=torch.Generator().manual_seed(42))
    return [DataLoader(part, batch_size=batch_size, shuffle=part is parts[0]) for part in parts]


def evaluate(accelerator, model, loader):
    model.eval()
    losses = []
    for inputs, targets in loader:
        with torch.no_grad():
            outputs = model(inputs)
        predictions, references = accelerator.gather_for_metrics((outputs, targets))
        losses.append((predictions - references).square())
    return torch.cat(losses).mean().item()


def train(trial):
    accelerator = Accelerator(cpu=True)
    set_seed(trial.seed("init") % 2**32)
    train_dataloader, eval_dataloader, test_dataloader = get_dataloaders()
    model = nn.Sequential(nn.Linear(10, 32), nn.GELU(), nn.Linear(32, 1))
    optimizer = trial.optimizer(model.parameters())
    model, optimizer, train_dataloader, eval_dataloader, test_dataloader = accelerator.prepare(
        model, optimizer, train_dataloader, eval_dataloader, test_dataloader
    )
    for _ in trial.epochs(6):
        model.train()
        for inputs, targets in train_dataloader:
            loss = nn.functional.mse_loss(model(inputs), targets)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            optimizer.zero_grad()
        with trial.evaluation():
            trial.report(
                valid_mse=evaluate(accelerator, model, eval_dataloader),
                test_mse=evaluate(accelerator, model, test_dataloader),
            )
