"""What was measured, on disk: what was written stays, and counts while the claim's text is the same."""

import json
from dataclasses import replace
from multiprocessing import Process

import pytest

from thalweg.claims import claim, identity
from thalweg.claims.claim import Curve, Panel
from thalweg.claims.identity import imported, key
from thalweg.claims.keep import Record, append, current, read, shortened
from thalweg.languages import Words
from thalweg.stats.intervals import t_interval

NAME = "momentum-accelerates"
PANEL = Panel(
    Words("t", "u"), Words("x", "x"), Words("y", "y"), (Curve(Words("c", "d"), (1.0,), (2.34567,), kind="dots"),),
    log_y=True, ticks=(Words("a", "b"),),
)  # fmt: skip


def record(repeat=1, its_key="k", name=NAME):
    interval = t_interval([1.0, 2.0, 3.5], level=0.99)
    return Record(name, repeat, its_key, {"speedup": interval}, (PANEL,), 1.5, "a CPU", "2026-01-01", "0.1.0")


def test_what_is_read_is_what_was_written(tmp_path):
    path = tmp_path / "claims.jsonl"
    assert read(path) == []
    written = [record(1), record(2)]
    for each in written:
        append(path, each)
    assert read(path) == written


def test_a_line_that_a_kill_has_cut_short_is_left_out_and_no_other_is_lost(tmp_path):
    path = tmp_path / "claims.jsonl"
    append(path, record(1))
    whole = path.read_bytes()
    append(path, record(2))
    for length in range(len(whole), len(path.read_bytes()), 97):
        short = tmp_path / f"{length}.jsonl"
        short.write_bytes(path.read_bytes()[:length])
        assert [each.repeat for each in read(short)] == [1]
        append(short, record(3))
        assert [each.repeat for each in read(short)] == [1, 3]


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    for other in (b"SQLite format 3\x00\xff", b'{"claims": 3}', b'{"claim":"mine","a":1}'):
        path.write_bytes(other)
        with pytest.raises(ValueError, match=r"notes\.txt holds something else"):
            read(path)
    for other in ('{"claim":"x"}\n', "my notes\nof a day\n"):
        path.write_text(other)
        with pytest.raises(ValueError, match=r"notes\.txt, line 1 is no measurement"):
            read(path)


def test_lines_of_another_version_are_left_out(tmp_path):
    path = tmp_path / "claims.jsonl"
    append(path, record(1))
    line = json.loads(path.read_text())
    with path.open("a") as stream:
        stream.write(json.dumps({**line, "repeat": 2, "more": 1}) + "\n")
        stream.write(json.dumps({**line, "repeat": 3, "intervals": []}) + "\n")
        stream.write(json.dumps({name: line[name] for name in ("claim", "repeat", "key")}) + "\n")
    assert [each.repeat for each in read(path)] == [1, 2]


def test_two_that_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "claims.jsonl"
    writers = [Process(target=write_many, args=(path, first)) for first in (0, 100)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
    assert sorted(each.repeat for each in read(path)) == [*range(30), *range(100, 130)]


def write_many(path, first):
    for repeat in range(first, first + 30):
        append(path, record(repeat))


def test_only_measurements_of_the_text_as_it_is_count():
    one = claim(NAME)
    old, new = record(1), record(1, key(one.name))
    assert current([new, old], [one]) == {NAME: {1: new}}
    assert current([old], [one]) == {NAME: {}}
    again = replace(new, seconds=9.0)
    assert current([new, again, record(2, key(one.name))], [one])[NAME][1] == again


def test_the_key_is_that_of_what_is_computed(tmp_path, monkeypatch):
    one = claim(NAME)
    before, texts = key(one.name), {}

    def text(name):
        return texts.get(name) or original(name)

    original = identity.text
    monkeypatch.setattr(identity, "text", text)
    home = "thalweg.claims.schemes.momentum_accelerates"
    assert {home, "thalweg.claims.experiments.training", "thalweg.claims.claim"} <= imported(home, set())
    warm = "thalweg.claims.normalisation.pre_norm_no_warmup"
    assert {"thalweg.claims.experiments.sequences", "thalweg.claims.drawing"} <= imported(warm, set())
    for old, new, same in (
        ('"Momentum accelerates the descent."', '"It does."', True),
        ('"""Each with its own best learning rate, chosen on other seeds."""', '"""Otherwise said."""', True),
        ("STEPS, GOAL = 300, 0.3", "STEPS, GOAL = 300, 0.3  # a comment", True),
        ("STEPS, GOAL = 300, 0.3", "STEPS, GOAL = 400, 0.3", False),
        ("at_least=1.2", "at_least=1.1", False),
    ):
        assert old in original(home)
        texts[home] = original(home).replace(old, new)
        assert (key(one.name) == before) is same, new
    texts[home] = ""
    shared = "thalweg.claims.experiments.training"
    texts = {shared: original(shared).replace("LARGEST = 64", "LARGEST = 32")}
    assert texts[shared] != original(shared)
    assert key(one.name) != before


def test_a_figure_keeps_the_digits_one_sees():
    (panel,) = shortened((PANEL,))
    assert panel.curves[0].y == (2.346,)
    assert replace(panel, curves=PANEL.curves) == PANEL
    assert json.loads(json.dumps(panel.curves[0].y)) == [2.346]
