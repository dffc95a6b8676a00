"""What GPUs are given: vectors, IEEE 754's rounding, and registers enough. Compiled here, with no GPU."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from compiling import Facts, compiled
from kernel_cases import Case

from thalweg.formula.triton_kernel import LINE_REGISTERS, REGISTERS
from thalweg.optim.cuda import LEAST_CAPABILITY
from thalweg.rules import BY_WEIGHT

BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
GPUS = (80, 90, 100)  # A100, H100, B200
WIDTHS = {"b16": 2, "b32": 4, "b64": 8}


def vectors(instructions: dict[str, int], kind: str) -> int:
    """The bytes of all that is read or written as vectors, of one thread."""
    found = 0
    for name, times in instructions.items():
        parts = name.split(".")
        if parts[0] == kind and "global" in parts and (many := re.search(r"\.v(\d)\.", name)):
            found += times * int(many[1]) * WIDTHS[parts[-1]]
    return found


def judge(of: Facts) -> None:
    """Everything that is asked of a kernel; of what stands between two, which is small, only that float64 is that."""
    if of.kernel == "between":
        single = [name for name in of.instructions if re.match(r"(add|sub|mul|fma|div|sqrt|ex2|lg2)\..*f32", name)]
        assert not single, single
        return
    size = {operand: BYTES[dtype] * of.weights for operand, dtype in of.operands.items()}
    read = vectors(of.instructions, "ld")
    if of.kernel == "walk":
        assert all(each in (8, 16, 32) for each in size.values()), size
        # LLVM makes two loops of one where a condition is decided before it: then each reads and writes all of it.
        loops = read // sum(size.values())
        assert read == max(loops, 1) * sum(size.values()), "bytes read as vectors"
        written = sum(size[operand] for operand in of.written)
        assert vectors(of.instructions, "st") == loops * written, "bytes written as vectors"
    elif of.kernel == "added":
        assert read == sum(size.values()), "bytes read as vectors"
    for name in of.instructions:
        assert not re.search(r"^fma|\.approx|\.ftz|\.full|\.rz|\.sat", name), name
        if re.match(r"(add|sub|mul|div|sqrt|rcp)\..*(f16|bf16|f32|f64)", name):
            assert ".rn" in name, name
        assert not re.match(r"(ex2|lg2|sin|cos|tanh|rsqrt)\.", name), name
        assert not re.match(r"(ld|st)\.local", name), name
    for dtype in ("bfloat16", "float16"):
        if any(of.operands[operand] == dtype for operand in of.written):
            short = "bf16" if dtype == "bfloat16" else "f16"
            assert any(re.match(rf"cvt\.rn\.{short}(x2)?\.f32$", name) for name in of.instructions), f"{dtype} rounded"
    assert of.stack == of.local == 0, f"{of.stack} and {of.local} bytes beside the registers"
    real = "float64" if "float64" in of.operands.values() or of.walk.endswith("norm") else "float32"
    most = REGISTERS[real] if of.case.rule in BY_WEIGHT else LINE_REGISTERS if real == "float32" else REGISTERS[real]
    assert of.registers <= most, f"{of.registers} registers"


def judge_all(cases: Iterable[tuple[Case, int]]) -> int:
    wrong, count = [], 0
    for of in compiled(cases):
        count += 1
        try:
            judge(of)
        except AssertionError as error:
            case = f"{of.case}, {of.walk}, {of.kernel}, sm_{of.capability}, {'arguments' if of.uniform else 'rows'}"
            wrong.append(f"{case}: {str(error).splitlines()[0]}")
    assert not wrong, "\n".join(wrong)
    return count


@pytest.mark.slow
def test_a_dozen_kernels() -> None:
    """Those with the most of something: operands, totals, roots, element types."""
    dozen = [
        (Case("sgd"), 80), (Case("adamw"), 90), (Case("adamw", "bfloat16", "chain"), 100),
        (Case("adan", "float32", "chain"), 90), (Case("adan", "bfloat16 with float32"), 80),
        (Case("lamb", "float16"), 90), (Case("adam", "bfloat16", wrappers=("hyperball",)), 90),
        (Case("prodigy", "bfloat16 with float32", "chain"), 90), (Case("amsbound", "float64"), 90),
        (Case("rprop", "float16 with float32"), 100), (Case("nadam"), 90), (Case("came", "bfloat16"), 90),
    ]  # fmt: skip
    assert judge_all(dozen) > 24


def test_older_gpus_are_not_served() -> None:
    assert min(GPUS) == LEAST_CAPABILITY


ADAM = Facts(
    Case("adam", "bfloat16"), 90, "update", "walk", False, dict.fromkeys("wgmv", "bfloat16"), ["w", "m", "v"], 8,
    {"ld.global.v4.b32": 4, "st.global.v4.b32": 3, "add.rn.f32": 20, "div.rn.f32": 9, "cvt.rn.bf16x2.f32": 12},
    48, 0, 0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda has: has | {"fma.rn.f32": 1}, "fma"),
        (lambda has: has | {"add.f32": 1}, "add.f32"),
        (lambda has: has | {"div.full.f32": 1}, "div.full"),
        (lambda has: has | {"sqrt.approx.ftz.f32": 1}, "sqrt.approx"),
        (lambda has: has | {"ex2.approx.f32": 1}, "ex2"),
        (lambda has: has | {"st.local.b32": 1}, "st.local"),
        (lambda has: has | {"ld.global.v4.b32": 3, "ld.global.b32": 4}, "read as vectors"),
        (lambda has: has | {"st.global.v4.b32": 2}, "written as vectors"),
        (lambda has: {name: n for name, n in has.items() if "cvt" not in name}, "bfloat16 rounded"),
    ],
)
def test_what_is_refused(spoil: Callable[[dict[str, int]], dict[str, int]], said: str) -> None:
    judge(ADAM)
    with pytest.raises(AssertionError, match=re.escape(said)):
        judge(replace(ADAM, instructions=spoil(ADAM.instructions)))


def test_registers_that_are_too_many_are_refused() -> None:
    for wrong in ({"registers": 73}, {"stack": 8}, {"local": 4}):
        with pytest.raises(AssertionError, match="registers"):
            judge(replace(ADAM, **wrong))  # type: ignore[arg-type]
