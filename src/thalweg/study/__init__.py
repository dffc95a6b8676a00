"""What is compared, one training, who runs them, where results live."""

from .compare import compare, run_study
from .engines import LocalProcesses, Serial
from .errors import StudyError
from .events import Event, Finished, Phase, Started
from .lr_find import lr_find
from .lr_range import LearningRates
from .ray_engine import RayCluster
from .results import Comparison, RuleRow, Suite
from .spec import Study
from .study_file import read_study
from .train import Training, train

__all__ = [
    "Comparison",
    "Event",
    "Finished",
    "LearningRates",
    "LocalProcesses",
    "Phase",
    "RayCluster",
    "RuleRow",
    "Serial",
    "Started",
    "Study",
    "StudyError",
    "Suite",
    "Training",
    "compare",
    "lr_find",
    "read_study",
    "run_study",
    "train",
]
