"""What the site is made of, before Sphinx: pages and links gathered, the index's sections, docstrings as Markdown."""

from pathlib import Path

import pytest

from contents import front_page, llms, sections
from docstrings import as_markdown
from gather import ROOT, gather

INDEX = """# A

> In short.

## Questions

- [Why?](b.md#why)

## Begin

- [The first](b.md): what it is about,
  on two lines.
- [The second](c.md): more.
"""


def test_every_document_is_listed_in_the_index_or_in_its_folder_s() -> None:
    found = gather()
    index = found.pages["index.md"].text
    listed = [item.address for section in sections(index) for item in section.items]
    assert len({*listed}) == len(listed) > 30
    assert {*listed} <= {*found.pages}
    for address, page in found.pages.items():
        if page.path.startswith("docs/") and address != "index.md" and address not in listed:
            assert f"{address.rpartition('/')[0]}/index.md" in listed, f"{page.path} is not in docs/index.md"


def test_the_ten_questions_are_asked_on_the_front_page() -> None:
    """What a stranger comes with; each is answered under its own heading."""
    index = (ROOT / "docs" / "index.md").read_text()
    answers = (ROOT / "docs" / "faq.md").read_text()
    asked = [line for line in index.splitlines() if line.startswith("- [") and "](faq.md#" in line]
    words = ["eps", "Moonshot", "SGD", "resume", "trials", "biases", "clip_norm", "Trainer", "GPU", "two states"]
    assert len(asked) == len(words)
    for line, word in zip(asked, words, strict=True):
        question = line.partition("[")[2].partition("]")[0]
        assert word in question
        answer = answers.partition(f"## {question}\n")[2].partition("\n## ")[0]
        assert len(answer) > 200, question
        assert "](" in answer, f"{question} leads nowhere further"


def written(root: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_links_are_those_of_the_site(tmp_path: Path) -> None:
    page = (
        "# B\n\n[a](a.md#x) [c](../benchmarks/C.md) [p](../examples/p.py) [all](../examples) ![i](i.png)\n"
        "[out](https://example.org/x.md) [here](#b)\n```\n[kept](../as/it/is)\n```\n"
    )
    root = written(
        tmp_path,
        docs__a_dot_md="# A\n\n[b](deep/b.md)\n",
        docs__deep__b_dot_md=page.replace("(a.md", "(../a.md")
        .replace("../bench", "../../bench")
        .replace("../examples", "../../examples"),
        docs__deep__i_dot_png="",
        benchmarks__C_dot_md="# C\n\n[a](../docs/a.md)\n",
        examples__p_dot_py="",
        docs___build__old_dot_md="# Old",
    )
    found = gather(root)
    assert [*found.pages] == ["a.md", "benchmarks/C.md", "deep/b.md"]
    assert {*found.files} == {"files/examples/p.py", "files/docs/deep/i.png"}
    assert found.pages["a.md"].text == "# A\n\n[b](deep/b.md)\n"
    assert found.pages["benchmarks/C.md"].text == "# C\n\n[a](../a.md)\n"
    assert found.pages["deep/b.md"].text == (
        "# B\n\n[a](../a.md#x) [c](../benchmarks/C.md) [p](../files/examples/p.py) all ![i](../files/docs/deep/i.png)\n"
        "[out](https://example.org/x.md) [here](#b)\n```\n[kept](../as/it/is)\n```\n"
    )


def test_a_link_to_nothing_is_told_with_its_page(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"docs/a\.md links to docs/gone\.md, which is not there"):
        gather(written(tmp_path, docs__a_dot_md="# A\n\n[b](gone.md)\n"))


def test_sections_are_sidebar_cards_and_llms_txt() -> None:
    (begin,) = sections(INDEX)
    assert (begin.title, [item.address for item in begin.items]) == ("Begin", ["b.md", "c.md"])
    assert begin.items[0].about == "what it is about, on two lines."
    page = front_page(INDEX)
    assert page.startswith("# A\n\n> In short.\n\n## Questions\n\n- [Why?](b.md#why)\n")
    assert "## Begin" not in page
    assert "{grid-item-card} Begin\n- [The first](b.md): what it is about, on two lines.\n" in page
    assert ":caption: Begin\n\nThe first <b>\nThe second <c>\n" in page
    assert llms(INDEX, {"d.md": "D"}) == (
        "# A\n\n> In short.\n\n## Begin\n\n- [The first](b.md): what it is about, on two lines.\n"
        "- [The second](c.md): more.\n\n## Optional\n\n- [D](d.md)\n"
    )


@pytest.mark.parametrize(
    ("docstring", "markdown"),
    [
        ("One *line* of <b>, x_1 and a_b_.", r"One \*line\* of \<b>, x_1 and a_b\_."),
        (
            "``a``, ``b``  what they are,\n          and more\n``c``       `Other`",
            "- ``a``, ``b`` what they are, and more\n- ``c`` `Other`",
        ),
        (
            "Source:  somebody 2020,\n         page 3.\nDeparts: nothing.",
            "- **Source:** somebody 2020, page 3.\n- **Departs:** nothing.",
        ),
        ("So::\n\n    x = 1\n\n    y = 2\n\nAnd on.", "So:\n\n```python\nx = 1\n\ny = 2\n```\n\nAnd on."),
    ],
)
def test_docstrings_become_markdown(docstring: str, markdown: str) -> None:
    assert as_markdown(docstring) == f"{markdown}\n"
