"""Which parameters are matrices: layers by type, the output layer by where it stands, what users say, the table."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import thalweg
from routes import Expected, judge
from standin_models import MODELS, WIDTH, Conv1D, TimmVisionTransformer
from thalweg import routed, routed_groups
from thalweg.formula.geometry import Geometry

MATRIX = "matrix"


class Raw(nn.Module):
    """Parameters that stand on a module of no known type."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.ones(shape)))


class Net(nn.Module):
    """Modules by name, in this order."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


def inner(layer: nn.Module, outputs: int) -> nn.Module:
    """A layer that is not the model's last."""
    return Net(layer=layer, last=nn.Linear(outputs, 2, bias=False))


def reasons(model: nn.Module, **options: Any) -> dict[str, str]:
    return {route.name: route.reason for route in routed(model, **options)}


# Well-known models, as stand-ins; tests/frameworks/test_routed_architectures.py has the real ones

EXPECTED: dict[str, Expected] = {
    "torchvision-vit": {
        "class_token": "embedding",
        "encoder.pos_embedding": "embedding",
        "conv_proj.weight": ("convolution, flattened", (1, 8, 12)),
        "*.ln*": "norm",
        "*bias": "bias",
        "*.in_proj_weight": ("fused query, key, value: rows 8 + 8 + 8", (1, 8, 8), (1, 8, 8), (1, 8, 8)),
        "*.out_proj.weight": (MATRIX, (1, 8, 8)),
        "*.mlp.0.weight": (MATRIX, (1, 16, 8)),
        "*.mlp.2.weight": (MATRIX, (1, 8, 16)),
        "heads.pre.weight": (MATRIX, (1, 4, 8)),
        "heads.head.weight": "output",
    },
    "timm-vit": {
        "cls_token": "embedding",
        "pos_embed": "embedding",
        "latent": "declared",
        "patch_embed.proj.weight": ("convolution, flattened", (1, 8, 12)),
        "*norm*": "norm",
        "*.bias": "bias",
        "*.gamma": "vector",
        "*.qkv.weight": (MATRIX, (1, 24, 8)),
        "*.proj.weight": (MATRIX, (1, 8, 8)),
        "*.fc1.weight": (MATRIX, (1, 16, 8)),
        "*.fc2.weight": (MATRIX, (1, 8, 16)),
        "head.weight": "output",
    },
    "gpt2": {
        "transformer.wte.weight": "tied",
        "transformer.wpe.weight": "embedding",
        "*.ln_*": "norm",
        "*.bias": "bias",
        "*.c_attn.weight": ("inputs x outputs", (1, 8, 24)),
        "*.attn.c_proj.weight": ("inputs x outputs", (1, 8, 8)),
        "*.c_fc.weight": ("inputs x outputs", (1, 8, 16)),
        "*.mlp.c_proj.weight": ("inputs x outputs", (1, 16, 8)),
    },
    "llama": {
        "*.embed_tokens.weight": "embedding",
        "*norm.weight": "norm",
        "*.bias": "bias",
        "*.self_attn.?_proj.weight": (MATRIX, (1, 8, 8)),
        "*.gate_proj.weight": (MATRIX, (1, 16, 8)),
        "*.down_proj.weight": (MATRIX, (1, 8, 16)),
        "lm_head.weight": "output",
    },
    "t5": {
        "shared.weight": "embedding",
        "*.relative_attention_bias.weight": "embedding",
        "*layer_norm.weight": "norm",
        "*.q.weight": (MATRIX, (1, 8, 8)),
        "lm_head.weight": "output",
    },
    "resnet": {
        "*bn1*": "norm",
        "conv1.weight": ("convolution, flattened", (1, 4, 27)),
        "layer*.conv1.weight": ("convolution, flattened", (1, 4, 36)),
        "fc.weight": "output",
        "fc.bias": "bias",
    },
    "transformer": {  # torch's own encoder, which has no output layer
        "*norm*": "norm",
        "*bias": "bias",
        "*.in_proj_weight": ("fused query, key, value: rows 8 + 8 + 8", (1, 8, 8), (1, 8, 8), (1, 8, 8)),
        "*.out_proj.weight": (MATRIX, (1, 8, 8)),
        "*.linear1.weight": (MATRIX, (1, 16, 8)),
        "*.linear2.weight": (MATRIX, (1, 8, 16)),
    },
    "convolutions": {
        "[147].*": "norm",
        "2.weight": "vector",
        "*.bias": "bias",
        "0.weight": ("convolution, flattened", (1, 4, 27)),
        "3.weight": ("convolution, flattened", (1, 4, 36)),
        "6.weight": ("convolution, flattened", (1, 4, 36)),
        "10.weight": "output",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_well_known_models(name: str) -> None:
    judge(MODELS[name](), EXPECTED[name])


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_every_parameter_exactly_once(build: Callable[[], nn.Module]) -> None:
    model = build()
    routes = routed(model)
    assert [route.name for route in routes] == [name for name, _ in model.named_parameters()]
    assert all(model.get_parameter(route.name) is route.param for route in routes)
    assert {*routes.matrices} | {*routes.others} == {*routes}
    for route in routes.matrices:
        assert sum(of.count * of.rows * of.columns for of in route.matrices) == route.param.numel()


# Layers


@pytest.mark.parametrize(
    ("layer", "outputs", "expected"),
    [
        (nn.Linear(6, 4), 4, (MATRIX, (1, 4, 6))),
        (nn.Linear(6, 1), 1, "a side of 1"),
        (nn.Linear(1, 6), 6, "a side of 1"),
        (nn.Conv1d(6, 4, 3), 4, ("convolution, flattened", (1, 4, 18))),
        (nn.Conv3d(2, 4, (1, 2, 3)), 4, ("convolution, flattened", (1, 4, 12))),
        (nn.Conv2d(6, 4, 1), 4, ("convolution, flattened", (1, 4, 6))),
        (nn.Conv2d(6, 1, 3), 1, "a side of 1"),
        # One input channel is no depthwise convolution, unless there are groups.
        (nn.Conv2d(1, 4, 3), 4, ("convolution, flattened", (1, 4, 9))),
        (nn.Conv2d(4, 4, 7, groups=4), 4, "depthwise"),
        (nn.Conv2d(4, 8, 3, groups=4), 8, "depthwise"),
        (nn.Conv2d(4, 6, 3, groups=2), 6, ("convolution in 2 groups, flattened", (1, 3, 18), (1, 3, 18))),
        (nn.Conv2d(6, 2, 3, groups=2), 2, "a side of 1"),
        (nn.ConvTranspose2d(6, 4, 3), 4, ("convolution, flattened", (1, 6, 36))),
        (nn.ConvTranspose2d(6, 4, 3, groups=2), 4, "transposed convolution in groups"),
        (nn.GRUCell(3, 5), 5, ("gates: rows 5 + 5 + 5", (1, 5, 3), (1, 5, 3), (1, 5, 3))),
        (nn.Bilinear(3, 4, 5), 5, ("stacked, each a matrix", (5, 3, 4))),
    ],
    ids=lambda value: str(value) if isinstance(value, nn.Module) else "",
)
def test_layers_by_type(layer: nn.Module, outputs: int, expected: str | tuple[Any, ...]) -> None:
    first = next(iter(layer.named_parameters()))[0]
    rest = {"layer.weight_hh": ("gates: rows 5 + 5 + 5", (1, 5, 5), (1, 5, 5), (1, 5, 5))}
    rest = rest if isinstance(layer, nn.GRUCell) else {}
    judge(inner(layer, outputs), {f"layer.{first}": expected, **rest, "*bias*": "bias", "last.weight": "output"})


def test_gates_of_recurrent_layers_are_blocks_of_rows() -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(11, 4)
            self.rnn = nn.GRU(4, 6, num_layers=2, bidirectional=True)
            self.tags = nn.Linear(12, 3)

    of_width = {n: (1, 6, n) for n in (4, 6, 12)}
    judge(
        Tagger(),
        {
            "words.weight": "embedding",
            "*bias*": "bias",
            "rnn.weight_ih_l0*": ("gates: rows 6 + 6 + 6", *[of_width[4]] * 3),
            "rnn.weight_ih_l1*": ("gates: rows 6 + 6 + 6", *[of_width[12]] * 3),
            "rnn.weight_hh_l*": ("gates: rows 6 + 6 + 6", *[of_width[6]] * 3),
            "tags.weight": "output",
        },
    )
    projected = inner(nn.LSTM(4, 6, proj_size=5), 5)
    judge(
        projected,
        {
            "*bias*": "bias",
            "*.weight_ih_l0": ("gates: rows 6 + 6 + 6 + 6", *[(1, 6, 4)] * 4),
            "*.weight_hh_l0": ("gates: rows 6 + 6 + 6 + 6", *[(1, 6, 5)] * 4),
            "*.weight_hr_l0": (MATRIX, (1, 5, 6)),
            "last.weight": "output",
        },
    )
    judge(
        inner(nn.RNN(4, 6), 6),
        {"*bias*": "bias", "*.weight_ih_l0": (MATRIX, (1, 6, 4)), "*.weight_hh_l0": (MATRIX, (1, 6, 6)), "*": "output"},
    )


def test_attention_with_sides_of_its_own() -> None:
    """Its tensors are apart then, and its extra keys are a bias."""
    judge(
        Net(attention=nn.MultiheadAttention(8, 2, kdim=4, vdim=6, add_bias_kv=True), last=nn.Linear(8, 2)),
        {
            "*.q_proj_weight": (MATRIX, (1, 8, 8)),
            "*.k_proj_weight": (MATRIX, (1, 8, 4)),
            "*.v_proj_weight": (MATRIX, (1, 8, 6)),
            "*.out_proj.weight": (MATRIX, (1, 8, 8)),
            "*bias*": "bias",
            "last.weight": "output",
        },
    )


def test_parameters_of_unknown_modules() -> None:
    """By their dimensions: a stack of matrices has three, a table that is broadcast a first one of 1."""
    raw = Raw(
        w=(4, 6), up=(3, 8, 6), down_proj_bias=(3, 6), latents=(1, 5, 6), query=(1, 6), scale=(6, 1, 1), gain=(6,),
        temperature=(), nothing=(0, 4), custom=(4, 2, 3, 3), pos_embed=(5, 6),
    )  # fmt: skip
    judge(
        raw,
        {
            "w": (MATRIX, (1, 4, 6)),
            "up": ("stacked, each a matrix", (3, 8, 6)),
            "down_proj_bias": "bias",
            "latents": "broadcast",
            "query": "a side of 1",
            "scale": "a side of 1",
            "nothing": "a side of 0",
            "gain": "vector",
            "temperature": "vector",
            "custom": "4 dimensions",
            "pos_embed": "embedding",
        },
    )


def test_experts_whose_inputs_are_first() -> None:
    """As transformers marks those of GPT-OSS."""
    experts = Raw(up=(3, 6, 16))
    experts.is_transposed = True
    (route,) = routed(experts)
    assert (route.transposed, route.matrices) == (True, (Geometry(3, 6, 16),))
    (route,) = routed(experts, split_sizes={"up": (8, 8)})
    assert (route.transposed, route.matrices) == (True, (Geometry(3, 6, 8), Geometry(3, 6, 8)))


def test_what_models_declare_is_no_matrix() -> None:
    """As state-space models mark their A_log: no layer multiplies by it."""
    raw = Raw(A_log=(4, 4), B=(4, 4))
    raw.A_log._no_weight_decay = True  # type: ignore[union-attr]
    judge(raw, {"A_log": "declared", "B": (MATRIX, (1, 4, 4))})


def test_thalwegs_own_layers_say_what_they_have_fused() -> None:
    three = [(1, 8, 8)] * 3
    expected: Expected = {
        "0.*.queries_keys_values.weight": ("as the model says: rows 8 + 8 + 8", *three),
        "0.*.output.weight": (MATRIX, (1, 8, 8)),
        "0.*.feed_forward.0.weight": (MATRIX, (1, 32, 8)),
        "0.*.feed_forward.2.weight": (MATRIX, (1, 8, 32)),
        "1.weight_*": ("as the model says: rows 8 + 8 + 8", *three),
        "*norm*": "norm",
        "*bias": "bias",
        "0.2.weight": "norm",
        "2.weight": "output",
    }
    judge(nn.Sequential(thalweg.nn.TransformerStack(8, 2, 2), thalweg.nn.LayerNormGRU(8, 8), nn.Linear(8, 3)), expected)


def test_parametrized_tensors() -> None:
    """Of a weight norm the directions are a matrix and the lengths are not; in torch's older form too."""
    model = nn.Sequential(nn.Linear(6, 4), nn.Conv2d(4, 5, 3), nn.Linear(5, 3), nn.Linear(3, 2))
    parametrizations.weight_norm(model[0])
    parametrizations.weight_norm(model[1])
    parametrizations.spectral_norm(model[2])
    parametrizations.weight_norm(model[3])
    judge(
        model,
        {
            "*.bias": "bias",
            "[01].*.original0": "a side of 1",
            "0.*.original1": (MATRIX, (1, 4, 6)),
            "1.*.original1": ("convolution, flattened", (1, 5, 36)),
            "2.*.original": (MATRIX, (1, 3, 5)),
            "3.*": "output",
        },
    )
    # As wav2vec's positions have it: a length for each place of the kernel.
    grouped = nn.Conv1d(4, 4, 3, groups=2)
    parametrizations.weight_norm(grouped, dim=2)
    judge(
        inner(grouped, 4),
        {
            "*bias": "bias",
            "*.original0": "a side of 1",
            "*.original1": ("convolution in 2 groups, flattened", (1, 2, 6), (1, 2, 6)),
            "last.weight": "output",
        },
    )
    with pytest.warns(FutureWarning, match="weight_norm"):
        old = inner(nn.utils.weight_norm(nn.Linear(6, 4)), 4)
    judge(
        old,
        {"*.bias": "bias", "*.weight_g": "a side of 1", "*.weight_v": (MATRIX, (1, 4, 6)), "last.weight": "output"},
    )


def test_quantised_and_complex_parameters() -> None:
    """A quantised one is frozen, and left out; when asked for it still is no matrix."""
    model = Net(a=Raw(w=(4, 4)), b=Raw(w=(4, 4)), c=nn.Linear(4, 2, bias=False))
    model.a.w = nn.Parameter(torch.zeros(4, 4, dtype=torch.uint8), requires_grad=False)
    model.b.w = nn.Parameter(torch.zeros(4, 4, dtype=torch.complex64))
    assert reasons(model) == {"b.w": "complex", "c.weight": "output"}
    assert reasons(model, frozen=True) == {"a.w": "quantised", "b.w": "complex", "c.weight": "output"}
    with pytest.raises(ValueError, match=r"matrices: 'a\.w' is quantised or complex, and is no matrix"):
        routed(model, matrices=("a.w",), frozen=True)


# The output layer


def mlp(*widths: int) -> nn.Sequential:
    layers = [nn.Sequential(nn.Linear(n, m), nn.ReLU()) for n, m in pairwise(widths[:-1])]
    return nn.Sequential(*[part for layer in layers for part in layer], nn.Linear(widths[-2], widths[-1]))


class Dense(nn.Module):
    """A block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(width), nn.Linear(width, width)


class Grouped(nn.Module):
    """A block in which the keys are fewer than the queries."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(8, n, bias=False) for n in (8, 4, 4, 8))
        self.norm = nn.LayerNorm(8)
        self.inside = nn.Sequential(nn.Linear(8, 12), nn.Linear(12, 8))


def outputs(model: nn.Module) -> set[str]:
    return {name for name, reason in reasons(model).items() if reason == "output"}


def autoencoder() -> nn.Module:
    return Net(encoder=mlp(20, 12, 4), decoder=mlp(4, 12, 20))


def generator() -> nn.Module:
    """Its first layer's output is taken in parts: as channels of images."""
    return nn.Sequential(
        nn.Linear(5, 8 * 4 * 4), nn.Unflatten(1, (8, 4, 4)), nn.ConvTranspose2d(8, 4, 2), nn.ConvTranspose2d(4, 3, 2)
    )


def gated() -> nn.Module:
    return Net(twice=nn.Linear(8, 2 * 6), back=nn.Linear(6, 8), head=nn.Linear(8, 3))


def shared_trunk() -> nn.Module:
    return Net(trunk=mlp(5, 8, 8), policy=nn.Linear(8, 3), value=nn.Linear(8, 1))


def actor_and_critic() -> nn.Module:
    return Net(actor=mlp(5, 8, 8, 3), critic=mlp(5, 8, 8, 1))


class LoraLayer(nn.Module):
    """As peft's, which is known by its name."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.base_layer = nn.Linear(inputs, outputs)
        self.lora_A = nn.ModuleDict({"default": nn.Linear(inputs, 4, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(4, outputs, bias=False)})


def tied_last() -> nn.Module:
    model = Net(lm=nn.Linear(8, 11, bias=False), more=nn.Linear(8, 16), words=nn.Embedding(11, 8))
    model.words.weight = model.lm.weight
    return model


def adaptive() -> nn.Module:
    return Net(body=mlp(5, 8, 8), words=nn.AdaptiveLogSoftmaxWithLoss(8, 40, [10, 20], div_value=2.0))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (mlp(5, 8, 8, 3), {"4.weight"}),
        (mlp(8, 8, 8, 8), {"4.weight"}),
        (nn.Linear(5, 3), {"weight"}),
        # A row of blocks that ends in the output layer.
        (nn.Sequential(nn.Linear(5, 8), Dense(8), Dense(8), nn.Linear(8, 3)), {"3.weight"}),
        # Blocks and no output layer.
        (Net(start=nn.Linear(5, 8), blocks=nn.ModuleList(Dense(8) for _ in range(2))), set()),
        (Net(words=nn.Embedding(9, 5), rnn=nn.GRU(5, 8)), set()),
        # Registered before the blocks.
        (Net(head=nn.Linear(8, 3), start=nn.Linear(5, 8), blocks=nn.ModuleList([Dense(8), Dense(8)])), {"head.weight"}),
        # A list of one block is still one of blocks.
        (Net(start=nn.Linear(5, 8), layers=nn.ModuleList([Grouped()]), head=nn.Linear(8, 3)), {"head.weight"}),
        (autoencoder(), {"decoder.2.weight"}),
        (generator(), {"3.weight"}),
        (gated(), {"head.weight"}),
        (shared_trunk(), {"policy.weight", "value.weight"}),
        # An auxiliary classifier reads something else.
        (Net(trunk=mlp(5, 8, 8), classes=nn.Linear(8, 3), early=nn.Linear(6, 3)), {"classes.weight", "early.weight"}),
        (actor_and_critic(), {"actor.4.weight", "critic.4.weight"}),
        (nn.ModuleList(mlp(5, 8, 3) for _ in range(2)), {"0.2.weight", "1.2.weight"}),
        (nn.ModuleDict({"generator": generator(), "critic": mlp(48, 8, 1)}), {"generator.3.weight", "critic.2.weight"}),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 2, 1)), {"2.weight"}),
        # Lists in a list, as blocks without a class of their own.
        (
            Net(
                layers=nn.ModuleList(nn.ModuleList([Grouped(), mlp(8, 12, 8)]) for _ in range(2)),
                tokens=nn.ModuleList(mlp(8, 8, n) for n in (3, 5)),
            ),
            {"tokens.0.2.weight", "tokens.1.2.weight"},
        ),
        # A layer that is not torch's is known by its weight; a module that multiplies by something else is none.
        (nn.Sequential(nn.Linear(5, 8), Raw(weight=(3, 8))), {"1.weight"}),
        (nn.Sequential(nn.Linear(5, 8), Raw(mixing=(3, 8))), set()),
        (nn.Sequential(nn.Linear(5, 8), Raw(projection=(8, 3))), set()),
        # Conv1D's inputs are its rows.
        (Net(body=Conv1D(6, 8), head=nn.Linear(6, 3)), {"head.weight"}),
        # What takes one number takes no layer's output; nor does a table, a tied one neither.
        (
            Net(trunk=mlp(5, 8, 8), policy=nn.Linear(8, 3), scale=nn.Linear(1, 8), value=nn.Linear(8, 2)),
            {"policy.weight", "value.weight"},
        ),
        (
            Net(
                start=nn.Linear(3, 8), head=nn.Linear(8, 5), blocks=nn.ModuleList([Dense(8), Dense(8)]),
                table=Raw(pos_embed=(5, 8)),
            ),
            {"head.weight"},
        ),
        (tied_last(), {"more.weight"}),
        # Whatever is added to the last layer, it is the last.
        (Net(body=nn.Linear(5, 8), head=LoraLayer(8, 3)), {"head.base_layer.weight"}),
        (adaptive(), {"words.head.weight", *(f"words.tail.{i}.{j}.weight" for i in (0, 1) for j in (0, 1))}),
    ],
    ids=[
        "mlp", "mlp of one width", "linear", "row of blocks", "no output", "rnn without output", "head first",
        "one block", "autoencoder", "generator", "gated", "policy and value", "auxiliary", "actor and critic",
        "ensemble", "gan",
        "convolutions", "lists", "own layer", "no layer", "rows are inputs", "Conv1D", "one number", "table",
        "tied table", "LoRA", "adaptive softmax",
    ],
)  # fmt: skip
def test_the_output_layer_by_where_it_stands(model: nn.Module, expected: set[str]) -> None:
    assert outputs(model) == expected


def test_the_model_may_say_what_its_output_is() -> None:
    class Says(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(24, 8)
            self.lm = nn.Sequential(
                nn.Dropout(), nn.Linear(8, 24)
            )  # 24 might well be taken by the body, in three parts
            self.body = mlp(8, 12, 8)
            self.next = nn.Linear(8, 2)

        def get_output_embeddings(self) -> nn.Module | None:
            return self.lm

    # The last one reads as many numbers as that, and nothing takes its output.
    assert outputs(Says()) == {"lm.1.weight", "next.weight"}
    assert outputs(Net(wrapped=Says(), more=nn.Linear(5, 4))) == {"wrapped.lm.1.weight", "wrapped.next.weight"}

    class Silent(Says):
        def get_output_embeddings(self) -> nn.Module | None:
            return None

    class Refuses(Says):
        def get_output_embeddings(self) -> nn.Module | None:
            raise NotImplementedError

    class Lacks(Says):
        def get_output_embeddings(self) -> nn.Module | None:
            return self.decoder.output  # type: ignore[union-attr, return-value]

    assert outputs(Silent()) == outputs(Refuses()) == outputs(Lacks()) == {"next.weight"}


def test_names_decide_nothing() -> None:
    model = nn.Sequential(nn.Linear(5, 8), nn.Linear(8, 3))
    named = Net(head=nn.Linear(5, 8), embed=nn.Linear(8, 3))
    assert [*reasons(model).values()] == [*reasons(named).values()] == [MATRIX, "bias", "output", "bias"]


# Tied, frozen, wrapped, flattened


class NanoGPT(nn.Module):
    """Karpathy's, tied as there."""

    def __init__(self) -> None:
        super().__init__()
        blocks = nn.ModuleList(nn.ModuleDict({"c_attn": nn.Linear(8, 24), "c_proj": nn.Linear(8, 8)}) for _ in range(2))
        self.transformer = nn.ModuleDict({"wte": nn.Embedding(11, 8), "wpe": nn.Embedding(5, 8), "h": blocks})
        self.lm_head = nn.Linear(8, 11, bias=False)
        self.transformer["wte"].weight = self.lm_head.weight


def test_tied_embeddings() -> None:
    model = NanoGPT()
    routes = routed(model)
    assert routes[0].names == ("transformer.wte.weight", "lm_head.weight")
    judge(
        model,
        {
            "transformer.wte.weight": "tied",
            "transformer.wpe.weight": "embedding",
            "*bias": "bias",
            "*.c_attn.weight": ("as asked: rows 8 + 8 + 8", (1, 8, 8), (1, 8, 8), (1, 8, 8)),
            "*.c_proj.weight": (MATRIX, (1, 8, 8)),
        },
        split_sizes={"*.c_attn.weight": (8, 8, 8)},
    )
    # Two tables that are one are one; a layer used twice is a matrix.
    tables = Net(a=nn.Embedding(9, 8), b=nn.Embedding(9, 8), c=nn.Linear(8, 8), d=nn.Linear(8, 8), e=nn.Linear(8, 2))
    tables.b.weight, tables.d.weight = tables.a.weight, tables.c.weight
    found = reasons(tables)
    assert (found["a.weight"], found["c.weight"], found["e.weight"]) == ("embedding", MATRIX, "output")


def test_frozen_parameters_are_left_out_and_change_nothing() -> None:
    model = mlp(5, 8, 8, 3)
    whole = reasons(model)
    model[0].requires_grad_(False)
    model[4].requires_grad_(False)
    assert reasons(model) == {name: whole[name] for name in ("2.weight", "2.bias")}
    assert reasons(model, frozen=True) == whole
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="there is nothing to train in this Sequential: all of its parameters are fro"):
        routed(model)


def test_models_wrapped_for_several_processes() -> None:
    """What wrappers do to names and modules; tests/frameworks/test_routed_architectures.py has the wrappers."""
    model = NanoGPT()
    wrapped = Net(module=model)
    assert reasons(wrapped) == {f"module.{name}": reason for name, reason in reasons(model).items()}
    # A pattern that begins with a star has either name.
    for each in (model, wrapped):
        assert "as asked" in reasons(each, others=("*transformer.h.0.c_attn.weight",)).values()


def test_flattened_models_are_refused() -> None:
    said = r"{} should be the matrix of a {}, but has no rows and columns: .* write the groups by hand"
    # As DeepSpeed's third stage leaves a weight: its numbers are elsewhere.
    model = mlp(5, 8, 3)
    model[2].weight = nn.Parameter(torch.empty(0))
    with pytest.raises(ValueError, match=said.format(r"2\.weight", "Linear")):
        routed(model)
    # By hand: one flat parameter, of which layers have views.
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False))
    flat = nn.Parameter(model[0].weight.detach().flatten())
    del model[0].weight
    model[0].weight = flat.view(4, 3, 3, 3)
    model.register_parameter("flat", flat)
    with pytest.raises(ValueError, match=said.format(r"0\.weight", "Conv2d")):
        routed(model)
    sharded = type("FullyShardedDataParallel", (Net,), {})(a=nn.Linear(3, 2))
    with pytest.raises(ValueError, match="FullyShardedDataParallel flattens the parameters"):
        routed(sharded)


