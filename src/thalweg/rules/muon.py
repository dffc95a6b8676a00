"""Muon."""

from thalweg.formula import (
    BySize,
    Coefficients,
    Decay,
    Form,
    Hyper,
    Rule,
    State,
    Switch,
    column_sums,
    identity,
    log_uniform,
    maximum,
    minimum,
    norm,
    one_minus_log_uniform,
    repeat,
    row_sums,
    sqrt,
    transpose,
)

from .orthogonalising import LISTS, uphill

# The least norm that anything is divided by, as in nanochat: what is 0 stays 0.
NO_NORM = 1e-6


def newton_schulz(x, a, b, c):
    """A singular value s of x becomes a s + b s^3 + c s^5."""
    y = x @ transpose(x)
    return a * x + (b * y + c * (y @ y)) @ x


def gram_step(q, r, a, b, c):
    """The same of q @ x, where r is the square q @ x @ transpose(q @ x)."""
    z = b * r + c * (r @ r)
    s = r @ z + a * r
    return q @ z + a * q, z @ s + a * s


def added(length, eps):
    return length + eps


def floored(length, eps):
    return maximum(length, eps)


def original(rows, columns):
    return sqrt(maximum(1.0, rows / columns))


def spectral(rows, columns):
    return sqrt(rows / columns)


def rms(rows, columns):
    return 0.2 * sqrt(maximum(rows, columns))


def nvidia(rows, columns):
    return sqrt(maximum(rows, columns))


def none(rows, columns):  # noqa: ARG001
    return 1.0


def root_of_floored(v, eps):
    return sqrt(maximum(v, eps))


def root_and_added(v, eps):
    return sqrt(v) + eps


def wider(rows, columns):
    return columns > rows


def taller(rows, columns):
    return rows > columns


def gram_is_cheaper(rows, columns, coefficients):
    # On a matrix of s x l, s <= l, five plain steps take (20 l + 10 s) s^2 multiplications and additions, the Gram form
    # below (12 l + 22 s) s^2; four take 16 l + 8 s and 12 l + 14 s. It is less where l is above 1.5 s. Longer lists
    # have not been tried.
    return len(coefficients) in (4, 5) and 2 * max(rows, columns) > 3 * min(rows, columns)


