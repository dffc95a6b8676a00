"""Verbs that tell what there is: rules, show, tasks."""

from typing import TYPE_CHECKING

from thalweg.terminal.console import Refused, did_you_mean, out, refusing

from .app import Flag, app

if TYPE_CHECKING:
    from thalweg.formula import Rule, Schedule


@app.command(sort_key=0)
def rules() -> None:
    """List the update rules: name, year, family, numbers kept per weight, weight decay, one line."""
    from thalweg.rules import CATALOGUE
    from thalweg.terminal.catalogue import rules_table, wrappers_table
    from thalweg.wrappers import WRAPPERS

    console = out()
    console.print(rules_table(CATALOGUE))
    console.print()
    console.print(wrappers_table(WRAPPERS))
    console.print(
        "\nState: numbers kept per weight; options may add some, and + are others, of rows or for a side of a matrix. "
        "All of a rule: thalweg show adamw. In a comparison: -r adamw,momentum+lookahead,rmsprop:like=tf1. Schedules "
        "by the step: thalweg show schedules. Left to torch.optim: ASGD, LBFGS, SparseAdam."
    )


@app.command(sort_key=1)
def show(rule: str, /, *, latex: Flag = False, mathml: Flag = False) -> None:
    """Show a rule: source, formulas, hyperparameters, conventions, then the text that runs. Or a schedule, or all.

    Parameters
    ----------
    rule
        A name from `thalweg rules`, also with a wrapper or convention (adamw+lookahead, rmsprop:like=tf1); or
        my_rules.py:ClassName. A schedule by its name (schedules.WSD, cosine); schedules lists them.
    latex
        Print the formulas only, to paste into LaTeX, Markdown or a Jupyter cell.
    mathml
        Print the formulas only, to paste into a web page.
    """
    from thalweg.terminal.catalogue import rule_card, rule_text, terminal_formulas

    if latex and mathml:
        raise Refused("--latex and --mathml each print one form of the formulas; give one of them.")
    if rule.lower() == "schedules":
        _list_schedules()
        return
    if schedule := _schedule(rule):
        _show_schedule(schedule, latex, mathml)
        return
    found = _rule(rule)
    if latex or mathml:
        from thalweg.formula.text import usual_story
        from thalweg.formula.typeset import latex_of, mathml_of

        print((latex_of if latex else mathml_of)(usual_story(found)))
        return
    console = out()
    console.print(rule_card(found, terminal_formulas(found, console.encoding)))
    console.print()
    text = rule_text(found, colour=console.is_terminal)
    if isinstance(text, str):
        print(text)  # not through rich, which would wrap it
    else:
        console.print(text)


def _list_schedules() -> None:
    from thalweg.schedules import CATALOGUE
    from thalweg.terminal.schedules import schedules_table

    console = out()
    console.print(schedules_table(CATALOGUE))
    console.print(
        "\nIn Python: thalweg.AdamW(params, lr=3e-4, schedule=thalweg.schedules.WSD(steps=10_000, warmup=500)). In a "
        "comparison: --schedule wsd-by-step:warmup=500. All of one: thalweg show schedules.WSD."
    )


def _schedule(name: str) -> "type[Schedule] | None":
    """A schedule by whatever it is called: schedules.WSD, wsd, wsd-by-step. None for what is meant as no schedule."""
    from thalweg.schedules import CATALOGUE

    called, colon, _ = name.lower().partition(":")
    asked = called.removeprefix("thalweg.").removeprefix("schedules.").removesuffix("-by-step")
    found = next((each for key, each in CATALOGUE.items() if asked in (key, each.__name__.lower())), None)
    if found and colon:
        raise Refused(f"a schedule is shown for all numbers: leave out what follows it, thalweg show {asked}.")
    if found is None and asked != called.removeprefix("thalweg."):
        names = ", ".join(CATALOGUE)
        raise Refused(f'there is no schedule "{asked}".{did_you_mean(asked, CATALOGUE)} There are: {names}.')
    return found


def _show_schedule(schedule: "type[Schedule]", latex: bool, mathml: bool) -> None:
    from thalweg.terminal.schedules import schedule_card, schedule_text

    if latex or mathml:
        from thalweg.formula.text import schedule_story
        from thalweg.formula.typeset import latex_lines, mathml_lines

        print((latex_lines if latex else mathml_lines)(schedule_story(schedule)))
        return
    console = out()
    console.print(schedule_card(schedule, console.encoding))
    console.print()
    print(schedule_text(schedule))  # not through rich, which would wrap it


def _rule(name: str) -> "type[Rule]":
    from thalweg import schedules
    from thalweg.rules import CATALOGUE, left_to_torch
    from thalweg.wrappers import WRAPPERS

    found = CATALOGUE.get(name.lower())
    if found is not None:
        return found
    if not ({":", "+", "."} & {*name} or name.lower() in WRAPPERS or left_to_torch(name)):
        known = [*CATALOGUE, *schedules.CATALOGUE]
        raise Refused(
            f'there is no rule "{name}".{did_you_mean(name, known)} The catalogue: {", ".join(CATALOGUE)}. '
            f"Schedules: {', '.join(schedules.CATALOGUE)}."
        )
    from thalweg.study.ask.method_references import resolve_rule
    from thalweg.study.model.errors import StudyError

    with refusing(StudyError):
        return resolve_rule(name)


@app.command(sort_key=2)
def tasks() -> None:
    """List the training problems, and show how a script of your own becomes one."""
    from thalweg.tasks import TASKS
    from thalweg.terminal.console import SCRIPT, options_table, tasks_table

    console = out()
    console.print(tasks_table(TASKS))
    console.print()
    console.print(options_table(TASKS))
    print(SCRIPT)
