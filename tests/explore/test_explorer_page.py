"""The whole page, as one uses it: in a real browser, figure after figure."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from thalweg.explore.building import page
from thalweg.explore.figure import Choice, Numbers, Several, Slider
from thalweg.explore.figures import NAMES, figures

SLOW = pytest.mark.slow
FIGURES = figures()
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def text():
    return page()


def test_the_page_is_one_file_that_loads_nothing(text):
    addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=\"(?!data:)", text)
    assert "import(" not in text
    assert "fetch(" not in text


def test_scripts_call_no_two_things_by_one_name(text):
    # They share one scope, and a second const of a name ends the whole page.
    names = re.findall(r"^(?:const|let|class|function) (\w+)", text, re.MULTILINE)
    assert len(names) > 100
    assert sorted(names) == sorted({*names})


@pytest.mark.parametrize("figure", FIGURES, ids=NAMES)
def test_a_figure_is_said_in_both_languages_and_its_controls_are_sound(figure):
    texts = [figure.title, figure.see, *figure.words.values(), *(each.label for each in figure.controls)]
    texts += [
        words for each in figure.controls if isinstance(each, Choice | Several) for words in each.options.values()
    ]
    assert all(words.en and words.fr for words in texts)
    assert figure.title.en != figure.title.fr or figure.title.en[0].isupper()
    # French: a space that does not break before what takes one.
    assert not [
        words.fr
        for words in texts
        if re.search(r"[^\s\u202f\u00a0][;?!]|[^\s\u202f\u00a0\d] ?:(?!\S)(?<! :)", words.fr)
    ]
    names = [each.name for each in figure.controls]
    assert len({*names}) == len(names)
    for each in figure.controls:
        if isinstance(each, Slider):
            assert each.low <= each.start <= each.high
            assert not each.log or each.low > 0
        elif isinstance(each, Numbers):
            assert all(each.low <= value <= each.high for value in each.start)
        elif isinstance(each, Choice):
            assert each.start in each.options
        elif isinstance(each, Several):
            assert {*each.start} <= {*each.options}


def quiet(there):
    # What was asked for is drawn in the next frame.
    there.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert there.said == []
    assert there.asked == []


def french(words):
    """As the page writes it: with a thin space that does not break."""
    return re.sub(r" ([:;?!])", "\u202f\\1", words.fr)


def address(there):
    # The page waits a moment before it writes its address.
    there.page.wait_for_timeout(350)
    return there.page.evaluate("location.hash")


def picture(there):
    """All that is drawn, without what names clip paths."""
    return there.page.evaluate(
        "[...document.querySelectorAll('.panel svg')].map((svg) => svg.outerHTML.replace(/inside-\\d+/g, ''))"
    )


def drag(there, handle, dx, dy, moves=4):
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    there.page.mouse.move(x, y)
    there.page.mouse.down()
    for i in range(1, moves + 1):
        there.page.mouse.move(x + dx * i / moves, y + dy * i / moves)
    there.page.mouse.up()


@SLOW
@pytest.mark.parametrize("name", NAMES)
def test_everything_in_a_figure_can_be_used(visit, name):
    there = visit(f"#{name}", viewport=DESK, locale="en-GB")
    at = there.page
    quiet(there)
    at.wait_for_timeout(100)
    begun = picture(there)
    assert begun
    assert address(there) == f"#{name}?lang=en" or address(there) == f"#{name}"
    # Every handle: by mouse and by keyboard.
    for i in range(at.locator(".handle").count()):
        handle = at.locator(".handle").nth(i)
        if not handle.is_visible():
            continue
        handle.scroll_into_view_if_needed()
        drag(there, handle, -24, -18)
        handle.focus()
        for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"):
            at.keyboard.press(key)
        quiet(there)
    # Every control.
    for i in range(at.locator("#controls input[type=range]:visible").count()):
        slider = at.locator("#controls input[type=range]:visible").nth(i)
        low, high = float(slider.get_attribute("min")), float(slider.get_attribute("max"))
        for share in (0.0, 1.0, 0.6):
            slider.fill(str(round(low + (high - low) * share)))
            quiet(there)
    for i in range(at.locator("#controls select:visible").count()):
        select = at.locator("#controls select:visible").nth(i)
        for value in [option.get_attribute("value") for option in select.locator("option").all()]:
            select.select_option(value)
            quiet(there)
    for i in range(at.locator("#controls input[type=checkbox]:visible").count()):
        at.locator("#controls input[type=checkbox]:visible").nth(i).click()
        quiet(there)
    # The state is in the address: another visit there shows the same picture.
    left, shown = address(there), picture(there)
    assert left != f"#{name}"
    again = visit(left, viewport=DESK, locale="en-GB")
    again.page.wait_for_timeout(150)
    assert picture(again) == shown
    # Languages, and back to the start.
    at.locator("[data-lang=fr]").click()
    quiet(there)
    figure = next(each for each in FIGURES if each.name == name)
    assert at.locator("h1").inner_text() == french(figure.title)
    assert at.evaluate("document.documentElement.lang") == "fr"
    at.locator("[data-lang=en]").click()
    at.locator("#again").click()
    at.wait_for_timeout(100)
    assert picture(there) == begun
    quiet(there)


@SLOW
@pytest.mark.parametrize("name", [each.name for each in FIGURES if any(c.name == "steps" for c in each.controls)])
def test_a_figure_plays(visit, name):
    there = visit(f"#{name}?steps=0", viewport=DESK)
    there.page.locator("#play").click()
    there.page.wait_for_function("() => window.explorer.current.state.steps > 0")
    there.page.locator("#play").click()
    there.page.wait_for_timeout(60)
    stopped = there.page.evaluate("window.explorer.current.state.steps")
    there.page.wait_for_timeout(200)
    assert there.page.evaluate("window.explorer.current.state.steps") == stopped
    quiet(there)


@SLOW
def test_playing_goes_from_the_first_step_to_the_chosen_one_with_pauses(visit):
    there = visit("#momentum?steps=30", viewport=DESK, locale="en-GB")
    at, steps = there.page, "window.explorer.current.state.steps"
    button = at.locator("#play")
    assert button.inner_text() == "Play"
    button.click()
    at.wait_for_timeout(400)
    assert button.inner_text() == "Pause"
    assert 0 <= at.evaluate(steps) < 15
    button.click()
    paused = at.evaluate(steps)
    assert button.inner_text() == "Play"
    at.wait_for_timeout(200)
    assert at.evaluate(steps) == paused
    button.click()
    at.wait_for_timeout(50)
    assert at.evaluate(steps) >= paused, "it goes on from where it was paused"
    at.wait_for_function(f"() => {steps} === 30 && document.querySelector('#play').textContent === 'Play'")
    # Rewinding is not resetting, which is a button of its own: it goes to the first step, and playing as far as before.
    at.locator("#controls input[type=range]").first.focus()
    at.keyboard.press("ArrowRight")
    moved = at.evaluate("JSON.stringify(window.explorer.current.state)")
    at.locator("#rewind").click()
    assert at.evaluate(steps) == 0
    button.click()
    at.wait_for_timeout(200)
    assert at.evaluate(steps) < 15
    at.wait_for_function("() => document.querySelector('#play').textContent === 'Play'")
    assert at.evaluate("JSON.stringify(window.explorer.current.state)") == moved
    at.locator("#again").click()
    assert at.evaluate("JSON.stringify(window.explorer.current.state)") != moved
    at.locator("[data-lang=fr]").click()
    assert button.inner_text() == "Lecture"
    quiet(there)


@SLOW
@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_saved_as_svg_and_png(visit, name, tmp_path):
    there = visit(f"#{name}", viewport=DESK, accept_downloads=True)
    for kind in ("svg", "png"):
        with there.page.expect_download() as found:
            there.page.locator(f"#{kind}").click()
        found.value.save_as(tmp_path / f"{name}.{kind}")
    written = (tmp_path / f"{name}.svg").read_text()
    ElementTree.fromstring(written)
    assert "var(" not in written
    png = (tmp_path / f"{name}.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert len(png) > 5000
    quiet(there)


@SLOW
def test_from_the_command_to_the_numbers_in_a_program(visit, tmp_path):
    """As the README has it: thalweg explore race; save what its Python button gives; python race.py."""
    command = [sys.executable, "-m", "thalweg", "explore", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    there = visit("#race?steps=40", path=tmp_path / "index.html", accept_downloads=True)
    there.page.locator("#program-button").click()
    with there.page.expect_download() as found:
        there.page.locator("#save").click()
    assert found.value.suggested_filename == "race.py"
    found.value.save_as(tmp_path / "race.py")
    done = subprocess.run([sys.executable, "race.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    printed = dict(line.split(" [") for line in done.stdout.splitlines())
    paths = [mark for mark in there.draw("race", {"steps": 40})["panels"][0]["marks"] if mark["kind"] == "line"]
    ends = sorted((mark["x"][-1], mark["y"][-1]) for mark in paths)
    told = sorted(tuple(map(float, numbers.strip("]").split(", "))) for numbers in printed.values())
    np.testing.assert_allclose(told, ends, rtol=1e-9, atol=1e-300)


def the_figure_stays_in_view_of_its_sliders(there):
    panel = there.page.locator(".panel").first
    for i in range(there.page.locator("#controls input[type=range]:visible").count()):
        slider = there.page.locator("#controls input[type=range]:visible").nth(i)
        # As a finger scrolls: until the slider is in the lower half.
        slider.evaluate("each => scrollBy(0, each.getBoundingClientRect().top - innerHeight * 0.75)")
        figure, handle = panel.bounding_box(), slider.bounding_box()
        assert figure["y"] >= -1, "the figure has been scrolled away"
        assert figure["y"] + figure["height"] <= handle["y"] < PHONE["height"]


def complaints(there):
    """What axe finds that is serious: each rule, and where."""
    import axe_playwright_python

    script = Path(axe_playwright_python.__file__).parent / "axe.min.js"
    if not there.page.evaluate("'axe' in window"):
        there.page.add_script_tag(content=script.read_text(encoding="utf-8"))
    found = there.page.evaluate(
        "axe.run({ resultTypes: ['violations'] }).then((found) => JSON.stringify(found.violations))"
    )
    bad = [each for each in json.loads(found) if each["impact"] in ("serious", "critical")]
    return [(each["id"], [node["html"][:200] for node in each["nodes"]][:3]) for each in bad]


@SLOW
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_anyone_s_way(visit, name, scheme):
    there = visit(f"#{name}", viewport=DESK, color_scheme=scheme)
    there.page.locator("#program-button").click()
    there.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for viewport in (DESK, PHONE):
        there.page.set_viewport_size(viewport)
        quiet(there)
        assert there.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        if viewport == PHONE and scheme == "light":
            the_figure_stays_in_view_of_its_sliders(there)
        assert complaints(there) == []


EMBED = {"width": 820, "height": 560}
FIRST_VIEW = """() => {
    const slider = [...document.querySelectorAll("#controls input[type=range]")].find((each) => each.offsetParent);
    const boxes = [document.querySelector(".panel"), slider].map((each) => each.getBoundingClientRect());
    return [scrollY, ...boxes.flatMap(({ left, top, right, bottom }) => [left, top, right, bottom])];
}"""


@SLOW
@pytest.mark.parametrize("where", ["phone", "embed"])
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_first_panel_and_first_slider_are_in_one_view(visit, where, lang):
    size = PHONE if where == "phone" else EMBED
    there = visit(f"{'?embed=1' if where == 'embed' else ''}#?lang={lang}", viewport=size)
    for name in NAMES:
        there.page.evaluate("name => { location.hash = name; }", name)
        there.page.wait_for_function("name => window.explorer.current.figure?.name === name", arg=name)
        quiet(there)
        scrolled, *found = there.page.evaluate(FIRST_VIEW)
        lefts, tops, rights, bottoms = (found[i::4] for i in range(4))
        assert scrolled == 0
        assert min(lefts + tops) >= 0, name
        assert max(rights) <= size["width"], name
        assert max(bottoms) <= size["height"], name
        assert there.page.evaluate("document.documentElement.scrollWidth") <= size["width"], name
        around = there.page.locator("header, #menu, #see, #note, .take, #formulas-box, #thread")
        assert (around.locator("visible=true").count() == 0) == (where == "embed"), name
    if lang == "en":
        assert complaints(there) == []


@SLOW
def test_a_figure_stands_in_another_page(visit, page_file, tmp_path):
    there = visit("#momentum?steps=30&lang=fr", viewport=DESK)
    there.page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    there.page.locator("#frame").click()
    written = there.page.evaluate("window.copied")
    assert f'src="{page_file.as_uri()}?embed=1#momentum?steps=30&amp;lang=fr"' in written
    outer = there.context.new_page()
    (tmp_path / "outer.html").write_text(f"<!doctype html><title>slides</title>{written}", encoding="utf-8")
    outer.goto((tmp_path / "outer.html").as_uri())
    inside = outer.frames[1]
    inside.wait_for_function("() => document.querySelector('.panel svg path')")
    assert inside.evaluate("[innerWidth, innerHeight]") == [EMBED["width"], EMBED["height"]]
    assert inside.evaluate("window.explorer.current.state.steps") == 30
    assert inside.locator("#play").inner_text() == "Lecture"
    # Letters are larger than on the page.
    letter = "document.querySelector('.panel .ground text').getBoundingClientRect().height"
    assert inside.evaluate(letter) > 1.3 * there.page.evaluate(letter)


@SLOW
def test_the_start_shows_every_figure_and_a_few_move(visit):
    there = visit("", viewport={"width": 1280, "height": 1500}, locale="en-GB")
    at = there.page
    links = at.locator("#overview a")
    assert [each.get_attribute("href") for each in links.all()] == [f"#{name}" for name in NAMES]
    assert at.locator("#overview a > span").all_inner_texts() == [figure.title.en for figure in FIGURES]
    at.wait_for_function("() => [...document.querySelectorAll('.thumb')].every((each) => each.lastChild.firstChild)")
    marks = "[...document.querySelectorAll('.thumb')].map((each) => each.lastChild.innerHTML)"
    begun = at.evaluate(marks)
    at.wait_for_timeout(700)
    moved = [name for name, a, b in zip(NAMES, begun, at.evaluate(marks), strict=True) if a != b]
    assert moved == ["momentum", "accumulator", "race", "explosion"]
    at.locator("#still").click()
    at.wait_for_timeout(100)
    still = at.evaluate(marks)
    at.wait_for_timeout(300)
    assert at.evaluate(marks) == still
    assert complaints(there) == []
    # Who asks for less motion has to press Play.
    at.emulate_media(color_scheme="dark", reduced_motion="reduce")
    at.set_viewport_size(PHONE)
    at.reload()
    assert at.locator("#still").inner_text() == "Play"
    assert at.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert complaints(there) == []
    links.nth(1).click()
    assert at.locator("h1").inner_text() == FIGURES[1].title.en
    assert at.locator("#overview a").count() == 0
    quiet(there)


@SLOW
def test_figures_are_walked_through_by_keyboard_and_by_the_browser_s_own_buttons(visit):
    there = visit("", viewport=DESK, locale="fr-FR")
    at = there.page
    titles = [french(each.title) for each in FIGURES]
    assert at.locator("h1").inner_text() == "Des figures à manipuler"
    seen = []
    for _ in NAMES:
        at.keyboard.press("PageDown")
        seen.append(at.locator("h1").inner_text())
        quiet(there)
    assert seen == titles
    at.go_back()
    assert at.locator("h1").inner_text() == titles[-2]
    at.go_forward()
    assert at.locator("h1").inner_text() == titles[-1]
    # The thread: to the figure before, and on to the next, which says what leads to it.
    at.locator("#thread .to-before").click()
    assert at.locator("h1").inner_text() == titles[-2]
    if FIGURES[-1].thread:
        assert FIGURES[-1].thread.fr.split()[-1] in at.locator("#thread .to-next").inner_text()
    at.locator("#thread .to-next").click()
    assert at.locator("h1").inner_text() == titles[-1]
    # On a projector: the panels and controls alone, and the keys go on.
    at.keyboard.press("f")
    assert not at.locator("header").is_visible()
    at.keyboard.press("PageUp")
    assert at.evaluate("document.title") == f"{titles[-2]} · thalweg"
    at.keyboard.press("Escape")
    at.wait_for_function("() => !document.fullscreenElement")
    assert at.locator("header").is_visible()
    at.set_viewport_size(PHONE)
    at.locator("#chooser").select_option(NAMES[0])
    assert at.locator("h1").inner_text() == titles[0]
    at.locator("#after").click()
    assert at.locator("h1").inner_text() == titles[1]
    at.locator(".brand a").click()
    assert at.locator("h1").inner_text() == "Des figures à manipuler"
    quiet(there)


@SLOW
def test_the_lecture_s_letters_stand_in_formulas_and_words_and_in_the_address(visit):
    there = visit("#accumulator", viewport=DESK, locale="en-GB")
    at = there.page
    formula = at.locator("#formulas math").first
    assert "G" in formula.text_content()
    at.locator("#letters").click()
    assert "∇ℒ(θ)" in formula.text_content()
    assert "G" not in formula.text_content()
    assert "letters=lecture" in address(there)
    at.evaluate("location.hash = '#momentum?letters=lecture'")
    at.wait_for_function("() => window.explorer.current.figure.name === 'momentum'")
    assert at.locator("label[for=control-momentum]").inner_text() == "momentum γ"
    at.locator("#letters").click()
    assert at.locator("label[for=control-momentum]").inner_text() == "momentum μ"
    assert "letters" not in address(there)
    quiet(there)


@SLOW
@pytest.mark.parametrize(
    "bad",
    [
        "#",
        "#nothing",
        "#descent?sgd.lr=hello&steps=-4&start=1,2,3&who=%3Cb%3E",
        "#descent?start=nan&lang=xx&theme=%22",
        "#%",
    ],
)
def test_an_address_that_makes_no_sense_is_the_start(visit, bad):
    there = visit(bad, locale="en-GB")
    quiet(there)
    of_figure = bad.startswith("#descent")
    assert there.page.locator("h1").inner_text() == (FIGURES[0].title.en if of_figure else "Figures to drag")
    assert there.page.locator(".panel" if of_figure else ".thumb").count() > 0


@SLOW
def test_a_drag_by_touch(browser, visit):
    there = visit("#descent", viewport=PHONE, has_touch=True, is_mobile=True)
    session = there.context.new_cdp_session(there.page)
    box = there.page.locator(".handle").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = there.page.evaluate("window.explorer.current.state.start[0]")
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for i in range(1, 6):
        session.send(
            "Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x - 12 * i, "y": y + 2 * i}]}
        )
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    there.page.wait_for_timeout(100)
    assert there.page.evaluate("window.explorer.current.state.start[0]") < before - 0.2
    assert there.page.evaluate("scrollY") == 0
    quiet(there)