class Muon(Rule):
    """The average gradient, its singular values set to about 1: alike in every direction.

    Source:  Jordan et al. 2024, kellerjordan.github.io/posts/muon (KellerJordan/Muon). scale "rms", which gives steps
             the size of AdamW's, so that its lr and weight_decay carry over: Liu et al. 2025, arXiv:2502.16982;
             "nvidia": NVIDIA-NeMo/Emerging-Optimizers; "spectral": sqrt(rows / columns), microsoft/dion. The lists of
             coefficients: orthogonalising.py. gram, where it takes fewer products: Dao-AILab/gram-newton-schulz, which
             begins anew once, in float16.
             equilibrate: MuonEq, arXiv:2603.28254; full_norm: Muon+, arXiv:2602.21545, both as karpathy/nanochat has
             them. neuron_wise: NorMuon, arXiv:2510.05491.
    Departs: by default an average (not a sum) of gradients, Nesterov's, the Polar Express list that dion,
             modded-nanogpt and nanochat share, and the scale that needs no other learning rate than AdamW's; `like` has
             the others.
             Of three dimensions the first counts matrices; convolutions are flattened, and three dimensions with
             flat=True. split_sizes=(q, k, v) takes blocks of rows as matrices of their own.
    Search:  docs/comparison.md: lr as AdamW's; momentum as SGD's.
    """

    year = 2024
    family = "matrix"
    products = ("bfloat16", "float32")
    conventions = {
        "keller": {
            "lr": 0.02, "weight_decay": 0.0, "coefficients": "keller", "safety": 1.0, "eps": 1e-7,
            "scale": "original", "gram": False,
        },
        "torch": {
            "coefficients": "keller", "safety": 1.0, "eps": 1e-7, "floor": "floored", "scale": "original",
            "gram": False,
        },
        "moonshot": {"heavy_ball": True, "coefficients": "keller", "safety": 1.0, "eps": 1e-7, "gram": False},
        "dion": {
            "lr": 0.01, "weight_decay": 0.01, "heavy_ball": True, "nesterov": False, "scale": "spectral", "gram": False,
        },
        "nanochat": {
            "lr": 0.02, "weight_decay": 0.0, "safety": 1.01, "scale": "original", "equilibrate": True,
            "full_norm": True, "neuron_wise": True, "longer_side": True, "decay": "cautious", "gram": False,
        },
        "nvidia": {
            "lr": 3e-4, "weight_decay": 0.01, "nesterov": False, "coefficients": "you", "safety": 1.0, "eps": 1e-15,
            "floor": "floored", "scale": "nvidia", "gram": False,
        },
    }  # fmt: skip
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    weight_decay = Decay("decoupled", 0.1, log_uniform(1e-3, 1.0, trials=25))
    momentum = Hyper(0.95, one_minus_log_uniform(4e-3, 0.5, trials=10, axis="beta1"), below=1.0)
    nesterov = Switch(True)
    heavy_ball = Switch(False)
    coefficients = Coefficients("polar-express", LISTS, uphill)
    safety = Hyper(1.02, low=1.0)
    eps = Hyper(1e-6)
    floor = Form("added", {"added": added, "floored": floored})
    scale = Form("rms", {"rms": rms, "original": original, "spectral": spectral, "nvidia": nvidia, "none": none})
    equilibrate = Switch(False)
    full_norm = Switch(False)
    neuron_wise = Switch(False)
    beta2 = Hyper(0.95, below=1.0)
    eps2 = Hyper(1e-10)
    divisor = Form("floored", {"floored": root_of_floored, "added": root_and_added})
    longer_side = Switch(False)
    gram = Switch(True)
    tall = BySize(taller)
    by_gram = BySize(gram_is_cheaper, when="gram", of="coefficients")
    by_column = BySize(wider, when="longer_side")
    m = State("momentum_buffer")
    v_row = State("second_momentum_buffer", when="neuron_wise", dtype="float32", shape="row")
    v_column = State("second_momentum_column", when="longer_side", dtype="float32", shape="column")

    @staticmethod
    def enter(g, m, momentum, nesterov, heavy_ball):
        fresh = g if heavy_ball else (1 - momentum) * g
        m = momentum * m + fresh
        u = momentum * m + fresh if nesterov else m
        return {"u": u, "m": m}

    @staticmethod
    def matrix(
        u, v_row, v_column, coefficients, safety, eps, floor, scale, beta2, eps2, divisor, rows, columns,
        equilibrate, full_norm, neuron_wise, tall, by_gram, by_column,
    ):  # fmt: skip
        if equilibrate:
            u = u * (norm(u) / sqrt(rows) / maximum(sqrt(row_sums(u * u)), NO_NORM))
        x = transpose(u) if tall else u
        x = x / floor(safety * norm(x), eps)
        if by_gram:
            # Begun anew after the first step and then every other one: what bfloat16 rounds in r grows from step to
            # step, and after three steps could be larger than all else.
            first = repeat(newton_schulz, coefficients[:1], x)
            square = first @ transpose(first)
            q, _r = repeat(gram_step, coefficients[1:3], identity(square), square)
            third = q @ first
            again = third @ transpose(third)
            q, _r = repeat(gram_step, coefficients[3:], identity(again), again)
            x = q @ third
        else:
            x = repeat(newton_schulz, coefficients, x)
        o = transpose(x) if tall else x
        if full_norm:
            o = o * (sqrt(minimum(rows, columns)) / maximum(norm(o), NO_NORM))
        if neuron_wise:
            if by_column:
                v_column = beta2 * v_column + (1 - beta2) * (column_sums(o * o) / rows)
                even = o / divisor(v_column, eps2)
            else:
                v_row = beta2 * v_row + (1 - beta2) * (row_sums(o * o) / columns)
                even = o / divisor(v_row, eps2)
            o = even * (norm(o) / maximum(norm(even), NO_NORM))
        return {"o": scale(rows, columns) * o, "v_row": v_row, "v_column": v_column}

    @staticmethod
    def step(o, lr):
        return lr * o
