"""Verbs that tell what there is: rules, show, tasks."""

from thalweg.terminal import Refused, did_you_mean, out, refusing

from .app import app


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
