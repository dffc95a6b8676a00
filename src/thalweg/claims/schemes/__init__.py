"""Claims about optimisation schemes, one a file; in the lecture's order."""

NAMES: tuple[str, ...] = (
    "momentum-accelerates",
    "adam-accelerates-rmsprop",
    "adam-is-rmsprop-with-beta1",
    "adam-moments-unbiased",
    "adam-moments-unbiased-in-training",
    "adam-ratio-of-means",
    "adam-step-bounded",
    "adam-step-never-longer",
    "adam-eps-numerical",
    "tuning-equals-switching",
    "lion-near-adam",
    "lion-betas",
    "lion-better",
)
