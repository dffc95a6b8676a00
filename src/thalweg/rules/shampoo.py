"""Shampoo, on one side of each matrix."""

from thalweg.formula import (
    BySize,
    Decay,
    Hyper,
    Rule,
    State,
    eigh,
    log_uniform,
    maximum,
    norm,
    one_minus_log_uniform,
    sqrt,
    total,
    transpose,
    where,
)

from .muon import taller

# The least length that a step is divided by: what is 0 stays 0.
NO_LENGTH = 1e-30


class Shampoo(Rule):
    """The average gradient times the inverse root of its mean square; as long as Adam's.

    Source:  Gupta, Koren & Singer 2018, arXiv:1802.09568; its one-sided form, with a pseudo-inverse of the square, new
             in every step, and Adam's length for each tensor (grafting), as in modded-nanogpt's optimization track and
             facebookresearch/optimizers.
    Departs: the square is kept on the shorter side alone, and its inverse square root is applied (on both sides it
             would be the fourth). Eigenvalues that are no more than `tolerance` of their sum are taken for 0.
    Search:  docs/comparison.md: as Adam's.
    """

    year = 2018
    family = "matrix"
    lr = Hyper(1e-2, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.95, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.9, one_minus_log_uniform(1e-3, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-15)
    tolerance = Hyper(1e-6, below=1.0)
    weight_decay = Decay("decoupled", 0.1, log_uniform(1e-3, 1.0, trials=25))
    tall = BySize(taller)
    m = State("exp_avg")
    v = State("exp_avg_sq")
    square = State("square", dtype="float32", shape="least")

    @staticmethod
    def prepare(t, beta1, beta2):
        return {"c1": 1 - beta1**t, "c2": 1 - beta2**t}

    @staticmethod
    def enter(g, m, v, beta1, beta2, eps, c1, c2):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        return {"u": g, "mean": m / c1, "adam": (m / c1) / (sqrt(v / c2) + eps), "m": m, "v": v}

    @staticmethod
    def matrix(u, mean, adam, square, beta2, tolerance, tall):
        x = transpose(u) if tall else u
        y = transpose(mean) if tall else mean
        square = beta2 * square + (1 - beta2) * (x @ transpose(x))
        values, vectors = eigh(square)
        roots = where(values > tolerance * total(values), 1 / sqrt(values), 0.0)
        even = (vectors * roots) @ (transpose(vectors) @ y)
        o = transpose(even) if tall else even
        return {"o": o * (norm(adam) / maximum(norm(o), NO_LENGTH)), "square": square}

    @staticmethod
    def step(o, lr):
        return lr * o
