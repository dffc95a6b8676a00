"""Transformer blocks with the normalisation where you want it: before each sub-layer, after it, or both."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from .layers import LayerNorm, RMSNorm

Layer = Callable[[int], nn.Module]

PLACES = ("pre", "post", "sandwich")
EXPANSION = 4  # Vaswani et al. 2017: the hidden layer of the feed-forward net is four times as wide


def add_norm(x: Tensor, branch: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """The residual addition, and its sum normalised: x + branch and norm(x + branch), each (n, length, width).

    thalweg's layers do both in one walk over memory.
    """
    if isinstance(norm, RMSNorm | LayerNorm):
        normed, total = norm(x, branch)
        return total, normed
    total = x + branch
    return total, norm(total)


class SelfAttention(nn.Module):
    """Every position looks at all positions, or, when ``causal``, at itself and those before it.

    (n, length, width) to (n, length, width). Source:  Vaswani et al. 2017, "Attention is all you need"
    (arXiv:1706.03762).
    """

    def __init__(self, width: int, heads: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.heads, self.dropout, self.causal = heads, dropout, causal
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.split_sizes = {"queries_keys_values.weight": (width,) * 3}  # for thalweg.routed

    def forward(self, x: Tensor) -> Tensor:
        # (n, length, 3 * width) to queries, keys, values, each (n, heads, length, width / heads)
        split = self.queries_keys_values(x).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        dropped = self.dropout if self.training else 0.0
        seen = scaled_dot_product_attention(queries, keys, values, dropout_p=dropped, is_causal=self.causal)
        return self.output(seen.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class TransformerBlock(nn.Module):
    """Self-attention and a feed-forward net, each added to its input; with f for either of them:

        pre       x + f(norm(x))           the sum itself is never normalised: end the model with one more norm
        post      norm(x + f(x))
        sandwich  x + norm(f(norm(x)))     as pre, and what a sub-layer adds has a known size

    ``width``    features of a position; ``heads`` attention heads, which divide it.
    ``norm``     the placement: "pre", "post" or "sandwich".
    ``layer``    makes a norm, called with the width: a class such as `RMSNorm`, or torch.nn.Identity for none.
    ``dropout``  share of the attention's weights, and of what a sub-layer adds, set to 0 in training.
    ``causal``   whether a position sees only itself and those before it.

    The feed-forward net has one hidden layer of 4 * width and ReLU. Takes and gives (n, length, width).
    Raises `ValueError` for a placement that does not exist, heads that do not divide the width, and another shape.

    Source:  Vaswani et al. 2017 (arXiv:1706.03762), post; Xiong et al. 2020, "On Layer Normalization in the
             Transformer Architecture" (arXiv:2002.04745), pre; Ding et al. 2021, "CogView" (arXiv:2105.13290),
             sandwich.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        norm: str = "pre",
        layer: Layer = RMSNorm,
        dropout: float = 0.0,
        causal: bool = True,
    ) -> None:
        super().__init__()
        _check(width, heads, norm)
        self.width, self.norm = width, norm
        self.attention_norm = layer(width)
        self.attention = nn.Sequential(SelfAttention(width, heads, dropout, causal), nn.Dropout(dropout))
        self.feed_forward_norm = layer(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, EXPANSION * width), nn.ReLU(), nn.Linear(EXPANSION * width, width), nn.Dropout(dropout)
        )
        if norm == "sandwich":
            self.attention.append(layer(width))
            self.feed_forward.append(layer(width))

    def forward(self, x: Tensor) -> Tensor:
        """(n, length, width) to (n, length, width)."""
        if x.ndim != 3 or x.shape[-1] != self.width:
            raise ValueError(f"a block of width {self.width} takes (n, length, {self.width}); got {tuple(x.shape)}")
        if self.norm == "post":
            _, x = add_norm(x, self.attention(x), self.attention_norm)
            _, x = add_norm(x, self.feed_forward(x), self.feed_forward_norm)
            return x
        x, normed = add_norm(x, self.attention(self.attention_norm(x)), self.feed_forward_norm)
        return x + self.feed_forward(normed)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"norm={self.norm!r}"


class TransformerStack(nn.Sequential):
    """Blocks one after the other and, for pre and sandwich, the final norm. (n, length, width) to the same.

    ``layers`` is how many blocks; everything else is `TransformerBlock`'s.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        layers: int,
        *,
        norm: str = "pre",
        layer: Layer = RMSNorm,
        dropout: float = 0.0,
        causal: bool = True,
    ) -> None:
        _check(width, heads, norm)
        blocks: list[nn.Module] = [
            TransformerBlock(width, heads, norm=norm, layer=layer, dropout=dropout, causal=causal)
            for _ in range(layers)
        ]
        super().__init__(*blocks, *([] if norm == "post" else [layer(width)]))


def _check(width: int, heads: int, norm: str) -> None:
    if norm not in PLACES:
        raise ValueError(f"norm says where the norms stand, one of {', '.join(PLACES)}; got {norm!r}")
    if heads < 1 or width % heads:
        raise ValueError(f"heads must divide the width {width}; got {heads}")
