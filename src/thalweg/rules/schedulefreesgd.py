"""Schedule-Free SGD."""

from thalweg.formula import (
    Decay,
    Hyper,
    Rule,
    Scalar,
    State,
    log_uniform,
    maximum,
    minimum,
    one_minus_log_uniform,
    share,
    towards,
    where,
)


def averaging(t, lr, lr_max, weight_sum, warmup_steps, r, weight_lr_power):
    """This step's rate and its weight in the average; the largest rate and the sum of all weights so far."""
    rate = lr * minimum(1, t / maximum(warmup_steps, 1))
    lr_max = maximum(rate, lr_max)
    weight = t**r * lr_max**weight_lr_power
    weight_sum = weight_sum + weight
    return rate, where(weight_sum > 0, weight / weight_sum, 0), lr_max, weight_sum


def onward(w, z, u, rate, beta, c):
    """The step of the weights (``y``, between average and iterate), and the next iterate ``z``.

    The average ``x`` is not kept: y = (1 - beta) z + beta x.
    """
    return share(c, w - z) + rate * (1 - beta * (1 - c)) * u, z - rate * u


def average(w, z, beta):
    """The average, from where gradients are taken and the iterate."""
    return towards(w, z, 1 - 1 / beta)


class ScheduleFreeSGD(Rule):
    """SGD at a constant rate; tested is an average of its path: no end to plan for.

    Source:  Defazio et al. 2024, arXiv:2405.15682, equations 3 to 5; weights of the average by the square of the
             largest rate so far, and warm-up, as in the authors' package schedulefree.
    Departs: nothing. The parameters hold y, where gradients are taken; test and save within optimizer.averaged().
    """

    year = 2024
    family = "schedule-free"
    lr = Hyper(1.0, log_uniform(1e-3, 100.0))
    momentum = Hyper(0.9, one_minus_log_uniform(5e-3, 0.3, trials=10, axis="beta1"), low=1e-3, below=1.0)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    warmup_steps = Hyper(0.0)
    r = Hyper(0.0)
    weight_lr_power = Hyper(2.0)
    lr_max = Scalar(0.0, "group")
    weight_sum = Scalar(0.0, "group")
    z = State("z", start="w", dtype="float32")

    @staticmethod
    def prepare(t, lr, lr_max, weight_sum, warmup_steps, r, weight_lr_power):
        rate, c, lr_max, weight_sum = averaging(t, lr, lr_max, weight_sum, warmup_steps, r, weight_lr_power)
        return {"rate": rate, "c": c, "lr_max": lr_max, "weight_sum": weight_sum}

    @staticmethod
    def step(w, g, z, momentum, rate, c):
        d, z = onward(w, z, g, rate, momentum, c)
        return d, z

    @staticmethod
    def evaluate(w, z, momentum):
        return average(w, z, momentum)
