"""CAME."""

from thalweg.formula import (
    Decay,
    Hyper,
    Rule,
    Shaped,
    State,
    Sum,
    Wrapper,
    log_uniform,
    mean,
    one_minus_log_uniform,
    sqrt,
)
from thalweg.wrappers.clip_update import ClipUpdate

from .adafactor import nearer, root


class Confidence(Wrapper):
    """Takes the step's average, divided by how far the steps are from it: of a matrix, by rows and columns.

    Source:  Luo et al. 2023, arXiv:2307.02047, Algorithm 2, from the momentum on.
    """

    lr = Hyper(2e-4)
    beta1 = Hyper(0.9, below=1.0)
    beta3 = Hyper(0.9999, below=1.0)
    eps2 = Hyper(1e-16)
    factored = Shaped(least=2)
    off_by_row = Sum("row")
    off_by_column = Sum("column")
    m = State("exp_avg")
    off_r = State("exp_avg_res_row", shape="row", when="factored", dtype="float32")
    off_c = State("exp_avg_res_col", shape="column", when="factored", dtype="float32")

    @staticmethod
    def sums(d, m, beta1, eps2):
        off = d - nearer(m, d, 1 - beta1)
        return {"off_by_row": off * off + eps2, "off_by_column": off * off + eps2}

    @staticmethod
    def after(off_by_row, off_by_column, off_r, off_c, rows, columns, beta3, factored):
        off_middle = 1
        if factored:
            off_r = nearer(off_r, off_by_row / columns, 1 - beta3)
            off_c = nearer(off_c, off_by_column / rows, 1 - beta3)
            off_middle = mean(off_r)
        return {"off_r": off_r, "off_c": off_c, "off_middle": off_middle}

    @staticmethod
    def step(d, m, off_r, off_c, off_middle, lr, beta1, factored):
        m = nearer(m, d, 1 - beta1)
        d = lr * m
        if factored:
            d = d / root(off_r, off_c, off_middle)
        return d, m


class CAME(Rule):
    """Adafactor with momentum, and shorter steps where they are far from their average.

    Source:  Luo et al. 2023, arXiv:2307.02047, Algorithm 2; vectors as in the authors' code (yangluo7/CAME).
    Departs: nothing. The rate is lr itself, and the averages, as the authors', start at 0 without correction. The last
             two dimensions are the matrix. What is kept by row and column, and squares of vectors, is float32 at least.
    """

    year = 2023
    family = "adaptive"
    around = (ClipUpdate, Confidence)
    lr = Hyper(2e-4, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    beta3 = Hyper(0.9999, one_minus_log_uniform(1e-5, 0.2, trials=50), of="betas", below=1.0)
    eps1 = Hyper(1e-30, of="eps")
    eps2 = Hyper(1e-16, of="eps")
    clip_threshold = Hyper(1.0, log_uniform(0.1, 10.0, trials=50), low=1e-30)
    weight_decay = Decay("decoupled", 0.0, log_uniform(1e-3, 1.0, trials=25))
    factored = Shaped(least=2)
    vector = Shaped(most=1)
    by_row = Sum("row")
    by_column = Sum("column")
    r = State("exp_avg_sq_row", shape="row", when="factored", dtype="float32")
    c = State("exp_avg_sq_col", shape="column", when="factored", dtype="float32")
    v = State("exp_avg_sq", when="vector", dtype="float32")

    @staticmethod
    def sums(g, eps1):
        return {"by_row": g * g + eps1, "by_column": g * g + eps1}

    @staticmethod
    def after(by_row, by_column, r, c, rows, columns, beta2, factored):
        middle = 1
        if factored:
            r = nearer(r, by_row / columns, 1 - beta2)
            c = nearer(c, by_column / rows, 1 - beta2)
            middle = mean(r)
        return {"r": r, "c": c, "middle": middle}

    @staticmethod
    def step(g, r, c, v, middle, beta2, eps1, factored):
        if factored:
            size = root(r, c, middle)
        else:
            v = nearer(v, g * g + eps1, 1 - beta2)
            size = sqrt(v)
        return g / size, v
