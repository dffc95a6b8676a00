"""The valley's findings: of a small study that is trained here, and of the valley's own files, killed and resumed."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import findings
import pytest
from answers import standing, task

import handmade
from thalweg.study import Serial, Suite, compare
from thalweg.study.ask.study_file import read_study
from thalweg.study.model.errors import StudyError

VALLEY = Path(__file__).parents[2] / "examples" / "valley"

# Two quadratics with noisy gradients, one of them judged by an accuracy: 20 steps, a few milliseconds a training.
SCRIPT = """
import torch

def noisy(trial, steep, report):
    chance = torch.Generator().manual_seed(trial.seed("data"))
    w = torch.nn.Parameter(torch.full((4,), 2.0))
    optimizer = trial.optimizer([w])
    for epoch in trial.epochs(4):
        for _ in range(5):
            optimizer.zero_grad()
            (w * (steep * w.detach() + 0.3 * torch.randn(4, generator=chance))).sum().backward()
            optimizer.step()
        report(float((w.detach() ** 2 * steep).sum()))

STEEP = torch.tensor([0.2, 1.0, 3.0, 9.0])

def bowl(trial):
    noisy(trial, STEEP, lambda loss: trial.report(valid_loss=loss, test_loss=loss))

def hits(trial):
    def report(loss):
        right = round(200 / (1 + loss)) / 200
        trial.report(valid_accuracy=right, test_accuracy=right, tests=200)
    noisy(trial, STEEP.flip(0) / 2, report)
