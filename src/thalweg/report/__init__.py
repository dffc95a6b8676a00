"""A comparison as one self-contained HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thalweg.study.results import Comparison

__all__ = ["render", "write"]


def render(comparison: "Comparison") -> str:
    """The page as text."""
    from .page import page
    from .viewing import view_of

    return page(view_of(comparison))


def write(comparison: "Comparison", path: str | Path) -> Path:
    """Write the page, whole or not at all. Raises `OSError` when it cannot be written."""
    from .atomic import write_atomically

    write_atomically(Path(path), render(comparison))
    return Path(path)
