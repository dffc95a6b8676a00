"""Lion."""

from thalweg.formula import Decay, Hyper, Rule, State, choice, log_uniform, sign


class Lion(Rule):
    """Steps of one size, in the direction of the sign of a blend of gradient and average.

    Source:  Chen et al. 2023, arXiv:2302.06675, Algorithm 2. sign(0) is 0: idle weights stay.
    Departs: nothing. Against AdamW, lr is 3 to 10 times smaller and weight decay as much larger.
    """

    year = 2023
    family = "sign"
    lr = Hyper(1e-4, log_uniform(1e-6, 1e-2))
    beta1 = Hyper(0.9, choice(0.9, 0.95, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.99, choice(0.98, 0.99, trials=10), of="betas", below=1.0)
    weight_decay = Decay("decoupled", 0.0, log_uniform(1e-2, 10.0, trials=25))
    m = State("exp_avg")

    @staticmethod
    def step(g, m, lr, beta1, beta2):
        d = lr * sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        return d, m
