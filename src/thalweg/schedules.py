"""Schedules by the step: factors on the learning rate, or on any other hyperparameter, each a formula.

optimizer = thalweg.AdamW(model.parameters(), lr=3e-4, schedule=schedules.WSD(steps=10_000, warmup=500))

None wastes a step at 0: a warm-up of w steps is t / w, 1 in its last, and a decay would come to its end one step after
the last. ``first`` is what a warm-up starts from, ``last`` what a decay ends at, as factors; ``warmup`` and
``cooldown`` are steps, or shares of all of them (`thalweg.formula.Length`).
"""

from math import pi

from thalweg.formula import Form, Hyper, Length, Schedule, cos, floor, log, maximum, minimum, sqrt, where

__all__ = ["CATALOGUE", "WSD", "Constant", "Cosine", "Linear", "Trapezoid", "WarmRestarts", "WarmUp"]


def warmed(t, warmup, first, then):
    """Up from ``first`` in so many steps, then ``then``."""
    return where(t <= warmup, first + (1 - first) * t / warmup, then)


def falling(level, last):
    """What falls from 1 to 0, falling to ``last``."""
    return last + (1 - last) * level


def half_cosine(since, length):
    """Half a cosine from 1 to 0."""
    return (1 + cos(pi * since / length)) / 2


# How a cool-down falls, of the share x of it that has gone.


def linear(x, last):
    """A straight line."""
    return falling(1 - x, last)


def cosine(x, last):
    """Half a cosine."""
    return falling(half_cosine(x, 1), last)


def mirror_cosine(x, last):
    """Half a cosine mirrored at the straight line."""
    return falling(2 * (1 - x) - half_cosine(x, 1), last)


def exponential(x, last):
    """By equal ratios."""
    return last**x


def square(x, last):
    """Slowly first."""
    return falling(1 - x * x, last)


def root(x, last):
    """Fast first."""
    return falling(1 - sqrt(x), last)


SHAPES = {
    "linear": linear,
    "cosine": cosine,
    "mirror-cosine": mirror_cosine,
    "exp": exponential,
    "square": square,
    "sqrt": root,
}


class Constant(Schedule):
    """1: as it is given."""

    @staticmethod
    def factor():
        return 1.0


class WarmUp(Schedule):
    """Up in a straight line, then 1.

    Source:  Goyal et al. 2017 (arXiv:1706.02677), section 2.2, five of 90 epochs; torch's LinearLR with
             start_factor=1/w, total_iters=w-1.
    """

    warmup = Length(0.1)
    first = Hyper(0.0)

    @staticmethod
    def factor(t, warmup, first):
        return warmed(t, warmup, first, 1)


class Linear(Schedule):
    """A straight line from 1 down, after a warm-up if there is one.

    Source:  torch's LinearLR with end_factor=0, PolynomialLR with power=1; from the first step after the warm-up on
             get_linear_schedule_with_warmup of transformers, whose warm-up is a step late.
    """

    warmup = Length(0.0)
    first = Hyper(0.0)
    last = Hyper(0.0)

    @staticmethod
    def factor(t, T, warmup, first, last):
        return warmed(t, warmup, first, falling(1 - (t - 1 - warmup) / (T - warmup), last))


class Cosine(Schedule):
    """Half a cosine from 1 down, after a warm-up if there is one.

    Source:  Loshchilov & Hutter 2017, "SGDR" (arXiv:1608.03983), equation 5, one cycle; torch's CosineAnnealingLR with
             T_max=T. As it is used after a warm-up: get_cosine_schedule_with_warmup of transformers, whose warm-up is a
             step late.
    """

    warmup = Length(0.0)
    first = Hyper(0.0)
    last = Hyper(0.0)

    @staticmethod
    def factor(t, T, warmup, first, last):
        return warmed(t, warmup, first, falling(half_cosine(t - 1 - warmup, T - warmup), last))


