"""Claims about normalisation, one a file; in the lecture's order."""

NAMES: tuple[str, ...] = (
    "covariate-shift",
    "batchnorm-faster",
    "batchnorm-larger-rates",
    "batchnorm-initialisation",
    "batchnorm-less-dropout",
    "batchnorm-saturating",
    "normalised-sigmoid-linear",
    "gamma-beta-restore",
    "gamma-beta-needed",
    "batchnorm-small-batches",
    "batchnorm-after-activation",
)
