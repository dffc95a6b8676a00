"""A model's groups, each divided into the matrices and the others that a routing tells."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from .groups import NO_DECAY, NoDecay, ParamGroups, exemption
from .route import Route
from .route_table import in_parts


def divided(groups: Iterable[Mapping[str, Any]], routes: Iterable[Route]) -> tuple[ParamGroups, ParamGroups]:
    """Of groups as `param_groups` makes them those of the matrices, and those of the others.

    The matrices of a group are together where they are read alike; what has no route is left out. Each group has a
    name of its own: ``matrices`` or ``others``, how they are read, and what `param_groups` says of the group:
    ``depth_3_matrices_transposed_768+768+768``, ``others_no_decay``.
    """
    of = {route.param: route for route in routes}
    matrices, others = ParamGroups(), ParamGroups()
    for group in groups:
        parts: dict[tuple[bool, tuple[tuple[str, Any], ...]], list[tuple[str, nn.Parameter]]] = {}
        for name, param in group["params"]:
            if param in of:
                parts.setdefault((of[param].matrix, tuple(of[param].read.items())), []).append((name, param))
        for (matrix, read), params in parts.items():
            name = _name(group["name"], "matrices" if matrix else "others", dict(read))
            (matrices if matrix else others).append({**group, "params": params, "name": name, **dict(read)})
    return matrices, others


def _name(whole: str, what: str, read: Mapping[str, Any]) -> str:
    depth = whole.removesuffix("decay").removesuffix("no_")
    how = (in_parts(said).replace(" ", "") if option == "split_sizes" else option for option, said in read.items())
    return depth + "_".join([what, *how, *(["no_decay"] if whole.endswith("no_decay") else [])])


def routed_groups(routes: Iterable[Route], no_decay: NoDecay = NO_DECAY) -> tuple[ParamGroups, ParamGroups]:
    """Parameter groups of the matrices, and of the others; exempt from weight decay as `param_groups` has it.

    A group of matrices has, where they are not the usual, the keys ``flat``, ``split_sizes`` and ``transposed``, as a
    `Route` has them. Names are ``matrices`` or ``others``, how they are read, and ``no_decay``.

    Raises what `param_groups` does for ``no_decay``.
    """
    routes = [*routes]
    is_exempt = exemption(no_decay, [route.parameter for route in routes])
    decayed: dict[str, Any] = {"name": "decay", "params": []}
    spared: dict[str, Any] = {"name": "no_decay", "params": [], "weight_decay": 0.0}
    for route in routes:
        (spared if is_exempt(route.parameter) else decayed)["params"].append((route.name, route.param))
    return divided((decayed, spared), routes)
