"""Momentum as a moving average."""

from thalweg.formula import Decay, Hyper, Rule, State, log_uniform, one_minus_log_uniform


class Momentum(Rule):
    """Steps along the moving average of the gradient, the form in which courses teach momentum.

    Source:  Polyak 1964; this form: Lopès-Quintas, "Modern weight updates" (2024), equation (1).
    Departs: torch.optim.SGD keeps a running sum instead. The same path needs lr (1 - momentum) times as large
             there, so the search box is torch's heavy-ball box divided by (1 - momentum).
    """

    year = 1964
    lr = Hyper(0.1, log_uniform(1e-5, 5.0, over="momentum"))
    momentum = Hyper(0.9, one_minus_log_uniform(5e-3, 0.3, trials=10, axis="beta1"), below=1.0)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-7, 1e-3, trials=25))
    v = State("velocity")

    @staticmethod
    def step(g, v, lr, momentum):
        v = momentum * v + (1 - momentum) * g
        return lr * v, v
