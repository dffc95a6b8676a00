"""The command: what it prints, how it refuses, and that it stays quick where it can."""

import fcntl
import json
import os
import pty
import re
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

import forked
import scripts_for_cli as scripts
from thalweg.cli import main
from thalweg.rules import CATALOGUE
from thalweg.study import Comparison

SMALL = ("--trials", "2", "--seeds", "2", "--engine", "serial")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with the scripts."""
    monkeypatch.chdir(tmp_path)
    for name, text in vars(scripts).items():
        if name.isupper():
            (tmp_path / f"{name.lower()}.py").write_text(text)
    (tmp_path / "bad.toml").write_text('task = "digits-mlp"\nrules = ["sgd"]\ntrails = 3\n')
    return tmp_path


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A small real comparison, made once through the command."""
    place = tmp_path_factory.mktemp("study")
    (place / "good.py").write_text(scripts.GOOD)
    rules = "sgd,sgd:momentum=0.9,adamw"
    assert main(["compare", f"{place / 'good.py'}:train", "-r", rules, *SMALL, "--store", str(place / "s.sqlite")]) == 0
    return place / "s.sqlite"


def refusal(capsys, *tokens):
    """The sentence with which the command refuses; checks exit code and stream."""
    assert main(list(map(str, tokens))) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    # Lines before the last are progress.
    sentence = shown.err.strip().splitlines()[-1]
    assert sentence.startswith("thalweg: ")
    assert len(sentence) > 20
    assert "Traceback" not in shown.err
    return sentence


# -- quick, and without torch


WITHOUT_TORCH = [
    ["--help"],
    ["rules"],
    ["show", "adamw"],
    ["tasks", "--help"],
    ["compare", "--help"],
    ["report", "--help"],
    ["speed", "--help"],
    ["doctor", "--help"],
    ["train", "--help"],
    ["train", "quadratic-deep", "adamm"],
    ["verify", "--help"],
    ["lr-find", "--help"],
    ["export", "--help"],
    ["merge", "--help"],
    ["rerun", "--help"],
    ["explore", "--out", os.devnull],
    ["speed", "--rounds", "0"],
    ["shwo"],
]


