"""NAdam."""

from thalweg.formula import Decay, Hyper, Rule, Scalar, State, Switch, log_uniform, one_minus_log_uniform, sqrt


class NAdam(Rule):
    """Adam that looks ahead as NAG does, with a momentum that warms up.

    Source:  Dozat 2016, "Incorporating Nesterov momentum into Adam", Algorithm 8 with the schedule of its section 3.
    Departs: nothing from torch.optim.NAdam (momentum_decay 0.004). Keras's schedule is 250 times as fast, and optax's
             momentum is constant from the start, which is a schedule that is over at once. constant_momentum: no
             schedule, and average and gradient both over Adam's correction, as in TensorFlow 1 and timm's nadamw.
    """

    year = 2016
    family = "adaptive"
    conventions = {
        "torch": {},
        "tf1": {"lr": 1e-3, "eps": 1e-7, "constant_momentum": True, "eps_hat": True},
        "keras": {"lr": 1e-3, "eps": 1e-7, "momentum_decay": 1.0},
        "optax": {"lr": 1e-3, "momentum_decay": 1e6},
        "paper": {"beta1": 0.99},
    }
    lr = Hyper(2e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    momentum_decay = Hyper(4e-3)
    constant_momentum = Switch(False)
    eps_hat = Switch(False)
    mu_product = Scalar(1.0, "tensor")
    m = State("exp_avg")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t, beta1, beta2, eps, momentum_decay, mu_product, constant_momentum, eps_hat):
        mu = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        ahead = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
        product = mu_product * mu
        c1 = 1 - beta1**t
        c2 = 1 - beta2**t
        return {
            "of_g": (1 - beta1) / c1 if constant_momentum else (1 - mu) / (1 - product),
            "of_m": beta1 / c1 if constant_momentum else ahead / (1 - product * ahead),
            "c2": c2,
            "damping": eps / sqrt(c2) if eps_hat else eps,
            "mu_product": product,
        }

    @staticmethod
    def step(g, m, v, lr, beta1, beta2, of_g, of_m, c2, damping):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        return lr * (of_g * g + of_m * m) / (sqrt(v / c2) + damping), m, v
