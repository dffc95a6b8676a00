"""Which layers are a model's outputs: told by where they stand, never by their names.

1. What ``get_output_embeddings()`` gives, of the model or a module in it (transformers), and an adaptive softmax.
2. If there is none: the last layer, as the model registers them, that stands outside of blocks and whose output no
   layer after it takes. A layer takes it if the width of its input divides that of the output: whole, or in parts.
3. Beside these, every layer outside of blocks that reads as many numbers as one of them, or gives as many, and whose
   output no layer after it takes: policy and value, a classifier and an auxiliary one.

Layers are linear layers, convolutions, and others that have one matrix, called ``weight``; what else has matrices only
takes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from torch import nn

from .depth import block_modules
from .fused import CONVOLUTIONS, inputs_first, lora
from .kinds import EMBEDDINGS, ModelParameter


class _Layer(NamedTuple):
    module: nn.Module
    inputs: frozenset[int]
    """How many numbers it reads; several where the weight does not say which of its sides is the inputs'."""
    outputs: int | None
    """How many it gives, of a linear layer or a convolution."""


def output_modules(model: nn.Module, parameters: Sequence[ModelParameter]) -> set[nn.Module]:
    """The modules whose weights are an output layer's. A model that is a bare list of networks has those of each."""
    modules = dict(model.named_modules(remove_duplicate=False))
    own: dict[nn.Module, list[ModelParameter]] = {}
    for p in parameters:
        if p.param.ndim > 1 and not p.kinds and not lora(p.name, modules):
            for module in p.modules:
                own.setdefault(module, []).append(p)
    networks = [child for child in model.children() if [*child.children()]]
    several = isinstance(model, nn.ModuleList | nn.ModuleDict) and networks
    return set().union(*(_outputs(network, own) for network in (networks if several else [model])))


def _outputs(model: nn.Module, own: Mapping[nn.Module, Sequence[ModelParameter]]) -> set[nn.Module]:
    """Those of one network; ``own`` are the matrices that stand on each module."""
    layers = [_layer(m, own[m]) for m in model.modules() if m in own and not isinstance(m, EMBEDDINGS)]
    inside = block_modules(model)
    said = {*_said(model)}
    free = [
        layer
        for at, layer in enumerate(layers)
        if layer.outputs is not None
        and layer.module not in inside
        and not any(n > 1 and layer.outputs % n == 0 for later in layers[at + 1 :] for n in later.inputs)
    ]
    last = [layer for layer in layers if layer.module in said] or free[-1:]
    read = frozenset[int]().union(*(layer.inputs for layer in last))
    given = {layer.outputs for layer in last}
    return said | {layer.module for layer in free if layer.inputs & read or layer.outputs in given}


def _said(model: nn.Module) -> Iterator[nn.Module]:
    for module in model.modules():
        if isinstance(module, nn.AdaptiveLogSoftmaxWithLoss):
            yield from module.modules()
        asked = getattr(module, "get_output_embeddings", None)
        if callable(asked):
            # transformers raises either where a model has no decoder to ask, as of image features alone.
            with suppress(NotImplementedError, AttributeError):
                if isinstance(found := asked(), nn.Module):
                    yield from found.modules()


def _layer(module: nn.Module, own: Sequence[ModelParameter]) -> _Layer:
    if isinstance(module, nn.Linear):
        return _Layer(module, frozenset({module.in_features}), module.out_features)
    if isinstance(module, CONVOLUTIONS):
        return _Layer(module, frozenset({module.in_channels}), module.out_channels)
    shapes = [p.param.shape for p in own]
    if len(own) == 1 and len(shapes[0]) == 2 and getattr(module, "weight", None) is own[0].param:
        outputs, inputs = reversed(shapes[0]) if inputs_first(module) else shapes[0]
        return _Layer(module, frozenset({inputs}), outputs)
    # Of what is no known layer, either side may be the inputs'.
    return _Layer(module, frozenset(n for shape in shapes for n in shape[-2:]), None)
