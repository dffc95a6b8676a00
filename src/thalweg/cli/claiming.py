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
    """Measure what the lecture states: an experiment for each statement, and whether it holds. Some minutes for all.

    The numbers that decide were written down before. What has been measured is stored; the same command goes on where
    it was stopped.

    Parameters
    ----------
    name
        One of the claims, shown in full, or a section: schemes, regularisation, normalisation; all unless given.
    repeats
        How often each is measured, with other seeds each time.
    store
        The file that measurements are kept in.
    workers
        Processes; as many as there are CPUs unless given.
    page
        Also write a page, in English and French, with a figure for each claim.
    list
        Only list the claims, with the verdicts that the library brings along. Nothing is measured.
    markdown
        Print tables in Markdown.
    json
        Print JSON.
    """
    from thalweg import claims as room
    from thalweg.claims.keep import current, published, read
    from thalweg.claims.outcome import outcomes
    from thalweg.claims.running import measure_all, missing
    from thalweg.claims.wording import as_json, as_markdown
    from thalweg.explore.building import claims_page
    from thalweg.files import write_atomically
    from thalweg.terminal.claims import claim_card, claims_list, claims_summary, measuring

    known = (*room.SECTIONS, *room.names())
    if name is not None and name not in known:
        raise Refused(f'there is no claim "{name}".{did_you_mean(name, known)} thalweg claims --list has them.')
    one = name if name in room.names() else None
    every = [room.claim(one)] if one else [*map(room.claim, room.names(name))]
    if markdown + json + list > 1:
        raise Refused("--list, --markdown and --json exclude each other: give one of them.")
    if list:
        if page is not None or store != STORE or repeats != 1 or workers is not None:
            raise Refused("--list measures nothing: it takes no --page, --store, --repeats or --workers.")
        out().print(claims_list(every, outcomes(every, current(published(), every))))
        return
    if repeats < 1:
        raise Refused(f"--repeats must be at least 1; got {repeats}.")
    if page is not None:
        writable_page(page, store)
    from thalweg.study.model.errors import StudyError
    from thalweg.study.run.engines import LocalProcesses

    failed = []
    try:
        with refusing(StudyError, ValueError):
            engine = LocalProcesses(workers)
            try:
                if work := missing(every, range(1, repeats + 1), store):
                    with measuring(len(work)) as on_result:
                        failed = measure_all(work, store, engine, on_result)
            finally:
                engine.close()
            kept = current(read(store), every)
    except OSError as error:
        raise Refused(f"cannot keep measurements in {store}: {error.strerror}.") from error
    shown = outcomes(every, {of: {k: r for k, r in its.items() if k <= repeats} for of, its in kept.items()})
    if page is not None and shown:
        with writing(page, "The measurements are safe; the same command writes the page again."):
            write_atomically(page, claims_page(shown))
    if json:
        sys.stdout.write(as_json(shown) + "\n")
    elif shown and markdown:
        sys.stdout.write(as_markdown(shown) + "\n")
    elif shown:
        out().print(claim_card(shown[0]) if one else claims_summary(shown))
    if failed:
        reasons = "; ".join(f"{each.work.claim}, repeat {each.work.repeat}: {each.reason}" for each in failed)
        raise Refused(f"{len(failed)} of the measurements failed. {reasons}")
