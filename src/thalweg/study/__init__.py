"""What is compared, one training, who runs them, where results live."""

from .compare import compare
from .engines import LocalProcesses, Serial
from .errors import StudyError
from .events import Event, Finished, Phase, Started
from .results import Comparison, RuleRow
from .spec import Study
from .train import Training, train

__all__ = [
    "Comparison",
    "Event",
    "Finished",
    "LocalProcesses",
    "Phase",
    "RuleRow",
    "Serial",
    "Started",
    "Study",
    "StudyError",
    "Training",
    "compare",
    "train",
]
