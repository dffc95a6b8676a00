"""Momentum as a moving average."""

from thalweg.formula import Decay, Hyper, Rule, State, Switch, log_uniform, one_minus_log_uniform


class Momentum(Rule):
    """Steps along the moving average of the gradient, as courses teach momentum.

    Source:  Polyak 1964; this form: Lopès-Quintas, "Modern weight updates" (2024), equation (1).
    Departs: heavy_ball keeps the running sum instead, as Polyak, torch.optim.SGD and TensorFlow 1 do. The same path
             needs lr (1 - momentum) times as large there, so the search box is the heavy-ball box divided by
             (1 - momentum); thalweg.conventions converts.
    """

    year = 1964
    family = "momentum"
    conventions = {
        "torch": {"lr": 1e-3, "heavy_ball": True},
        "tf1": {"lr": 1e-2, "momentum": 0.99, "heavy_ball": True},
        "optax": {"lr": 1e-3, "heavy_ball": True},
        "paper": {"heavy_ball": True},
    }
    lr = Hyper(0.1, log_uniform(1e-5, 5.0, over="momentum"))
    momentum = Hyper(0.9, one_minus_log_uniform(5e-3, 0.3, trials=10, axis="beta1"), below=1.0)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-7, 1e-3, trials=25))
    heavy_ball = Switch(False)
    v = State("velocity")

    @staticmethod
    def step(g, v, lr, momentum, heavy_ball):
        v = momentum * v + (g if heavy_ball else (1 - momentum) * g)
        return lr * v, v
