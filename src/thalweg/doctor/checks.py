"""What needs torch and machine code. It runs in a process of its own, so that a crash is one more finding."""

import json
import math
import os
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import torch

from thalweg.formula import State, torch_reader
from thalweg.formula.compose import usual_switches
from thalweg.formula.kernel import passes
from thalweg.formula.rule import parts
from thalweg.formula.team import SERIAL_BELOW, library
from thalweg.optim import OPTIMIZERS, cuda
from thalweg.optim.explain import served
from thalweg.optim.native import absent
from thalweg.optim.vetted import checked, pair, vetted
from thalweg.rules import AdamW

# What decides how fast vectors are, by LLVM's names: of x86, then of ARM.
FEATURES = (
    "avx2", "fma", "f16c", "avx512f", "avx512bf16", "avx512fp16", "neon", "fullfp16", "bf16", "sve", "sve2",
)  # fmt: skip
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


class Marked(torch.Tensor):
    """A subclass of Tensor, as distributed tensors are."""


def main() -> None:
    """Print the findings as one line of JSON."""
    warnings.simplefilter("ignore")  # that kernels do not work is found in other words
    print(json.dumps(checks(), allow_nan=False))


def checks() -> dict[str, Any]:
    """The findings by name; instead of one that could not be had, ``{"error": why}``."""
    found = {"processor": processor, "threads": threads, "kernel": kernel, "steps": steps, "readers": readers}
    found |= {"gpus": gpus}
    # Last, so that it counts what the checks have compiled.
    return {name: _tried(check) for name, check in {**found, "cache": cache}.items()}


def _tried(check: Callable[[], Any]) -> Any:
    try:
        return check()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def processor() -> dict[str, Any]:
    """What LLVM compiles for."""
    from thalweg.formula.machine import processor as asked

    name, features = asked()
    return {"llvm": name, "features": [feature for feature in FEATURES if feature in features]}


def threads() -> dict[str, Any]:
    """How many torch uses, the OpenMP library whose team runs kernels, and why tensors are asked in Python, if so.

    ``checked``: this torch and this Python, if the way to ask is not known to be right with them and was checked now.
    """
    unknown = None if vetted() else pair()
    if unknown:
        checked()
    asked = {"checked": unknown, "asked_in_python": absent()}
    return {"torch": torch.get_num_threads(), "openmp": library(), **asked}


def kernel() -> dict[str, float]:
    """Seconds to write AdamW's kernels as assembly, to compile the one of the update, and to load it again."""
    from thalweg.formula.machine import MachineCode
    from thalweg.formula.machine import processor as started

    started()  # LLVM itself wants a moment
    types = tuple((name, "float32") for name in ("w", "g", *parts(AdamW, State)))
    began = time.perf_counter()
    assembly = passes(AdamW, tuple(usual_switches(AdamW).items()), types).update.assembly
    seconds = [time.perf_counter() - began]
    with tempfile.TemporaryDirectory() as folder, _cache_in(Path(folder) / "cache"):
        for compiled in (True, False):
            began = time.perf_counter()
            code = MachineCode(assembly)
            seconds.append(time.perf_counter() - began)
            if code.compiled != compiled:
                raise RuntimeError("a kernel that was compiled is not found again in a new cache folder")
    return dict(zip(("written", "compiled", "loaded"), seconds, strict=True))


@contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    before = os.environ.get("THALWEG_CACHE")
    os.environ["THALWEG_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["THALWEG_CACHE"]
        else:
            os.environ["THALWEG_CACHE"] = before


def steps() -> dict[str, float | None]:
    """For each element type the error of a step, None if it is not even a number. See `error_of_a_step`."""
    found = {str(dtype).removeprefix("torch."): error_of_a_step(dtype) for dtype in DTYPES}
    return {name: error if math.isfinite(error) else None for name, error in found.items()}


def error_of_a_step(dtype: torch.dtype) -> float:
    """The largest error of a weight after a step of AdamW with clip_norm, in roundings of its type (eps).

    The truth is the `torch` reader in float64. One tensor is small, one so large that threads share it.
    """
    seeded = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(n, generator=seeded).to(dtype)) for n in (17, 3 * SERIAL_BELOW)]
    for p in params:
        p.grad = torch.randn(p.shape, generator=seeded).to(dtype)
    values = torch_reader.values_of(AdamW, lr=0.01, weight_decay=0.1, shrink=0.001)
    norm = math.sqrt(sum(float(p.grad.double().square().sum()) for p in params if p.grad is not None))
    values["clip_scale"] = min(1.0, 1.0 / (norm + 1e-6))
    expected = [
        torch_reader.step(AdamW, torch_reader.begin(AdamW, p.detach().double(), values), p.grad.double(), values).weight
        for p in params
        if p.grad is not None
    ]
    OPTIMIZERS["adamw"](params, lr=0.01, weight_decay=0.1, clip_norm=1.0).step()
    # Of a weight near 0 the rounding is that of the numbers it is the difference of.
    errors = [(p.detach().double() - e).abs() / e.abs().clamp(min=0.1) for p, e in zip(params, expected, strict=True)]
    return max(float(error.max()) for error in errors) / torch.finfo(dtype).eps


def readers() -> list[dict[str, str]]:
    """What serves parameters of several kinds, and why."""
    zoo = {str(dtype).removeprefix("torch."): torch.zeros(3, dtype=dtype) for dtype in DTYPES}
    zoo |= {
        "channels_last": torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "a view with gaps": torch.zeros(10)[::2],
        "a single number": torch.tensor(0.0),
        "a subclass of Tensor": torch.zeros(3).as_subclass(Marked),
    }
    params = {name: torch.nn.Parameter(tensor) for name, tensor in zoo.items()}
    for p in params.values():
        p.grad = torch.zeros_like(p)
    found = served(OPTIMIZERS["adamw"](params.items()))
    return [
        {"parameter": name, "reader": p.reader, "why": p.why or p.refused}
        for name, p in zip(params, found, strict=True)
    ]


def gpus() -> dict[str, Any]:
    """The Triton that this torch asks for, what is wrong with CUDA's driver, and which GPUs kernels serve."""
    asked = (re.match(r"triton\s*(\(?[=<>~!][^;\s]*)", line) for line in requires("torch") or ())
    return {
        "triton": next((found[1].strip("()=") for found in asked if found), None),
        "driver": cuda.driver_problem(),
        "cards": [_card(i) for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)],
    }


def _card(index: int) -> dict[str, Any]:
    where = torch.device("cuda", index)
    capability = ".".join(map(str, torch.cuda.get_device_capability(where)))
    return {"name": torch.cuda.get_device_name(where), "capability": capability, "problem": cuda.problem(where)}


def cache() -> dict[str, Any]:
    """Where kernels are kept, how many, and why they are not, if so."""
    from thalweg.formula.machine import cache_folder, cache_problem, cached

    files = cached()
    return {
        "folder": str(cache_folder() or "none"), "kernels": len(files),
        "bytes": sum(file.stat().st_size for file in files), "problem": cache_problem(),
    }  # fmt: skip