class WarmRestarts(Schedule):
    """Half a cosine anew in each cycle, the cycles longer and longer: it may end inside one.

    ``cycle`` is the length of the first, ``multiplier`` how many times as long each is as the one before.

    Source:  Loshchilov & Hutter 2017, "SGDR" (arXiv:1608.03983), where T_0 and T_mult are cycle and multiplier; torch's
             CosineAnnealingWarmRestarts. A tenth and 2, Crowded Valley (arXiv:2007.01547): 10 of 100 epochs, which end
             inside the fourth cycle at 0.69.
    """

    cycle = Length(0.1, low=1e-9, cycle=True)
    multiplier = Hyper(2.0, low=1.0)
    warmup = Length(0.0)
    first = Hyper(0.0)
    last = Hyper(0.0)

    @staticmethod
    def factor(t, cycle, multiplier, warmup, first, last):
        e = t - 1 - warmup
        # Half a step more, since of a whole power the logarithm may fall just below its exponent.
        gone = 1 + (e + 0.5) * (multiplier - 1) / cycle
        k = where(multiplier > 1, floor(log(gone) / log(multiplier)), floor(e / cycle))
        begun = where(multiplier > 1, cycle * (multiplier**k - 1) / (multiplier - 1), cycle * k)
        length = cycle * multiplier**k
        return warmed(t, warmup, first, falling(half_cosine(e - begun, length), last))


class Trapezoid(Schedule):
    """Up in a straight line, then 1, then down in a straight line.

    Source:  Xing et al. 2018 (arXiv:1802.08770); a tenth of the steps up and a tenth down, Crowded Valley
             (arXiv:2007.01547).
    """

    warmup = Length(0.1)
    cooldown = Length(0.1)
    first = Hyper(0.0)
    last = Hyper(0.0)

    @staticmethod
    def factor(t, T, warmup, cooldown, first, last):
        up = warmed(t, warmup, first, 1)
        down = falling(minimum(1, (T - t + 1) / (cooldown + 1)), last)
        return up * down


class WSD(Schedule):
    """Warm-up, stable, decay: up in a straight line, then 1, then down in one of six shapes.

    Of the share x of the cool-down that has gone, 1/(d + 1) in the first of its d steps, shapes fall as 1 - x (linear),
    (1 + cos(pi x)) / 2 (cosine), twice the first minus the second (mirror-cosine), last^x (exp), 1 - x^2 (square), and
    1 - sqrt(x) (sqrt).

    Source:  Hu et al. 2024, "MiniCPM" (arXiv:2404.06395), which cools down by equal ratios (exp); a fifth of the steps
             and sqrt, Haegele et al. 2024 (arXiv:2405.18392); all shapes, Semenov et al. 2025 (arXiv:2509.01440),
             whose warm-up starts from first=0.01.
    """

    warmup = Length(0.05)
    cooldown = Length(0.2)
    shape = Form("sqrt", SHAPES)
    first = Hyper(0.0)
    last = Hyper(0.0)

    def __init__(self, steps: int, **given: float | str) -> None:
        super().__init__(steps, **given)
        if vars(self)["shape"] == "exp" and not vars(self)["last"]:
            raise ValueError(
                f"{type(self).__name__}: shape='exp' falls by equal ratios and never reaches 0: give last, such as "
                "last=0.01"
            )

    @staticmethod
    def factor(t, T, warmup, cooldown, shape, first, last):
        up = warmed(t, warmup, first, 1)
        x = maximum(t - (T - cooldown), 0) / (cooldown + 1)
        down = shape(x, last)
        return up * down


CATALOGUE: dict[str, type[Schedule]] = {
    "constant": Constant,
    "warm-up": WarmUp,
    "linear": Linear,
    "cosine": Cosine,
    "warm-restarts": WarmRestarts,
    "trapezoid": Trapezoid,
    "wsd": WSD,
}
