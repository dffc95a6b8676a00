"""The verb that opens the explorer."""

from pathlib import Path

from thalweg.terminal.console import Refused, did_you_mean
from thalweg.terminal.console import out as console

from .app import app

PAGE = Path("thalweg-explorer.html")


@app.command(sort_key=3)
def explore(figure: str | None = None, /, *, out: Path | None = None) -> None:
    """Open the explorer: figures to drag, drawn by the formulas that train. One file, thalweg-explorer.html; offline.

    Parameters
    ----------
    figure
        Where to begin: a name such as momentum or race, or all that stands after the # of the page's address.
    out
        A folder to write the page into, as index.html, for a web server or to give away; then nothing is opened.
    """
    from thalweg.explore import write
    from thalweg.explore.figures import NAMES

    place = (figure or "").lstrip("#")
    name = place.partition("?")[0]
    if figure is not None and name not in NAMES:
        raise Refused(f'there is no figure "{name}".{did_you_mean(name, NAMES)} The figures: {", ".join(NAMES)}.')
    page = PAGE if out is None else out / "index.html"
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        write(page)
    except OSError as error:
        raise Refused(f"cannot write {page}: {error.strerror}.") from error
    if out is not None:
        console().print(f"Page: {page}", soft_wrap=True)
        return
    address = page.resolve().as_uri() + (f"#{place}" if place else "")
    said = "Opened:" if _opened(address) else "No browser answers here. Open this address in one:"
    console().print(f"{said} {address}", soft_wrap=True)


def _opened(address: str) -> bool:
    import webbrowser

    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False
