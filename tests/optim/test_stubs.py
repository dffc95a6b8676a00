"""What editors and type checkers see of the optimizers."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import thalweg
from thalweg.optim import OPTIMIZERS, stubs, surface
from thalweg.rules import CATALOGUE

USER = """
import torch
import thalweg

model = torch.nn.Linear(2, 3)
optimizer = thalweg.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), clip_norm=1.0)
named = thalweg.SGD(model.named_parameters(), 0.1, 0.9, nonfinite="skip", decay="decoupled", maximize=True)
groups = thalweg.Lion([{"params": [model.weight], "lr": 1e-4}], lr=torch.tensor(0.1), clip_value=None)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 10)
kept: torch.optim.Optimizer = named
loss: float = optimizer.step(lambda: 1.0)
optimizer.step()
beside = thalweg.SGD([{"params": [model.weight], "rule": thalweg.AdamW(lr=3e-4)}])
"""

MISTAKES = {
    "thalweg.AdamW(model.parameters(), weight_deacy=0.1)": 'Unexpected keyword argument "weight_deacy"',
    "thalweg.AdamW(model.parameters(), lr='fast')": 'Argument "lr" to "AdamW" has incompatible type "str"',
    "thalweg.AdamW(model.parameters(), betas=(0.9,))": 'Argument "betas" to "AdamW" has incompatible type',
    "thalweg.AdamW(model.parameters(), nonfinite='ignore')": 'Argument "nonfinite" to "AdamW"',
    "thalweg.Lion(model.parameters(), eps=1e-8)": 'Unexpected keyword argument "eps"',
    "thalweg.SGD(model.parameters(), 0.1, 0.9, 0.0, 0.0, False, False, 'l2')": "Too many positional arguments",
    "thalweg.AdamW(lr='fast')": 'Argument "lr" to "AdamW" has incompatible type "str"',
}


def test_the_file_is_what_the_rules_say() -> None:
    assert stubs.PATH.read_text(encoding="utf-8") == stubs.text(), "run: python -m thalweg.optim.stubs"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_signature_is_what_the_constructor_takes(name: str) -> None:
    """Every argument the signature shows is taken, by name, and by place where it says so."""
    import torch

    made, weight = OPTIMIZERS[name], torch.nn.Parameter(torch.ones(1, 1))
    parameters = dict(inspect.signature(made).parameters)
    parameters.pop("params")
    by_name = {key: p.default for key, p in parameters.items()}
    by_place = [p.default for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    others = (*surface.WHOLE, *surface.apart_of(made.rule), "like", surface.TORCHS_DECAY)
    shown = {key: p.default for key, p in parameters.items() if key not in others}
    if "products" in shown:  # decided by the processor
        shown["products"] = made([weight]).param_groups[0]["products"]
    for optimizer in (made([weight]), made([weight], **by_name), made([weight], *by_place)):
        assert {key: optimizer.param_groups[0][key] for key in shown} == shown
        assert {key: getattr(optimizer, key) for key in surface.WHOLE} == surface.WHOLE
    with pytest.raises(TypeError, match="arguments after the parameters"):
        made([weight], *by_place, None)


def test_every_rule_has_a_stub() -> None:
    text = stubs.PATH.read_text(encoding="utf-8")
    for rule in CATALOGUE.values():
        assert f"class {rule.__name__}(Optimizer):" in text
        assert hasattr(thalweg, rule.__name__)


@pytest.mark.slow
def test_mypy_knows_the_optimizers(tmp_path: Path) -> None:
    """One run over a good file and one wrong line each: exactly the wrong lines are reported."""
    script = tmp_path / "user.py"
    lines = USER.strip().splitlines()
    script.write_text("\n".join([*lines, *MISTAKES]) + "\n")
    # As `make check` runs it, whose work of a minute is then found in the cache.
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", str(script)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "MYPYPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [int(e.split(":")[1]) for e in errors] == [len(lines) + 1 + i for i in range(len(MISTAKES))], done.stdout
    for error, expected in zip(errors, MISTAKES.values(), strict=True):
        assert expected in error
