"""Builds the site: python docs/site/make.py [FOLDER]; with --links, asks instead every other host whether it answers.

Pages are gathered from the repository, what is generated is put beside them, Sphinx makes HTML of all (every warning
is an error), and each page's Markdown is laid beside its HTML, with llms.txt. Nothing is written elsewhere.
"""

import argparse
import os
import re
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from contents import front_page, llms, sections
from gather import ROOT, Gathered, gather
from reference import write_reference
from rule_pages import write_pages
from thalweg.explore import write as write_explorer

HERE = Path(__file__).resolve().parent
BUILD = ROOT / "docs" / "_build"
EXPLORER = "explore/index.html"
# Tells Sphinx that a page stands in no table of contents.
ALONE = "---\norphan: true\n---\n\n"
# What the site has more of than a page of the repository: said under that page's heading, and where it is.
MORE = {
    "rules.md": ("rules/index.md", "[A page for each rule]({}): formula, numbers, conventions, evidence."),
    "api.md": ("reference/index.md", "[What each does]({}), from its documentation."),
    "explorer.md": (EXPLORER, "[Open it here]({})."),
}


def main() -> int:
    """The exit code of Sphinx."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", nargs="?", type=Path, default=BUILD / "html")
    asked.add_argument("--links", action="store_true", help="ask other hosts whether the pages linked to are there")
    given = asked.parse_args()
    return check_links() if given.links else build(given.folder)


def build(folder: Path) -> int:
    """The site in a folder. Beside it lie its sources and what Sphinx has read, so that a second build is short."""
    work = folder.with_name("work")
    source = work / "source"
    index, pages = written(gather(), source)
    options = ["-W", "--keep-going", "-n", "-q", "-a", "-j", str(min(2, os.cpu_count() or 1))]
    code = build_main([*options, "-c", str(HERE), "-d", str(work / "doctrees"), str(source), str(folder)])
    if code == 0:
        beside(folder, source, index, pages)
    return code


def check_links() -> int:
    """Every link to another host is followed. Never in CI: other hosts are not the change's."""
    source = BUILD / "work" / "source"
    written(gather(), source)
    return build_main(["-b", "linkcheck", "-q", "-c", str(HERE), str(source), str(BUILD / "links")])


def written(found: Gathered, source: Path) -> tuple[str, dict[str, str]]:
    """Lay out what Sphinx reads; returns the index, and of every page what stands beside its HTML."""
    index = found.pages["index.md"].text
    made = source.with_name("made")
    shutil.rmtree(made, ignore_errors=True)
    (made / EXPLORER).parent.mkdir(parents=True)
    write_explorer(made / EXPLORER)
    pages = {address: page.text for address, page in found.pages.items()}
    pages |= write_reference() | rule_pages(made / "rules")
    others = [path for path in made.rglob("*.*") if path.suffix != ".md"]
    files = found.files | {path.relative_to(made).as_posix(): path for path in others}
    for address, (target, said) in MORE.items():
        heading, _, rest = pages[address].partition("\n")
        pages[address] = f"{heading}\n\n{said.format(target)}\n{rest}"
    lay_out(
        {source / address: text.encode() for address, text in placed(pages, index).items()}
        | {source / address: path.read_bytes() for address, path in files.items()},
        source,
    )
    return index, pages


def placed(pages: dict[str, str], index: str) -> dict[str, str]:
    """Pages with their place in the sidebar: listed by the index, or in a folder under its own index.md, or nowhere."""
    listed = {item.address for section in sections(index) for item in section.items}
    texts = {"index.md": front_page(index)}
    for address, text in pages.items():
        folder = address.rpartition("/")[0]
        below = [each for each in pages if folder and each.rpartition("/")[0] == folder and each != address]
        under = [target for page, (target, _) in MORE.items() if page == address and target in pages]
        if address.endswith("/index.md") and "{toctree}" not in text:
            under += below
        tree = "".join(f"/{each.removesuffix('.md')}\n" for each in under)
        if address not in texts:
            alone = address not in listed and f"{folder}/index.md" not in pages
            texts[address] = ALONE * alone + text + (f"\n```{{toctree}}\n:hidden:\n\n{tree}```\n" if tree else "")
    return texts


def rule_pages(folder: Path) -> dict[str, str]:
    """The generated pages of the rules, by address."""
    paths = write_pages(folder)
    return {path.relative_to(folder.parent).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def lay_out(wanted: dict[Path, bytes], source: Path) -> None:
    """Exactly these files in the folder; one that is there already keeps its date."""
    for path in [*source.rglob("*")] if source.is_dir() else []:
        if path.is_file() and path not in wanted:
            path.unlink()
    for path, content in wanted.items():
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def beside(folder: Path, source: Path, index: str, pages: dict[str, str]) -> None:
    """What stands beside the HTML: each page as Markdown, the files that pages lead to, llms.txt."""
    for path in source.rglob("*"):
        if path.is_file() and path.suffix != ".md":
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for address, text in pages.items():
        target = folder / address
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(without_blocks_for_html(text), encoding="utf-8")
    titles = {address: text.partition("\n")[0].removeprefix("# ") for address, text in pages.items()}
    listed = {item.address for section in sections(index) for item in section.items} | {"index.md"}
    (folder / "llms.txt").write_text(
        llms(index, {a: t for a, t in titles.items() if a not in listed}), encoding="utf-8"
    )
    whole = "\n\n".join(text for address, text in pages.items() if address in listed)
    (folder / "llms-full.txt").write_text(whole, encoding="utf-8")


def without_blocks_for_html(text: str) -> str:
    """A page for who reads Markdown: no HTML from files, of which LaTeX remains, and no contents for the sidebar."""
    return re.sub(r"^```\{(?:raw|toctree)\}.*?^```\n+", "", text, flags=re.DOTALL | re.MULTILINE)


if __name__ == "__main__":
    sys.exit(main())
