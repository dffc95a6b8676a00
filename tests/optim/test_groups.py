"""Parameter groups: what is exempt from weight decay, in models as people have them, and the table that says so."""

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

import thalweg
from standin_models import GPT2, MODELS, T5, WIDTH, Bert, Llama, TimmVisionTransformer, VisionTransformer, convolutions
from thalweg import NO_DECAY, ParamGroups, param_groups
from thalweg.optim.kinds import model_parameters

each_model = pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)


def spared(model: nn.Module, **options: Any) -> set[str]:
    """The names of what is not decayed."""
    groups = param_groups(model, weight_decay=0.1, **options)
    return {name for group in groups if group["weight_decay"] == 0 for name, _ in group["params"]}


def kinds(model: nn.Module) -> dict[str, set[str]]:
    return {p.name: set(p.kinds) for p in model_parameters(model)}


def names(groups: list[dict[str, Any]]) -> list[str]:
    return [name for group in groups for name, _ in group["params"]]


class Raw(nn.Module):
    """Parameters that stand on a module of no known type."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.ones(shape)))


# What is exempt


@each_model
def test_every_parameter_exactly_once(build: Callable[[], nn.Module]) -> None:
    model = build()
    groups = param_groups(model)
    assert sorted(names(groups)) == sorted(name for name, _ in model.named_parameters())
    params = [param for group in groups for _, param in group["params"]]
    assert {id(param) for param in params} == {id(param) for param in model.parameters()}
    assert len(params) == len(list(model.parameters()))
    assert all(model.get_parameter(name) is param for group in groups for name, param in group["params"])


def test_norms_biases_and_vectors_of_a_convolutional_net() -> None:
    weights = {"0.weight", "3.weight", "6.weight", "10.weight"}
    model = convolutions()
    assert spared(model) == {name for name, _ in model.named_parameters()} - weights
    found = kinds(model)
    assert found["1.weight"] == found["4.weight"] == found["7.weight"] == {"norm", "vector"}
    assert found["1.bias"] == {"norm", "bias", "vector"}
    assert found["2.weight"] == {"vector"}
    assert found["10.bias"] == {"bias", "vector"}


def test_biases_by_their_name_in_layers_with_several() -> None:
    attention = nn.MultiheadAttention(WIDTH, 2, add_bias_kv=True, kdim=4, vdim=6)
    assert spared(attention) == {"in_proj_bias", "bias_k", "bias_v", "out_proj.bias"}
    recurrent = nn.LSTM(4, WIDTH, num_layers=2, bidirectional=True, proj_size=3)
    assert spared(recurrent, no_decay=["bias"]) == {n for n, _ in recurrent.named_parameters() if n.startswith("bias")}
    assert spared(Raw(relative_position_bias_table=(9, 2), unbiased=(3, 3))) == {"relative_position_bias_table"}


@pytest.mark.parametrize(
    "norm",
    [
        nn.LayerNorm((3, 4)),
        nn.RMSNorm((3, 4)),
        nn.SyncBatchNorm(4),
        nn.GroupNorm(2, 4),
        nn.InstanceNorm3d(4, affine=True),
        type("LlamaRMSNorm", (Raw,), {})(weight=(4,)),
        type("T5LayerNorm", (Raw,), {})(weight=(4,)),
        type("RMSNormGated", (Raw,), {})(weight=(4,)),
        type("GlobalResponseNorm", (Raw,), {})(gamma=(1, 1, 1, 4), beta=(1, 1, 1, 4)),
        type("Renamed", (type("MyNorm", (Raw,), {}),), {})(gain=(4,)),
    ],
    ids=lambda norm: type(norm).__name__,
)
def test_norms_by_type_or_by_the_word_in_the_class_name(norm: nn.Module) -> None:
    assert spared(norm, no_decay=["norm"]) == {name for name, _ in norm.named_parameters()}


def test_what_is_named_like_a_norm_and_is_none() -> None:
    """A layer with a norm inside keeps decay for its matrix; Normal is another word."""
    fused = type("LayerNormLinear", (Raw,), {})(layer_norm_weight=(4,), weight=(6, 4), bias=(6,))
    assert spared(fused, no_decay=["norm"]) == {"layer_norm_weight", "bias"}
    assert spared(fused) == {"layer_norm_weight", "bias"}
    assert spared(type("NormalDistribution", (Raw,), {})(mean=(1, 4)), no_decay=["norm"]) == set()


def test_embeddings_by_type_and_tables_by_their_last_word() -> None:
    model = nn.ModuleDict({"a": nn.Embedding(5, 3), "b": nn.EmbeddingBag(5, 3), "c": nn.Linear(3, 5, bias=False)})
    assert spared(model) == {"a.weight", "b.weight"}
    tables = Raw(
        pos_embed=(1, 5, 4), cls_token=(1, 1, 4), positional_embedding=(5, 4), tokens=(2, 4), embed=(5, 4),
        token_mixing=(5, 5), embedding_projection=(4, 4),
    )  # fmt: skip
    assert spared(tables) == {"pos_embed", "cls_token", "positional_embedding", "tokens", "embed"}


def test_vectors_are_of_one_dimension_or_none() -> None:
    raw = Raw(gamma=(4,), logit_scale=(), layer_scale=(4, 1, 1), w=(4, 1))
    assert spared(raw) == {"gamma", "logit_scale"}
    assert kinds(raw) == {"gamma": {"vector"}, "logit_scale": {"vector"}, "layer_scale": set(), "w": set()}


def test_what_the_model_declares_itself() -> None:
    """timm's method, also in a model inside another, and the mark on parameters of state-space models."""
    whole = nn.ModuleDict({"backbone": TimmVisionTransformer()})
    assert kinds(whole)["backbone.latent"] == {"declared"}
    assert "backbone.latent" in spared(whole)
    assert "backbone.latent" not in spared(whole, no_decay=set(NO_DECAY) - {"declared"})
    marked = Raw(A_log=(4, 4), B=(4, 4))
    marked.A_log._no_weight_decay = True  # type: ignore[union-attr]
    assert spared(marked) == {"A_log"}


