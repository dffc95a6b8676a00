"""Learning rates by depth: where each parameter of a known architecture is, and what its rate is then."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from standin_models import (
    GPT2,
    MODELS,
    T5,
    WIDTH,
    Bert,
    BertOutput,
    Llama,
    ResNet,
    TimmVisionTransformer,
    VisionTransformer,
    transformer,
)
from thalweg import param_groups
from thalweg.optim.depth import depths
from thalweg.optim.kinds import model_parameters


def by_name(model: nn.Module, depth: Any = None) -> dict[str, int]:
    found = depths(model, model_parameters(model), depth)
    return {name: found[param] for name, param in model.named_parameters()}


def by_module(model: nn.Module, depth: Any = None) -> dict[str, set[int]]:
    """The depths below each module and parameter, by the first two parts of the name."""
    found: dict[str, set[int]] = {}
    for name, here in by_name(model, depth).items():
        found.setdefault(".".join(name.split(".")[:2]), set()).add(here)
    return found


def in_blocks(model: nn.Module, path: str) -> list[set[int]]:
    """The depths in each block of a list."""
    found = by_name(model)
    blocks = model.get_submodule(path).named_children()
    return [{d for name, d in found.items() if name.startswith(f"{path}.{own}.")} for own, _ in blocks]


@pytest.mark.parametrize(
    ("build", "path", "first", "last"),
    [
        (VisionTransformer, "encoder.layers", ["class_token", "conv_proj", "encoder.pos_emb"], ["encoder.ln", "heads"]),
        (TimmVisionTransformer, "blocks", ["cls_token", "pos_embed", "latent", "patch_embed"], ["norm", "head"]),
        (Bert, "bert.encoder.layer", ["bert.embeddings"], ["bert.pooler", "classifier"]),
        (GPT2, "transformer.h", ["transformer.wte", "transformer.wpe"], ["transformer.ln_f"]),
        (Llama, "model.layers", ["model.embed_tokens"], ["model.norm", "lm_head"]),
    ],
)  # fmt: skip
def test_embeddings_blocks_head(build: Callable[[], nn.Module], path: str, first: list[str], last: list[str]) -> None:
    model = build()
    assert in_blocks(model, path) == [{1}, {2}, {3}]
    outside = {name: d for name, d in by_name(model).items() if not name.startswith(path)}
    for name, here in outside.items():
        assert here == (0 if name.startswith(tuple(first)) else 4), name
        assert name.startswith((*first, *last))
    assert set(outside.values()) == {0, 4}


def test_the_rate_of_each_depth() -> None:
    """lr * decay ** (deepest - depth), as in BEiT: the head lr itself, embeddings lr * decay ** (blocks + 1)."""
    groups = param_groups(TimmVisionTransformer(), lr=0.8, weight_decay=0.1, layer_decay=0.5)
    rates = {group["name"]: (group["lr"], group["weight_decay"]) for group in groups}
    assert rates == {
        f"depth_{d}_{kind}": (0.8 * 0.5 ** (4 - d), decay)
        for d in range(5)
        for kind, decay in (("decay", 0.1), ("no_decay", 0.0))
    }
    assert [group["name"] for group in groups][:3] == ["depth_4_decay", "depth_4_no_decay", "depth_3_decay"]
    at = {name: group["lr"] for group in groups for name, _ in group["params"]}
    assert at["head.weight"] == 0.8
    assert at["blocks.2.norm1.weight"] == 0.4
    assert at["pos_embed"] == 0.05


def test_without_a_head_the_last_block_has_the_whole_rate() -> None:
    model = transformer()
    model.norm = None
    assert set(by_name(model).values()) == {1, 2, 3}
    assert param_groups(model, lr=0.1, layer_decay=0.5)[0]["lr"] == 0.1


def test_frozen_parameters_count_for_the_depth() -> None:
    """Training only the first blocks of a model does not raise their rate."""
    model = Bert()
    model.classifier.requires_grad_(False)
    model.bert["pooler"].requires_grad_(False)
    assert param_groups(model, lr=0.8, layer_decay=0.5)[0]["lr"] == 0.4


def test_tied_parameters_have_the_smallest_depth() -> None:
    assert by_name(GPT2())["transformer.wte.weight"] == 0
    assert by_name(GPT2(tied=False))["lm_head.weight"] == 4
    backwards = {"transformer.wte.weight": 7, "lm_head.weight": 2}
    assert by_name(GPT2(), lambda name: backwards.get(name, 9))["transformer.wte.weight"] == 2


def test_a_block_in_two_lists_has_the_smaller_depth() -> None:
    shared = BertOutput()
    model = nn.ModuleDict({name: nn.ModuleList([shared, BertOutput()]) for name in "ab"})
    found = by_name(model, ["a", "b"])
    assert [found[f"{name}.dense.weight"] for name in ("a.0", "a.1", "b.1")] == [1, 2, 4]


def test_an_embedding_that_is_registered_after_the_blocks() -> None:
    model = nn.Module()
    model.blocks = VisionTransformer().encoder.layers
    model.embed = nn.Embedding(5, WIDTH)
    model.head = nn.Linear(WIDTH, 5)
    assert {by_name(model)[name] for name in ("embed.weight", "head.weight")} == {0, 4}


def test_only_the_outermost_list_counts() -> None:
    """More experts in a block than blocks."""
    model = Bert(depth=2)
    for layer in model.bert["encoder"]["layer"]:
        layer.experts = nn.ModuleList(BertOutput() for _ in range(5))
    assert in_blocks(model, "bert.encoder.layer") == [{1}, {2}]
    # The list of a wrapped model is found too, and counts once if the model has two names for it.
    wrapped = nn.Module()
    wrapped.module = model
    wrapped.same = model.bert["encoder"]
    for depth in (None, ["module.bert.encoder.layer"], ["same.layer"]):
        assert set(by_name(wrapped, depth).values()) == {0, 1, 2, 3}
        assert by_name(wrapped, depth)["module.bert.encoder.layer.1.output.dense.weight"] == 2


def test_layers_in_a_row() -> None:
    """A norm belongs to the layer before it."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.PReLU(),
        nn.Flatten(), nn.Linear(4, 2),
    )  # fmt: skip
    found = by_name(model)
    assert [found[f"{i}.weight"] for i in (0, 1, 3, 4, 6)] == [1, 1, 2, 2, 3]


