"""The claims' page in a real browser, and the way to it from the explorer's figures and back."""

import json
from pathlib import Path

import pytest

from thalweg import explore
from thalweg.claims.judging import VERDICTS
from thalweg.explore.building import claims_page
from thalweg.explore.claims import FILE, WORDS, links, measured
from thalweg.explore.figures import NAMES as FIGURES

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The folder with both, as thalweg explore --out writes them."""
    folder = tmp_path_factory.mktemp("pages")
    explore.write(folder / "index.html")
    return folder


def quiet(there):
    assert there.said == []
    assert there.asked == []


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_claim_has_its_words_verdict_intervals_and_figure(visit, pages, language):
    there = visit(f"#x?lang={language}", path=pages / FILE, viewport=DESK)
    at = there.page
    assert at.locator("h1").inner_text() == getattr(WORDS["heading"], language)
    for each in measured():
        section = at.locator(f"#{each.claim.name}")
        text = section.inner_text().replace("\u202f", " ")
        for words in (each.claim.statement, each.claim.measured, each.claim.why, WORDS[each.verdict]):
            assert getattr(words, language) in text
        assert section.locator(".drawn .panel").count() == len(each.records[0].figure)
        # An interval and a mean for each repeat of each bound.
        forests = section.locator(".bound .panel")
        assert forests.count() == len(each.claim.bounds)
        for place in range(forests.count()):
            assert forests.nth(place).locator(".marks path[stroke]").count() >= 2 * len(each.records)
    for verdict in VERDICTS:
        count = sum(each.verdict == verdict for each in measured())
        assert f"{getattr(WORDS[verdict], language)} {count}" in at.locator("#counts").inner_text().replace("\n", " ")
    assert "undefined" not in at.locator("main").inner_text()
    assert "NaN" not in at.locator("main").inner_html()
    quiet(there)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_on_it_stands_in_anyone_s_way(visit, pages, scheme):
    import axe_playwright_python

    script = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    there = visit("", path=pages / FILE, viewport=DESK, color_scheme=scheme)
    there.page.add_script_tag(content=script)
    for viewport in (DESK, PHONE):
        there.page.set_viewport_size(viewport)
        assert there.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        result = there.page.evaluate(
            "axe.run({ resultTypes: ['violations'] }).then((found) => JSON.stringify(found.violations))"
        )
        bad = [each for each in json.loads(result) if each["impact"] in ("serious", "critical")]
        assert [(each["id"], [node["html"][:200] for node in each["nodes"]][:3]) for each in bad] == []
    quiet(there)


def test_figures_lead_to_their_claims_and_claims_back(visit, pages):
    there = visit("#momentum?lang=fr", path=pages / "index.html", viewport=DESK)
    there.page.unroute("**/*")  # the page beside it is asked for here
    own = links("momentum")
    shown = there.page.locator("#claims-list li")
    assert shown.count() == len(own) >= 2
    there.page.locator("#claims-list a").first.click()
    there.page.wait_for_url(f"**/{FILE}#*")
    section = there.page.locator(f"#{own[0]['name']}")
    assert own[0]["statement"]["fr"] in section.inner_text().replace("\u202f", " ")
    assert section.bounding_box()["y"] < DESK["height"], "it is where the link leads"
    section.locator("a").last.click()
    there.page.wait_for_url("**/index.html#momentum?lang=fr")
    assert there.said == []


def test_a_page_that_stands_alone_leads_nowhere(tmp_path, visit):
    path = tmp_path / "own.html"
    path.write_text(claims_page(measured()), encoding="utf-8")
    there = visit("", path=path, viewport=DESK)
    assert there.page.locator('.claim a[href*=".html"]').count() == 0
    quiet(there)


def test_every_claim_of_a_figure_is_of_one_that_there_is():
    assert {each.claim.figure for each in measured()} <= {"", *FIGURES}
    assert sum(len(links(name)) for name in FIGURES) >= len(FIGURES)
