"""A comparison takes every rule of the catalogue, wrapped and by other conventions too."""

from pathlib import Path

import pytest
import torch

import thalweg
from thalweg.formula import like, wrapped
from thalweg.rules import CATALOGUE
from thalweg.study import Serial, StudyError
from thalweg.study.ask.finding import find_rule
from thalweg.study.ask.method_references import resolve_method
from thalweg.wrappers import WRAPPERS, Cautious, Hyperball, Lookahead

QUICK = """
    import torch

    def train(trial):
        torch.manual_seed(trial.seed("init"))
        x = 0.3 * torch.randn(64, 8, generator=torch.Generator().manual_seed(trial.seed("data")))
        model = torch.nn.Sequential(torch.nn.Linear(8, 3), torch.nn.Linear(3, 1))
        optimizer = trial.optimizer(model)
        for epoch in trial.epochs(8):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(x), x.sum(1, keepdim=True)).backward()
            optimizer.step()
            with trial.evaluation():
                loss = torch.nn.functional.mse_loss(model(x), x.sum(1, keepdim=True)).item()
            trial.report(valid_loss=loss, test_loss=loss)
"""
CONVENTIONS = [f"{name}:like={one}" for name, rule in CATALOGUE.items() for one in rule.conventions]
WRAPPED = [
    *(f"adamw+{name}" for name in WRAPPERS),
    "adamw+weightaverage:ema=0.5",
    "momentum+lookahead:like=tf1:k=2",
    "mars+lookahead+cautious",
]


def test_every_rule(script, tmp_path: Path) -> None:
    """Each is trained: the default, a draw of everything it searches, and the winner again."""
    found = thalweg.compare(
        script(QUICK), [*CATALOGUE, *WRAPPED], trials=2, seeds=2, store=tmp_path / "all.sqlite", engine=Serial()
    )
    statuses = {(cell.called, run.status) for cell, run in found.trainings}
    assert {rule for rule, _ in statuses} == {*CATALOGUE, *WRAPPED}
    # A drawn rate may be too large for a task of three steps; nothing may fail.
    assert {status for _, status in statuses} <= {"done", "diverged"}
    average, plain = (
        next(run for cell, run in found.trainings if cell.called == f"adamw{which}")
        for which in ("+weightaverage:ema=0.5", "")
    )
    assert average.curves["test_loss"] != plain.curves["test_loss"]
    assert all((rule, "done") in statuses for rule in (*CATALOGUE, *WRAPPED))


@pytest.mark.parametrize("reference", [*CONVENTIONS, *WRAPPED])
def test_a_reference_is_its_own_label(reference: str) -> None:
    """So that what is printed can be typed again, and workers find the same rule."""
    found = resolve_method(reference)
    assert found.label == reference
    assert find_rule(found.source) is found.method.rule
    assert resolve_method(found.label).hash == found.hash


def test_conventions_and_wrappers_are_part_of_what_a_rule_is() -> None:
    references = [
        "rmsprop",
        "rmsprop:like=tf1",
        "rmsprop+lookahead",
        "rmsprop+lookahead+cautious",
        "rmsprop:like=keras",
    ]
    assert len({resolve_method(each).hash for each in references}) == len(references)


def test_classes_are_found_again() -> None:
    wrapped = thalweg.wrap(thalweg.wrap(thalweg.AdamW, Lookahead), Cautious)
    assert resolve_method(wrapped).label == "adamw+lookahead+cautious"
    assert resolve_method(like(CATALOGUE["rmsprop"], "tf1")).label == "rmsprop:like=tf1"
    assert resolve_method(wrapped).method.rule is wrapped.rule


def test_a_wrapper_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text = """
from thalweg.formula import Hyper, Rule, Wrapper

class Plain(Rule):
    lr = Hyper(0.1)

    @staticmethod
    def step(g, lr):
        return lr * g

class Halved(Wrapper):
    share = Hyper(0.5)

    @staticmethod
    def step(d, share):
        return share * d
"""
    path.write_text(text)
    found = resolve_method(f"{path}:Plain+{path}:Halved+lookahead:share=0.25")
    assert found.label == "Plain+Halved+lookahead:share=0.25"
    assert found.fixed == {"share": 0.25}
    assert found.source == f"{path}:Plain+{path}:Halved+lookahead"
    path.write_text(text + "\n# changed\n")
    assert resolve_method(f"{path}:Plain").hash != found.hash
    with pytest.raises(StudyError, match=r"has no 'Halve'; did you mean Halved\? Wrappers in it: Halved"):
        resolve_method(f"adamw+{path}:Halve")
    path.write_text("import thalweg\n" + text.replace("class Plain", "@thalweg.optimizer\nclass Plain"))
    with pytest.raises(StudyError, match=r"has no 'Plane'; did you mean Plain\? Rules in it: Plain"):
        resolve_method(f"{path}:Plane")
    with pytest.raises(StudyError, match=r"Plain in .* is no subclass of thalweg\.Wrapper"):
        resolve_method(f"adamw+{path}:Plain")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("rmsprop:like=tf2", r"rule rmsprop has no convention 'tf2'; did you mean tf1\? It has: keras, optax"),
        ("lion:like=torch", "rule lion has no convention 'torch'. It has none but its own"),
        ("adamw+lokahead", r"there is no wrapper 'lokahead'; did you mean lookahead\? The catalogue: cautious"),
        ("adamw+", "there is no wrapper ''"),
        ("adamw+lookahead+lookahead", "both declare 'k'"),
        ("adamw+lookahead:slow_stp=1", "has no hyperparameter 'slow_stp'; did you mean slow_step"),
        ("lookahead", r"lookahead is a wrapper, which goes around a rule: write adamw\+lookahead"),
        ("my_rules.py", r"rule my_rules.py: say which class of it, for instance my_rules.py:MyRule"),
        ("lbfgs", r"LBFGS is left to torch\.optim\.LBFGS"),
    ],
)
def test_refused_in_words(reference: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        resolve_method(reference)


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.inner, self.norm = torch.nn.Embedding(7, 4), torch.nn.Linear(4, 4), torch.nn.LayerNorm(4)


def test_a_comparison_holds_matrices_alone() -> None:
    """And searches the others' rate by the name of their group."""
    method = resolve_method("adam+hyperball:no_decay.lr=1e-4..1e-2").method
    assert method.rule is wrapped(CATALOGUE["adam"], Hyperball)
    made = method.build(Network(), {"lr": 0.01, "no_decay.lr": 0.001}, {})
    assert [(group["name"], group["lr"], group["hold_norm"]) for group in made.param_groups] == [
        ("decay", 0.01, True),
        ("no_decay", 0.001, False),
    ]
    floored = resolve_method("adamw+updatefloor").method.build(Network(), {"weight_decay": 0.1}, {})
    assert [(g["least_update"], g["weight_decay"]) for g in floored.param_groups] == [(0.35, 0.1), (0.0, 0.1)]
