"""Nesterov's accelerated gradient."""

from thalweg.formula import Hyper, Switch, log_uniform, one_minus_log_uniform

from .sgd import SGD


class NAG(SGD):
    """Momentum that looks ahead: the gradient is taken where the running sum leads.

    Source:  Nesterov 1983; as momentum: Sutskever et al. 2013, section 2; the weights here are the looked-ahead ones
             (Bengio et al. 2012, arXiv:1212.0901, section 3.5), as in torch.optim.SGD(nesterov=True).
    Departs: as SGD does.
    Search:  docs/comparison.md: as Momentum's.
    """

    year = 1983
    family = "momentum"
    conventions = {**SGD.conventions, "tf1": {"lr": 1e-2, "momentum": 0.99}}
    lr = Hyper(1e-2, log_uniform(1e-5, 5.0))
    momentum = Hyper(0.9, one_minus_log_uniform(5e-3, 0.3, trials=10, axis="beta1"))
    nesterov = Switch(True, needs=("momentum",))
