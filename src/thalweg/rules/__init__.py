"""The catalogue: one update rule a file. A rule is in it once it stands on a line of this one."""

from thalweg.formula import Rule

from .adagrad import Adagrad
from .adam import Adam
from .adamw import AdamW
from .lion import Lion
from .momentum import Momentum
from .rmsprop import RMSprop
from .sgd import SGD

CATALOGUE: dict[str, type[Rule]] = {
    rule.__name__.lower(): rule
    for rule in (SGD, Momentum, Adagrad, RMSprop, Adam, AdamW, Lion)
}  # fmt: skip

__all__ = ["CATALOGUE", "SGD", "Adagrad", "Adam", "AdamW", "Lion", "Momentum", "RMSprop"]
