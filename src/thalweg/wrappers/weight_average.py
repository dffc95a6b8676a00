"""The average of the weights along the way."""

from thalweg.formula import Hyper, State, Wrapper, towards


class WeightAverage(Wrapper):
    """Keeps an exponential moving average of the weights, to test and keep in their place.

    Source:  Polyak & Juditsky 1992 for averaging; the exponential form as in
             torch.optim.swa_utils.get_ema_multi_avg_fn.
    Departs: the average starts at the weights before the first step, and is kept in float32 at least: in bfloat16
             an average with ema = 0.999 would never move.
    """

    ema = Hyper(0.0, below=1.0)
    average = State("ema", start="w", when="ema", dtype="float32")

    @staticmethod
    def follow(w, average, ema):
        if ema:
            average = towards(average, w, 1 - ema)
        return {"average": average}

    @staticmethod
    def evaluate(w, average, ema):
        if ema:
            w = average
        return w
