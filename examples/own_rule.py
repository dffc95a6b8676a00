"""A rule of one's own: ten lines that read like the paper, at the speed of the catalogue's.

python examples/own_rule.py
thalweg compare digits-mlp -r adamw,examples/own_rule.py:SignMomentum --trials 5 --seeds 3
"""

import torch

import thalweg
from thalweg.formula import Hyper, Rule, State, log_uniform, one_minus_log_uniform, sign


@thalweg.optimizer
class SignMomentum(Rule):
    """Steps of one size along the sign of the gradient's average (Bernstein et al. 2018, arXiv:1802.04434)."""

    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    mu = Hyper(0.9, one_minus_log_uniform(5e-3, 0.3, trials=10), below=1.0)
    m = State("average")

    @staticmethod
    def step(g, m, lr, mu):
        m = mu * m + (1 - mu) * g
        return lr * sign(m), m


def main() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(10, 1)
    x, y = torch.randn(256, 10), torch.randn(256, 1)
    optimizer = SignMomentum(model.parameters(), lr=0.01)
    for step in range(200):
        loss = torch.nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step:3d}: loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
