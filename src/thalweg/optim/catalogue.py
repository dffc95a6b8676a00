"""An optimizer class for every rule of the catalogue. Their signatures stand in catalogue.pyi, made by `stubs`."""

from thalweg.rules import CATALOGUE

from .making import made_of
from .named import OPTIMIZERS

for _name, _rule in CATALOGUE.items():
    _made = made_of(_rule)
    # Pickle finds a class by module and name: the optimizer is here, the rule stays where it is written.
    _made.__module__, _made.__qualname__ = __name__, _rule.__name__
    globals()[_rule.__name__] = OPTIMIZERS[_name] = _made

__all__ = ["OPTIMIZERS", *(rule.__name__ for rule in CATALOGUE.values())]
