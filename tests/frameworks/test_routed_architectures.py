"""Which parameters are matrices in the architectures that people train, made from configurations, and in wrapped ones.

What is expected was written down by hand, from the architectures' code.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from routes import Expected, judge
from thalweg import routed

# peft asks transformers by a name that is to go.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]

MATRIX = "matrix"
SQUARE = MATRIX, (1, 16, 16)
WIDEN = MATRIX, (1, 24, 16)
NARROW = MATRIX, (1, 16, 24)


def test_gpt2() -> None:
    sizes = {"vocab_size": 37, "n_positions": 9, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_inner": 24}
    config = transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0, pad_token_id=0, num_labels=3)
    body: Expected = {
        "*.ln_*": "norm",
        "*.bias": "bias",
        # Queries, keys and values lie along the columns.
        "*.c_attn.weight": ("fused query, key, value: columns 16 + 16 + 16", *[(1, 16, 16)] * 3),
        "*.attn.c_proj.weight": ("inputs x outputs", (1, 16, 16)),
        "*.c_fc.weight": ("inputs x outputs", (1, 16, 24)),
        "*.mlp.c_proj.weight": ("inputs x outputs", (1, 24, 16)),
    }
    tables: Expected = {"transformer.wte.weight": "tied", "transformer.wpe.weight": "embedding"}
    model = transformers.GPT2LMHeadModel(config)
    judge(model, {**tables, **body})
    assert {route.split_sizes for route in routed(model) if "c_attn.weight" in route.name} == {(16, 16, 16)}
    assert all(route.transposed for route in routed(model).matrices)
    classifier = transformers.GPT2ForSequenceClassification(config)
    judge(classifier, {"*wte.weight": "embedding", "*wpe.weight": "embedding", "score.weight": "output", **body})
    # Its second attention has keys and values in one layer and queries in another.
    config.add_cross_attention = True
    crossed: Expected = {
        "*.crossattention.c_attn.weight": ("fused key, value: columns 16 + 16", *[(1, 16, 16)] * 2),
        "*.crossattention.q_attn.weight": ("inputs x outputs", (1, 16, 16)),
        "*.crossattention.c_proj.weight": ("inputs x outputs", (1, 16, 16)),
    }
    judge(transformers.GPT2LMHeadModel(config), {**crossed, **tables, **body})


def test_the_page_shows_gpt2() -> None:
    with torch.device("meta"):
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config())
    model.tie_weights()
    page = Path(__file__).parents[2] / "docs" / "routing.md"
    assert f"```\n{routed(model)!r}\n```" in page.read_text(encoding="utf-8")


def llama(**options: Any) -> transformers.LlamaForCausalLM:
    sizes = {"vocab_size": 37, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes | heads | options))


def test_llama() -> None:
    layers: Expected = {
        "*.embed_tokens.weight": "embedding",
        "*norm.weight": "norm",
        "*.[qo]_proj.weight": SQUARE,
        "*.[kv]_proj.weight": (MATRIX, (1, 8, 16)),
        "*.gate_proj.weight": WIDEN,
        "*.up_proj.weight": WIDEN,
        "*.down_proj.weight": NARROW,
    }
    judge(llama(), {**layers, "lm_head.weight": "output"})
    judge(llama(num_hidden_layers=1), {**layers, "lm_head.weight": "output"})
    judge(llama(tie_word_embeddings=True), {**layers, "*.embed_tokens.weight": "tied"})
    # Without a head there is nothing to leave out.
    judge(
        llama().model, {**{name: what for name, what in layers.items() if "embed" not in name}, "embed*": "embedding"}
    )


def test_lora_on_llama() -> None:
    """Only the pairs are trained; what is beside them is as in the bare model."""
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    pairs: Expected = {
        "*.lora_A.default.weight": ("LoRA", (1, 4, 16)),
        "*.q_proj.lora_B.default.weight": ("LoRA", (1, 16, 4)),
        "*.v_proj.lora_B.default.weight": ("LoRA", (1, 8, 4)),
    }
    judge(peft.get_peft_model(llama(), config), pairs)
    frozen: Expected = {
        "*.embed_tokens.weight": "embedding",
        "*norm.weight": "norm",
        "*.q_proj.base_layer.weight": SQUARE,
        "*.v_proj.base_layer.weight": (MATRIX, (1, 8, 16)),
        "*.o_proj.weight": SQUARE,
        "*.k_proj.weight": (MATRIX, (1, 8, 16)),
        "*.gate_proj.weight": WIDEN,
        "*.up_proj.weight": WIDEN,
        "*.down_proj.weight": NARROW,
        "*.lm_head.weight": "output",
    }
    judge(peft.get_peft_model(llama(), config), {**pairs, **frozen}, frozen=True)


def test_other_kinds_of_lora() -> None:
    """Of rank 1, with lengths (DoRA), on an embedding, on the output layer, beside a trained classifier."""
    of_rank_1 = peft.LoraConfig(r=1, target_modules=["q_proj"], task_type="CAUSAL_LM")
    judge(peft.get_peft_model(llama(), of_rank_1), {"*.lora_?.default.weight": "a side of 1"})
    mixed = peft.LoraConfig(
        r=4, target_modules=["q_proj", "embed_tokens", "lm_head"], use_dora=True, task_type="CAUSAL_LM"
    )
    judge(
        peft.get_peft_model(llama(), mixed),
        {
            "*.lora_magnitude_vector.*": "vector",
            "*.lora_embedding_A.default": "embedding",
            "*.lora_embedding_B.default": ("LoRA", (1, 16, 4)),
            "*.lora_A.default.weight": ("LoRA", (1, 4, 16)),
            "*.q_proj.lora_B.default.weight": ("LoRA", (1, 16, 4)),
            "*.lm_head.lora_B.default.weight": ("LoRA", (1, 37, 4)),
        },
    )
    config = transformers.LlamaConfig(**llama().config.to_diff_dict() | {"num_labels": 3, "pad_token_id": 0})
    classifier = transformers.LlamaForSequenceClassification(config)
    judge(
        peft.get_peft_model(classifier, peft.LoraConfig(r=4, target_modules=["q_proj"], task_type="SEQ_CLS")),
        {
            "*.lora_A.default.weight": ("LoRA", (1, 4, 16)),
            "*.lora_B.default.weight": ("LoRA", (1, 16, 4)),
            "*.score.modules_to_save.default.weight": "output",
        },
    )


def test_t5() -> None:
    sizes = {"vocab_size": 37, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4}
    layers: Expected = {
        "*.relative_attention_bias.weight": "embedding",
        "*layer_norm.weight": "norm",
        "*Attention.[qkvo].weight": SQUARE,
        "*.wi.weight": WIDEN,
        "*.wo.weight": NARROW,
    }
    tied = transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes))
    judge(tied, {"shared.weight": "tied", **layers})


def test_bert() -> None:
    sizes = {"vocab_size": 37, "hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 24}
    config = transformers.BertConfig(**sizes, num_attention_heads=2, max_position_embeddings=9, num_labels=3)
    body: Expected = {
        "*.word_embeddings.weight": "embedding",
        "*.position_embeddings.weight": "embedding",
        "*.token_type_embeddings.weight": "embedding",
        "*.LayerNorm.*": "norm",
        "*bias": "bias",
        "*.query.weight": SQUARE,
        "*.key.weight": SQUARE,
        "*.value.weight": SQUARE,
        "*.attention.output.dense.weight": SQUARE,
        "*.intermediate.dense.weight": WIDEN,
        "*.output.dense.weight": NARROW,
    }
    pooler: Expected = {"bert.pooler.dense.weight": SQUARE}
    judge(transformers.BertForSequenceClassification(config), {**body, **pooler, "classifier.weight": "output"})
    judge(transformers.BertForQuestionAnswering(config), {**body, "qa_outputs.weight": "output"})
    words: Expected = {**body, "*.word_embeddings.weight": "tied", "cls.predictions.transform.dense.weight": SQUARE}
    judge(transformers.BertForMaskedLM(config), words)
    # Two outputs, of which the model says one.
    judge(transformers.BertForPreTraining(config), {**words, **pooler, "cls.seq_relationship.weight": "output"})


def test_vit() -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = transformers.ViTConfig(**sizes, image_size=8, patch_size=4, num_labels=3)
    judge(
        transformers.ViTForImageClassification(config),
        {
            "*.cls_token": "embedding",
            "*.position_embeddings": "embedding",
            "*.patch_embeddings.projection.weight": ("convolution, flattened", (1, 16, 48)),
            "*.layernorm*": "norm",
            "*.bias": "bias",
            "*.attention.?_proj.weight": SQUARE,
            "*.fc1.weight": WIDEN,
            "*.fc2.weight": NARROW,
            "classifier.weight": "output",
        },
    )


def test_mixtral() -> None:
    """Its experts are parameters of three dimensions; the router is a layer of its own kind."""
    sizes = {"vocab_size": 37, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 3}
    model = transformers.MixtralForCausalLM(transformers.MixtralConfig(**sizes, **heads))
    expected: Expected = {
        "*.embed_tokens.weight": "embedding",
        "*norm.weight": "norm",
        "*.[qo]_proj.weight": SQUARE,
        "*.[kv]_proj.weight": (MATRIX, (1, 8, 16)),
        "*.mlp.gate.weight": (MATRIX, (1, 3, 16)),
        "*.experts.gate_up_proj": ("stacked, each a matrix", (3, 48, 16)),
        "*.experts.down_proj": ("stacked, each a matrix", (3, 16, 24)),
        "lm_head.weight": "output",
    }
    judge(model, expected)
    two = {"*.experts.gate_up_proj": ("as asked: rows 24 + 24", (3, 24, 16), (3, 24, 16))}
    judge(model, {**expected, **two}, split_sizes={"*.gate_up_proj": (24, 24)})


def test_experts_of_gpt_oss() -> None:
    """Theirs have the inputs first, and say so."""
    sizes = {"vocab_size": 37, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "head_dim": 8}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 3}
    model = transformers.GptOssForCausalLM(transformers.GptOssConfig(**sizes, **heads, pad_token_id=0))
    found = {route.name.rpartition(".")[2]: route for route in routed(model) if ".experts." in route.name}
    assert {name: (route.matrix, route.transposed) for name, route in found.items()} == {
        "gate_up_proj": (True, True),
        "gate_up_proj_bias": (False, False),
        "down_proj": (True, True),
        "down_proj_bias": (False, False),
    }


def test_whisper() -> None:
    """The encoder's positions are a frozen embedding."""
    layers = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in
              (("layers", 2), ("attention_heads", 2), ("ffn_dim", 24))}  # fmt: skip
    tokens = {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 2}
    sizes = {"vocab_size": 37, "d_model": 16, "num_mel_bins": 8, "max_source_positions": 6, "max_target_positions": 9}
    model = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**sizes, **layers, **tokens))
    expected: Expected = {
        "model.encoder.conv1.weight": ("convolution, flattened", (1, 16, 24)),
        "model.encoder.conv2.weight": ("convolution, flattened", (1, 16, 48)),
        "*layer_norm.*": "norm",
        "*.bias": "bias",
        "*_proj.weight": SQUARE,
        "*.fc1.weight": WIDEN,
        "*.fc2.weight": NARROW,
        "model.decoder.embed_tokens.weight": "tied",
        "model.decoder.embed_positions.weight": "embedding",
    }
    judge(model, expected)
    judge(model, {**expected, "model.encoder.embed_positions.weight": "embedding"}, frozen=True)


