"""What each parameter of a model is: a bias, a norm's, an embedding, a vector; told by where it stands.

Types of modules decide where they can. A parameter's own name decides where one layer has several, as in_proj_bias,
and for tables that are not an nn.Embedding. The names of modules decide nothing: they are the author's taste.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import ParametrizationList

# Each is a reason to exempt a parameter from weight decay. What has none of them is a plain weight.
KINDS = ("bias", "norm", "embedding", "vector", "declared")

# Gains of several dimensions: these two may normalise over more than one.
_NORMS = (nn.LayerNorm, nn.RMSNorm)
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
# In a class name, the word Norm: BatchNorm2d, LlamaRMSNorm, T5LayerNorm, RMSNormGated; not Normal or Normalize.
_NORM_WORD = re.compile(r"Norm(?![a-z])")
# How a parameter ends that is a table of vectors without being an nn.Embedding: pos_embed, cls_token, query_tokens.
_TABLE_WORDS = ("embed", "embeds", "embedding", "embeddings", "token", "tokens")


@dataclass(frozen=True, eq=False)
class ModelParameter:
    """A parameter, once, with all the places where the model has it."""

    names: tuple[str, ...]
    """Its names in the model; several when it is tied. The first is the one of `Module.named_parameters`."""
    param: nn.Parameter
    modules: tuple[nn.Module, ...]
    """The module that it stands on, for each name; for a part of a parametrized tensor, the module with the tensor."""
    kinds: frozenset[str]
    """Which of `KINDS` it is in every one of its places; nothing for a plain weight."""

    @property
    def name(self) -> str:
        """The first of its names, the one that optimizers keep in ``param_names``."""
        return self.names[0]


class _Place(NamedTuple):
    name: str
    module: nn.Module
    kinds: frozenset[str]


def model_parameters(model: nn.Module) -> tuple[ModelParameter, ...]:
    """Every parameter of the model once, frozen ones too, in the order of `Module.named_parameters`.

    Raises ValueError for parameters whose shape does not say what they are: not yet initialised (nn.LazyLinear), or
    flattened by FullyShardedDataParallel.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    _refuse_flattened(modules)
    declared = _declared(modules)
    places: dict[nn.Parameter, list[_Place]] = {}
    for path, module in modules.items():
        for own, param in module.named_parameters(recurse=False, remove_duplicate=False):
            name = f"{path}.{own}" if path else own
            if isinstance(param, UninitializedParameter):
                raise ValueError(
                    f"{name} has no shape yet (its module is lazy): run one batch through the model, then group "
                    "its parameters"
                )
            owner, tensor, dims = modules[path], own, param.ndim
            if isinstance(module, ParametrizationList):
                # layer.parametrizations.weight.original0: a part stands for layer.weight.
                above, _, tensor = path.rpartition(".")
                owner = modules[above.removesuffix("parametrizations").removesuffix(".")]
                dims = max(part.ndim for part in module.parameters(recurse=False))
            marked = name in declared or bool(getattr(param, "_no_weight_decay", False))
            kinds = frozenset(_kinds(owner, tensor, param, dims, marked))
            places.setdefault(param, []).append(_Place(name, owner, kinds))
    return tuple(
        ModelParameter(
            tuple(place.name for place in found),
            param,
            tuple(place.module for place in found),
            frozenset.intersection(*(place.kinds for place in found)),
        )
        for param, found in places.items()
    )


def trained(model: nn.Module, parameters: Sequence[ModelParameter], frozen: bool) -> list[ModelParameter]:
    """Those to train: with ``frozen`` all of them, else without those that have ``requires_grad=False``.

    Raises ValueError when there are none.
    """
    taken = [p for p in parameters if frozen or p.param.requires_grad]
    if not taken:
        why = "all of its parameters are frozen (requires_grad=False)" if parameters else "it has no parameters"
        raise ValueError(f"there is nothing to train in this {type(model).__name__}: {why}")
    return taken


def _kinds(module: nn.Module, name: str, param: torch.Tensor, dims: int, marked: bool) -> Iterator[str]:
    """The kinds of a parameter called ``name`` on ``module``; ``dims`` as the whole tensor has them."""
    words = name.lower().split("_")
    if "bias" in words:
        yield "bias"
    if _is_norm(module, param):
        yield "norm"
    if isinstance(module, EMBEDDINGS) or words[-1] in _TABLE_WORDS:
        yield "embedding"
    if dims <= 1:
        yield "vector"
    if marked:
        yield "declared"


def _is_norm(module: nn.Module, param: torch.Tensor) -> bool:
    if isinstance(module, _NORMS):
        return True
    # A module that is a norm and something else, as LayerNormLinear, has matrices too: those are not the norm's.
    gain = sum(size > 1 for size in param.shape) <= 1
    return gain and any(_NORM_WORD.search(of.__name__) for of in type(module).__mro__)


def _declared(modules: dict[str, nn.Module]) -> frozenset[str]:
    """What the modules' own ``no_weight_decay()`` names, the custom of timm and its relatives."""
    found: set[str] = set()
    for path, module in modules.items():
        says = getattr(module, "no_weight_decay", None)
        if callable(says):
            found.update(f"{path}.{name}" if path else name for name in says())
    return frozenset(found)


def _refuse_flattened(modules: dict[str, nn.Module]) -> None:
    # By name, because importing torch.distributed.fsdp takes longer than everything else here.
    if any(of.__name__ == "FullyShardedDataParallel" for module in modules.values() for of in type(module).__mro__):
        raise ValueError(
            "FullyShardedDataParallel flattens the parameters it wraps, and a flat matrix cannot be told from a bias: "
            "shard with torch.distributed.fsdp.fully_shard, which keeps shapes, or write the groups by hand"
        )
