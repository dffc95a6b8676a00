"""Where trainings run: the devices that workers are bound to, and the kind that a result belongs to.

The process that compares never imports torch: what CUDA devices there are, it asks a process of its own.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thalweg.stats.wording import listed
from thalweg.study.ask.spec import installed
from thalweg.study.ask.task_references import script_path
from thalweg.study.model.cells import CPU
from thalweg.study.model.errors import StudyError

if TYPE_CHECKING:
    import torch

CUDA = "cuda"
VISIBLE = "CUDA_VISIBLE_DEVICES"
FORMS = "cuda:0,cuda:1 (graphics cards), cuda (each that there is), or cpu:0-3,cpu:4-7 (sets of CPUs; cpu:0+2 for some)"
LISTING = 120.0  # seconds; a first import of torch with CUDA may take a minute from a network's disk
LIST = "import json, torch as t; print(json.dumps([t.cuda.get_device_name(i) for i in range(t.cuda.device_count())]))"


@dataclass(frozen=True)
class Device:
    """What a worker is bound to for its life.

    ``kind``     that its results belong to: ``cpu``, or ``cuda`` and the product's name.
    ``cpus``     the only ones that it runs on; () where it is not bound to any.
    ``visible``  the one CUDA device that it sees, as `CUDA_VISIBLE_DEVICES` has it: ``cuda:0`` there; "" for CPUs.
    """

    kind: str = CPU
    cpus: tuple[int, ...] = ()
    visible: str = ""

    @property
    def environment(self) -> Mapping[str, str]:
        """What must stand in a worker's environment before torch is imported there."""
        return {VISIBLE: self.visible} if self.visible else {}


def bound_to(names: str | Sequence[str]) -> tuple[Device, ...]:
    """The devices of these names, in their order. Raises `StudyError`: no device, not here, twice, or of two kinds."""
    given = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    if not given or "" in given:
        raise StudyError(f"name devices as {FORMS}; got {names!r}")
    if again := next((name for name in given if given.count(name) > 1), None):
        raise StudyError(f"the device {again} is named twice: for several trainings on one device, give per_device")
    cards = _listed_here() if any(name.partition(":")[0] == CUDA for name in given) else ()
    found = [device for name in given for device in _devices(name, cards)]
    if len(kinds := {device.kind: None for device in found}) > 1:
        raise StudyError(
            f"these devices are {listed(list(kinds))}: their results would not be comparable, so name those of one kind"
        )
    every = [cpu for device in found for cpu in device.cpus]
    if shared := sorted({cpu for cpu in every if every.count(cpu) > 1}):
        raise StudyError(f"CPU {shared[0]} stands in two sets: for several trainings on one set, give per_device")
    if len({device.visible for device in found}) < len(found) and CUDA in given:
        raise StudyError("cuda is each CUDA device that there is: leave the others out, or name them one by one")
    return tuple(found)


def checked_per_device(number: int) -> int:
    """How many trainings run on a device at once, as it was given; `StudyError` unless it is a number of them."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise StudyError(f"per_device must be a whole number, at least 1; got {number!r}")
    return number


def device_of(kind: str) -> "torch.device":
    """The device of a kind in this process, for torch. Raises `StudyError` where there is none."""
    import torch

    if kind == CPU:
        return torch.device(CPU)
    if problem := lacks(kind):
        raise StudyError(problem)
    index = _kinds_here().index(kind)
    # cuBLAS adds up in the same order each time only with this; it is read when the device is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.cuda.set_device(index)  # for scripts that say "cuda"
    return torch.device(CUDA, index)


def elsewhere(device: str, trained_on: frozenset[str]) -> str:
    """That a training was done where the comparison does not know of, in words: its result would be taken for another.

    Types of device, as torch names them.
    """
    if device in trained_on or (device == CPU and CUDA not in trained_on):
        return ""
    if device == CPU:
        return "trained on cuda, where the comparison is one of CPUs: give it devices (--devices cuda:0)"
    return f"left its parameters on {listed(sorted(trained_on))}: put model and data on trial.device, which is {device}"


def refuse_own_task(source: object, device: str) -> None:
    """Raise `StudyError` where a task of thalweg's is to be trained elsewhere than on CPUs."""
    if device != CPU and isinstance(source, str) and script_path(source) is None:
        raise StudyError(f"{source} is a task of thalweg's, which trains on CPUs: no result of it would be of {device}")


