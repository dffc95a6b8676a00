"""Claims about optimisation schemes, one a file; in the lecture's order."""

NAMES: tuple[str, ...] = (
    "momentum-accelerates",
    "learning-rate-most-sensitive",
    "momentum-overshoots",
    "momentum-smaller-rate",
    "momentum-one",
)
