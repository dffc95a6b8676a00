"""Tiger: one state, steps of one size. Written by somebody who knew the library from its documentation alone.

thalweg show examples/tiger.py:Tiger
thalweg compare digits-mlp -r adamw,examples/tiger.py:Tiger --trials 5 --seeds 3
"""

import thalweg
from thalweg.formula import Decay, Hyper, Rule, State, log_uniform, one_minus_log_uniform, sign


@thalweg.optimizer
class Tiger(Rule):
    """Steps of one size, along the sign of the gradient's average.

    Source:  Su Jianlin 2023, "Tiger: A Tight-fisted Optimizer".
    """

    year = 2023
    family = "sign"
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta = Hyper(0.965, one_minus_log_uniform(5e-3, 0.3, trials=10, axis="beta1"), below=1.0)
    weight_decay = Decay("decoupled", 1e-2, log_uniform(1e-3, 1.0, trials=25))
    m = State("exp_avg")

    @staticmethod
    def step(g, m, lr, beta):
        m = beta * m + (1 - beta) * g
        return lr * sign(m), m
