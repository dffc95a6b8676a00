"""The figures of the explorer, one a file; what each draws is in page/figures, under the same name."""

from importlib import import_module

from thalweg.explore.figure import Figure

NAMES = (
    "descent", "batches", "momentum", "adagrad", "accumulator", "bias", "sign", "singular", "race",
    "decay", "clipping", "explosion",
    "norms", "sigmoid", "batchsize", "depth",
    "valley",
)  # fmt: skip


def figures(*names: str) -> tuple[Figure, ...]:
    """Figures by name, in the page's order; all of them, unless some are named."""
    return tuple(import_module(f"{__name__}.{name}").FIGURE for name in NAMES if name in names or not names)
