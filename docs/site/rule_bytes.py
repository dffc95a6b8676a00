"""What a rule keeps and what a step of it moves, in bytes a weight: counted from its passes, as `explain()` does."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from page_text import table
from thalweg.formula import Rule, State, Wrapper
from thalweg.formula.compose import shapes_that_differ
from thalweg.formula.declared import CHAIN_DECAYS
from thalweg.formula.rule import decay_kind, handed, of_matrices, parts, wrapped
from thalweg.formula.text import Story, usual_story
from thalweg.rules import CATALOGUE
from thalweg.stats.wording import listed

TYPES = ("float32", "bfloat16")
# The rule that wrappers are counted around.
AROUND = "adam"
# What a state is one of, if not of each weight.
_EXTENTS = {
    "row": "a number for each row",
    "column": "a number for each column",
    "least": "a square matrix of the shorter side",
    "left": "a square matrix of the rows",
    "right": "a square matrix of the columns",
}
_SHAPES = {"factored": "matrices", "vector": "vectors"}


@dataclass(frozen=True)
class Counted:
    """Bytes a weight: kept between steps, and read and written in one."""

    kept: int
    moved: int


def on(wrapper: type[Wrapper]) -> dict[str, bool]:
    """The switches under which a wrapper does something that its defaults leave out."""
    return {state.when: True for state in parts(wrapper, State).values() if state.when}


def used(rule: type[Rule], told: Story) -> dict[str, State]:
    """The states that a step told so reads or writes."""
    names = {name for walk in told.walks for name in (*walk.reads, *walk.writes)} | {line.name for line in told.after}
    return {name: state for name, state in parts(rule, State).items() if name in names}


def counted(rule: type[Rule], weights: str, switches: Mapping[str, Any] | None = None) -> Counted:
    """Of weights and gradients of an element type, under the rule's own defaults but for some switches.

    Weight decay beside the rule is left out, as where it is 0. What a rule of matrices hands to their products and gets
    back is of float32; the products themselves are no pass, and not counted.
    """
    told = usual_story(rule, switches, "none" if decay_kind(rule) in CHAIN_DECAYS else None)
    kept = {name: _wider(weights, state.dtype) for name, state in used(rule, told).items()}
    sizes = {
        **dict.fromkeys((*handed(rule, "enter"), *handed(rule, "matrix")), 4),
        **dict.fromkeys(("w", "g"), _size(weights)),
        **kept,
    }
    moved = sum(sizes[name] for walk in told.walks if walk.of == "weight" for name in (*walk.reads, *walk.writes))
    of_weights = [name for name, state in used(rule, told).items() if state.shape == "weight"]
    return Counted(sum(kept[name] for name in of_weights), moved)


def _wider(weights: str, least: str | None) -> int:
    """The size of a number of a state: as the weights, or as wide as the rule asks at least."""
    return max(_size(each) for each in (weights, least) if each)


def _size(kind: str) -> int:
    found: torch.dtype = getattr(torch, kind)
    return found.itemsize


def of_rule(rule: type[Rule]) -> Iterator[str]:
    """A table of both types, and what is kept under which names."""
    shapes = shapes_that_differ(rule)
    rows = []
    for shape in shapes:
        found = [counted(rule, each, shape) for each in TYPES]
        where = f", of {_SHAPES[next(name for name, is_on in shape.items() if is_on)]}" if len(shapes) > 1 else ""
        rows.append((f"kept between steps{where}", *(str(each.kept) for each in found)))
        rows.append((f"moved by a step{where}", *(str(each.moved) for each in found)))
    yield table(("bytes a weight", *TYPES), rows, right=TYPES)
    yield " ".join(_kept(rule))


def _kept(rule: type[Rule]) -> Iterator[str]:
    always = {name for shape in shapes_that_differ(rule) for name in used(rule, usual_story(rule, shape))}
    states = parts(rule, State)
    whole = [state for name, state in states.items() if name in always and state.shape == "weight"]
    shaped = [state for name, state in states.items() if name in always and state.shape != "weight"]
    names = listed([f"`{state.key}`{_at_least(state)}" for state in whole]) if whole else "nothing"
    yield f"Kept {'are' if len(whole) > 1 else 'is'} {names}."
    if shaped:
        others = "; ".join(f"`{state.key}`, {_EXTENTS[state.shape]}" for state in shaped)
        yield f"Beside it, of each matrix and in float32: {others}."
    for switch in dict.fromkeys(state.when for name, state in states.items() if name not in always):
        more = [f"`{state.key}`" for state in states.values() if state.when == switch]
        yield f"With `{switch}` also {listed(more)}."
    if of_matrices(rule):
        yield "The products of matrices come on top of what is moved."


def _at_least(state: State) -> str:
    said = [f"of {_SHAPES[state.when]}"] if state.when in _SHAPES else []
    said += ["float32 at least"] if state.dtype else []
    return f" ({', '.join(said)})" if said else ""


def of_wrapper(wrapper: type[Wrapper]) -> Iterator[str]:
    """The same around one rule, and without."""
    rule = CATALOGUE[AROUND]
    without = [counted(rule, each) for each in TYPES]
    around = [counted(wrapped(rule, wrapper), each, on(wrapper)) for each in TYPES]
    pairs = [*zip(without, around, strict=True)]
    rows = [
        ("kept between steps", *(f"{b.kept} ({rule.__name__}: {a.kept})" for a, b in pairs)),
        ("moved by a step", *(f"{b.moved} ({rule.__name__}: {a.moved})" for a, b in pairs)),
    ]
    yield table((f"bytes a weight, around {rule.__name__}", *TYPES), rows, right=TYPES)
    if states := parts(wrapper, State).values():
        yield f"Kept is {listed([f'`{state.key}`{_at_least(state)}' for state in states])} beside the rule's own."
