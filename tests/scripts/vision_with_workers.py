"""A small convolutional network on images of digits, which worker processes load and augment."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Digits(Dataset):
    """8x8 grey images; those for training are moved by up to a pixel each time."""

    def __init__(self, images, labels, augment=False):
        self.images, self.labels, self.augment = images, labels, augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = torch.from_numpy(self.images[index])[None]
        if self.augment:
            down, right = torch.randint(-1, 2, (2,)).tolist()
            image = torch.roll(image, (down, right), (1, 2))
        return image, int(self.labels[index])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return F.log_softmax(self.fc(x.flatten(1)), dim=1)


def accuracy(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for images, labels in loader:
            correct += (model(images).argmax(1) == labels).sum().item()
    return correct / len(loader.dataset)


def train(trial):
    digits = load_digits()
    images, labels = (digits.images / 16).astype(np.float32), digits.target
    parts = [slice(0, 800), slice(800, 1200), slice(1200, None)]
    train_set, valid_set, test_set = (Digits(images[p], labels[p], augment=p.start == 0) for p in parts)

    torch.manual_seed(trial.seed("init"))
    model = Net()
    optimizer = trial.optimizer(model)
    generator = torch.Generator().manual_seed(trial.seed("data"))
    train_loader = DataLoader(
        train_set, batch_size=64, shuffle=True, num_workers=2, persistent_workers=True, generator=generator
    )
    valid_loader = DataLoader(valid_set, batch_size=400)
    test_loader = DataLoader(test_set, batch_size=400)

    for _ in trial.epochs(2):
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = F.nll_loss(model(images), labels)
            loss.backward()
            optimizer.step()
        with trial.evaluation():
            trial.report(valid_accuracy=accuracy(model, valid_loader), test_accuracy=accuracy(model, test_loader))
