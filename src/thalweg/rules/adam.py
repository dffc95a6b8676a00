"""Adam."""

from thalweg.formula import Decay, Hyper, Rule, State, Switch, log_uniform, maximum, one_minus_log_uniform, sqrt


class Adam(Rule):
    """Steps along the gradient's average, scaled by its recent size.

    Source:  Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1. amsgrad: Reddi, Kale & Kumar 2018, arXiv:1904.09237.
    Departs: weight decay is L2 (it passes through the scaling), as in torch.optim.Adam; the paper has none.
             amsgrad keeps the maximum of the uncorrected v and corrects it after, as torch does.
    Search:  protocol of the comparison, docs/comparison.md: lr as in Choi et al. 2019, 1 - beta1 as in AlgoPerf.
    """

    year = 2014
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    amsgrad = Switch(False)
    m = State("exp_avg")
    v = State("exp_avg_sq")
    top = State("max_exp_avg_sq", when="amsgrad")

    @staticmethod
    def prepare(t, beta1, beta2):
        return {"c1": 1 - beta1**t, "c2": 1 - beta2**t}

    @staticmethod
    def step(g, m, v, top, lr, beta1, beta2, eps, c1, c2, amsgrad):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        if amsgrad:
            top = maximum(top, v)
        d = lr * (m / c1) / (sqrt((top if amsgrad else v) / c2) + eps)
        return d, m, v, top
