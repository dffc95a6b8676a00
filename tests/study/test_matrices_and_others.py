"""A rule for the matrices of a model and another for all else, as one contender of a comparison."""

import pytest
import torch

from thalweg.study.ask.method_references import find_method, resolve_method
from thalweg.study.ask.spec import resolve, study
from thalweg.study.model.errors import StudyError


def network() -> torch.nn.Sequential:
    """One matrix inside; an embedding, a bias, a norm and an output layer beside it."""
    nn = torch.nn
    return nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2))


def test_what_holds_for_every_rule_reaches_both() -> None:
    method = find_method("muon").method
    whole = {"clip_value": 0.5, "ema": 0.9, "maximize": True, "decay": "independent"}
    made = method.build(network(), {"lr": 0.1, "others.lr": 0.2, "others.beta1": 0.8}, whole)
    assert [group["rule"] for group in made.param_groups] == ["Muon", "AdamW"]
    for group in made.param_groups:
        assert {key: group[key] for key in whole} == whole
    matrices, others = made.param_groups
    assert (matrices["lr"], others["lr"], others["betas"]) == (0.1, 0.2, (0.8, 0.999))


def test_decay_is_only_of_others_that_leave_it_to_be_chosen() -> None:
    made = find_method("muon:others=lars").method.build(network(), {}, {"decay": "independent"})
    assert [group.get("decay") for group in made.param_groups] == ["independent", None]


def test_what_goes_around_the_others_leaves_alone_what_is_exempt() -> None:
    """The output's weight is held; embedding, norm and biases are not. All have the decay that was chosen."""
    method = find_method("muon:others=adam+hyperball").method
    made = method.build(network(), {"others.lr": 0.1, "others.weight_decay": 0.0}, {})
    held = {name: group.get("hold_norm") for group in made.param_groups for name in group["param_names"]}
    assert held == {
        "1.weight": None, "3.weight": True,
        "0.weight": False, "1.bias": False, "2.weight": False, "2.bias": False, "3.bias": False,
    }  # fmt: skip
    floored = find_method("muon:others=adamw+updatefloor").method
    made = floored.build(network(), {"weight_decay": 0.3, "others.weight_decay": 0.1}, {})
    assert [(g["weight_decay"], g.get("least_update")) for g in made.param_groups] == [
        (0.3, None), (0.1, 0.35), (0.1, 0.0),
    ]  # fmt: skip


def test_a_label_says_which_others() -> None:
    labels = {
        "muon": ("muon", "Muon"),
        "muon:others=adamw": ("muon", "Muon"),
        "muon:others=lion": ("muon:others=lion", "Muon (others=lion)"),
        "muon:others=lion:lr=0.1..0.2": ("muon:others=lion", "Muon (others=lion)"),
        "muon+lookahead:others=Adam+Hyperball:lr=0.1": ("muon+lookahead:others=adam+hyperball:lr=0.1", None),
        "torch.optim.Muon:others=adamw:lr=0.1": ("torch.optim.Muon:others=adamw:lr=0.1", None),
    }
    for reference, (label, name) in labels.items():
        found = resolve_method(reference)
        assert found.label == label
        assert name is None or found.name == name
    assert resolve_method("muon:others=lion:lr=0.1..0.2").full_label == "muon:others=lion:lr=0.1..0.2"
    assert resolve_method("muon").hash == resolve_method("muon:others=adamw").hash


def test_what_differs_by_its_others_can_be_compared() -> None:
    plan = resolve(study("digits-mlp", ["muon:others=adamw", "muon:others=lion"], trials=3))
    assert [rule.label for rule in plan.rules] == ["muon", "muon:others=lion"]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("muon:matrices.lr=0.1", r"no hyperparameter 'matrices.lr': .* write lr of the one, others.lr of the other"),
        ("torch.optim.Muon:others=adamw:lr=0.1:head.lr=0.1", "write lr of the one, others.lr of the other"),
        (
            "muon:others=soap",
            "others= names what updates all that is no matrix, and soap is for matrices: write others=",
        ),
        ("torch.optim.Muon:others=muon:lr=0.1", "and muon is for matrices"),
    ],
)
def test_refused_in_words(reference: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        resolve_method(reference)
