"""Claims about regularisation, one a file; in the lecture's order."""

NAMES: tuple[str, ...] = ()
