"""Comparisons that vary options of the task, with built-in tasks and with scripts."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest
from comparing import begin_before, plan_before, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg
from thalweg.cli import main
from thalweg.report.page import page
from thalweg.study import Comparison, Finished, Phase, StudyError
from thalweg.study.ask.spec import resolve, study
from thalweg.study.ask.task_references import option_problem, option_text, read_option, resolve_task
from thalweg.study.model.plan import Plan
from thalweg.tasks.task import Option
from thalweg.terminal.comparison import print_outcome
from thalweg.terminal.console import out
from thalweg.view.comparison import heading, view_of

pytestmark = pytest.mark.usefixtures("in_a_folder_of_its_own")

# A training of milliseconds in which the norm matters: the inputs' sizes differ by a factor of a hundred.
NORMS = """
    import torch

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        chance = torch.Generator().manual_seed(trial.seed("data"))
        x = torch.randn(64, 8, generator=chance) * torch.logspace(-1, 1, 8)
        y = x.sum(1, keepdim=True).sign() + 0.1 * torch.randn(64, 1, generator=chance)
        norm = torch.nn.LayerNorm(8) if trial.options["norm"] == "layer" else torch.nn.Identity()
        model = torch.nn.Sequential(norm, torch.nn.Linear(8, 1))
        optimizer = trial.optimizer(model)

        def loss():
            return torch.nn.functional.mse_loss(model(x), y)

        trial.report(valid_loss=loss(), test_loss=loss())
        for epoch in trial.epochs(3):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
            trial.report(valid_loss=loss(), test_loss=loss())
