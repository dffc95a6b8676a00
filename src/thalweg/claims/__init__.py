"""The lecture's statements, each put to the test: a small experiment, numbers written down before, and a verdict.

    thalweg claims adagrad-uniform

``names``    of all claims, in the lecture's order
``claim``    one of them
``measure``  measures one here and now
"""

from importlib import import_module

from .claim import Claim, Measurement

__all__ = ["SECTIONS", "Claim", "Measurement", "claim", "measure", "names"]

SECTIONS = ("schemes", "regularisation", "normalisation")


def names(section: str | None = None) -> tuple[str, ...]:
    """Of the claims of a section, or of all, in the lecture's order."""
    sections = SECTIONS if section is None else (section,)
    return tuple(name for one in sections for name in import_module(f"{__name__}.{one}").NAMES)


def module(name: str) -> str:
    """The module of a claim, by the claim's name. Raises `KeyError` for one that does not exist."""
    for section in SECTIONS:
        if name in names(section):
            return f"{__name__}.{section}.{name.replace('-', '_')}"
    raise KeyError(name)


def claim(name: str) -> Claim:
    """A claim by its name. Raises `KeyError` for one that does not exist."""
    one: Claim = import_module(module(name)).CLAIM
    return one


def measure(name: str, repeat: int = 1) -> Measurement:
    """Measure a claim here, on one thread, with the seeds of a repeat: seconds. Raises `KeyError` as `claim`."""
    import torch

    one = claim(name)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return one.measure(one.seeds_of(repeat))
    finally:
        torch.set_num_threads(threads)
