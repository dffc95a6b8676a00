"""Lookahead."""

from thalweg.formula import Hyper, State, Wrapper, choice, floor, towards, where


class Lookahead(Wrapper):
    """Every k steps takes the weights back to the line towards where they were, and goes on from there.

    Source:  Zhang, Lucas, Hinton & Ba 2019, arXiv:1907.08610, Algorithm 1; slow_step is its alpha.
    Departs: nothing. The inner rule's state is kept at that point, as the paper does by default.
    """

    k = Hyper(5, choice(5, 10, trials=25), low=1.0)
    slow_step = Hyper(0.5, choice(0.2, 0.5, 0.8, trials=25), below=1.0)
    slow = State("slow_weight", start="w", dtype="float32")

    @staticmethod
    def prepare(t, k):
        return {"back": where(t - k * floor(t / k) < 0.5, 1, 0)}

    @staticmethod
    def follow(w, slow, slow_step, back):
        slow = where(back > 0, towards(slow, w, slow_step), slow)
        w = where(back > 0, slow, w)
        return {"w": w, "slow": slow}
