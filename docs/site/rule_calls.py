"""How a rule is called, from torch and from JAX, and the address of the explorer's race with it."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from page_text import code
from thalweg.explore.figure import Several
from thalweg.explore.figures.race import FIGURE
from thalweg.formula import Due, Rule, Wrapper
from thalweg.formula.rule import hypers, of_matrices, parts
from thalweg.optim import OPTIMIZERS
from thalweg.optim.surface import defaults
from thalweg.rules import CATALOGUE

# The explorer, from a page one folder below the site's top.
EXPLORER = "../explore/index.html"
FAMILY = "family."
# Of a line of code, so that a page need not be scrolled.
WIDTH = 70


def calls(key: str, rule: type[Rule]) -> Iterator[str]:
    """Both blocks of a rule, with the arguments that a comparison would search, at their defaults."""
    given = main_arguments(rule)
    name = OPTIMIZERS[key].__name__
    if of_matrices(rule):
        yield "In torch, the matrices of the model's layers by it, and AdamW all else:"
        call = _call(
            f"thalweg.{name}", "model", given, f"others=thalweg.AdamW(lr={defaults(CATALOGUE['adamw'])['lr']!r})"
        )
    else:
        yield "In torch:"
        call = _call(f"thalweg.{name}", "model.parameters()", given)
    yield code(f"import thalweg\n\noptimizer = {call}", "python")
    if parts(rule, Due):
        yield "Not in JAX: what it does in some steps it does not in others, so no one formula can be traced."
        return
    yield "In JAX, as an `optax.GradientTransformation`" + (" of matrices:" if of_matrices(rule) else ":")
    in_jax = {"learning_rate": given["lr"], **{n: v for n, v in given.items() if n != "lr"}}
    yield code(f"import thalweg.jax\n\ntx = {_call(f'thalweg.jax.{key}', '', in_jax)}", "python")


def main_arguments(rule: type[Rule]) -> dict[str, Any]:
    """The optimizer's arguments that have a search box, with their defaults, as its signature has them."""
    searched = {hyper.of or name for name, hyper in hypers(rule).items() if hyper.search}
    return {name: value for name, value in defaults(rule).items() if name in searched}


def wrapper_calls(key: str, wrapper: type[Wrapper]) -> Iterator[str]:
    """Both blocks of a wrapper."""
    if key == "weightaverage":
        yield "An option of every optimizer. In torch, to be tested within `optimizer.averaged()`:"
        yield code("import thalweg\n\noptimizer = thalweg.AdamW(model.parameters(), lr=0.001, ema=0.999)", "python")
        yield "In JAX, to be tested at `tx.evaluate(state, params)`:"
        yield code("import thalweg.jax\n\ntx = thalweg.jax.adamw(learning_rate=0.001, ema=0.999)", "python")
        return
    name = wrapper.__name__
    given = {name: hyper.default for name, hyper in hypers(wrapper).items()}
    more = f", {_said(given)}" if given else ""
    yield "In torch, around any rule:"
    yield code(
        f"import thalweg\n\nmade = thalweg.wrap(thalweg.Adam, thalweg.{name})\n"
        f"optimizer = made(model.parameters(), lr=0.001{more})",
        "python",
    )
    yield "In JAX:"
    yield code(
        "import thalweg.jax\nfrom thalweg.formula import wrapped\nfrom thalweg.rules import CATALOGUE\n"
        f"from thalweg.wrappers import {name}\n\n"
        f'rule = wrapped(CATALOGUE["adam"], {name})\n'
        f"tx = thalweg.jax.transformation(rule, learning_rate=0.001{more})",
        "python",
    )


def _call(function: str, first: str, given: Mapping[str, Any], last: str = "") -> str:
    """On one line, or with the arguments below each other, so that it is no wider than a page."""
    arguments = [each for each in (first, *(f"{name}={value!r}" for name, value in given.items()), last) if each]
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= WIDTH:
        return line
    return f"{function}(\n" + "".join(f"    {each},\n" for each in arguments) + ")"


def _said(given: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in given.items())


def beside(key: str) -> str:
    """The rule that one is shown beside."""
    return "sgd" if key == "adamw" else "adamw"


def race(key: str) -> str | None:
    """What follows the explorer's address for the race of a rule beside another; None for one that does not run."""
    if key not in FIGURE.data["rules"]:
        return None
    shown = (key, beside(key))
    words = []
    for control in FIGURE.controls:
        if isinstance(control, Several) and control.name.startswith(FAMILY):
            members = [label for label in control.options if label in shown]
            words.append(f"{control.name}={quote(','.join(members), safe=',')}")
    return f"#{FIGURE.name}?{'&'.join(words)}"


def live(key: str, rule: type[Rule]) -> Iterator[str]:
    """The race in a frame, loaded when it comes into view; or why there is none."""
    found = race(key)
    if found is None:
        seen = "whole matrices" if of_matrices(rule) else "a matrix's rows and columns"
        yield f"There is no race of it: a step of it is of {seen}, and a point in a plane has none."
        return
    named, at = f"{rule.__name__} beside {OPTIMIZERS[beside(key)].__name__}", found.replace("&", "&amp;")
    yield (
        f'<iframe src="{EXPLORER}?embed=1{at}" title="The race: {named}" loading="lazy" allow="fullscreen" '
        'style="width: 100%; height: 560px; border: 0"></iframe>'
    )
    yield f'<a href="{EXPLORER}{at}">{named}, in the explorer</a>: drag the start, move a rate, press Play.'
