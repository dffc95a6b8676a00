"""The thalweg command: verbs only. What they do lives in the library; what they say, in `thalweg.terminal`."""

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, Token, UnknownCommandError

from thalweg import __version__
from thalweg.terminal import Refused, complain, did_you_mean, out, refusing

# What `pip install thalweg` leaves out and comparisons need.
COMPARE_PACKAGES = {"scipy", "joblib", "sklearn", "msgspec", "plotly"}

# What becomes of the work when Ctrl-C ends a verb.
STOPPED = {
    "compare": " Nothing that had finished is lost, and the same command goes on where it stopped.",
    "train": " A training is not stored: the same command starts it anew, with the same result.",
    "verify": " Nothing was judged: the same command starts anew.",
}


def _whole(_kind: object, tokens: Sequence[Token]) -> int:
    """A whole number. Python's own reading: cyclopts would turn 2.5 into 2 without a word."""
    written = tokens[0].value
    try:
        return int(written)
    except ValueError:
        raise ValueError(f'"{written}" is not a whole number') from None


Whole = Annotated[int, Parameter(converter=_whole)]

app = App(
    name="thalweg",
    version=__version__,
    help="Write the weight update as a formula. Run it at memory speed. Know whether it helped.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # main answers Ctrl-C, in words
)


@app.command(sort_key=0)
def rules() -> None:
    """List the update rules: name, year, family, numbers kept per weight, weight decay, one line."""
    from thalweg.catalogue_view import rules_table, wrappers_table
    from thalweg.rules import CATALOGUE
    from thalweg.wrappers import WRAPPERS

    console = out()
    console.print(rules_table(CATALOGUE))
    console.print()
    console.print(wrappers_table(WRAPPERS))
    console.print(
        "\nState: numbers kept per weight; options may add some. All of a rule: thalweg show adamw. In a comparison: "
        "-r adamw,momentum+lookahead,rmsprop:like=tf1. Left to torch.optim: ASGD, LBFGS, SparseAdam."
    )


@app.command(sort_key=1)
def show(rule: str, /) -> None:
    """Show a rule: source, formulas, hyperparameters, conventions, then the text that runs.

    Parameters
    ----------
    rule
        A name from `thalweg rules`, also with a wrapper or convention (adamw+lookahead, rmsprop:like=tf1); or
        my_rules.py:ClassName.
    """
    from thalweg.catalogue_view import rule_card, rule_text
    from thalweg.rules import CATALOGUE, left_to_torch
    from thalweg.wrappers import WRAPPERS

    found = CATALOGUE.get(rule.lower())
    if found is None:
        if not ({":", "+", "."} & {*rule} or rule.lower() in WRAPPERS or left_to_torch(rule)):
            names = ", ".join(CATALOGUE)
            raise Refused(f'there is no rule "{rule}".{did_you_mean(rule, CATALOGUE)} The catalogue: {names}.')
        from thalweg.study.errors import StudyError
        from thalweg.study.rule_references import resolve_rule

        with refusing(StudyError):
            found = resolve_rule(rule).rule
    console = out()
    console.print(rule_card(found))
    console.print()
    text = rule_text(found, colour=console.is_terminal)
    if isinstance(text, str):
        print(text)  # not through rich, which would wrap it
    else:
        console.print(text)


@app.command(sort_key=2)
def tasks() -> None:
    """List the training problems, and show how a script of your own becomes one."""
    from thalweg.tasks import TASKS
    from thalweg.terminal import SCRIPT, options_table, tasks_table

    console = out()
    console.print(tasks_table(TASKS))
    console.print()
    console.print(options_table(TASKS))
    print(SCRIPT)


