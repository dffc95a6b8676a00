"""Generalised primal averaging."""

from thalweg.formula import Hyper, State, Wrapper, one_minus_log_uniform, towards


class GPA(Wrapper):
    """Takes gradients between the rule's own path and a slow average of it; tested is the average.

    The family of Schedule-Free and of DiLoCo.

    Source:  Defazio et al. 2025, arXiv:2512.17131: y = mu_y x + (1 - mu_y) z, z <- z - d,
             x <- mu_x x + (1 - mu_x) z, with gradients at y; code and defaults of facebookresearch/optimizers.
    Departs: x is not kept, since y and z say it. Weight decay is that of y, and moves z.
    """

    mu_x = Hyper(0.9967, one_minus_log_uniform(1e-3, 0.3, trials=25), below=1.0)
    mu_y = Hyper(0.7, low=1e-3, below=1.0)
    path = State("path", start="w", dtype="float32")

    @staticmethod
    def follow(w, d, path, mu_x, mu_y):
        # The path is z, and w + d was y: both as they were, put into the next y.
        w = w - (1 - mu_x) * (w - path) - (1 - mu_x - mu_x * mu_y) * d
        path = path - d
        return {"w": w, "path": path}

    @staticmethod
    def evaluate(w, path, mu_y):
        return towards(w, path, 1 - 1 / mu_y)
