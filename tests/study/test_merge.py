import hashlib
import json
import sqlite3
import textwrap
from dataclasses import replace
from functools import partial

import pytest
from comparing import rows, run, run_of

from thalweg.study import Comparison, Finished, StudyError
from thalweg.study.ask.spec import resolve, study
from thalweg.study.keep.merge import merge
from thalweg.study.keep.store import open_store, read_contents
from thalweg.study.model.cells import Run
from thalweg.study.run.engines import Serial
from thalweg.study.run.rerun import rerun

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")


def refusal(*stores):
    with pytest.raises(StudyError) as caught:
        merge(*stores)
    return str(caught.value)


def dump(store):
    with sqlite3.connect(store) as connection:
        found = list(connection.iterdump())
    connection.close()
    return found


def test_parts_become_what_one_comparison_of_all_would_have_been(script, tmp_path):
    task = script()
    whole = run(task, ("sgd", "adam", "lion"), store="whole.sqlite")
    run(task, ("sgd", "adam"), store="a.sqlite")
    run(task, ("adam", "lion"), store="b.sqlite")
    before = [hashlib.sha256((tmp_path / f"{name}.sqlite").read_bytes()).hexdigest() for name in "ab"]
    done = merge("m.sqlite", "a.sqlite", "b.sqlite")
    assert rows("m.sqlite") == rows("whole.sqlite")
    found = Comparison.load("m.sqlite")
    assert found.complete
    assert found.plan == whole.plan
    assert done.plans == (whole.plan,)
    assert found.verdict == whole.verdict
    assert found.family == whole.family
    assert [each["store"] for each in found.provenance["merged"]] == ["b.sqlite"]
    assert (done.added, done.shared, done.separate) == (len(rows("whole.sqlite")), 0, ())
    assert done.sentences[1] == "It shows one comparison on script.py:train, of sgd, adam, lion."
    # The sources are as they were, and nothing lies beside any of the files.
    assert before == [hashlib.sha256((tmp_path / f"{name}.sqlite").read_bytes()).hexdigest() for name in "ab"]
    assert {f.name for f in tmp_path.glob("*sqlite*")} == {"whole.sqlite", "a.sqlite", "b.sqlite", "m.sqlite"}
    # What each row took, and where, comes along.
    taken = read_contents(tmp_path / "m.sqlite").rows
    assert all(taken[key] == row for key, row in read_contents(tmp_path / "a.sqlite").rows.items())


def test_the_merged_comparison_goes_on(script):
    task = script()
    run(task, ("sgd",), store="a.sqlite")
    run(task, ("adam",), store="b.sqlite")
    merge("a.sqlite", "b.sqlite")
    events = []
    found = run(task, ("sgd", "adam"), store="a.sqlite", events=events)
    assert not [event for event in events if isinstance(event, Finished)]
    assert "merged" in found.provenance
    assert rerun("a.sqlite", found.runs[-1].key, engine=Serial()).same


def test_merging_again_adds_nothing(script):
    task = script()
    run(task, ("sgd",), store="a.sqlite")
    run(task, ("adam",), store="b.sqlite")
    merge("a.sqlite", "b.sqlite")
    before = dump("a.sqlite")
    again = merge("a.sqlite", "b.sqlite", "b.sqlite")
    assert dump("a.sqlite") == before
    assert (again.added, again.shared) == (0, len(rows("b.sqlite")))


def test_combinations_of_options_become_one_comparison_too(tmp_path):
    plans = [
        resolve(study("quadratic-deep", rule, trials=1, seeds=2, vary={"instance": [1, 2]})) for rule in ("sgd", "adam")
    ]
    both = [replace(plan, rule_name="") for plan in plans]
    both = [replace(p, rules=tuple(replace(r, label=f"{r.rule} {r.label}") for r in p.rules)) for p in both]
    for name, plan in zip("ab", both, strict=True):
        with open_store(tmp_path / f"{name}.sqlite") as store:
            store.begin(plan, {})
    done = merge("m.sqlite", "a.sqlite", "b.sqlite")
    assert [rule.label for rule in done.plans[0].rules] == [
        "sgd instance=1", "sgd instance=2", "adam instance=1", "adam instance=2"
    ]  # fmt: skip
    # Alone, the rule goes without saying, so that instance=1 of one is not instance=1 of the other.
    for name, plan in zip("cd", plans, strict=True):
        with open_store(tmp_path / f"{name}.sqlite") as store:
            store.begin(plan, {})
    assert "they differ in rule_name: 'SGD' and 'Adam'" in merge("n.sqlite", "c.sqlite", "d.sqlite").separate[0]


