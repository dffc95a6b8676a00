"""How the command shows the catalogue: the rules in a table, and one rule on a screen."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from thalweg.formula.declare import Coefficients, Form, Hyper, Shaped, State, Switch
from thalweg.formula.rule import Declaring, Rule, Wrapper, decay_kind, hypers, parts, text
from thalweg.formula.text import Line, sections, usual_story
from thalweg.formula.typeset import letters_of, unicode
from thalweg.stats.wording import value_text

from .console import first_line, table


def rules_table(catalogue: Mapping[str, type[Rule]]) -> Table:
    """The catalogue, one rule a line, family by family."""
    made = table("rule", "year", "state", "what it does", right=("year",))
    for column in made.columns[:3]:
        column.no_wrap = True
    for family in dict.fromkeys(rule.family for rule in catalogue.values()):
        made.add_row(Text(family, "italic"))
        for name, rule in catalogue.items():
            if rule.family == family:
                made.add_row(Text(f"  {name}", "bold"), str(rule.year or ""), state_count(rule), first_line(rule))
    return made


def wrappers_table(catalogue: Mapping[str, type[Wrapper]]) -> Table:
    """What goes around any rule, one wrapper a line."""
    made = table("wrapper", "state", "what it does")
    for column in made.columns[:2]:
        column.no_wrap = True
    for name, wrapper in catalogue.items():
        made.add_row(Text(name, "bold"), state_count(wrapper), first_line(wrapper))
    return made


def state_count(declaring: type[Declaring]) -> str:
    """How many numbers are kept per weight, of a matrix; a range when options add some; + if others are of rows, or a
    side."""
    matrix = {name: switch.holds(2) for name, switch in parts(declaring, Shaped).items()}
    every = [s for s in parts(declaring, State).values() if matrix.get(s.when or "", True)]
    states = [state for state in every if state.shape == "weight"]
    always = sum(state.when is None or state.when in matrix for state in states)
    more = "+" if len(states) < len(every) else ""
    return (str(always) if always == len(states) else f"{always} to {len(states)}") + more


def rule_card(rule: type[Rule], step: Iterable[str]) -> RenderableType:
    """All that a rule says of itself, but for its text: source, ``step`` (its formulas), numbers, conventions."""
    # Formulas go on in the next line only where the terminal is too narrow for them.
    return Group(rule_head(rule), Text("\n".join(step)), "", rule_tables(rule))


def rule_head(rule: type[Rule]) -> RenderableType:
    """What the card says before the formulas."""
    summary, said = documented(rule)
    kept = state_count(rule)
    kept_said = f"{kept} number{'' if kept == '1' else 's'} kept per weight"
    facts = [str(rule.year or ""), rule.family, kept_said, _decay(rule)]
    head = Text.assemble((rule.__name__, "bold"), "  ", " · ".join(fact for fact in facts if fact))
    about = table("", "")
    about.show_header = False
    about.columns[0].no_wrap = True
    for name, told in said.items():
        about.add_row(Text(name, "bold"), told)
    return Group(head, summary, "", about, "", Text("The step", "bold"))


def rule_tables(rule: type[Rule]) -> RenderableType:
    """What it says after them."""
    return Group(_numbers(rule), "", _conventions(rule)) if rule.conventions else _numbers(rule)


def documented(declaring: type) -> tuple[str, dict[str, str]]:
    """The first line of its docstring, and the sections after it (Source, Departs, Search), each as one line."""
    lines = (declaring.__doc__ or "").strip().splitlines()
    sections: dict[str, str] = {}
    name = ""
    for line in lines[1:]:
        begun = re.match(r"\s*([A-Z]\w+):\s+(.*)", line)
        if begun:
            name, said = begun.groups()
            # A wrapped rule has those of the rule, then those of its wrappers.
            sections[name] = f"{sections[name]} {said}" if name in sections else said
        elif name and line.strip():
            sections[name] += " " + line.strip()
    return (lines[0].strip() if lines else ""), sections


def formulas(rule: type[Rule], spelled: Callable[[Line], str] = str) -> Iterator[str]:
    """One step under the defaults, pass by pass: as `Optimizer.explain` writes it, unless ``spelled`` otherwise."""
    for heading, lines in sections(usual_story(rule)):
        yield f"  {heading}"
        yield from (f"    {spelled(line)}" for line in lines)


def terminal_formulas(rule: type[Rule], encoding: str) -> list[str]:
    """The same as mathematics, where a terminal of that encoding can show it."""
    letters = ", ".join(f"{letter} is {name}" for name, letter in letters_of(usual_story(rule)).items())
    printed = [*formulas(rule, unicode), *([f"  {letters}"] if letters else [])]
    try:
        "".join(printed).encode(encoding)
    except UnicodeEncodeError:
        return [*formulas(rule)]
    return printed


def _decay(rule: type[Rule]) -> str:
    kind = decay_kind(rule)
    return {"own": "weight decay of its own", "none": "no weight decay"}.get(kind, f"{kind} weight decay")


def _numbers(rule: type[Rule]) -> Table:
    """The numbers a user may set: default and search box."""
    made = table("hyperparameter", "default", "searched by compare", right=("default",))
    made.columns[0].no_wrap = made.columns[1].no_wrap = True
    for hyper_name, hyper in hypers(rule).items():
        made.add_row(hyper_name, value_text(hyper.default), searched(hyper))
    for switch_name, switch in parts(rule, Switch).items():
        made.add_row(switch_name, value_text(switch.default), "no (a switch)")
    for form_name, form in parts(rule, Form).items():
        made.add_row(form_name, form.default, f"no (one of {', '.join(form.choices)})")
    for list_name, listed in parts(rule, Coefficients).items():
        made.add_row(list_name, listed.default, f"no (one of {', '.join(listed.lists)}, or a list of one's own)")
    return made


def searched(hyper: Hyper) -> str:
    """The search box in words."""
    return str(hyper.search) if hyper.search else "no"


def _conventions(rule: type[Rule]) -> Table:
    """What each convention changes of the defaults."""
    made = table("like=", "means")
    made.columns[0].no_wrap = True
    for name, given in rule.conventions.items():
        made.add_row(name, ", ".join(f"{k}={value_text(v)}" for k, v in given.items()) or "these defaults")
    return made


def rule_text(rule: type[Rule], *, colour: bool) -> RenderableType | str:
    """The rule as its author wrote it; coloured for a terminal."""
    source = text(rule)
    if not colour:
        return source
    from rich.syntax import Syntax

    # The ANSI themes use the terminal's own colours, so the text reads on dark and on light backgrounds.
    return Syntax(source, "python", theme="ansi_dark", background_color="default", word_wrap=True)
