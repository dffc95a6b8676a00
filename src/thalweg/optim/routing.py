"""Which of a model's parameters are matrices, for Muon, SOAP or Shampoo, and which go to the rule beside; and why.

The rules in full: docs/routing.md.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from .flattened import refuse_flattened
from .fused import CONVOLUTIONS, fused, inputs_first, lora
from .kinds import EMBEDDINGS, KINDS, ModelParameter, model_parameters, trained
from .outputs import output_modules
from .patterns import check_patterns, matches
from .route import Route
from .route_table import HEADINGS, RIGHT, in_parts, rows_of
from .tables import html_table, text_table

# Of several kinds, these are said to be the reason before others: a norm's bias is a norm's.
_FIRST = ("embedding", "norm")


class Routing(tuple[Route, ...]):
    """The routes of a model's parameters, in the model's order; prints as a table.

    A rule for matrices takes it in place of the ``model`` that it is of: ``thalweg.Muon(routing, others=...)``.
    """

    model: nn.Module

    def __new__(cls, routes: Iterable[Route], model: nn.Module) -> "Routing":
        made = super().__new__(cls, routes)
        made.model = model
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (tuple(self), self.model)

    @property
    def matrices(self) -> tuple[Route, ...]:
        return tuple(route for route in self if route.matrix)

    @property
    def others(self) -> tuple[Route, ...]:
        return tuple(route for route in self if not route.matrix)

    def __repr__(self) -> str:
        return text_table(HEADINGS, rows_of(self), RIGHT)

    def _repr_html_(self) -> str:
        return html_table(HEADINGS, rows_of(self))


def routed(
    model: nn.Module,
    *,
    matrices: Collection[str] = (),
    others: Collection[str] = (),
    split_sizes: Mapping[str, Sequence[int]] | None = None,
    frozen: bool = False,
) -> Routing:
    """For each parameter of the model: whether it is a matrix for Muon and its relatives, and why.

    ``matrices``     patterns of whole names (``"*.head.weight"``) of what is a matrix, whatever the rules say.
    ``others``       likewise, of what is not.
    ``split_sizes``  for patterns of names, how many outputs each of several matrices side by side has: queries, keys
                     and values in one linear layer, ``{"*.qkv.weight": (2048, 512, 512)}``. What types tell (torch's
                     attention and recurrent layers, GPT-2 of transformers) needs no saying; ``()`` keeps it whole.
    ``frozen``       whether to route parameters with ``requires_grad=False`` too, to train them later.

    Print what it returns to see what goes where. Freezing a parameter changes nothing for the others.

    Raises ValueError for patterns that match nothing or contradict one another, sizes that do not fit, vectors asked
    for as matrices, parameters without a shape or flattened ones, models without parameters to train; TypeError for
    arguments of the wrong kind. The rules in full: docs/routing.md.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"routed takes a model (a torch.nn.Module), got {type(model).__name__}")
    everything = model_parameters(model)
    taken = trained(model, everything, frozen)
    modules = dict(model.named_modules(remove_duplicate=False))
    refuse_flattened(model, everything)
    sizes = split_sizes or {}
    check_patterns("matrices", matrices, everything)
    check_patterns("others", others, everything)
    check_patterns("split_sizes", sizes, everything)
    outputs = output_modules(model, everything)
    routes = (_overruled(_route(p, modules, outputs), modules, matrices, others, sizes) for p in taken)
    return Routing(routes, model)


def _route(p: ModelParameter, modules: Mapping[str, nn.Module], outputs: set[nn.Module]) -> Route:
    """What the rules say of a parameter."""
    why = _other(p, modules, outputs)
    return Route(p, False, why) if why else _as_matrices(p, modules)


def _other(p: ModelParameter, modules: Mapping[str, nn.Module], outputs: set[nn.Module]) -> str | None:
    """Why a parameter is no matrix for a matrix rule; None if it is one."""
    shape = p.param.shape
    if not p.param.is_floating_point():
        return "complex" if p.param.is_complex() else "quantised"
    if any(isinstance(module, EMBEDDINGS) for module in p.modules) and "embedding" not in p.kinds:
        return "tied"
    if p.kinds:
        return next(kind for kind in (*_FIRST, *KINDS) if kind in p.kinds)
    part = lora(p.name, modules)
    if part == "lora_embedding_A":
        return "embedding"
    if not part and any(module in outputs for module in p.modules):
        return "output"
    module = p.modules[0]
    if isinstance(module, CONVOLUTIONS):
        if module.groups > 1 and module.groups == module.in_channels:
            return "depthwise"
        if module.groups > 1 and inputs_first(module):
            return "transposed convolution in groups"
    elif len(shape) > 2 and shape[0] == 1:
        return "broadcast"
    elif len(shape) > 3:
        return f"{len(shape)} dimensions"
    shortest = min(min(of.rows, of.columns) for of in _as_matrices(p, modules).matrices)
    return f"a side of {shortest}" if shortest < 2 else None