def test_other_words_for_the_same_task_are_no_difference(tmp_path):
    for name, rule, words in (("a", "sgd", "then"), ("b", "adam", "now")):
        with open_store(tmp_path / f"{name}.sqlite") as store:
            store.begin(replace(resolve(study("quadratic-deep", rule, trials=1)), task_summary=words), {})
    (plan,) = merge("m.sqlite", "a.sqlite", "b.sqlite").plans
    assert [rule.label for rule in plan.rules] == ["sgd", "adam"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"trials": 4}, "they differ in trials: 3 and 5"),
        ({"seeds": 4}, "they differ in seeds: 3 and 4"),
        ({"study_seed": 1}, "they differ in study_seed: 0 and 1"),
        ({"metric": "loss"}, "they differ in metric: None and 'loss'"),
        ({"vary": {"k": [1, 2]}}, "they differ in rule_name: '' and 'Adam'"),
    ],
)
def test_comparisons_that_differ_in_more_than_rules_are_kept_apart_and_said_to_be(script, settings, words):
    task = script(READS_K)
    own = run(task, ("sgd",), store="a.sqlite")
    other = run(task, ("adam",), store="b.sqlite", **settings)
    done = merge("a.sqlite", "b.sqlite")
    (said,) = done.separate
    assert " is kept as a study of its own and not shown, since they differ in " in said
    assert words in said
    assert said in done.sentences
    shown = Comparison.load("a.sqlite")
    assert (shown.plan, shown.verdict) == (own.plan, own.verdict)
    assert set(rows("b.sqlite")) < set(rows("a.sqlite"))
    # It goes on from the rows that it brought.
    events = []
    again = run(task, ("adam",), store="a.sqlite", events=events, **settings)
    assert not [event for event in events if isinstance(event, Finished)]
    assert again.verdict == other.verdict


READS_K = """
    import torch

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        m = torch.nn.Linear(2, trial.options.get("k", 1))
        o = trial.optimizer(m)
        trial.report(valid_loss=(m(torch.ones(1, 2)) ** 2).sum())
        for _ in trial.epochs(2):
            o.zero_grad()
            (m(torch.ones(1, 2)) ** 2).sum().backward()
            o.step()
            trial.report(valid_loss=(m(torch.ones(1, 2)) ** 2).sum())
"""


def test_each_task_has_its_own_latest_comparison(tmp_path):
    def keep(name, *comparisons):
        with open_store(tmp_path / f"{name}.sqlite") as store:
            for task, rule in comparisons:
                plan = resolve(study(task, rule, trials=1, seeds=2))
                store.take([(plan, {})], [], {})
                (cell,) = plan.search_cells()
                store.add(cell, run_of(cell))

    keep("a", ("digits-cnn", "adam"), ("digits-mlp", "adam"))
    keep("b", ("digits-mlp", "sgd"), ("digits-cnn", "sgd"))
    keep("c", ("sequence-gru", "sgd"))
    done = merge("m.sqlite", "a.sqlite", "b.sqlite", "c.sqlite")
    assert done.separate == ()
    assert [(plan.task, [r.label for r in plan.rules]) for plan in done.plans] == [
        ("digits-cnn", ["adam", "sgd"]), ("digits-mlp", ["adam", "sgd"]), ("sequence-gru", ["sgd"])
    ]  # fmt: skip
    assert "It shows one comparison on digits-cnn, of adam, sgd." in done.sentences
    assert tuple(plan for plan, _ in read_contents(tmp_path / "m.sqlite").latest) == done.plans
    before = dump("m.sqlite")
    merge("m.sqlite", "c.sqlite", "b.sqlite")
    assert dump("m.sqlite") == before


RULE = """
    from thalweg.formula import Hyper, Rule

    class Mine(Rule):
        lr = Hyper(0.01)

        @staticmethod
        def step(g, lr):
            return lr * g
"""


def test_one_name_for_two_rules_is_not_one_comparison(script, tmp_path):
    task, path = script(), tmp_path / "mine.py"
    path.write_text(textwrap.dedent(RULE))
    run(task, (f"{path}:Mine", "sgd"), store="a.sqlite")
    path.write_text(textwrap.dedent(RULE).replace("0.01", "0.02"))
    run(task, (f"{path}:Mine", "adam"), store="b.sqlite")
    done = merge("m.sqlite", "a.sqlite", "b.sqlite")
    assert "Mine is not the same rule in both" in done.separate[0]
    assert set(rows("m.sqlite")) == {*rows("a.sqlite"), *rows("b.sqlite")}


def test_the_same_script_in_another_folder_is_the_same_task(script, tmp_path):
    (tmp_path / "there").mkdir()
    run(script(), ("sgd",), store="a.sqlite")
    other = run(script(name="there/script.py"), ("adam",), store="b.sqlite")
    done = merge("m.sqlite", "a.sqlite", "b.sqlite")
    assert [rule.label for rule in done.plans[0].rules] == ["sgd", "adam"]
    assert Comparison.load("m.sqlite").complete
    # A row is trained again from whichever place still has the text.
    (tmp_path / "script.py").unlink()
    assert rerun("m.sqlite", other.runs[0].key, engine=Serial()).same


CHANCE = """
    import os, torch

    def train(trial):
        m = torch.nn.Linear(2, 1)
        o = trial.optimizer(m)
        for epoch in trial.epochs(3):
            m(torch.ones(1, 2)).sum().backward()
            o.step()
            trial.report(valid_loss=int.from_bytes(os.urandom(4)) if epoch else 1.0)
"""


