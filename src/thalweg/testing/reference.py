"""Where torch has the rule: the same numbers, and checkpoints that go from either to the other."""

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from thalweg.optim import surface

from .cases import FEW, MIXED, gradients, run, weights
from .judging import close, require
from .subject import Subject, params_of
from .suite import Suite, only


def theirs(suite: type[Suite], subject: Subject) -> Callable[[list[torch.Tensor]], torch.optim.Optimizer] | None:
    """What makes the reference's optimizer under the same arguments; None if there is none, or it lacks one of them."""
    name = subject.rule.__name__
    made_by: Any = getattr(torch.optim, name, None) if suite.reference == "same name" else suite.reference
    if made_by is None:
        return None
    known = {**surface.defaults(subject.rule), **subject.arguments}
    own = {key: value for key, value in known.items() if key not in surface.CHAIN or key == "maximize"}
    taken = inspect.signature(made_by).parameters
    if any(key not in taken and own[key] != surface.defaults(subject.rule)[key] for key in own):
        return None
    return partial(made_by, **{key: own[key] for key in own if key in taken})


has_reference = only(lambda suite, subject: theirs(suite, subject) is not None)


class Reference(Suite):
    """Agreement with a class of torch.optim's kind."""

    @has_reference
    def test_agrees_with_torch(self, subject: Subject) -> None:
        """The same weights from the same arguments."""
        shapes = tuple(shape for shape in MIXED if 0 not in shape)  # torch's Adafactor divides by the number of weights
        for dtype in (torch.float64, torch.float32):
            made, other = subject(weights(dtype, shapes)), self._theirs(subject, weights(dtype, shapes))
            for each in (made, other):
                run(each, gradients(self.steps, shapes, spikes=True))
            tolerance = max(self.reference_tolerance, 0.0 if dtype == torch.float64 else self.tolerance[dtype])
            close(
                params_of(made),
                params_of(other),
                tolerance,
                f"after {self.steps} steps in {dtype} the weights are not {type(other).__name__}'s",
            )

    @has_reference
    def test_state_is_torchs(self, subject: Subject) -> None:
        """The same keys, with the same content."""
        made, other = subject(weights(torch.float64)), self._theirs(subject, weights(torch.float64))
        for each in (made, other):
            run(each, gradients(4))
        for p, q in zip(params_of(made), params_of(other), strict=True):
            # torch's SGD keeps no step count, and a buffer that is None.
            ours = {k: v for k, v in made.state[p].items() if k in other.state[q] or k != "step"}
            expected = {k: v for k, v in other.state[q].items() if v is not None}
            require(ours.keys() == expected.keys(), f"the state has the keys {[*ours]}, torch's {[*expected]}")
            for key, value in expected.items():
                close(
                    [ours[key]], [torch.as_tensor(value)], self.reference_tolerance, f"the state {key!r} is not torch's"
                )

    @has_reference
    def test_checkpoint_is_exchanged(self, subject: Subject) -> None:
        """Training goes on in the other class as if it had been there from the start."""
        for direction in ("from torch", "to torch"):
            first: torch.optim.Optimizer = subject(weights(torch.float64))
            second: torch.optim.Optimizer = self._theirs(subject, weights(torch.float64))
            if direction == "from torch":
                first, second = second, first
            run(first, gradients(3))
            with torch.no_grad():
                for mine, other in zip(params_of(second), params_of(first), strict=True):
                    mine.copy_(other)
            second.load_state_dict(copy.deepcopy(first.state_dict()))
            for each in (first, second):
                run(each, gradients(4, FEW, seed=9))
            close(
                params_of(second),
                params_of(first),
                self.reference_tolerance,
                f"a checkpoint taken {direction} goes on otherwise",
            )

    def _theirs(self, subject: Subject, params: list[torch.Tensor]) -> torch.optim.Optimizer:
        made_by = theirs(type(self), subject)
        assert made_by is not None
        return made_by(params)
