"""Steps that are not too small for their tensor."""

from thalweg.formula import Hyper, Sum, Wrapper, log_uniform, maximum, sqrt, where


class UpdateFloor(Wrapper):
    """Enlarges a tensor's step to a least share of its norm, lr * least_update, where it is smaller.

    Source:  the floor of |u| / |w| in the records of modded-nanogpt's optimization track, 0.35 to 0.3825, where u is
             the step without lr.
    Departs: nothing. A tensor that is 0, and a step of 0, are left alone. It is meant for matrices: ``least_update=0``
             in a group leaves that to the rule, as `create` and comparisons do with biases, norms and embeddings.
    """

    exempt = {"least_update": 0.0}
    least_update = Hyper(0.35, log_uniform(0.1, 1.0, trials=25))
    size_of_w = Sum("tensor")
    size_of_step = Sum("tensor")

    @staticmethod
    def sums(w, d):
        return {"size_of_w": w * w, "size_of_step": d * d}

    @staticmethod
    def after(size_of_w, size_of_step, lr, least_update):
        least = lr * least_update * sqrt(size_of_w)
        return {"enlarged": where(size_of_step > 0, maximum(1, least / sqrt(size_of_step)), 1)}

    @staticmethod
    def step(d, enlarged):
        return enlarged * d