def test_timm_users_get_timm_groups() -> None:
    """Its rule: one dimension or less, a bias by name, or what the model lists."""
    model = TimmVisionTransformer()
    listed = model.no_weight_decay()
    theirs = {n for n, p in model.named_parameters() if p.ndim <= 1 or n.endswith(".bias") or n in listed}
    assert len(theirs) < len(list(model.parameters()))
    assert spared(model) == theirs
    assert spared(model, no_decay=["vector", "declared"]) == theirs


HF_PATTERNS = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)")


def hf_spared(model: nn.Module) -> set[str]:
    """What the Trainer of transformers does not decay: inside an nn.LayerNorm, or a name that matches a pattern."""
    inside = tuple(path for path, module in model.named_modules() if isinstance(module, nn.LayerNorm))
    return {
        name
        for name, _ in model.named_parameters()
        if name.rpartition(".")[0] in inside or HF_PATTERNS.search(name.lower())
    }


@pytest.mark.parametrize(
    "build", [Bert, GPT2, lambda: GPT2(tied=False), Llama, T5, VisionTransformer, TimmVisionTransformer]
)
def test_like_the_trainer_of_transformers_but_for_embeddings_and_gains(build: Callable[[], nn.Module]) -> None:
    model = build()
    theirs = hf_spared(model)
    found = kinds(model)
    embeddings = {name for name in found if found[name] & {"embedding", "declared"}}
    gains = {name for name in found if name.endswith("gamma")}
    assert theirs
    assert spared(model) == theirs | embeddings | gains
    assert spared(model, no_decay=["bias", "norm"]) == theirs - embeddings
    assert {name for name in found if "wte" in name or "word_emb" in name or "pos_embed" in name} <= embeddings | {
        "transformer.wte.weight"
    }


# Knobs


