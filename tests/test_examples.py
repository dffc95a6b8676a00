"""The examples do what their first lines say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def losses(output: str) -> list[float]:
    return [float(line.split("loss ")[1].split(",")[0]) for line in output.splitlines() if "loss " in line]


@pytest.mark.parametrize("name", ["own_rule.py", "drop_in.py"])
def test_training_examples(name: str, tmp_path: Path) -> None:
    output = run(str(EXAMPLES / name), folder=tmp_path)
    assert losses(output)[-1] < losses(output)[0]


def test_drop_in_names_the_bad_gradient(tmp_path: Path) -> None:
    assert "'0.bias' (1 of 64 values)" in run(str(EXAMPLES / "drop_in.py"), folder=tmp_path)


def test_own_script_and_rule_are_compared(tmp_path: Path) -> None:
    output = run(
        "-m", "thalweg", "compare", f"{EXAMPLES / 'own_script.py'}:train", "-r",
        f"adamw,{EXAMPLES / 'own_rule.py'}:SignMomentum", "--trials", "2", "--seeds", "2", folder=tmp_path,
    )  # fmt: skip
    assert "SignMomentum" in output
    assert "test accuracy" in output


def test_own_script_is_compared_with_and_without_a_norm(tmp_path: Path) -> None:
    output = run(
        "-m", "thalweg", "compare", f"{EXAMPLES / 'own_script.py'}:train", "-r", "adamw", "--vary", "norm=none,layer",
        "--trials", "2", "--seeds", "2", "--json", folder=tmp_path,
    )  # fmt: skip
    found = json.loads(output)
    assert found["verdict"][0].startswith("On own_script.py:train with AdamW, after 2 trials each, ")
    assert [rule["options"] for rule in found["rules"]] == [{"norm": "none"}, {"norm": "layer"}]


@pytest.mark.parametrize("name", ["tiger.py:Tiger", "amos.py:Amos"])
def test_rules_in_one_file_are_shown_and_trained(name: str, tmp_path: Path) -> None:
    reference = f"{EXAMPLES / name}"
    assert "The step" in run("-m", "thalweg", "show", reference, folder=tmp_path)
    for rule in (reference, f"{reference}+lookahead+cautious"):
        output = run("-m", "thalweg", "train", "digits-mlp", rule, "--json", folder=tmp_path)
        assert json.loads(output)["final"]["test_accuracy"] > 0.8


def test_own_rule_conforms(tmp_path: Path) -> None:
    output = run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "test_own_rule.py"), folder=tmp_path)
    assert " passed" in output
    assert "failed" not in output


def test_every_example_is_run() -> None:
    assert {p.name for p in EXAMPLES.glob("*.py")} == {
        "own_rule.py", "tiger.py", "amos.py", "test_own_rule.py", "drop_in.py", "own_script.py",
    }  # fmt: skip
