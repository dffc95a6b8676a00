"""Every rule and wrapper has a page, whose numbers are those of the optimizers, and whose links lead somewhere."""

import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from page_reading import EVERY, MADE, Pages, section, tables
from torch import nn

from page_text import ROOT
from rule_calls import beside
from thalweg.explore.figures.race import FIGURE
from thalweg.formula import Hyper
from thalweg.formula.rule import hypers
from thalweg.optim import OPTIMIZERS
from thalweg.rules import CATALOGUE
from thalweg.testing.judging import case
from thalweg.wrappers import WRAPPERS


def test_every_rule_and_wrapper_has_a_page(pages: Pages, folder: Path) -> None:
    assert {*pages} == {*EVERY, "index"}
    for key, each in EVERY.items():
        with case(key):
            assert f"]({key}.md)" in pages["index"]
            assert f"\n{key}\n" in pages["index"]
            page, formula = pages[key], (folder / "formulas" / f"{key}.html").read_text(encoding="utf-8")
            assert page.startswith(f"# {each.__name__}\n")
            assert f":file: formulas/{key}.html\n" in page
            assert formula.count("<math display") >= 1
            assert "<script" not in formula + page
            for heading in ("The step", "Call it", "Source", "First moves", "Checked", "Bytes", "Speed", "Evidence"):
                assert section(page, heading).strip(), heading
            assert not re.search(r"^## .*\n+(## |\Z)", page, re.MULTILINE), "an empty heading"


# -- numbers


def default(key: str, name: str) -> Any:
    """As the optimizer's signature has it."""
    parameters = inspect.signature(MADE[key].__init__).parameters
    if name in parameters:
        return parameters[name].default
    together: Any = hypers(EVERY[key])[name].of
    names = [each for each, hyper in hypers(EVERY[key]).items() if hyper.of == together]
    return parameters[together].default[names.index(name)]


def value(written: str) -> Any:
    """What a cell says."""
    if written in ("True", "False", "None"):
        return {"True": True, "False": False, "None": None}[written]
    try:
        return float(written)
    except ValueError:
        return written


def box(hyper: Hyper) -> tuple[float, ...]:
    """The ends of a search, as draws find them, or its choices."""
    search = hyper.search
    assert search is not None
    if search.kind == "choice":
        return search.choices
    none = dict.fromkeys((search.over or "",), 0.0)
    return tuple(sorted(search.value(draw, none) for draw in (0.0, 1.0)))


def test_defaults_and_search_boxes(pages: Pages) -> None:
    for key, each in EVERY.items():
        rows = {row["argument"].split("`")[1]: row for row in (*tables(pages[key], "Defaults"), [])[0]}
        with case(key):
            numbers = {name: hyper for name, hyper in hypers(each).items() if hyper.search}
            assert {name for name, row in rows.items() if row["searched"]} == {*numbers}
            assert {*hypers(each)} <= {*rows}
            for name, row in rows.items():
                assert value(row["default"]) == default(key, name), name
                assert row["meaning"], name
            for name, hyper in numbers.items():
                said = [
                    float(each)
                    for each in re.findall(r"[\d.]+(?:e-\d+)?", re.sub("1 - .*", "", rows[name]["searched"]))
                ]
                assert said == pytest.approx(box(hyper)), name
                assert (rows[name]["from budget"] or "0") == str(hyper.search.trials if hyper.search else "")


def test_conventions_are_what_like_sets(pages: Pages) -> None:
    for key, rule in CATALOGUE.items():
        for rows in tables(pages[key], "Conventions"):
            columns = [*rows[0]][2:]
            assert len(columns) == len(rule.conventions), key
            groups = [
                OPTIMIZERS[key]([nn.Parameter(torch.ones(2, 2))], like=name).param_groups[0]
                for name in rule.conventions
            ]
            groups.insert(0, OPTIMIZERS[key]([nn.Parameter(torch.ones(2, 2))]).param_groups[0])
            for row in rows:
                name = row["number"].strip("`")
                with case(f"{key} {name}"):
                    found = [value(cell.strip("*")) for cell in [*row.values()][1:]]
                    assert found == [of_group(key, group, name) for group in groups]
                    bold = [cell.startswith("**") for cell in [*row.values()][2:]]
                    assert bold == [each != found[0] for each in found[1:]]


