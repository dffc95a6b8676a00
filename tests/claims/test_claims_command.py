"""thalweg claims: measures, keeps, goes on where it was stopped, and refuses in a sentence."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from thalweg.claims import claim, names
from thalweg.claims.identity import key
from thalweg.claims.keep import Record, published, read
from thalweg.claims.running import Work, measure_all, measured
from thalweg.cli import main
from thalweg.study.run.engines import Serial

# Measured in less than a second.
QUICK = "momentum-one"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(capsys, *tokens):
    assert main(["claims", *tokens]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    return shown.err.strip().splitlines()[-1]


@pytest.mark.slow
def test_one_claim_is_measured_shown_and_kept(folder, capsys):
    assert main(["claims", QUICK, "--repeats", "2", "--workers", "1", "--page", "page.html"]) == 0
    shown = capsys.readouterr()
    assert "Slide: Avec momentum" in shown.out
    assert "does not hold, 2 of 2" in shown.out
    assert shown.err.count(f"{QUICK}") == 2
    assert [each.repeat for each in read(folder / "claims.jsonl")] == [1, 2]
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert f'"name":"{QUICK}"' in page
    assert "momentum-accelerates" not in page

    # All is there: nothing is measured, so no process starts.
    assert main(["claims", QUICK, "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    (row,) = json.loads(shown.out)
    assert (row["claim"], row["repeat"], row["verdict"], row["section"]) == (QUICK, 1, "does not hold", "schemes")
    assert main(["claims", QUICK, "--markdown"]) == 0
    assert f"`{QUICK}` | does not hold |" in capsys.readouterr().out


def test_the_list_has_every_claim_with_its_verdict(capsys):
    assert main(["claims", "--list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in names())
    assert shown.count("of 5") == len(names())
    assert main(["claims", QUICK, "--list"]) == 0
    assert capsys.readouterr().out.split() == [
        *f"{QUICK} does not hold, 5 of 5".split(),
        *claim(QUICK).statement.en.split(),
    ]
    assert main(["claims", "normalisation", "--list"]) == 0
    assert capsys.readouterr().out.count("of 5") == len(names("normalisation"))


def test_what_cannot_be_done_is_said(folder, capsys):
    assert refusal(capsys, "momentum-on").endswith('Did you mean "momentum-one"? thalweg claims --list has them.')
    assert "at least 1" in refusal(capsys, QUICK, "--repeats", "0")
    assert "--list measures nothing" in refusal(capsys, "--list", "--page", "page.html")
    assert "workers must be a whole number" in refusal(capsys, QUICK, "--workers", "0")
    assert "exclude each other" in refusal(capsys, QUICK, "--json", "--markdown")
    (folder / "notes.txt").write_text("mine")
    assert "holds something else" in refusal(capsys, QUICK, "--store", "notes.txt")
    assert (folder / "notes.txt").read_text() == "mine"
    assert "there is no folder" in refusal(capsys, QUICK, "--page", "no/page.html")
    (folder / "other.jsonl").write_text('{"claim":"x","repeat":1,"key":""}\n')
    assert "holds results" in refusal(capsys, QUICK, "--page", "other.jsonl")
    assert "cannot keep measurements in no/c.jsonl" in refusal(capsys, QUICK, "--store", "no/c.jsonl")


def test_one_that_fails_does_not_keep_the_others_from_being_measured(folder):
    """Of a claim whose text has changed meanwhile nothing is kept; it is told in the end."""
    store, heard = folder / "claims.jsonl", []
    work = [Work(QUICK, 1, "another text's"), Work(QUICK, 2, key(QUICK))]
    failed = measure_all(work, store, Serial(), heard.append)
    assert [each.work for each in failed] == work[:1]
    assert "its text has changed" in failed[0].reason
    assert heard == [*failed, *read(store)]
    assert [each.repeat for each in read(store)] == [2]


def test_what_is_published_is_what_is_measured(folder):
    """As far as another processor computes the same."""
    name = "momentum-overshoots"
    (of_old,) = (each for each in published() if (each.claim, each.repeat) == (name, 1))
    again = measured(Work(name, 1, key(name)))
    assert isinstance(again, Record)
    for quantity, interval in of_old.intervals.items():
        assert again.intervals[quantity].values == pytest.approx(interval.values, rel=1e-9)


@pytest.mark.slow
def test_killed_and_started_again_it_goes_on(folder):
    """Two repeats of all claims: killed with -9 after a few, the next call measures none of them again."""
    command = [sys.executable, "-m", "thalweg", "claims", "--repeats", "2"]
    store = folder / "claims.jsonl"

    def stored():
        return len(read(store))

    for least in (2, 4):
        with subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True) as process:
            deadline = time.monotonic() + 120
            while stored() < least and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(30)
        kept = [(each.claim, each.repeat) for each in read(store)]
        assert len(kept) >= least
        assert len({*kept}) == len(kept)
