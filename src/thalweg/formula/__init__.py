"""The language in which update rules are written, and its readers."""

from .declare import Decay, Form, Hyper, Length, Scalar, Shaped, State, Sum, Switch
from .language import FormulaError
from .rule import Rule, Wrapper, like, wrapped
from .schedule import Schedule
from .search import Search, choice, log_uniform, one_minus_log_uniform
from .vocabulary import (
    abs,
    clip,
    cos,
    exp,
    floor,
    log,
    maximum,
    mean,
    minimum,
    share,
    sign,
    sin,
    sqrt,
    times,
    towards,
    where,
)

__all__ = [
    "Decay",
    "Form",
    "FormulaError",
    "Hyper",
    "Length",
    "Rule",
    "Scalar",
    "Schedule",
    "Search",
    "Shaped",
    "State",
    "Sum",
    "Switch",
    "Wrapper",
    "abs",
    "choice",
    "clip",
    "cos",
    "exp",
    "floor",
    "like",
    "log",
    "log_uniform",
    "maximum",
    "mean",
    "minimum",
    "one_minus_log_uniform",
    "share",
    "sign",
    "sin",
    "sqrt",
    "times",
    "towards",
    "where",
    "wrapped",
]
