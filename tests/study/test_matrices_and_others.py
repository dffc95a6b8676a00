"""A rule for the matrices of a model and another for all else, as one contender of a comparison."""


import torch

from thalweg.study.ask.method_references import find_method


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
