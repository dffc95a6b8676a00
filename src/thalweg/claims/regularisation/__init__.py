"""Claims about regularisation, one a file; in the lecture's order."""

NAMES: tuple[str, ...] = (
    "small-weights-generalise",
    "l2-is-decay",
    "l2-is-not-decay-with-momentum",
    "l2-harms-momentum",
    "l2-shrinks-unequally-with-scaling",
    "decay-better-than-l2",
    "decay-separates-from-lr",
    "gradients-explode-with-depth",
    "explosion-needs-non-convexity",
    "clipping-by-value-turns",
    "clipping-by-norm-starves",
    "clipped-stays-bounded",
    "clipped-converges",
)
