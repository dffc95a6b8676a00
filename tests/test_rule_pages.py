"""The pages of the rules are true: what stands in their tables is what the optimizers and the published pages say."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import rule_evidence
import rule_pages
import thalweg
from page_text import ROOT, markdown_tables
from rule_calls import beside
from thalweg.explore.figures.race import FIGURE
from thalweg.formula import Hyper
from thalweg.formula.rule import hypers, of_matrices
from thalweg.optim import OPTIMIZERS
from thalweg.rules import CATALOGUE
from thalweg.study.ask.method_references import resolve_method
from thalweg.testing.judging import case
from thalweg.wrappers import WRAPPERS

EVERY = {**CATALOGUE, **WRAPPERS}
MADE = {
    **OPTIMIZERS,
    **{key: thalweg.wrap(OPTIMIZERS["adam"], each) for key, each in WRAPPERS.items() if key != "weightaverage"},
}
MADE["weightaverage"] = OPTIMIZERS["adam"]
Pages = dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("docs") / "rule"
    rule_pages.write_pages(found)
    return found


@pytest.fixture(scope="module")
def pages(folder: Path) -> Pages:
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}


def section(page: str, heading: str) -> str:
    """What stands under a heading, that may go on; "" where there is none."""
    found = re.search(rf"^## {heading}[^\n]*\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def tables(page: str, heading: str) -> list[Any]:
    return [*markdown_tables(section(page, heading))]


def published(name: str) -> str:
    return (ROOT / "benchmarks" / name).read_text(encoding="utf-8")


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
                assert (rows[name]["from"] or "0") == str(hyper.search.trials if hyper.search else "")


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
    import tomllib

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


# -- bytes


def taken(key: str, shape: tuple[int, ...], dtype: torch.dtype) -> Any:
    """An optimizer of this rule, or around Adam, after a step."""
    options: dict[str, Any] = {"ema": 0.9} if key == "weightaverage" else {}
    options |= {"products": "float32"} if key in CATALOGUE and of_matrices(CATALOGUE[key]) else {}
    weight = nn.Parameter(torch.ones(shape, dtype=dtype))
    optimizer = MADE[key]([weight], **options)
    weight.grad = torch.full_like(weight, 0.5)
    optimizer.step()
    return optimizer


def kept(optimizer: Any, shape: tuple[int, ...]) -> float:
    """Of each weight, of states that are of its shape."""
    (state,) = optimizer.state.values() or [{}]
    whole = [each for each in state.values() if isinstance(each, torch.Tensor) and each.shape == shape]
    return sum(each.element_size() for each in whole)


def moved(optimizer: Any) -> float:
    return float(re.findall(r"(\d+) bytes a weight", " ".join(optimizer.explain().split()))[0])


@pytest.mark.slow  # four seconds: a kernel for every rule and wrapper
def test_bytes_are_those_of_an_optimizer(pages: Pages) -> None:
    """In bfloat16, and in float32 where the next test knows no figure."""
    rules, _ = markdown_tables(published("CATALOGUE.md"))
    known = {row["rule"].lower() for row in rules}
    for key in EVERY:
        (rows,) = tables(pages[key], "Bytes")
        for dtype in (torch.bfloat16, *(() if key in known else (torch.float32,))):
            column = str(dtype).removeprefix("torch.")
            for shape, place in (((5, 7), 0), *([((35,), 2)] if len(rows) > 2 else [])):
                optimizer = taken(key, shape, dtype)
                with case(f"{key} {column} {shape}"):
                    assert int(rows[place][column].split()[0]) == kept(optimizer, shape)
                    assert int(rows[place + 1][column].split()[0]) == moved(optimizer)


def test_bytes_are_the_published_ones(pages: Pages) -> None:
    rules, _ = markdown_tables(published("CATALOGUE.md"))
    assert len(rules) > 25
    for row in rules:
        (mine,) = tables(pages[row["rule"].lower()], "Bytes")
        assert mine[-1]["float32"] == row["bytes"], row["rule"]


# -- what others publish


def measured() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Page by page of benchmarks/: whose row, the row as text, and what stands of it on the rule's page."""
    rules, wrappers = markdown_tables(published("CATALOGUE.md"))
    steps = published("RESULTS.md").split("### step", 1)[1].split("###", 1)[0]
    yield from ((row["rule"], "CATALOGUE", figures(row, "thalweg", "times faster")) for row in rules)
    for row in next(markdown_tables(steps)):
        if row["tensors"] != "one tensor of 25M":  # that is CATALOGUE.md's
            yield row["rule"], "RESULTS", figures(row, "thalweg", "times faster")
    for row in next(markdown_tables(published("MATRICES.md"))):
        yield row["rule"].partition(",")[0], "MATRICES", figures(row, "ms", "times faster")
    for row in wrappers:
        yield WRAPPERS[row["wrapped"].partition("+")[2]].__name__, "CATALOGUE", figures(row, "thalweg", "time")
    for row in next(markdown_tables(published("AROUND.md"))):
        if " under " in row["rule"]:
            yield row["rule"].rpartition(" ")[2], "AROUND", figures(row, "ms", "time, ratio")


def figures(row: Any, time: str, ratio: str) -> tuple[str, ...]:
    return row[time], row[ratio], row["quartiles"]


