"""The page as text: complete, safe, and written whole or not at all."""

import json
import math
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import handmade
import pytest

from thalweg.report import render
from thalweg.report.atomic import write_atomically
from thalweg.report.page import embedded

VOID = {"meta", "br", "wbr", "img", "rect", "circle", "path", "link"}


class Outline(HTMLParser):
    """Elements in order; complains about what is not closed."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


def outline(page):
    found = Outline()
    found.feed(page)
    found.close()
    assert found.open == []
    return found


@pytest.fixture(scope="module")
def page():
    return render(handmade.comparison())


@pytest.fixture(scope="module")
def hostile():
    return render(handmade.comparison(hostile=True))


def test_the_answer_stands_before_everything_else(page):
    text = " ".join("".join(outline(page).text).split())
    order = ("AdamW is better than SGD", "Default and tuned", "What tuning buys", "Sensitivity", "Training curves",
             "Failures", "Cost", "How to read this", "Provenance")  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def test_it_can_be_used_without_seeing_it(page):
    found = outline(page)
    tags = [tag for tag, _ in found.elements]
    assert ("html", {"lang": "en"}) in found.elements
    assert tags.count("h1") == 1
    assert all("scope" in attributes for tag, attributes in found.elements if tag == "th")
    assert all(a.get("aria-label") for _, a in found.elements if a.get("role") in ("img", "region"))
    assert [a["id"] for t, a in found.elements if a.get("class") == "plot"] == [
        "fig-intervals", "fig-best", "fig-lr", "fig-training",
    ]  # fmt: skip


def test_it_refers_to_nothing_outside(page):
    for tag, attributes in outline(page).elements:
        assert tag not in ("link", "iframe", "img", "object")
        assert not {"src", "href", "srcset"} & set(attributes)
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_users_text_cannot_become_markup(hostile, page):
    assert [tag for tag, _ in outline(hostile).elements if tag in ("img", "script")].count("img") == 0
    scripts = [len(re.findall(rf"<{slash}script", text)) for text in (hostile, page) for slash in ("", "/")]
    assert scripts[:2] == scripts[2:]
    assert 'onerror="alert' not in hostile
    assert handmade.HOSTILE in "".join(outline(hostile).text)


def test_embedded_data_survives_any_text():
    given = {"text": handmade.HOSTILE + "\u2028<!--", "gap": [1.0, math.nan, math.inf], "nested": ({"a": None},)}
    text = embedded(given)
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"text": given["text"], "gap": [1.0, None, None], "nested": [{"a": None}]}


def test_what_is_not_finished_says_so():
    text = "".join(outline(render(handmade.comparison(missing=7))).text)
    assert "7 runs are still to do" in text


def test_nothing_lost_is_said_too():
    rules = [(label, best, where, 9.0, step) for label, best, where, _, step in handmade.RULES]
    text = "".join(outline(render(handmade.comparison(rules=rules, failing=False))).text)
    assert "None: every run ended" in text
    assert "No trial diverged or failed" in text


def test_a_failed_write_loses_nothing(tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    target.write_text("before")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(target, "after")
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_write_keeps_links_and_modes(tmp_path):
    real, link = tmp_path / "real.html", tmp_path / "link.html"
    real.write_text("before")
    real.chmod(0o640)
    link.symlink_to(real)
    write_atomically(link, "after")
    assert link.is_symlink()
    assert real.read_text() == "after"
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_is_written_to_and_stays_a_device():
    with pytest.raises(OSError, match="No space"):
        write_atomically(Path("/dev/full"), "x" * 100)
    assert not Path("/dev/full").is_file()
    assert sys.platform != "linux" or Path("/dev/full").exists()
