"""The page of `gpu.py`: what was found, as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpu_cells import CLIP_NORM, CLIP_VALUE, GPU_CELLS, GPU_MODELS, THALWEG, WAYS
from gpu_checks import CHECKS, Alike
from gpu_clock import REPEATS
from page import markdown, times
from sides import EMA
from thalweg.speed.measure import Timing

Found = Mapping[str, Any]

NOT_REACHED = "not reached in time"
_HEADINGS = [
    "rule", "tensors", "beside", "host, us", "torch's, us", "host, ratio", "quartiles", "device, us",
    "torch's, us", "device, ratio", "quartiles", "GB/s", "of a copy's",
]  # fmt: skip
_CHECKED = ["rule", "weights", "states", "largest difference, ulp", "left out", "in every bit"]
_HOW = f"""**host**: microseconds until `step()` returns, the device idle before it. **device**: microseconds from
the call's first kernel to its last, by CUDA events, while the host is ahead. Each is the median of the rounds; a round
takes the median of {REPEATS} calls of each side, all sides in random order. **ratio**: how many times longer torch
takes, the median of the rounds' ratios, and their quartiles; below 1, torch is faster. Before every call the gradients
are other tensors, but for what a CUDA graph has recorded, which reads those that it was recorded with. **GB/s**: the
bytes that `explain()` says a step moves, in the device's time; and that as a share of what a copy within the same
memory reads and writes. *thalweg, CUDA graph* is thalweg's own step, recorded, where torch's figures stand else.
*by hand* is the rule as foreach operations; torch has no LAMB. *clip by norm* is at {CLIP_NORM}, by value at
{CLIP_VALUE}, EMA {EMA}; torch's side calls `clip_grad_value_`, `clip_grad_norm_`, `step` and `_foreach_lerp_`."""
_CHECKS = """Five steps of each optimizer on the GPU and on the CPU, from the same numbers: tensors of 1, 1,000, 70 x 64
and 1,000 weights that begin between two vectors; once a gradient is absent. How many numbers have other bits, of how
many; nan is nan. Sums are added in another order on a GPU, so only where nothing is added up, and the host makes all
coefficients, must every bit be the same."""


@dataclass(frozen=True)
class Around:
    """What the figures depend on. ``driver`` is NVIDIA's; ``versions`` of thalweg, torch and Triton."""

    card: str
    driver: str
    cpu: str
    versions: Mapping[str, str]
    date: str
    minutes: float


def page(checked: Sequence[Found], timed: Sequence[Found], around: Around) -> tuple[str, bool]:
    """The whole page, and whether something on it is wrong: a check that failed, or bits that must not differ."""
    copied = next((found["bytes_a_second"] for found in timed if "bytes_a_second" in found), None)
    rows = [row for found in timed if found["case"] in GPU_CELLS for row in _rows(found, copied)]
    wrong = [found["case"] for found in checked if _wrong(found)]
    versions = ", ".join(f"{name} {version}" for name, version in around.versions.items())
    speed = "" if copied is None else f" A copy within its memory: {copied / 1e9:,.0f} GB/s."
    parts = [
        "# Steps on a GPU",
        f"{around.card}, driver {around.driver}, {versions}; host {around.cpu}. {around.date}, "
        f"{around.minutes:.1f} minutes. Made by `python benchmarks/gpu.py`.{speed}",
        "## Whether they are the CPU's",
        _summary(checked, wrong),
        _CHECKS,
        markdown(_CHECKED, [_check(found) for found in checked]),
        "## How long they take",
        _HOW,
        markdown(_HEADINGS, rows),
    ]
    return "\n\n".join(parts) + "\n", bool(wrong)


def _wrong(found: Found) -> bool:
    if "error" in found:
        return bool(found["error"] != NOT_REACHED)
    alike = _alike(found)
    return alike.skipped[0] != alike.skipped[1] or (CHECKS[found["case"]].exact and not alike.same)


def _alike(found: Found) -> Alike:
    named = {name: value for name, value in found.items() if name != "case"}
    return Alike(**{**named, "skipped": tuple(found["skipped"])})


def _summary(checked: Sequence[Found], wrong: Sequence[str]) -> str:
    done = [found for found in checked if "error" not in found]
    same = sum(_alike(found).same for found in done)
    said = f"Of {len(checked)} checks, {len(done)} were made; of these {same} are the same in every bit. "
    return said + (f"**Wrong: {', '.join(wrong)}.**" if wrong else "Nothing differs that must not.")


def _check(found: Found) -> list[str]:
    check = CHECKS[found["case"]]
    asked = "must be" if check.exact else "need not be"
    if "error" in found:
        return [check.title, found["error"], "", "", "", asked]
    alike = _alike(found)
    left = " and ".join(dict.fromkeys(map(str, alike.skipped)))
    return [
        check.title, f"{alike.weights} of {alike.of_weights:,}", f"{alike.states} of {alike.of_states:,}",
        f"{alike.ulp:g}", left, "yes" if alike.same else f"no ({asked})",
    ]  # fmt: skip


def _rows(found: Found, copied: float | None) -> Iterator[list[str]]:
    """A row for each of torch's forms; one without them; what failed in words."""
    way, model = GPU_CELLS[found["case"]]
    title, tensors = WAYS[way].title, GPU_MODELS[model].title
    if "error" in found:
        yield [title, tensors, found["error"], *[""] * (len(_HEADINGS) - 3)]
        return
    if found["weights"] != GPU_MODELS[model].weights:
        tensors = f"one tensor of {found['weights'] / 1e6:,.0f}M, as many as fit"
    host, device = (Timing({k: tuple(v) for k, v in found[name].items()}, None) for name in ("host", "device"))
    speed = found["bytes"] / device.median(THALWEG)
    memory = [f"{speed / 1e9:,.0f}", "" if copied is None else f"{speed / copied:.0%}"]
    for form in found["sides"] or [""]:
        figures = [figure for timing in (host, device) for figure in _figures(timing, form)]
        yield [title, tensors, form or "has none", *figures, *memory]
    for form, why in found["failed"].items():
        yield [title, tensors, f"{form} failed: {why}", *[""] * (len(_HEADINGS) - 3)]


def _figures(timing: Timing, form: str) -> list[str]:
    """Our median, torch's, and how many times longer torch takes."""
    ours = _microseconds(timing.median(THALWEG))
    if not form:
        return [ours, "", "", ""]
    low, middle, high = timing.ratio(form, THALWEG)
    return [ours, _microseconds(timing.median(form)), times(middle), f"{times(low)} to {times(high)}"]


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.3g}" if seconds < 1e-3 else f"{seconds * 1e6:,.0f}"