def lacks(kind: str) -> str:
    """That this process has no device of a kind, in words; "" if it has one. Sent to workers."""
    here = [CPU, *_kinds_here()] if kind != CPU else [CPU]
    return "" if kind in here else f"it is a result of {kind}, and here is {listed(list(dict.fromkeys(here)))}"


def kind_here(_asked: object = None) -> str:
    """The kind of the first CUDA device that this process sees; "" if it sees none. Sent to workers."""
    return next(iter(_kinds_here()), "")


def _kinds_here() -> list[str]:
    return [_kind(card) for card in _cards_here()]


def _cards_here() -> list[str]:
    import torch

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def in_this_process(name: str) -> "torch.device":
    """``cpu``, ``cuda`` or ``cuda:1``, for a training in this process. Raises `StudyError`."""
    import torch

    kind, _, index = name.partition(":")
    if name != CPU and (kind != CUDA or not (index.isdigit() or name == CUDA)):
        raise StudyError(f"a device is cpu, cuda or cuda:1; got {name!r}")
    if kind == CUDA and int(index or 0) >= torch.cuda.device_count():
        raise StudyError(_not_here(name, _cards_here()))
    return torch.device(name)


def _devices(name: str, cards: Sequence[str]) -> list[Device]:
    kind, colon, which = name.partition(":")
    if kind == CPU:
        return [Device(cpus=_cpu_set(name, which))] if colon else [Device()]
    if kind != CUDA or (colon and not which.isdigit()):
        raise StudyError(f"there is no device {name!r}: name devices as {FORMS}")
    wanted = [int(which)] if colon else range(len(cards))
    if not wanted or max(wanted) >= len(cards):
        raise StudyError(_not_here(name, cards))
    # Where some were chosen already, as on a cluster, numbers are those among them.
    chosen = os.environ.get(VISIBLE)
    places = [place.strip() for place in chosen.split(",")] if chosen else [str(i) for i in range(len(cards))]
    return [Device(_kind(cards[i]), visible=places[i]) for i in wanted]


def _cpu_set(name: str, which: str) -> tuple[int, ...]:
    """The numbers in ``0-3`` or ``0+2``, and in both joined: ``0-3+8``."""
    found: set[int] = set()
    for piece in which.split("+"):
        ends = re.fullmatch(r"(\d+)(?:-(\d+))?", piece)
        if ends is None or int(ends[2] or ends[1]) < int(ends[1]):
            raise StudyError(f"a set of CPUs is cpu:0-3, cpu:0+2, or both, cpu:0-3+8; got {name!r}")
        found.update(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    if not hasattr(os, "sched_setaffinity"):
        raise StudyError(f"{name}: this system cannot bind a process to CPUs; leave the devices out, and give workers")
    here = os.sched_getaffinity(0)
    if missing := sorted(found - here):
        raise StudyError(f"{name}: there is no CPU {missing[0]} for this process, which has {_ranges(sorted(here))}")
    return tuple(sorted(found))


def _ranges(numbers: Sequence[int]) -> str:
    """0-3+8, of 0, 1, 2, 3, 8."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return "+".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in found)


def _kind(card: str) -> str:
    return f"{CUDA} {card}"


def _not_here(name: str, cards: Sequence[str]) -> str:
    if not cards:
        return f"there is no {name}: torch {installed('torch')} sees no CUDA device here"
    return f"there is no {name}: here are {listed([f'{CUDA}:{i} ({card})' for i, card in enumerate(cards)])}"


def _listed_here() -> tuple[str, ...]:
    """The names of the CUDA devices, as torch sees them here."""
    path = os.pathsep.join(filter(None, sys.path))
    try:
        answer = subprocess.run(
            [sys.executable, "-P", "-c", LIST],
            env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=LISTING, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise StudyError(f"torch did not list its CUDA devices in {LISTING:.0f} seconds: see nvidia-smi") from None
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"])[-1]
        raise StudyError(f"torch cannot list its CUDA devices: {last}")
    return tuple(json.loads(answer.stdout.strip().splitlines()[-1]))
