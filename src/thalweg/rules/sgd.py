"""Stochastic gradient descent, with heavy-ball or Nesterov momentum."""

from thalweg.formula import Decay, Hyper, Rule, State, Switch, log_uniform, where


class SGD(Rule):
    """Steps down the gradient; with momentum, along its running sum.

    Source:  Robbins & Monro 1951; momentum: Polyak 1964; nesterov: Sutskever et al. 2013, section 2.
    Departs: as torch.optim.SGD does: lr stands outside the running sum, and the first gradient enters it
             whole, without dampening (so dampening = momentum is not the moving average: see Momentum).
             lr_inside: each gradient enters with the lr of its own step, as in Sutskever et al. and Keras; under a
             schedule that is another path.
             Where momentum is switched on in mid-training the sum starts at 0, with dampening; torch's does not.
    Search:  lr up to 10, since tuned SGD needs more than 1 on some tasks. Momentum stays as given.
    """

    year = 1951
    family = "momentum"
    conventions = {
        "torch": {},
        "tf1": {"lr": 1e-2},
        "keras": {"lr": 1e-2, "lr_inside": True},
        "optax": {},
        "paper": {"lr_inside": True},
    }
    lr = Hyper(1e-3, log_uniform(1e-4, 10.0))
    momentum = Hyper(0.0)
    dampening = Hyper(0.0)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    nesterov = Switch(False, needs=("momentum",), bars=("dampening",))  # as torch
    lr_inside = Switch(False)
    b = State("momentum_buffer", when="momentum")

    @staticmethod
    def prepare(t, dampening, lr, lr_inside):
        inner = lr if lr_inside else 1
        outer = 1 if lr_inside else lr
        return {"inner": inner, "outer": outer, "entering": inner * where(t <= 1, 1, 1 - dampening)}

    @staticmethod
    def step(g, b, momentum, inner, outer, entering, nesterov, lr):
        if momentum:
            b = momentum * b + entering * g
            d = outer * (inner * g + momentum * b if nesterov else b)
        else:
            d = lr * g
        return d, b
