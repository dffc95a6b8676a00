"""Claims about normalisation, one a file; in the lecture's order."""

NAMES: tuple[str, ...] = ()
