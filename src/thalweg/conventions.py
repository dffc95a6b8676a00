"""From one convention to another: hyperparameters with which both take the same path.

What differs is who multiplies by what, so each is a formula of a line; `like=` chooses the convention itself.
"""


def average_to_heavy_ball(lr: float, momentum: float) -> float:
    """The lr for a running sum (torch.optim.SGD, `Momentum` with heavy_ball) in place of a moving average's ``lr``.

    The average is (1 - momentum) times the sum, if momentum stays as it is: lr (1 - momentum).
    """
    return lr * (1 - _below_one(momentum))


def heavy_ball_to_average(lr: float, momentum: float) -> float:
    """The lr for a moving average (`Momentum`) in place of a running sum's ``lr``: lr / (1 - momentum)."""
    return lr / (1 - _below_one(momentum))


def paper_to_torch_decay(weight_decay: float, lr: float) -> float:
    """The decay for torch.optim.AdamW in place of that of Loshchilov & Hutter 2019, Algorithm 2.

    The paper takes schedule * weight_decay off the weight, torch schedule * lr * weight_decay: weight_decay / lr, where
    ``lr`` is the rate before any schedule.
    """
    return weight_decay / _positive(lr)


def torch_to_paper_decay(weight_decay: float, lr: float) -> float:
    """The paper's decay (``decay="independent"``) in place of torch's: weight_decay * lr."""
    return weight_decay * _positive(lr)


def eps_to_eps_hat(eps: float, beta2: float, step: int) -> float:
    """The eps that, added to the root of the uncorrected mean square, counts at one step as ``eps`` after it.

    Kingma & Ba 2015, section 2: eps sqrt(1 - beta2^t). It depends on the step, so no eps of one form is one of the
    other; late in training they are equal, and at the first step of beta2 = 0.999 the hat counts 32 times as much.
    """
    if step < 1:
        raise ValueError(f"steps are counted from 1, got {step}")
    return float(eps * (1 - _below_one(beta2) ** step) ** 0.5)


def _below_one(value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"what an average keeps must be at least 0 and below 1, got {value}")
    return value


def _positive(lr: float) -> float:
    if not lr > 0:
        raise ValueError(f"lr must be above 0, got {lr}")
    return lr
