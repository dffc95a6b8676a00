"""Signum."""

from thalweg.formula import Decay, Hyper, Rule, State, choice, log_uniform, sign


class Signum(Rule):
    """Steps of one size, in the direction of the sign of the average gradient.

    Source:  Bernstein et al. 2018, arXiv:1802.04434, Algorithm 2; with momentum = 0 its signSGD.
    Departs: nothing. sign(0) is 0.
    """

    year = 2018
    family = "sign"
    lr = Hyper(1e-4, log_uniform(1e-6, 1e-2))
    momentum = Hyper(0.9, choice(0.9, 0.95, trials=10, axis="beta1"), below=1.0)
    weight_decay = Decay("decoupled", 0.0, log_uniform(1e-2, 10.0, trials=25))
    m = State("exp_avg")

    @staticmethod
    def step(g, m, lr, momentum):
        m = momentum * m + (1 - momentum) * g
        return lr * sign(m), m