def test_a_model_whose_weights_are_buffers_is_not_flattened() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    weight = model[0].weight.detach()
    del model[0].weight
    model[0].register_buffer("weight", weight)
    assert {*reasons(model).values()} == {"bias", "norm"}


# What users say


def test_overruling() -> None:
    model = TimmVisionTransformer(depth=1)
    assert reasons(model)["head.weight"] == "output"
    routes = {route.name: route for route in routed(model, matrices=("head.weight",), others=("*.proj.weight",))}
    assert (routes["head.weight"].reason, routes["head.weight"].matrices) == ("as asked", (Geometry(1, 2, WIDTH),))
    for name in ("blocks.0.attn.proj.weight", "patch_embed.proj.weight"):
        assert (routes[name].reason, routes[name].matrix, routes[name].matrices) == ("as asked", False, ())
    # What goes there anyway keeps its reason.
    assert reasons(model, others=("head.*",))["head.weight"] == "output"
    assert reasons(model, matrices=("*.fc1.weight",))["blocks.0.mlp.fc1.weight"] == MATRIX


def test_overruled_convolutions_are_flat() -> None:
    judge(
        inner(nn.Conv2d(4, 4, 7, groups=4, bias=False), 4),
        {"layer.weight": ("as asked", (1, 4, 49)), "last.weight": "output"},
        matrices=("layer.weight",),
    )
    judge(Raw(own=(4, 2, 3, 3)), {"own": ("as asked", (1, 4, 18))}, matrices=("own",))
    judge(Raw(latents=(1, 5, 6)), {"latents": ("as asked", (1, 5, 6))}, matrices=("latents",))
    judge(nn.Embedding(7, 3), {"weight": ("as asked", (1, 7, 3))}, matrices=("weight",))


