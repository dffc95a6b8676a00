"""What is compared, one training, who runs them, where results live."""

from .ask.spec import Study
from .ask.study_file import read_study
from .judge.findings import ContenderRow
from .judge.results import Comparison, Suite
from .model.errors import StudyError
from .model.events import Event, Finished, Phase, Started
from .run.compare import compare, run_study
from .run.engines import LocalProcesses, Serial
from .run.lr_find import lr_find
from .run.lr_range import LearningRates
from .run.ray_engine import RayCluster
from .run.train import Training, train

__all__ = [
    "Comparison",
    "ContenderRow",
    "Event",
    "Finished",
    "LearningRates",
    "LocalProcesses",
    "Phase",
    "RayCluster",
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
