"""Comparisons as one self-contained HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thalweg.study.judge.results import Comparison, Suite

__all__ = ["render", "write"]


def render(found: "Comparison | Suite", folder: Path | None = None) -> str:
    """The page as text; ``folder``: where it will lie, so that its commands can be given from there."""
    from thalweg.view.comparison import view_of

    from .page import page

    return page(view_of(found, folder))


def write(found: "Comparison | Suite", path: str | Path) -> Path:
    """Write the page, whole or not at all. Raises `OSError` when it cannot be written."""
    from thalweg.files import write_atomically

    write_atomically(Path(path), render(found, Path(path).parent))
    return Path(path)
