"""Small models with the structure and the names of well-known ones, for what reads a model's structure and names."""

from collections import OrderedDict

import torch
from torch import nn

WIDTH = 8


class EncoderBlock(nn.Module):
    """torchvision's."""

    def __init__(self) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(WIDTH)
        self.self_attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.ln_2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 16), nn.GELU(), nn.Linear(16, WIDTH))


class Encoder(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.zeros(1, 5, WIDTH))
        self.layers = nn.Sequential(OrderedDict((f"encoder_layer_{i}", EncoderBlock()) for i in range(depth)))
        self.ln = nn.LayerNorm(WIDTH)


class VisionTransformer(nn.Module):
    """torchvision.models.vit_b_16."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, WIDTH, 2, 2)
        self.class_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.encoder = Encoder(depth)
        self.heads = nn.Sequential(OrderedDict([("pre", nn.Linear(WIDTH, 4)), ("head", nn.Linear(4, 2))]))


class TimmBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(WIDTH, 3 * WIDTH), "proj": nn.Linear(WIDTH, WIDTH)})
        self.gamma = nn.Parameter(torch.ones(WIDTH))
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(WIDTH, 16), "fc2": nn.Linear(16, WIDTH)})


class TimmVisionTransformer(nn.Module):
    """timm's, which says itself what shall not be decayed."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, WIDTH))
        self.latent = nn.Parameter(torch.zeros(1, 2, WIDTH))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, WIDTH, 2, 2)})
        self.blocks = nn.Sequential(*(TimmBlock() for _ in range(depth)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 2)

    def no_weight_decay(self) -> set[str]:
        return {"cls_token", "pos_embed", "dist_token", "latent"}


class BertSelf(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))


class BertOutput(nn.Module):
    def __init__(self, inner: int = WIDTH) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH)


class BertLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"self": BertSelf(), "output": BertOutput()})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, 16)})
        self.output = BertOutput(16)


class BertEmbeddings(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(11, WIDTH, padding_idx=0)
        self.position_embeddings = nn.Embedding(6, WIDTH)
        self.token_type_embeddings = nn.Embedding(2, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH)


class Bert(nn.Module):
    """transformers.BertForSequenceClassification."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        layers = nn.ModuleDict({"layer": nn.ModuleList(BertLayer() for _ in range(depth))})
        pooler = nn.ModuleDict({"dense": nn.Linear(WIDTH, WIDTH)})
        self.bert = nn.ModuleDict({"embeddings": BertEmbeddings(), "encoder": layers, "pooler": pooler})
        self.classifier = nn.Linear(WIDTH, 2)


class Conv1D(nn.Module):
    """transformers' Linear, transposed."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(nx, nf))
        self.bias = nn.Parameter(torch.zeros(nf))


class GPT2Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(WIDTH)
        self.attn = nn.ModuleDict({"c_attn": Conv1D(3 * WIDTH, WIDTH), "c_proj": Conv1D(WIDTH, WIDTH)})
        self.ln_2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.ModuleDict({"c_fc": Conv1D(16, WIDTH), "c_proj": Conv1D(WIDTH, 16)})


class GPT2(nn.Module):
    """transformers.GPT2LMHeadModel, whose output layer is its embedding."""

    def __init__(self, depth: int = 3, *, tied: bool = True) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(11, WIDTH),
                "wpe": nn.Embedding(6, WIDTH),
                "h": nn.ModuleList(GPT2Block() for _ in range(depth)),
                "ln_f": nn.LayerNorm(WIDTH),
            }
        )
        self.lm_head = nn.Linear(WIDTH, 11, bias=False)
        if tied:
            self.lm_head.weight = self.transformer["wte"].weight


class LlamaRMSNorm(nn.Module):
    """No relation of torch's norms, as in transformers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))


class LlamaDecoderLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        projections = {f"{name}_proj": nn.Linear(WIDTH, WIDTH, bias=False) for name in "qkvo"}
        self.self_attn = nn.ModuleDict(projections)
        self.mlp = nn.ModuleDict({"gate_proj": nn.Linear(WIDTH, 16), "down_proj": nn.Linear(16, WIDTH)})
        self.input_layernorm = LlamaRMSNorm()
        self.post_attention_layernorm = LlamaRMSNorm()


class Llama(nn.Module):
    """transformers.LlamaForCausalLM."""

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.model = nn.ModuleDict(
            {
                "embed_tokens": nn.Embedding(11, WIDTH),
                "layers": nn.ModuleList(LlamaDecoderLayer() for _ in range(depth)),
                "norm": LlamaRMSNorm(),
            }
        )
        self.lm_head = nn.Linear(WIDTH, 11, bias=False)


class T5LayerNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))


class T5Block(nn.Module):
    def __init__(self, *, first: bool) -> None:
        super().__init__()
        self.q = nn.Linear(WIDTH, WIDTH, bias=False)
        if first:
            self.relative_attention_bias = nn.Embedding(4, 2)
        self.layer_norm = T5LayerNorm()


class T5Stack(nn.Module):
    def __init__(self, shared: nn.Embedding, depth: int) -> None:
        super().__init__()
        self.embed_tokens = shared
        self.block = nn.ModuleList(T5Block(first=i == 0) for i in range(depth))
        self.final_layer_norm = T5LayerNorm()


class T5(nn.Module):
    """transformers.T5ForConditionalGeneration."""

    def __init__(self, depth: int = 2) -> None:
        super().__init__()
        self.shared = nn.Embedding(11, WIDTH)
        self.encoder = T5Stack(self.shared, depth)
        self.decoder = T5Stack(self.shared, depth)
        self.lm_head = nn.Linear(WIDTH, 11, bias=False)


class Bottleneck(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)


class ResNet(nn.Module):
    """torchvision's, with blocks of one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(Bottleneck(), Bottleneck())
        self.layer2 = nn.Sequential(Bottleneck(), Bottleneck(), Bottleneck())
        self.fc = nn.Linear(4, 2)


def transformer() -> nn.Module:
    """torch's own."""
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 3, norm=nn.LayerNorm(WIDTH), enable_nested_tensor=False)


def convolutions() -> nn.Sequential:
    """Layers in a row, with every norm that has parameters."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4),
        nn.Conv2d(4, 4, 3, bias=False), nn.GroupNorm(2, 4), nn.LocalResponseNorm(2),
        nn.ConvTranspose2d(4, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.ReLU(),
        nn.Flatten(), nn.Linear(64, 2),
    )  # fmt: skip


MODELS = {
    "torchvision-vit": VisionTransformer,
    "timm-vit": TimmVisionTransformer,
    "bert": Bert,
    "gpt2": GPT2,
    "llama": Llama,
    "t5": T5,
    "resnet": ResNet,
    "transformer": transformer,
    "convolutions": convolutions,
}
