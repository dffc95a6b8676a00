"""AdEMAMix."""

from thalweg.formula import (
    Decay,
    Hyper,
    Rule,
    State,
    choice,
    exp,
    log,
    log_uniform,
    maximum,
    minimum,
    one_minus_log_uniform,
    sqrt,
)


class AdEMAMix(Rule):
    """AdamW with a second, much longer average of the gradient.

    Source:  Pagliardini, Ablin & Grangier 2024, arXiv:2409.03137, Algorithm 1, and its warm-up of alpha and beta3
             over ``warmup`` steps (section 3; 0: none, for runs that are shorter than the average).
    Departs: nothing. alpha is 5, in the middle of the 4 to 10 that the paper recommends; the authors' code has 2.
    """

    year = 2024
    family = "adaptive"
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    beta3 = Hyper(0.9999, choice(0.99, 0.999, 0.9999, trials=25), of="betas", below=1.0)
    alpha = Hyper(5.0, choice(2.0, 5.0, 8.0, trials=10))
    eps = Hyper(1e-8)
    weight_decay = Decay("decoupled", 0.0, log_uniform(1e-3, 1.0, trials=25))
    warmup = Hyper(0.0)
    short = State("exp_avg")
    long = State("exp_avg_slow")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t, beta1, beta2, beta3, alpha, warmup):
        if warmup:
            # The memory of the slow average, log(1/2) / log(beta) steps, grows along a line from the fast one's.
            done = minimum(t / warmup, 1)
            start, end = log(maximum(beta1, 1e-8)), log(beta3)
            memory = exp(start * end / ((1 - done) * end + done * start))
            share = done * alpha
        else:
            memory = beta3
            share = alpha
        return {"c1": 1 - beta1**t, "c2": 1 - beta2**t, "memory": memory, "share": share}

    @staticmethod
    def step(g, short, long, v, lr, beta1, beta2, eps, c1, c2, memory, share):
        short = beta1 * short + (1 - beta1) * g
        long = memory * long + (1 - memory) * g
        v = beta2 * v + (1 - beta2) * g * g
        return lr * (short / c1 + share * long) / (sqrt(v / c2) + eps), short, long, v