@app.command(sort_key=3)
def compare(
    task: str,
    /,
    *,
    rules: Annotated[list[str], Parameter(name=["--rules", "-r"], negative=())],
    vary: Annotated[list[str] | None, Parameter(name="--vary", negative=())] = None,
    trials: Whole = 25,
    seeds: Whole = 5,
    metric: str | None = None,
    store: Path | None = None,
    workers: Whole | None = None,
    study_seed: Whole = 0,
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> None:
    """Compare update rules, or options of a task: equal tuning, re-runs with other seeds, a verdict.

    What has been run is stored; the same command goes on where it was stopped.

    Parameters
    ----------
    task
        A name from `thalweg tasks`, or my_script.py:train.
    rules
        Rules with commas between: sgd,adamw,lion. With fixed values: sgd:momentum=0.9. Your own: my_rules.py:Name.
    vary
        Values of a task's option to compare, with each rule: --vary norm=batch,layer. Repeat for combinations. A script
        of your own reads trial.options["norm"].
    trials
        Settings tried for each rule, the default included.
    seeds
        Fresh seeds with which each rule's default and winner are re-run.
    metric
        What it is judged by: accuracy, loss. Unless given, accuracy where it is reported, else loss.
    store
        The file of results. Unless given, thalweg-TASK.sqlite in this folder.
    workers
        Processes, one thread each. Unless given, as many as there are CPUs. What a training prints is not shown.
    study_seed
        Number of the study: another number gives other draws and seeds.
    report
        Also write the page to this file.
    json
        Print the result as JSON instead of tables.
    """
    from thalweg.outcome import as_json, print_outcome
    from thalweg.progress import progress
    from thalweg.report import write
    from thalweg.study import StudyError
    from thalweg.study import compare as run
    from thalweg.terminal import varied_options

    if report is not None:
        _writable_page(report, store)
    wanted = [name.strip() for given in rules for name in given.split(",") if name.strip()]
    with refusing(StudyError):
        varied = varied_options(vary or [])
    with refusing(StudyError), progress(metric) as on_event:
        found = run(
            task,
            wanted,
            vary=varied,
            trials=trials,
            seeds=seeds,
            study_seed=study_seed,
            metric=metric,
            store=store,
            workers=workers,
            on_event=on_event,
        )
    # The answer first: a page that cannot be written must not take it away.
    if json:
        print(as_json(found, report))
    else:
        print_outcome(found, out(), report)
    if report is not None:
        with _writing(report):
            write(found, report)


@app.command(sort_key=4)
def train(
    task: str,
    rule: str,
    /,
    *,
    lr: float | None = None,
    set: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    like: str | None = None,
    schedule: str = "none",
    seed: Whole = 0,
    option: Annotated[list[str] | None, Parameter(name="--option", negative=())] = None,
    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> int:
    """Train once and watch: one rule, one setting, one seed. Exit code 1 if the training diverges or fails.

    Parameters
    ----------
    task
        A name from `thalweg tasks`, or my_script.py:train.
    rule
        A name from `thalweg rules`, as for compare; or my_rules.py:Name.
    lr
        The learning rate; the rule's default unless given.
    set
        Another hyperparameter, by the name in `thalweg show`: --set momentum=0.9. Repeat for more.
    like
        Another library's conventions and defaults: torch, tf1, keras, optax, paper.
    schedule
        Of the learning rate: none, cosine, warm-restarts, trapezoidal, warm-up, linear, wsd.
    seed
        Of the run.
    option
        An option of the task, or what a script of your own reads in trial.options: --option instance=2. Repeat for
        more.
    json
        Print the result, with all curves, as JSON.
    """
    from thalweg.study import StudyError
    from thalweg.study import train as run
    from thalweg.study.task_references import epochs_of, resolve_task
    from thalweg.terminal import hyperparameters, task_options
    from thalweg.training_view import as_json, outcome, watching

    with refusing(StudyError):
        values = hyperparameters(set or [], lr)
        options = task_options(option or [])
        found_task = resolve_task(task, options)
        title = f"{found_task.name}, {rule}" + (f" like {like}" if like else "") + f", seed {seed}"
        # What a script prints goes where the curves are: standard output is for the result.
        with watching(title, epochs_of(found_task)) as on_report, redirect_stdout(sys.stderr):
            found = run(
                task,
                rule,
                seed=seed,
                like=like,
                schedule=schedule,
                task_options=options,
                on_report=on_report,
                **values,
            )
    print(as_json(found) if json else outcome(found))
    return 0 if found.status == "done" else 1


@app.command(sort_key=5)
def verify(
    *,
    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    markdown: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> int:
    """Repeat training runs that others have published, and compare. Exit code 1 if a figure is not met.

    Takes less than a minute. docs/verification.md has the table and what it shows.

    Parameters
    ----------
    json
        Print JSON.
    markdown
        Print the table as Markdown.
    """
    if json and markdown:
        raise Refused("--json and --markdown exclude each other: give one of them.")
    from thalweg.verify.command import run

    return run(json=json, markdown=markdown)


@app.command(sort_key=6)
def report(study: Path, /, *, out: Path | None = None) -> None:
    """Write one HTML page about a comparison, finished or not. It works offline.

    Parameters
    ----------
    study
        The file of results that `thalweg compare` made.
    out
        The page. Unless given, beside the study, with the ending .html.
    """
    from thalweg.report import write
    from thalweg.study import Comparison, StudyError

    with refusing(StudyError):
        found = Comparison.load(study)
    page = out if out is not None else study.with_suffix(".html")
    if not found.runs:
        raise Refused(f"{study} holds no finished run yet, so there is nothing to report: run thalweg compare first.")
    _writable_page(page, study)
    with _writing(page):
        write(found, page)
    print(f"{found.verdict.sentences[0]}\nPage: {page}")


@app.command(sort_key=7)
def speed(
    *,
    rounds: Whole = 15,
    threads: Whole = 2,
    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> None:
    """Measure this machine: one optimizer step by thalweg and by torch, side by side.

    The ratio is the median of the rounds' ratios, with quartiles. A case during which other processes took more
    than a tenth of the machine is void: run it again.

    Parameters
    ----------
    rounds
        Rounds per case, at least 2; each runs both in random order.
    threads
        Threads for both sides.
    json
        Print JSON instead of a table.
    """
    if rounds < 2:
        raise Refused(f"--rounds must be at least 2, since quartiles need them; got {rounds}.")
    if threads < 1:
        raise Refused(f"--threads must be at least 1; got {threads}.")
    from thalweg.speed import speed as run

    run(rounds=rounds, threads=threads, as_json=json)


@app.command(sort_key=8)
def doctor(
    optimizer: str | None = None,
    /,
    *,
    clear: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    json: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
) -> int:
    """Check this installation, and print what a bug report needs. Exit code 1 if a check fails.

    Parameters
    ----------
    optimizer
        my_script.py:make, a function that returns an optimizer: also say what it computes.
    clear
        Only empty the cache of compiled kernels.
    json
        Print JSON.
    """
    from thalweg.doctor.command import cleared
    from thalweg.doctor.command import doctor as run

    if clear:
        try:
            cleared(as_json=json)
        except (ImportError, PermissionError) as error:
            raise Refused(f"the cache cannot be emptied: {error}") from error
        return 0
    if optimizer is None:
        return run(reference=None, as_json=json)
    from thalweg.study.errors import StudyError

    with refusing(StudyError):
        return run(reference=optimizer, as_json=json)


def _writable_page(page: Path, store: Path | None) -> None:
    """Refuse, before anything is run, a page that could not be written or that would replace results."""
    if page.is_dir():
        raise Refused(f"{page} is a folder: name a file, for instance {page / 'page.html'}.")
    if not page.parent.is_dir():
        raise Refused(f"cannot write {page}: there is no folder {page.parent}.")
    if store is not None and page.resolve() == store.resolve():
        raise Refused(f"{page} is the study itself: name another file for the page, for instance page.html.")
    if page.is_file() and os.access(page, os.R_OK):
        with page.open("rb") as stream:
            if stream.read(15) == b"SQLite format 3":
                raise Refused(f"{page} holds results or another database: name another file for the page.")
    # A new file needs its folder, and so does the replacement of an old one; a device only needs itself.
    place = page if page.exists() and not page.is_file() else page.resolve().parent
    if not os.access(place, os.W_OK):
        raise Refused(f"cannot write {page}: permission denied for {place}.")


@contextmanager
def _writing(page: Path) -> Iterator[None]:
    """Turn a failed write into a sentence."""
    try:
        yield
    except OSError as error:
        raise Refused(
            f"cannot write {page}: {error.strerror}. The results are safe in the study; "
            "thalweg report makes the page again."
        ) from error


def main(tokens: Sequence[str] | None = None) -> int:
    """The entry point: runs a verb, and turns what a person can put right into a sentence. Returns the exit code."""
    given = sys.argv[1:] if tokens is None else list(tokens)
    try:
        code: int | None = app(given, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        complain(_parse_sentence(error))
        return 2
    except Refused as error:
        complain(str(error))
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in COMPARE_PACKAGES:
            raise
        complain(f"comparisons need the package {error.name}. Install what they need: pip install 'thalweg[compare]'")
        return 2
    except KeyboardInterrupt:
        complain("stopped." + STOPPED.get(given[0] if given else "", ""))
        return 130
    except OSError as error:
        return _output_failed(error)
    return code or 0


def _parse_sentence(error: CycloptsError) -> str:
    if isinstance(error, UnknownCommandError):
        verbs = [name for name in app if not name.startswith("-")]
        word = str((error.unused_tokens or ["?"])[0])
        kind = "option" if word.startswith("-") else "verb"
        return f'there is no {kind} "{word}".{did_you_mean(word, verbs)} Verbs: {", ".join(verbs)}.'
    verb = " ".join(("thalweg", *(error.command_chain or ())))
    sentence = str(error).strip()
    stop = "" if sentence.endswith((".", "?", "!")) else "."
    return f"{sentence}{stop} {verb} --help shows how to write it."


def _output_failed(error: OSError) -> int:
    """Standard output is gone or full; anything else is unexpected, and raised."""
    if isinstance(error, BrokenPipeError):
        code = 128 + 13  # as if SIGPIPE had ended it, which is how the shell knows this case
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        complain(f"cannot write the output: {error.strerror}.")
        code = 2
    else:
        raise error
    # Python flushes standard output once more when it exits, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    sys.exit(main())