def test_resnet() -> None:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[2, 2], num_labels=3)
    flat = "convolution, flattened"
    judge(
        transformers.ResNetForImageClassification(config),
        {
            "*.normalization.*": "norm",
            "*.embedder.convolution.weight": (flat, (1, 8, 147)),
            "*.shortcut.convolution.weight": (flat, (1, 16, 8)),
            "*.stages.0.layers.?.layer.0.convolution.weight": (flat, (1, 2, 8)),
            "*.stages.0.layers.?.layer.1.convolution.weight": (flat, (1, 2, 18)),
            "*.stages.0.layers.?.layer.2.convolution.weight": (flat, (1, 8, 2)),
            "*.stages.1.layers.0.layer.0.convolution.weight": (flat, (1, 4, 8)),
            "*.stages.1.layers.1.layer.0.convolution.weight": (flat, (1, 4, 16)),
            "*.stages.1.layers.?.layer.1.convolution.weight": (flat, (1, 4, 36)),
            "*.stages.1.layers.?.layer.2.convolution.weight": (flat, (1, 16, 4)),
            "classifier.1.weight": "output",
            "classifier.1.bias": "bias",
        },
    )


def test_convnext() -> None:
    sizes = {"hidden_sizes": [8, 16], "depths": [2, 2], "num_stages": 2, "num_labels": 3}
    model = transformers.ConvNextForImageClassification(transformers.ConvNextConfig(**sizes))
    judge(
        model,
        {
            "*norm*": "norm",
            "*.downsampling_layer.0.*": "norm",
            "*.bias": "bias",
            "*.layer_scale_parameter": "vector",
            "*.patch_embeddings.weight": ("convolution, flattened", (1, 8, 48)),
            "*.dwconv.weight": "depthwise",
            "*.stages.0.*.pwconv1.weight": (MATRIX, (1, 32, 8)),
            "*.stages.0.*.pwconv2.weight": (MATRIX, (1, 8, 32)),
            "*.downsampling_layer.1.weight": ("convolution, flattened", (1, 16, 32)),
            "*.stages.1.*.pwconv1.weight": (MATRIX, (1, 64, 16)),
            "*.stages.1.*.pwconv2.weight": (MATRIX, (1, 16, 64)),
            "classifier.weight": "output",
        },
    )


# Wrapped


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A process group of this process."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("alone")
def test_wrapped_models() -> None:
    """The names have the wrappers' prefixes, the routes are the same."""
    model = llama()
    bare = {route.name: route.reason for route in routed(model)}
    compiled = torch.compile(model, backend="eager")
    assert isinstance(compiled, nn.Module)
    for wrapped, prefix in (
        (compiled, "_orig_mod."),
        (DistributedDataParallel(model), "module."),
        (DistributedDataParallel(compiled), "module._orig_mod."),
        (fully_shard(llama()), ""),
    ):
        assert {route.name: route.reason for route in routed(wrapped)} == {f"{prefix}{n}": r for n, r in bare.items()}
