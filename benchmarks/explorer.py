"""How smoothly the explorer moves and how soon it is there, into benchmarks/EXPLORER.md.

python benchmarks/explorer.py                 # two minutes on a machine left alone, with Debian's chromium

Every figure that has something to drag: its first handle is dragged to and fro in a headless Chromium, and the time
between two frames is taken, as the browser shows them (60 a second at most, 16.7 ms). *draw* is what one drawing takes
of that. The *overview* moves by itself. *first view*: from the request of the file to the first picture, in a new
browser profile each time.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from math import cos, pi, sin
from os import getloadavg
from pathlib import Path
from shutil import which
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from command_line import at_least
from page import markdown
from steps import say
from thalweg.cpu import cpu_name
from thalweg.explore import write
from thalweg.explore.figures import NAMES

PAGE = Path(__file__).resolve().parent / "EXPLORER.md"
FRAMES = """() => {
  const found = [];
  let before = performance.now();
  const next = (now) => { found.push(now - before); before = now; requestAnimationFrame(next); };
  window.frames_found = found;
  requestAnimationFrame(next);
}"""
DRAW = """() => {
  const { SCRIPTS, current } = window.explorer;
  const times = [];
  for (let i = 0; i < 40; i += 1) {
    const begun = performance.now();
    SCRIPTS[current.figure.name].draw(current.state);
    times.push(performance.now() - begun);
  }
  return times.sort((a, b) => a - b)[20];
}"""
VIEW = """() => {
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return paint && document.querySelector("main .thumb path") ? paint.startTime : null;
}"""


def main() -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=at_least(1), default=4, help="of dragging for each figure")
    parser.add_argument("--views", type=at_least(2), default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _chromium() as start:
        page = write(Path(folder) / "index.html")
        views = [_first_view(start, page) for _ in range(given.views)]
        rows = [["overview", *_moving(start, page, given.seconds)]]
        say(", ".join(rows[0]))
        for name in NAMES:
            found = _dragged(start, page, name, given.seconds)
            if found is not None:
                rows.append([name, *found])
                say(f"{name}: " + ", ".join(found))
        size = page.stat().st_size
    load = getloadavg()[0]
    low, middle, high = quantiles(views, n=4)
    PAGE.write_text(
        f"# How the explorer moves\n\n{date.today()}, {cpu_name()}, headless Chromium without a GPU, "
        f"at a load of {load:.0f}.\n\n"
        f"First view: {middle:.0f} ms (quartiles {low:.0f} to {high:.0f}, {len(views)} times); the page has "
        f"{size / 1e3:.0f} kB.\n{__doc__}\n"
        + markdown(["figure", "frames", "median, ms", "95th percentile, ms", "longest, ms", "draw, ms"], rows)
        + "\n",
        encoding="utf-8",
    )
    say(f"first view {middle:.0f} ms")
    return 0


@contextmanager
def _chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = which("chromium")
    if found is None:
        raise SystemExit("this needs chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        yield lambda: playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])


def _first_view(start: Any, page: Path) -> float:
    browser = start()
    opened = browser.new_page()
    opened.goto(page.as_uri())
    begun = perf_counter()
    while (found := opened.evaluate(VIEW)) is None:
        if perf_counter() - begun > 20:
            raise SystemExit("the page shows nothing")
    browser.close()
    return float(found)


def _moving(start: Any, page: Path, seconds: int) -> Sequence[str]:
    """What `_dragged` finds, of the overview, which moves by itself; its drawings are several."""
    browser = start()
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.goto(page.as_uri())
    opened.wait_for_timeout(1500)
    opened.evaluate(FRAMES)
    opened.wait_for_timeout(1000 * seconds)
    found = _told(opened.evaluate("window.frames_found")[3:])
    browser.close()
    return [*found, "–"]


def _told(frames: Sequence[float]) -> Sequence[str]:
    return [str(len(frames)), f"{median(frames):.1f}", f"{quantiles(frames, n=20)[-1]:.1f}", f"{max(frames):.1f}"]


def _dragged(start: Any, page: Path, name: str, seconds: int) -> Sequence[str] | None:
    """Frames, their median, 95th percentile and longest, and a drawing's time; None where nothing can be dragged."""
    browser = start()
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.goto(f"{page.as_uri()}#{name}")
    opened.wait_for_timeout(500)
    handle = opened.locator(".handle").first
    found = None
    if handle.count():
        box = handle.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        opened.mouse.move(x, y)
        opened.mouse.down()
        opened.evaluate(FRAMES)
        begun = perf_counter()
        while (now := perf_counter() - begun) < seconds:
            opened.mouse.move(x + 60 * sin(2 * pi * now), y + 40 * (1 - cos(2 * pi * now)) / 2)
        frames = opened.evaluate("window.frames_found")[3:]
        opened.mouse.up()
        draw = opened.evaluate(DRAW)
        found = [*_told(frames), f"{draw:.2f}"]
    browser.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
