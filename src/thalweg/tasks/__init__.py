"""Real training problems, small enough for many runs. A task is in the list once it stands on a line of this one."""

from collections.abc import Mapping

from . import (
    char_transformer,
    digits_cnn,
    digits_cnn_bn,
    digits_mlp,
    digits_tiny_batch,
    quadratic_deep,
    sequence_gru,
)
from .task import Choice, Option, Task, Trial

TASKS: dict[str, Task] = {
    module.TASK.name: module.TASK
    for module in (
        digits_mlp,
        digits_cnn,
        digits_cnn_bn,
        digits_tiny_batch,
        sequence_gru,
        char_transformer,
        quadratic_deep,
    )
}


def distinguishing(reference: str, options: Mapping[str, Choice]) -> dict[str, Choice]:
    """Of a task's options those that tell its runs apart: all but later ones that are at their default.

    ``reference``  the task as it is asked for; of a script all options count.
    """
    task = TASKS.get(reference.partition(":")[0])
    known = task.options if task else {}
    later = {name: option.default for name, option in known.items() if option.later}
    return {name: value for name, value in options.items() if name not in later or value != later[name]}


__all__ = ["TASKS", "Option", "Task", "Trial"]
