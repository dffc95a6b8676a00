"""The verb that says what a comparison would cost and tell."""

import sys
from contextlib import redirect_stdout
from pathlib import Path

from thalweg.terminal.console import refusing

from .app import After, Flag, Rules, Several, Whole, app
from .asking import asked_for


@app.command(sort_key=3)
def plan(
    task: str,
    /,
    *,
    rules: Rules = None,
    vary: Several = None,
    trials: Whole | None = None,
    seeds: Whole | None = None,
    budget: Whole | None = None,
    against: str | None = None,
    metric: str | None = None,
    store: Path | None = None,
    workers: Whole | None = None,
    study_seed: Whole | None = None,
    single: Flag = False,
    argument: After = None,
) -> None:
    """Say what a comparison would cost here, and which difference it would tell, before it runs. Stores nothing.

    Takes compare's options of size and contenders, or a study.toml. Where nothing is stored yet, short trainings are
    timed.

    Parameters
    ----------
    task
        As for compare: a name from `thalweg tasks`, my_script.py:train, or a study.toml.
    rules
        As for compare.
    vary
        As for compare.
    trials
        Settings tried for each rule; 33 unless given.
    seeds
        Fresh seeds; 5 unless given.
    budget
        Trials of the searches that are judged; 5 unless given.
    against
        The one that the others are compared with; the first unless given.
    metric
        What it is judged by.
    store
        The file of results, where there is one: what its runs say of the difference that would be told.
    workers
        Processes, one thread each; as many as there are CPUs unless given.
    study_seed
        Number of the study.
    single
        One training at a time in each worker.
    """
    from thalweg.study import LocalProcesses, StudyError
    from thalweg.study.run.outlook import outlook
    from thalweg.terminal.outlook import lines

    given = {
        "rules": rules, "vary": vary, "trials": trials, "seeds": seeds, "budget": budget, "against": against,
        "metric": metric, "study_seed": study_seed, "lockstep": False if single else None,
        "arguments": argument and tuple(argument),
    }  # fmt: skip
    with refusing(StudyError), redirect_stdout(sys.stderr):
        asked = asked_for(task, given)
        found = outlook(asked, store=store, engine=LocalProcesses(workers))
    print("\n\n".join("\n".join(lines(each)) for each in found))
