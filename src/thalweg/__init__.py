"""Write the weight update as a formula. Run it at memory speed. Know whether it helped.

Public names are loaded when first used, so the command line's help does not wait for torch:

``AdamW``, ``Lion``, ...  the catalogue's optimizers, drop-in for torch.optim (`thalweg rules` lists them)
``Rule``, ``optimizer``   a rule of your own, and the optimizer class made from it (the language: thalweg.formula)
``Wrapper``, ``wrap``     what goes around any rule, and the optimizer class with it: ``wrap(AdamW, Cautious)``
``Optimizer``             what they all are; ``NonFiniteGradient`` what they may raise
``param_groups``          a model's parameters in groups: weight decay where it belongs, learning rates by depth
``routed``                which of a model's parameters are matrices, for rules that are meant for these
``averaged``, ``window``  averages of the weights to read out: ``AdamW(..., readouts={"tail": averaged(start=8000)})``
``create``                an optimizer on those groups: ``create("adamw", model, lr=3e-4)``
``nn``                    normalisation layers, drop-in for torch.nn, and where to place them
``schedules``, ``Schedule``  factors by the step, on the learning rate or another number; the base of your own
``compare``               an honest comparison of rules on a training task; ``train`` a single training;
                          ``lr_find`` a range of learning rates
``lockstep``              many small models of one kind, trained at the same time, each as if it were alone
``show``                  a rule's card, in a notebook and in a terminal
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import nn as nn
    from . import schedules as schedules
    from .formula import Rule as Rule
    from .formula import Schedule as Schedule
    from .formula import Wrapper as Wrapper
    from .notebook import show as show
    from .optim import *
    from .stacks import lockstep as lockstep
    from .study.run.compare import compare as compare
    from .study.run.lr_find import lr_find as lr_find
    from .study.run.train import train as train
    from .wrappers import GPA as GPA
    from .wrappers import Cautious as Cautious
    from .wrappers import ClipUpdate as ClipUpdate
    from .wrappers import Hyperball as Hyperball
    from .wrappers import Lookahead as Lookahead
    from .wrappers import UpdateFloor as UpdateFloor
    from .wrappers import WeightAverage as WeightAverage

__version__ = "0.1.0"

# What draws values in notebooks; loaded when it is asked.
import_module("thalweg.showing").shown_by(lambda: import_module("thalweg.notebook"))

_MODULES = ("nn", "schedules")
_ELSEWHERE = {
    "Rule": "thalweg.formula",
    "Schedule": "thalweg.formula",
    "Wrapper": "thalweg.formula",
    "Cautious": "thalweg.wrappers",
    "ClipUpdate": "thalweg.wrappers",
    "GPA": "thalweg.wrappers",
    "Hyperball": "thalweg.wrappers",
    "Lookahead": "thalweg.wrappers",
    "UpdateFloor": "thalweg.wrappers",
    "WeightAverage": "thalweg.wrappers",
    "compare": "thalweg.study",
    "show": "thalweg.notebook",
    "lockstep": "thalweg.stacks",
    "lr_find": "thalweg.study",
    "train": "thalweg.study",
}


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'thalweg' has no attribute {name!r}")
    if name in _MODULES:
        return import_module(f"thalweg.{name}")
    try:
        home = import_module(_ELSEWHERE.get(name, "thalweg.optim"))
    except ModuleNotFoundError as error:
        needs = f"thalweg.{name} needs the package {error.name}: pip install 'thalweg[all]' brings it"
        raise ModuleNotFoundError(needs, name=error.name) from error
    if not hasattr(home, name):
        raise AttributeError(f"module 'thalweg' has no attribute {name!r}; {_instead(name)}")
    globals()[name] = value = getattr(home, name)
    return value


def _instead(name: str) -> str:
    from .closest import closest
    from .rules import CATALOGUE, left_to_torch

    if left := left_to_torch(name):
        return left
    near = closest(name, [rule.__name__ for rule in CATALOGUE.values()])
    return f"did you mean {near}?" if near else "`thalweg rules` lists the optimizers"


def __dir__() -> list[str]:
    from . import optim

    functions = {"optimizer", "wrap", "param_groups", "create", "joined_checkpoints", "averaged", "window"}
    functions |= {"routed", "routed_groups"}
    own = {name for name in globals() if name.startswith("__")}
    return sorted({*own, *_ELSEWHERE, *_MODULES, *functions, *(name for name in vars(optim) if name[0].isupper())})
