"""The explorer's page in a real browser, with every request but its own file refused and counted."""

import os
import re

import pytest

from thalweg.explore.building import page


@pytest.fixture(scope="session")
def page_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "index.html"
    path.write_text(page(*os.environ.get("THALWEG_FIGURES", "").split()), encoding="utf-8")
    return path


class Visit:
    """The page, opened; what it asked for beside itself, and what it said on its console."""

    def __init__(self, browser, path, address="", **context):
        self.asked, self.said = [], []
        self.context = browser.new_context(offline=True, **context)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.own = path.as_uri()
        self.page.route("**/*", self._judge)
        self.page.goto(self.own + address)

    def _judge(self, route):
        if re.split("[?#]", route.request.url)[0] == self.own or route.request.url.startswith("data:"):
            route.continue_()
        else:
            self.asked.append(route.request.url)
            route.abort()

    def draw(self, name, state=None):
        """What a figure draws in a state: its panels as data. Infinities come as None."""
        return self._of("draw", name, state)

    def python(self, name, state=None):
        """The program that a figure hands out in a state."""
        return self._of("python", name, state)

    def _of(self, function, name, state):
        return self.page.evaluate(
            """([what, name, changes]) => {
                const { FIGURES, SCRIPTS, startOf, current } = window.explorer;
                const figure = FIGURES.find((each) => each.name === name);
                current.figure = figure;
                const plain = (key, value) => (typeof value === "function" ? undefined : value);
                const found = SCRIPTS[name][what]({ ...startOf(figure), ...changes });
                return JSON.parse(JSON.stringify(found, plain));
            }""",
            [function, name, state or {}],
        )


@pytest.fixture
def visit(browser, page_file):
    """Open the page: visit("#momentum", viewport=...)."""
    opened = []

    def go(address="", path=None, **context):
        opened.append(Visit(browser, path or page_file, address, **context))
        return opened[-1]

    yield go
    for each in opened:
        each.context.close()
