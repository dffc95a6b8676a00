"""AdaDelta."""

from thalweg.formula import Decay, Hyper, Rule, State, log_uniform, one_minus_log_uniform, sqrt


class Adadelta(Rule):
    """Divides by the gradient's recent size and multiplies by the steps': needs no lr.

    Source:  Zeiler 2012, arXiv:1212.5701, Algorithm 1.
    Departs: the step is multiplied by lr (1), as in torch.optim.Adadelta; the average of the steps is taken before.
    Search:  docs/comparison.md; the low end holds the defaults of TensorFlow and Keras (lr 1e-3), a thousandth of the
             paper's.
    """

    year = 2012
    family = "adaptive"
    conventions = {
        "torch": {},
        "tf1": {"lr": 1e-3, "rho": 0.95, "eps": 1e-8},
        "keras": {"lr": 1e-3, "rho": 0.95, "eps": 1e-7},
        "optax": {},
        "paper": {"rho": 0.95},
    }
    lr = Hyper(1.0, log_uniform(1e-4, 10.0))
    rho = Hyper(0.9, one_minus_log_uniform(1e-3, 0.5, trials=10, axis="beta2"), below=1.0)
    eps = Hyper(1e-6)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    v = State("square_avg")
    u = State("acc_delta")

    @staticmethod
    def step(g, v, u, lr, rho, eps):
        v = rho * v + (1 - rho) * g * g
        delta = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * delta * delta
        return lr * delta, v, u
