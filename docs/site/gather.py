"""The repository's Markdown as pages of one site: which there are, where each stands, and links that lead there.

What lies in docs/ stands at the top; what a page links to elsewhere in the repository keeps its path, as a page if it
is Markdown, else as a file. So documents are written for whoever reads the repository, and need not know the site.
"""

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Of what has a scheme, or is an anchor alone, nothing is to be found here.
ELSEWHERE = re.compile(r"[a-z]+:|#")
LINK = re.compile(r"(?<=\])\(([^()\s]+)\)")
FENCE = re.compile(r"^ {0,3}(```+|~~~+)")


@dataclass(frozen=True)
class Page:
    """A document: ``path`` in the repository, its ``text`` as it stands there."""

    path: str
    text: str

    @property
    def address(self) -> str:
        return address(self.path)

    @property
    def title(self) -> str:
        (title, *_) = re.findall(r"^# (.*)$", self.text, re.MULTILINE)
        return str(title)


@dataclass(frozen=True)
class Gathered:
    """All pages by their address (``groups.md``), links adjusted, and the other files: address to path."""

    pages: dict[str, Page]
    files: dict[str, Path]


def address(path: str) -> str:
    """Where in the site something of the repository stands: ``docs/groups.md`` at ``groups.md``.

    Files have a folder of their own, since docs/claims.html is not the page that is made of docs/claims.md.
    """
    return path.removeprefix("docs/") if path.endswith(".md") else f"files/{path}"


def gather(root: Path = ROOT) -> Gathered:
    """Every page of docs/, and what they lead to. Raises FileNotFoundError for a link to nothing, with its page."""
    waiting = [str(path.relative_to(root)) for path in sorted((root / "docs").rglob("*.md")) if not_made(path, root)]
    pages: dict[str, Page] = {}
    files: dict[str, Path] = {}
    while waiting:
        path = waiting.pop()
        if address(path) in pages:
            continue
        text = (root / path).read_text(encoding="utf-8")
        pages[address(path)] = Page(path, adjusted(text, path, root))
        for target in targets(text, path):
            if not (root / target).exists():
                raise FileNotFoundError(f"{path} links to {target}, which is not there")
            if target.endswith(".md"):
                waiting.append(target)
            elif (root / target).is_file():
                files[address(target)] = root / target
    return Gathered(dict(sorted(pages.items())), files)


def not_made(path: Path, root: Path) -> bool:
    """Whether a file of docs/ was written, and not built: builds are in docs/_build."""
    return "_build" not in path.relative_to(root).parts


def prose(text: str) -> Iterator[tuple[str, bool]]:
    """The lines of a document, each with whether it stands outside of blocks of code."""
    closing = ""
    for line in text.splitlines(keepends=True):
        found = FENCE.match(line)
        if closing:
            yield line, False
            closing = "" if found and found[1].startswith(closing) else closing
        else:
            yield line, not found
            closing = found[1] if found else ""


def targets(text: str, path: str) -> Iterator[str]:
    """The files of the repository that a document's links and pictures lead to."""
    for line, said in prose(text):
        for link in LINK.findall(line) if said else ():
            if not ELSEWHERE.match(link):
                yield resolved(link, path)[0]


def resolved(link: str, path: str) -> tuple[str, str]:
    """A link of a document as the path in the repository, and its anchor, with the # if it has one."""
    file, mark, anchor = link.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), file)), mark + anchor


def adjusted(text: str, path: str, root: Path) -> str:
    """The text with the links that it has in the site; a folder is a link to nothing there, and stays a word."""
    here = posixpath.dirname(address(path))

    def moved(found: re.Match[str]) -> str:
        if ELSEWHERE.match(found[1]):
            return found[0]
        target, anchor = resolved(found[1], path)
        return f"({posixpath.relpath(address(target), here)}{anchor})"

    return "".join(
        LINK.sub(moved, FOLDER.sub(lambda found: unlinked(found, path, root), line)) if said else line
        for line, said in prose(text)
    )


FOLDER = re.compile(r"\[([^\[\]]+)\]\(([^()\s:#]+)\)")


def unlinked(found: re.Match[str], path: str, root: Path) -> str:
    return found[1] if (root / resolved(found[2], path)[0]).is_dir() else found[0]
