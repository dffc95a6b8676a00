import csv
import io
import json
import math
import subprocess
import sys
import textwrap

import pandas
import pyarrow.parquet
import pytest
from comparing import run
from hypothesis import given, settings
from hypothesis import strategies as st

from thalweg.study import Comparison, StudyError
from thalweg.study.ask.spec import resolve, study
from thalweg.study.bridges.export import as_csv, as_json, as_parquet, export
from thalweg.study.bridges.tables import FIRST, Table, tables
from thalweg.study.judge.results import Suite, judge

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

NAMES = ("runs", "curves", "rules", "tuning_curves", "searches", "pairs")

# Runs of every ending, an option that is varied, rules with other hyperparameters and switches, a constant metric.
ENDS = """
    import torch

    def train(trial):
        norm = trial.options["norm"]
        torch.manual_seed(trial.seed("init"))
        m = torch.nn.Linear(2, 3)
        o = trial.optimizer(m)

        def loss():
            return (m(torch.ones(1, 2)) ** 2).sum()

        trial.report(valid_loss=loss(), test_loss=loss())
        for _ in trial.epochs(3):
            o.zero_grad()
            loss().backward()
            o.step()
            trial.report(valid_loss=loss(), test_loss=loss())
            if norm == "layer" and o.param_groups[0]["lr"] == 0.001:
                raise RuntimeError('no, "layer"\\nis not, at all')
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    (folder / "script.py").write_text(textwrap.dedent(ENDS))
    return run(
        f"{folder / 'script.py'}:train",
        ("sgd:lr=1e30", "adam", "sgd:momentum=0.9:nesterov=true"),
        vary={"norm": ["batch", "layer"]},
        store=folder / "s.sqlite",
        trials=7,
    )


def refusal(*arguments):
    with pytest.raises(StudyError) as caught:
        export(*arguments)
    return str(caught.value)


def from_csv(path, table):
    """A CSV file's rows as they were: by the column's type, "" for what is not known."""

    def read(kind, text):
        if text == "":
            return "" if kind is str else None
        return text == "true" if kind is bool else kind(text)

    with path.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    return [{name: read(kind, line[name]) for name, kind in table.columns.items()} for line in lines]


def same(one, two):
    """Equal to the last bit and the type."""
    return json.dumps(one) == json.dumps(two)


def budget_of(found):
    return found.plan.budgets[0]


def trained(found):
    repeats = zip(found.plan.repeat_cells(), (row.repeated for row in found.rows), strict=True)
    return [*found.trainings, *repeats]


def test_the_tables_say_what_the_comparison_does(found):
    runs, curves, rules, tuning_curves, searches, pairs = tables([found])
    every = trained(found)
    assert {row["status"] for row in runs.rows} == {"done", "diverged", "failed"}
    assert [row["key"] for row in runs.rows] == [each.key for _, each in every]
    assert tuple(runs.columns)[: len(FIRST)] == FIRST
    # Hyperparameters that only some rules have stand beside those of all.
    hyper = [place for place, name in enumerate(runs.columns) if name.startswith("hyper_")]
    assert hyper == list(range(hyper[0], hyper[0] + len(hyper)))
    planned = {rule.label: rule for rule in found.plan.rules}
    for row, (cell, each) in zip(runs.rows, every, strict=True):
        hypers = {
            name.removeprefix("hyper_"): v for name, v in row.items() if name.startswith("hyper_") and v is not None
        }
        assert hypers == dict(each.values)
        assert row["option_norm"] == planned[cell.called].options["norm"]
        assert (row["contender"], row["task"]) == (cell.called, "script.py:train")
        assert row["rule"] == planned[cell.called].rule
        assert row["final_test_loss"] == each.curves["test_loss"].values[-1]
        assert row["trial"] == cell.trial
        for name in ("seed", "status", "message", "steps", "state_bytes", "seconds", "step_seconds", "host"):
            assert row[name] == getattr(each, name)
        again = row["seed"] in found.plan.fresh_seeds
        searched = "default, repeated" if each not in found.runs else "tuning trial"
        assert row["role"] == (
            searched if not again else f"re-run of trial {cell.trial}" if cell.trial else "default re-run"
        )
        assert row["version_torch"] == found.plan.versions["torch"]
    told = {(row["key"], row["metric"], row["epoch"]): row["value"] for row in curves.rows}
    assert told == {
        (each.key, metric, epoch): value
        for _, each in every
        for metric, curve in each.curves.items()
        for epoch, value in zip(curve.epochs, curve.values, strict=True)
    }
    for row, each in zip(rules.rows, found.rows, strict=True):
        assert row["contender"] == each.contender
        for kind in ("default", "tuned"):
            interval = getattr(each, kind)
            for name in ("mean", "low", "high", "sd", "n"):
                assert row[f"{kind}_{name}"] == getattr(interval, name)
        assert row["winner_trial"] == each.winner_trial
        assert row["winner_hyper_lr"] == each.winner_values["lr"]
        assert row["option_norm"] == each.options["norm"]
        assert row["near_edge"] == "; ".join(each.near_edge)
        assert row["unlike"] == ""
        assert [row["share_within_0.01"], row["share_within_0.05"]] == [
            share.share for share in each.sensitivity
        ] or not each.sensitivity
        assert row["best_validation"] == each.best_after[-1]
    budget = found.searches.together
    expected = [
        *(("answer", budget, each) for each in found.family.contrasts),
        *(("settings", None, each) for each in found.family.settings),
        *(("gains", budget, each) for each in found.searches.gains.values()),
        *(("others", budget, each) for each in found.searches.others),
    ]
    assert len({family for family, *_ in expected}) == 4
    for row, (family, budget, each) in zip(pairs.rows, expected, strict=True):
        assert (row["family"], row["budget"]) == (family, budget)
        assert (row["first"], row["second"], row["answer"], row["why"], row["slight"], row["searches"]) == (
            each.first, each.second, each.answer, each.why, each.slight, each.searches
        )  # fmt: skip
        bounds = [each.interval.low, each.interval.high] if math.isfinite(each.interval.low) else [None, None]
        assert [row["mean"], row["low"], row["high"]] == [each.interval.mean, *bounds]
        assert row["superiority_estimate"] == (each.superiority.estimate if each.superiority else None)
        assert row["quality_mean"] == (each.quality.mean if each.quality else None)
        assert [row[f"{which}_{n}"] for which in ("first", "second") for n in ("failed", "runs")] == [
            n for rate in each.failures for n in (rate.count, rate.total)
        ]
    # Every difference has one interval.
    assert len({(row["first"], row["second"], row["searches"]) for row in pairs.rows}) == len(pairs.rows)
    for row, (label, level) in zip(searches.rows, found.searches.intervals.items(), strict=True):
        assert (row["trials"], row["contender"], row["mean"]) == (budget_of(found), label, level.mean)
        own, rate = found.searches.means[label], found.searches.failures[label]
        assert (row["score"], row["se"], row["df"], row["noise"]) == (own.mean, own.se, own.df, own.noise)
        assert (row["failed"], row["judged_runs"]) == (rate.count, rate.total)
    assert any(row["failed"] for row in searches.rows)
    curve = [(row.contender, n, value) for row in found.rows for n, value in enumerate(row.best_after, 1)]
    shown = [(row["contender"], row["trials"], row["best_after"]) for row in tuning_curves.rows]
    assert shown == [(label, n, value if math.isfinite(value) else None) for label, n, value in curve]
    for row, shares in zip(rules.rows, (each.sensitivity for each in found.rows), strict=True):
        for share in shares or ():
            name = f"share_within_{share.tolerance:g}"
            assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == (share.share, share.low, share.high)


def test_csv_reads_back_to_the_last_bit(found, tmp_path):
    written = export(found, "out", "csv")
    assert written == tuple(tmp_path / "out" / f"{name}.csv" for name in NAMES)
    for path, table in zip(written, tables([found]), strict=True):
        assert same(from_csv(path, table), list(table.rows))
    runs = pandas.read_csv(tmp_path / "out" / "runs.csv")
    assert list(runs.seconds) == [each.seconds for _, each in trained(found)]
    assert list(runs.final_test_loss) == [each.curves["test_loss"].values[-1] for _, each in trained(found)]
    assert runs.hyper_nesterov.dropna().map(type).eq(bool).all()
    assert runs.hyper_nesterov.any()


def test_json_reads_back_to_the_last_bit(found, tmp_path):
    for path, table in zip(export(found, "out", "json"), tables([found]), strict=True):
        assert same(json.loads(path.read_text()), list(table.rows))
    assert export(found, "all.json", "json") == (tmp_path / "all.json",)
    whole = json.loads((tmp_path / "all.json").read_text(), parse_constant=pytest.fail)
    assert same(whole, {table.name: list(table.rows) for table in tables([found])})
    frame = pandas.DataFrame(whole["curves"])
    assert frame.merge(pandas.DataFrame(whole["runs"]), on="key").shape[0] == len(frame)


def test_parquet_reads_back_to_the_last_bit_with_types(found):
    kinds = {"bool": bool, "int64": int, "double": float, "string": str}
    for path, table in zip(export(found, "out", "parquet"), tables([found]), strict=True):
        read = pyarrow.parquet.read_table(path)
        assert same(read.to_pylist(), list(table.rows))
        assert {field.name: kinds[str(field.type)] for field in read.schema} == dict(table.columns)
    runs = tables([found])[0].columns
    assert (runs["hyper_nesterov"], runs["seed"], runs["hyper_lr"], runs["option_norm"]) == (bool, int, float, str)
    frame = pandas.read_parquet("out/runs.parquet")
    assert list(frame.seed) == [each.seed for _, each in trained(found)]
    assert list(frame.step_seconds) == [each.step_seconds for _, each in trained(found)]


def test_comparisons_on_several_tasks_share_the_tables(found, script):
    other = run(script(name="other.py"), ("sgd", "adam"), trials=1)
    export(Suite((found, other), None), "all.json", "json")
    with open("all.json") as stream:
        whole = json.load(stream)
    alone = [{table.name: table for table in tables([each])} for each in (found, other)]
    for name in NAMES:
        assert len(whole[name]) == sum(len(each[name].rows) for each in alone)
    assert [(row["task"], row["contender"]) for row in whole["rules"]][-2:] == [
        (other.plan.task, "sgd"), (other.plan.task, "adam")
    ]  # fmt: skip
    assert whole["runs"][-1]["option_norm"] is None
    assert {row["task"] for row in whole["pairs"]} == {found.plan.task, other.plan.task}


text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = {
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: text,
}


@st.composite
def any_table(draw):
    names = draw(st.lists(text.filter(bool), min_size=1, max_size=4, unique=True))
    columns = {name: draw(st.sampled_from(list(scalars))) for name in names}
    row = st.fixed_dictionaries({name: st.none() | scalars[kind] for name, kind in columns.items()})
    rows = [{name: each[name] for name in columns} for each in draw(st.lists(row, max_size=5))]
    return Table("any", columns, tuple(rows))


@settings(max_examples=50)
@given(any_table())
def test_any_table_reads_back(table):
    rows = list(table.rows)
    assert same(json.loads(as_json(table)), rows)
    assert same(pyarrow.parquet.read_table(io.BytesIO(as_parquet(table))).to_pylist(), rows)
    header, *lines = csv.reader(io.StringIO(as_csv(table), newline=""))
    assert header == list(table.columns)
    for line, row in zip(lines, rows, strict=True):
        for written, value in zip(line, row.values(), strict=True):
            kind = type(value)
            read = {bool: lambda w: w == "true", type(None): lambda w: None if w == "" else w}.get(kind, kind)(written)
            assert same(read, value)


def test_what_is_not_finite_is_not_known(found):
    (rules,) = (table for table in tables([found]) if table.name == "rules")
    assert rules.columns["winner_trial"] is int
    never = Table("x", {"a": float}, ({"a": None},))
    assert as_csv(never) == 'a\n""\n'
    assert json.loads(as_json(never)) == [{"a": None}]


def test_a_comparison_that_is_not_finished(found):
    plan, have = found.plan, {each.key: each for each in found.runs}
    some = {cell.key: have[cell.key] for cell in plan.search_cells()[:3]}
    early = judge(plan, {}, some, None)
    for format in ("csv", "json", "parquet"):
        export(early, "early", format)
    read = {name: pyarrow.parquet.read_table(f"early/{name}.parquet") for name in NAMES}
    whole = {table.name: table.columns for table in tables([found])}
    assert [read[name].num_rows for name in NAMES] == [
        3,
        2 * sum(len(each.curves["test_loss"].values) for each in early.runs),
        6,
        sum(len(row.best_after) for row in early.rows),
        0,
        0,
    ]
    assert read["rules"].column("tuned_mean").to_pylist() == [None] * 6
    kinds = {bool: "bool", int: "int64", float: "double", str: "string"}
    for name in NAMES:
        for field in read[name].schema:
            assert str(field.type) == kinds[whole[name][field.name]], field.name


def test_what_cannot_be_exported_is_refused_in_words(found, tmp_path):
    assert "no format 'xlsx': tables are written as csv, json, parquet" in refusal(found, "out", "xlsx")
    nothing = judge(resolve(study("digits-mlp", "adam")), {}, {}, None)
    assert "nothing to export" in refusal(nothing, "out", "csv")
    (tmp_path / "file").write_text("mine")
    assert "is a file, and there are several tables: name a folder for their csv files" in refusal(found, "file", "csv")
    assert (tmp_path / "file").read_text() == "mine"
    assert "there is no folder" in refusal(found, tmp_path / "nowhere" / "out", "csv")
    (tmp_path / "out" / "runs.csv").mkdir(parents=True)
    assert "cannot write" in refusal(found, "out", "csv")


def test_without_pyarrow_it_says_what_to_install(found, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert refusal(found, "out", "parquet") == "Parquet needs the package pyarrow: pip install 'thalweg[parquet]'"
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_the_old_files(found, mounted):
    place = mounted("size=200k")
    (place / "runs.csv").write_text("old")
    filler = place / "filler"
    filler.write_bytes(b"x" * (200 * 1024 - 4096 * 3))
    assert "No space left on device" in refusal(found, place, "csv")
    assert (place / "runs.csv").read_text() == "old"
    assert {each.name for each in place.iterdir()} == {"runs.csv", "filler"}


def test_reading_a_store_and_exporting_it_needs_neither_torch_nor_pyarrow(found):
    code = (
        "import sys; from thalweg.study import Comparison; from thalweg.study.bridges.export import export\n"
        "export(Comparison.load(sys.argv[1]), 'out', 'csv'); print({'torch', 'pyarrow', 'pandas'} & {*sys.modules})"
    )
    shown = subprocess.run([sys.executable, "-c", code, found.path], capture_output=True, text=True)
    assert (shown.stdout, shown.stderr) == ("set()\n", "")
    assert tables([Comparison.load(found.path)]) == tables([found])
