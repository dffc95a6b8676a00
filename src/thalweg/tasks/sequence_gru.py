"""sequence-gru: a gated recurrent unit that reads handwritten digits piece by piece."""

from .digits import METRICS, fit, statement
from .task import Option, Task, Trial

EPOCHS, BATCH = 20, 64
LENGTH, INPUTS, WIDTH = 16, 4, 32


def train(trial: Trial) -> None:
    """One training; about two seconds on one core."""
    import torch

    from thalweg.nn import LayerNorm

    from .models import SequenceReader

    torch.manual_seed(trial.seed("init"))
    layer = {"layer": LayerNorm, "none": None}[str(trial.options["norm"])]
    fit(trial, SequenceReader(LENGTH, INPUTS, WIDTH, 10, layer), EPOCHS, BATCH)


TASK = Task(
    name="sequence-gru",
    summary="handwritten digits read as a sequence, a GRU with LayerNorm inside",
    statement=(
        f"Model: a GRU of width {WIDTH} reads the image as {LENGTH} pieces, each half a row: {INPUTS} pixels, the left "
        "half before the right, rows from the top; its last state, dense 32-10 with bias. One step of the GRU: (r, z) "
        "= sigmoid(norm(W x) + norm(U h)), c = tanh(norm(W' x) + r * norm(U' h)), h <- (1 - z) c + z h, where h "
        "starts at 0; the norms are four LayerNorms, with gains from 1 and biases from 0, epsilon 1e-5, those of r "
        "and z over 64 sums together, those of c over 32; the weights have no bias of their own. norm=none: no norms, "
        "and a bias to each of the four products instead, as in torch.nn.GRU. Weights, and the biases of norm=none, "
        "uniform within +-1 / sqrt(32); the dense layer has PyTorch's initialisation. "
        f"{EPOCHS} epochs. {statement(str(BATCH))}"
    ),
    version="1",
    metrics=METRICS,
    epochs=EPOCHS,
    train=train,
    options={"norm": Option("layer", "which normalisation inside the cell", choices=("layer", "none"))},
)