def test_kinds_patterns_and_a_function_decide() -> None:
    model = Bert()
    everything = {name for name, _ in model.named_parameters()}
    embeddings = {name for name in everything if "_embeddings" in name}
    assert embeddings == spared(model, no_decay=["embedding"])
    assert spared(model, no_decay=["bias", "norm", "vector", "declared"]) == spared(model) - embeddings
    assert spared(model, no_decay=()) == set()
    assert spared(model, no_decay=["*.query.weight", "classifier.*"]) == {
        *(f"bert.encoder.layer.{i}.attention.self.query.weight" for i in range(3)),
        "classifier.weight",
        "classifier.bias",
    }
    assert spared(model, no_decay=(*NO_DECAY, "classifier.weight")) == spared(model) | {"classifier.weight"}
    seen = []

    def pooler_is_spared(p: thalweg.ModelParameter) -> bool:
        seen.append((p.name, type(p.modules[0])))
        return "pooler" in p.name and isinstance(p.modules[0], nn.Linear) and "bias" not in p.kinds

    assert spared(model, no_decay=pooler_is_spared) == {"bert.pooler.dense.weight"}
    assert sorted(name for name, _ in seen) == sorted(everything)
    assert ("bert.embeddings.LayerNorm.weight", nn.LayerNorm) in seen