def test_rows_that_contradict_are_refused_by_name_and_nothing_is_written(script, tmp_path):
    task = script(CHANCE)
    one, two = (run(task, ("sgd",), store=f"{name}.sqlite") for name in "ab")
    run(script(name="other.py"), ("sgd",), store="c.sqlite")
    said = refusal("m.sqlite", "a.sqlite", "b.sqlite")
    assert not (tmp_path / "m.sqlite").exists()
    everything = [(*each.runs, *(row.repeated for row in each.rows)) for each in (one, two)]
    key = min(run.key for run in everything[0])
    then, now = (r.curves["valid_loss"].values[1] for runs in everything for r in runs if r.key == key)
    assert f"(row {key[:12]}), is not the same in {tmp_path / 'a.sqlite'} and {tmp_path / 'b.sqlite'}" in said
    assert f"valid_loss, epoch 2: {then!r} in a.sqlite, {now!r} in b.sqlite, and 1 later epoch differs" in said
    assert said.endswith("Nothing was written")
    before = dump("a.sqlite")
    assert "is not the same in" in refusal("a.sqlite", "c.sqlite", "b.sqlite")
    assert dump("a.sqlite") == before


def test_a_contradiction_between_two_processors_is_said_to_be_one(script):
    task = script(CHANCE)
    for name in "ab":
        run(task, ("sgd",), store=f"{name}.sqlite")
    with sqlite3.connect("b.sqlite") as connection:
        provenance = json.loads(connection.execute("SELECT provenance FROM study").fetchone()[0])
        connection.execute("UPDATE study SET provenance = ?", (json.dumps({**provenance, "cpu": "Babbage 1837"}),))
    connection.close()
    assert "and Babbage 1837: bits may differ between processors. Nothing was written" in refusal(
        "a.sqlite", "b.sqlite"
    )


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_row_whose_process_died_gives_way_to_a_result(tmp_path, order):
    plan = resolve(study("digits-mlp", ["adam"], trials=1, seeds=2))
    (cell,) = plan.search_cells()
    died = Run(cell.key, cell.seed, cell.values, "died", "its process died")
    for name, each in (("a", died), ("b", run_of(cell))):
        with open_store(tmp_path / f"{name}.sqlite") as store:
            store.begin(plan, {})
            store.add(cell, each)
    into, other = (f"{name}.sqlite" for name in order)
    done = merge(into, other)
    assert read_contents(tmp_path / into).runs == {cell.key: run_of(cell)}
    assert (done.added, done.shared) == ((1, 0) if order == "ab" else (0, 1))


def test_a_row_may_be_another_trial_in_another_comparison(tmp_path):
    plan = resolve(study("digits-mlp", ["adam"], trials=2, seeds=2))
    cell = plan.search_cells()[1]
    for name, trial in (("a", 1), ("b", 7)):
        with open_store(tmp_path / f"{name}.sqlite") as store:
            store.begin(plan, {})
            store.add(replace(cell, trial=trial), run_of(cell))
    assert merge("a.sqlite", "b.sqlite").shared == 1


def test_beside_a_comparison_that_writes_at_the_same_moment(script):
    task, looks = script(), []
    run(task, ("sgd",), store="m.sqlite")

    class Look(list):
        def append(self, event):
            if isinstance(event, Finished):
                looks.append((merge("m.sqlite", "b.sqlite").added, len(rows("m.sqlite"))))
                assert "b.sqlite is in use" in refusal("b.sqlite", "m.sqlite")

    run(task, ("adam",), store="b.sqlite", events=Look())
    assert [added for added, _ in looks] == [1] * len(rows("b.sqlite"))
    assert Comparison.load("m.sqlite").complete
    assert [rule.label for rule in Comparison.load("m.sqlite").plan.rules] == ["sgd", "adam"]


def test_what_cannot_be_merged_is_refused_in_words(script, tmp_path):
    run(script(), ("sgd",), store="a.sqlite")
    assert "there is no store" in refusal("m.sqlite", "nowhere.sqlite")
    assert not (tmp_path / "m.sqlite").exists()
    assert "name at least one store" in refusal("m.sqlite")
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "a.sqlite")
    assert "is named twice" in refusal("a.sqlite", "link.sqlite")
    with sqlite3.connect("a.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "written by a newer thalweg" in refusal("m.sqlite", "a.sqlite")
    assert not (tmp_path / "m.sqlite").exists()


def test_a_full_disk_leaves_the_store_as_it_was(mounted, tmp_path):
    small, plan = mounted("size=300k") / "m.sqlite", resolve(study("digits-mlp", "adam", trials=400))
    fill = partial(run_of, size=100)
    for path, cells in ((small, plan.search_cells()[:3]), (tmp_path / "b.sqlite", plan.search_cells())):
        with open_store(path) as store:
            store.begin(replace(plan, study_seed=len(cells)), {})
            for cell in cells:
                store.add(cell, fill(cell))
    before = dump(small)
    said = refusal(small, "b.sqlite")
    assert "disk is full" in said
    assert "What it holds is safe" in said
    assert dump(small) == before