def test_a_row_of_containers_is_no_list_of_blocks() -> None:
    model = nn.Sequential(ResNet().layer2, nn.Sequential(nn.Conv2d(4, 4, 1), nn.Sequential(nn.Conv2d(4, 2, 1))))
    found = by_module(model)
    assert [found[f"0.{i}"] for i in range(3)] == [{1}, {2}, {3}]
    assert found["1.0"] == found["1.1"] == {4}


def test_several_lists_have_to_be_put_in_order() -> None:
    with pytest.raises(ValueError, match=r"several lists of blocks: layer1, layer2; .* depth=\['layer1', 'layer2'\]"):
        by_name(ResNet())
    found = by_module(ResNet(), ["layer1", "layer2"])
    assert [found[f"layer1.{i}"] for i in range(2)] == [{1}, {2}]
    assert [found[f"layer2.{i}"] for i in range(3)] == [{3}, {4}, {5}]
    assert found["conv1.weight"] == found["bn1.bias"] == {0}
    assert found["fc.weight"] == {6}


def test_between_two_lists() -> None:
    found = by_module(T5(), ["encoder.block", "decoder.block"])
    assert found["shared.weight"] == {0}
    assert found["encoder.block"] == {1, 2}
    assert found["encoder.final_layer_norm"] == {2}
    assert found["decoder.block"] == {3, 4}
    assert found["decoder.final_layer_norm"] == found["lm_head.weight"] == {5}
    # A table inside a block is as deep as the block.
    assert by_name(T5(), ["encoder.block", "decoder.block"])["decoder.block.0.relative_attention_bias.weight"] == 3


def test_the_model_of_one_block() -> None:
    with pytest.raises(ValueError, match="no list of repeated blocks"):
        by_name(Bert(depth=1))
    assert set(by_name(Bert(depth=1), ["bert.encoder.layer"]).values()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("depth", "kind", "says"),
    [
        (["bert.encoder.layers"], ValueError, "no module 'bert.encoder.layers'; did you mean 'bert.encoder.layer'"),
        (["bert.embeddings.LayerNorm"], ValueError, "'bert.embeddings.LayerNorm' holds no blocks"),
        ("bert.encoder.layer", TypeError, r"write depth=\['bert.encoder.layer'\]"),
        ([], ValueError, "depth must name at least one list of blocks"),
        (lambda name: len(name) / 2, ValueError, r"depth\('bert.* must be a whole number from 0, got [\d.]+"),
        (lambda name: None, ValueError, "must be a whole number from 0, got None"),
        (lambda name: -1, ValueError, "must be a whole number from 0, got -1"),
    ],
)  # fmt: skip
def test_depths_that_cannot_be(depth: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        param_groups(Bert(), lr=0.1, layer_decay=0.9, depth=depth)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layer_decay": 0.9}, "give lr too"),
        ({"layer_decay": 0.0, "lr": 0.1}, "layer_decay must be above 0 and at most 1"),
        ({"layer_decay": 1.1, "lr": 0.1}, "layer_decay must be above 0 and at most 1"),
        ({"depth": ["bert.encoder.layer"], "lr": 0.1}, "depth is used by layer_decay alone"),
    ],
)
def test_arguments_that_do_not_go_together(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        param_groups(Bert(), **options)


def test_a_rate_that_is_a_tensor_is_shared_by_no_two_groups() -> None:
    """Schedulers write into it."""
    for options in ({}, {"layer_decay": 0.5}):
        lr = torch.tensor(0.1)
        groups = param_groups(Bert(), lr=lr, **options)  # type: ignore[arg-type]
        assert len({id(rate) for rate in [lr, *(group["lr"] for group in groups)]}) == len(groups) + 1
        assert groups[0]["lr"] == lr


@given(
    st.sampled_from([name for name in MODELS if name not in ("t5", "resnet")]),
    st.floats(0.01, 1.0),
    st.dictionaries(st.integers(0, 40), st.integers(0, 5), max_size=8),
)
def test_every_parameter_has_the_rate_of_its_depth(name: str, layer_decay: float, chosen: dict[int, int]) -> None:
    model = MODELS[name]()
    place = {name: i for i, (name, _) in enumerate(model.named_parameters())}
    for depth in (None, lambda name: chosen.get(place.get(name, 0), 3)):
        found = by_name(model, depth)
        groups = param_groups(model, lr=0.5, layer_decay=layer_decay, depth=depth)
        rates = {name: group["lr"] for group in groups for name, _ in group["params"]}
        assert rates.keys() == found.keys()
        assert rates == {name: 0.5 * layer_decay ** (max(found.values()) - d) for name, d in found.items()}
        assert groups[0]["lr"] == max(rates.values()) == 0.5
