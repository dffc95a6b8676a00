"""Averages of the weights that are read out at test: training goes on without them."""

from thalweg.formula import Hyper, State, Wrapper, maximum, minimum, towards, where


def newest(t, start, horizon):
    """The share of the newest weights: up to the start all, then as in a plain mean, but at least 1 / horizon."""
    return 1 / maximum(minimum(horizon, t - start), 1)


def followed(average, w, share):
    """The average with the new weights; the very weights where they are all of it."""
    return where(share < 1, towards(average, w, share), w)


def blended(w, average, blend):
    """What is read out, on the way from the weights to the average; the very average at 1."""
    return towards(average, w, 1 - blend)


class Readouts(Wrapper):
    """Keeps up to four averages of the weights, to be read out at test: each a mean from a step on, exponential or not.

    Source:  Polyak & Juditsky 1992 for averaging; a horizon of h steps is an exponential average with the decay
             1 - 1 / h.
    Departs: while fewer than h steps have been taken since the start, it is the mean of these. It is kept in float32
             at least, and an average of the horizon 0 does not exist.
    """

    horizon1, horizon2, horizon3, horizon4 = (Hyper(0.0, of="average_horizons") for _ in range(4))
    start1, start2, start3, start4 = (Hyper(0.0, of="average_starts") for _ in range(4))
    average1 = State("average1", start="w", when="horizon1", dtype="float32")
    average2 = State("average2", start="w", when="horizon2", dtype="float32")
    average3 = State("average3", start="w", when="horizon3", dtype="float32")
    average4 = State("average4", start="w", when="horizon4", dtype="float32")

    @staticmethod
    def prepare(t, horizon1, horizon2, horizon3, horizon4, start1, start2, start3, start4):
        return {
            "newest1": newest(t, start1, horizon1),
            "newest2": newest(t, start2, horizon2),
            "newest3": newest(t, start3, horizon3),
            "newest4": newest(t, start4, horizon4),
        }

    @staticmethod
    def follow(
        w, average1, average2, average3, average4, newest1, newest2, newest3, newest4,
        horizon1, horizon2, horizon3, horizon4,
    ):  # fmt: skip
        average1 = followed(average1, w, newest1) if horizon1 else average1
        average2 = followed(average2, w, newest2) if horizon2 else average2
        average3 = followed(average3, w, newest3) if horizon3 else average3
        average4 = followed(average4, w, newest4) if horizon4 else average4
        return {"average1": average1, "average2": average2, "average3": average3, "average4": average4}
