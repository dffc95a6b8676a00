"""For every rule, implementations that this project did not write, with the arguments that make them the same rule.

drift.py measures how far they are apart; docs/sources.md says what is not here, and why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import by_hand as hand
from oracles import Maker, by_hand, keras, optax, torch_class, trained_then_evaluated

Arguments = Mapping[str, Any]
Pair = tuple[Arguments, Arguments]


@dataclass(frozen=True)
class Source:
    """A rule of the catalogue, with wrappers around it if so named, and where to find it elsewhere."""

    rule: str
    package: str
    name: str
    make: Maker
    # Arguments here and there.
    pairs: tuple[Pair, ...]
    # Largest error allowed, relative to the largest weight of its tensor so far.
    tolerance: float = 1e-12
    # Whether the learning rate may change on the way: not where lr stands elsewhere in the other form.
    scheduled: bool = True
    # What the first gradient is: as drawn (with zeros), without zeros, or nothing but zeros.
    first: Literal["drawn", "dense", "zero"] = "drawn"
    # Whether some gradients are a thousand times as large as others.
    spikes: bool = True
    # The weights that training goes on with, or those to test.
    compared: Literal["weights", "weights to test"] = "weights"
    # Tensors with fewer axes are left out, where the other form treats them otherwise.
    axes: int = 0

    def __str__(self) -> str:
        return f"{self.rule} as {self.name}"


def same(*settings: Arguments) -> tuple[Pair, ...]:
    """The same arguments here and there."""
    return tuple((setting, setting) for setting in settings)


def as_torch(rule: str, name: str, *settings: Arguments, paper: Arguments | None = None) -> Source:
    """A class of torch.optim with its defaults, with the same arguments, and with those that make it the paper's."""
    pairs = (({"like": "torch"}, {}), *same(*settings), *(() if paper is None else (({"like": "paper"}, paper),)))
    return Source(rule, "torch", f"torch.optim.{name}", torch_class(f"torch.optim.{name}"), pairs)


def as_optax(rule: str, name: str, *pairs: Pair, **options: Any) -> Source:
    """A function of optax, and here the convention of its name where the rule has one."""
    return Source(rule, "optax", f"optax.{name}", optax(name), pairs, **options)


def as_keras(rule: str, name: str, *pairs: Pair, **options: Any) -> Source:
    """A class of Keras, and here the convention of its name; Keras's decay is decoupled everywhere."""
    return Source(rule, "keras", f"keras.optimizers.{name}", keras(name), pairs, **options)


def as_written(rule: str, name: str, formula: Any, *pairs: Pair, **options: Any) -> Source:
    """A formula of by_hand.py."""
    return Source(rule, "by hand", name, by_hand(formula), pairs, **options)


TORCH, OPTAX, KERAS, TF1, PAPER = ({"like": name} for name in ("torch", "optax", "keras", "tf1", "paper"))
KERAS_DECAY = {"weight_decay": 0.03, "decay": "decoupled"}
BETAS = {"b1": 0.8, "b2": 0.95}
BETA_WORDS = {"beta_1": 0.8, "beta_2": 0.95}
BOTH = {"beta1": 0.8, "beta2": 0.95}

