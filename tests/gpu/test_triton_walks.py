"""Every rule's passes as GPUs are to run them, interpreted, against the CPU's kernels: the same bits."""

import pytest
from kernel_cases import TYPES, Case, every_rule
from walking import Memory, Tensor, judge, numbers_of

from thalweg.formula.kernel import CompiledPass
from thalweg.formula.triton_kernel import block


def tensors(walk: CompiledPass) -> tuple[Tensor, ...]:
    """A whole block and a rest; not aligned; none; less than a vector; no gradient."""
    whole = block(walk)
    return Tensor(whole + 5), Tensor(131, 1), Tensor(0), Tensor(3), Tensor(9, absent=True)


def take_all(case: Case, special: bool = False) -> None:
    """Each pass, with coefficients as arguments and as rows."""
    for name, walk in case.walks.items():
        if name.endswith("norm") and case.rule != "sgd":
            continue  # the same of every rule
        for rows in (1, 2):
            memory = Memory(tensors(walk), walk.dtypes).fill(7, special)
            try:
                judge(walk, memory, numbers_of(case.made, walk, len(memory.tensors), rows), uniform=rows == 1)
            except AssertionError as error:
                raise AssertionError(f"{case} {name}, {rows} rows: {error}") from error


@pytest.mark.slow
@pytest.mark.parametrize("types", TYPES)
def test_every_rule(types: str) -> None:
    for case in every_rule(types):
        take_all(case)
