"""What the command says in a terminal: tables, texts and the sentence for a mistake."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from thalweg.closest import closest

if TYPE_CHECKING:
    from thalweg.tasks import Task


class Refused(Exception):
    """The command cannot do what was asked; the message is the sentence to show. Exit code 2."""


@contextmanager
def refusing(*kinds: type[Exception]) -> Iterator[None]:
    """Turn the library's own complaints into a sentence for the person at the terminal."""
    try:
        yield
    except kinds as error:
        raise Refused(str(error)) from error


class _Out(Console):
    def on_broken_pipe(self) -> None:
        """Let the command answer a closed pipe; rich would exit with 1."""
        raise  # rich calls this while it handles the error


def out() -> Console:
    """Standard output. Looked up at each call, so that a redirected stream is seen."""
    return _Out(file=sys.stdout, highlight=False)


def complain(sentence: str, stream: IO[str] | None = None) -> None:
    """One mistake, on standard error."""
    console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("thalweg: ", "bold red"), sentence))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' Did you mean "adamw"?' or nothing; for the end of a sentence."""
    found = closest(word.lower(), known, cutoff=0.5)
    return f' Did you mean "{found}"?' if found else ""


def table(*headings: str, right: Iterable[str] = (), title: str | None = None) -> Table:
    """An empty table in the one style all verbs share."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", title=title, title_justify="left")
    for heading in headings:
        made.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    return made


def first_line(documented: object) -> str:
    """The first line of a docstring."""
    return (documented.__doc__ or "").strip().partition("\n")[0].strip()


SCRIPT = """
A script of your own is a task too: thalweg compare my_script.py:train -r sgd,adamw

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        model = Net()
        optimizer = trial.optimizer(model)          # rule and hyperparameters come from the comparison
        loader = batches(trial.seed("data"))
        for epoch in trial.epochs(10, steps=len(loader)):
            for x, y in loader:
                loss = cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            for _ in trial.evaluations():           # averaged weights, where there are some
                trial.report(train_loss=..., valid_loss=..., valid_accuracy=..., test_accuracy=...)

What it reads in trial.options["norm"] can be compared: --vary norm=batch,layer
What it prints is not shown while it is compared."""


def tasks_table(tasks: "Mapping[str, Task]") -> Table:
    """The training problems, one a line."""
    made = table("task", "metric", "epochs", "what it trains", right=("epochs",))
    made.columns[0].no_wrap = True
    for name, task in tasks.items():
        splitless = dict.fromkeys(metric.partition("_")[2] for metric in task.metrics if metric.startswith("valid_"))
        made.add_row(Text(name, "bold"), ", ".join(splitless), str(task.epochs), task.summary)
    return made


def options_table(tasks: "Mapping[str, Task]") -> Table:
    """What the tasks leave open, one option a line."""
    made = table("option", "default", "what it is")
    made.columns[0].no_wrap = True
    for name, task in tasks.items():
        for option, about in task.options.items():
            words = f" ({', '.join(about.choices)})" if about.choices else ""
            made.add_row(f"{name}:{option}=", str(about.default).lower(), about.meaning + words)
    return made
