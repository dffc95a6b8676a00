"""digits-cnn-bn: the network of digits-cnn with a norm before or after each activation."""

from typing import TYPE_CHECKING

from .digits import METRICS, fit, statement
from .task import Option, Task, Trial

if TYPE_CHECKING:  # tasks are listed without torch
    from collections.abc import Callable

    from torch import nn

EPOCHS = 15
NORMS = Option("batch", "which normalisation", choices=("batch", "layer", "none"))

NORMS_IN_WORDS = (
    "norm=batch: BatchNorm of each channel over the batch and its 8x8 places; the convolution before it, with nothing "
    "in between, has no bias. A batch of one image still has 64 values for each channel. It is tested with its running "
    "mean and variance (momentum 0.1), which come from the weights that are trained, also where a rule tests others; "
    "of a readout they are taken over all training images at once. "
    "norm=layer: LayerNorm over all channels and places of one image, with a gain and a bias for each. "
    "Gains start at 1, biases at 0; epsilon 1e-5. "
)


def make(norm: str, placement: str) -> "nn.Module":
    """The model, with weights from torch's generator."""
    from torch import nn

    from thalweg.nn import BatchNorm2d, LayerNorm
    from thalweg.nn.blocks import ConvBlock

    def over_image(channels: int) -> nn.Module:
        return LayerNorm((channels, 8, 8))

    layers: dict[str, Callable[[int], nn.Module]] = {"batch": BatchNorm2d, "layer": over_image, "none": nn.Identity}
    layer = layers[norm]
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        ConvBlock(1, 16, layer=layer, placement=placement),
        ConvBlock(16, 32, layer=layer, placement=placement),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


def train(trial: Trial) -> None:
    """One training; about three seconds on one core."""
    import torch

    torch.manual_seed(trial.seed("init"))
    model = make(str(trial.options["norm"]), str(trial.options["placement"]))
    fit(trial, model, EPOCHS, int(trial.options["batch"]))


TASK = Task(
    name="digits-cnn-bn",
    summary="digits-cnn with BatchNorm or LayerNorm, before or after each activation",
    statement=(
        "Model: convolution 3x3 of 1 to 16 channels, ReLU, convolution 3x3 of 16 to 32 channels, ReLU (both padded "
        "by 1), maximum over 2x2, dense 512-10; with biases, PyTorch's initialisation; a norm before each ReLU, or "
        f"after it (placement=after). {NORMS_IN_WORDS}norm=none is digits-cnn. "
        f"{EPOCHS} epochs. {statement('`batch` images')}"
    ),
    version="1",
    metrics=METRICS,
    epochs=EPOCHS,
    train=train,
    options={
        "norm": NORMS,
        "placement": Option("before", "of the norms: before or after the activation", choices=("before", "after")),
        "batch": Option(64, "images in a batch", least=1),
    },
)
