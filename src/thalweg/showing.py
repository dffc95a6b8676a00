"""How notebooks show what knows nothing of notebooks: rules, comparisons. The package's face says who does it.

Arrows point down, so a value cannot import what draws it.
"""

from collections.abc import Callable
from typing import Any

_shower: Callable[[], Any] | None = None


def shown_by(shower: Callable[[], Any]) -> None:
    """From now on `shower` gives the module that shows values; it is called when something is shown."""
    global _shower
    _shower = shower


def shower() -> Any:
    """The module that shows values: `thalweg.notebook`."""
    if _shower is None:
        raise RuntimeError("nothing shows values: import thalweg first")
    return _shower()
