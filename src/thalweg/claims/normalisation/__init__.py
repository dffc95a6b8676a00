"""Claims about normalisation, one a file; in the lecture's order."""

NAMES: tuple[str, ...] = (
    "whitening-costs-more",
    "layernorm-any-batch",
    "batchnorm-suffers-recurrent",
    "layernorm-recurrent",
    "rmsnorm-cheaper",
    "rmsnorm-cheaper-in-torch",
    "rmsnorm-equal-quality",
    "rmsnorm-hypothesis",
    "pre-norm-no-warmup",
    "post-norm-needs-warmup",
    "post-norm-warmup-at-pre-rate",
    "pre-norm-better",
)
