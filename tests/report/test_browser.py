"""The page in a real browser: drawn whole, quiet, and asking nobody for anything."""

import time
from pathlib import Path

import pytest

import handmade
from thalweg.report import write

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    return write(handmade.comparison(hostile=True), tmp_path_factory.mktemp("page") / "page.html")


class Visit:
    """A page opened with every request but its own file refused and counted."""

    def __init__(self, browser, path: Path, **context):
        self.asked, self.said = [], []
        self.context = browser.new_context(offline=True, **context)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.route("**/*", self._judge)
        self.own = path.as_uri()
        self.page.goto(self.own)
        # As for print: all figures, also those that nobody has scrolled to.
        self.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        self.wait_for("document.querySelectorAll('.js-plotly-plot .main-svg').length >= 6")
        self.page.wait_for_timeout(300)

    def wait_for(self, condition: str):
        """Like the page's wait_for_function, which the page's own security policy forbids."""
        deadline = time.monotonic() + 20
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, condition
            self.page.wait_for_timeout(50)

    def _judge(self, route):
        if route.request.url == self.own:
            route.continue_()
        else:
            self.asked.append(route.request.url)
            route.abort()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_drawn_and_asks_for_nothing(browser, page_file, scheme, width):
    with Visit(browser, page_file, color_scheme=scheme, viewport={"width": width, "height": 844}) as visit:
        page = visit.page
        assert visit.asked == []
        assert visit.said == []
        assert page.locator(".plot.js-plotly-plot").count() == 6
        assert page.locator(".plot .main-svg").count() >= 6
        assert page.locator("#verdict").is_visible()
        # The answer is on the first screen, and nothing makes the page scroll sideways.
        box = page.locator("#verdict").bounding_box()
        assert box["y"] + box["height"] < 844
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 24, 28)")


OPEN = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
TABLES = """[...document.querySelectorAll('.scroll')].map((box) => ({
  name: box.getAttribute('aria-label'), inside: box.scrollWidth, width: box.clientWidth,
  right: box.getBoundingClientRect().right,
}))"""


@pytest.mark.parametrize("width", [390, 1280])
def test_tables_stay_in_their_column(browser, tmp_path, width):
    """Wide ones scroll in a box of their own on a phone, and none has to on a screen of 1280."""
    found = write(handmade.suite(2, trials=12, seeds=3), tmp_path / "page.html")
    with Visit(browser, found, viewport={"width": width, "height": 844}) as visit:
        visit.page.evaluate(OPEN)
        tables = visit.page.evaluate(TABLES)
        assert sum("Trials of" in each["name"] for each in tables) == 8
        assert all(each["right"] <= width for each in tables)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        wide = [each["name"] for each in tables if each["inside"] > each["width"]]
        assert bool(wide) == (width == 390), wide


@pytest.mark.parametrize("width", [390, 1280])
def test_the_contents_lead_to_every_section(browser, page_file, width):
    with Visit(browser, page_file, viewport={"width": width, "height": 844}) as visit:
        page = visit.page
        links = page.locator(".contents a")
        assert links.count() == 13
        for number in range(links.count()):
            link = links.nth(number)
            goal = link.get_attribute("href")
            page.evaluate("window.scrollTo(0, 0)")
            link.click()
            top = page.evaluate(f"document.querySelector('{goal}').getBoundingClientRect().y")
            # At the top of the screen, or as far up as the end of the page lets it come.
            ends = page.evaluate("scrollY + innerHeight >= document.documentElement.scrollHeight - 1")
            assert abs(top) < 5 or (ends and 0 < top < 844), goal
        beside = page.locator(".contents ul").bounding_box()
        # At the side it stays in view, wherever one reads; on a phone it is left at the top.
        assert (beside["y"] >= 0) == (width == 1280)
        assert (beside["x"] + beside["width"] <= page.locator("main").bounding_box()["x"]) == (width == 1280)


