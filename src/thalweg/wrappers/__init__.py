"""What goes around any rule: one wrapper a file. A wrapper can be named once it stands on a line of this one."""

from thalweg.formula import Wrapper

from .cautious import Cautious as Cautious
from .lookahead import Lookahead as Lookahead
from .weight_average import WeightAverage as WeightAverage

__all__ = ["WRAPPERS", "Cautious", "Lookahead", "WeightAverage"]

WRAPPERS: dict[str, type[Wrapper]] = {
    name.lower(): wrapper
    for name, wrapper in tuple(vars().items())
    if isinstance(wrapper, type) and wrapper is not Wrapper and issubclass(wrapper, Wrapper)
}
