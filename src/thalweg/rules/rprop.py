"""Rprop."""

from thalweg.formula import Hyper, Rule, State, clip, log_uniform, sign, where


class Rprop(Rule):
    """Steps by the gradient's sign; a weight's step grows until the sign turns.

    Source:  Riedmiller & Braun 1993, "A direct adaptive method for faster backpropagation learning: the RPROP
             algorithm", in the form iRprop- of Igel & Hüsken 2000: where the sign turns, the weight waits a step.
    Departs: nothing from torch.optim.Rprop. It needs full batches: with mini-batches signs turn by chance.
             lr is the size of the first step only, so no schedule acts on it.
    """

    year = 1993
    family = "sign"
    conventions = {"torch": {}}
    lr = Hyper(1e-2, log_uniform(1e-5, 1.0))
    eta_minus = Hyper(0.5, of="etas", below=1.0)
    eta_plus = Hyper(1.2, of="etas", low=1.0)
    smallest = Hyper(1e-6, of="step_sizes")
    largest = Hyper(50.0, of="step_sizes")
    previous = State("prev")
    size = State("step_size", start="lr")

    @staticmethod
    def step(g, previous, size, eta_minus, eta_plus, smallest, largest):
        turned = g * previous
        size = clip(size * where(turned > 0, eta_plus, where(turned < 0, eta_minus, 1)), smallest, largest)
        previous = where(turned < 0, 0, g)
        return sign(previous) * size, previous, size
