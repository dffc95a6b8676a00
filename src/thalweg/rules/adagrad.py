"""AdaGrad."""

from thalweg.formula import Decay, Hyper, Rule, State, Switch, log_uniform, sqrt


class Adagrad(Rule):
    """Divides by the root of all squared gradients so far: equal progress, slowing down.

    Source:  Duchi, Hazan & Singer 2011, JMLR 12, section 1.1 (diagonal form).
    Departs: as torch.optim.Adagrad: the accumulator starts at initial_accumulator_value (0), eps stands outside
             the root (eps_inside: under it, as in optax and Keras), and lr_decay shrinks lr by
             1 / (1 + (t - 1) lr_decay).
    """

    year = 2011
    family = "adaptive"
    conventions = {
        "torch": {},
        "tf1": {"initial_accumulator_value": 0.1, "eps": 0.0},
        "keras": {"lr": 1e-3, "initial_accumulator_value": 0.1, "eps": 1e-7, "eps_inside": True},
        "optax": {"initial_accumulator_value": 0.1, "eps": 1e-7, "eps_inside": True},
        "paper": {"eps": 0.0},
    }
    lr = Hyper(1e-2, log_uniform(1e-3, 1.0))
    lr_decay = Hyper(0.0)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    initial_accumulator_value = Hyper(0.0)
    eps = Hyper(1e-10)
    eps_inside = Switch(False)
    total = State("sum", start="initial_accumulator_value")

    @staticmethod
    def prepare(t, lr, lr_decay):
        return {"rate": lr / (1 + (t - 1) * lr_decay)}

    @staticmethod
    def step(g, total, eps, eps_inside, rate):
        total = total + g * g
        return rate * g / (sqrt(total + eps) if eps_inside else sqrt(total) + eps), total
