"""Writes catalogue.pyi, so that editors and type checkers see each optimizer's real signature.

python -m thalweg.optim.stubs           # after adding or changing a rule
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from thalweg.formula import Rule
from thalweg.formula.declared import CHAIN_DECAYS
from thalweg.formula.rule import of_matrices
from thalweg.rules import CATALOGUE

from . import surface

PATH = Path(__file__).with_name("catalogue.pyi")

_HEAD = '''"""Made by `python -m thalweg.optim.stubs` from the rules; a test fails when it is out of date."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch

from thalweg.formula import Schedule

from .optimizer import Optimizer

_Params = Iterable[torch.Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, torch.Tensor]]
_Decay = DECAYS

OPTIMIZERS: dict[str, type[Optimizer]]
'''


def text() -> str:
    """The stub file as it should be."""
    names = sorted(rule.__name__ for rule in CATALOGUE.values())
    exported = "\n__all__ = [\n" + "".join(f'    "{name}",\n' for name in ("OPTIMIZERS", *names)) + "]\n"
    head = _HEAD.replace("DECAYS", f"Literal[{', '.join(map(_literal, CHAIN_DECAYS))}]")
    return head + exported + "".join(_class(rule) for rule in CATALOGUE.values())


def _class(rule: type[Rule]) -> str:
    given = "_Params | torch.nn.Module" if of_matrices(rule) else "_Params"
    # Without parameters it is a value for others=, which checkers take for an optimizer.
    lines = [
        f"\nclass {rule.__name__}(Optimizer):",
        "    def __init__(",
        "        self,",
        f"        params: {given} = ...,",
    ]
    keyword_only = False
    for name, parameter in surface.signature(rule).parameters.items():
        if name == "params":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            lines.append("        *,")
            keyword_only = True
        kind = "float | torch.Tensor" if name == "lr" else _written(parameter.annotation)
        lines.append(f"        {name}: {kind} = {_literal(parameter.default)},")
    return "\n".join([*lines, "    ) -> None: ...", ""])


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _written(kind: Any) -> str:
    if isinstance(kind, UnionType) or get_origin(kind) is Union:
        return " | ".join(map(_written, get_args(kind)))
    if get_args(kind) == CHAIN_DECAYS:
        return "_Decay"
    if get_origin(kind) is Literal:
        return f"Literal[{', '.join(map(_literal, get_args(kind)))}]"
    if get_origin(kind) is tuple:
        return f"tuple[{', '.join(map(_written, get_args(kind)))}]"
    if (origin := get_origin(kind)) in (Mapping, Sequence):
        return f"{origin.__name__}[{', '.join(map(_written, get_args(kind)))}]"
    return "None" if kind is type(None) else str(kind.__name__)


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