def test_splitting() -> None:
    """Grouped queries; and () keeps whole what types would split."""
    model = Net(qkv=nn.Linear(8, 16, bias=False), proj=nn.Linear(8, 8, bias=False), last=nn.Linear(8, 2, bias=False))
    (qkv, *_) = routed(model, split_sizes={"qkv.weight": [8, 4, 4]})
    assert qkv.split_sizes == (8, 4, 4)
    assert qkv.reason == "as asked: rows 8 + 4 + 4"
    assert qkv.matrices == (Geometry(1, 8, 8), Geometry(1, 4, 8), Geometry(1, 4, 8))
    assert qkv.geometry == Geometry(1, 16, 8)
    attention = nn.MultiheadAttention(8, 2)
    assert routed(attention, split_sizes={"in_proj_weight": ()})[0].matrices == (Geometry(1, 24, 8),)
    assert routed(attention, split_sizes={"in_proj_weight": (2,) * 12})[0].reason == "as asked: rows 12 of 2"
    stack = routed(Raw(up=(3, 6, 16)), split_sizes={"up": (8, 8)})[0]
    assert (stack.transposed, stack.matrices) == (True, (Geometry(3, 6, 8),) * 2)
    stack = routed(Raw(up=(3, 16, 6)), split_sizes={"up": (8, 8)})[0]
    assert (stack.transposed, stack.matrices) == (False, (Geometry(3, 8, 6),) * 2)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"matrices": "head.weight"}, TypeError, r"matrices takes several words, write matrices=('head.weight',)"),
        ({"matrices": ("*.head.weight",)}, ValueError, "matrices: no parameter has '*.head.weight' as its whole name"),
        ({"others": ("fc1",)}, ValueError, "others: no parameter has 'fc1' as its whole name; for a part of the name "
         "write '*fc1*'"),
        ({"others": ("head.wieght",)}, ValueError, "whole name; did you mean 'head.weight'?"),
        ({"split_sizes": {"*.kqv.weight": (8, 8, 8)}}, ValueError, "split_sizes: no parameter has '*.kqv.weight'"),
        ({"matrices": ("head.*",)}, ValueError, "matrices: 'head.bias' has 1 dimensions, and is no matrix"),
        ({"matrices": ("head.weight",), "others": ("head.*",)}, ValueError, "both matrices and others have a pattern "
         "for 'head.weight'"),
        ({"split_sizes": {"*.qkv.weight": (8, 8)}}, ValueError, "split_sizes: '*.qkv.weight' matches "
         "'blocks.0.attn.qkv.weight': it has 24 rows, but its sizes (8, 8) add up to 16"),
        # Eight is how many columns it has.
        ({"split_sizes": {"*.qkv.weight": (4, 4)}}, ValueError, "it has 24 rows, but its sizes (4, 4) add up to 8"),
        ({"split_sizes": {"*.qkv.*": (8, 8, 8)}}, ValueError, "matches 'blocks.0.attn.qkv.bias', which is no matrix "
         "(bias)"),
        ({"split_sizes": {"*.qkv.weight": (8, 16.0)}}, TypeError, "sizes must be whole numbers from 1"),
        ({"split_sizes": {"*.qkv.weight": (0, 24)}}, TypeError, "sizes must be whole numbers from 1"),
    ],
)  # fmt: skip
def test_refusals(options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=re.escape(said)):
        routed(TimmVisionTransformer(depth=1), **options)


