"""Other people's optimizers, each made into one function: gradients in, weights out.

An oracle is made from weights and the arguments of its library, and is then called once a step with the gradients and
what its first learning rate is multiplied by. What a library prints or warns about itself is its own affair.
"""

import contextlib
import importlib
import io
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

Tensors = Sequence[torch.Tensor]
# (gradients, factor) -> the weights after the step
Oracle = Callable[[Tensors, float], Tensors]
# (weights, arguments) -> an oracle
Maker = Callable[[Tensors, Mapping[str, Any]], Oracle]
# (the weights of one tensor, its gradient, lr, t) -> the new weights
Move = Callable[[Any, Any, float, int], Any]


def torch_class(path: str) -> Maker:
    """An optimizer of torch's kind, such as "torch.optim.Adam"; those that can are put in training mode."""
    return lambda weights, arguments: _of_torchs_kind(path, weights, arguments)[0]


def trained_then_evaluated(path: str) -> Maker:
    """As `torch_class`, but the weights are those that the optimizer says to test (Schedule-Free's eval)."""

    def make(weights: Tensors, arguments: Mapping[str, Any]) -> Oracle:
        train, made, params = _of_torchs_kind(path, weights, arguments)

        def step(gradients: Tensors, factor: float) -> Tensors:
            train(gradients, factor)
            with _theirs():
                made.eval()
                tested = [p.detach().clone() for p in params]
                made.train()
            return tested

        return step

    return make


def stepped(made: torch.optim.Optimizer, params: Tensors) -> Oracle:
    """The oracle of an optimizer of torch's kind over ``params``."""
    for group in made.param_groups:
        group.setdefault("initial_lr", group["lr"])  # as torch's schedulers do

    def step(gradients: Tensors, factor: float) -> Tensors:
        for group in made.param_groups:
            group["lr"] = group["initial_lr"] * factor
        for p, g in zip(params, gradients, strict=True):
            p.grad = g.clone()
        made.step()
        return [p.detach().clone() for p in params]

    return step


def optax(name: str) -> Maker:
    """A function of optax or of optax.contrib that makes a transformation, in float64."""

    def make(weights: Tensors, arguments: Mapping[str, Any]) -> Oracle:
        jax, library = importlib.import_module("jax"), importlib.import_module("optax")
        jax.config.update("jax_enable_x64", True)
        made_by = _attribute(library, name)

        def chained(lr: Any) -> Any:
            # The rate is an input of the compiled step, so that a schedule costs no second compilation.
            return made_by(**{**arguments, "learning_rate": lr})

        first = arguments["learning_rate"]
        params = [jax.numpy.asarray(w.numpy()) for w in weights]
        state = chained(first).init(params)

        @jax.jit
        def advance(gradients: Any, state: Any, params: Any, lr: Any) -> Any:
            updates, state = chained(lr).update(gradients, state, params)
            return library.apply_updates(params, updates), state

        def step(gradients: Tensors, factor: float) -> Tensors:
            nonlocal params, state
            params, state = advance([g.numpy() for g in gradients], state, params, first * factor)
            return [torch.from_numpy(np.array(p)) for p in params]

        return step

    return make


def keras(name: str) -> Maker:
    """A class of keras.optimizers, in float64."""

    def make(weights: Tensors, arguments: Mapping[str, Any]) -> Oracle:
        library = _keras()
        variables = [library.Variable(w.numpy(), dtype="float64") for w in weights]
        made = _attribute(library.optimizers, name)(**arguments)
        made.build(variables)
        first = arguments["learning_rate"]

        def step(gradients: Tensors, factor: float) -> Tensors:
            made.learning_rate = first * factor
            with torch.no_grad(), _theirs():
                made.apply([g.clone() for g in gradients], variables)
            return [v.value.detach().clone() for v in variables]

        return step

    return make


def by_hand(rule: Callable[..., Move]) -> Maker:
    """A rule written out in `by_hand.py`, for one tensor at a time, in numpy's float64."""

    def make(weights: Tensors, arguments: Mapping[str, Any]) -> Oracle:
        others = {name: value for name, value in arguments.items() if name != "lr"}
        at = [w.numpy().copy() for w in weights]
        moves = [rule(**others) for _ in at]
        t = 0

        def step(gradients: Tensors, factor: float) -> Tensors:
            nonlocal t, at
            t += 1
            lr = arguments["lr"] * factor
            with np.errstate(all="ignore"):
                at = [move(w, g.numpy(), lr, t) for move, w, g in zip(moves, at, gradients, strict=True)]
            return [torch.from_numpy(np.array(w)) for w in at]

        return step

    return make


@lru_cache(1)
def _keras() -> Any:
    # Keras writes a file of settings where it is told to, or else into the home directory.
    with tempfile.TemporaryDirectory() as settings:
        os.environ.update({"KERAS_BACKEND": "torch", "KERAS_HOME": settings})
        library = importlib.import_module("keras")
    library.config.set_floatx("float64")
    return library


def _of_torchs_kind(path: str, weights: Tensors, arguments: Mapping[str, Any]) -> tuple[Oracle, Any, Tensors]:
    module, _, name = path.rpartition(".")
    params = [torch.nn.Parameter(w.clone()) for w in weights]
    with _theirs():
        made = getattr(importlib.import_module(module), name)(params, **arguments)
        if hasattr(made, "train"):
            made.train()
    inner = stepped(made, params)

    def step(gradients: Tensors, factor: float) -> Tensors:
        with _theirs():
            return inner(gradients, factor)

    return step, made, params


def _attribute(library: Any, name: str) -> Any:
    for part in name.split("."):
        library = getattr(library, part)
    return library


@contextlib.contextmanager
def _theirs() -> Iterator[None]:
    """Without a library's own messages; numbers that it keeps beside the weights are in float64 too."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(usual)
