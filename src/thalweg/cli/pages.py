"""Files that verbs write for the user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thalweg.terminal.console import Refused

SAFE = "The results are safe in the study; thalweg report makes the page again."


def writable_page(page: Path, store: Path | None) -> None:
    """Refuse, before anything is run, a page that could not be written or that would replace results."""
    if page.is_dir():
        raise Refused(f"{page} is a folder: name a file, for instance {page / 'page.html'}.")
    if not page.parent.is_dir():
        raise Refused(f"cannot write {page}: there is no folder {page.parent}.")
    if store is not None and page.resolve() == store.resolve():
        raise Refused(f"{page} is what results are kept in: name another file for the page, for instance page.html.")
    if page.is_file() and os.access(page, os.R_OK):
        with page.open("rb") as stream:
            if stream.read(15).startswith((b"SQLite format 3", b'{"claim":')):
                raise Refused(f"{page} holds results or another database: name another file for the page.")
    # A new file needs its folder, and so does the replacement of an old one; a device only needs itself.
    place = page if page.exists() and not page.is_file() else page.resolve().parent
    if not os.access(place, os.W_OK):
        raise Refused(f"cannot write {page}: permission denied for {place}.")


@contextmanager
def writing(page: Path, safe: str = SAFE) -> Iterator[None]:
    """Turn a failed write into a sentence; ``safe`` says what is not lost by it, and how the page is made again."""
    try:
        yield
    except OSError as error:
        raise Refused(f"cannot write {page}: {error.strerror}. {safe}") from error
