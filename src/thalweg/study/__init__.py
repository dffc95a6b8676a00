"""What is compared, one training, who runs them, where results live."""

from .compare import compare
from .errors import StudyError
from .events import Event, Finished, Phase, Started
from .results import Comparison, RuleRow
from .spec import Study

__all__ = ["Comparison", "Event", "Finished", "Phase", "RuleRow", "Started", "Study", "StudyError", "compare"]
