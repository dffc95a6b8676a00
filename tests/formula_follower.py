"""Follows written formulas line by line with NumPy: knows Python and the language's functions, nothing of readers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.formula.text import Line, Story

FUNCTIONS = {
    "sqrt": np.sqrt, "abs": np.abs, "exp": np.exp, "log": np.log, "cos": np.cos, "sin": np.sin,
    "floor": np.floor, "sign": np.sign, "maximum": np.maximum, "minimum": np.minimum, "where": np.where,
    "clip": np.clip, "inf": np.inf, "mean": lambda x: np.mean(x, axis=(-2, -1), keepdims=True),
}  # fmt: skip


# What a sum is over, by what the note says it is one of.
OVER = {"of each row": -1, "of each column": -2}


def value(line: Line, names: Mapping[str, Any]) -> Any:
    """What a formula gives; `sum` is over the weights, of which ``w`` says how many there are, or a line of them."""

    def total(x: Any) -> Any:
        axis = OVER.get(line.note)
        return np.sum(np.broadcast_to(x, np.shape(names.get("w", 0.0))), axis=axis, keepdims=axis is not None)

    with np.errstate(all="ignore"):
        return eval(line.text, {"__builtins__": {}}, {**FUNCTIONS, "sum": total, **names})


def told_once(lines: Sequence[Line], names: Mapping[str, Any]) -> dict[str, Any]:
    """Names after lines that do not depend on weights."""
    found = dict(names)
    for line in lines:
        found[line.name] = value(line, found)
    return found


def follow(
    story: Story, memory: Mapping[str, np.ndarray], numbers: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Memory and scalars after a step."""
    memory, numbers = dict(memory), dict(numbers)
    for walk in story.walks:
        numbers = told_once(walk.before, numbers)
        names = {**numbers, **memory}
        for line in walk.lines:
            names[line.name] = value(line, names)
            if line.text.startswith("sum("):
                numbers[line.name] = names[line.name]
            if line.stored:
                memory[line.name] = np.broadcast_to(names[line.name], memory["w"].shape)
    after = told_once(story.after, numbers)
    return memory, {line.name: after[line.name] for line in story.after if line.stored}
