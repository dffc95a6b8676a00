"""Steps that are not too long for their number of weights."""

from thalweg.formula import Hyper, Sum, Wrapper, log_uniform, maximum, sqrt


class ClipUpdate(Wrapper):
    """Shortens a tensor's step to a given root mean square, where it is larger.

    Source:  Shazeer & Stern 2018, arXiv:1804.04235, section 6, "update clipping".
    Departs: nothing. It sees the step as it is inside it: of a rule that multiplies by its learning rate, that.
    """

    clip_threshold = Hyper(1.0, log_uniform(0.1, 10.0, trials=25), low=1e-30)
    of_update = Sum("tensor")
    in_update = Sum("tensor")

    @staticmethod
    def sums(d):
        return {"of_update": d * d, "in_update": 1}

    @staticmethod
    def after(of_update, in_update, clip_threshold):
        return {"longer": maximum(1, sqrt(of_update / maximum(in_update, 1)) / clip_threshold)}

    @staticmethod
    def step(d, longer):
        return d / longer
