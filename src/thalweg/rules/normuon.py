"""NorMuon."""

from thalweg.formula import Hyper, Switch, one_minus_log_uniform

from .muon import Muon


class NorMuon(Muon):
    """Muon whose rows, a layer's neurons, are evened out by an average of their squares.

    Source:  Li et al. 2025, arXiv:2510.05491.
    Departs: longer_side averages along the longer side instead, as modded-nanogpt, nanochat and NVIDIA's have it, and
             divides as they do; divisor "added" with eps2=1e-8 is the paper's and microsoft/dion's. Nobody corrects the
             average for its start at 0, and what is evened out gets its norm back, so nothing depends on that.
    Search:  as Muon's, and beta2 as Adam's.
    """

    year = 2025
    neuron_wise = Switch(True)
    beta2 = Hyper(0.95, one_minus_log_uniform(1e-3, 0.2, trials=25), below=1.0)
