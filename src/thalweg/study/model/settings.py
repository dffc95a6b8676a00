"""How every training is done, whatever the task and the rule: schedule, kind of decay, clipping, what is tested.

They are the same for all that is compared, or varied like an option of the task: ``schedule=none,cosine``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from thalweg.closest import ending
from thalweg.formula.declared import CHAIN_DECAYS
from thalweg.stats.wording import value_text
from thalweg.tasks.task import Choice

from .cells import Argument
from .errors import StudyError
from .readouts import NONE, written
from .schedules import ByStep, by_step, find_schedule

SCHEDULES_OF = {"lr": "schedule", "weight_decay": "decay_schedule", "momentum": "momentum_schedule"}
NAMED = {"lr": "learning rate lr", "weight_decay": "weight decay", "momentum": "momentum"}
NAMES = ("schedule", "decay", "clip_norm", "clip_value", "decay_schedule", "momentum_schedule", "readout")


@dataclass(frozen=True)
class Settings:
    """``schedule`` of the learning rate, by name; ``chain``: the arguments of the optimizer that are chosen here.

    Of these, ``decay`` is a kind that the chain does (`thalweg.formula.Decay`); ``clip_norm`` bounds
    the norm of all gradients together, ``clip_value`` each of their numbers; None: no clipping. Beside them stand
    ``decay_schedule`` and ``momentum_schedule``, by the step. What is not in the chain is as the task has it.
    ``readout``: which average of the weights is tested (`thalweg.study.model.readouts`).
    """

    schedule: str = NONE
    chain: Mapping[str, Argument] = field(default_factory=dict)
    readout: str = NONE


def is_setting(name: str) -> bool:
    """Whether an option of this name is a setting, and no option of a task."""
    return name in NAMES


def setting(name: str, given: object) -> str:
    """A setting's value as it is written, ``cosine`` or ``0.5``; `StudyError` says what may stand there."""
    if name == "schedule":
        found = find_schedule(given)
        return found.written if isinstance(found, ByStep) else str(given)
    if name in SCHEDULES_OF.values():
        return NONE if given == NONE else by_step(given, name).written
    if name == "decay":
        if given not in CHAIN_DECAYS:
            raise StudyError(
                f"decay is one of {', '.join(CHAIN_DECAYS)}; got {given!r}{ending(str(given), list(CHAIN_DECAYS))}"
            )
        return str(given)
    if name == "readout":
        return written(given)
    bound = _bound(name, given)
    return NONE if bound is None else value_text(bound)


def settings_of(common: Settings, chosen: Mapping[str, Choice]) -> Settings:
    """What is chosen, before what all have. Options of the task among ``chosen`` are passed over."""
    own = {name: setting(name, value) for name, value in chosen.items() if is_setting(name)}
    schedule, readout = own.pop("schedule", common.schedule), own.pop("readout", common.readout)
    bounds = ("clip_norm", "clip_value")
    read = {name: _bound(name, value) if name in bounds else value for name, value in own.items()}
    chain = {name: value for name, value in {**common.chain, **read}.items() if value != NONE}
    return Settings(schedule, dict(sorted(chain.items())), readout)


def parted(chain: Mapping[str, Argument]) -> tuple[dict[str, Argument], dict[str, ByStep]]:
    """A chain's arguments of the optimizer; and its schedules by the step, by the number that follows each."""
    arguments = {name: value for name, value in chain.items() if name not in SCHEDULES_OF.values()}
    return arguments, {number: by_step(chain[name], name) for number, name in SCHEDULES_OF.items() if name in chain}


def _bound(name: str, given: object) -> float | None:
    if given == NONE:
        return None
    try:
        value = float(given) if isinstance(given, int | float | str) and not isinstance(given, bool) else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < inf:
        raise StudyError(f"{name} is a number above 0, or {NONE} for no clipping; got {given!r}")
    return value
