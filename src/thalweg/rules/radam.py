"""RAdam."""

from thalweg.formula import Decay, Hyper, Rule, State, Switch, log_uniform, maximum, one_minus_log_uniform, sqrt, where


def rectification(t, beta2, threshold):
    """What the adaptive step is multiplied by while the mean square is young; 0 where there are too few gradients.

    Source: Liu et al. 2020, arXiv:1908.03265, section 4: the length rho of the moving average, as if of a simple one.
    """
    longest = 2 / (1 - beta2) - 1
    rho = longest - 2 * t * beta2**t / (1 - beta2**t)
    share = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
    return where(rho > threshold, sqrt(maximum(share, 0)), 0)


class RAdam(Rule):
    """Adam whose steps are short until their scale is known: a warm-up by theory.

    Source:  Liu et al. 2020, arXiv:1908.03265, Algorithm 2.
    Departs: adaptive from rho > threshold (5) on, as in torch.optim.RAdam and optax; in the paper from 4, one step
             earlier. eps is added to the root of the uncorrected v (eps_hat), as in torch; the paper has none.
             Until then it steps along the corrected average with the same lr, which may be long.
    """

    year = 2019
    family = "adaptive"
    conventions = {
        "torch": {},
        "tf1": {"eps": 1e-7, "eps_hat": False},
        "optax": {"eps_hat": False},
        "paper": {"threshold": 4.0, "eps": 0.0},
    }
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    threshold = Hyper(5.0, low=4.0)
    eps_hat = Switch(True)
    m = State("exp_avg")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t, beta1, beta2, eps, threshold, eps_hat):
        c2 = 1 - beta2**t
        damping = eps / sqrt(c2) if eps_hat else eps
        return {"c1": 1 - beta1**t, "c2": c2, "rectified": rectification(t, beta2, threshold), "damping": damping}

    @staticmethod
    def step(g, m, v, lr, beta1, beta2, c1, c2, rectified, damping):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        scale = where(rectified > 0, rectified / (sqrt(v / c2) + damping), 1)
        return lr * (m / c1) * scale, m, v