SOURCES: tuple[Source, ...] = (
    as_torch(
        "sgd", "SGD",
        {"lr": 0.1}, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05}, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5},
        {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    ),
    as_optax(
        "sgd", "sgd", ({**OPTAX, "lr": 0.1}, {"learning_rate": 0.1}),
        ({**OPTAX, "lr": 0.05, "momentum": 0.9}, {"learning_rate": 0.05, "momentum": 0.9}),
        (
            {**OPTAX, "lr": 0.05, "momentum": 0.9, "nesterov": True},
            {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True},
        ),
    ),
    as_keras(
        "sgd", "SGD", ({**KERAS, "lr": 0.1}, {"learning_rate": 0.1}),
        ({**KERAS, **KERAS_DECAY, "momentum": 0.9}, {"learning_rate": 0.01, "momentum": 0.9, "weight_decay": 0.03}),
        (
            {**KERAS, "lr": 0.05, "momentum": 0.9, "nesterov": True},
            {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True},
        ),
        ({**PAPER, "lr": 0.05, "momentum": 0.9}, {"learning_rate": 0.05, "momentum": 0.9}),
    ),
    as_written("sgd", "TensorFlow 1's formula", hand.tf1_gradient_descent, (TF1, {"lr": 0.01})),
    Source(
        "nag", "torch", "torch.optim.SGD(nesterov=True)", torch_class("torch.optim.SGD"),
        ((TORCH, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
         ({"weight_decay": 0.1}, {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1})),
    ),
    as_optax("nag", "sgd", (OPTAX, {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True})),
    as_keras(
        "nag", "SGD", (KERAS, {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True}),
        (PAPER, {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True}),
    ),
    as_written(
        "nag", "TensorFlow 1's formula", hand.tf1_momentum,
        (TF1, {"lr": 0.01, "momentum": 0.99, "use_nesterov": True}),
        ({**TF1, "lr": 0.1, "momentum": 0.8}, {"lr": 0.1, "momentum": 0.8, "use_nesterov": True}),
    ),
    Source(
        "momentum", "torch", "torch.optim.SGD(momentum=)", torch_class("torch.optim.SGD"),
        ((TORCH, {"lr": 1e-3, "momentum": 0.9}), (PAPER, {"lr": 0.1, "momentum": 0.9}),
         ({**TORCH, "lr": 0.1, "momentum": 0.8, "weight_decay": 0.1},
          {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.1})),
    ),
    as_optax("momentum", "sgd", (OPTAX, {"learning_rate": 1e-3, "momentum": 0.9})),
    as_written(
        "momentum", "the moving average", hand.moving_average, ({}, {"lr": 0.1}), *same({"lr": 0.5, "momentum": 0.5}),
    ),
    as_written(
        "momentum", "TensorFlow 1's formula", hand.tf1_momentum, (TF1, {"lr": 0.01, "momentum": 0.99}),
        ({**TF1, "lr": 0.1, "momentum": 0.8}, {"lr": 0.1, "momentum": 0.8}),
    ),
    as_torch("rprop", "Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (1e-3, 1.0)}),
    as_torch(
        "adagrad", "Adagrad",
        {"lr": 0.1, "weight_decay": 0.1}, {"lr": 0.5, "lr_decay": 0.05, "initial_accumulator_value": 0.3},
    ),
    as_optax(
        "adagrad", "adagrad", ({**OPTAX, "lr": 0.1}, {"learning_rate": 0.1}),
        ({**OPTAX, "lr": 0.3, "initial_accumulator_value": 1.0, "eps": 1e-3},
         {"learning_rate": 0.3, "initial_accumulator_value": 1.0, "eps": 1e-3}),
    ),
    as_keras(
        "adagrad", "Adagrad", (KERAS, {"learning_rate": 1e-3}),
        ({**KERAS, **KERAS_DECAY, "lr": 0.1}, {"learning_rate": 0.1, "weight_decay": 0.03}),
        ({**KERAS, "lr": 0.1, "eps": 0.1}, {"learning_rate": 0.1, "epsilon": 0.1}),
    ),
    as_written(
        "adagrad", "TensorFlow 1's formula", hand.tf1_adagrad, (TF1, {"lr": 0.01}),
        ({**TF1, "lr": 0.1, "initial_accumulator_value": 0.5}, {"lr": 0.1, "initial_accumulator_value": 0.5}),
        (PAPER, {"lr": 0.01, "initial_accumulator_value": 0.0}), first="dense",
    ),
    as_torch(
        "adadelta", "Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1}, paper={"rho": 0.95},
    ),
    as_optax(
        "adadelta", "adadelta", ({**OPTAX, "lr": 1.0}, {"learning_rate": 1.0}),
        ({**OPTAX, "lr": 0.5, "rho": 0.95, "eps": 1e-3}, {"learning_rate": 0.5, "rho": 0.95, "eps": 1e-3}),
    ),
    as_keras(
        "adadelta", "Adadelta", (KERAS, {"learning_rate": 1e-3}),
        ({**KERAS, **KERAS_DECAY, "lr": 1.0, "rho": 0.8}, {"learning_rate": 1.0, "rho": 0.8, "weight_decay": 0.03}),
    ),
    as_written(
        "adadelta", "TensorFlow 1's formula", hand.tf1_adadelta, (TF1, {"lr": 1e-3, "rho": 0.95, "epsilon": 1e-8}),
        ({**TF1, "lr": 1.0, "rho": 0.8, "eps": 1e-3}, {"lr": 1.0, "rho": 0.8, "epsilon": 1e-3}),
    ),
    as_torch(
        "rmsprop", "RMSprop",
        {"lr": 0.1, "alpha": 0.8, "momentum": 0.9, "weight_decay": 0.1},
        {"lr": 0.1, "alpha": 0.9, "centered": True, "eps": 1e-3},
        {"lr": 0.01, "centered": True, "momentum": 0.5, "eps": 0.1},
    ),
    Source(
        "rmsprop", "torch", "torch.optim.RMSprop(eps=0)", torch_class("torch.optim.RMSprop"),
        ((PAPER, {"lr": 1e-3, "alpha": 0.9, "eps": 0.0}),), first="dense",
    ),
    as_optax(
        "rmsprop", "rmsprop", (OPTAX, {"learning_rate": 1e-3}),
        ({**OPTAX, "lr": 0.1, "momentum": 0.9}, {"learning_rate": 0.1, "momentum": 0.9}),
        ({**OPTAX, "lr": 0.1, "alpha": 0.8, "centered": True, "eps": 1e-3, "initial_accumulator_value": 1.0},
         {"learning_rate": 0.1, "decay": 0.8, "centered": True, "eps": 1e-3, "initial_scale": 1.0}),
        ({**OPTAX, "lr": 0.1, "eps_inside": False}, {"learning_rate": 0.1, "eps_in_sqrt": False}),
    ),
    as_keras(
        "rmsprop", "RMSprop", (KERAS, {"learning_rate": 1e-3}),
        ({**KERAS, **KERAS_DECAY, "lr": 0.1, "alpha": 0.8, "momentum": 0.9},
         {"learning_rate": 0.1, "rho": 0.8, "momentum": 0.9, "weight_decay": 0.03}),
        ({**KERAS, "lr": 0.1, "centered": True, "eps": 1e-3},
         {"learning_rate": 0.1, "centered": True, "epsilon": 1e-3}),
    ),
    as_written(
        "rmsprop", "TensorFlow 1's formula", hand.tf1_rmsprop, (TF1, {"lr": 1e-3, "decay": 0.9, "epsilon": 1e-10}),
        ({**TF1, "lr": 0.1, "momentum": 0.9}, {"lr": 0.1, "decay": 0.9, "epsilon": 1e-10, "momentum": 0.9}),
        ({**TF1, "lr": 0.1, "momentum": 0.9, "alpha": 0.8, "eps": 1e-3, "centered": True},
         {"lr": 0.1, "decay": 0.8, "epsilon": 1e-3, "momentum": 0.9, "centered": True}),
    ),
    as_torch(
        "adam", "Adam",
        {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
        {"lr": 0.1, "betas": (0.9, 0.5), "amsgrad": True}, paper={},
    ),
    as_optax(
        "adam", "adam", (OPTAX | {"lr": 1e-3}, {"learning_rate": 1e-3}),
        ({**OPTAX, "lr": 0.1, "betas": (0.8, 0.95), "eps_root": 1e-2},
         {**BETAS, "learning_rate": 0.1, "eps_root": 1e-2}),
    ),
    as_keras(
        "adam", "Adam", (KERAS, {"learning_rate": 1e-3}),
        ({**KERAS, **KERAS_DECAY, "lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3},
         {**BETA_WORDS, "learning_rate": 0.1, "epsilon": 1e-3, "weight_decay": 0.03}),
        ({**KERAS, "lr": 0.1, "betas": (0.8, 0.5), "amsgrad": True},
         {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.5, "amsgrad": True}),
    ),
    as_written(
        "adam", "TensorFlow 1's formula", hand.tf1_adam,
        (TF1, {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}),
        ({**TF1, "lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2}, {**BOTH, "lr": 0.1, "epsilon": 1e-2}),
    ),
    as_torch("adamax", "Adamax", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2, "weight_decay": 0.1}),
    as_optax(
        "adamax", "adamax", ({**OPTAX, "lr": 0.1}, {"learning_rate": 0.1}),
        ({**OPTAX, "lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2}, {**BETAS, "learning_rate": 0.1, "eps": 1e-2}),
    ),
    as_keras(
        "adamax", "Adamax", (KERAS, {"learning_rate": 1e-3}),
        ({**KERAS, **KERAS_DECAY, "lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2},
         {**BETA_WORDS, "learning_rate": 0.1, "epsilon": 1e-2, "weight_decay": 0.03}),
    ),
    as_written(
        "adamax", "the paper's Algorithm 2", hand.adamax,
        ({**PAPER, "lr": 0.1, "betas": (0.8, 0.95)}, {**BOTH, "lr": 0.1}), first="dense",
    ),
    as_torch(
        "nadam", "NAdam", {"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.1, "momentum_decay": 0.1},
        paper={"betas": (0.99, 0.999)},
    ),
    as_optax(
        "nadam", "nadam", (OPTAX | {"lr": 0.01}, {"learning_rate": 0.01}),
        ({**OPTAX, "lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2}, {**BETAS, "learning_rate": 0.1, "eps": 1e-2}),
    ),
    as_keras(
        "nadam", "Nadam", (KERAS, {"learning_rate": 1e-3}),
        ({**KERAS, **KERAS_DECAY, "lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2},
         {**BETA_WORDS, "learning_rate": 0.1, "epsilon": 1e-2, "weight_decay": 0.03}),
    ),
    as_written(
        "nadam", "TensorFlow 1's formula", hand.tf1_adam,
        (TF1, {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7, "use_nesterov": True}),
        ({**TF1, "lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2},
         {**BOTH, "lr": 0.1, "epsilon": 1e-2, "use_nesterov": True}),
    ),
    as_torch(
        "adamw", "AdamW",
        {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
        {"lr": 0.1, "betas": (0.9, 0.5), "amsgrad": True},
    ),
    as_optax(
        "adamw", "adamw", ({**OPTAX, "lr": 1e-3}, {"learning_rate": 1e-3}),
        ({**OPTAX, "lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.1},
         {**BETAS, "learning_rate": 0.1, "weight_decay": 0.1}),
    ),
    as_keras(
        "adamw", "AdamW", (KERAS, {"learning_rate": 1e-3}),
        ({**KERAS, "lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.1},
         {**BETA_WORDS, "learning_rate": 0.1, "weight_decay": 0.1}),
    ),
    Source(
        "adamw", "torch-optimi", "optimi.AdamW(decouple_lr=True)", torch_class("optimi.AdamW"),
        (({**PAPER, "lr": 0.1, "weight_decay": 0.03},
          {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.03, "decouple_lr": True}),),
    ),
    as_written(
        "adamw", "AdamC's decay", hand.corrected_adamw,
        ({"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.5, "decay": "corrected"},
         {**BOTH, "lr": 0.1, "eps": 1e-8, "weight_decay": 0.5, "largest_lr": 0.1}),
    ),
    Source(
        "lars", "torch-optimizer", "torch_optimizer.LARS(eps=0)", torch_class("torch_optimizer.LARS"),
        (({"lr": 1.0, "trust": 0.1},
          {"lr": 1.0, "momentum": 0.9, "weight_decay": 1e-4, "trust_coefficient": 0.1, "eps": 0}),
         ({"lr": 0.1, "weight_decay": 0.0}, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "eps": 0})),
        scheduled=False, axes=1,
    ),
    as_written(
        "lars", "the paper's Algorithm 1", hand.lars,
        ({"lr": 1.0, "momentum": 0.8, "weight_decay": 0.1, "trust": 0.05},
         {"lr": 1.0, "momentum": 0.8, "weight_decay": 0.1, "trust": 0.05}),
        first="dense",
    ),
    Source(
        "amsgrad", "torch", "torch.optim.Adam(amsgrad=True)", torch_class("torch.optim.Adam"),
        ((TORCH, {"lr": 1e-3, "amsgrad": True}),
         ({"lr": 0.1, "betas": (0.8, 0.5), "weight_decay": 0.1},
          {"lr": 0.1, "betas": (0.8, 0.5), "weight_decay": 0.1, "amsgrad": True})),
    ),
    as_optax(
        "amsgrad", "amsgrad", ({**OPTAX, "lr": 0.1}, {"learning_rate": 0.1}),
        ({**OPTAX, "lr": 0.1, "betas": (0.8, 0.5)}, {"learning_rate": 0.1, "b1": 0.8, "b2": 0.5}),
    ),
    as_keras(
        "amsgrad", "Adam", (KERAS, {"learning_rate": 1e-3, "amsgrad": True}),
        ({**KERAS, "lr": 0.1, "betas": (0.8, 0.5)},
         {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.5, "amsgrad": True}),
    ),
    as_written(
        "amsgrad", "TensorFlow 1's Adam, with the largest v", hand.tf1_adam,
        (TF1, {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "amsgrad": True}),
        ({**TF1, "lr": 0.1, "betas": (0.8, 0.5)},
         {"lr": 0.1, "beta1": 0.8, "beta2": 0.5, "epsilon": 1e-8, "amsgrad": True}),
    ),
    as_written(
        "amsgrad", "the paper's Algorithm 2", hand.amsgrad,
        ({**PAPER, "lr": 0.1, "betas": (0.8, 0.5)}, {"lr": 0.1, "beta1": 0.8, "beta2": 0.5}), first="dense",
    ),
    as_optax(
        "signum", "signum", ({"lr": 0.01}, {"learning_rate": 0.01}),
        ({"lr": 0.1, "momentum": 0.5}, {"learning_rate": 0.1, "beta": 0.5}),
    ),
    Source(
        "signum", "pytorch_optimizer", "pytorch_optimizer.SignSGD", torch_class("pytorch_optimizer.SignSGD"),
        same({"lr": 0.01, "momentum": 0.8, "weight_decay": 0.3}, {"lr": 0.01, "momentum": 0.0}),
    ),
    as_written(
        "signum", "the paper's Algorithm 2", hand.signum, *same({"lr": 0.01, "momentum": 0.8, "weight_decay": 0.3}),
    ),
    as_optax(
        "lamb", "lamb", ({**OPTAX, "lr": 0.01}, {"learning_rate": 0.01}),
        ({**OPTAX, "lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.1, "eps": 1e-3},
         {**BETAS, "learning_rate": 0.1, "weight_decay": 0.1, "eps": 1e-3}),
        ({"lr": 0.01, "weight_decay": 0.1}, {"learning_rate": 0.01, "weight_decay": 0.1}),
        ({**PAPER, "weight_decay": 0.0}, {"learning_rate": 1e-3}),
    ),
    Source(
        "lamb", "torch", "torch.optim.Adam, where decay is 0", torch_class("torch.optim.Adam"),
        (({"lr": 0.01, "weight_decay": 0.0}, {"lr": 0.01, "eps": 1e-6}),),
    ),
    as_torch("radam", "RAdam", {"lr": 0.01}, {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    as_optax(
        "radam", "radam", ({**OPTAX, "lr": 0.01}, {"learning_rate": 0.01}),
        ({**OPTAX, "lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2}, {**BETAS, "learning_rate": 0.1, "eps": 1e-2}),
        ({**TF1, "lr": 0.01}, {"learning_rate": 0.01, "eps": 1e-7}),
    ),
    as_written(
        "radam", "the paper's Algorithm 2", hand.radam,
        ({**PAPER, "lr": 0.1}, {"lr": 0.1, "beta1": 0.9, "beta2": 0.999}),
        ({**PAPER, "lr": 0.1, "betas": (0.8, 0.95)}, {**BOTH, "lr": 0.1}), first="dense",
    ),
    Source(
        "adabound", "adabound", "adabound.AdaBound", torch_class("adabound.AdaBound"),
        (*same({}, {"lr": 0.01, "betas": (0.8, 0.95), "final_lr": 0.05, "gamma": 0.02, "weight_decay": 0.1},
               {"lr": 0.01, "gamma": 0.05, "amsbound": True, "betas": (0.8, 0.5)}), (TF1, {})),
    ),
    Source(
        "amsbound", "adabound", "adabound.AdaBound(amsbound=True)", torch_class("adabound.AdaBound"),
        (({}, {"amsbound": True}), (TF1, {"amsbound": True}),
         ({"lr": 0.01, "betas": (0.8, 0.5), "gamma": 0.05},
          {"lr": 0.01, "betas": (0.8, 0.5), "gamma": 0.05, "amsbound": True})),
    ),
    # lr stands inside the average there, and is held. 1e-15 is added under the root, where it counts for gradients that
    # are small, and eps is divided by sqrt(1 - beta2^t), so here it is next to none. Decay acts on the weight after the
    # step. Below, the paper's formula is exact.
    Source(
        "laprop", "pytorch_optimizer", "pytorch_optimizer.LaProp", torch_class("pytorch_optimizer.LaProp"),
        same({}, {"lr": 0.01, "betas": (0.8, 0.95)}), scheduled=False, tolerance=1e-8,
    ),
    as_written(
        "laprop", "the paper's algorithm", hand.laprop,
        ({}, {"lr": 4e-4, "beta1": 0.9, "beta2": 0.999, "eps": 1e-15}),
        ({"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
         {**BOTH, "lr": 0.1, "eps": 1e-3, "weight_decay": 0.1}),
    ),
    Source(
        "adabelief", "adabelief-pytorch", "adabelief_pytorch.AdaBelief", torch_class("adabelief_pytorch.AdaBelief"),
        (
            *(
                (ours, {**ours, "print_change_log": False})
                for ours in (
                    {"lr": 0.01}, {"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.1},
                    {"lr": 0.1, "eps": 1e-3}, {"lr": 0.1, "rectify": False, "eps": 1e-3, "weight_decay": 0.1},
                )
            ),
            (TF1, {"eps": 1e-14}), (PAPER, {"eps": 1e-8, "rectify": False}),
        ),
    ),
    as_optax(
        "adabelief", "adabelief", ({**OPTAX, "lr": 0.01}, {"learning_rate": 0.01}),
        ({**OPTAX, "lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-4},
         {**BETAS, "learning_rate": 0.1, "eps": 1e-4, "eps_root": 1e-4}),
    ),
    Source(
        "adan", "torch-optimi", "optimi.Adan", torch_class("optimi.Adan"),
        (({"lr": 0.01}, {"lr": 0.01, "weight_decay": 0.0, "eps": 1e-8}),
         ({"lr": 0.1, "betas": (0.9, 0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
          {"lr": 0.1, "betas": (0.9, 0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1})),
    ),
    Source(
        "adan", "pytorch_optimizer", "pytorch_optimizer.Adan", torch_class("pytorch_optimizer.Adan"),
        (({"lr": 0.01, "weight_decay": 0.1}, {"lr": 0.01, "weight_decay": 0.1, "weight_decouple": False}),),
    ),
    as_written(
        "adan", "the paper's Algorithm 1, corrected", hand.adan,
        ({"lr": 0.1, "betas": (0.9, 0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
         {"lr": 0.1, "beta1": 0.9, "beta2": 0.8, "beta3": 0.95, "eps": 1e-3, "weight_decay": 0.1}),
    ),
    Source(
        "lion", "lion-pytorch", "lion_pytorch.Lion", torch_class("lion_pytorch.Lion"),
        (*same({}, {"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.3}),
         ({"lr": 0.01, "weight_decay": 0.05, "decay": "independent"},
          {"lr": 0.01, "weight_decay": 0.05, "decoupled_weight_decay": True})),
    ),
    as_optax(
        "lion", "lion",
        ({"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.3},
         {**BETAS, "learning_rate": 0.01, "weight_decay": 0.3}),
    ),
    as_keras(
        "lion", "Lion",
        ({"lr": 0.01, "betas": (0.8, 0.95), "weight_decay": 0.3},
         {**BETA_WORDS, "learning_rate": 0.01, "weight_decay": 0.3}),
    ),
    Source(
        "stableadamw", "torch-optimi", "optimi.StableAdamW", torch_class("optimi.StableAdamW"),
        # Its Triton kernel keeps the root mean square in float32.
        (
            ({}, {"lr": 1e-3, "triton": False}),
            (
                {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
                {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "triton": False},
            ),
        ),
    ),
    Source(
        "prodigy", "prodigyopt", "prodigyopt.Prodigy", torch_class("prodigyopt.Prodigy"),
        same({}, {"lr": 0.5, "betas": (0.8, 0.95), "d0": 1e-3, "d_coef": 2.0, "weight_decay": 0.1, "eps": 1e-3}),
    ),
    Source(
        "schedulefreesgd", "schedulefree", "schedulefree.SGDScheduleFree", torch_class("schedulefree.SGDScheduleFree"),
        same({"lr": 0.1}, {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.1, "warmup_steps": 20, "r": 1.0},
             {"lr": 0.1, "weight_lr_power": 0.0}),
    ),
    Source(
        "schedulefreesgd", "schedulefree", "schedulefree.SGDScheduleFreeReference, evaluated",
        trained_then_evaluated("schedulefree.SGDScheduleFreeReference"),
        same({"lr": 0.1, "momentum": 0.8, "weight_decay": 0.1, "warmup_steps": 20, "r": 1.0}),
        compared="weights to test",
    ),
    Source(
        "schedulefreeadamw", "schedulefree", "schedulefree.AdamWScheduleFree",
        torch_class("schedulefree.AdamWScheduleFree"),
        same({}, {"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.1, "warmup_steps": 20, "r": 1.0, "eps": 1e-3},
             {"lr": 0.1, "weight_lr_power": 0.0}),
    ),
    Source(
        "schedulefreeadamw", "schedulefree", "schedulefree.AdamWScheduleFreeReference, evaluated",
        trained_then_evaluated("schedulefree.AdamWScheduleFreeReference"),
        same({"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.1, "warmup_steps": 20, "r": 1.0}),
        compared="weights to test",
    ),
    Source(
        "ademamix", "pytorch_optimizer", "pytorch_optimizer.AdEMAMix", torch_class("pytorch_optimizer.AdEMAMix"),
        (({}, {"lr": 1e-3, "alpha": 5.0}),
         ({"lr": 0.01, "betas": (0.8, 0.95, 0.99), "alpha": 3.0, "weight_decay": 0.1, "warmup": 150},
          {"lr": 0.01, "betas": (0.8, 0.95, 0.99), "alpha": 3.0, "weight_decay": 0.1, "weight_decouple": True,
           "t_alpha_beta3": 150})),
    ),
    as_optax(
        "ademamix", "contrib.ademamix",
        ({"lr": 0.01, "betas": (0.8, 0.95, 0.99), "alpha": 3.0, "weight_decay": 0.1},
         {**BETAS, "b3": 0.99, "alpha": 3.0, "learning_rate": 0.01, "weight_decay": 0.1}),
    ),
    Source(
        "adopt", "torch-adopt", "adopt.ADOPT", torch_class("adopt.ADOPT"),
        same({"lr": 0.01}, {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-2, "weight_decay": 0.1}),
    ),
    as_optax("adopt", "contrib.adopt", ({"lr": 0.01, "betas": (0.8, 0.95)}, {**BETAS, "learning_rate": 0.01})),
    # The first correction is made with a last gradient of 0 there; from a first gradient of 0 on the two agree.
    # eps is divided by sqrt(1 - beta2^t) there, with the root beside it, so here there is next to none; and 1e-15 is
    # added under the root, which counts where corrected gradients are small. Below, the paper's formula is exact.
    Source(
        "mars", "pytorch_optimizer", "pytorch_optimizer.MARS(optimize_1d=True)", torch_class("pytorch_optimizer.MARS"),
        tuple(
            (ours, {**ours, "optimize_1d": True})
            for ours in (
                {"lr": 0.01, "eps": 1e-30},
                {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-30, "weight_decay": 0.1, "gamma": 0.1},
            )
        ),
        first="zero", spikes=False, tolerance=1e-6,
    ),
    as_written(
        "mars", "the paper's Algorithm 2", hand.mars,
        ({"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1, "gamma": 0.1},
         {**BOTH, "lr": 0.1, "eps": 1e-3, "weight_decay": 0.1, "gamma": 0.1}),
    ),
    Source(
        "grams", "pytorch_optimizer", "pytorch_optimizer.Grams", torch_class("pytorch_optimizer.Grams"),
        same({}, {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ),
    as_torch(
        "adafactor", "Adafactor",
        {"lr": 0.05, "weight_decay": 0.1}, {"lr": 0.5, "eps": (1e-3, 0.1), "beta2_decay": -0.5, "maximize": True},
    ),
    Source(
        "adafactor", "transformers", "transformers.Adafactor", torch_class("transformers.optimization.Adafactor"),
        (
            ({"like": "transformers", "relative_step": False, "lr": 1e-3}, {"relative_step": False, "lr": 1e-3}),
            (
                {"like": "transformers", "relative_step": False, "lr": 0.05, "beta1": 0.8, "weight_decay": 0.1},
                {"relative_step": False, "lr": 0.05, "beta1": 0.8, "weight_decay": 0.1},
            ),
            (
                {"like": "transformers", "relative_step": False, "lr": 0.1, "eps": (1e-8, 0.1), "beta2_decay": -0.5,
                 "clip_threshold": 0.5, "scale_parameter": False},
                {"relative_step": False, "lr": 0.1, "eps": (1e-8, 0.1), "decay_rate": -0.5, "clip_threshold": 0.5,
                 "scale_parameter": False},
            ),
        ),
    ),
    as_written(
        "adafactor", "the paper's Algorithms 4 and 5", hand.adafactor,
        (PAPER, {"lr": 0.01, "beta2_decay": -0.8, "eps": (1e-30, 1e-3), "clip_threshold": 1.0}),
        ({**PAPER, "lr": 0.2, "eps": (1e-6, 0.1), "clip_threshold": 0.7},
         {"lr": 0.2, "beta2_decay": -0.8, "eps": (1e-6, 0.1), "clip_threshold": 0.7}),
    ),
    Source(
        "came", "pytorch_optimizer", "pytorch_optimizer.CAME", torch_class("pytorch_optimizer.CAME"),
        (
            ({}, {}),
            (
                {"lr": 0.05, "betas": (0.8, 0.95, 0.99), "eps": (1e-6, 1e-8), "clip_threshold": 0.5,
                 "weight_decay": 0.1},
                {"lr": 0.05, "betas": (0.8, 0.95, 0.99), "eps1": 1e-6, "eps2": 1e-8, "clip_threshold": 0.5,
                 "weight_decay": 0.1},
            ),
        ),
    ),
    as_written(
        "sgd+clipupdate", "the paper's section 6", hand.clipped_sgd,
        *same({"lr": 0.5, "momentum": 0.9, "clip_threshold": 0.3}, {"lr": 0.1, "momentum": 0.5, "clip_threshold": 2.0}),
    ),
    as_written(
        "sgd+lookahead", "the paper's Algorithm 1", hand.lookahead_sgd,
        *same({"lr": 0.05, "momentum": 0.9, "k": 5, "slow_step": 0.5},
              {"lr": 0.1, "momentum": 0.5, "k": 7, "slow_step": 0.8}),
    ),
    as_written("sgd+cautious", "the paper's Algorithm 2", hand.cautious_sgd, *same({"lr": 0.05, "momentum": 0.9})),
    as_written(
        "sgd+hyperball", "the paper's two lines", hand.hyperball_sgd,
        *same({"lr": 0.05, "momentum": 0.9}, {"lr": 0.02, "momentum": 0.5}),
    ),
    as_written(
        "sgd+updatefloor", "the records' formula", hand.floored_sgd,
        *same({"lr": 0.05, "momentum": 0.9, "least_update": 2.0}),
    ),
    as_written(
        "sgd+gpa", "the paper's three lines", hand.gpa_sgd,
        *same({"lr": 0.05, "momentum": 0.9, "mu_x": 0.95, "mu_y": 0.7}),
    ),
    as_written(
        "sgd+weightaverage", "its formula", hand.averaged_sgd, *same({"lr": 0.05, "ema": 0.9}),
        compared="weights to test",
    ),
)  # fmt: skip
