"""Which rule is timed on which tensors, in which chain: the cells of the tables."""

from dataclasses import dataclass
from functools import reduce

from shapes import MODELS, Model
from thalweg.optim import OPTIMIZERS, Optimizer, wrap
from thalweg.rules import BY_WEIGHT
from thalweg.speed.cases import FROM_MEMORY, least_bytes
from thalweg.wrappers import WRAPPERS


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
    """One line of a table; rule, model and chain by their keys in OPTIMIZERS, MODELS and CHAINS.

    A rule may have wrappers: adamw+lookahead.
    """

    rule: str
    model_key: str
    chain: str

    @property
    def name(self) -> str:
        """What `--only` selects by, such as adamw/gpt2/step."""
        return f"{self.rule}/{self.model_key}/{self.chain}"

    @property
    def made(self) -> type[Optimizer]:
        """The optimizer."""
        rule, *around = self.rule.split("+")
        return reduce(wrap, (WRAPPERS[name] for name in around), OPTIMIZERS[rule])

    @property
    def model(self) -> Model:
        """The tensors."""
        return MODELS[self.model_key]

    @property
    def floor_bytes(self) -> int | None:
        """The least that thalweg's call can move; None for tensors that stay in the cache, where it says nothing."""
        moved = least_bytes(self.made.rule) + CHAINS[self.chain].bytes
        return moved * self.model.weights if self.model.weights > FROM_MEMORY else None


# The rules of the tables, which torch has in a form of its own or people write first; the others: `CATALOGUE`.
RULES = ("sgd", "momentum", "adagrad", "rmsprop", "adam", "adamw", "lion")
# AdamW everywhere; each of them on many small tensors and on one large; what else is common, or known to be hard
# for us.
_MORE = {("sgd", "mlp"), ("momentum", "resnet18"), ("lion", "gpt2")}


def _measured(rule: str, model: str, chain: str) -> bool:
    if rule == "adamw":
        return True
    return chain == "step" and (model in ("500x1000", "25m") or (rule, model) in _MORE)


# From small to large, since the allocator keeps more to itself once larger blocks have been freed.
CELLS = {
    cell.name: cell
    for cell in (Cell(rule, model, chain) for model in MODELS for chain in CHAINS for rule in RULES)
    if _measured(cell.rule, cell.model_key, cell.chain)
}

# Every rule that sees a weight at a time, on one large tensor, and each wrapper around AdamW; the average is an option
# of every rule.
CATALOGUE = {
    cell.name: cell
    for cell in (Cell(rule, "25m", "step") for rule in (*BY_WEIGHT, "adamw+cautious", "adamw+lookahead"))
}
