"""thalweg.create, and named groups in use: steps, schedules, checkpoints."""

import pickle
from typing import Any

import pytest
import torch
from torch import nn

import thalweg
from standin_models import GPT2, WIDTH, Bert, transformer
from thalweg import create, param_groups
from thalweg.formula import Hyper, Rule


class Plain(Rule):
    """A rule without weight decay."""

    lr = Hyper(0.1)

    @staticmethod
    def step(g, lr):
        return lr * g


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> torch.Tensor:
    """All weights after some steps of regression."""
    seeded = torch.Generator().manual_seed(3)
    for _ in range(steps):
        x = torch.randn(4, 5, WIDTH, generator=seeded, dtype=torch.float64)
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    return torch.cat([param.detach().reshape(-1) for param in model.parameters()])


def model() -> nn.Module:
    torch.manual_seed(0)
    return transformer().double().eval()


def settings(optimizer: torch.optim.Optimizer, *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(group[key] for key in keys) for group in optimizer.param_groups]


def test_by_name_on_a_model() -> None:
    for name in ("adamw", "AdamW", "ADAMW"):
        made = create(name, Bert(), lr=3e-4, betas=(0.8, 0.9), clip_norm=1.0)
        assert type(made) is thalweg.AdamW
        assert made.clip_norm == 1.0
        assert settings(made, "name", "lr", "weight_decay", "betas") == [
            ("decay", 3e-4, 0.01, (0.8, 0.9)),
            ("no_decay", 3e-4, 0.0, (0.8, 0.9)),
        ]
        assert made.defaults["lr"] == 3e-4


def test_what_is_not_given_is_the_rules_own() -> None:
    assert settings(create("lion", Bert()), "lr", "weight_decay") == [(1e-4, 0.0)] * 2
    assert settings(create("adamw", Bert(), weight_decay=0.2), "lr", "weight_decay") == [(1e-3, 0.2), (1e-3, 0.0)]


def test_grouping_reaches_the_groups() -> None:
    made = create("adamw", Bert(), lr=0.8, layer_decay=0.5, no_decay=["bias"], depth=["bert.encoder.layer"])
    assert settings(made, "name", "lr")[-1] == ("depth_0_no_decay", 0.05)
    (embeddings,) = [group for group in made.param_groups if group["name"] == "depth_0_decay"]
    assert "bert.embeddings.LayerNorm.weight" in embeddings["param_names"]
    frozen = Bert().requires_grad_(False)
    assert sum(len(group["params"]) for group in create("sgd", frozen, frozen=True).param_groups) == len(
        list(frozen.parameters())
    )


def test_a_rule_or_a_class_in_place_of_the_name() -> None:
    assert type(create(thalweg.AdamW, Bert())) is thalweg.AdamW
    # The catalogue's own class, which pickle finds again.
    assert type(create(thalweg.AdamW.rule, Bert())) is thalweg.AdamW
    assert create(Plain, Bert(), lr=0.5).rule is Plain
    own = thalweg.optimizer(Plain)
    assert type(create(own, Bert())) is own


def test_a_rule_without_weight_decay_has_one_group() -> None:
    (only,) = create(Plain, Bert()).param_groups
    assert "weight_decay" not in only
    assert len(only["params"]) == len(list(Bert().parameters()))
    with pytest.raises(TypeError, match="Plain takes no 'weight_decay'"):
        create(Plain, Bert(), weight_decay=0.1)


def test_parameters_are_taken_as_they_are() -> None:
    net = Bert()
    for params in (net.parameters(), list(net.parameters()), net.named_parameters()):
        (only,) = create("sgd", params, lr=0.5, weight_decay=0.25).param_groups
        assert (len(only["params"]), only["lr"], only["weight_decay"]) == (len(list(net.parameters())), 0.5, 0.25)
    grouped = create("sgd", param_groups(net), weight_decay=0.25)
    assert settings(grouped, "weight_decay") == [(0.25,), (0.0,)]
    for asked in ({"layer_decay": 0.5}, {"no_decay": ["bias"]}, {"depth": len}, {"frozen": True}):
        with pytest.raises(TypeError, match=f"{next(iter(asked))} needs to know the model: give create the model"):
            create("sgd", net.parameters(), lr=0.1, **asked)


