"""What Triton and NVIDIA's assembler make of kernels, with no GPU: python compiling.py < cases.json > facts.json

A process of its own, since Triton interprets in that of the tests. See `compiled`.
"""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kernel_cases import Case

from thalweg.formula.triton import WARPS
from thalweg.rules import BY_WEIGHT

# An instruction's name says types and how it rounds: add.rn.f32. It may depend on a predicate.
INSTRUCTION = re.compile(r"^\s*(?:@!?%p\d+\s+)?([a-z][a-z0-9_]*(?:\.[A-Za-z0-9_:]+)+)", re.MULTILINE)


@dataclass(frozen=True)
class Facts:
    """Of one kernel.

    ``kernel``  its name: what kind it is. ``operands``  element types in memory, of those by weight; ``weights``, how
    many of them a thread takes at once.
    ``instructions``  of its PTX, by name, how many of each.
    ``registers``  of a thread; ``stack`` and ``local``: its bytes that found no room in them.
    """

    case: Case
    capability: int
    walk: str
    kernel: str
    uniform: bool
    operands: dict[str, str]
    written: list[str]
    weights: int
    instructions: dict[str, int]
    registers: int
    stack: int
    local: int


def compiled(cases: Iterable[tuple[Case, int]]) -> list[Facts]:
    """All passes of cases, each for a compute capability, by two processes."""
    asked = [(asdict(case), capability) for case, capability in cases]
    with ThreadPoolExecutor(2) as pool, tempfile.TemporaryDirectory() as kept:
        halves = [half for half in (asked[::2], asked[1::2]) if half]
        return [facts for part in pool.map(lambda half: _in_a_process(half, kept), halves) for facts in part]


def _in_a_process(asked: list[Any], kept: str) -> list[Facts]:
    environment = {**os.environ, "TRITON_CACHE_DIR": kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment.pop("TRITON_INTERPRET", None)
    ended = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(asked),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(ended.stderr[-4000:])
    return [Facts(**{**each, "case": _case(each["case"])}) for each in json.loads(ended.stdout)]


def _case(said: dict[str, Any]) -> Case:
    return Case(**{**said, "wrappers": tuple(said["wrappers"])})


def _facts(case: Case, capability: int, folder: Path) -> Iterable[dict[str, Any]]:
    from thalweg.formula.line_kernel import CompiledLines
    from thalweg.formula.triton_kernel import walk_kernel
    from thalweg.formula.triton_line_kernel import added_kernel, along_kernels, joining_kernel, line_totals
    from thalweg.formula.triton_lines import SHAPES, WIDE

    for name, walk in case.walks.items():
        if name.endswith("norm") and case.rule != "sgd":
            continue  # the same of every rule
        assert walk.kernel is not None
        by_weight = {n: of for n, of in walk.dtypes.items() if walk.extents.get(n, "weight") == "weight"}
        for uniform in (False, True):
            if isinstance(walk, CompiledLines):
                found, weights = tuple(kernel for _, kernel in along_kernels(walk, walk.operands, uniform)), 0
            elif line_totals(walk):
                found = added_kernel(walk, walk.operands, uniform), joining_kernel(0)
                weights = math.prod(SHAPES[WIDE]) // (32 * WARPS)
            else:
                found = (walk_kernel(walk, walk.operands, uniform, False),)
                weights = found[0].constants["BLOCK"] // found[0].constants["LANES"]
            for kernel in found:
                made = kernel.compiled(capability)
                yield {
                    "case": asdict(case), "capability": capability, "walk": name, "uniform": uniform,
                    "kernel": kernel.name, "operands": by_weight,
                    "written": [operand for operand, _ in walk.kernel.writes], "weights": weights,
                    "instructions": Counter(INSTRUCTION.findall(made.asm["ptx"])),
                    **_resources(made.asm["cubin"], folder),
                }  # fmt: skip
    if case.rule in BY_WEIGHT:
        yield from _between(case, capability, folder)


def _between(case: Case, capability: int, folder: Path) -> Iterable[dict[str, Any]]:
    """By name "between": what makes the last pass's rows and the next scalars, after a norm that guards and clips."""
    from thalweg.formula import Scalar
    from thalweg.formula.kernel import next_scalars
    from thalweg.formula.rule import parts
    from thalweg.formula.triton_between import Between, Total
    from thalweg.formula.triton_kernel import between_kernel

    update = case.walks["update"]
    assert update.kernel is not None
    scalars = parts(case.made, Scalar)
    common = frozenset(name for name, of in scalars.items() if of.scope == "all")
    nexts = next_scalars(case.made, tuple(case.switches.items()))
    for apart in (False, True):
        total = Total("clip_scale", 0, by_tensor=apart, clip=True, raw=True)
        what = Between(update.names, (total,), 1, apart, True, True, True, (*scalars,), nexts, common)
        made = between_kernel(what, update.kernel.coefficients, update.real).compiled(capability)
        yield {
            "case": asdict(case), "capability": capability, "walk": "update", "kernel": "between", "uniform": not apart,
            "operands": {}, "written": [], "weights": 0, "instructions": Counter(INSTRUCTION.findall(made.asm["ptx"])),
            **_resources(made.asm["cubin"], folder),
        }  # fmt: skip


def _resources(cubin: bytes, folder: Path) -> dict[str, int]:
    """What NVIDIA's own tool, in Triton's wheel, says of a kernel."""
    import triton

    assert triton.__file__ is not None
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    file = folder / "kernel.cubin"
    file.write_bytes(cubin)
    said = subprocess.run([tool, "-res-usage", file], capture_output=True, text=True, check=True).stdout
    names = {"registers": "REG", "stack": "STACK", "local": "LOCAL"}
    return {name: int(re.findall(rf"{short}:(\d+)", said)[-1]) for name, short in names.items()}


if __name__ == "__main__":
    from thalweg.formula.triton_kernel import problem

    with tempfile.TemporaryDirectory() as own:
        asked = json.load(sys.stdin)
        assert not [why for capability in {each for _, each in asked} if (why := problem(capability))]
        json.dump(
            [each for case, capability in asked for each in _facts(_case(case), capability, Path(own))], sys.stdout
        )
