"""Metrics: `train_`, `valid_` or `test_`, and a name that tells which direction is better, or a script that does."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from thalweg.stats.scale import PLAIN, Scale
from thalweg.stats.wording import Unit

from .cells import Curve
from .errors import StudyError

SPLITS = ("train", "valid", "test")
LOWER = ("loss", "error", "perplexity", "mse", "rmse", "mae", "nll")
HIGHER = (
    "accuracy",
    "score",
    "f1",
    "auc",
    "acc",
    "iou",
    "dice",
    "bleu",
    "r2",
    "precision",
    "recall",
    "return",
    "reward",
    "top1",
    "top5",
    "acc1",
)
# Those that count anywhere in a name (crossentropyloss); the others, which many words contain, as a part of their own.
ANYWHERE = {"loss", "error", "perplexity", "accuracy", "score", "f1", "auc"}


@dataclass(frozen=True)
class Metric:
    """What a comparison is judged by.

    ``name``      without its split: ``accuracy``, ``loss``.
    ``judged_on`` ``test``, or ``valid`` when the script reports no test value of it.
    ``scale``     on which runs are averaged and compared.
    """

    name: str
    higher_is_better: bool
    judged_on: Literal["test", "valid"] = "test"
    scale: Scale = PLAIN

    @property
    def selection(self) -> str:
        """The reported metric by which a search's winner is chosen."""
        return f"valid_{self.name}"

    @property
    def judgement(self) -> str:
        """The reported metric by which the re-runs are judged."""
        return f"{self.judged_on}_{self.name}"

    @property
    def judged(self) -> str:
        """The same in words: test accuracy."""
        return self.judgement.replace("_", " ").replace("valid ", "validation ")

    @property
    def better(self) -> Literal["higher", "lower"]:
        """Which values are better."""
        return "higher" if self.higher_is_better else "lower"

    @property
    def unit(self) -> Unit:
        """How its values and differences are written."""
        ratio = {"plain": "", "errors": "errors", "log": self.name.replace("_", " ")}[self.scale.kind]
        return replace(unit_of(self.name), ratio=ratio, falls=self.scale.kind == "errors")

    @property
    def is_share(self) -> bool:
        """Whether values are fractions, from 0 to 1, that read best as percent."""
        return is_share(self.name)

    @property
    def possible(self) -> tuple[float, float]:
        """Between which numbers its values lie."""
        return (0.0, 1.0) if self.is_share else (-inf, inf)


def is_share(name: str) -> bool:
    """Whether a metric of this name is a fraction, from 0 to 1."""
    return "accuracy" in name


def unit_of(name: str) -> Unit:
    """How values of a metric of this name are written."""
    return Unit(is_share(name))


def direction(name: str) -> bool | None:
    """True: higher is better; False: lower is; None: the name does not tell."""
    parts = name.split("_")
    for words, higher in ((LOWER, False), (HIGHER, True)):
        if any(word in (name if word in ANYWHERE else parts) for word in words):
            return higher
    return None


def in_words(higher: bool) -> str:
    """A direction in a sentence."""
    return f"{'higher' if higher else 'lower'} is better"


def without_split(name: str) -> str:
    """A metric's own name: jaccard of valid_jaccard."""
    split, _, rest = name.partition("_")
    return rest if split in SPLITS and rest else name


def declaration_problem(name: str, higher: bool, declared: Mapping[str, bool]) -> str:
    """Why a script cannot say this direction of a metric; "" if it can."""
    own, before = direction(name), declared.get(name)
    if own is not None and own != higher:
        return f"of {name} its name says that {in_words(own)}, and the script that {in_words(higher)}: rename it"
    if before is not None and before != higher:
        return f"of {name} the script says that {in_words(before)}, and that {in_words(higher)}: say one of them"
    return ""


def name_problem(reported: str, declared: Collection[str] = ()) -> str | None:
    """What is wrong with the name of a reported metric, in words; None if nothing is.

    ``declared``  the metrics of which the script says which way is better, without their splits.
    """
    split, _, name = reported.partition("_")
    if split == "val" and name:
        return f"the metric {reported!r} begins with val_: write valid_{name}"
    if split not in SPLITS or not name:
        return f"the metric {reported!r} must begin with train_, valid_ or test_, for instance valid_accuracy"
    if direction(name) is None and name not in declared:
        return (
            f"the name of the metric {reported!r} does not tell whether higher or lower is better: say it, "
            f"trial.report({reported}=..., higher={name!r}) or lower={name!r}, or use one with {', '.join(LOWER)} "
            f"(lower) or {', '.join(HIGHER)} (higher) in it"
        )
    return None


def reported_by(runs: Iterable[Mapping[str, Curve]]) -> dict[str, bool | None]:
    """What runs report, and of each whether their script says that higher is better; None: it does not say.

    Raises `StudyError` where two runs say the opposite.
    """
    names: dict[str, None] = {}
    said: dict[str, bool] = {}
    for name, curve in (each for curves in runs for each in curves.items()):
        names[name] = None
        if curve.higher is not None and said.setdefault(without_split(name), curve.higher) != curve.higher:
            raise StudyError(
                f"of {without_split(name)} one training says that higher is better, and another that lower is: the "
                "script must say the same in all, trial.report(..., higher=...) or lower=..."
            )
    return {name: said.get(without_split(name)) for name in names}


def choose_metric(wanted: str | None, reported: Mapping[str, bool | None]) -> Metric:
    """The metric of a comparison, from what the user wants and what the script reports (`reported_by`).

    Unless told: accuracy if ``valid_accuracy`` is reported, else loss.
    Raises `StudyError` when validation values of it are not reported.
    """
    have = sorted(name.removeprefix("valid_") for name in reported if name.startswith("valid_"))
    if not have:
        raise StudyError(
            "the script reports no validation metric, so no winner can be chosen: "
            "add for instance valid_loss=... to trial.report(...)"
        )
    if wanted is not None and wanted.partition("_")[0] in SPLITS:
        wanted = wanted.partition("_")[2]
    name = wanted or next((n for n in ("accuracy", "loss") if n in have), have[0])
    if name not in have:
        raise StudyError(f"no metric valid_{name} is reported; validation metrics at hand: {', '.join(have)}")
    declared = reported[f"valid_{name}"]
    higher = direction(name) if declared is None else declared
    return Metric(name, bool(higher), "test" if f"test_{name}" in reported else "valid")


def scaled(metric: Metric, runs: Iterable[Mapping[str, Curve]]) -> Metric:
    """The metric, with the scale that its runs declare.

    Raises `StudyError` where runs declare different numbers of test examples.
    """
    curves = [curves[metric.judgement] for curves in runs if metric.judgement in curves]
    numbers = {curve.tests for curve in curves if curve.tests}
    if len(numbers) > 1:
        raise StudyError(
            f"trainings say that {metric.judgement} is of {min(numbers)} and of {max(numbers)} test examples: the test "
            "part must be the same in all"
        )
    if numbers and metric.is_share:
        return replace(metric, scale=Scale("errors", numbers.pop()))
    # A training that was lost early may not have come to say it.
    positive = any(curve.positive for curve in curves)
    return replace(metric, scale=Scale("log")) if positive else metric
