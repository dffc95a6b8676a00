"""torch's normalisation layers to thalweg's and back, in a model that exists."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from . import layers

_PAIRS: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: layers.BatchNorm1d,
    nn.BatchNorm2d: layers.BatchNorm2d,
    nn.BatchNorm3d: layers.BatchNorm3d,
    nn.LayerNorm: layers.LayerNorm,
    nn.RMSNorm: layers.RMSNorm,
}
_NORMS = (
    nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.LocalResponseNorm,
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """A layer that became another class: its name in the model ("" is the model itself), and both classes' names."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Conversion:
    """What `convert` did. ``str()`` of it is a table.

    ``changed``  the layers that are another class now.
    ``left``     normalisation layers that were left as they are: name and class.
    ``same``     whether the model still computes the same function.
    """

    changed: tuple[Change, ...]
    left: tuple[tuple[str, str], ...]
    same: bool

    def __str__(self) -> str:
        rows = [(change.name or "(the model)", f"{change.before} -> {change.after}") for change in self.changed]
        rows += [(name or "(the model)", f"left as it is: {kind}") for name, kind in self.left]
        if not rows:
            return "no normalisation layers"
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:{width}}  {words}" for name, words in rows]
        if not self.same:
            lines.append("The model computes another function now: RMSNorm takes no mean off and adds no bias.")
        return "\n".join(lines)


def convert(model: nn.Module, to: Literal["thalweg", "torch"] = "thalweg", *, rms: bool = False) -> Conversion:
    """Make every normalisation layer thalweg's (or torch's again), in place, and say what was changed.

    Layers stay the same objects, with the same parameters, buffers, hooks and mode: only their class changes. So an
    optimizer, a tied weight or a state_dict made before goes on working. Layers of other classes, a subclass of your
    own for instance, are left as they are, and listed.

    ``rms``  also make every LayerNorm an RMSNorm, which keeps its weight and eps and loses its bias: this is another
             function, and the model has to be trained with it. The norms of nn.TransformerEncoderLayer stay LayerNorm.

    Raises ValueError for another ``to``, TypeError if ``model`` is no module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"convert(model) takes a torch.nn.Module, got {type(model).__name__}")
    if to not in ("thalweg", "torch"):
        raise ValueError(f"to must be 'thalweg' or 'torch', got {to!r}")
    pairs = _PAIRS if to == "thalweg" else {ours: torchs for torchs, ours in _PAIRS.items()}
    changed, left, replaced = [], [], False
    # Its kernel for inference computes LayerNorm itself, from the layers' weights and biases.
    encoders = [module for module in model.modules() if isinstance(module, nn.TransformerEncoderLayer)]
    needed = {id(norm) for encoder in encoders for norm in (encoder.norm1, encoder.norm2)}
    for name, module in model.named_modules():
        before = type(module)
        after = pairs.get(before, before)
        if rms and before in (nn.LayerNorm, layers.LayerNorm) and id(module) in needed:
            left.append((name, f"{_called(after)}, which TransformerEncoderLayer needs"))
        elif rms and before in (nn.LayerNorm, layers.LayerNorm):
            after = layers.RMSNorm if to == "thalweg" else nn.RMSNorm
            module._parameters.pop("bias")
            replaced = True
        if after is not before:
            module.__class__ = after
            changed.append(Change(name, _called(before), _called(after)))
        elif isinstance(module, _NORMS) and before not in (*_PAIRS, *_PAIRS.values()):
            left.append((name, _called(before)))
    return Conversion(tuple(changed), tuple(left), not replaced)


def _called(kind: type) -> str:
    home = "thalweg.nn" if kind in _PAIRS.values() else "torch.nn" if kind.__module__.startswith("torch.") else ""
    return f"{home}.{kind.__name__}" if home else kind.__name__
