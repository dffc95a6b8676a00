"""An optimizer's class with its options, before it has parameters: ``others=thalweg.AdamW(lr=3e-4)``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thalweg.closest import closest

from . import arguments, surface

# What every optimizer has, but not its class.
_OF_INSTANCES = ("param_groups", "state", "defaults")


@dataclass(frozen=True, repr=False)
class Configured:
    """What ``thalweg.AdamW(lr=3e-4)`` is, without parameters: a value that says how others are to be updated.

    It stands for a rule beside another: ``thalweg.Muon(model, lr=0.02, others=thalweg.AdamW(lr=3e-4))``, or by hand in
    a parameter group, ``{"params": heads, "rule": thalweg.AdamW(lr=3e-4)}``.
    """

    made: type[Any]
    """The optimizer's class."""
    given: tuple[tuple[str, Any], ...] = ()
    """The options that were given, lists as tuples."""

    def __repr__(self) -> str:
        return f"{self.made.__name__}({', '.join(f'{name}={value!r}' for name, value in self.given)})"

    def __getattr__(self, name: str) -> Any:
        # Only what is looked for and not found comes here; while it is being unpickled that is anything.
        if name.startswith("_") or name in ("made", "given") or not (name in _OF_INSTANCES or hasattr(self.made, name)):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        called = self.made.__name__
        options = ", ".join(f"{key}={value!r}" for key, value in self.given)
        raise AttributeError(
            f"{self!r} has no parameters, so it is no optimizer yet and has no {name}: write "
            f"{called}(model.parameters(), {options})"
        )

    @property
    def options(self) -> dict[str, Any]:
        """What was asked of parameter groups, as they have it: checked, a convention spelt out.

        Of who handed over every option, as configuration libraries do, those that are not as their defaults: the others
        leave what holds for all groups (``ema``, ``clip_value``) to the optimizer.
        """
        return surface.chosen(self.made.whole, arguments.read(self.made, (), dict(self.given)).chosen)


def without_parameters(made: type[Any], given: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Whether these arguments of an optimizer's class make a `Configured`: options, by name, and no parameters.

    Without any the class makes an empty object, which pickle and copy ask for; and a constructor of a user's own takes
    what it takes.
    """
    if given or not options or "params" in options:
        return False
    return any("rule" in vars(each) and vars(each).get("__init__") is made.__init__ for each in made.__mro__)


def configured(made: type[Any], given: Mapping[str, Any]) -> Configured:
    """The class with these options; TypeError or ValueError for what groups cannot have."""
    name = made.__name__
    if alone := sorted(key for key in arguments.OF_THE_WHOLE & given.keys() if given[key] != surface.WHOLE.get(key)):
        raise TypeError(
            f"{name} got no parameters, so it says how some groups of another optimizer are updated, and {alone[0]!r} "
            f"belongs to an optimizer as a whole: give it there; or write {name}(model.parameters(), ...)"
        )
    known = surface.signature(made.rule).parameters
    if slips := [(key, meant) for key in given if key not in known and (meant := closest(key, known, cutoff=0.75))]:
        raise TypeError(f"{name} takes no {slips[0][0]!r}; did you mean {slips[0][1]!r}?")
    arguments.read(made, (), dict(given))
    # As plain numbers and tuples, so that what was given as lists is the same value, and one that sets can hold.
    return Configured(made, tuple(surface.plain(given, surface.defaults(made.whole)).items()))