def test_a_heading_sorts_the_trials(browser, page_file):
    with Visit(browser, page_file, viewport={"width": 1280, "height": 844}) as visit:
        page = visit.page
        page.evaluate(OPEN)
        table = page.locator("table.trials").last  # of lion, one trial of which failed, some diverged

        def column(number):
            return table.evaluate(f"""(table) => [...table.tBodies].map((body) =>
                [body.rows[0].cells[0].textContent, body.rows[0].cells[{number}].dataset.value ?? null])""")

        before = column(0)
        assert [float(value) for _, value in before] == list(range(25))
        again = "(table) => [...table.tBodies].map((b) => [b.rows[0].cells[0].textContent, b.rows.length])"
        under = dict(table.evaluate(again))
        for head, number in (("validation", 5), ("lr", 1)):
            button = table.get_by_role("button", name=head, exact=True)
            for turn, words in ((1, "ascending"), (-1, "descending")):
                button.click()
                values = [None if value is None else float(value) for _, value in column(number)]
                known = [value for value in values if value is not None]
                assert known == sorted(known, reverse=turn < 0)
                assert len(known) > 10
                # Those without a value are last either way.
                assert values[: len(known)] == known
                assert table.locator(f"th[aria-sort={words}]").inner_text().startswith(head)
                assert table.locator("thead th:not([aria-sort=none])").count() == 1
            # Re-runs stay under their trial.
            assert dict(table.evaluate(again)) == under
        assert None in [value for _, value in column(5)]
        table.get_by_role("button", name="trial", exact=True).click()
        assert column(0) == before
        table.get_by_role("button", name="status", exact=True).click()
        states = table.evaluate("(table) => [...table.tBodies].map((body) => body.rows[0].cells[4].textContent)")
        assert states == sorted(states)
        assert len(set(states)) == 3
        assert visit.said == []


@pytest.mark.parametrize("width", [390, 1280])
def test_several_tasks_are_drawn(browser, tmp_path, width):
    found = write(handmade.suite(3, trials=6, seeds=2), tmp_path / "page.html")
    with Visit(browser, found, viewport={"width": width, "height": 844}) as visit:
        page = visit.page
        assert visit.asked == []
        assert visit.said == []
        assert page.locator(".plot.js-plotly-plot").count() == page.locator(".plot").count() == 19
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator(".answers a").nth(1).click()
        assert abs(page.evaluate("document.getElementById('task-2').getBoundingClientRect().y")) < 5


def test_figures_wait_until_they_are_near(browser, tmp_path):
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 844})
    page = context.new_page()
    page.goto(write(handmade.suite(3, trials=6, seeds=2), tmp_path / "page.html").as_uri())
    page.wait_for_timeout(500)
    drawn = page.locator(".plot.js-plotly-plot").count()
    assert 0 < drawn < 19
    page.locator("#fig-training-3").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    assert page.locator("#fig-training-3.js-plotly-plot").count() == 1
    context.close()


def test_figures_follow_the_theme_and_the_width(browser, page_file):
    with Visit(browser, page_file, color_scheme="light", viewport={"width": 1280, "height": 844}) as visit:
        page = visit.page
        colour = "document.getElementById('fig-by-lr').data[0].marker.color"
        assert page.evaluate(colour) == "#0072B2"
        page.emulate_media(color_scheme="dark")
        visit.wait_for(f"{colour} === '#56B4E9'")
        page.set_viewport_size({"width": 390, "height": 844})
        visit.wait_for("document.querySelector('#fig-by-lr .main-svg').getBoundingClientRect().width <= 390")
        assert visit.said == []


def test_a_rule_can_be_taken_out_of_every_figure(browser, page_file):
    with Visit(browser, page_file, viewport={"width": 1280, "height": 844}) as visit:
        page = visit.page
        button = page.locator("button[data-rule=lion]").first
        button.click()
        assert button.get_attribute("aria-pressed") == "false"
        for figure in ("fig-forest", "fig-intervals", "fig-best", "fig-by-lr", "fig-by-weight_decay", "fig-training"):
            shown = page.evaluate(
                f"document.getElementById('{figure}').data.filter(t => t.visible).map(t => t.legendgroup)"
            )
            assert "lion" not in shown
            assert "adamw" in shown
        button.click()
        assert page.evaluate("document.getElementById('fig-by-lr').data.every(t => t.visible)")
