"""Which rule is timed on which tensors, in which chain: the cells of the tables."""

from dataclasses import dataclass

from shapes import MODELS, Model
from thalweg.optim import OPTIMIZERS
from thalweg.speed.cases import FROM_MEMORY, least_bytes


@dataclass(frozen=True)
class Chain:
    """What is done with the gradients of one backward pass. ``bytes``: the least it adds to a step, for each weight."""

    title: str
    bytes: int


# The norm reads the gradient once more; EMA is read and written, the gradient cleared. Unscaling moves nothing.
CHAINS = {
    "step": Chain("step", 0),
    "clip": Chain("clip + step", 4),
    "full": Chain("unscale + clip + step + EMA + clear", 4 + 8 + 4),
}


@dataclass(frozen=True)
class Cell:
    """One line of a table; rule, model and chain by their keys in OPTIMIZERS, MODELS and CHAINS."""

    rule: str
    model_key: str
    chain: str

    @property
    def name(self) -> str:
        """What `--only` selects by, such as adamw/gpt2/step."""
        return f"{self.rule}/{self.model_key}/{self.chain}"

    @property
    def model(self) -> Model:
        """The tensors."""
        return MODELS[self.model_key]

    @property
    def floor_bytes(self) -> int | None:
        """The least that thalweg's call can move; None for tensors that stay in the cache, where it says nothing."""
        moved = least_bytes(self.rule) + CHAINS[self.chain].bytes
        return moved * self.model.weights if self.model.weights > FROM_MEMORY else None


# AdamW everywhere; every rule on many small tensors and on one large; what else is common, or known to be hard for us.
_MORE = {("sgd", "mlp"), ("momentum", "resnet18"), ("lion", "gpt2")}


def _measured(rule: str, model: str, chain: str) -> bool:
    if rule == "adamw":
        return True
    return chain == "step" and (model in ("500x1000", "25m") or (rule, model) in _MORE)


# From small to large, since the allocator keeps more to itself once larger blocks have been freed.
CELLS = {
    cell.name: cell
    for cell in (Cell(rule, model, chain) for model in MODELS for chain in CHAINS for rule in OPTIMIZERS)
    if _measured(cell.rule, cell.model_key, cell.chain)
}
