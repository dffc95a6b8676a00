"""Real training problems, small enough for many runs. A task is in the list once it stands on a line of this one."""

from . import (
    char_transformer,
    digits_cnn,
    digits_cnn_bn,
    digits_mlp,
    digits_tiny_batch,
    quadratic_deep,
    sequence_gru,
)
from .task import Option, Task, Trial

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

__all__ = ["TASKS", "Option", "Task", "Trial"]
