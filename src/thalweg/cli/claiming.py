"""The verb that puts the lecture's statements to the test."""

import sys
from pathlib import Path

from thalweg.terminal.console import Refused, did_you_mean, out, refusing

from .app import Flag, Whole, app
from .pages import writable_page, writing

STORE = Path("claims.jsonl")


@app.command(sort_key=3)
def claims(
    name: str | None = None,
    /,
    *,
    repeats: Whole = 1,
    store: Path = STORE,
    workers: Whole | None = None,
    page: Path | None = None,
    list: Flag = False,
    markdown: Flag = False,
    json: Flag = False,
) -> None:
    """Measure what the lecture states: for each statement an experiment, and whether it holds. Minutes for all.

    The numbers that decide were written down before. What has been measured is stored; the same command goes on where
    it was stopped.

    Parameters
    ----------
    name
        One of the claims, shown in full; all of them unless given.
    repeats
        How often each is measured, with other seeds each time.
    store
        The file that measurements are kept in.
    workers
        Processes; as many as there are CPUs unless given.
    page
        Also write a page, in English and French, with a figure for each claim.
    list
        Only list the claims, with the verdicts that the library brings along.
    markdown
        Print tables in Markdown.
    json
        Print JSON.
    """
    from thalweg import claims as room
    from thalweg.claims.keep import current, published, read
    from thalweg.claims.outcome import outcomes
    from thalweg.claims.running import ClaimFailed, measure_all, missing
    from thalweg.claims.wording import as_json, as_markdown
    from thalweg.explore.building import claims_page
    from thalweg.files import write_atomically
    from thalweg.terminal.claims import claim_card, claims_list, claims_table, measuring

    if name is not None and name not in room.names():
        raise Refused(f'there is no claim "{name}".{did_you_mean(name, room.names())} thalweg claims --list has them.')
    if markdown + json + list > 1:
        raise Refused("--list, --markdown and --json exclude each other: give one of them.")
    if repeats < 1:
        raise Refused(f"--repeats must be at least 1; got {repeats}.")
    every = [room.claim(one) for one in ([name] if name else room.names())]
    if list:
        out().print(claims_list(outcomes(every, current(published(), every))))
        return
    if page is not None:
        writable_page(page, store)
    from thalweg.study.model.errors import StudyError
    from thalweg.study.run.engines import LocalProcesses

    try:
        with refusing(StudyError, ClaimFailed, ValueError):
            if work := missing(every, range(1, repeats + 1), store):
                engine = LocalProcesses(workers)
                try:
                    with measuring(len(work)) as on_record:
                        measure_all(work, store, engine, on_record)
                finally:
                    engine.close()
            kept = current(read(store), every)
    except OSError as error:
        raise Refused(f"cannot keep measurements in {store}: {error.strerror}.") from error
    shown = outcomes(every, {one: {k: r for k, r in its.items() if k <= repeats} for one, its in kept.items()})
    if page is not None:
        with writing(page):
            write_atomically(page, claims_page(shown))
    if json or markdown:
        sys.stdout.write((as_json if json else as_markdown)(shown) + "\n")
        return
    out().print(claim_card(shown[0]) if name else claims_table(shown))
