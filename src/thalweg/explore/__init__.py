"""The explorer: the lecture's figures, alive, drawn by the very formulas that train.

``write``    the page, one file that needs nothing else, and beside it that of the lecture's claims, measured
``descend``  what the figures show of a rule on a surface, as arrays
"""

from pathlib import Path as _Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .descent import Path, descend
    from .surfaces import SURFACES, Surface

__all__ = ["SURFACES", "Path", "Surface", "descend", "write"]


def write(path: str | _Path) -> _Path:
    """Write the page, whole or not at all, and thalweg-claims.html beside it, to which its figures link.

    Raises `OSError` when they cannot be written.
    """
    from thalweg.files import write_atomically

    from .building import claims_page, page
    from .claims import FILE, measured

    explorer = _Path(path)
    beside = explorer.with_name(FILE)
    if explorer == beside:
        raise FileExistsError(17, "is the claims' page, which stands beside the explorer", str(beside))
    if beside.is_file() and b'name="generator" content="thalweg' not in beside.read_bytes()[:2000]:
        raise FileExistsError(17, f"would replace {FILE}, which another program has written", str(beside))
    pages = {explorer: page(), beside: claims_page(measured(), explorer.name)}
    for each, text in pages.items():
        write_atomically(each, text)
    return explorer


def __getattr__(name: str) -> Any:
    # torch is loaded when a run is asked for, not to write the page.
    if name in ("SURFACES", "Surface"):
        from . import surfaces

        return getattr(surfaces, name)
    if name in ("Path", "descend"):
        from . import descent

        return getattr(descent, name)
    raise AttributeError(f"module 'thalweg.explore' has no attribute {name!r}")
