"""A multilayer perceptron on a table: is a tumour benign? Batches from a DataLoader, metrics from scikit-learn."""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 4
BATCH_SIZE = 32


class TumourNet(nn.Module):
    def __init__(self, features: int, hidden: int = 32, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )

    def forward(self, x):
        return self.layers(x).squeeze(-1)


def load_data():
    x, y = load_breast_cancer(return_X_y=True)
    x_train, x_rest, y_train, y_rest = train_test_split(x, y, test_size=0.4, stratify=y, random_state=0)
    x_valid, x_test, y_valid, y_test = train_test_split(x_rest, y_rest, test_size=0.5, stratify=y_rest, random_state=0)
    scaler = StandardScaler().fit(x_train)

    def dataset(x, y):
        return TensorDataset(torch.tensor(scaler.transform(x)).float(), torch.tensor(y).float())

    return dataset(x_train, y_train), dataset(x_valid, y_valid), dataset(x_test, y_test)


@torch.no_grad()
def evaluate(model, dataset):
    model.eval()
    x, y = dataset.tensors
    logits = model(x)
    loss = nn.functional.binary_cross_entropy_with_logits(logits, y)
    return loss.item(), roc_auc_score(y.numpy(), logits.sigmoid().numpy())


def train(trial):
    train_set, valid_set, test_set = load_data()
    torch.manual_seed(trial.seed("init"))
    model = TumourNet(train_set.tensors[0].shape[1])
    optimizer = trial.optimizer(model)
    criterion = nn.BCEWithLogitsLoss()
    shuffle = torch.Generator().manual_seed(trial.seed("data"))
    loader = DataLoader(train_set, batch_size=BATCH_SIZE, shuffle=True, generator=shuffle, drop_last=True)

    for _ in trial.epochs(EPOCHS):
        model.train()
        running = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            running += loss.item()
        with trial.evaluation():
            valid_loss, valid_auc = evaluate(model, valid_set)
            test_loss, test_auc = evaluate(model, test_set)
        trial.report(
            train_loss=running / len(loader),
            valid_loss=valid_loss,
            valid_auc=valid_auc,
            test_loss=test_loss,
            test_auc=test_auc,
        )
