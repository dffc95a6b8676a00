"""Adafactor."""

from math import inf

from thalweg.formula import (
    Decay,
    Hyper,
    Rule,
    Shaped,
    State,
    Sum,
    Switch,
    Wrapper,
    log_uniform,
    maximum,
    mean,
    minimum,
    one_minus_log_uniform,
    share,
    sqrt,
    where,
)
from thalweg.wrappers.clip_update import ClipUpdate


def nearer(kept, found, fresh):
    """An average that takes in what is found with the weight ``fresh``."""
    return kept + fresh * (found - kept)


def root(r, c, middle):
    """The root of a matrix of mean squares, of which its rows' and columns' means are kept: of r c / mean(r)."""
    return sqrt(r / middle) * sqrt(c)


class RelativeStep(Wrapper):
    """Makes the rate a share of the tensor's own size, which is at most lr, and falls with the steps.

    Source:  Shazeer & Stern 2018, arXiv:1804.04235, section 8; momentum and decay as in transformers.
    """

    lr = Hyper(1e-2)
    eps2 = Hyper(1e-3)
    beta1 = Hyper(0.0, below=1.0)
    weight_decay = Decay("own")
    relative_step = Switch(True)
    scale_parameter = Switch(True)
    warmup_init = Switch(False)
    decay_scaled = Switch(False)
    of_w = Sum("tensor")
    in_w = Sum("tensor")
    m = State("exp_avg", when="beta1")

    @staticmethod
    def sums(w):
        return {"of_w": w * w, "in_w": 1}

    @staticmethod
    def after(t, of_w, in_w, lr, eps2, relative_step, scale_parameter, warmup_init):
        rate = lr
        if relative_step:
            rate = minimum(1e-6 * t if warmup_init else lr, 1 / sqrt(t))
        if scale_parameter:
            rate = rate * maximum(eps2, sqrt(of_w / maximum(in_w, 1)))
        return {"rate": rate}

    @staticmethod
    def step(w, d, m, rate, lr, beta1, weight_decay, decay_scaled):
        d = rate * d
        if beta1:
            m = beta1 * m + (1 - beta1) * d
            d = m
        if weight_decay:
            d = d + share((rate if decay_scaled else lr) * weight_decay, w)
        return d, m


class Adafactor(Rule):
    """Scales by the root mean squares of a matrix's rows and columns: hardly any state.

    Source:  Shazeer & Stern 2018, arXiv:1804.04235, Algorithms 4 and 5; its parts as in torch.optim.Adafactor.
    Departs: as torch does, eps1 is the least root of the squares, and least mean of r, where the paper adds it to
             them (eps_added); None is the element type's own epsilon. The last two dimensions are the matrix, as in
             torch and transformers. r, c and the squares of vectors are float32 at least. torch's name for
             clip_threshold is d; transformers' for beta2_decay is decay_rate. Decay is lr * weight_decay, and with
             decay_scaled, as in transformers, that of the relative rate.
    """

    year = 2018
    family = "adaptive"
    conventions = {
        "torch": {},
        "transformers": {"eps1": 1e-30, "eps_added": True, "decay_scaled": True},
        "paper": {"eps1": 1e-30, "eps_added": True},
    }
    around = (ClipUpdate, RelativeStep)
    lr = Hyper(1e-2, log_uniform(1e-4, 1.0))
    beta2_decay = Hyper(-0.8, low=-inf, below=0.0)
    eps1 = Hyper(0.0, of="eps", none=True)
    eps2 = Hyper(1e-3, of="eps")
    clip_threshold = Hyper(1.0, log_uniform(0.1, 10.0, trials=50), low=1e-30)
    weight_decay = Decay("own", 0.0, log_uniform(1e-3, 1.0, trials=25))
    beta1 = Hyper(0.0, one_minus_log_uniform(4e-3, 1.0, trials=50), below=1.0)
    eps_added = Switch(False)
    factored = Shaped(least=2)
    vector = Shaped(most=1)
    by_row = Sum("row")
    by_column = Sum("column")
    r = State("row_var", shape="row", when="factored", dtype="float32")
    c = State("col_var", shape="column", when="factored", dtype="float32")
    v = State("variance", when="vector", dtype="float32")

    @staticmethod
    def prepare(t, beta2_decay, eps1, precision):
        return {"fresh": t**beta2_decay, "least": where(eps1 > 0, eps1, precision)}

    @staticmethod
    def sums(g, eps1, eps_added):
        squares = g * g + eps1 if eps_added else g * g
        return {"by_row": squares, "by_column": squares}

    @staticmethod
    def after(by_row, by_column, r, c, rows, columns, fresh, least, eps_added, factored):
        middle = 1
        if factored:
            r = nearer(r, by_row / columns, fresh)
            c = nearer(c, by_column / rows, fresh)
            middle = mean(r) if eps_added else maximum(mean(r), least)
        return {"r": r, "c": c, "middle": middle}

    @staticmethod
    def step(g, r, c, v, middle, fresh, least, eps1, eps_added, factored):
        if factored:
            size = root(r, c, middle)
        else:
            v = nearer(v, g * g + eps1 if eps_added else g * g, fresh)
            size = sqrt(v)
        return g / (size if eps_added else maximum(size, least)), v
