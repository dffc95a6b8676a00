"""Verbs about this machine and installation: verify, speed, doctor."""

from thalweg.terminal.console import Refused, refusing

from .app import Flag, Whole, app


@app.command(sort_key=11)
def verify(
    *,
    json: Flag = False,
    markdown: Flag = False,
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


@app.command(sort_key=12)
def speed(
    *,
    rounds: Whole = 15,
    threads: Whole = 2,
    json: Flag = False,
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


@app.command(sort_key=13)
def doctor(
    optimizer: str | None = None,
    /,
    *,
    clear: Flag = False,
    json: Flag = False,
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
    from thalweg.study.model.errors import StudyError

    with refusing(StudyError):
        return run(reference=optimizer, as_json=json)
