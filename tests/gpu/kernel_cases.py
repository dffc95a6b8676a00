"""Passes of the catalogue's rules over memory of given element types, as an optimizer would have them made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

from thalweg.formula import Rule, compose
from thalweg.formula.chain import NO_DECAY
from thalweg.formula.declare import Shaped
from thalweg.formula.kernel import CompiledPass, passes
from thalweg.formula.line_kernel import LinePasses, line_passes
from thalweg.formula.rule import by_lines, parts, wrapped
from thalweg.rules import BY_WEIGHT, CATALOGUE
from thalweg.wrappers import WRAPPERS

# Of weights and gradients, and of states.
TYPES = {
    "float32": ("float32", "float32"),
    "bfloat16": ("bfloat16", "bfloat16"),
    "float16": ("float16", "float16"),
    "float64": ("float64", "float64"),
    "bfloat16 with float32": ("bfloat16", "float32"),
    "float16 with float32": ("float16", "float32"),
    "float32 with bfloat16": ("float32", "bfloat16"),
}
# What stands around a rule: nothing; or a decay in the gradient and a cautious one beside the rule, gradients set to 0,
# and an average of the weights. Clips are numbers, and in every kernel.
CHAINS = {"plain": {**NO_DECAY, "clear": False}, "chain": {"without_shrink": True, "clear": True, "ema": True}}


@dataclass(frozen=True)
class Case:
    """A rule, by name and in wrappers, from the inside out."""

    rule: str
    types: str = "float32"
    chain: str = "plain"
    wrappers: tuple[str, ...] = ()

    @property
    def made(self) -> type[Rule]:
        around = (*self.wrappers, *(["weightaverage"] if self.chain == "chain" else []))
        return reduce(wrapped, (WRAPPERS[name] for name in around), CATALOGUE[self.rule])

    @property
    def dtypes(self) -> Mapping[str, str]:
        """By operand."""
        of_weights, of_states = TYPES[self.types]
        live = compose.live_states(self.made, self.switches)
        return {"w": of_weights, "g": of_weights, **dict.fromkeys(live, of_states)}

    @property
    def switches(self) -> Mapping[str, object]:
        of_matrix = {name: switch.holds(2) for name, switch in parts(self.made, Shaped).items()}
        return {**compose.usual_switches(self.made), **CHAINS[self.chain], **of_matrix}

    @property
    def walks(self) -> Mapping[str, CompiledPass]:
        """Its passes by name."""
        given = (self.made, tuple(self.switches.items()), tuple(self.dtypes.items()))
        if by_lines(self.made):
            return _staged(line_passes(*given))
        made = passes(*given)
        sums = {f"sums {i}": walk for i, walk in enumerate(made.sums)}
        return {"norm": made.norm, "limited norm": made.limited_norm, **sums, "update": made.update}


def _staged(made: LinePasses) -> Mapping[str, CompiledPass]:
    stages = {**{f"sums {i}": stage for i, stage in enumerate(made.sums)}, "update": made.update, "last": made.last}
    found: dict[str, CompiledPass] = {"norm": made.norm, "limited norm": made.limited_norm}
    for name, stage in stages.items():
        if stage.lines is not None and stage.lines.walks:
            found[f"{name}, along lines"] = stage.lines
        if stage.weights is not None:
            found[name] = stage.weights
    return found


def every_line_rule(types: str = "float32") -> Iterator[Case]:
    """Each rule of rows and columns, plain and in the whole chain, of matrices."""
    yield from (Case(name, types, chain) for name, rule in CATALOGUE.items() if by_lines(rule) for chain in CHAINS)


def every_rule(types: str = "float32") -> Iterator[Case]:
    """Each rule plain and in the whole chain, and each wrapper around Adam."""
    for name in BY_WEIGHT:
        yield from (Case(name, types, chain) for chain in CHAINS)
    yield from (Case("adam", types, "plain", (name,)) for name in WRAPPERS)
