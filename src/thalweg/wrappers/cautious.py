"""Cautious steps."""

from thalweg.formula import Sum, Wrapper, maximum, where


class Cautious(Wrapper):
    """Takes only those coordinates of the step that go down the present gradient, enlarged by the share left out.

    Source:  Liang et al. 2024, arXiv:2411.16085, Algorithm 2; the least share, 1e-3 of a tensor, is that of the
             authors' code (kyleliang919/C-Optim), where the paper adds 1 to the number of coordinates taken.
    Departs: nothing. Decoupled decay, which the chain does, is left alone.
    """

    taken = Sum("tensor")
    there = Sum("tensor")

    @staticmethod
    def sums(g, d):
        return {"taken": where(d * g > 0, 1, 0), "there": 1}

    @staticmethod
    def after(taken, there):
        return {"enlarged": there / maximum(taken, 0.001 * there)}

    @staticmethod
    def step(g, d, enlarged):
        return where(d * g > 0, enlarged * d, 0)
