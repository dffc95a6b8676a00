"""What goes around any rule: one wrapper a file. A wrapper can be named once it stands on a line of this one."""

from thalweg.formula import Wrapper

from .cautious import Cautious as Cautious
from .clip_update import ClipUpdate as ClipUpdate
from .gpa import GPA as GPA
from .hyperball import Hyperball as Hyperball
from .lookahead import Lookahead as Lookahead
from .update_floor import UpdateFloor as UpdateFloor
from .weight_average import WeightAverage as WeightAverage

__all__ = ["GPA", "WRAPPERS", "Cautious", "ClipUpdate", "Hyperball", "Lookahead", "UpdateFloor", "WeightAverage"]

WRAPPERS: dict[str, type[Wrapper]] = {
    name.lower(): wrapper
    for name, wrapper in tuple(vars().items())
    if isinstance(wrapper, type) and wrapper is not Wrapper and issubclass(wrapper, Wrapper)
}
