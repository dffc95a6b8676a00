"""A page for every rule and every wrapper, in Markdown: python docs/site/rule_pages.py FOLDER

What a page says is asked of the rule, or read from where it is published; nothing is said here that could go out of
date. The Markdown is plain, but for two things of the site's: the typeset formula, which is HTML in a file of its own
(beside it stands LaTeX), and the contents of the index.
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from page_text import code, link, plain, table
from rule_bytes import of_rule, of_wrapper, on
from rule_calls import calls, live, wrapper_calls
from rule_evidence import evidence
from rule_golden import golden
from rule_numbers import conventions, numbers, settable, words_of
from rule_published import checked, speed, wrapped_speed
from rule_relatives import first_line, relatives
from thalweg.formula import Rule, Wrapper
from thalweg.formula.rule import decay_kind, wrapped
from thalweg.formula.text import Story, usual_story
from thalweg.formula.typeset import latex_of, mathml_of
from thalweg.rules import CATALOGUE
from thalweg.terminal.catalogue import documented, state_count
from thalweg.wrappers import WRAPPERS

# Beside the pages, what they have typeset.
FORMULAS = "formulas"
# The simplest rule: around it, what a wrapper does is easiest to see.
INSIDE = "sgd"

Sections = Iterable[tuple[str, Iterable[str]]]


def write_pages(folder: Path) -> list[Path]:
    """Write ``<key>.md`` for every rule and wrapper, index.md, and the typeset formulas; the Markdown files' paths.

    ``folder`` is made, and belongs to these pages. Their links are those of pages one folder below the site's top.
    """
    (folder / FORMULAS).mkdir(parents=True, exist_ok=True)
    pages = {"index": _index()}
    for key, rule in CATALOGUE.items():
        _typeset(folder, key, usual_story(rule))
        pages[key] = _page(rule, _facts(rule), _of_rule(key, rule))
    for key, wrapper in WRAPPERS.items():
        _typeset(folder, key, _inside(wrapper))
        pages[key] = _page(wrapper, _wrapper_facts(wrapper), _of_wrapper(key, wrapper))
    for key, text in pages.items():
        (folder / f"{key}.md").write_text(text, encoding="utf-8")
    return [folder / f"{key}.md" for key in pages]


def _page(declaring: type[Rule] | type[Wrapper], facts: str, sections: Sections) -> str:
    parts = [f"# {declaring.__name__}", plain(first_line(declaring)), facts]
    for heading, found in sections:
        said = [each for each in found if each]
        parts += [f"## {heading}", *said] if said else []
    return "\n\n".join(parts) + "\n"


def _facts(rule: type[Rule]) -> str:
    decay = {"own": "weight decay of its own", "none": "no weight decay"}.get(decay_kind(rule))
    kept = state_count(rule)
    said = f"keeps {kept} number{'' if kept == '1' else 's'} a weight"
    return f"{rule.year} · {rule.family} · {said} · {decay or f'{decay_kind(rule)} weight decay'}"


def _wrapper_facts(wrapper: type[Wrapper]) -> str:
    kept = state_count(wrapper)
    return f"A wrapper, around any rule · keeps {kept} number{'' if kept == '1' else 's'} a weight beside the rule's"


def _of_rule(key: str, rule: type[Rule]) -> Sections:
    about = documented(rule)[1]
    yield "The step", _step(key, usual_story(rule))
    yield "Call it", calls(key, rule)
    yield "See it move", live(key, rule)
    yield "Defaults and search box", (numbers(key, rule), words_of(rule), _search(about), _rest())
    yield "Source", _source(about)
    yield "Conventions", conventions(rule)
    yield "First moves", golden(key)
    yield "Checked against", checked(key)
    yield "Bytes a weight", of_rule(rule)
    yield "Speed", speed(rule.__name__)
    yield "Evidence", evidence(key, rule.__name__)
    yield "The text that runs", _text(rule)
    yield "See also", relatives(key)


def _of_wrapper(key: str, wrapper: type[Wrapper]) -> Sections:
    about = documented(wrapper)[1]
    yield f"The step, around {CATALOGUE[INSIDE].__name__}", _step(key, _inside(wrapper))
    yield "Call it", wrapper_calls(key, wrapper)
    yield "Defaults and search box", (numbers(key, wrapper), words_of(wrapper)) if settable(wrapper) else ()
    yield "Source", _source(about)
    yield "First moves", golden(key)
    yield "Checked against", checked(key)
    yield "Bytes a weight", of_wrapper(wrapper)
    yield "Speed", wrapped_speed(key, wrapper.__name__)
    yield "Evidence", evidence(key, wrapper.__name__)
    yield "The text that runs", _text(wrapper)


def _inside(wrapper: type[Wrapper]) -> Story:
    """A step of the wrapper around the simplest rule, without decay."""
    return usual_story(wrapped(CATALOGUE[INSIDE], wrapper), on(wrapper), "none")


def _typeset(folder: Path, key: str, told: Story) -> None:
    # On a narrow screen a long formula is scrolled: neither is the page, nor is it squeezed.
    scrolled = '<div style="overflow-x: auto" tabindex="0" role="region" aria-label="The step in formulas">'
    text = f'{scrolled}\n<div style="width: max-content; min-width: 100%">\n{mathml_of(told)}\n</div>\n</div>\n'
    (folder / FORMULAS / f"{key}.html").write_text(text, encoding="utf-8")


def _step(key: str, told: Story) -> Iterator[str]:
    yield f"```{{raw}} html\n:file: {FORMULAS}/{key}.html\n```"
    yield "<details><summary>As LaTeX</summary>"
    yield code(latex_of(told), "latex")
    yield "</details>"


def _source(about: dict[str, str]) -> Iterator[str]:
    yield _linked(about.get("Source", ""))
    departs = about.get("Departs", "").rstrip(".")
    yield f"Departs: {_linked(departs)}." if departs else ""


def _linked(said: str) -> str:
    """Running text of a docstring, its papers as links."""
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", plain(said))


def _search(about: dict[str, str]) -> str:
    said = plain(about.get("Search", "")).replace("docs/comparison.md", f"[comparison]({link('docs/comparison.md')})")
    return f"Where the box comes from: {said}" if said else ""


def _rest() -> str:
    more = link("docs/optimizers.md")
    return f"What every optimizer takes besides, clipping, averages, schedules: [optimizers]({more})."


def _text(declaring: type[Rule] | type[Wrapper]) -> Iterator[str]:
    """The file as it is, without its first line, which says what the heading says."""
    module = sys.modules[declaring.__module__]
    path = f"src/{declaring.__module__.replace('.', '/')}.py"
    yield f"All of it, as it stands in `{path}`: whatever runs, and the formulas above, are made of this text."
    yield code(inspect.getsource(module).split('"""', 2)[2].strip(), "python")


def _index() -> str:
    families = dict.fromkeys(rule.family for rule in CATALOGUE.values())
    parts = ["# Every rule", f"{len(CATALOGUE)} rules and {len(WRAPPERS)} wrappers; a page each."]
    for family in families:
        members = {key: rule for key, rule in CATALOGUE.items() if rule.family == family}
        rows = [(f"[{r.__name__}]({key}.md)", str(r.year), state_count(r), first_line(r)) for key, r in members.items()]
        parts += [f"## {family.capitalize()}", table(("rule", "year", "numbers a weight", "what it does"), rows)]
    around = [(f"[{w.__name__}]({key}.md)", state_count(w), first_line(w)) for key, w in WRAPPERS.items()]
    parts += ["## Wrappers", table(("wrapper", "numbers a weight", "what it does"), around)]
    names = "\n".join((*CATALOGUE, *WRAPPERS))
    parts.append(f"```{{toctree}}\n:hidden:\n\n{names}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    for path in write_pages(Path(sys.argv[1])):
        print(path)
