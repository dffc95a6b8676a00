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
    assert at.locator("h1").inner_text() == figure.title.fr
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
    # Again from the first: rewinding is not resetting, which is a button of its own.
    at.locator("#controls input[type=range]").first.focus()
    at.keyboard.press("ArrowRight")
    moved = at.evaluate("JSON.stringify(window.explorer.current.state)")
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


@SLOW
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_anyone_s_way(visit, name, scheme):
    import axe_playwright_python

    script = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    there = visit(f"#{name}", viewport=DESK, color_scheme=scheme)
    there.page.locator("#program-button").click()
    there.page.add_script_tag(content=script)
    for viewport in (DESK, PHONE):
        there.page.set_viewport_size(viewport)
        quiet(there)
        assert there.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        if viewport == PHONE and scheme == "light":
            the_figure_stays_in_view_of_its_sliders(there)
        found = there.page.evaluate(
            "axe.run({ resultTypes: ['violations'] }).then((found) => JSON.stringify(found.violations))"
        )
        bad = [each for each in json.loads(found) if each["impact"] in ("serious", "critical")]
        told = [(each["id"], [node["html"][:200] for node in each["nodes"]][:3]) for each in bad]
        assert told == []


@SLOW
def test_figures_are_walked_through_by_keyboard_and_by_the_browser_s_own_buttons(visit):
    there = visit("", viewport=DESK, locale="fr-FR")
    at = there.page
    titles = [each.title.fr for each in FIGURES]
    seen = [at.locator("h1").inner_text()]
    for _ in NAMES[1:]:
        at.keyboard.press("PageDown")
        seen.append(at.locator("h1").inner_text())
        quiet(there)
    assert seen == titles
    at.go_back()
    assert at.locator("h1").inner_text() == titles[-2]
    at.go_forward()
    assert at.locator("h1").inner_text() == titles[-1]
    at.set_viewport_size(PHONE)
    at.locator("#chooser").select_option(NAMES[0])
    assert at.locator("h1").inner_text() == titles[0]
    at.locator("#after").click()
    assert at.locator("h1").inner_text() == titles[1]
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
    there = visit(bad)
    quiet(there)
    assert there.page.locator("h1").inner_text() == FIGURES[0].title.en
    assert there.page.locator(".panel").count() > 0


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
