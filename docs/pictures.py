"""The README's pictures, from the pages themselves: python docs/pictures.py, with Debian's chromium."""

import shutil
import tempfile
from pathlib import Path

from moving import moving
from playwright.sync_api import sync_playwright

from thalweg.explore import write

HERE = Path(__file__).resolve().parent
REPORT = HERE.parent / "examples" / "six_rules" / "report.html"
SIZE = {"width": 1180, "height": 740}


def main() -> None:
    """Open each page and take its first screen; of the race, what its SVG button gives, in motion."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = write(Path(folder) / "index.html")
        shown = {
            "momentum": f"{page.as_uri()}#momentum?lang=fr&theme=dark",
            "report": REPORT.as_uri(),
        }
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, address in shown.items():
            opened = browser.new_page(viewport=SIZE)
            opened.goto(address)
            opened.wait_for_timeout(1500)
            opened.screenshot(path=HERE / "pictures" / f"{name}.png")
        race = browser.new_page(viewport={"width": 1240, "height": 800})
        race.goto(f"{page.as_uri()}#race?surface=rosenbrock&steps=150&lang=en")
        with race.expect_download() as saved:
            race.get_by_role("button", name="SVG").click()
        (HERE / "pictures" / "race.svg").write_text(moving(saved.value.path().read_text("utf-8")), "utf-8")
        browser.close()


if __name__ == "__main__":
    main()
