"""The average of the weights along the way."""

from thalweg.formula import Hyper, State, Switch, Wrapper, minimum, towards


class WeightAverage(Wrapper):
    """Keeps an exponential moving average of the weights, to test and keep in their place.

    Source:  Polyak & Juditsky 1992 for averaging; the exponential form as in
             torch.optim.swa_utils.get_ema_multi_avg_fn.
             The warm-up is that of tf.train.ExponentialMovingAverage(num_updates=): without it the average would
             hold on to the weights that training began with for several times 1 / (1 - ema) steps.
    Departs: the average starts at the weights before the first step, and is kept in float32 at least: in bfloat16
             an average with ema = 0.999 would never move.
    """

    ema = Hyper(0.0, none=True, below=1.0)
    ema_warmup = Switch(True)
    average = State("ema", start="w", when="ema", dtype="float32")

    @staticmethod
    def prepare(t, ema, ema_warmup):
        ema_now = ema
        if ema_warmup:
            ema_now = minimum(ema, (1 + t) / (10 + t))
        return {"ema_now": ema_now}

    @staticmethod
    def follow(w, average, ema, ema_now):
        if ema:
            average = towards(average, w, 1 - ema_now)
        return {"average": average}

    @staticmethod
    def evaluate(w, average, ema):
        if ema:
            w = average
        return w
