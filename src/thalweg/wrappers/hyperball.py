"""Matrices of one norm."""

from thalweg.formula import Scalar, Sum, Switch, Wrapper, share, sqrt, where


class Hyperball(Wrapper):
    """Keeps each tensor at the norm that it starts with: a step of lr times that norm, then back onto the sphere.

    Source:  Wen et al. 2026, arXiv:2606.16899; AdamH is Adam under it. In one pass: with k the factor that gives the
             step its length and c = radius / |w - k d|, the weight becomes c (w - k d), so d = (1 - c) w + c k d.
    Departs: a tensor that starts at 0 has no sphere and is left to the rule, where NVIDIA's Emerging-Optimizers refuses
             it; so is a step of 0, and one that would end at 0. It is meant for matrices: ``hold_norm=False`` in a
             group leaves that to the rule, as `create` and comparisons do with a model's biases, norms and embeddings.
             The paper has no weight decay: one beside the rule leaves a tensor lr * weight_decay short of its norm.
    """

    exempt = {"hold_norm": False}
    hold_norm = Switch(True)
    radius = Scalar(-1.0, "tensor")
    w_squares = Sum("tensor")
    w_steps = Sum("tensor")
    step_squares = Sum("tensor")

    @staticmethod
    def sums(w, d):
        return {"w_squares": w * w, "w_steps": w * d, "step_squares": d * d}

    @staticmethod
    def after(w_squares, w_steps, step_squares, radius, lr):
        radius = where(radius < 0, sqrt(w_squares), radius)
        k = lr * radius / sqrt(step_squares)
        length = sqrt(w_squares - 2 * k * w_steps + k * k * step_squares)
        c = radius / length
        turns = where(radius > 0, where(step_squares > 0, where(length > 0, 1, 0), 0), 0)
        return {"radius": radius, "back": where(turns > 0, 1 - c, 0), "along": where(turns > 0, c * k, 1)}

    @staticmethod
    def step(w, d, back, along, hold_norm):
        if hold_norm:
            d = share(back, w) + along * d
        return d
