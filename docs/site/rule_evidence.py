"""Whether a rule helped, from the studies that the repository keeps: what they say, and nothing else."""

import re
from collections.abc import Iterator, Mapping

from page_text import code, document, html_tables, link, markdown_tables, table, under
from thalweg.rules import CATALOGUE
from thalweg.stats.wording import listed
from thalweg.wrappers import WRAPPERS

VALLEY, SIX, AROUND, CLAIMS = (
    "examples/valley/findings.html", "examples/six_rules/report.html", "docs/around.md", "docs/claims.md",
)  # fmt: skip
# What all others are compared with, in both studies.
REFERENCE = "adam"
# By what words a statement of the lecture speaks of a rule, where that is not its name.
_SPOKEN = {"sgd": r"(gradient|plain|than) descent|^Descent"}
# A study's name for a rule under a wrapper.
_COMPARED = {"hyperball": "AdamH"}
# Without which a wrapper does nothing.
_GIVEN = {"weightaverage": ":ema=0.999"}
# In which units docs/around.md has its intervals, and what its AdamH is.
_UNITS = (
    "*a* and *b*: the two sides. Of char-transformer it is the difference of test losses in nats per character (below "
    "0: b is better), of the digits the ratio of b's test errors to a's (below 1: b is better)"
)
_ADAMH = (
    f"AdamH is Adam under Hyperball, with the output's matrix left to Adam ([its file]({link('examples/adamh.py')}))"
)

# By task: better, worse, or cannot tell.
Answers = Mapping[str, str]


def evidence(key: str, name: str) -> Iterator[str]:
    """Of a rule or wrapper; ``name``: of its class."""
    found = [*_studies(key), *_around(_COMPARED.get(key, name)), *_claims(key, name)]
    yield from found or ["No stored study has it, so nothing is known here, for or against."]
    asked = key if key in CATALOGUE else f"adam+{key}{_GIVEN.get(key, '')}"
    against = "adam" if key == "adamw" or key in WRAPPERS else "adamw"
    yield f"On your own task ([the comparison]({link('docs/comparison.md')})):"
    yield code(f"thalweg compare my_script.py:train -r {against},{asked}")


def valley(rule: str) -> Answers:
    """What the crowded valley says of a rule, as it was asked for (``momentum+lookahead``), against Adam, by task."""
    tables = html_tables(VALLEY)
    asked = {row[0] for rows in tables if rows[0][0] == "rule" for row in rows[1:]}
    if rule not in asked - {REFERENCE}:
        return {}
    first, *wrappers = rule.split("+")
    called = "".join(WRAPPERS[each].__name__ for each in reversed(wrappers)) + CATALOGUE[first].__name__
    told = next(rows for rows in tables if rows[0][:3] == ("task", "better", "worse"))
    return {task: _answer(called, better, worse) for task, better, worse, _ in told[1:]}


def _answer(name: str, better: str, worse: str) -> str:
    names = {word: re.split(r", | and ", said) for word, said in (("better", better), ("worse", worse))}
    return next((word for word, there in names.items() if name in there), "cannot tell")


def six_rules(rule: str) -> Answers:
    """What the study of six rules says of one against Adam, by task."""
    heads, *rows = html_tables(SIX)[0]
    if rule not in heads[2:]:
        return {}
    cells = ((row[0].split()[0], row[heads.index(rule)]) for row in rows)
    words = {"better": "better", "worse": "worse", "be told": "cannot tell"}
    return {task: next(word for end, word in words.items() if cell.endswith(end)) for task, cell in cells}


def said(answers: Answers) -> str:
    """worse than Adam on a and b; cannot be told from it on c."""
    where = {
        word: listed([task for task, each in answers.items() if each == word] or [""]) for word in answers.values()
    }
    parts = [f"{word} than Adam on {where[word]}" for word in ("better", "worse") if word in where]
    parts += (
        [f"cannot be told from {'it' if parts else 'Adam'} on {where['cannot tell']}"] if "cannot tell" in where else []
    )
    return "; ".join(parts)


def _studies(key: str) -> Iterator[str]:
    """Each study in a sentence."""
    page, six = link(VALLEY), link(SIX)
    tasks = f"[five small tasks]({link('docs/valley.md')}#what-is-compared)"
    about = f"[the crowded valley]({link('docs/valley.md')}), fifteen rules on {tasks} ([findings]({page}))"
    if key == REFERENCE:
        yield f"In {about}, and in [six rules on three tasks]({six}), it is what all others are compared with."
        return
    wrapped = [f"{rule}+{key}" for rule in CATALOGUE] if key in WRAPPERS else [key]
    for rule in wrapped:
        it = f"`{rule}`" if "+" in rule else "it"
        if answers := valley(rule):
            yield f"In {about}, each tuned with 5 trials, {it} is {said(answers)}."
        if answers := six_rules(rule):
            yield f"In a study of [six rules on three tasks]({six}), each tuned with 5 trials, {it} is {said(answers)}."


def _around(name: str) -> Iterator[str]:
    """The comparisons that one of its sides is."""
    found, question = [], ""
    for row in next(markdown_tables(document(AROUND))):
        question = row["question"] or question
        if name in (row["a"], row["b"]):
            found.append((question, *(row[head] for head in ("task", "a", "b", "b against a, 95% interval", "told"))))
    if found:
        yield f"Asked by itself ([how, and what the numbers are]({link(AROUND)})):"
        yield table(("question", "task", "a", "b", "b against a, 95% interval", "told"), found)
        yield ". ".join([_UNITS, *([_ADAMH] if any("AdamH" in row for row in found) else [])]) + "."


def _claims(key: str, name: str) -> Iterator[str]:
    """The lecture's statements that speak of it."""
    spoken = re.compile(_SPOKEN.get(key, rf"(?<![\w-]){name}(?![\w-])"), re.IGNORECASE)
    found = []
    for rows in markdown_tables(under(CLAIMS, "## What was found")):
        for row in rows:
            statement, _, claim = row["claim"].rpartition(" `")
            if key in CATALOGUE and spoken.search(statement):
                found.append((f"{statement} `{claim}", row["verdict"]))
    if found:
        how = f"[intervals and bounds]({link(CLAIMS)})"
        yield f'What a lecture, "Modern weight updates", states of it, measured ({how}):'
        yield table(("statement", "verdict"), found)