"""
RULES = ["adam", "nag", "rmsprop", "sgd"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("valley")
    (folder / "two.py").write_text(SCRIPT)
    asked = [f"{folder / 'two.py'}:{name}" for name in ("bowl", "hits")]
    compare(asked, RULES, trials=9, seeds=3, store=folder / "study.sqlite", engine=Serial())
    return folder / "study.sqlite"


def test_a_study_is_answered_from_its_store_alone(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert findings.main([str(store), str(tmp_path / "out")]) == 0
    text, page = ((tmp_path / "out" / f"findings.{kind}").read_text() for kind in ("md", "html"))
    lines = text.splitlines()
    assert lines[0] == "# The crowded valley on a laptop"
    starts = (
        "- Tuned with 4 trials, Adam has",
        "- NAG against Adam: ",
        "- RMSprop against Adam: ",
        "- At 4 trainings each",
    )
    assert all(line.startswith(start) for line, start in zip(lines[2:6], starts, strict=True))
    assert lines[6].startswith("- Results of the rules, each tuned with 4 trials, are told to lie further apart")
    assert all(line.count("bowl") == line.count("hits") for line in lines[6:])
    for name in ("first", "close", "switching", "noise", "budgets", "reading"):
        assert f'<section id="{name}">' in page
    drawn = json.loads(page.split('id="figures">')[1].split("</script>")[0])["figures"]
    assert drawn.keys() == {"fig-noise-0", "fig-noise-1"}
    # Three results of each of four rules; as many of Adam alone, twice.
    assert [len(trace["x"]) for trace in drawn["fig-noise-0"]["data"]] == [3, 3, 3, 3, 12, 12]


def test_what_is_said_is_the_comparison_s_own(store: Path) -> None:
    suite = Suite.load(store)
    found = findings.findings(suite)
    for each, own in zip(found.tasks, suite.comparisons, strict=True):
        (nag,) = (d for d in own.family.contrasts if d.first == "nag")
        assert standing.against(each, "nag") == nag
        told = [standing.told(each, *words) for words in (("better",), ("worse",), ("cannot tell", "equal"))]
        assert sorted(label for labels in told for label in labels) == ["nag", "rmsprop", "sgd"]
        # At the budget of the answer the means are the comparison's.
        levels = standing.levels(each, [each.judged])
        assert {label: level for label, (level,) in levels.items()} == pytest.approx(own.searches.intervals)
    for at in found.standings:
        assert [each.trials for each in at] == [1, 4]
        assert all(1 <= each.rank <= each.of == 4 and 0 <= each.chance <= 1 for each in at)
        assert all((each.rank == 1) == (each.first == "adam") for each in at)
    for each in found.switching:
        assert each.trainings == 4
        assert sum(each.chosen.values()) == 3
        assert each.difference.interval.low < each.tuned - each.best < each.difference.interval.high
        assert each.difference.interval.level == 0.975


def test_losses_and_failures_are_answered_too() -> None:
    """Made by hand: of one rule trainings diverge, and every second task is judged by a loss."""
    found = findings.findings(handmade.suite(tests=359))
    assert [each.metric.name for each in found.tasks] == ["accuracy", "loss", "accuracy"]
    said = list(findings.said(found))
    assert "times the errors" in said[1].rest
    assert "<html" in findings.page(found)


def test_what_cannot_be_answered_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StudyError, match="4 trainings are missing"):
        task.on_task(handmade.comparison(missing=4))
    with pytest.raises(StudyError, match="has 2 fresh seeds"):
        task.on_task(handmade.comparison(seeds=2))
    with pytest.raises(StudyError, match="--trials 9 goes on with it"):
        task.on_task(handmade.comparison(trials=3))
    many = tuple((f"sgd:momentum=0.{k}", 0.9, -1.0, 0.5, 1e-4) for k in range(10, 20))
    with pytest.raises(StudyError, match="9 trials of each of 10 rules"):
        task.on_task(handmade.comparison(trials=9, rules=many))
    assert findings.main([str(tmp_path / "none.sqlite")]) == 2
    assert "none.sqlite" in capsys.readouterr().err
    assert findings.main([]) == 2


def rows(store: Path) -> set[tuple[str, str, str]]:
    """Key, time and task of every training that is stored."""
    if not store.exists():
        return set()
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            return set(connection.execute("SELECT key, ended, json_extract(cell, '$.task') FROM run"))
    except sqlite3.OperationalError:  # not made yet
        return set()


COMMAND = "import sys; from thalweg.cli import main; sys.exit(main(sys.argv[1:]))"


def begun(file: Path, *words: str) -> subprocess.Popen[bytes]:
    tokens = [sys.executable, "-c", COMMAND, "compare", str(file), "--store", "study.sqlite", *words]
    return subprocess.Popen(tokens, cwd=file.parent, start_new_session=True, stdout=subprocess.DEVNULL)


def killed(process: subprocess.Popen[bytes], store: Path, tasks: int) -> set[tuple[str, str, str]]:
    """Kill it as soon as so many tasks have a result. What there was then."""
    deadline = time.monotonic() + 180
    while len({task for *_, task in rows(store)}) < tasks:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) == -signal.SIGKILL
    return rows(store)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("tasks.py", "study.toml", "long.toml"):
        shutil.copy(VALLEY / name, tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_study_goes_on_after_a_kill_and_is_answered(folder: Path) -> None:
    file, store, asked = (
        folder / "study.toml",
        folder / "study.sqlite",
        ("-r", "adam,nag", "--trials", "9", "--seeds", "3"),
    )
    kept = killed(begun(file, *asked), store, 1)
    assert begun(file, *asked).wait(120) == 0
    assert kept < rows(store)
    suite = Suite.load(store)
    assert [found.plan.task for found in suite.comparisons] == [
        "tasks.py:tabular", "tasks.py:regression", "digits-mlp", "tasks.py:autoencoder", "quadratic-deep",
    ]  # fmt: skip
    assert findings.main([str(store)]) == 0
    assert "At 2 trainings each" in (folder / "findings.md").read_text()


@pytest.mark.slow
def test_each_task_of_the_long_study_gives_a_result(folder: Path) -> None:
    """With one training of one rule, and less of a transformer. It goes on after a kill as the short one does."""
    file, store, asked = folder / "long.toml", folder / "study.sqlite", ("-r", "adam", "--trials", "1", "--seeds", "2")
    file.write_text(file.read_text().replace("char-transformer", "char-transformer:layers=1:batch=4"))
    assert len({task for *_, task in killed(begun(file, *asked), store, 8)}) == 8


def test_the_files_ask_for_what_they_say() -> None:
    short, long = (read_study(VALLEY / name) for name in ("study.toml", "long.toml"))
    assert len(short.rules) == 15
    assert short.rules == long.rules
    assert len(short.tasks) == 5
    assert long.tasks[:5] == short.tasks
    assert long.tasks[5:] == ("char-transformer", "sequence-gru", "digits-tiny-batch")
