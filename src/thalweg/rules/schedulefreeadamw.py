"""Schedule-Free AdamW."""

from thalweg.formula import Decay, Hyper, Rule, Scalar, State, choice, log_uniform, one_minus_log_uniform, sqrt, times

from .schedulefreesgd import average, averaging, onward


class ScheduleFreeAdamW(Rule):
    """AdamW at a constant rate; tested is an average of its path: no end to plan for.

    Source:  Defazio et al. 2024, arXiv:2405.15682, Algorithm 1.
    Departs: as the authors' package schedulefree: v is corrected, where the paper scales the rate instead.
             The parameters hold y, where gradients are taken; test and save within optimizer.averaged().
    """

    year = 2024
    family = "schedule-free"
    lr = Hyper(2.5e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, choice(0.9, 0.95, 0.98, trials=10), of="betas", low=1e-3, below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("own", 0.0, log_uniform(1e-3, 1.0, trials=25))
    warmup_steps = Hyper(0.0)
    r = Hyper(0.0)
    weight_lr_power = Hyper(2.0)
    lr_max = Scalar(0.0, "group")
    weight_sum = Scalar(0.0, "group")
    z = State("z", start="w", dtype="float32")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t, lr, beta2, lr_max, weight_sum, warmup_steps, r, weight_lr_power):
        rate, c, lr_max, weight_sum = averaging(t, lr, lr_max, weight_sum, warmup_steps, r, weight_lr_power)
        return {"rate": rate, "c": c, "c2": 1 - beta2**t, "lr_max": lr_max, "weight_sum": weight_sum}

    @staticmethod
    def step(w, g, z, v, beta1, beta2, eps, weight_decay, rate, c, c2):
        v = beta2 * v + (1 - beta2) * g * g
        d, z = onward(w, z, g / (sqrt(v / c2) + eps) + times(weight_decay, w), rate, beta1, c)
        return d, z, v

    @staticmethod
    def evaluate(w, z, beta1):
        return average(w, z, beta1)