"""
NORM = {"norm": ["layer", "none"]}


def plan_of(task, rules="adamw", vary=None, trials=3):
    return resolve(study(task, rules, trials=trials, seeds=2, vary=vary or {}))


def refusal(task="quadratic-deep", **vary):
    with pytest.raises(StudyError) as caught:
        plan_of(task, vary=vary.get("vary", vary))
    return str(caught.value)


# -- an option that is a word


WORD = Option("batch", "the norm", choices=("batch", "layer", "none"))


def test_a_word_is_one_of_its_choices():
    assert WORD.problem("layer") == ""
    assert WORD.problem("layr") == "must be one of batch, layer, none; got 'layr'; did you mean 'layer'?"
    assert WORD.problem("LAYER").endswith("got 'LAYER'; did you mean 'layer'?")
    assert WORD.problem(2) == "must be one of batch, layer, none; got 2"
    assert WORD.problem(True) == "must be one of batch, layer, none; got True"
    assert WORD.problem(["layer"]) == "must be one of batch, layer, none; got ['layer']"
    with pytest.raises(ValueError, match="must be one of the choices"):
        Option("batch", "the norm", choices=("layer",))


def test_a_whole_number_fits_into_a_store():
    number = Option(1, "how many", least=1)
    assert number.problem(2**63 - 1) == ""
    assert number.problem(2**63) == "must be a whole number of at most 64 bits, at least 1; got one of 65"
    assert "of at most 64 bits" in option_problem("n", 10**5000)


def test_a_whole_number_may_have_to_be_a_multiple():
    width = Option(64, "how wide", least=4, multiple=4)
    assert [width.problem(value) for value in (4, 64, 132)] == ["", "", ""]
    assert width.problem(66) == "must be a multiple of 4, such as 64 or 68; got 66"
    assert width.problem(0) == "must be a whole number, at least 4; got 0"
    assert width.problem(True) == "must be a whole number, at least 4; got True"


@given(st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=8)))
def test_what_a_script_may_be_given_is_read_back_from_its_text(value):
    name, _, written = option_text("norm", value).partition("=")
    if not option_problem(name, value):
        read = read_option(written)
        assert (read, type(read)) == (value, type(value))
        assert [written] == [piece.strip() for piece in written.split(",")]


# -- from what is asked for to what is trained


def test_every_rule_is_compared_with_every_combination():
    vary = {"instance": [1, 2], "reshuffle": [True, False]}
    plan = plan_of("quadratic-deep", ["sgd:momentum=0.9", "adamw"], vary)
    assert [rule.label for rule in plan.rules] == [
        f"{rule} instance={k} reshuffle={word}"
        for rule in ("sgd:momentum=0.9", "adamw")
        for k in (1, 2)
        for word in ("true", "false")
    ]
    assert plan.rules[0].name == "SGD (momentum=0.9) with instance=1 reshuffle=true"
    assert plan.place == "quadratic-deep"
    cell = plan.cell(plan.rules[5], 1, 3)
    assert cell.options == {"instance": 1, "reshuffle": False, "op_seed": 3}
    assert cell.identity()["rule"] == "adamw"


def test_one_rule_goes_without_saying():
    plan = plan_of("quadratic-deep", "adamw:lr=0.1", {"instance": [1, 2]})
    assert [(rule.label, rule.name) for rule in plan.rules] == [("instance=1",) * 2, ("instance=2",) * 2]
    assert plan.place == "quadratic-deep with AdamW (lr=0.1)"
    assert plan_of("quadratic-deep", "adamw").place == "quadratic-deep"


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.sampled_from(["sgd", "adamw", "lion:beta1=0.8"]), min_size=1, unique=True),
    st.dictionaries(
        st.sampled_from(["norm", "width", "deep"]),
        st.lists(st.sampled_from(["layer", "rms", 1, 2, 64]), min_size=2, unique=True),
        max_size=3,
    ),
)
def test_combinations_of_a_rule_share_draws_and_seeds_and_no_run(rules, vary):
    script = Path("paired.py")
    script.write_text("def train(trial): pass\n")
    plan = plan_of(f"{script}:train", rules, vary)
    count = len(plan.rules) // len(rules)
    for place, reference in enumerate(rules):
        mine = plan.rules[count * place : count * (place + 1)]
        assert {rule.reference for rule in mine} == {reference}
        assert all((rule.trials, rule.edges) == (mine[0].trials, mine[0].edges) for rule in mine)
    cells = [*plan.search_cells(), *plan.fresh_cells(dict.fromkeys((rule.label for rule in plan.rules), (0, 1)))]
    owners = {(cell.key, cell.contender) for cell in cells}
    assert len({key for key, _ in owners}) == len(owners)
    assert len({rule.label for rule in plan.rules}) == len(plan.rules)
    again = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert again == plan
    assert [cell.key for cell in again.search_cells()] == [cell.key for cell in plan.search_cells()]


def test_a_varied_value_is_the_same_run_as_a_task_that_has_it_as_its_default():
    alone, varied = plan_of("quadratic-deep"), plan_of("quadratic-deep", vary={"instance": [2, 1]})
    assert [c.key for c in alone.search_cells()] == [c.key for c in varied.search_cells()][1::2]


def test_a_later_option_at_its_default_leaves_runs_what_they_were():
    """The options that runs of the task had before it had a width, however the default comes about."""
    before = {"norm": "layer", "placement": "pre", "layers": 2, "batch": 32}
    plain, given = plan_of("char-transformer"), plan_of("char-transformer:width=64")
    assert plain == given
    assert plain.options == before
    narrow, usual = plan_of("char-transformer", vary={"width": [32, 64]}).search_cells()[:2]
    assert (narrow.options["width"], usual.options["width"]) == (32, 64)
    assert usual.identity()["options"] == before
    assert usual.key == plain.search_cells()[0].key
    assert narrow.identity()["options"] == {**before, "width": 32}
    other = plan_of("char-transformer:width=32")
    assert (other.task, other.options) == ("char-transformer:width=32", {**before, "width": 32})
    with pytest.raises(StudyError, match="the task char-transformer: width must be a multiple of 4, such as 32 or 36"):
        plan_of("char-transformer:width=34")


def test_keys_of_earlier_comparisons_have_not_changed():
    plan = plan_of("quadratic-deep:instance=2", "sgd:momentum=0.9")
    now = plan.search_cells()[0].identity()
    assert (now["splits"], now["held"]) == (True, {"split": plan.tuning_seed})
    cell = plan_before("quadratic-deep:instance=2", "sgd:momentum=0.9").search_cells()[0]
    found = {**cell.identity(), "versions": {}}
    assert json.dumps(found, sort_keys=True) == (
        '{"options": {"instance": 2, "op_seed": 3, "reshuffle": true}, "rule": "sgd:momentum=0.9", "rule_hash": "'
        + str(found["rule_hash"])
        + f'", "schedule": "none", "seed": {cell.seed}, "task": "quadratic-deep:instance=2", '
        '"task_hash": "version 1", "values": ' + json.dumps(found["values"], sort_keys=True) + ', "versions": {}}'
    )


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ({"instanc": [1, 2]}, "has no option 'instanc'; did you mean instance? It has: instance, reshuffle, op_seed."),
        ({"instance": [1, 0]}, "instance must be a whole number, at least 1; got 0"),
        ({"instance": [1, "two"]}, "instance must be a whole number, at least 1; got 'two'"),
        ({"instance": [1, True]}, "instance must be a whole number, at least 1; got True"),
        ({"reshuffle": [True, 0]}, "reshuffle is a switch"),
        ({"instance": [1]}, "vary: only instance=1 is given, which leaves nothing to compare; give two values or more"),
        ({"instance": []}, "vary: instance has no values, which leaves nothing to compare"),
        ({"instance": [1, 2, 1]}, "vary: instance=1 is given twice; give each value once"),
        ({"instance": "12"}, "vary: the values of instance are a list, such as ['batch', 'layer']; got '12'"),
        ({"instance": 3}, "vary: the values of instance are a list"),
        ({"instance": {1, 2}}, "vary: the values of instance are a list"),
        ({"instance": [1, 0.5]}, "'0.5', and read float(trial.options['instance'])"),
        ({"instance": [1, np.int64(2)]}, "instance is a word, a whole number or a switch; got np.int64(2)"),
        ({"instance": [1, np.str_("two")]}, "instance is a word, a whole number or a switch; got np.str_('two')"),
        ({"instance": [1, None]}, "instance is a word, a whole number or a switch; got None"),
        ({"": [1, 2]}, "vary: an option has a name such as 'norm'; got ''"),
        ({3: [1, 2]}, "vary: an option has a name such as 'norm'; got 3"),
        ([("instance", [1, 2])], "vary is a dictionary such as {'norm': ['batch', 'layer']}"),
        ("instance=1,2", "vary is a dictionary"),
    ],
)
def test_what_cannot_be_varied_is_refused_in_words(vary, words):
    assert words in refusal(vary=vary)


def test_an_option_is_either_fixed_or_varied(script):
    words = "instance is fixed in quadratic-deep:instance=2 and varied too: leave instance= out of the task"
    assert words in refusal("quadratic-deep:instance=2", instance=[1, 2])
    assert "and varied too" in refusal("quadratic-deep:instance=1", instance=[1, 2])  # also at its default
    assert "norm is fixed in script.py:train:norm=rms and varied" in refusal(script() + ":norm=rms", norm=["rms", "a"])
    assert plan_of("quadratic-deep:op_seed=2", vary={"instance": [1, 2]}).rules[1].options == {"instance": 2}


def test_a_scripts_values_are_words_that_can_be_written(script):
    task = script()
    for word in ("", " a", "a,b", "a:b", "a=b", "a\nb"):
        assert "must be a word without commas, colons and equals signs" in refusal(task, norm=["none", word])
    for word in ("on", "True", "12", "1_000"):
        assert f"the word {word!r} would be read as" in refusal(task, norm=["none", word])
    # Equal in Python, but not in what they say.
    assert [rule.label for rule in plan_of(task, vary={"n": [1, True, 0.5 > 1, 0]}).rules] == [
        "n=1", "n=true", "n=false", "n=0"
    ]  # fmt: skip


# -- scripts and their options


def test_a_script_reads_what_was_chosen(script):
    seen = "    with open('seen', 'a') as f: print([trial.options[k] for k in ('norm', 'deep', 'wide')], file=f)\n"
    task = script(textwrap.dedent(NORMS).replace("def train(trial):\n", f"def train(trial):\n{seen}"))
    vary = {"norm": ["layer", "0.5"], "deep": [2, 3], "wide": [True, False]}
    found = run(task, "sgd", vary=vary, trials=1, seeds=2)
    expected = {repr([norm, deep, wide]) for norm in ("layer", "0.5") for deep in (2, 3) for wide in (True, False)}
    assert set(Path("seen").read_text().splitlines()) == expected
    assert [dict(row.options) for row in found.rows][1] == {"norm": "layer", "deep": 2, "wide": False}


UNREAD = textwrap.dedent(NORMS).replace('trial.options["norm"]', '"none"')
NEVER = "it never read trial.options['norm'], so what was chosen there changed nothing"


@pytest.mark.parametrize(
    "look", ["pass", "'norm' in trial.options", "len(trial.options)", "list(trial.options)", "repr(trial.options)"]
)
def test_a_script_that_never_reads_what_is_varied_is_told(script, look):
    task = script(UNREAD.replace("def train(trial):\n", f"def train(trial):\n    {look}\n"))
    with pytest.raises(
        StudyError, match=re.escape(f"the training of script.py:train (norm=layer) compares nothing: {NEVER}")
    ):
        run(task, "sgd", vary=NORM)
    assert rows("s.sqlite") == []
    alone = thalweg.train(task + ":norm=none", "sgd")
    assert (alone.status, alone.message) == ("failed", NEVER)


@pytest.mark.parametrize("look", ["trial.options.get('norm')", "dict(trial.options)", "list(trial.options.values())"])
def test_other_ways_of_reading_count(script, look):
    task = script(UNREAD.replace("def train(trial):\n", f"def train(trial):\n    {look}\n"))
    assert thalweg.train(task + ":norm=none", "sgd").status == "done"


def test_an_option_that_is_not_always_read_stops_the_comparison_early(script):
    """A failed run would count against the combination, which did nothing wrong."""
    text = textwrap.dedent(NORMS).replace(
        "    model =", "    place = trial.options['place'] if trial.options['norm'] == 'layer' else ''\n    model ="
    )
    events = []
    with pytest.raises(StudyError, match=r"norm=none place=pre.*never read trial.options\['place'\].*in every case"):
        run(script(text), "sgd", vary={**NORM, "place": ["pre", "post"]}, trials=9, events=events)
    assert len([e for e in events if isinstance(e, Finished)]) == 2


def test_a_built_in_task_is_told_too():
    with pytest.raises(StudyError, match=r"never read trial.options\['op_seed'\]"):
        run("quadratic-deep", "sgd", vary={"op_seed": [2, 3]}, trials=1)
    # Not varied, it may be left alone.
    assert run("quadratic-deep:op_seed=2", "sgd", "t.sqlite", vary={"instance": [1, 2]}, trials=1, seeds=2).complete


def test_a_script_that_fails_before_it_reads_has_failed(script):
    text = textwrap.dedent(NORMS).replace(
        "    torch.manual_seed", "    raise ValueError('no data')\n    torch.manual_seed"
    )
    with pytest.raises(StudyError, match=r"first training of script.py:train \(norm=layer\) failed.*no data"):
        run(script(text), "sgd", vary=NORM)


def test_a_script_and_a_function_take_options_in_one_training(script):
    task = script(NORMS)
    direct = thalweg.train(task, "sgd", task_options={"norm": "layer"})
    assert direct.status == "done"
    assert direct.curves == thalweg.train(task + ":norm=layer", "sgd").curves
    assert direct.curves != thalweg.train(task + ":norm=none", "sgd").curves
    assert (direct.task, dict(direct.options)) == ("script.py:train:norm=layer", {"norm": "layer"})
    found = []
    thalweg.train(lambda trial: found.append(trial.options["width"]), "sgd", task_options={"width": 3})
    assert found == [3]
    unread = thalweg.train(lambda trial: trial.optimizer([]), "sgd", task_options={"width": 3})
    assert unread.status == "failed"
    with pytest.raises(StudyError, match="read float"):
        thalweg.train(lambda trial: None, "sgd", task_options={"width": 0.5})


def test_a_scripts_options_have_one_spelling(script):
    task = script()
    one, two = (resolve_task(f"{task}:{rest}") for rest in ("norm=rms:deep=on", "deep=true:norm=rms"))
    assert one.name == two.name == "script.py:train:deep=true:norm=rms"
    for rest, words in (("norm", "name=value"), ("norm=", "name=value"), ("n=1:n=2", "n is given twice")):
        with pytest.raises(StudyError, match=words):
            resolve_task(f"{task}:{rest}")


# -- a comparison


def test_one_rule_is_compared_with_itself(script):
    found = run(script(NORMS), "adamw:lr=0.1", vary=NORM, trials=2, seeds=12)
    first = found.verdict.answer
    assert first.startswith("On script.py:train with AdamW (lr=0.1), ")
    assert "norm=layer is better than norm=none: test loss (lower is better) -" in first
    assert found.verdict.best == "norm=layer"
    assert [row.contender for row in found.rows] == ["norm=layer", "norm=none"]
    assert {cell.called for cell, _ in found.trainings} == {"norm=layer", "norm=none"}
    for one, two in zip(*(row.trials.values() for row in found.rows), strict=True):
        assert (one.values, one.seed) == (two.values, two.seed)
        assert one.curves != two.curves
    assert Comparison.load("s.sqlite") == found


def test_several_rules_are_named(script, capsys):
    found = run(script(NORMS), ["adamw", "sgd:momentum=0.9"], vary=NORM, trials=1, seeds=3)
    said = str(found.verdict)
    assert said.startswith("On script.py:train, untuned, ")
    assert "AdamW with norm=layer" in said
    assert "SGD (momentum=0.9) with norm=none" in said
    assert heading(found.plan) == "adamw, sgd:momentum=0.9 with norm=layer,none on script.py:train"
    print_outcome(found, out(), verbose=True)
    table = capsys.readouterr().out
    assert table.count("contender") == 2
    assert "adamw norm=layer" in " ".join(table.split())
    shown = page(view_of(found))
    assert "<h1>adamw, sgd:momentum=0.9 with norm=layer,none on script.py:train</h1>" in shown
    assert "4 contenders, 1 trials each" in shown
    assert shown.count('data-rule="sgd:momentum=0.9 norm=none"') > 1
    assert "sgd:<wbr>momentum=0.9 norm=layer</button>" in shown


def test_the_command_on_the_page_makes_it_again(script):
    vary = {"norm": ["layer", "none"], "wide": [True, False]}
    text = textwrap.dedent(NORMS).replace('["norm"]', '["norm"] + str(trial.options["wide"])[:0]')
    found = run(script(text), ["adamw", "sgd:momentum=0.9"], vary=vary, trials=1, seeds=2)
    words = view_of(found).command
    assert "-r adamw,sgd:momentum=0.9 --vary norm=layer,none --vary wide=true,false --trials 1" in words
    before = rows("s.sqlite")
    done = subprocess.run(
        words.replace("thalweg", f"{sys.executable} -m thalweg", 1), shell=True, capture_output=True, text=True
    )
    assert "all 32 runs were already stored" in done.stderr, done.stderr
    assert rows("s.sqlite") == before


def test_runs_are_shared_with_the_comparison_of_the_rule_alone():
    """The same trainings under the labels of each comparison."""
    alone, events = run("quadratic-deep", "sgd", trials=2, seeds=2), []
    both = run("quadratic-deep", "sgd", trials=2, seeds=2, vary={"instance": [1, 2]}, events=events)
    assert {e.cell.called for e in events if isinstance(e, Finished)} == {"instance=2"}
    assert {cell.called for e in events if isinstance(e, Phase) for cell, _ in e.stored} == {"instance=1"}
    assert both.rows[0].default == alone.rows[0].default
    assert both.rows[0].trials == alone.rows[0].trials
    assert run("quadratic-deep", "sgd", trials=2, seeds=2).rows == alone.rows


def test_a_store_from_before_options_were_varied_is_read_and_goes_on(script):
    task, events = script(), []
    begin_before(task, ["sgd", "adam"])
    found = run(task, ["sgd", "adam"])
    kept = found.provenance
    with sqlite3.connect("s.sqlite") as connection:
        plan = json.loads(connection.execute("SELECT plan FROM study").fetchone()[0])
        del plan["rule_name"]
        for rule in plan["rules"]:
            del rule["rule"], rule["options"]
        connection.execute("UPDATE study SET plan = ?", (json.dumps(plan),))
    connection.close()
    assert Comparison.load("s.sqlite") == found
    assert run(task, ["sgd", "adam"], events=events).provenance == kept
    assert events[0].done == events[0].total
    with sqlite3.connect("s.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM study").fetchone() == (1,)
    connection.close()


def test_a_finished_store_from_before_defaults_ran_twice_is_finished(script):
    begin_before(script(), ["sgd", "adam"])
    found = run(script(), ["sgd", "adam"])
    with sqlite3.connect("s.sqlite") as connection:
        plan = json.loads(connection.execute("SELECT plan FROM study").fetchone()[0])
        for name in ("settings", "held", "budgets", "minutes", "repeats", "design", "search_seeds"):
            del plan[name]
        connection.execute("UPDATE study SET plan = ?", (json.dumps(plan),))
        gone = connection.execute("DELETE FROM run WHERE json_extract(cell, '$.repeat') = 1")
        assert gone.rowcount == 2
    connection.close()
    earlier = Comparison.load("s.sqlite")
    assert earlier.missing == 0
    assert earlier.verdict == found.verdict
    assert [row.tuned for row in earlier.rows] == [row.tuned for row in found.rows]


@pytest.mark.slow
def test_a_comparison_that_was_interrupted_in_its_process_goes_on(script, capsys):
    """Ctrl-C on the real command says so, and loses nothing; the same again; against one that nobody disturbed."""
    slow = textwrap.dedent(NORMS).replace("def train(trial):\n", "def train(trial):\n    time.sleep(0.1)\n")
    script("import time\n" + slow)

    tokens = ["compare", "script.py:train", "-r", "adamw", "--vary", "norm=layer,none"]
    tokens += ["--trials", "3", "--seeds", "2", "--json"]

    def start(store, workers):
        environment = {**os.environ, "CI": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "thalweg", *tokens, "--workers", workers, "--store", store],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    assert main([*tokens, "--engine", "serial", "--store", "whole.sqlite"]) == 0
    whole = capsys.readouterr().out
    process = start("stopped.sqlite", "2")
    while _count("stopped.sqlite") < 3 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert "Nothing that had finished is lost" in said
    before = _count("stopped.sqlite")
    assert 3 <= before < 10
    again = start("stopped.sqlite", "1")
    shown, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert f"{before} of " in said
    assert rows("stopped.sqlite") == rows("whole.sqlite")
    found, expected = json.loads(shown), json.loads(whole)
    assert found["verdict"] == expected["verdict"]
    assert [(rule["contender"], rule["option_norm"]) for rule in found["rules"]] == [
        ("norm=layer", "layer"), ("norm=none", "none"),
    ]  # fmt: skip


def _count(store):
    try:
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
            count = connection.execute("SELECT count(*) FROM run").fetchone()[0]
        connection.close()
    except sqlite3.OperationalError:
        return 0
    return count
