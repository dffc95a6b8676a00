"""RMSProp."""

from thalweg.formula import Decay, Hyper, Rule, State, Switch, log_uniform, one_minus_log_uniform, sqrt


class RMSprop(Rule):
    """Divides the gradient by the root of its recent mean square: AdaGrad with a memory that fades.

    Source:  Hinton, Srivastava & Swersky 2012, "Neural networks for machine learning", lecture 6e.
             centered: Graves 2013, arXiv:1308.0850, equation 38.
    Departs: as torch.optim.RMSprop: eps outside the root, no bias correction (the first step is
             1 / sqrt(1 - alpha) times lr), lr outside the momentum.
    """

    year = 2012
    lr = Hyper(1e-2, log_uniform(1e-5, 1e-1))
    alpha = Hyper(0.99, one_minus_log_uniform(1e-3, 0.5, trials=10, axis="beta2"), below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    momentum = Hyper(0.0)
    centered = Switch(False)
    v = State("square_avg")
    b = State("momentum_buffer", when="momentum")
    mean = State("grad_avg", when="centered")

    @staticmethod
    def step(g, v, b, mean, lr, alpha, eps, momentum, centered):
        v = alpha * v + (1 - alpha) * g * g
        if centered:
            mean = alpha * mean + (1 - alpha) * g
        scaled = g / (sqrt(v - mean * mean if centered else v) + eps)
        if momentum:
            b = momentum * b + scaled
        d = lr * (b if momentum else scaled)
        return d, v, b, mean
