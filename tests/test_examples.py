"""The examples do what their first lines say."""

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import forked
from thalweg.cli import main

EXAMPLES = Path(__file__).parents[1] / "examples"


def output(name: str, folder: Path) -> str:
    ended = forked.script(EXAMPLES / name, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def losses(output: str) -> list[float]:
    return [float(line.split("loss ")[1].split(",")[0]) for line in output.splitlines() if "loss " in line]


def test_own_rule_trains(tmp_path: Path) -> None:
    told = losses(output("own_rule.py", tmp_path))
    assert told[-1] < told[0]


def test_drop_in_trains_and_names_the_bad_gradient(tmp_path: Path) -> None:
    said = output("drop_in.py", tmp_path)
    assert losses(said)[-1] < losses(said)[0]
    assert "'0.bias' (1 of 64 values)" in said


@pytest.mark.slow
def test_many_seeds_differ_by_little(tmp_path: Path) -> None:
    mean, deviation = re.findall(r"([0-9.]+)%", output("many_seeds.py", tmp_path))[:2]
    assert 95 < float(mean) < 98
    assert 0 < float(deviation) < 1


@pytest.fixture
def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the command says of the example's script."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        tokens = [f"{EXAMPLES / 'own_script.py'}:train", *words, "--trials", "2", "--seeds", "2", "--engine", "serial"]
        assert main(["compare", *tokens]) == 0
        return capsys.readouterr().out

    return run


def test_own_script_and_rule_are_compared(compared: Callable[..., str]) -> None:
    said = compared("-r", f"adamw,{EXAMPLES / 'own_rule.py'}:SignMomentum")
    assert "SignMomentum" in said
    assert "test accuracy" in said


def test_own_script_is_compared_with_and_without_a_norm(compared: Callable[..., str]) -> None:
    found = json.loads(compared("-r", "adamw", "--vary", "norm=none,layer", "--json"))
    first = found["verdict"]["sentences"][found["verdict"]["notices"]]
    assert first.startswith("On own_script.py:train with AdamW, of the settings found in 2 trials each, ")
    assert " times the errors, " in first
    assert [rule["option_norm"] for rule in found["rules"]] == ["none", "layer"]


@pytest.mark.parametrize("name", ["tiger.py:Tiger", "amos.py:Amos"])
def test_rules_in_one_file_are_shown_and_trained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    reference = f"{EXAMPLES / name}"
    assert main(["show", reference]) == 0
    assert "The step" in capsys.readouterr().out
    for rule in (reference, f"{reference}+lookahead+cautious"):
        assert main(["train", "digits-mlp", rule, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["final"]["test_accuracy"] > 0.8


def test_adamh_holds_what_is_inside(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    norms = [float(layer.weight.detach().norm()) for layer in (model[0], model[2])]
    optimizer = runpy.run_path(str(EXAMPLES / "adamh.py"))["adamh"](model, lr=0.05, others_lr=0.01)
    inputs, classes = torch.randn(64, 8), torch.randint(4, (64,))
    for _ in range(50):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), classes).backward()
        optimizer.step()
    inside, output = (float(layer.weight.detach().norm()) for layer in (model[0], model[2]))
    assert inside == pytest.approx(norms[0], rel=1e-6)
    assert output > 1.2 * norms[1]
    assert main(["train", "digits-mlp", f"{EXAMPLES / 'adamh.py'}:adamh", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["final"]["test_accuracy"] > 0.8


def test_every_example_is_run() -> None:
    """test_own_rule.py by pytest itself, with the other tests; sam.py in study/test_any_optimizer.py."""
    assert {p.name for p in EXAMPLES.glob("*.py")} == {
        "own_rule.py", "tiger.py", "amos.py", "test_own_rule.py", "drop_in.py", "own_script.py", "sam.py",
        "many_seeds.py", "adamh.py",
    }  # fmt: skip