def of_group(key: str, group: dict[str, Any], name: str) -> Any:
    if name in group:
        return group[name]
    together: Any = hypers(CATALOGUE[key])[name].of
    names = [each for each, hyper in hypers(CATALOGUE[key]).items() if hyper.of == together]
    return group[together][names.index(name)]


def test_first_moves_are_the_golden_ones(pages: Pages) -> None:
    """Which tests/rules/test_golden.py computes anew."""
    every = tomllib.loads((ROOT / "tests" / "rules" / "golden.toml").read_text(encoding="utf-8"))["golden"]
    shown = 0
    for key in EVERY:
        mine = [each for each in every if key in (each["rule"], each["rule"].partition("+")[2])]
        scalars = [each for each in mine if "start" not in each]
        tensors = [each for each in mine if "start" in each]
        found = tables(pages[key], "First moves")
        with case(key):
            for each, row in zip(scalars, found.pop(0) if scalars else [], strict=True):
                _, *moves, weight = row.values()
                assert [*map(float, moves)] == each["moves"]
                assert float(weight) == each["weight"]
            for each, rows in zip(tensors, found, strict=True):
                assert [eval(row["move"]) for row in rows[1:-1] if row["move"]] == each["moves"]
                assert (eval(rows[0]["move"]), eval(rows[-1]["move"])) == (each["start"], each["weight"])
                assert [eval(row["gradient"]) for row in rows[1:-1]] == each["gradients"]
        shown += len(mine)
    assert shown == len(every)


# -- addresses


def links(page: str) -> Iterator[str]:
    outside = re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE)
    yield from (each for each in re.findall(r"\]\(([^)]+)\)", outside) if not each.startswith("https://"))


def of_repository(link: str) -> Path:
    """Where what the site has below its top is in the repository."""
    path = link.removeprefix("../")
    if path.startswith("files/"):
        return ROOT / path.removeprefix("files/")
    return next(each for each in (ROOT / "docs" / path, ROOT / path) if each.is_file())


def test_links_lead_somewhere(pages: Pages, folder: Path) -> None:
    wanted = dict.fromkeys(each for page in pages.values() for each in links(page))
    assert len(wanted) > 50
    for each in wanted:
        path, _, heading = each.partition("#")
        target = of_repository(path) if path.startswith("../") else folder / path
        assert target.is_file(), each
        heads = re.findall(r"^#+ (.+)", target.read_text(encoding="utf-8") if heading else "", re.MULTILINE)
        assert not heading or heading in {head.lower().replace(" ", "-") for head in heads}, each


def test_the_race_is_of_the_rule_and_one_beside_it(pages: Pages) -> None:
    controls = {control.name: control for control in FIGURE.controls}
    for key in CATALOGUE:
        text = section(pages[key], "See it move")
        with case(key):
            if key not in FIGURE.data["rules"]:
                assert "There is no race of it" in text
                continue
            (address,) = re.findall(r'<iframe src="([^"]+)"', text)
            page, _, query = address.replace("&amp;", "&").partition("#race?")
            assert page == "../explore/index.html?embed=1"
            assert f'<a href="{address.replace("?embed=1", "")}">' in text
            words = dict(word.split("=") for word in query.split("&"))
            assert {*words} == {name for name in controls if name.startswith("family.")}
            shown = [(name, each) for name, members in words.items() for each in members.split(",") if each]
            assert all(each in controls[name].options for name, each in shown)  # type: ignore[union-attr]
            assert sorted(each for _, each in shown) == sorted((key, beside(key)))
    assert "iframe" not in "".join(pages[key] for key in WRAPPERS)
