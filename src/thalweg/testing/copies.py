"""Checkpoints, copies and pickles: what comes out of them goes on to the bit."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import torch

from thalweg.formula import Rule
from thalweg.optim import Optimizer, surface

from .cases import FEW, gradients, run, weights
from .judging import case, require, same_bits, same_state
from .subject import Subject, params_of
from .suite import Suite, only

# When the copy is made, and of what.
STAGES: dict[str, tuple[int, dict[str, Any]]] = {
    "before the first step": (0, {}),
    "while training": (3, {}),
    "with every option": (3, {"clip_norm": 0.5, "clip_value": 0.8, "ema": 0.9, "nonfinite": "skip", "maximize": True}),
}


class Copies(Suite):
    """A copy is another optimizer with the same future."""

    def test_deepcopy_continues(self, subject: Subject) -> None:
        """copy.deepcopy."""
        self._copied(subject, copy.deepcopy)

    # pickle finds classes by name: of a rule that is tested as it is, it finds the rule.
    @only(lambda suite, _: not issubclass(suite.optimizer, Rule))
    def test_pickle_continues(self, subject: Subject) -> None:
        """pickle, as when an optimizer is sent to another process."""
        self._copied(subject, lambda made: pickle.loads(pickle.dumps(made)))

    def test_state_dict_continues(self, subject: Subject) -> None:
        """state_dict, loaded into a new optimizer on equal weights."""
        self._loaded(subject, lambda state: state)

    def test_checkpoint_continues(self, subject: Subject) -> None:
        """The same through a file that torch.load reads with weights_only=True."""
        self._loaded(subject, _through_a_file)

    def test_loading_its_own_state_changes_nothing(self, subject: Subject) -> None:
        """As Accelerate does when it moves an optimizer to a device."""
        for stage in STAGES:
            with case(stage):
                self._unchanged(subject, stage)

    def _unchanged(self, subject: Subject, stage: str) -> None:
        __tracebackhide__ = True
        steps, options = _stage(subject, stage)
        made, plain = (subject(weights(torch.float32), **options) for _ in range(2))
        for each in (made, plain):
            run(each, gradients(steps))
        made.load_state_dict(made.state_dict())
        _same_future(made, plain, "an optimizer that has loaded its own state")

    def test_types_survive_loading(self, subject: Subject) -> None:
        """States that are kept wider than their weights come back as wide, to the bit."""
        made = subject(weights(torch.bfloat16), ema=0.9)
        run(made, gradients(3))
        twin = subject([torch.nn.Parameter(p.detach().clone()) for p in params_of(made)], ema=0.9)
        twin.load_state_dict(_through_a_file(made.state_dict()))
        same_state(twin.state_dict(), made.state_dict(), "after loading")
        _same_future(twin, made, "a loaded optimizer of bfloat16 weights")

    def test_states_are_found_by_name(self, subject: Subject) -> None:
        """A checkpoint goes on in a model that lists its named parameters in another order."""
        shapes = ((3, 4),) * 3  # alike, so that nothing but the name can tell them apart
        names = ["first", "second", "third"]
        made = subject(list(zip(names, weights(torch.float64, shapes), strict=True)))
        run(made, gradients(3, shapes))
        loaded = []
        for order in ([0, 1, 2], [2, 0, 1]):
            own = [torch.nn.Parameter(params_of(made)[i].detach().clone()) for i in order]
            twin = subject([(names[i], p) for i, p in zip(order, own, strict=True)])
            twin.load_state_dict(_through_a_file(made.state_dict()))
            run(twin, [[row[i] for i in order] for row in gradients(3, shapes, seed=9)])
            loaded.append([own[order.index(i)] for i in range(3)])
        self.close(
            loaded[1],
            loaded[0],
            "with its named parameters in another order a checkpoint goes on otherwise",
        )

    def _copied(self, subject: Subject, copied: Callable[[Optimizer], Optimizer]) -> None:
        __tracebackhide__ = True
        for stage in STAGES:
            with case(stage):
                steps, options = _stage(subject, stage)
                made = subject(weights(torch.float32), **options)
                run(made, gradients(steps))
                twin = copied(made)
                require(type(twin) is type(made), f"the copy of a {type(made)} is a {type(twin)}")
                for key in (*surface.WHOLE, "skipped_steps"):
                    found, expected = getattr(twin, key), getattr(made, key)
                    require(found == expected, f"the copy has {key}={found!r} instead of {expected!r}")
                same_bits(params_of(twin), params_of(made), "the copy's weights")
                _same_future(twin, made, "the copy")

    def _loaded(self, subject: Subject, saved: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        __tracebackhide__ = True
        for stage in STAGES:
            with case(stage):
                steps, options = _stage(subject, stage)
                made = subject(weights(torch.float32), **options)
                run(made, gradients(steps))
                twin = subject([torch.nn.Parameter(p.detach().clone()) for p in params_of(made)], **options)
                twin.load_state_dict(saved(made.state_dict()))
                _same_future(twin, made, "the optimizer that has loaded the state")


def _stage(subject: Subject, stage: str) -> tuple[int, dict[str, Any]]:
    """How many steps are taken before the copy, and the options; lr is a tensor where there are any."""
    steps, options = STAGES[stage]
    return steps, {**options, "lr": torch.tensor(subject.lr)} if options else options


def _same_future(twin: Optimizer, made: Optimizer, who: str) -> None:
    """The same state now, nothing shared, and the same weights and states after three more steps."""
    __tracebackhide__ = True
    same_state(twin.state_dict(), made.state_dict(), f"{who} has another state")
    before = copy.deepcopy((params_of(twin), twin.state_dict()))
    run(made, gradients(3, FEW, seed=9))
    same_bits(params_of(twin), before[0], f"{who} shares weights with the original: a step there moved them")
    same_state(twin.state_dict(), before[1], f"{who} shares state with the original: a step there changed it")
    run(twin, gradients(3, FEW, seed=9))
    same_bits(params_of(twin), params_of(made), f"{who} goes on otherwise: after three more steps")
    same_state(twin.state_dict(), made.state_dict(), f"{who} goes on otherwise: after three more steps")


def _through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded
