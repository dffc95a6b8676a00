import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

from .config import Config


def loaders(config: Config, seed: int) -> tuple[DataLoader, DataLoader, DataLoader]:
    x, y = load_wine(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    x_train, x_rest, y_train, y_rest = train_test_split(x, y, test_size=0.5, random_state=0, stratify=y)
    x_valid, x_test, y_valid, y_test = train_test_split(x_rest, y_rest, test_size=0.5, random_state=0, stratify=y_rest)

    def loader(x, y, shuffle=False) -> DataLoader:
        dataset = TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y))
        generator = torch.Generator().manual_seed(seed)
        return DataLoader(dataset, config.batch_size, shuffle=shuffle, generator=generator)

    return loader(x_train, y_train, shuffle=True), loader(x_valid, y_valid), loader(x_test, y_test)
