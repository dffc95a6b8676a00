"""One number, one text: in the verdict, in the terminal, on the page, in a figure, in a notebook."""

import re
from html.parser import HTMLParser
from io import StringIO

import pytest
from rich.console import Console

import demo_runs
import handmade
from thalweg.notebook import comparison_html
from thalweg.report import figures, forest, render
from thalweg.terminal.comparison import print_outcome
from thalweg.view.comparison import view_of

COMPARISONS = {
    "demo": lambda: demo_runs.judged(demo_runs.planned(), demo_runs.kept()),
    "accuracies": lambda: handmade.comparison(failing=False),
    "errors": lambda: handmade.comparison(tests=500, matters=1.25, against="adamw", failing=False),
    "losses": lambda: handmade.comparison(lower=True, failing=False),
    "configurations": lambda: handmade.comparison(lower=True, trials=3, failing=False),
}


class Cells(HTMLParser):
    """The rows of every table, each as the texts of its cells: a mean, then what stands below it."""

    def __init__(self, page):
        super().__init__()
        self.tables, self.inside = [], False
        self.feed(page)

    def handle_starttag(self, tag, _):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append([])
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside and data.strip():
            self.tables[-1][-1][-1].append(data.strip())


def means_in_html(page):
    """By label, by head: the text of each mean and of its interval, from the table of means."""
    heads, *rows = next(table for table in Cells(page).tables if ["default"] in table[0])
    return {
        "".join(cells[0]): {head[0]: tuple(cell[:2]) for head, cell in zip(heads, cells, strict=True)} for cells in rows
    }


def means_in_terminal(found):
    """The same from what is printed, where columns are set to the right and parted by two blanks or more."""
    stream = StringIO()
    print_outcome(found, Console(file=stream, width=100, highlight=False))
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    first = next(n for n, line in enumerate(lines) if re.match(r"(rule|contender) +default ", line))
    heads, *rows = (re.split(r"\s{2,}", line.strip()) for line in lines[first : first + 1 + 2 * len(found.rows)])
    return {
        mean[0]: dict(zip(heads[1:-1], zip(mean[1:-1], bounds, strict=True), strict=True))
        for mean, bounds in zip(rows[::2], rows[1::2], strict=True)
    }


@pytest.mark.parametrize("which", COMPARISONS)
def test_a_mean_is_the_same_text_everywhere(which):
    found = COMPARISONS[which]()
    shown = means_in_terminal(found)
    assert [*shown] == [row.contender for row in found.rows]
    page = means_in_html(render(found))
    assert page == means_in_html(comparison_html(found))
    head = {"found": f"found in {found.plan.trials} trials"}
    for label, cells in shown.items():
        for name, texts in cells.items():
            assert page[label][head.get(name, name) if found.searches else name] == texts

    tuned = next(name for name in shown[found.rows[0].contender] if name.startswith("tuned"))
    view = view_of(found).tasks[0]
    for trace in figures.intervals(view)["data"]:
        which_mean = "default" if trace["name"].endswith(", default") else tuned
        mean, bounds = shown[trace["legendgroup"]][which_mean]
        assert f": {mean} ({bounds})" in trace["hovertemplate"]


@pytest.mark.parametrize("which", COMPARISONS)
def test_a_difference_is_the_same_text_everywhere(which):
    """In the answer, in the terminal's picture, in the page's table, and in its picture."""
    found = COMPARISONS[which]()
    view, unit = view_of(found).tasks[0], found.metric.unit
    stream = StringIO()
    print_outcome(found, Console(file=stream, width=100, highlight=False))
    printed = stream.getvalue()
    tables = Cells(render(found)).tables
    heads, *rows = next(table for table in tables if ["the first is"] in table[0])
    drawn = {trace["name"]: trace["hovertemplate"] for trace in forest.forest(view)["data"]}
    assert len(view.answer) == len(rows) == len(drawn) == len(found.rows) - 1
    for pair, cells in zip(view.answer, rows, strict=True):
        size, bounds = unit.difference(pair.difference), unit.bounds(pair.difference)
        assert f"{size} ({bounds})" in str(found.verdict)
        assert re.search(rf"^{re.escape(pair.first)} .* {re.escape(size)} +{re.escape(pair.answer)} *$", printed, re.M)
        assert "".join(cells[0]) == pair.title
        assert cells[heads.index(["difference"])][:2] == [size, f"({bounds})"]
        assert cells[1] == [pair.answer]
        assert drawn[pair.first].startswith(f"{pair.answer}: {size}, {bounds}<")
