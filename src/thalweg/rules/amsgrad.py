"""AMSGrad."""

from thalweg.formula import Switch

from .adam import Adam


class AMSGrad(Adam):
    """Adam scaled by the largest mean square so far: no weight's rate grows again.

    Source:  Reddi, Kale & Kumar 2018, arXiv:1904.09237, Algorithm 2.
    Departs: as torch.optim.Adam(amsgrad=True); the paper corrects no bias and has no eps (like="paper").
             The published runs of "Crowded Valley" use lr = 0.01 (like="tf1").
    """

    year = 2018
    conventions = {
        "torch": {},
        "tf1": {"lr": 1e-2, "eps_hat": True},
        "keras": {"eps": 1e-7, "eps_hat": True},
        "optax": {"correct_first": True},
        "paper": {"bias_correction": False, "eps": 0.0},
    }
    amsgrad = Switch(True)
