import errno
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest
from comparing import run_of

from thalweg.study import Comparison, StudyError
from thalweg.study.ask.spec import resolve, study
from thalweg.study.keep.store import APPLICATION_ID, open_store, read_contents
from thalweg.study.model.cells import Run

PLAN = resolve(study("digits-mlp", ["adam", "sgd"], trials=4, seeds=2))
CELLS = PLAN.search_cells()


def refusal(path):
    with pytest.raises(StudyError) as caught, open_store(path):
        pass
    return str(caught.value)


def test_what_is_kept_comes_back_as_it_was(tmp_path):
    path = tmp_path / "s.sqlite"
    diverged = Run(CELLS[1].key, 2, CELLS[1].values, "diverged", "valid_loss was nan")
    with open_store(path) as store:
        assert store.begin(PLAN, {"created": "today"}) == {"created": "today"}
        store.add(CELLS[0], run_of(CELLS[0]))
        store.add(CELLS[1], diverged)
        assert read_contents(path).runs.keys() == {CELLS[0].key, CELLS[1].key}  # a reader beside the writer
    found = read_contents(path)
    ((plan, provenance), runs) = found.latest[-1], found.runs
    assert plan == PLAN
    assert provenance == {"created": "today"}
    assert runs == {CELLS[0].key: run_of(CELLS[0]), CELLS[1].key: diverged}
    assert [f.name for f in tmp_path.iterdir()] == ["s.sqlite"]


def test_a_run_is_never_changed(tmp_path):
    path = tmp_path / "s.sqlite"
    with open_store(path) as store:
        store.add(CELLS[0], run_of(CELLS[0]))
        store.add(CELLS[0], replace(run_of(CELLS[0]), status="failed"))
        assert store.runs()[CELLS[0].key].status == "done"


def test_the_latest_study_is_the_files_study_and_its_first_provenance_stays(tmp_path):
    path = tmp_path / "s.sqlite"
    bigger = resolve(study("digits-mlp", ["adam"], trials=5))
    with open_store(path) as store:
        store.begin(PLAN, {"n": 1})
        assert store.begin(PLAN, {"n": 2}) == {"n": 1}
        assert store.begin(bigger, {"n": 3}) == {"n": 3}
    assert read_contents(path).latest[-1] == (bigger, {"n": 3})


def test_another_task_needs_another_store(tmp_path):
    with open_store(tmp_path / "s.sqlite") as store:
        store.begin(PLAN, {})
        with pytest.raises(StudyError, match="holds a comparison on digits-mlp, not on digits-cnn"):
            store.check_tasks(["digits-cnn"])
        store.check_tasks(["digits-cnn", "digits-mlp"])
        store.begin(resolve(study("digits-cnn", "adam")), {})
        assert [plan.task for plan, _ in store.contents().latest] == ["digits-mlp", "digits-cnn"]


def test_what_is_not_a_store_is_refused_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to look at " * 30)
    assert "it is not an SQLite file" in refusal(text)
    assert text.read_text().startswith("not a database")
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = foreign.read_bytes()
    assert "an SQLite file of another program" in refusal(foreign)
    assert foreign.read_bytes() == before
    with pytest.raises(StudyError, match="another program"):
        Comparison.load(foreign)


def test_a_newer_format_is_refused(tmp_path):
    path = tmp_path / "s.sqlite"
    with open_store(path):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "written by a newer thalweg (format 99" in refusal(path)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "s.sqlite"
    with open_store(path) as store:
        store.begin(PLAN, {})
        for cell in CELLS:
            store.add(cell, run_of(cell, 400))
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StudyError, match=r"damaged|not an SQLite file"):
        read_contents(path)


def test_places_that_cannot_hold_a_store(tmp_path):
    assert "there is no folder" in refusal(tmp_path / "nowhere" / "s.sqlite")
    assert "is a folder: name a file" in refusal(tmp_path)
    (tmp_path / "file").touch()
    assert "is not a folder" in refusal(tmp_path / "file" / "s.sqlite")


def test_there_must_be_something_to_read(tmp_path):
    with pytest.raises(StudyError, match="there is no store"):
        Comparison.load(tmp_path / "s.sqlite")
    with open_store(tmp_path / "s.sqlite"):
        pass
    with pytest.raises(StudyError, match="stopped before it began"):
        Comparison.load(tmp_path / "s.sqlite")
    (tmp_path / "empty").touch()
    with pytest.raises(StudyError, match="it is empty"):
        Comparison.load(tmp_path / "empty")


def test_a_file_left_empty_by_a_kill_is_taken_over(tmp_path):
    (tmp_path / "s.sqlite").touch()
    with open_store(tmp_path / "s.sqlite") as store:
        store.begin(PLAN, {})
    assert sqlite3.connect(tmp_path / "s.sqlite").execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_one_writer_at_a_time_and_the_lock_dies_with_its_process(tmp_path):
    path = tmp_path / "s.sqlite"
    code = "import sys, time\nfrom thalweg.study.keep.store import *\n"
    code += "with open_store(Path(sys.argv[1])):\n    print('open', flush=True)\n    time.sleep(60)\n"
    other = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "open\n"
        assert "another thalweg compare is writing to it" in refusal(path)
    finally:
        other.kill()
        other.communicate()
    with open_store(path) as store:
        store.begin(PLAN, {})


def overfill(path, pages=None):
    with open_store(path) as store:
        store.begin(PLAN, {})
        if pages:
            store._connection.execute(f"PRAGMA max_page_count = {pages}")
        for cell in resolve(study("digits-mlp", "adam", trials=2000)).search_cells():
            store.add(cell, run_of(cell, 100))


def test_a_full_disk_loses_nothing_that_was_kept(mounted):
    path = mounted("size=200k") / "s.sqlite"
    with pytest.raises(StudyError, match=r"disk is full.*What it holds is safe"):
        overfill(path)
    subprocess.run(["mount", "-o", "remount,size=20m", path.parent], check=True)
    kept = read_contents(path).runs
    assert len(kept) > 2
    with open_store(path) as store:
        assert store.runs() == kept
        store.add(CELLS[0], run_of(CELLS[0]))


def test_a_file_that_may_not_grow_loses_nothing_that_was_kept(tmp_path):
    # Where nothing can be mounted: a page limit makes SQLite itself answer SQLITE_FULL to a real write.
    path = tmp_path / "s.sqlite"
    with pytest.raises(StudyError, match=r"disk is full.*What it holds is safe"):
        overfill(path, pages=30)
    assert len(read_contents(path).runs) > 2


def test_a_read_only_place_is_refused_for_writing_but_read(mounted):
    path = mounted("size=5m") / "s.sqlite"
    with open_store(path) as store:
        store.begin(PLAN, {})
        store.add(CELLS[0], run_of(CELLS[0]))
    subprocess.run(["mount", "-o", "remount,ro", path.parent], check=True)
    assert os.strerror(errno.EROFS) in refusal(path)
    assert read_contents(path).runs == {CELLS[0].key: run_of(CELLS[0])}
