"""How deep in the model each parameter is: 0 for embeddings, then block by block, the head last."""

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from torch import nn

from thalweg.closest import did_you_mean

from .kinds import ModelParameter

# The names of the lists of blocks in their order, or a function from a parameter's name to its depth.
Depth = Sequence[str] | Callable[[str], int]

_CONTAINERS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)


def depths(
    model: nn.Module, parameters: Iterable[ModelParameter], depth: Depth | None = None
) -> dict[nn.Parameter, int]:
    """The depth of every parameter, from 0.

    Blocks count from 1, in the order of the lists that ``depth`` names, or of the model's only list of blocks. What
    stands outside them goes by the order in which the model registers it: 0 before the first block, one more than the
    last block after the last. Embeddings outside blocks are at 0 wherever they are registered. A tied parameter has
    the smallest depth of its places.

    Raises ValueError when the lists are not given and the model has none or several, or for a name it does not have.
    """
    if callable(depth):
        return {p.param: min(_asked(depth, name) for name in p.names) for p in parameters}
    if isinstance(depth, str):
        raise TypeError(f"depth: a list of names is needed, write depth=[{depth!r}]")
    if depth is not None and not depth:
        raise ValueError("depth must name at least one list of blocks; leave it out to have it found")
    modules = dict(model.named_modules(remove_duplicate=False))
    blocks = _numbered(modules, [_only_list(model)] if depth is None else depth)
    last = max(blocks.values())
    embeddings = {p.param for p in parameters if "embedding" in p.kinds}
    found: dict[nn.Parameter, int] = {}
    reached = 0
    for name, param in model.named_parameters(remove_duplicate=False):
        parts = name.split(".")
        above = (modules[".".join(parts[:n])] for n in range(len(parts) - 1, 0, -1))
        if (block := next((module for module in above if module in blocks), None)) is not None:
            here = reached = blocks[block]
        elif param in embeddings:
            here = 0
        else:
            here = reached if reached < last else last + 1
        found[param] = min(found.get(param, here), here)
    return found


def block_modules(model: nn.Module) -> set[nn.Module]:
    """Every module that stands in a block, with the blocks: what repeats in the model, rather than begins or ends it.

    A block has modules itself, is no plain container, and is one of an nn.ModuleList, or one of several of its class in
    an nn.Sequential.
    """
    return {*_in_blocks(model)}


def _in_blocks(module: nn.Module) -> Iterator[nn.Module]:
    count = Counter(type(child) for child in module.children())
    for child in module.children():
        listed = isinstance(module, nn.ModuleList) or (isinstance(module, nn.Sequential) and count[type(child)] > 1)
        if listed and type(child) not in _CONTAINERS and [*child.children()]:
            yield from child.modules()
        else:
            yield from _in_blocks(child)


def _asked(depth: Callable[[str], int], name: str) -> int:
    answer = depth(name)
    try:
        found = operator.index(answer)
    except TypeError:
        found = -1
    if found < 0:
        raise ValueError(f"depth({name!r}) must be a whole number from 0, got {answer!r}")
    return found


def _numbered(modules: Mapping[str, nn.Module], lists: Sequence[str]) -> dict[nn.Module, int]:
    """The number of each block. A child without a matrix, as a norm, belongs to the block before it."""
    found: dict[nn.Module, int] = {}
    count = 0
    for path in lists:
        if path not in modules:
            raise ValueError(f"depth: the model has no module {path!r}{did_you_mean(path, modules)}")
        before = count
        for block in modules[path].children():
            count += any(param.ndim > 1 for param in block.parameters())
            found.setdefault(block, count)
        if count == before:
            raise ValueError(f"depth: {path!r} holds no blocks with weights; name a ModuleList or Sequential that does")
    return found


def _only_list(model: nn.Module) -> str:
    """The name of the model's only list of blocks; a Sequential without such a list is one of layers itself."""
    # By module, so that a list with several names, as in a wrapped model, counts once.
    found = {module: path for path, module in reversed([*_block_lists(model, "")])}
    if len(found) == 1:
        return next(iter(found.values()))
    if not found and isinstance(model, nn.Sequential):
        return ""
    otherwise = "or give a function from a parameter's name to its depth"
    if not found:
        raise ValueError(
            "layer_decay: the model has no list of repeated blocks to read depths from; name one, for instance "
            f"depth=['encoder.layers'], {otherwise}"
        )
    paths = [*found.values()][::-1]
    raise ValueError(
        f"layer_decay: the model has several lists of blocks: {', '.join(paths)}; name those that follow one another, "
        f"in their order, as depth={paths}, {otherwise}"
    )


def _block_lists(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """The lists of repeated blocks, outermost only: what a block has inside is not the model's depth."""
    if _repeats(module):
        yield path, module
        return
    for own, child in module.named_children():
        yield from _block_lists(child, f"{path}.{own}" if path else own)


def _repeats(module: nn.Module) -> bool:
    """Whether this is a list with at least two blocks of one class. A block is more than a layer: it has modules."""
    if not isinstance(module, nn.ModuleList | nn.Sequential):
        return False
    blocks = (child for child in module.children() if type(child) not in _CONTAINERS and [*child.children()])
    count = Counter(type(block) for block in blocks if [*block.parameters()])
    return any(n > 1 for n in count.values())
