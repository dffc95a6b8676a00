"""Training scripts, good and bad, that the command is tested with."""

GOOD = """
import torch
from torch import nn

def train(trial):
    torch.manual_seed(trial.seed("init"))
    model = nn.Linear(4, 1)
    optimizer = trial.optimizer(model)
    chance = torch.Generator().manual_seed(trial.seed("data"))
    x = torch.randn(64, 4, generator=chance)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]]) + 0.1 * torch.randn(64, 1, generator=chance)
    loss = (model(x) - y).square().mean().item()
    trial.report(valid_loss=loss, test_loss=loss)
    for epoch in trial.epochs(2):
        for _ in range(5):
            loss = (model(x[:32]) - y[:32]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss = (model(x[32:]) - y[32:]).square().mean().item()
        trial.report(valid_loss=loss, test_loss=loss)
"""
LOUD = GOOD.replace("def train(trial):\n", "def train(trial):\n    print('loud')\n")
SLOW = GOOD.replace("def train(trial):\n", "def train(trial):\n    import time\n    time.sleep(0.5)\n")
_IN_EPOCH = "        trial.report(valid_loss=loss"
DIVERGES = GOOD.replace(_IN_EPOCH, _IN_EPOCH.replace("=loss", "=float('nan') if trial.seed('x') % 2 else loss"))
WITHOUT_TRAIN = GOOD.replace("def train(", "def trian(")
SYNTAX_ERROR = "def train(trial:\n    pass\n"
RAISES = GOOD.replace("    model = ", "    raise RuntimeError('no data here')\n    model = ")
NEVER_REPORTS = "\n".join(line for line in GOOD.splitlines() if "report" not in line)
BAD_FORMULA = """
from thalweg.formula import Hyper, Rule

class Mine(Rule):
    lr = Hyper(0.1)

    @staticmethod
    def step(g, lr):
        while g:
            pass
        return lr * g
"""
