"""AdamW."""

from thalweg.formula import Decay, log_uniform

from .adam import Adam


class AdamW(Adam):
    """Adam whose weight decay does not pass through the scaling.

    Source:  Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 2.
    Departs: decay is multiplied by lr, as in torch.optim.AdamW; the paper multiplies it by the schedule's
             factor alone (like="paper"; so the paper's decay is torch's times the peak lr).
    """

    year = 2017
    conventions = {
        "torch": {},
        "keras": {"eps": 1e-7, "eps_hat": True, "weight_decay": 4e-3},
        "optax": {"weight_decay": 1e-4, "correct_first": True},
        "paper": {"decay": "independent"},
    }
    weight_decay = Decay("decoupled", 1e-2, log_uniform(1e-3, 1.0, trials=25))
