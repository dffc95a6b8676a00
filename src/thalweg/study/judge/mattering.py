"""The smallest difference that matters: on the comparison's scale, and checked before anything is trained."""

from math import log

from thalweg.stats.scale import Scale
from thalweg.study.model.errors import StudyError
from thalweg.study.model.metric import Metric

# A difference of fewer test examples is none that anybody should act upon.
EXAMPLES = 2


def matters_of(given: float | None, scale: Scale, score: float) -> float | None:
    """What was said to matter, as a difference of scores; of accuracies `EXAMPLES` test examples at least.

    ``given``   a ratio above 1 where the scale is one of ratios, else a difference in the metric's unit; None: not
    said.
    ``score``   the mean of the reference, at whose level it is asked how many errors that is.
    """
    if given is None:
        return None
    if not scale.is_ratio:
        return given
    if scale.kind != "errors":
        return log(given)
    errors = (1 - scale.value(score)) * scale.tests
    return max(log(given), log((errors + EXAMPLES + 0.5) / (errors + 0.5)))


def check_target(target: float | None, metric: Metric) -> None:
    """Raise `StudyError` where the target is no value of the metric."""
    low, high = metric.possible
    if target is not None and not low <= target <= high:
        raise StudyError(f"{metric.judged} is a fraction from 0 to 1, so its target is too; got {target:g}")
    if target is not None and metric.scale.kind == "log" and target <= 0:
        raise StudyError(f"the script says that {metric.judged} is positive, so its target is too; got {target:g}")


def check_matters(given: float | None, metric: Metric) -> None:
    """Raise `StudyError` where what is said to matter is no ratio, and ratios are compared, or the reverse."""
    if given is None:
        return
    if metric.scale.is_ratio and given <= 1:
        raise StudyError(
            f"{metric.judged} is compared by the ratio of {metric.unit.ratio}, so what matters is a ratio above 1, "
            f"such as 1.25; got {given:g}"
        )
    if metric.is_share and not metric.scale.is_ratio and given >= 1:
        raise StudyError(
            f"{metric.judged} is compared by its difference, a fraction of 1, since the script does not say how many "
            "test examples there are (trial.report(..., tests=359)): what matters is a number such as 0.005; got "
            f"{given:g}"
        )