def test_speed_rows_are_published(pages: Pages) -> None:
    """All that benchmarks/ has of a rule, and nothing else; the fastest other's time is one of the same row."""
    every = [*measured()]
    assert len(every) > 45
    for key, each in EVERY.items():
        mine = [(page, found) for name, page, found in every if name == each.__name__]
        text = section(pages[key], "Speed")
        with case(key):
            assert ("Not measured" in text) == (not mine)
            rows = [row for rows in markdown_tables(text) for row in rows]
            ratio = "time, ratio" if key in WRAPPERS else "times faster"
            assert [figures(row, "ms", ratio) for row in rows] == [found for _, found in mine]
            for page, found in mine:
                assert f"[{page}.md](../benchmarks/{page}.md): AMD EPYC" in text
                (row,) = [row for row in rows if figures(row, "ms", ratio) == found]
                other = row["beside it" if key in WRAPPERS else "the fastest other"].rpartition(": ")[2]
                lines = [
                    line for line in published(f"{page}.md").splitlines() if f"| {found[1]} | {found[2]} |" in line
                ]
                assert other == "none at hand" or any(f"| {other} |" in line for line in lines), other


def test_evidence_of_the_valley() -> None:
    """As docs/valley.md says it in sentences, and as findings.html counts."""
    assert rule_evidence.valley("nag") == {
        "tabular": "worse", "regression": "cannot tell", "digits-mlp": "worse", "autoencoder": "worse",
        "quadratic-deep": "better",
    }  # fmt: skip
    assert rule_evidence.valley("rmsprop") == {
        "tabular": "cannot tell", "regression": "cannot tell", "digits-mlp": "cannot tell", "autoencoder": "worse",
        "quadratic-deep": "better",
    }  # fmt: skip
    every = [*CATALOGUE, "momentum+lookahead", "radam+lookahead"]
    found = [answers for answers in map(rule_evidence.valley, every) if answers]
    assert len(found) == 14
    open_on = [sum(answers[task] == "cannot tell" for answers in found) for task in found[0]]
    assert open_on == [7, 12, 8, 2, 1]


def test_evidence_of_six_rules() -> None:
    """As benchmarks/ANEW.md quotes the study."""
    text = published("ANEW.md")
    for task, rows in zip(re.findall(r"^## (.+)", text, re.MULTILINE), markdown_tables(text), strict=True):
        for row in rows:
            rule = row["difference"].split()[0]
            assert rule_evidence.six_rules(rule)[task] == row["the study says"], (task, rule)
    assert not rule_evidence.six_rules("adam")


def test_evidence_is_said(pages: Pages) -> None:
    nag, muon, lion = (section(pages[key], "Evidence") for key in ("nag", "muon", "lion"))
    assert (
        "better than Adam on quadratic-deep; worse than Adam on tabular, digits-mlp and autoencoder; cannot be" in nag
    )
    assert "| AdamW | Muon | -0.10 (-0.26 to +0.07) | cannot tell |" in muon
    assert "| Lion is consistently better than AdamW. `lion-better` | does not hold, 5 of 5 |" in lion
    assert "No stored study" in section(pages["grams"], "Evidence")
    sources = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8") + (ROOT / "docs" / "around.md").read_text(
        encoding="utf-8"
    )
    for key in EVERY:
        for rows in tables(pages[key], "Evidence"):
            for row in rows:
                start = " | ".join([*row.values()][-4:]) if "a" in row else " | ".join(row.values())
                assert start in sources, (key, row)
        (commands,) = re.findall(r"thalweg compare \S+ -r (\S+)", section(pages[key], "Evidence"))
        for each in commands.split(","):
            resolve_method(each)


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


# -- code


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", section(page, "Call it"), re.DOTALL | re.MULTILINE)


def test_torch_blocks_run(pages: Pages) -> None:
    """Each on a small model, with a step taken, by the defaults of the rule's own signature."""
    for key in EVERY:
        block, *_ = blocks(pages[key])
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        given: dict[str, Any] = {"model": model}
        with case(key):
            exec(block, given)
            if key in CATALOGUE and not of_matrices(CATALOGUE[key]):
                plain = OPTIMIZERS[key]([nn.Parameter(torch.ones(2, 2))])
                assert without_params(given["optimizer"]) == without_params(plain)
            model(torch.ones(1, 3)).square().sum().backward()
            given["optimizer"].step()
            assert given["optimizer"].state


def without_params(optimizer: Any) -> dict[str, Any]:
    return {name: each for name, each in optimizer.param_groups[0].items() if name != "params"}


@pytest.mark.slow  # six seconds: a step of every rule and wrapper by JAX
def test_jax_blocks_run(pages: Pages) -> None:
    """Each on a matrix, one step of which is torch's."""
    import numpy as np
    from jax import numpy as jnp

    gradient = np.linspace(-0.3, 0.6, 6, dtype=np.float32).reshape(2, 3)
    without = []
    for key in EVERY:
        torchs, *others = blocks(pages[key])
        if not others:
            without.append(key)
            continue
        (block,) = others
        given: dict[str, Any] = {}
        with case(key):
            exec(block, given)
            params = {"w": jnp.ones((2, 3))}
            updates, _ = given["tx"].update({"w": jnp.asarray(gradient)}, given["tx"].init(params), params)
            weight = nn.Parameter(torch.ones(2, 3))
            theirs: dict[str, Any] = {"model": around(weight)}
            exec(torchs, theirs)
            weight.grad = torch.from_numpy(gradient)
            theirs["optimizer"].step()
            step = weight.detach().numpy() - 1
            # Weights near 1 round; and torch's side multiplies matrices in bfloat16 where the processor can.
            near = 0.05 if key in CATALOGUE and of_matrices(CATALOGUE[key]) else 0.002
            np.testing.assert_allclose(updates["w"], step, rtol=0, atol=near * np.abs(step).max() + 1e-7)
    assert without == ["soap"]
    assert "Not in JAX" in pages["soap"]


def around(weight: nn.Parameter) -> nn.Module:
    """A model with this matrix in its middle."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2, bias=False), nn.Linear(2, 2))
    model[1].weight = weight
    return model
