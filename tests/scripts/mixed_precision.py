"""Mixed precision: autocast to bfloat16, and the scaler that the same script needs for float16 on a GPU."""

import torch
from sklearn.datasets import load_digits
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
use_amp = True


def train(trial):
    digits = load_digits()
    x = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    y = torch.tensor(digits.target)
    torch.manual_seed(trial.seed("init"))
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)).to(
        device
    )
    opt = trial.optimizer(net.parameters())
    scaler = torch.amp.GradScaler(device, enabled=use_amp)
    loss_fn = nn.CrossEntropyLoss()
    order = torch.Generator().manual_seed(trial.seed("data"))

    def loss_of(rows):
        with torch.autocast(device_type=device, dtype=torch.bfloat16, enabled=use_amp):
            return loss_fn(net(x[rows].to(device)), y[rows].to(device))

    for _ in trial.epochs(2):
        for rows in torch.randperm(960, generator=order).split(48):
            loss = loss_of(rows)
            scaler.scale(loss).backward()
            scaler.unscale_(opt)
            torch.nn.utils.clip_grad_norm_(net.parameters(), max_norm=1.0)
            scaler.step(opt)
            scaler.update()
            opt.zero_grad()
        with torch.no_grad(), trial.evaluation():
            trial.report(valid_loss=loss_of(slice(960, 1360)), test_loss=loss_of(slice(1360, None)))
