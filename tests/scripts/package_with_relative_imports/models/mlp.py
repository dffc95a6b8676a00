from itertools import pairwise

from torch import nn

from ..config import Config


class Residual(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x):
        return x + self.block(x)


def build_model(config: Config, inputs: int, classes: int) -> nn.Module:
    widths = [config.hidden] * config.depth
    blocks = [Residual(nn.Sequential(nn.LayerNorm(a), nn.Linear(a, b), nn.ReLU())) for a, b in pairwise(widths)]
    return nn.Sequential(nn.Linear(inputs, config.hidden), *blocks, nn.Linear(config.hidden, classes))
