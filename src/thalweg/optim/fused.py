"""How known layers lay out their matrices: which side is the outputs', and which lie one after the other in one tensor.

By type, and for other libraries' layers by the class's name, so that none of them is imported.
"""

from collections.abc import Iterator, Mapping

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

CONVOLUTIONS = _ConvNd


def is_a(module: nn.Module, name: str) -> bool:
    """Whether the module's class or one of its bases has this name."""
    return any(of.__name__ == name for of in type(module).__mro__)


def inputs_first(module: nn.Module) -> bool:
    """Whether the weight's rows are the layer's inputs, and its columns the outputs.

    So are transposed convolutions, GPT-2's Conv1D, and experts that say ``is_transposed`` (transformers).
    """
    if isinstance(module, CONVOLUTIONS):
        return isinstance(module, _ConvTransposeNd)
    return _gpt2s(module) or getattr(module, "is_transposed", None) is True


def _gpt2s(module: nn.Module) -> bool:
    """Whether this is GPT-2's Conv1D, transformers' or a copy: a linear layer, and not the convolution of that name."""
    return is_a(module, "Conv1D") and getattr(getattr(module, "weight", None), "ndim", 2) == 2


def fused(
    name: str, modules: Mapping[str, nn.Module], module: nn.Module, outputs: int
) -> tuple[str, tuple[int, ...]] | None:
    """What lies side by side in a weight with so many outputs, in words, and how many outputs each part has.

    A module above may say so: its ``split_sizes`` are sizes by the parameter's name as seen from it. torch's attention
    has queries, keys and values in one tensor (in_proj_weight), its recurrent layers their gates; transformers'
    attention of GPT-2's kind says in ``split_size`` how wide each part of its Conv1D is.

    ``name``    the parameter's, in the model with these ``modules``.
    ``module``  which it stands on.
    """
    for above, rest in _above(name, modules):
        declared = getattr(above, "split_sizes", None)
        if isinstance(declared, Mapping) and rest in declared:
            return "as the model says", tuple(declared[rest])
    path, _, own = name.rpartition(".")
    if isinstance(module, nn.MultiheadAttention) and own == "in_proj_weight":
        return "fused query, key, value", (module.embed_dim,) * 3
    # The matrix of a projection, weight_hr_l0, has fewer outputs.
    if isinstance(module, nn.RNNBase | nn.RNNCellBase) and outputs > module.hidden_size:
        return "gates", (module.hidden_size,) * (outputs // module.hidden_size)
    width = getattr(modules.get(path.rpartition(".")[0]), "split_size", None)
    if _gpt2s(module) and isinstance(width, int) and outputs in (2 * width, 3 * width):
        parts = (width,) * (outputs // width)
        return "fused query, key, value" if len(parts) == 3 else "fused key, value", parts
    return None


def lora(name: str, modules: Mapping[str, nn.Module]) -> str | None:
    """Which part of peft's LoraLayer a parameter is of: lora_A, lora_B, ...; None if it is of none.

    The layer's other parameters, of the layer that it adapts, are none.
    """
    for above, rest in _above(name, modules):
        if is_a(above, "LoraLayer"):
            part = rest.partition(".")[0]
            return part if part.startswith("lora_") else None
    return None


def _above(name: str, modules: Mapping[str, nn.Module]) -> Iterator[tuple[nn.Module, str]]:
    """The modules that a parameter is in, innermost first, and its name as seen from each."""
    parts = name.split(".")
    for end in range(len(parts) - 1, -1, -1):
        yield modules[".".join(parts[:end])], ".".join(parts[end:])
