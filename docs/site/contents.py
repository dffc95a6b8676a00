"""What docs/index.md lists is the site's order: its sections are the sidebar, the front page's cards, and llms.txt."""

import re
from dataclasses import dataclass

ITEM = re.compile(r"^- \[([^\]]+)\]\(([^()\s#]+\.md)\): (.*(?:\n  .*)*)$", re.MULTILINE)


@dataclass(frozen=True)
class Item:
    title: str
    address: str
    about: str


@dataclass(frozen=True)
class Section:
    title: str
    items: tuple[Item, ...]


def sections(index: str) -> list[Section]:
    """The sections of an index in which pages are listed, each a line ``- [title](page.md): what it is about``."""
    found = []
    for part in index.split("\n## ")[1:]:
        title, _, text = part.partition("\n")
        items = tuple(Item(name, address, " ".join(about.split())) for name, address, about in ITEM.findall(text))
        if items:
            found.append(Section(title.strip(), items))
    return found


def front_page(index: str) -> str:
    """The index as the site has it: a card for each section, and the sidebar."""
    head, *parts = index.split("\n## ")
    listed = {section.title: section for section in sections(index)}
    cards = "".join(card(section) for section in listed.values())
    trees = "".join(tree(section) for section in listed.values())
    others = [part for part in parts if part.partition("\n")[0].strip() not in listed]
    return "\n## ".join([head, *others]) + f"\n`````{{grid}} 1 2 2 2\n:gutter: 3\n{cards}`````\n\n{trees}"


def card(section: Section) -> str:
    lines = "".join(f"- [{item.title}]({item.address}): {item.about}\n" for item in section.items)
    return f"````{{grid-item-card}} {section.title}\n{lines}````\n"


def tree(section: Section) -> str:
    pages = "".join(f"{item.title} <{item.address.removesuffix('.md')}>\n" for item in section.items)
    return f"```{{toctree}}\n:hidden:\n:caption: {section.title}\n\n{pages}```\n\n"


def llms(index: str, more: dict[str, str]) -> str:
    """llms.txt (llmstxt.org): title, summary, the index's sections; ``more``: other pages, address to title."""
    head = index.partition("\n## ")[0]
    listed = [
        f"## {section.title}\n\n"
        + "".join(f"- [{item.title}]({item.address}): {item.about}\n" for item in section.items)
        for section in sections(index)
    ]
    optional = "".join(f"- [{title}]({address})\n" for address, title in more.items())
    return "\n".join([head, *listed, f"## Optional\n\n{optional}"])
