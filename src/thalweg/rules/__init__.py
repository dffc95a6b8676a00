"""The catalogue: one update rule a file. A rule is in it once it stands on a line of this one, from old to new."""

from thalweg.formula import Rule
from thalweg.formula.rule import by_lines, of_matrices

# isort: off
from .sgd import SGD as SGD
from .momentum import Momentum as Momentum
from .nag import NAG as NAG
from .rprop import Rprop as Rprop
from .adagrad import Adagrad as Adagrad
from .adadelta import Adadelta as Adadelta
from .rmsprop import RMSprop as RMSprop
from .adam import Adam as Adam
from .adamax import Adamax as Adamax
from .nadam import NAdam as NAdam
from .adamw import AdamW as AdamW
from .lars import LARS as LARS
from .amsgrad import AMSGrad as AMSGrad
from .shampoo import Shampoo as Shampoo
from .signum import Signum as Signum
from .lamb import LAMB as LAMB
from .adafactor import Adafactor as Adafactor
from .radam import RAdam as RAdam
from .adabound import AdaBound as AdaBound
from .amsbound import AMSBound as AMSBound
from .laprop import LaProp as LaProp
from .adabelief import AdaBelief as AdaBelief
from .adan import Adan as Adan
from .lion import Lion as Lion
from .came import CAME as CAME
from .stableadamw import StableAdamW as StableAdamW
from .prodigy import Prodigy as Prodigy
from .schedulefreesgd import ScheduleFreeSGD as ScheduleFreeSGD
from .schedulefreeadamw import ScheduleFreeAdamW as ScheduleFreeAdamW
from .ademamix import AdEMAMix as AdEMAMix
from .adopt import ADOPT as ADOPT
from .mars import MARS as MARS
from .grams import Grams as Grams
from .soap import SOAP as SOAP
from .muon import Muon as Muon
from .normuon import NorMuon as NorMuon
# isort: on

CATALOGUE: dict[str, type[Rule]] = {
    name.lower(): rule
    for name, rule in tuple(vars().items())
    if isinstance(rule, type) and rule is not Rule and issubclass(rule, Rule)
}

# Those that see a weight at a time, whatever the shape of what it is in.
BY_WEIGHT = {name: rule for name, rule in CATALOGUE.items() if not (of_matrices(rule) or by_lines(rule))}

# What torch.optim has and the catalogue does not, and why.
_LEFT_TO_TORCH = {
    "ASGD": "an average of the weights stands beside every rule (ema=), or is the rule (ScheduleFreeSGD)",
    "LBFGS": "it computes the loss several times a step, so it is no formula of one gradient",
    "SparseAdam": "it updates only the rows of an embedding that a sparse gradient names",
}


def left_to_torch(name: str) -> str | None:
    """A sentence on a rule that is left to torch.optim; None for any other name."""
    for theirs, why in _LEFT_TO_TORCH.items():
        if theirs.lower() == name.lower():
            return f"{theirs} is left to torch.optim.{theirs}: {why}."
    return None
