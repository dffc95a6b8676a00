"""The README's pictures, from the pages themselves: python docs/pictures.py, with Debian's chromium."""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from thalweg.explore import write

HERE = Path(__file__).resolve().parent
REPORT = HERE.parent / "examples" / "six_rules" / "report.html"
SIZE = {"width": 1180, "height": 740}


def main() -> None:
    """Open each page and take its first screen."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = write(Path(folder) / "index.html")
        shown = {
            "race": f"{page.as_uri()}#race?surface=rosenbrock&steps=300&lang=en",
            "momentum": f"{page.as_uri()}#momentum?lang=fr&theme=dark",
            "report": REPORT.as_uri(),
        }
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, address in shown.items():
            opened = browser.new_page(viewport=SIZE)
            opened.goto(address)
            opened.wait_for_timeout(1500)
            opened.screenshot(path=HERE / "pictures" / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
