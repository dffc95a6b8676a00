"""Whether a rule is the catalogue's: a rule of somebody's own may have the name of one, and is another."""

from thalweg.formula import Rule
from thalweg.formula.rule import inner
from thalweg.rules import CATALOGUE


def catalogued(rule: type[Rule]) -> str:
    """The name of the catalogue's rule that this one is, or is made of by a wrapper or a convention; "" for others."""
    own = inner(rule)
    return own.__name__ if CATALOGUE.get(own.__name__.lower()) is own else ""


def unwrapped(rule: type[Rule]) -> str:
    """The same, of a rule that has no wrapper around it: what may be said of torch's class of this name."""
    return catalogued(rule) if rule.__name__ == inner(rule).__name__ else ""
