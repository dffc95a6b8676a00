"""Names as mathematics prints them: letters with accents and subscripts, words upright."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
    "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "upsilon": "υ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ",
    "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip
# The letters that papers on optimizers have for them.
USUAL = {"lr": "η", "eps": "ε", "weight_decay": "λ", "momentum": "μ"}
ACCENTS = ("hat", "bar", "tilde")
# Words that say which one is meant, and so go below what they stand before.
WHICH = ("next", "old", "first", "base", "final")


@dataclass(frozen=True)
class Symbol:
    """``letter`` is one letter, or a word; ``accent`` stands above it, ``below`` are the words of its subscript."""

    letter: str
    accent: str = ""
    below: tuple[str, ...] = ()

    @property
    def word(self) -> bool:
        """Whether it is a word, which is set upright and must not touch its neighbours."""
        return len(self.letter) > 1


def symbol(name: str) -> Symbol:
    """What a name is printed as: beta1 is beta with a subscript 1, v_hat has a hat, mu_product is mu of product."""
    if name in USUAL:
        return Symbol(USUAL[name])
    words = [word for word in name.split("_") if word] or [name]
    if words[0] in WHICH and len(words) > 1:
        words = [*words[1:], words[0]]
    first, *below = words
    if numbered := re.fullmatch(r"(\D+)(\d+)", first):
        first, below = numbered[1], [numbered[2], *below]
    accent = below.pop(0) if below and below[0] in ACCENTS else ""
    return Symbol(USUAL.get(first) or GREEK.get(first, first), accent, tuple(below))


def symbols(names: Iterable[str], letters: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, Symbol]:
    """What several names are printed as; those that would look alike are written out.

    ``letters``  what to print for some of them instead.
    """
    found = {name: Symbol(letters[name]) if name in letters else symbol(name) for name in names}
    alike = Counter(found.values())
    return {name: each if alike[each] == 1 else Symbol(name) for name, each in found.items()}
