"""How the command shows schedules: all in a table, and one on a screen."""

import inspect
from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from thalweg.formula import Form, Length, Schedule
from thalweg.formula.text import schedule_story
from thalweg.formula.typeset import unicode
from thalweg.stats.wording import value_text

from .catalogue import documented
from .console import first_line, table


def schedules_table(catalogue: Mapping[str, type[Schedule]]) -> Table:
    """The schedules, one a line."""
    made = table("schedule", "class", "what it does", "numbers, as they are unless given")
    made.columns[0].no_wrap = made.columns[1].no_wrap = True
    for name, schedule in catalogue.items():
        usual = " ".join(f"{key}={_written(each.default)}" for key, each in schedule.declared.items())
        made.add_row(Text(name, "bold"), schedule.__name__, first_line(schedule), usual)
    return made


def schedule_card(schedule: type[Schedule], encoding: str) -> RenderableType:
    """All that a schedule says of itself: source, formula, numbers, and the text that runs."""
    summary, said = documented(schedule)
    about = table("", "")
    about.show_header = False
    about.columns[0].no_wrap = True
    for name, told in said.items():
        about.add_row(Text(name, "bold"), told)
    formula = Group(Text("The factor at step t of T", "bold"), Text("\n".join(_formulas(schedule, encoding))))
    head = Group(Text(schedule.__name__, "bold"), summary, "", about, "", formula)
    return Group(head, "", _numbers(schedule)) if schedule.declared else head


def schedule_text(schedule: type[Schedule]) -> str:
    """The schedule as its author wrote it."""
    return inspect.getsource(schedule).rstrip()


def _formulas(schedule: type[Schedule], encoding: str) -> Iterator[str]:
    """As mathematics, where a terminal of that encoding can show it, for each form."""
    forms = {key: each for key, each in schedule.declared.items() if isinstance(each, Form)}
    for key, form in forms.items():
        for choice in form.choices:
            yield f"  {key}={choice}"
            yield from (f"    {line}" for line in _spelled(schedule, {key: choice}, encoding))
    if not forms:
        yield from (f"  {line}" for line in _spelled(schedule, {}, encoding))


def _spelled(schedule: type[Schedule], chosen: Mapping[str, str], encoding: str) -> list[str]:
    lines = schedule_story(schedule, chosen)
    printed = [unicode(line) for line in lines]
    try:
        "".join(printed).encode(encoding)
    except UnicodeEncodeError:
        return [str(line) for line in lines]
    return printed


def _numbers(schedule: type[Schedule]) -> Table:
    made = table("number", "default", "is", right=("default",))
    for key, each in schedule.declared.items():
        kind = "a number"
        if isinstance(each, Length):
            kind = "a number of steps, or below 1 a share of all; 0 is none"
        elif isinstance(each, Form):
            kind = f"one of {', '.join(each.choices)}"
        made.add_row(key, _written(each.default), kind)
    return made


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else value_text(value)