def test_what_is_no_model() -> None:
    with pytest.raises(TypeError, match=r"routed takes a model .*, got list"):
        routed([nn.Parameter(torch.zeros(2))])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="it has no parameters"):
        routed(nn.ReLU())


def test_a_module_that_says_wrong_sizes_is_named() -> None:
    attention = Net(qkv=nn.Linear(8, 24), last=nn.Linear(24, 8), end=nn.Linear(8, 2))
    attention.split_sizes = {"qkv.weight": (8, 8)}
    with pytest.raises(ValueError, match=r"Linear 'qkv\.weight': it has 24 rows, but its sizes \(8, 8\) add up to 16"):
        routed(attention)


# Groups


def test_groups_of_routes() -> None:
    """What is read alike and decayed alike is together; only a group that is read in its own way says so."""
    model = NanoGPT()
    routes = routed(model, matrices=("*.wpe.weight",), split_sizes={"*.c_attn.weight": (8, 8, 8)})
    groups = [group for side in routed_groups(routes) for group in side]
    names = {group["name"]: [name for name, _ in group["params"]] for group in groups}
    assert names == {
        "matrices": ["transformer.h.0.c_proj.weight", "transformer.h.1.c_proj.weight"],
        "matrices_8+8+8": ["transformer.h.0.c_attn.weight", "transformer.h.1.c_attn.weight"],
        "matrices_no_decay": ["transformer.wpe.weight"],
        "others": ["transformer.wte.weight"],
        "others_no_decay": [f"transformer.h.{i}.{name}.bias" for i in (0, 1) for name in ("c_attn", "c_proj")],
    }
    options = {group["name"]: {key: group[key] for key in group.keys() - {"params", "name"}} for group in groups}
    assert options == {
        "matrices": {},
        "matrices_8+8+8": {"split_sizes": (8, 8, 8)},
        "matrices_no_decay": {"weight_decay": 0.0},
        "others": {},
        "others_no_decay": {"weight_decay": 0.0},
    }


