"""All properties in one class."""

from .agreement import Agreement
from .bad_gradients import BadGradients
from .chain import Chain
from .contract import Contract
from .copies import Copies
from .memory import Memory
from .reference import Reference
from .text import Text


class Conformance(Text, Agreement, Memory, Contract, Copies, Chain, BadGradients, Reference):
    """Inherit it under a name that pytest collects, and name the optimizer::

        class TestSignMomentum(Conformance):
            optimizer = SignMomentum                        # or a Rule, or thalweg.wrap(SignMomentum, Cautious)
            settings = [{"lr": 0.1}, {"lr": 0.1, "scaled": True}]

    ``settings``             the arguments it is tried with; by default none, and each switch flipped.
    ``reference``            a class of torch.optim's kind to agree and exchange checkpoints with; by default
                             torch.optim's of the same name, and None if there is none.
    ``reference_tolerance``  how far from it in float64, relative to the weights.
    ``tolerance``            how far from the float64 oracle for each element type, relative to the weights.
    ``steps``                how many steps it is compared over: 50 to 200.
    """
