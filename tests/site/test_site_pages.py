"""The built site in a real browser, from a disk: quiet, accessible, asking no other host; the search finds."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
# A page of each kind: the front page, a guide with code and tables, the reference, a figure, what is wide, a rule's
# with the explorer in it, the search.
PAGES = ("index", "faq", "reference/thalweg", "primers/eps", "rules", "rules/adam", "search")
# Each width and each scheme once: axe takes two seconds a page.
LOOKED_AT = (("phone", "light"), ("desk", "dark"))
WIDTHS = {"phone": {"width": 390, "height": 844}, "desk": {"width": 1280, "height": 900}}


class Links(HTMLParser):
    """What a page's HTML asks for by itself, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.leads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("script", "img", "iframe", "source") and found.get("src"):
            self.asked.append(found["src"] or "")
        elif tag == "link" and found.get("href") and found.get("rel") in ("stylesheet", "preload", "icon"):
            self.asked.append(found["href"] or "")
        elif tag == "a" and found.get("href"):
            self.leads.append(found["href"] or "")


def test_every_page_asks_for_files_of_its_own_and_leads_to_what_is_there(site: Path) -> None:
    """Sphinx checks links between pages; here also those to files, to pages as Markdown, and what pages load."""
    pages = [path for path in site.rglob("*.html") if "files" not in path.parts and "explore" not in path.parts]
    assert len(pages) > 60
    for path in pages:
        found = Links(path.read_text(encoding="utf-8"))
        for link in {*found.asked, *found.leads}:
            if link in found.leads and re.match(r"https?://", link):
                continue  # to be followed by whoever likes
            target = path.parent / link.partition("#")[0].partition("?")[0]
            assert not re.match(r"([a-z]+:)?//", link), f"{path.relative_to(site)} asks for {link}"
            assert target.exists(), f"{path.relative_to(site)}: {link}"
    for path in (*site.glob("_static/**/*.css"), *site.glob("_static/**/*.js")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(@import|url\(|src=|import )['\"( ]*https?://", text), path.name


def test_every_page_is_there_as_markdown_too(site: Path) -> None:
    pages = [path for path in site.rglob("*.html") if (path.parent / f"{path.stem}.md").is_file()]
    assert len(pages) > 60
    for path in pages:
        assert f'href="{path.stem}.md"' in path.read_text(encoding="utf-8"), path
        assert not re.search(r"```\{(raw|toctree)\}", path.with_suffix(".md").read_text(encoding="utf-8")), path
    told = (site / "llms.txt").read_text(encoding="utf-8")
    assert re.match(r"# thalweg\n\n> Write the weight update as a formula\.", told)
    for link in re.findall(r"^- \[.*?\]\((.*?)\)", told, re.MULTILINE):
        assert (site / link.partition("#")[0]).is_file(), link
    assert len((site / "llms-full.txt").read_text(encoding="utf-8")) > 200_000


class Visit:
    """Pages opened from the disk, one after the other; requests to other hosts, and what the console was told."""

    def __init__(self, browser, site: Path, **context) -> None:
        self.asked, self.said = [], []
        self.site, self.context = site, browser.new_context(offline=True, **context)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, name: str, query: str = "") -> None:
        self.page.goto((self.site / f"{name}.html").as_uri() + query)

    def quiet(self) -> None:
        assert [url for url in self.asked if not url.startswith(("file:", "data:"))] == []
        assert self.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_stands_in_anyone_s_way(browser, site: Path, scheme: str, width: str) -> None:
    import axe_playwright_python

    script = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    there = Visit(browser, site, viewport=WIDTHS[width], color_scheme=scheme)
    for name in PAGES:
        there.open(name, "?q=eps" if name == "search" else "")
        there.page.wait_for_load_state("load")
        there.quiet()
        assert there.page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]["width"], name
        if (width, scheme) not in LOOKED_AT:
            continue
        there.page.add_script_tag(content=script)
        options = "{ resultTypes: ['violations'], preload: false, iframes: false }"
        found = there.page.evaluate(f"axe.run({options}).then((found) => JSON.stringify(found.violations))")
        bad = [each for each in json.loads(found) if each["impact"] in ("serious", "critical")]
        told = [(each["id"], [node["html"][:200] for node in each["nodes"]][:3]) for each in bad]
        assert told == [], name
    there.context.close()


def test_search_finds_what_a_question_leads_to(browser, site: Path) -> None:
    """From the front page's own field, and the questions by a click."""
    there = Visit(browser, site, viewport=WIDTHS["desk"])
    there.open("index")
    there.page.locator("input[name=q]").first.fill("eps")
    there.page.keyboard.press("Enter")
    there.page.wait_for_function("document.querySelector('#search-results').innerText.includes('Search finished')")
    results = there.page.locator("#search-results li a").all_inner_texts()
    assert "Questions and answers" in results
    assert "The catalogue" in results
    there.open("index")
    there.page.get_by_text("Which eps does Keras mean?").click()
    there.page.wait_for_url("**/faq.html#which-eps-does-keras-mean")
    assert there.page.locator("#which-eps-does-keras-mean").is_visible()
    there.quiet()
    there.context.close()
