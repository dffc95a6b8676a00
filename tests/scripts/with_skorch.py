"""A network as a scikit-learn classifier, by skorch: who grew this wine?"""

import numpy as np
import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn
from torch.nn import functional as F


class MyModule(nn.Module):
    def __init__(self, num_units=20, nonlin=F.relu):
        super().__init__()
        self.dense0 = nn.Linear(13, num_units)
        self.nonlin = nonlin
        self.dropout = nn.Dropout(0.1)
        self.dense1 = nn.Linear(num_units, 3)

    def forward(self, X):
        X = self.dropout(self.nonlin(self.dense0(X)))
        return torch.softmax(self.dense1(X), dim=-1)


class ReportToTrial(Callback):
    def __init__(self, trial, X_test, y_test):
        self.trial, self.X_test, self.y_test = trial, X_test, y_test

    def on_epoch_end(self, net, **kwargs):
        row = net.history[-1]
        self.trial.report(
            train_loss=row["train_loss"],
            valid_loss=row["valid_loss"],
            valid_accuracy=row["valid_acc"],
            test_accuracy=net.score(self.X_test, self.y_test),
        )


def train(trial):
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    X_train, X_test, y_train, y_test = train_test_split(X, y.astype(np.int64), test_size=0.25, random_state=0)
    torch.manual_seed(trial.seed("init"))
    net = NeuralNetClassifier(
        MyModule,
        optimizer=trial.optimizer,
        max_epochs=8,
        batch_size=16,
        iterator_train__shuffle=True,
        train_split=ValidSplit(0.3, random_state=0, stratified=True),
        callbacks=[("report", ReportToTrial(trial, X_test, y_test))],
        verbose=0,
    )
    net.fit(X_train, y_train)
