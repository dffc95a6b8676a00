"""Rules that need every part of the contract: each is a miniature of a published one, with its name."""

from thalweg.formula import (
    Decay,
    Hyper,
    Rule,
    Scalar,
    State,
    Sum,
    abs,
    clip,
    maximum,
    sqrt,
    where,
)
from thalweg.formula.rule import layers, parts


class NAdamLike(Rule):
    """A scalar a tensor: the running product of the momentum schedule (Dozat 2016)."""

    lr = Hyper(2e-3)
    beta1 = Hyper(0.9, of="betas", below=1.0)
    beta2 = Hyper(0.999, of="betas", below=1.0)
    eps = Hyper(1e-8)
    weight_decay = Decay("l2", 0.0)
    momentum_decay = Hyper(4e-3)
    mu_product = Scalar(1.0, "tensor")
    m = State("exp_avg")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t, beta1, beta2, momentum_decay, mu_product):
        mu = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))
        after = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
        product = mu_product * mu
        return {
            "now": (1 - mu) / (1 - product),
            "ahead": after / (1 - product * after),
            "c2": 1 - beta2**t,
            "mu_product": product,
        }

    @staticmethod
    def step(g, m, v, lr, beta1, beta2, eps, now, ahead, c2):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        return lr * (now * g + ahead * m) / (sqrt(v / c2) + eps), m, v


class AdaBoundLike(Rule):
    """A scalar a group that starts at a hyperparameter: the first learning rate (Luo et al. 2019)."""

    lr = Hyper(1e-3)
    final_lr = Hyper(0.1)
    gamma = Hyper(1e-3)
    base_lr = Scalar("lr", "group")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t, lr, final_lr, gamma, base_lr):
        final = final_lr * lr / base_lr
        return {"low": final * (1 - 1 / (gamma * t + 1)), "high": final * (1 + 1 / (gamma * t)), "base_lr": base_lr}

    @staticmethod
    def step(g, v, lr, low, high):
        v = 0.999 * v + 0.001 * g * g
        return clip(lr / (sqrt(v) + 1e-8), low, high) * g, v


class ProdigyLike(Rule):
    """A scalar for all, totals over all weights, and a state that starts as the weight (Mishchenko & Defazio 2023)."""

    lr = Hyper(1.0)
    d0 = Hyper(1e-3)
    d = Scalar("d0", "all")
    toward = Sum("all")
    size = Sum("all")
    start = State("p0", start="w")
    s = State("s")

    @staticmethod
    def sums(w, g, start, s, d):
        return {"toward": g * (start - w) * d, "size": abs(s + d * g)}

    @staticmethod
    def after(toward, size, d):
        estimate = where(size > 0, toward / size, 0)
        return {"d": maximum(d, estimate), "rate": maximum(d, estimate)}

    @staticmethod
    def step(g, s, lr, rate, d):
        s = s + d * g
        return lr * rate * g / (abs(g) + 1e-3), s


def direction(w, g, m, v, beta1, beta2, c1, c2, weight_decay):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    r = m / c1 / (sqrt(v / c2) + 1e-6) + weight_decay * w
    return r, m, v


class LambLike(Rule):
    """Totals a tensor: the trust ratio; it owns its weight decay (You et al. 2020)."""

    lr = Hyper(1e-2)
    beta1 = Hyper(0.9, of="betas", below=1.0)
    beta2 = Hyper(0.999, of="betas", below=1.0)
    weight_decay = Decay("own", 0.1)
    ww = Sum("tensor")
    rr = Sum("tensor")
    m = State("exp_avg")
    v = State("exp_avg_sq")

    @staticmethod
    def prepare(t, beta1, beta2):
        return {"c1": 1 - beta1**t, "c2": 1 - beta2**t}

    @staticmethod
    def sums(w, g, m, v, beta1, beta2, c1, c2, weight_decay):
        r, m, v = direction(w, g, m, v, beta1, beta2, c1, c2, weight_decay)
        return {"ww": w * w, "rr": r * r}

    @staticmethod
    def after(ww, rr):
        return {"ratio": where(ww > 0, where(rr > 0, sqrt(ww / rr), 1), 1)}

    @staticmethod
    def step(w, g, m, v, lr, beta1, beta2, c1, c2, weight_decay, ratio):
        r, m, v = direction(w, g, m, v, beta1, beta2, c1, c2, weight_decay)
        return lr * ratio * r, m, v


class AdanLike(Rule):
    """A state that starts as the first gradient the rule sees (Xie et al. 2022)."""

    lr = Hyper(1e-2)
    previous = State("previous_grad", start="g")
    m = State("exp_avg_diff")

    @staticmethod
    def step(g, previous, m, lr):
        m = 0.9 * m + 0.1 * (g - previous)
        previous = g
        return lr * (g + m), previous, m


def trains_together(rule: type[Rule]) -> bool:
    """Whether a parameter's step depends on others: on totals over all, or on scalars of the group that change."""
    named = {name for own in layers(rule) for f in ("prepare", "after") if f in own for name in own[f].returned}
    scalars = {name for name, scalar in parts(rule, Scalar).items() if scalar.scope != "tensor"}
    return bool(scalars & named) or any(total.scope == "all" for total in parts(rule, Sum).values())


CONTRACT = (NAdamLike, AdaBoundLike, ProdigyLike, LambLike, AdanLike)
