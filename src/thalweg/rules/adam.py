"""Adam."""

from thalweg.formula import Decay, Hyper, Rule, State, Switch, log_uniform, maximum, one_minus_log_uniform, sqrt


class Adam(Rule):
    """Steps along the gradient's average, scaled by its recent size.

    Source:  Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1; eps_hat: the faster order at the end of its section 2.
             amsgrad: Reddi, Kale & Kumar 2018, arXiv:1904.09237.
    Departs: weight decay is L2 (it passes through the scaling), as in torch.optim.Adam; the paper has none.
             amsgrad keeps the maximum of the uncorrected v and corrects it after, as torch does; correct_first keeps
             that of the corrected v, as optax does.
             eps_hat adds eps to the root of the uncorrected v, as TensorFlow and Keras do: at first that eps counts
             1 / sqrt(1 - beta2) times as much. eps_root stands under the root, as in optax.
    Search:  protocol of the comparison, docs/comparison.md: lr as in Choi et al. 2019, 1 - beta1 as in AlgoPerf.
    """

    year = 2014
    family = "adaptive"
    conventions = {
        "torch": {},
        "tf1": {"eps_hat": True},
        "keras": {"eps": 1e-7, "eps_hat": True},
        "optax": {"correct_first": True},
        "paper": {},
    }
    lr = Hyper(1e-3, log_uniform(1e-5, 1e-1))
    beta1 = Hyper(0.9, one_minus_log_uniform(4e-3, 0.5, trials=10), of="betas", below=1.0)
    beta2 = Hyper(0.999, one_minus_log_uniform(1e-4, 0.2, trials=25), of="betas", below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("l2", 0.0, log_uniform(1e-6, 1e-2, trials=25))
    amsgrad = Switch(False)
    eps_root = Hyper(0.0)
    eps_hat = Switch(False)
    correct_first = Switch(False)
    bias_correction = Switch(True)
    m = State("exp_avg")
    v = State("exp_avg_sq")
    top = State("max_exp_avg_sq", when="amsgrad")

    @staticmethod
    def prepare(t, beta1, beta2, eps, eps_hat, bias_correction):
        c1 = 1 - beta1**t if bias_correction else 1
        c2 = 1 - beta2**t if bias_correction else 1
        return {"c1": c1, "c2": c2, "damping": eps / sqrt(c2) if eps_hat else eps}

    @staticmethod
    def step(g, m, v, top, lr, beta1, beta2, eps_root, c1, c2, damping, amsgrad, correct_first):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        v_hat = v / c2
        if amsgrad:
            top = maximum(top, v_hat if correct_first else v)
            v_hat = top if correct_first else top / c2
        d = lr * (m / c1) / (sqrt(v_hat + eps_root if eps_root else v_hat) + damping)
        return d, m, v, top
