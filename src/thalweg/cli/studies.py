"""Verbs that train: compare, train, and what is done with a study's results."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

from thalweg.terminal.console import Refused, out, refusing

from .app import After, Flag, Rules, Several, Whole, app
from .asking import asked_for, chosen_engine, hyperparameters, task_options
from .pages import writable_page, writing


@app.command(sort_key=3)
def compare(
    task: str,
    /,
    *,
    rules: Rules = None,
    vary: Several = None,
    trials: Whole | None = None,
    seeds: Whole | None = None,
    budget: Whole | None = None,
    minutes: float | None = None,
    against: str | None = None,
    matters: float | None = None,
    target: float | None = None,
    schedule: str | None = None,
    decay: str | None = None,
    clip_norm: str | None = None,
    clip_value: str | None = None,
    decay_schedule: str | None = None,
    momentum_schedule: str | None = None,
    readout: str | None = None,
    hold: Several = None,
    metric: str | None = None,
    store: Path | None = None,
    engine: str = "local",
    workers: Whole | None = None,
    address: str | None = None,
    devices: str | None = None,
    per_device: Whole | None = None,
    run_timeout: float | None = None,
    study_seed: Whole | None = None,
    single: Flag = False,
    report: Path | None = None,
    verbose: Flag = False,
    json: Flag = False,
    argument: After = None,
) -> None:
    """Compare update rules, or options of a task: equal tuning, re-runs with other seeds, a verdict.

    What has been run is stored; the same command goes on where it was stopped.

    Parameters
    ----------
    task
        A name from `thalweg tasks`, or my_script.py:train; several with commas between. Or study.toml, with all of
        this in a file, which what is given here overrides. After -- stand your script's own arguments, as it finds
        them in sys.argv: thalweg compare my_script.py:train -r sgd,adamw -- --epochs 5
    rules
        Rules with commas between: sgd,adamw,lion. With fixed values: sgd:momentum=0.9. With a range of your own to
        search, or choices: adamw:lr=1e-4..1e-2:beta1=0.8/0.9. Your own: my_rules.py:Name. Or another library's
        optimizer, with what to try: torch.optim.Adafactor:lr=1e-4..1e-1, torch.optim.Muon:others=adamw:lr=1e-3..1e-1.
    vary
        Values to compare, with each rule, of an option of the task: --vary norm=batch,layer; or of schedule, decay,
        clip_norm, clip_value, decay_schedule, momentum_schedule, readout: --vary schedule=none,cosine. Repeat for
        combinations. A script of your own reads trial.options["norm"].
    trials
        Settings tried for each rule, the default included; 33 unless given. Rounded up to 1 and a power of two: 17, 33,
        65, which lie evenly. A study may go on with more, and uses all of its runs.
    seeds
        Fresh seeds with which default and best settings are re-run; 5 unless given.
    budget
        Trials of the searches that are judged, at most half of --trials; 5 unless given. It decides what is searched
        (5: the learning rate; 10: averages' memories too; 25: weight decay too), so a study keeps the one that it
        began with.
    minutes
        Of training that each rule's search may take, instead of all trials.
    against
        The one that the others are compared with, by its name in the table; the first unless given.
    matters
        The smallest difference that matters to you, so that the answer may be "equal": a ratio of errors, 1.25, where
        the script says how many test examples there are (of losses where it says that they are positive); else a
        difference in the metric's unit, 0.005 of an accuracy. Unless given, nothing is called equal.
    target
        Value of the metric that a search should reach, 0.9 of an accuracy: how many searches miss it is then said.
    schedule
        Of the learning rate, for all: none, cosine, warm-restarts, trapezoidal, warm-up, linear, wsd, epoch by epoch.
        By the step, where the script says trial.epochs(n, steps=len(loader)): cosine-by-step, linear-by-step,
        wsd-by-step:warmup=50:cooldown=0.3, ... (thalweg show schedules).
    decay
        Kind of weight decay, for all: l2, decoupled, cautious, strictly-cautious, independent, corrected, palm (thalweg
        show RULE says which is its own).
    clip_norm
        Largest norm of all gradients together, for all; none: no clipping.
    clip_value
        Largest size of each gradient's numbers, for all; none: no clipping.
    decay_schedule
        Of weight decay, by the step, for all: cosine-by-step, ...
    momentum_schedule
        Of momentum (beta1, where there are betas), by the step, for all: trapezoid-by-step, ...
    readout
        Average of the weights that is tested, for all: none, averaged:horizon=100, averaged:start=0.8 (of all steps),
        with :blend=0.5 half way to it, or window:count=5:every=10. Varied, one training keeps up to four averages, and
        windows, where the script tests each: for _ in trial.evaluations(). Others are trained by themselves.
    hold
        Sources of chance that are the same in every run: --hold init. Repeat for more.
    metric
        What it is judged by: accuracy, loss. Unless given, accuracy where it is reported, else loss.
    store
        The file of results. Unless given, thalweg-TASK.sqlite in this folder.
    engine
        local: processes on this machine. serial: this process, which shows what a training prints, and stops in a
        debugger. ray: a Ray cluster.
    workers
        Processes, one thread each. Unless given, as many as there are CPUs. What a training prints is not shown.
    address
        Of the Ray cluster. Unless given, RAY_ADDRESS, or else one that is started here.
    devices
        A device for each worker, instead of --workers. Graphics cards: cuda:0,cuda:1, or cuda for each that there is;
        scripts put model and data on trial.device. Or sets of CPUs: cpu:0-3,cpu:4-7 (cpu:0+2 for some). Results of
        cards and of CPUs are never counted together. With --engine ray: cuda.
    per_device
        Trainings that run on each device at once; 1 unless given.
    run_timeout
        Minutes that one training may take. One that takes longer is ended and counts as failed, until a call with
        more minutes, or without this, trains it again.
    study_seed
        Number of the study, 0 unless given: another number gives other draws and seeds.
    single
        One training at a time in each worker, also where the task can train many at once, which is faster. A study goes
        on as it began.
    report
        Also write the page to this file.
    verbose
        Print also what the answer rests on, and the settings found.
    json
        Print the result as JSON instead of tables: .verdict.sentences, .rules, .searches, .pairs, .runs (with the keys
        that `thalweg rerun` takes) and more. Of several tasks, .tasks holds one such object each.
    """
    from thalweg.report import write
    from thalweg.study import StudyError, run_study
    from thalweg.terminal.comparison import print_outcome
    from thalweg.terminal.progress import progress
    from thalweg.view.machine_readable import as_json

    if report is not None:
        writable_page(report, store)
    given = {
        "rules": rules, "vary": vary, "trials": trials, "seeds": seeds, "budget": budget, "minutes": minutes,
        "against": against, "matters": matters, "target": target,
        "schedule": schedule, "decay": decay, "clip_norm": clip_norm, "clip_value": clip_value, "hold": hold,
        "decay_schedule": decay_schedule, "momentum_schedule": momentum_schedule, "readout": readout,
        "metric": metric, "study_seed": study_seed, "lockstep": False if single else None,
        "arguments": argument and tuple(argument),
    }  # fmt: skip
    with refusing(StudyError):
        asked = asked_for(task, given)
        runs = chosen_engine(engine, workers, address, devices=devices, per_device=per_device, run_timeout=run_timeout)
    # What a script prints goes where the progress is: standard output is for the result.
    with refusing(StudyError), progress(asked.metric) as on_event, redirect_stdout(sys.stderr):
        found = run_study(asked, store=store, engine=runs, on_event=on_event)
    # The answer first: a page that cannot be written must not take it away.
    if json:
        print(as_json(found, report))
    else:
        print_outcome(found, out(), report, verbose=verbose)
    if report is not None:
        with writing(report):
            write(found, report)


@app.command(sort_key=4)
def train(
    task: str,
    rule: str,
    /,
    *,
    lr: float | None = None,
    set: Several = None,
    like: str | None = None,
    schedule: str = "none",
    seed: Whole = 0,
    option: Several = None,
    device: str = "cpu",
    json: Flag = False,
    argument: After = None,
) -> int:
    """Train once and watch: one rule, one setting, one seed. Exit code 1 if the training diverges or fails.

    Parameters
    ----------
    task
        A name from `thalweg tasks`, or my_script.py:train, whose own arguments stand after --, as for compare.
    rule
        A name from `thalweg rules`, as for compare; or my_rules.py:Name.
    lr
        The learning rate; the rule's default unless given.
    set
        Another hyperparameter, by the name in `thalweg show`: --set momentum=0.9. Repeat for more.
    like
        Another library's conventions and defaults: torch, tf1, keras, optax, paper.
    schedule
        Of the learning rate: none, cosine, warm-restarts, trapezoidal, warm-up, linear, wsd; by the step:
        cosine-by-step, ..., as for compare.
    seed
        Of the run.
    option
        An option of the task, or what a script of your own reads in trial.options: --option instance=2. Repeat for
        more.
    device
        What a script of your own is told to train on, by trial.device: cpu, cuda, cuda:1.
    json
        Print the result, with all curves, as JSON.
    """
    from thalweg.study import StudyError
    from thalweg.study import train as run
    from thalweg.study.ask.task_references import epochs_of, resolve_task
    from thalweg.terminal.training import as_json, outcome, watching

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
                arguments=argument or (),
                on_report=on_report,
                device=device,
                **values,
            )
    if found.traceback:
        print(found.traceback, file=sys.stderr)
    print(as_json(found) if json else outcome(found))
    return 0 if found.status == "done" else 1


@app.command(name="lr-find", sort_key=5)
def lr_find(
    task: str,
    rule: str = "adamw",
    /,
    *,
    low: float | None = None,
    high: float | None = None,
    points: Whole = 13,
    seeds: Whole = 2,
    epochs: Whole | None = None,
    metric: str | None = None,
    set: Several = None,
    like: str | None = None,
    schedule: str = "none",
    seed: Whole = 0,
    option: Several = None,
    engine: str = "local",
    workers: Whole | None = None,
    devices: str | None = None,
    per_device: Whole | None = None,
    json: Flag = False,
    argument: After = None,
) -> None:
    """Find a range of learning rates: a short training for each, all from the same start, and the curve over them.

    Parameters
    ----------
    task
        A name from `thalweg tasks`, or my_script.py:train, whose own arguments stand after --, as for compare.
    rule
        A name from `thalweg rules`, as for compare; or my_rules.py:Name.
    low
        The smallest rate. Unless given, the low end of the rule's search (`thalweg show`).
    high
        The largest rate. Unless given, the high end of it.
    points
        How many rates, at least 4, equally far apart on a logarithmic scale.
    seeds
        Trainings of each rate, with the same seeds for all rates.
    epochs
        Of each training. Unless given, a tenth of the whole, but at least 3.
    metric
        What is judged, on validation: loss, accuracy. Unless given, the loss where it is reported.
    set
        Another hyperparameter, by the name in `thalweg show`: --set momentum=0.9. Repeat for more.
    like
        Another library's conventions and defaults: torch, tf1, keras, optax, paper.
    schedule
        Of the whole training, of which the first epochs are run: none, cosine, warm-restarts, trapezoidal, warm-up,
        linear, wsd; by the step: cosine-by-step, ..., as for compare.
    seed
        The first of the seeds.
    option
        An option of the task, or what a script of your own reads in trial.options: --option instance=2. Repeat for
        more.
    engine
        As for compare: serial shows what a training prints.
    workers
        Processes, one thread each. Unless given, as many as there are CPUs. What a training prints is not shown.
    devices
        A device for each worker, as for compare: cuda:0,cuda:1, or cpu:0-3,cpu:4-7.
    per_device
        Trainings that run on each device at once; 1 unless given.
    json
        Print the result as JSON.
    """
    from thalweg.study import StudyError
    from thalweg.study.run.lr_find import lr_find as run
    from thalweg.terminal.learning_rates import as_json, print_rates, watching

    with refusing(StudyError):
        values = hyperparameters(set or [], None)
        options = task_options(option or [])
        runs = chosen_engine(engine, workers, address=None, devices=devices, per_device=per_device)
    with refusing(StudyError), watching(f"{task}, {rule}") as on_run, redirect_stdout(sys.stderr):
        found = run(
            task,
            rule,
            low=low,
            high=high,
            points=points,
            seeds=seeds,
            seed=seed,
            epochs=epochs,
            metric=metric,
            like=like,
            schedule=schedule,
            task_options=options,
            arguments=argument or (),
            engine=runs,
            on_run=on_run,
            **values,
        )
    if json:
        print(as_json(found))
    else:
        print_rates(found, out())


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
    from thalweg.study import StudyError, Suite

    with refusing(StudyError):
        found = Suite.load(study)
    page = out if out is not None else study.with_suffix(".html")
    if not any(each.runs for each in found.comparisons):
        raise Refused(f"{study} holds no finished run yet, so there is nothing to report: run thalweg compare first.")
    writable_page(page, study)
    with writing(page):
        write(found, page)
    for each in found.comparisons:
        print(each.verdict.short)
    print(f"Page: {page}")


@app.command(sort_key=7)
def rerun(store: Path, row: str, /, *, show: Flag = False) -> int:
    """Train one row of a study again and compare, to the last bit. Exit code 1 if it is not the same.

    Parameters
    ----------
    store
        The file of results that `thalweg compare` made. It stays as it is.
    row
        The row's key, or its first digits, at least 4, as the report and `thalweg export` show them.
    show
        Only show what is kept of it: how it ended, its traceback, the last lines that it printed.
    """
    from thalweg.study import StudyError
    from thalweg.study.run.rerun import kept
    from thalweg.study.run.rerun import rerun as run

    with refusing(StudyError):
        if show:
            print("\n\n".join(kept(store, row)))
            return 0
        found = run(store, row)
    print("\n".join(found.sentences))
    return 0 if found.same else 1


@app.command(sort_key=8)
def merge(into: Path, /, *others: Path) -> None:
    """Put the results of other studies into one. Comparisons that differ only in their rules become one.

    Parameters
    ----------
    into
        The store that receives everything; it is made if it is not there.
    others
        The stores to read; they stay as they are. Rows that contradict each other are refused, and nothing is written.
    """
    from thalweg.study import StudyError
    from thalweg.study.keep.merge import merge as run

    with refusing(StudyError):
        print("\n".join(run(into, *others).sentences))


@app.command(sort_key=9)
def export(study: Path, /, *, out: Path, format: str = "csv") -> None:
    """Write a study as tables for other programs: runs, curves, rules, tuning curves, searches, pairs.

    Parameters
    ----------
    study
        The file of results that `thalweg compare` made.
    out
        The folder for the tables; for JSON also one file, tables.json.
    format
        csv, json, or parquet (which needs pip install 'thalweg[parquet]').
    """
    from thalweg.study import StudyError, Suite
    from thalweg.study.bridges.export import export as run

    with refusing(StudyError):
        for path in run(Suite.load(study), out, format):
            print(path)
