"""How far each rule is from each of its sources.

``python tests/rules/drift.py`` runs every comparison of sources.py and prints the table of docs/sources.md.
"""

import importlib.metadata
from collections.abc import Iterator
from typing import Any

import torch
from oracles import Oracle, stepped
from sources import SOURCES, Arguments, Pair, Source

import thalweg
from thalweg.optim import OPTIMIZERS
from thalweg.testing.cases import gradients, weights
from thalweg.wrappers import WRAPPERS

STEPS = 200
# A scalar, a vector, a matrix, and four axes as in a convolution.
SHAPES = ((), (7,), (3, 5), (2, 3, 2, 2))
# What the learning rate is multiplied by in each quarter of the steps: where lr stands in a rule shows only then.
FACTORS = (1.0, 0.5, 0.75, 0.25)


def ours(source: Source, start: list[torch.Tensor], arguments: Arguments) -> tuple[Oracle, torch.optim.Optimizer]:
    """This library's optimizer as an oracle over the parameters ``start``, and the optimizer."""
    name, *wrappers = source.rule.split("+")
    made_by: Any = OPTIMIZERS[name]
    for wrapper in wrappers:
        # The average is switched on by ema=, around any rule.
        made_by = made_by if wrapper == "weightaverage" else thalweg.wrap(made_by, WRAPPERS[wrapper])
    made = made_by(start, **arguments)
    return stepped(made, start), made


def drift(source: Source, pair: Pair, steps: int = STEPS) -> Iterator[float]:
    """After each step the largest difference, relative to the largest weight of its tensor so far.

    Both get the same gradients: drawn with zeros and spikes, and drawn towards 0 by this library's own weights, so
    that the weights neither run away nor stand still.
    """
    shapes = tuple(shape for shape in SHAPES if len(shape) >= source.axes)
    start = weights(torch.float64, shapes)
    theirs = source.make([w.detach() for w in start], pair[1])
    mine, made = ours(source, start, pair[0])
    largest = [w.detach().abs().max() for w in start]
    at = [w.detach().clone() for w in start]
    for t, row in enumerate(gradients(steps, shapes, spikes=source.spikes)):
        drawn = [_first(source, g.double()) if t == 0 else g.double() for g in row]
        pulled = [torch.where(g == 0, g, g + w) for g, w in zip(drawn, at, strict=True)]
        factor = FACTORS[t * len(FACTORS) // steps] if source.scheduled else 1.0
        at, expected = list(mine(pulled, factor)), theirs(pulled, factor)
        found = at
        if source.compared == "weights to test":
            with made.averaged():  # type: ignore[attr-defined]
                found = [w.detach().clone() for w in start]
        largest = [torch.maximum(most, w.abs().max()) for most, w in zip(largest, expected, strict=True)]
        errors = [(a - b).abs().max() / most for a, b, most in zip(found, expected, largest, strict=True)]
        yield float(torch.stack(errors).max())  # not Python's max, which loses a nan


def _first(source: Source, g: torch.Tensor) -> torch.Tensor:
    if source.first == "zero":
        return torch.zeros_like(g)
    return torch.where(g == 0, 0.5, g) if source.first == "dense" else g


def table() -> str:
    """The table of docs/sources.md, in Markdown."""
    lines = ["| rule | source | settings | largest error |", "| --- | --- | --- | --- |"]
    for source in SOURCES:
        error = max(max(drift(source, pair)) for pair in source.pairs)
        lines.append(f"{row(source)} {len(source.pairs)} | {f'{error:.0e}' if error else '0'} |")
    return "\n".join(lines)


def row(source: Source) -> str:
    """The start of a source's row: the rule, the source, and its package with the version."""
    if source.package == "by hand":
        return f"| `{source.rule}` | {source.name}, written out |"
    version = importlib.metadata.version(source.package).partition("+")[0]
    return f"| `{source.rule}` | `{source.name}`, {source.package} {version} |"


if __name__ == "__main__":
    print(table())