@pytest.mark.parametrize(
    ("rule", "kind", "says"),
    [
        (
            "adamx",
            ValueError,
            "there is no rule 'adamx'; did you mean 'adamax'.* The catalogue: adabelief, .*, stableadamw",
        ),
        ("zzz", ValueError, r"there is no rule 'zzz'\. The catalogue"),
        (torch.optim.AdamW, TypeError, r"made from the groups: Other\(thalweg.param_groups"),
        (Rule, TypeError, "create takes the name of a rule"),
        (thalweg.Optimizer, TypeError, "create takes the name of a rule"),
        (None, TypeError, "create takes the name of a rule"),
    ],
)
def test_what_is_no_rule(rule: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        create(rule, Bert())


def test_options_that_do_not_exist_or_do_not_go_together() -> None:
    with pytest.raises(TypeError, match="AdamW takes no 'momentum'; it takes lr, betas"):
        create("adamw", Bert(), momentum=0.9)
    with pytest.raises(ValueError, match="give lr too"):
        create("adamw", Bert(), layer_decay=0.9)


def by_hand(net: nn.Module, layer_decay: float) -> list[dict[str, Any]]:
    """The groups of a transformer of 3 layers and a last norm, written out."""
    found = []
    for name, param in net.named_parameters():
        depth = int(name.split(".")[1]) + 1 if name.startswith("layers") else 4
        decay = 0.0 if "bias" in name or "norm" in name else 0.3
        found.append({"params": [param], "lr": 0.01 * layer_decay ** (4 - depth), "weight_decay": decay})
    return found


def test_steps_as_with_groups_written_by_hand() -> None:
    """Against torch, whose optimizer takes our groups as well."""
    theirs, ours, mixed, flat = (model() for _ in range(4))
    expected = train(theirs, torch.optim.AdamW(by_hand(theirs, 0.5)))
    made = create("adamw", ours, lr=0.01, weight_decay=0.3, layer_decay=0.5)
    # The gradient of the keys' biases is rounding alone, which Adam divides by eps.
    assert torch.allclose(train(ours, made), expected, rtol=1e-12, atol=1e-11)
    grouped = torch.optim.AdamW(param_groups(mixed, lr=0.01, weight_decay=0.3, layer_decay=0.5))
    assert torch.equal(train(mixed, grouped), expected)
    assert not torch.allclose(train(flat, torch.optim.AdamW(flat.parameters(), lr=0.01)), expected, rtol=1e-3)


@pytest.mark.parametrize("tensor", [False, True], ids=["number", "tensor"])
def test_schedules_scale_every_group(tensor: bool) -> None:
    made = create("adamw", model(), lr=torch.tensor(0.8) if tensor else 0.8, layer_decay=0.5)
    start = [float(rate) for (rate,) in settings(made, "lr")]
    assert start[0] == pytest.approx(0.8)
    assert min(start) == pytest.approx(0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(made, lambda epoch: 0.1 if epoch else 1.0)
    assert [float(rate) for (rate,) in settings(made, "initial_lr")] == pytest.approx(start)
    made.step()
    schedule.step()
    assert [float(rate) for (rate,) in settings(made, "lr")] == pytest.approx([0.1 * rate for rate in start])
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(made, factor=0.5, patience=0, threshold=0.0)
    plateau.step(1.0)
    plateau.step(2.0)
    assert [float(rate) for (rate,) in settings(made, "lr")] == pytest.approx([0.05 * rate for rate in start])


def test_a_checkpoint_has_the_names_and_goes_on() -> None:
    whole, broken = model(), model()
    first, second = (create("adamw", net, lr=0.01, layer_decay=0.5) for net in (whole, broken))
    train(whole, first)
    train(broken, second)
    saved = pickle.loads(pickle.dumps(second.state_dict()))
    listed = [name for group in saved["param_groups"] for name in group["param_names"]]
    assert sorted(listed) == sorted(name for name, _ in broken.named_parameters())
    again = create("adamw", broken, lr=0.5, layer_decay=0.9)
    again.load_state_dict(saved)
    assert settings(again, "name", "lr") == settings(first, "name", "lr")
    assert torch.equal(train(broken, again), train(whole, first))


def test_names_in_errors() -> None:
    net = GPT2()
    made = create("adamw", net, nonfinite="raise")
    for param in net.parameters():
        param.grad = torch.zeros_like(param)
    net.transformer["h"][1].attn["c_attn"].weight.grad[0, 0] = float("nan")  # type: ignore[union-attr, index]
    with pytest.raises(thalweg.NonFiniteGradient, match=r"in 'transformer\.h\.1\.attn\.c_attn\.weight'"):
        made.step()


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")
@pytest.mark.parametrize("flat", [False, True])
def test_distributed_checkpoints_take_the_groups(flat: bool) -> None:
    from torch.distributed.checkpoint import state_dict as dcp

    options = dcp.StateDictOptions(flatten_optimizer_state_dict=flat)
    net = model()
    made = create("adamw", net, lr=0.01, weight_decay=0.3, layer_decay=0.5)
    train(net, made)
    made.zero_grad()  # a fresh optimizer's states are prepared only where there are no gradients
    saved = dcp.get_optimizer_state_dict(net, made, options=options)
    twin = create("adamw", net, lr=0.5, layer_decay=0.9)
    dcp.set_optimizer_state_dict(net, twin, saved, options=options)
    assert settings(twin, "name", "lr", "weight_decay") == settings(made, "name", "lr", "weight_decay")
    for param in net.parameters():
        assert torch.equal(twin.state[param]["exp_avg"], made.state[param]["exp_avg"])


def test_the_package_offers_them() -> None:
    offered = {"create", "param_groups", "ParamGroups", "ModelParameter", "NO_DECAY"}
    assert offered <= set(dir(thalweg))
    assert all(getattr(thalweg, name) is getattr(thalweg.optim, name) for name in offered)