def _as_matrices(p: ModelParameter, modules: Mapping[str, nn.Module]) -> Route:
    """How a parameter is read as matrices. Of unknown layers, three dimensions are a stack, more a convolution's."""
    module, dims = p.modules[0], p.param.ndim
    flat = dims > 3 or (dims > 2 and isinstance(module, CONVOLUTIONS))
    whole = Route(p, True, "matrix", flat, (), inputs_first(module))
    of = whole.geometry
    if lora(p.name, modules):
        return replace(whole, reason="LoRA")
    if isinstance(module, CONVOLUTIONS):
        # The lengths of a weight norm may be fewer than the outputs.
        if 1 < module.groups < module.in_channels and not whole.transposed and of.rows == module.out_channels:
            parts = (of.rows // module.groups,) * module.groups
            return replace(whole, reason=f"convolution in {module.groups} groups, flattened", split_sizes=parts)
        return replace(whole, reason="convolution, flattened")
    outputs = of.columns if whole.transposed else of.rows
    if found := fused(p.name, modules, module, outputs):
        words, sizes = found
        return _split(whole, sizes, words, f"{type(module).__name__} {p.name!r}")
    if of.count > 1:
        return replace(whole, reason="stacked, each a matrix")
    return replace(whole, reason="inputs x outputs") if whole.transposed else whole


def _overruled(
    route: Route,
    modules: Mapping[str, nn.Module],
    matrices: Collection[str],
    others: Collection[str],
    split_sizes: Mapping[str, Sequence[int]],
) -> Route:
    """What the user says, over what the rules say."""
    p = route.parameter
    to_matrices, to_others = matches(p, matrices), matches(p, others)
    if to_matrices and to_others:
        raise ValueError(f"both matrices and others have a pattern for {p.name!r}: keep one of them")
    if to_others and route.matrix:
        route = Route(p, False, "as asked")
    elif to_matrices and not route.matrix:
        if p.param.ndim < 2 or not p.param.is_floating_point():
            numbers = "is quantised or complex" if p.param.ndim > 1 else f"has {p.param.ndim} dimensions"
            raise ValueError(f"matrices: {p.name!r} {numbers}, and is no matrix; leave it out of the pattern")
        route = replace(_as_matrices(p, modules), reason="as asked")
    for pattern, sizes in split_sizes.items():
        if matches(p, (pattern,)):
            route = _split_as_asked(route, pattern, tuple(sizes))
    return route


def _split_as_asked(route: Route, pattern: str, sizes: tuple[int, ...]) -> Route:
    where = f"split_sizes: {pattern!r} matches {route.name!r}"
    if not route.matrix:
        raise ValueError(
            f"{where}, which is no matrix ({route.reason}): name matrices alone, or give it to matrices= too"
        )
    if not sizes:
        return replace(route, split_sizes=(), reason="as asked, whole")
    return _split(route, sizes, "as asked", where)


def _split(route: Route, sizes: tuple[int, ...], words: str, where: str) -> Route:
    """The route as several matrices side by side; ``where`` begins what is said of sizes that do not fit."""
    if not all(isinstance(n, int) and n > 0 for n in sizes):
        raise TypeError(f"{where}: its sizes must be whole numbers from 1, got {sizes!r}")
    of = route.geometry
    # A stack of matrices seldom says which side its outputs are; the sizes do.
    turned = replace(route, transposed=not route.transposed) if of.count > 1 else route
    for each in (route, turned):
        side, n = ("columns", of.columns) if each.transposed else ("rows", of.rows)
        if sum(sizes) == n:
            return replace(each, split_sizes=sizes, reason=f"{words}: {side} {in_parts(sizes)}")
    outputs = f"{of.columns} columns" if route.transposed else f"{of.rows} rows"
    raise ValueError(f"{where}: it has {outputs}, but its sizes {sizes!r} add up to {sum(sizes)}")