def test_torch_is_not_imported():
    """Torch costs a second; these need nothing of it."""
    code = f"""
import sys
from thalweg.cli import main
for tokens in {WITHOUT_TORCH}:
    main(tokens)
    dear = [name for name in ("torch", "thalweg.speed") if name in sys.modules]
    assert not dear, f"thalweg {{' '.join(tokens)}} imports {{dear}}"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_explore_writes_its_page_where_it_is_told(capsys, folder, monkeypatch):
    assert main(["explore", "--out", "public/lecture"]) == 0
    assert capsys.readouterr().out == "Page: public/lecture/index.html\n"
    assert "<title>thalweg</title>" in (folder / "public/lecture/index.html").read_text()
    asked = []
    monkeypatch.setattr("webbrowser.open", lambda address: asked.append(address) or len(asked) == 1)
    page = (folder / "thalweg-explorer.html").resolve().as_uri()
    for answer in ("Opened:", "No browser answers here."):
        assert main(["explore", "race?steps=20&lang=fr"]) == 0
        assert capsys.readouterr().out.startswith(answer)
    assert asked == [f"{page}#race?steps=20&lang=fr"] * 2


def test_rules_lists_the_catalogue(capsys):
    assert main(["rules"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in CATALOGUE)
    assert "1951" in shown
    assert "layer-wise" in shown


@pytest.mark.parametrize("name", CATALOGUE)
def test_show_prints_the_text_that_runs(capsys, name):
    assert main(["show", name]) == 0
    shown = capsys.readouterr().out
    assert f"class {CATALOGUE[name].__name__}(" in shown
    assert "def step(" in shown
    assert "\x1b" not in shown
    assert "hyperparameter" in shown


def test_show_leaves_long_lines_whole(capsys):
    main(["show", "adamw"])
    source = capsys.readouterr().out.partition("\nclass ")[2]
    assert max(map(len, source.splitlines())) > 80


def test_show_reads_a_users_rule(capsys, folder):
    (folder / "mine.py").write_text(scripts.BAD_FORMULA.replace("        while g:\n            pass\n", ""))
    assert main(["show", "mine.py:Mine"]) == 0
    assert "class Mine(Rule)" in capsys.readouterr().out


def test_tasks_shows_how_a_script_is_written(capsys):
    assert main(["tasks"]) == 0
    shown = capsys.readouterr().out
    assert "digits-mlp" in shown
    assert "my_script.py:train" in shown


@pytest.mark.parametrize(
    "tokens", [["rules"], ["tasks"], ["compare", "--help"], ["train", "--help"], ["verify", "--help"]], ids=" ".join
)
def test_output_fits_into_80_columns(tokens, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(tokens) == 0
    to_copy = ("trial.report", "my_script", "optimizer =", "trial.evaluation")
    lines = [line for line in capsys.readouterr().out.splitlines() if not any(word in line for word in to_copy)]
    assert 60 < max(map(len, lines)) <= 80


# -- refusals: exit code 2, one kind sentence, never a traceback


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["frobnicate"], "there is no verb"),
        (["shwo", "adamw"], 'Did you mean "show"?'),
        (["--frob"], "there is no option"),
        (["show"], "RULE"),
        (["show", "adamm"], 'Did you mean "adam"?'),
        (["show", "warm-restart"], 'Did you mean "warm-restarts"?'),
        (["show", "schedules.wdd"], 'there is no schedule "wdd". Did you mean "wsd"? There are: constant, warm-up,'),
        (["show", "zzz-by-step"], 'there is no schedule "zzz". There are: constant, warm-up,'),
        (["show", "schedules.cosine:warmup=5"], "leave out what follows it, thalweg show cosine."),
        (["show", "adamw", "lion"], "lion"),
        (["show", "adamw", "--latex", "--mathml"], "--mathml"),
        (["explore", "momentumm"], 'Did you mean "momentum"?'),
        (["explore", "momentum", "race"], "race"),
        (["explore", "--out", os.devnull], "cannot write"),
        (["show", "missing.py:Rule"], "missing.py"),
        (["show", "bad_formula.py:Mine"], "bad_formula.py"),
        (["compare", "digits-mlp"], "--rules"),
        (["compare", "digits-mlp", "-r"], "-r"),
        (["compare", "digits-mlp", "-r", "sgd", "--trals", "3"], "--trials"),
        (["compare", "digits-mlp", "-r", "sgd", "--trials", "many"], "--trials"),
        (["compare", "digits-mlp", "-r", "sgd", "--trials", "2.5"], "--trials"),
        (["compare", "digits-mlp", "-r", ","], "at least one rule"),
        (["compare", "digits-mlp", "-r", "adamm"], "adam"),
        (["compare", "digits-mpl", "-r", "sgd"], "digits-mlp"),
        (["compare", "digits-mlp", "-r", "sgd,sgd"], "twice"),
        (["compare", "digits-mlp", "-r", "sgd:momentun=0.9"], "momentum"),
        (["compare", "digits-mlp", "-r", "sgd:lr=-1"], "at least 0"),
        (["compare", "digits-mlp", "-r", "momentum:momentum=1.5"], "below 1"),
        (["compare", "digits-mlp", "-r", "sgd:lr=fast"], "lr must be a number; got 'fast'"),
        (["compare", "digits-mlp", "-r", "sgd:nesterov=maybe"], "switch"),
        (["compare", "digits-mlp", "-r", "bad_formula.py:Mine"], "bad_formula.py"),
        (["compare", "digits-mlp", "-r", "sgd", "--trials", "0"], "at least 1"),
        (["compare", "digits-mlp", "-r", "sgd", "--trials", "-3"], "at least 1"),
        (["compare", "digits-mlp", "-r", "sgd", "--seeds", "1"], "at least 2"),
        (["compare", "digits-mlp", "-r", "sgd", "--workers", "0"], "at least 1"),
        (["compare", "missing.py:train", "-r", "sgd"], "missing.py"),
        (["compare", "good.py", "-r", "sgd"], "good.py:train"),
        (["compare", "good.py:train", "-r", "sgd", "--store", "no/such/folder/s.sqlite"], "no folder"),
        (["compare", "good.py:train", "-r", "sgd", "--store", "."], "folder"),
        (["compare", "good.py:train", "-r", "sgd", "--store", "good.py"], "not an SQLite file"),
        (["compare", "good.py:train", "-r", "sgd", "--report", "no/such/page.html"], "no folder"),
        (["compare", "good.py:train", "-r", "sgd", "--report", "."], "folder"),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary"], "--vary"),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary", "instance"], "--vary: write it as name=value,value"),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary", "=1,2"], "--vary: write it as name=value,value"),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary", "instance="], "--vary: write it as name=value,value"),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary", "instance=1,,2"], "an empty value between its commas"),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary", "instance=1"], "give two values or more"),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary", "instance=1,2,1"], "instance=1 is given twice"),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary", "reshuffle=no,off"], "reshuffle=false is given twice"),
        (
            ["compare", "quadratic-deep", "-r", "sgd", "--vary", "instance=1,2", "--vary", "instance=3,4"],
            "instance is given twice; write all of its values in one",
        ),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary", "instanc=1,2"], "did you mean instance?"),
        (["compare", "digits-mlp", "-r", "sgd", "--vary", "norm=batch,layer"], "no option 'norm'. It has none."),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary", "instance=1,two"], "at least 1; got 'two'"),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary", "instance=1," + 30 * "9"], "of at most 64 bits"),
        (["compare", "quadratic-deep:instance=2", "-r", "sgd", "--vary", "instance=1,2"], "fixed in quadratic"),
        (["compare", "quadratic-deep:instance=1", "-r", "sgd", "--vary", "instance=1,2"], "and varied too"),
        (["compare", "quadratic-deep:instance=1:instance=2", "-r", "sgd"], "instance is given twice"),
        (["compare", "good.py:train:norm=a", "-r", "sgd", "--vary", "norm=a,b"], "norm is fixed in good.py"),
        (["compare", "good.py:train", "-r", "sgd", "--vary", "norm=a:b,c"], "must be a word without commas, colons"),
        (["compare", "good.py:train", "-r", "sgd", "--vary", "a b=a,c"], "an option has a name such as 'norm'"),
        (["compare", "good.py:train", "-r", "sgd", "--vary", "norm=a,b", *SMALL], "never read trial.options['norm']"),
        (["compare", "quadratic-deep", "-r", "sgd", "--vary", "op_seed=2,3", *SMALL], "never read trial.options"),
        (["compare", "digits-mlp,digits-mlp", "-r", "sgd"], "digits-mlp is listed twice"),
        (["compare", "digits-mlp", "-r", "sgd", "--trials", "17", "--budget", "9"], "needs a pool of at least 33"),
        (["compare", "digits-mlp", "-r", "sgd", "--budget", "some"], "--budget"),
        (["compare", "digits-mlp", "-r", "sgd", "--minutes", "0"], "minutes must be a number above 0"),
        (["compare", "digits-mlp", "-r", "sgd", "--schedule", "cosin"], "did you mean cosine?"),
        (["compare", "digits-mlp", "-r", "sgd", "--vary", "schedule=none,cosin"], "did you mean cosine?"),
        (["compare", "digits-mlp", "-r", "sgd", "--clip-norm", "-1"], "clip_norm is a number above 0"),
        (
            ["compare", "digits-mlp", "-r", "sgd", "--decay", "L2"],
            "decay is one of l2, decoupled, cautious, strictly-cautious, independent, corrected, palm; got 'L2'",
        ),
        (["compare", "digits-mlp", "-r", "sgd", "--engine", "rai"], 'Did you mean "ray"?'),
        (["compare", "digits-mlp", "-r", "sgd", "--address", "here:1"], "add --engine ray"),
        (["compare", "digits-mlp", "-r", "sgd", "--engine", "serial", "--workers", "2"], "leave --workers out"),
        (["lr-find", "digits-mlp", "sgd", "--engine", "seriel"], 'Did you mean "serial"?'),
        (["compare", "missing.toml"], "there is no file missing.toml"),
        (["compare", "bad.toml"], "bad.toml: there is no setting 'trails'; did you mean trials?"),
        (["rerun", "missing.sqlite", "abcd"], "no store"),
        (["merge", "into.sqlite"], "name at least one store"),
        (["merge", "into.sqlite", "missing.sqlite"], "missing.sqlite"),
        (["export", "missing.sqlite", "--out", "tables"], "no store"),
        (["lr-find", "digits-mpl"], "digits-mlp"),
        (["lr-find", "digits-mlp", "sgd", "--low", "1", "--high", "0.1"], "low"),
        (["train", "digits-mlp"], "RULE"),
        (["train", "digits-mpl", "sgd"], "digits-mlp"),
        (["train", "digits-mlp", "adamm"], "adam"),
        (["train", "good.py", "sgd"], "good.py:train"),
        (["train", "missing.py:train", "sgd"], "missing.py"),
        (["train", "good.py:train", "bad_formula.py:Mine"], "bad_formula.py"),
        (["train", "digits-mlp", "sgd", "--lr", "fast"], "--lr"),
        (["train", "digits-mlp", "sgd", "--lr", "-1"], "at least 0"),
        (["train", "digits-mlp", "sgd", "--set", "momentum"], "name=value"),
        (["train", "digits-mlp", "sgd", "--set", "momentum=high"], "momentum must be a number; got 'high'"),
        (["train", "digits-mlp", "sgd", "--set", "momentun=0.9"], "did you mean momentum?"),
        (["train", "digits-mlp", "sgd", "--set", "nesterov=1"], "switch"),
        (["train", "digits-mlp", "sgd", "--lr", "1", "--set", "lr=2"], "lr is given twice"),
        (["train", "digits-mlp", "sgd", "--schedule", "cosin"], "did you mean cosine?"),
        (["train", "digits-mlp", "sgd", "--like", "tf2"], "did you mean tf1?"),
        (["train", "digits-mlp", "sgd", "--seed", "-1"], "seed must be a whole number"),
        (["train", "digits-mlp", "sgd", "--seed", "1.5"], "not a whole number"),
        (["train", "digits-mlp", "sgd", "--option", "instance=2"], "has no option"),
        (["train", "quadratic-deep", "sgd", "--option", "instance"], "name=value"),
        (["train", "quadratic-deep", "sgd", "--option", "instance=two"], "at least 1; got 'two'"),
        (["train", "quadratic-deep", "sgd", "--option", "instance=0"], "at least 1"),
        (["train", "quadratic-deep", "sgd", "--option", "instance=1", "--option", "instance=2"], "given twice"),
        (["train", "good.py:train", "sgd", "--option", "norm=a,b"], "must be a word without commas"),
        (["verify", "--json", "--markdown"], "exclude each other"),
        (["speed", "--rounds", "2.5"], "not a whole number"),
        (["speed", "--rounds", "0"], "at least 2"),
        (["speed", "--rounds", "-3"], "at least 2"),
        (["speed", "--rounds", "many"], "--rounds"),
        (["speed", "--threads", "0"], "at least 1"),
        (["speed", "--threads", "-1"], "at least 1"),
        (["report"], "STUDY"),
        (["report", "missing.sqlite"], "no store"),
        (["report", "good.py"], "not an SQLite file"),
        (["report", "."], "no store"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_answered_in_a_sentence(capsys, folder, tokens, expected):
    assert expected in refusal(capsys, *tokens)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("without_train", "trian"),
        ("syntax_error", "never closed"),
        ("raises", "no data here"),
        ("never_reports", "report"),
    ],
)
def test_bad_scripts_are_answered_in_a_sentence(capsys, folder, script, expected):
    sentence = refusal(capsys, "compare", f"{script}.py:train", "-r", "sgd", *SMALL)
    assert expected in sentence
    assert f"{script}.py" in sentence


def test_unknown_metric(capsys, folder):
    assert "valid_f1" in refusal(capsys, "compare", "good.py:train", "-r", "sgd", *SMALL, "--metric", "f1")


def test_another_programs_database_is_left_alone(capsys, folder):
    with sqlite3.connect("other.sqlite") as other:
        other.execute("CREATE TABLE precious (x)")
    other.close()
    before = Path("other.sqlite").read_bytes()
    assert "another program" in refusal(capsys, "compare", "good.py:train", "-r", "sgd", "--store", "other.sqlite")
    assert "another program" in refusal(capsys, "report", "other.sqlite")
    assert "other.sqlite" in refusal(capsys, "compare", "good.py:train", "-r", "sgd", "--report", "other.sqlite")
    assert Path("other.sqlite").read_bytes() == before


def test_a_newer_store_is_left_alone(capsys, folder, study):
    Path("new.sqlite").write_bytes(study.read_bytes())
    with sqlite3.connect("new.sqlite") as new:
        new.execute("PRAGMA user_version = 99")
    new.close()
    assert "newer" in refusal(capsys, "report", "new.sqlite")
    assert "newer" in refusal(capsys, "compare", "good.py:train", "-r", "sgd", "--store", "new.sqlite")


def test_an_empty_study_is_not_reported(capsys, folder):
    Path("empty.sqlite").touch()
    assert "holds no study" in refusal(capsys, "report", "empty.sqlite")
    assert not Path("empty.html").exists()


def test_report_on_a_full_disk(capsys, study):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    assert "No space left" in refusal(capsys, "report", study, "--out", "/dev/full")


def test_report_never_overwrites_the_study(capsys, study):
    before = study.read_bytes()
    assert "what results are kept in" in refusal(capsys, "report", study, "--out", study)
    assert study.read_bytes() == before


def test_report_into_a_folder_that_cannot_be_written(capsys, study, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    assert "permission" in refusal(capsys, "report", study, "--out", tmp_path / "page.html")


def test_the_process_exits_with_2(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "thalweg", "compare", "digits-mlp", "-r", "sgd:lr=-1"],
        capture_output=True, text=True, timeout=120, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("thalweg: ")


# -- comparing and reporting


def test_compare_prints_the_answer_first(capsys, study):
    place = study.parent
    rules = "sgd,sgd:momentum=0.9,adamw"
    assert main(["compare", f"{place / 'good.py'}:train", "-r", rules, *SMALL, "--store", str(study)]) == 0
    shown = capsys.readouterr()
    assert "good.py:train" in shown.out.splitlines()[0]
    assert all(word in shown.out for word in ("default", "tuned", "sgd:momentum=0.9", "lr=", "--verbose"))
    assert "over new seeds" not in " ".join(shown.out.split())
    words = ["compare", f"{place / 'good.py'}:train", "-r", rules, *SMALL, "--store", str(study), "--verbose"]
    assert main(words) == 0
    assert "over new seeds" in " ".join(capsys.readouterr().out.split())
    assert f"Results: {study}" in shown.out
    assert f"thalweg report {study}" in shown.out
    assert "runs were already stored" in shown.err


def test_the_table_fits_into_80_columns(capsys, monkeypatch, study):
    monkeypatch.setenv("COLUMNS", "80")
    place = study.parent
    rules = "sgd,sgd:momentum=0.9,adamw"
    assert main(["compare", f"{place / 'good.py'}:train", "-r", rules, *SMALL, "--store", str(study)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if str(place) not in line]
    assert 60 < max(map(len, lines)) <= 80


def test_json_is_for_machines(capsys, study):
    place = study.parent
    tokens = ["compare", f"{place / 'good.py'}:train", "-r", "sgd,adamw", *SMALL, "--store", str(study), "--json"]
    assert main(tokens) == 0
    result = json.loads(capsys.readouterr().out, parse_constant=lambda text: pytest.fail(text))
    assert [rule["contender"] for rule in result["rules"]] == ["sgd", "adamw"]
    assert result["missing"] == 0
    assert result["verdict"]["sentences"]
    assert result["rules"][0]["tuned_n"] == 2


def test_what_a_script_prints_stays_out_of_json(capfd, folder):
    """What is trained in this process is heard beside the result. Of worker processes: study/test_compare.py."""
    tokens = ["compare", "loud.py:train", "-r", "sgd", "--trials", "2", "--seeds", "2", "--json"]
    assert main([*tokens, "--engine", "serial"]) == 0
    shown = capfd.readouterr()
    assert json.loads(shown.out)["rules"][0]["failed"] == 0
    assert "loud\n" in shown.err


def test_what_a_short_training_prints_is_heard(capfd, folder):
    tokens = ["lr-find", "loud.py:train", "sgd", "--points", "4", "--seeds", "1", "--engine", "serial", "--json"]
    assert main(tokens) == 0
    shown = capfd.readouterr()
    assert len(json.loads(shown.out)["rates"]) == 4
    assert "loud\n" in shown.err


def test_a_row_is_trained_again(capsys, study):
    with closing(sqlite3.connect(study)) as connection:
        (key,) = connection.execute("SELECT key FROM run WHERE trial = 1 LIMIT 1").fetchone()
    assert main(["rerun", str(study), key[:12]]) == 0
    assert f"(row {key[:12]}), trained again: the same, to the last bit." in capsys.readouterr().out
    assert "has no row 0123456789" in refusal(capsys, "rerun", study, "0123456789")


def test_studies_are_put_together(capsys, folder, study):
    task = f"{study.parent / 'good.py'}:train"
    assert main(["compare", task, "-r", "lion", *SMALL, "--store", "lion.sqlite"]) == 0
    capsys.readouterr()
    assert main(["merge", "both.sqlite", str(study), "lion.sqlite"]) == 0
    assert "both.sqlite" in capsys.readouterr().out
    before = [row.contender for row in Comparison.load(study).rows]
    assert [row.contender for row in Comparison.load("both.sqlite").rows] == [*before, "lion"]


def test_tables_are_written_for_other_programs(capsys, folder, study):
    assert main(["export", str(study), "--out", "tables"]) == 0
    written = capsys.readouterr().out.split()
    assert [Path(path).stem for path in written] == ["runs", "curves", "rules", "tuning_curves", "searches", "pairs"]
    assert len(Path("tables/runs.csv").read_text().splitlines()) > 10


def test_a_study_in_a_file_on_two_tasks(capsys, folder):
    Path("other.py").write_text(Path("good.py").read_text())
    Path("study.toml").write_text(
        'tasks = ["good.py:train", "other.py:train"]\nrules = ["sgd", "adamw"]\ntrials = 2\nseeds = 2\n'
    )
    assert main(["compare", "study.toml", "--engine", "serial", "--store", "two.sqlite", "--report", "two.html"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "On good.py:train" in shown
    assert "On other.py:train" in shown
    assert "of the 2 tasks" in shown
    assert Path("two.html").stat().st_size > 1e6
    assert main(["compare", "study.toml", "--engine", "serial", "--store", "two.sqlite", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["task"] for each in told["tasks"]] == ["good.py:train", "other.py:train"]


def test_lr_find_shows_a_range(capsys, folder):
    words = ["lr-find", "good.py:train", "sgd", "--points", "4", "--seeds", "1", "--engine", "serial"]
    assert main(words) == 0
    assert "range" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rates"]) == 4


def test_report_is_written_beside_the_study(capsys, study):
    assert main(["report", str(study)]) == 0
    page = study.with_suffix(".html")
    assert "good.py:train" in page.read_text(encoding="utf-8")[:2000]
    assert str(page) in capsys.readouterr().out
    assert [p.name for p in study.parent.iterdir() if p.name.endswith(".tmp")] == []


def test_compare_writes_the_page_when_asked(capsys, folder):
    tokens = ["compare", "diverges.py:train", "-r", "sgd,adamw", *SMALL, "--report", "page.html"]
    assert main(tokens) == 0
    shown = capsys.readouterr()
    assert "Page: page.html" in shown.out
    assert Path("page.html").stat().st_size > 1_000_000
    assert Path("thalweg-diverges-train.sqlite").exists()
    assert "diverged" in shown.err
    assert "diverged" in shown.out


# -- one training


def test_train_says_what_came_of_it(capsys):
    options = ["--lr", "0.01", "--set", "momentum=0.9", "--schedule", "cosine", "--option", "instance=2", "--seed", "3"]
    assert main(["train", "quadratic-deep", "momentum", *options, "--like", "tf1"]) == 0
    shown = capsys.readouterr()
    first, values, *metrics = shown.out.splitlines()
    assert first.startswith("quadratic-deep:instance=2, momentum:like=tf1, seed 3: done after 700 steps")
    assert values == "  lr=0.01 momentum=0.9 weight_decay=0 heavy_ball=true"
    assert [line.split()[0] for line in metrics] == ["train_loss", "valid_loss", "test_loss"]
    assert "347.4 -> " in metrics[2]
    assert [line.split()[1] for line in shown.err.splitlines()] == [str(10 * k) for k in range(11)]


def test_train_gives_json_alone(capfd, folder):
    assert main(["train", "loud.py:train", "sgd", "--lr", "0.1", "--json"]) == 0
    found = json.loads(capfd.readouterr().out, parse_constant=lambda text: pytest.fail(text))
    assert found["status"] == "done"
    assert found["values"]["lr"] == 0.1
    assert found["curves"]["test_loss"]["epochs"] == [0, 1, 2]
    assert found["final"]["test_loss"] == found["curves"]["test_loss"]["values"][-1]


@pytest.mark.parametrize(("script", "expected"), [("raises", "no data here"), ("without_train", "trian")])
def test_a_training_that_fails_exits_with_1(capsys, folder, script, expected):
    assert main(["train", f"{script}.py:train", "sgd"]) == 1
    shown = capsys.readouterr()
    assert "failed after 0 steps" in shown.out
    assert expected in shown.out
    # The script's own, from the script on.
    assert ("Traceback" in shown.err) == (script == "raises")
    assert "thalweg" not in shown.err.replace(str(folder), "")


def test_train_draws_its_curves_on_a_terminal(monkeypatch):
    for name in ("CI", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    shown = on_a_terminal("train", "quadratic-deep", "momentum", "--lr", "0.01")
    assert "── train_loss" in shown
    assert "epoch 100 of 100  train_loss" in shown
    assert any("\u2800" < character <= "\u28ff" for character in shown)
    assert max(map(len, shown.splitlines())) <= 80


def on_a_terminal(*tokens):
    """What the command shows on a terminal of 24 lines of 80 columns, without the control sequences."""
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(all_of, own)
        ended = forked.run(typed, os.ttyname(its), tokens, TERM="xterm")
        os.close(its)
        shown = reading.result()
    os.close(own)
    assert ended.returncode == 0, shown
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).replace("\r", "\n")


def typed(terminal, tokens):
    """The command, in a process whose output goes to a terminal."""
    opened = os.open(terminal, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(opened, stream)
    sys.exit(main([*tokens]))


def all_of(terminal):
    """What is written to its other side, until that is closed."""
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # so Linux says that it is
            return shown
        if not part:
            return shown
        shown += part


@pytest.mark.slow
def test_ctrl_c_ends_a_training_with_a_sentence(folder):
    Path("endless.py").write_text(scripts.SLOW.replace("range(5)", "range(10**9)"))
    process = subprocess.Popen(
        [sys.executable, "-m", "thalweg", "train", "endless.py:train", "sgd"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert "epoch 0" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()  # it would train for ever
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "stopped. A training is not stored" in said


@pytest.mark.slow
def test_verify_repeats_every_published_figure(capsys):
    code = main(["verify", "--json"])
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert code == 0, [figure["problem"] for figure in found["figures"] if figure["problem"]]
    assert len(found["figures"]) > 30
    assert "repeating the published runs" in shown.err


def test_a_closed_pipe_is_silent(tmp_path):
    program = f"{sys.executable} -m thalweg show adam | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.returncode in (0, 141)  # 0: it had written all before the pipe was closed


def test_standard_output_on_a_full_disk():
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "thalweg", "rules"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