def test_groups_are_exempt_as_those_of_param_groups() -> None:
    model = TimmVisionTransformer()
    for no_decay in (thalweg.NO_DECAY, ("bias", "*.gamma"), lambda p: p.param.ndim < 2):
        theirs = thalweg.param_groups(model, weight_decay=0.1, no_decay=no_decay)
        exempt = {name for group in theirs if group["weight_decay"] == 0 for name, _ in group["params"]}
        groups = [group for side in routed_groups(routed(model), no_decay) for group in side]
        assert {name for group in groups if "weight_decay" in group for name, _ in group["params"]} == exempt
    with pytest.raises(ValueError, match="no_decay: 'biases' is none of the kinds"):
        routed_groups(routed(model), ("biases",))


def test_a_convolution_of_the_name_conv1d_is_one() -> None:
    """As people wrap torch's with their own padding: rows are outputs, while those of GPT-2's layer are inputs."""
    wrapped = type("Conv1D", (nn.Conv1d,), {})(4, 6, 3)
    own = type("Conv1D", (Raw,), {})(weight=(6, 4, 3))
    for layer, transposed in ((wrapped, False), (own, False), (Conv1D(6, 4), True)):
        model = nn.Sequential(layer, nn.Linear(6, 2))
        assert [route.transposed for route in thalweg.routed(model).matrices] == [transposed]


