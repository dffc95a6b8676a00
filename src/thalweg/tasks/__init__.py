"""Real training problems, small enough for many runs. A task is in the list once it stands on a line of this one."""

from . import digits_cnn, digits_mlp, quadratic_deep
from .task import Option, Task, Trial

TASKS: dict[str, Task] = {task.name: task for task in (digits_mlp.TASK, digits_cnn.TASK, quadratic_deep.TASK)}

__all__ = ["TASKS", "Option", "Task", "Trial"]
