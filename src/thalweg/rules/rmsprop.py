"""RMSProp."""

from thalweg.formula import Decay, Hyper, Rule, State, Switch, log_uniform, maximum, one_minus_log_uniform, sqrt


class RMSprop(Rule):
    """Divides by the root of the recent mean square: AdaGrad with a memory that fades.

    Source:  Hinton, Srivastava & Swersky 2012, "Neural networks for machine learning", lecture 6e.
             centered: Graves 2013, arXiv:1308.0850, equation 38.
    Departs: as torch.optim.RMSprop: eps outside the root (eps_inside: under it), no bias correction (the first step
             is 1 / sqrt(1 - alpha) times lr), the mean square starts at initial_accumulator_value (0), lr outside
             the momentum (lr_inside: each gradient enters it with the lr of its own step).
             TensorFlow 1 differs in all of these, and recipes of its time need its form.
    """

    year = 2012
    family = "adaptive"
    conventions = {
        "torch": {},
        "tf1": {
            "lr": 1e-3, "alpha": 0.9, "eps": 1e-10, "eps_inside": True, "initial_accumulator_value": 1.0,
            "lr_inside": True,
        },
        "keras": {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7, "eps_inside": True, "lr_inside": True},
        "optax": {"lr": 1e-3, "alpha": 0.9, "eps_inside": True, "lr_inside": True},
        "paper": {"lr": 1e-3, "alpha": 0.9, "eps": 0.0},
    }  # fmt: skip
    lr = Hyper(1e-2, log_uniform(1e-5, 1e-1))
    alpha = Hyper(0.99, one_minus_log_uniform(1e-3, 0.5, trials=10, axis="beta2"), below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    momentum = Hyper(0.0)
    centered = Switch(False)
    initial_accumulator_value = Hyper(0.0)
    eps_inside = Switch(False)
    lr_inside = Switch(False)
    v = State("square_avg", start="initial_accumulator_value")
    b = State("momentum_buffer", when="momentum")
    mean = State("grad_avg", when="centered")

    @staticmethod
    def step(g, v, b, mean, lr, alpha, eps, momentum, centered, eps_inside, lr_inside):
        v = alpha * v + (1 - alpha) * g * g
        if centered:
            mean = alpha * mean + (1 - alpha) * g
        # What is left of a constant gradient may round to less than 0.
        variance = maximum(v - mean * mean, 0) if centered else v
        scaled = g / (sqrt(variance + eps) if eps_inside else sqrt(variance) + eps)
        if momentum:
            b = momentum * b + (lr * scaled if lr_inside else scaled)
            d = b if lr_inside else lr * b
        else:
            d = lr * scaled
        return d, v, b, mean