def test_groups_of_convolutions_and_transposed_layers() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 6, 3, groups=2, bias=False),
        nn.ConvTranspose2d(6, 4, 3, bias=False), nn.Flatten(), nn.Linear(4, 2, bias=False),
    )  # fmt: skip
    said = [{k: v for k, v in group.items() if k != "params"} for group in routed_groups(routed(model))[0]]
    assert said == [
        {"name": "matrices_flat", "flat": True},
        {"name": "matrices_flat_3+3", "flat": True, "split_sizes": (3, 3)},
        {"name": "matrices_flat_transposed", "flat": True, "transposed": True},
    ]


# The table


def test_the_table_of_twelve_blocks() -> None:
    assert (
        repr(routed(MODELS["llama"](12)))
        == """\
to            names                                                  tensors  weights  as matrices  why
matrix        model.layers.0..11.self_attn.q_proj.weight                  12      768  8 x 8        matrix
matrix        model.layers.0..11.self_attn.k_proj.weight                  12      768  8 x 8        matrix
matrix        model.layers.0..11.self_attn.v_proj.weight                  12      768  8 x 8        matrix
matrix        model.layers.0..11.self_attn.o_proj.weight                  12      768  8 x 8        matrix
matrix        model.layers.0..11.mlp.gate_proj.weight                     12    1,536  16 x 8       matrix
matrix        model.layers.0..11.mlp.down_proj.weight                     12    1,536  8 x 16       matrix
all matrices                                                              72    6,144
other         model.embed_tokens.weight                                    1       88               embedding
other         lm_head.weight                                               1       88               output
other         model.layers.0..11.mlp.gate_proj.bias, and 1 more           24      288               bias
other         model.layers.0..11.input_layernorm.weight, and 2 more       25      200               norm
all others                                                                51      664"""
    )


