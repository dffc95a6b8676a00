"""Amos with one second moment a tensor: totals and numbers that are kept. Written from the documentation alone.

thalweg show examples/amos.py:Amos
"""

import thalweg
from thalweg.formula import Hyper, Rule, Scalar, Sum, log_uniform, maximum, one_minus_log_uniform, sqrt


@thalweg.optimizer
class Amos(Rule):
    """Decays weights as it learns how large they should become; every slot is one number a tensor.

    Source:  Tian & Parikh 2022, arXiv:2210.11693, Algorithm 1, from memory, with the mean square over the whole tensor:
             gamma = c lr^2 mean(g^2) / v_hat;  w <- w - d (lr eta g / sqrt(v_hat) + gamma w / 2);
             b <- b + gamma (1 + b);  c = (1 + p b)^(-1/2), d = 1 / (1 + q b), both with the b before.
    Departs: the paper's xi is called lr, so that schedulers find it; eta is one number for all tensors, and p and q are
             constants. eps stands under the root.
    """

    year = 2022
    family = "adaptive"
    lr = Hyper(1e-2, log_uniform(1e-4, 1e-1))
    beta = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25, axis="beta2"), below=1.0)
    eta = Hyper(1.0)
    p = Hyper(0.25)
    q = Hyper(0.25)
    eps = Hyper(1e-18)
    v = Scalar(0.0, "tensor")
    b = Scalar(0.0, "tensor")
    squares = Sum("tensor")
    count = Sum("tensor")

    @staticmethod
    def sums(g):
        return {"squares": g * g, "count": 1}

    @staticmethod
    def after(t, squares, count, v, b, lr, beta, eta, p, q, eps):
        mean = squares / maximum(count, 1)
        v = beta * v + (1 - beta) * mean
        v_hat = v / (1 - beta**t) + eps
        gamma = (1 + p * b) ** -0.5 * lr**2 * mean / v_hat
        shrink = 1 / (1 + q * b)
        return {
            "along": shrink * lr * eta / sqrt(v_hat),
            "decay": shrink * 0.5 * gamma,
            "v": v,
            "b": b + gamma * (1 + b),
        }

    @staticmethod
    def step(w, g, along, decay):
        return along * g + decay * w
