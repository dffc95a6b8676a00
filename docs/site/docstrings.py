"""Docstrings as Markdown. They are plain text, with three forms in it: fields, code, and a rule's Source and Departs.

A field is a line that begins with names in backticks and goes on, after two spaces or more, with what they are; further
lines of it are indented. Code is indented after a line that ends in ``::``.
"""

import re
from collections.abc import Iterator
from textwrap import dedent

FIELD = re.compile(r"^((?:``[^`]+``(?:, |; )?(?:\.\.\.)?)+|(?:Source|Departs):)(?: {2,}|(?<=:) )(.*)$")
CODE = re.compile(r"(`+).+?\1", re.DOTALL)


def as_markdown(docstring: str) -> str:
    """The whole of a docstring, as `inspect.getdoc` gives it."""
    return "\n\n".join(part for block in blocks(docstring) for part in written(block)) + "\n"


def blocks(docstring: str) -> Iterator[str]:
    """What stands between empty lines; code is one block, whatever is empty in it."""
    waiting = ""
    for block in re.split(r"\n\s*\n", docstring):
        indented = block.startswith("    ")
        if waiting and not indented:
            yield waiting
            waiting = ""
        if indented:
            waiting = f"{waiting}\n\n{block}" if waiting else block
        else:
            yield block
    if waiting:
        yield waiting


def written(block: str) -> Iterator[str]:
    """The Markdown of one block: paragraphs, a list of fields, or code."""
    if block.startswith("    "):
        yield f"```python\n{dedent(block)}\n```"
        return
    paragraph: list[str] = []
    fields: list[list[str]] = []
    code: list[str] = []
    for line in block.splitlines():
        if found := FIELD.match(line):
            fields.append([found[1].rstrip(", "), found[2]])
        elif fields:
            fields[-1].append(line.strip())
        elif paragraph and (code or paragraph[-1].endswith("::")) and (line.startswith("    ") or not line):
            code.append(line)
        else:
            paragraph.append(line)
    if paragraph:
        yield re.sub("::$", ":", plain("\n".join(paragraph)))
    if code:
        yield "```python\n" + dedent("\n".join(code)) + "\n```"
    if fields:
        yield "\n".join(f"- {emphasised(name)} {plain(' '.join(' '.join(text).split()))}" for name, *text in fields)


def emphasised(name: str) -> str:
    return name if name.startswith("`") else f"**{name}**"


def plain(text: str) -> str:
    """Text in which nothing but backticks means anything to Markdown."""
    parts, at = [], 0
    for found in CODE.finditer(text):
        parts += [escaped(text[at : found.start()]), found[0]]
        at = found.end()
    return "".join([*parts, escaped(text[at:])])


def escaped(text: str) -> str:
    return re.sub(r"([*<\[\]$\\~]|(?<!\w)_|_(?!\w))", r"\\\1", text)