@pytest.mark.parametrize(
    ("no_decay", "says"),
    [
        (["bias", "LayerNorm.weight"], r"'LayerNorm.weight' is none of the kinds .*; .* write '\*LayerNorm.weight\*'"),
        (["biases"], "'biases' is none of the kinds bias, norm, .*; did you mean 'bias'"),
        (["bert.pooler.dense.wieght"], "did you mean 'bert.pooler.dense.weight'"),
        (["?"], "the first one is called 'bert.embeddings.word_embeddings.weight'"),
    ],
)
def test_a_pattern_that_matches_nothing(no_decay: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        param_groups(Bert(), no_decay=no_decay)


def test_one_word_for_several() -> None:
    with pytest.raises(TypeError, match=r"write no_decay=\('bias',\)"):
        param_groups(Bert(), no_decay="bias")


def test_what_is_not_given_is_left_to_the_optimizer() -> None:
    decayed, exempt = param_groups(Bert())
    assert (decayed["name"], exempt["name"]) == ("decay", "no_decay")
    assert decayed.keys() == {"params", "name"}
    assert exempt.keys() == {"params", "name", "weight_decay"}
    for optimizer in (torch.optim.AdamW, thalweg.AdamW):
        made = optimizer(param_groups(Bert()), lr=0.5)
        assert [(group["lr"], group["weight_decay"]) for group in made.param_groups] == [(0.5, 0.01), (0.5, 0.0)]
    (only,) = param_groups(nn.LayerNorm(3), lr=0.1, weight_decay=0.2)
    assert (only["name"], only["lr"], only["weight_decay"]) == ("no_decay", 0.1, 0.0)


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"lr": -1.0}, ValueError, "lr must be a finite number from 0, got -1.0"),
        ({"lr": "1e-3"}, TypeError, "lr must be a number, got '1e-3'"),
        ({"weight_decay": float("nan")}, ValueError, "weight_decay must be a finite number from 0"),
        ({"layer_decay": "0.9", "lr": 0.1}, TypeError, "layer_decay must be a number"),
    ],
)
def test_numbers_out_of_range(options: dict[str, Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        param_groups(Bert(), **options)


# Parameters that are special


def test_a_tied_embedding_is_a_weight_too() -> None:
    """In all its places or not at all: as the output's matrix it is decayed."""
    tied, untied = GPT2(), GPT2(tied=False)
    assert spared(untied) - spared(tied) == {"transformer.wte.weight"}
    assert "transformer.wpe.weight" in spared(tied)
    assert names(param_groups(tied)).count("transformer.wte.weight") == 1
    assert "lm_head.weight" not in names(param_groups(tied))
    # Only in embeddings, however many: an embedding. A pattern may use any of the names.
    assert "shared.weight" in spared(T5())
    assert "transformer.wte.weight" in spared(tied, no_decay=["lm_head.weight"])
    assert "transformer.wte.weight" in spared(tied, no_decay=lambda p: "embedding" in p.kinds or len(p.names) > 1)
    (shared,) = [p for p in model_parameters(tied) if len(p.names) > 1]
    assert shared.names == ("transformer.wte.weight", "lm_head.weight")
    assert [type(module) for module in shared.modules] == [nn.Embedding, nn.Linear]


def test_a_module_that_is_used_twice() -> None:
    block = nn.Linear(3, 3)
    model = nn.Sequential(block, nn.ReLU(), block)
    assert names(param_groups(model)) == ["0.weight", "0.bias"]
    assert spared(model) == {"0.bias"}


def test_frozen_parameters_are_left_out_unless_asked_for() -> None:
    model = Bert()
    model.bert["embeddings"].requires_grad_(False)
    trained = {name for name, param in model.named_parameters() if param.requires_grad}
    assert len(trained) < len(list(model.parameters()))
    assert set(names(param_groups(model))) == trained
    assert set(names(param_groups(model, frozen=True))) == {name for name, _ in model.named_parameters()}


def test_nothing_to_train() -> None:
    with pytest.raises(ValueError, match=r"nothing to train in this ReLU: it has no parameters"):
        param_groups(nn.ReLU())
    with pytest.raises(ValueError, match=r"nothing to train in this Linear: all of its parameters are frozen"):
        param_groups(nn.Linear(2, 2).requires_grad_(False))
    with pytest.raises(TypeError, match=r"takes a model .* got generator"):
        param_groups(nn.Linear(2, 2).parameters())  # type: ignore[arg-type]


def test_a_lazy_module_has_to_see_a_batch_first() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LazyLinear(4))
    with pytest.raises(ValueError, match=r"1\.weight has no shape yet .* run one batch through the model"):
        param_groups(model)
    model(torch.ones(1, 2))
    assert spared(model) == {"0.bias", "1.bias"}


def test_the_parts_of_a_parametrized_tensor_stand_for_it() -> None:
    """Weight norm's length is one number a row, or one in all: it is how large the weight is, and decayed as that."""
    per_row = parametrizations.weight_norm(nn.Linear(3, 4))
    in_all = parametrizations.weight_norm(nn.Linear(3, 4), dim=None)  # type: ignore[arg-type]
    assert in_all.parametrizations.weight.original0.ndim == 0  # type: ignore[union-attr]
    for layer in (per_row, in_all, parametrizations.spectral_norm(nn.Linear(3, 4))):
        assert spared(layer) == {"bias"}
        assert spared(nn.Sequential(layer)) == {"0.bias"}
    assert spared(parametrizations.weight_norm(nn.Embedding(5, 3))) == {
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    }
    with_bias = parametrizations.orthogonal(nn.Linear(3, 3))
    nn.utils.parametrize.register_parametrization(with_bias, "bias", nn.Tanh())
    assert spared(with_bias) == {"parametrizations.bias.original"}
    assert "bias" in kinds(with_bias)["parametrizations.bias.original"]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")
@pytest.mark.filterwarnings("ignore")
def test_sharded_models() -> None:
    """fully_shard keeps shapes; its predecessor flattens them, which is refused rather than guessed at."""
    from torch import distributed
    from torch.distributed.fsdp import FullyShardedDataParallel, ShardingStrategy, fully_shard

    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        sharded = GPT2()
        fully_shard(sharded, mesh=distributed.init_device_mesh("cpu", (1,)))
        assert spared(sharded) == spared(GPT2())
        flat = FullyShardedDataParallel(
            nn.Linear(2, 2), sharding_strategy=ShardingStrategy.NO_SHARD, device_id=torch.device("cpu")
        )
        with pytest.raises(ValueError, match="flattens the parameters it wraps"):
            param_groups(nn.Sequential(flat))
    finally:
        distributed.destroy_process_group()


def test_a_compiled_model_keeps_its_groups() -> None:
    compiled = torch.compile(Bert(), backend="eager")
    assert spared(compiled) == {f"_orig_mod.{name}" for name in spared(Bert())}  # type: ignore[arg-type]


LAYERS: list[Callable[[], nn.Module]] = [
    lambda: nn.Linear(3, 3),
    lambda: nn.Conv1d(3, 3, 1, bias=False),
    lambda: nn.LayerNorm(3),
    lambda: nn.Embedding(3, 3),
    lambda: nn.LSTM(3, 3),
    lambda: nn.PReLU(),
    lambda: Raw(w=(3, 3), scale=()),
    nn.ReLU,
]


@st.composite
def models(draw: st.DrawFn) -> nn.Module:
    """Trees of layers; some are used twice, some tensors are tied, some parameters frozen."""
    pool: list[nn.Module] = [nn.Linear(3, 3)]
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            pool.append(draw(st.sampled_from(LAYERS))())
        else:
            chosen = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=4))
            pool.append(draw(st.sampled_from([nn.Sequential, lambda *m: nn.ModuleList(m)]))(*chosen))
    model = nn.ModuleList(pool)
    tensors = [(m, n, p) for m in model.modules() for n, p in m.named_parameters(recurse=False) if p.shape == (3, 3)]
    for _ in range(draw(st.integers(0, 2))):
        (_, _, kept), (module, name, _) = draw(st.sampled_from(tensors)), draw(st.sampled_from(tensors))
        setattr(module, name, kept)
    for param in model.parameters():
        param.requires_grad_(draw(st.booleans()))
    return model


