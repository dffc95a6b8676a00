"""An exponential moving average of the weights, by torch's AveragedModel, is what is tested."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

DECAY = 0.95


def train(trial):
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16).float(), torch.tensor(y)
    torch.manual_seed(trial.seed("init"))
    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
    ema_model = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    optimizer = trial.optimizer(model)
    criterion = nn.CrossEntropyLoss()
    order = torch.Generator().manual_seed(trial.seed("data"))

    @torch.no_grad()
    def accuracy(network, part):
        network.eval()
        return (network(x[part]).argmax(1) == y[part]).float().mean()

    for _ in trial.epochs(3):
        model.train()
        for idx in torch.randperm(1000, generator=order).split(40):
            optimizer.zero_grad()
            criterion(model(x[idx]), y[idx]).backward()
            optimizer.step()
            ema_model.update_parameters(model)
        ema_model.train()
        update_bn(x[:1000].split(100), ema_model)
        with trial.evaluation():
            trial.report(
                train_accuracy=accuracy(model, slice(0, 1000)),
                valid_accuracy=accuracy(ema_model, slice(1000, 1400)),
                test_accuracy=accuracy(ema_model, slice(1400, None)),
            )
