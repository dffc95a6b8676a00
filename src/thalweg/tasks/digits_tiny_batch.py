"""digits-tiny-batch: digits-cnn-bn in batches of two images, where a batch says little of the mean."""

from .digits import METRICS, fit, statement
from .digits_cnn_bn import NORMS, NORMS_IN_WORDS, make
from .task import Task, Trial

EPOCHS, BATCH = 4, 2


def train(trial: Trial) -> None:
    """One training; about four seconds on one core."""
    import torch

    torch.manual_seed(trial.seed("init"))
    fit(trial, make(str(trial.options["norm"]), "before"), EPOCHS, BATCH)


TASK = Task(
    name="digits-tiny-batch",
    summary="digits-cnn-bn in batches of two images",
    statement=(
        "Model: convolution 3x3 of 1 to 16 channels, norm, ReLU, convolution 3x3 of 16 to 32 channels, norm, ReLU "
        "(both padded by 1), maximum over 2x2, dense 512-10; with biases, PyTorch's initialisation. "
        f"{NORMS_IN_WORDS}{EPOCHS} epochs. {statement(str(BATCH))}"
    ),
    version="1",
    metrics=METRICS,
    epochs=EPOCHS,
    train=train,
    options={"norm": NORMS},
)
