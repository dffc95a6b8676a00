"""Values by task and rule, with names, so that rows and columns cannot be taken for each other."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

# By task, then by rule.
Values = Mapping[str, Mapping[str, float]]


def table(values: Values, what: str) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.float64]]:
    """The tasks, the rules, and the values in their order, shape (tasks, rules).

    ``what`` names the values in an error: ValueError if there is no task or rule, a task lacks a rule or has one more
    than the first, or a value is NaN. Infinities are let through, since they have a rank.
    """
    tasks = tuple(values)
    rules = tuple(values[tasks[0]]) if tasks else ()
    if not rules:
        raise ValueError(f"{what} need at least one task with one rule: {{task: {{rule: value}}}}")
    for task in tasks:
        odd = sorted(set(rules) ^ set(values[task]))
        if odd:
            raise ValueError(
                f"{what} need the same rules on every task, but {', '.join(odd)} is on one of {tasks[0]} and {task} "
                "only; the outer names are tasks, the inner ones rules"
            )
    array = np.array([[values[task][rule] for rule in rules] for task in tasks], dtype=np.float64)
    for row, column in np.argwhere(np.isnan(array)):
        raise ValueError(f"{what}: {rules[column]} on {tasks[row]} is not a number; give a diverged run a value first")
    return tasks, rules, array
