"""Claims about optimisation schemes, one a file; in the lecture's order."""

NAMES: tuple[str, ...] = (
    "batches-by-examples",
    "one-observation-by-time",
    "momentum-accelerates",
    "learning-rate-most-sensitive",
    "momentum-overshoots",
    "momentum-smaller-rate",
    "momentum-one",
    "adagrad-uniform",
    "adagrad-slows",
    "rmsprop-uniform",
    "uniform-in-all-directions",
    "rmsprop-can-shrink",
    "rmsprop-memory",
)