def test_the_table_of_several_shapes_and_of_parts() -> None:
    model = Net(
        a=nn.ModuleList(nn.Linear(8, n, bias=False) for n in (8, 8, 16, 8)),
        qkv=nn.Linear(8, 16, bias=False), up=Raw(w=(3, 6, 8)), end=nn.Linear(8, 2, bias=False),
    )  # fmt: skip
    text = repr(routed(model, split_sizes={"qkv.weight": (8, 4, 4)}))
    lines = [re.split(r"\s{2,}", line) for line in text.splitlines()]
    assert lines[1:5] == [
        ["matrix", "a.0..1,3.weight", "3", "192", "8 x 8", "matrix"],
        ["matrix", "a.2.weight", "1", "128", "16 x 8", "matrix"],
        ["matrix", "qkv.weight", "1", "128", "8 x 8, 2 of 4 x 8", "as asked: rows 8 + 4 + 4"],
        ["matrix", "up.w", "1", "144", "3 of 6 x 8", "stacked, each a matrix"],
    ]


def test_the_table_in_notebooks() -> None:
    page = routed(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2)))._repr_html_()
    assert page.startswith("<table><thead><tr><th>to</th><th>names</th>")
    assert "<tr><td>matrix</td><td>0.weight</td><td>1</td><td>32</td><td>8 x 4</td><td>matrix</td></tr>" in page