@given(models(), st.sets(st.sampled_from(NO_DECAY)), st.booleans())
def test_any_model_is_partitioned(model: nn.Module, words: set[str], frozen: bool) -> None:
    expected = [name for name, param in model.named_parameters() if frozen or param.requires_grad]
    assert [p.name for p in model_parameters(model)] == [name for name, _ in model.named_parameters()]
    assert [n for p in model_parameters(model) for n in sorted(p.names)] == [
        n
        for _, param in model.named_parameters()
        for n in sorted(name for name, other in model.named_parameters(remove_duplicate=False) if other is param)
    ]
    if not expected:
        return
    groups = param_groups(model, no_decay=words, frozen=frozen, weight_decay=0.1)
    assert sorted(names(groups)) == sorted(expected)
    for group in groups:
        inside = [name for name, _ in group["params"]]
        assert inside == [name for name in expected if name in inside]
    assert spared(model, no_decay=words, frozen=frozen) <= spared(model, frozen=frozen)
    for optimizer in (torch.optim.SGD, thalweg.SGD):
        made = optimizer(copy.deepcopy(groups), lr=0.1)
        assert [n for group in made.param_groups for n in group["param_names"]] == names(groups)


# The table


TABLE = """\
group          lr  weight_decay  tensors  weights  names
decay     default           0.1        3       48  0.weight, 3.weight, and 1 more
no_decay  default             0        3        9  0.bias, 1.weight, and 1 more
all                                    6       57"""


def small() -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, 3), nn.LayerNorm(3), nn.ReLU(), nn.Linear(3, 10, bias=False), nn.Linear(2, 3, bias=False)
    )


def test_the_table_before_there_is_an_optimizer() -> None:
    groups = param_groups(small(), weight_decay=0.1)
    assert repr(groups) == str(groups) == TABLE


def test_the_table_of_an_optimizer_is_as_it_is_now() -> None:
    groups = param_groups(small(), weight_decay=0.1)
    made = thalweg.AdamW(groups, lr=0.25)
    assert [line.split()[1] for line in str(groups).splitlines()[1:-1]] == ["0.25", "0.25"]
    made.param_groups[1]["lr"] = torch.tensor([0.125])
    shown = str(ParamGroups(made.param_groups))
    assert shown == str(groups)
    assert shown.splitlines()[2].split()[:2] == ["no_decay", "0.125"]
    assert "0.weight, 3.weight, and 1 more" in shown
    unnamed = ParamGroups(torch.optim.SGD(small().parameters(), lr=0.1, weight_decay=0.0).param_groups)
    assert str(unnamed).splitlines()[1].split() == ["0", "0.1", "0", "6", "57"]


def test_the_table_in_a_notebook() -> None:
    model = nn.ModuleDict({"<b>": nn.Linear(2, 2)})
    html = param_groups(model, lr=0.5)._repr_html_()
    assert html.count("<tr>") == 4
    assert "<td>0.5</td>" in html
    assert "&lt;b&gt;.weight" in html
    assert "<b>" not in html


def test_groups_are_a_list_that_copies_and_pickles() -> None:
    groups = param_groups(small(), lr=0.1)
    for twin in (copy.deepcopy(groups), pickle.loads(pickle.dumps(groups))):
        assert isinstance(twin, ParamGroups)
        assert str(twin) == str(groups)
    assert isinstance(groups, list)
    assert groups[0]["params"][0][0] == "0.weight"
