"""Every rule of the catalogue and every wrapper, compiled for every kind of GPU: `make ptx`, some minutes."""

import pytest
from kernel_cases import TYPES, every_line_rule, every_rule
from test_ptx import GPUS, judge_all


@pytest.mark.parametrize(
    ("types", "capability"),
    [*((types, gpu) for types in ("float32", "bfloat16") for gpu in GPUS), *((types, 90) for types in [*TYPES][2:])],
)
def test_every_rule(types: str, capability: int) -> None:
    assert judge_all((case, capability) for case in every_rule(types)) > 100


@pytest.mark.parametrize(
    ("types", "capability"),
    [*((types, gpu) for types in ("float32", "bfloat16") for gpu in GPUS), *((types, 90) for types in [*TYPES][2:])],
)
def test_every_rule_by_line(types: str, capability: int) -> None:
    assert judge_all((case, capability) for case in every_line_rule(types)) > 20
