"""Memory: any layout, any cut, any number of threads; what is read is not written."""

from itertools import pairwise, product
from typing import Any

import torch

from thalweg.formula import Sum
from thalweg.formula.rule import decay_kind, of_matrices, parts
from thalweg.formula.team import SERIAL_BELOW
from thalweg.optim import Optimizer, reading

from .cases import (
    BETWEEN,
    LAYOUTS,
    ROOMY,
    SHAPES,
    contiguous,
    expanded,
    gaps,
    give,
    gradients,
    run,
    transposed,
    weights,
)
from .judging import case, require, same_bits
from .subject import Subject, params_of
from .suite import Suite, only, threads

# A gradient's layout in each step: as the weight's, and four that are not.
GRADIENTS = [None, contiguous, transposed, expanded, gaps]
# A step that takes one pass, and one that looks at the gradients first.
GUARDED: list[tuple[torch.dtype, dict[str, Any]]] = [
    (torch.float64, {}),
    (torch.float32, {"clip_norm": 1.0, "nonfinite": "raise"}),
]


class Memory(Suite):
    """Element i of weight, gradient and state is the same weight, wherever it lies."""

    def test_layout(self, subject: Subject) -> None:
        """Weights in another layout, with gradients of theirs and of others, are updated as contiguous ones."""
        for layout, (dtype, options) in product(LAYOUTS, GUARDED):
            with case(f"{dtype}, {options}"):
                self._laid(subject, layout, dtype, options)

    def _laid(self, subject: Subject, layout: str, dtype: torch.dtype, options: dict[str, Any]) -> None:
        __tracebackhide__ = True
        plain = weights(dtype, ROOMY)
        laid = [torch.nn.Parameter(LAYOUTS[layout](p.detach())) for p in plain]
        strides = [p.stride() for p in laid]
        made, expected = subject(laid, **options), subject(plain, **options)
        for number, row in enumerate(gradients(len(GRADIENTS), ROOMY)):
            other = GRADIENTS[number]
            for p, q, g in zip(laid, plain, row, strict=True):
                grad = expanded(g.to(dtype)) if other is expanded else g.to(dtype)
                q.grad = contiguous(grad)
                p.grad = torch.empty_like(p).copy_(grad) if other is None else other(grad)
            made.step()
            expected.step()
            said = "the weight's own" if other is None else other.__name__
            self.close(laid, plain, f"weights that are {layout}, gradients that are {said}", dtype)
        require([p.stride() for p in laid] == strides, f"the step has changed the strides of weights that are {layout}")

    def test_state_follows_the_layout(self, subject: Subject) -> None:
        """A checkpoint of contiguous weights goes on in a model that is channels_last."""
        rows = gradients(6, ROOMY)
        plain = weights(torch.float64, ROOMY)
        saved = subject(plain)
        run(saved, rows[:3])
        laid = [torch.nn.Parameter(LAYOUTS["channels_last"](p.detach())) for p in plain]
        made = subject(laid)
        made.load_state_dict(saved.state_dict())
        run(saved, rows[3:])
        run(made, rows[3:])
        self.close(
            laid,
            plain,
            "with the state of contiguous weights loaded, weights that are channels_last go elsewhere",
        )
        states = [v for p in laid for v in made.state[p].values() if v.shape == p.shape and p.dim()]
        apart = [v for v in states if v.stride() not in {p.stride() for p in laid if p.shape == v.shape}]
        require(not apart, "after the step a state is laid out unlike its weight")

    def test_fallback_is_the_kernel(self, subject: Subject) -> None:
        """Weights in memory with gaps are served by torch operations: the same numbers, nothing between is touched."""
        for dtype in (torch.float64, torch.float32):
            with case(dtype):
                dense = weights(dtype, SHAPES)
                apart = [torch.nn.Parameter(gaps(p.detach())) for p in dense]
                fallback, kernel = subject(apart), subject(dense)
                run(fallback, gradients(12, SHAPES))
                run(kernel, gradients(12, SHAPES))
                require(
                    any(served(fallback)), "weights in memory with gaps are served by a kernel: this test shows nothing"
                )
                self.close(apart, dense, f"torch's operations and the kernel disagree after 12 steps in {dtype}", dtype)
                for p in apart:
                    between = torch.empty(0, dtype=dtype).set_(p.detach().untyped_storage())[::2]
                    require((between == BETWEEN).all(), "what lies in the gaps between the weights was written")

    def test_kernel_serves_it(self, subject: Subject) -> None:
        """Ordinary parameters on a CPU are updated by compiled code, not many times slower by torch operations."""
        for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
            if dtype == torch.float16 and reading.kernel_types(torch.zeros(1, dtype=dtype), {}) == "w is float16":
                continue  # this processor cannot convert float16
            made = subject(weights(dtype, SHAPES))
            run(made, gradients(1, SHAPES))
            reasons = [why for why in served(made) if why]
            require(not reasons, f"no kernel serves {dtype} parameters: {reasons[0] if reasons else ''}")

    @only(lambda _, subject: not of_matrices(subject.rule))  # how products are added up is torch's
    def test_threads_change_no_bit(self, subject: Subject) -> None:
        """One, two or three threads over tensors long enough to be shared out: the same bits."""
        for clip_norm in (None, 1.0):
            with case(f"clip_norm={clip_norm}"):
                shapes = ((2 * SERIAL_BELOW + 17,), (1000,), (17,))
                found = {}
                for count in (1, 2, 3):
                    params = weights(torch.float32, shapes)
                    with threads(count):
                        run(subject(params, clip_norm=clip_norm), gradients(2, shapes))
                    found[count] = params
                for count in (2, 3):
                    same_bits(found[count], found[1], f"with {count} threads the weights are not those of one thread")

    # Where totals are taken over tensors, or these are matrices, they matter.
    @only(lambda _, subject: not parts(subject.rule, Sum) and not of_matrices(subject.rule))
    def test_cut_changes_no_bit(self, subject: Subject) -> None:
        """However weights are spread over tensors, each comes out the same."""
        length = SERIAL_BELOW + 1
        whole = weights(torch.float32, ((length,),))
        run(subject(whole), gradients(2, ((length,),)))
        seeded = torch.Generator().manual_seed(3)
        for number in range(3):
            at = [0, *sorted(torch.randint(length, (2 + 3 * number,), generator=seeded).tolist()), length]
            sizes = [b - a for a, b in pairwise(at)]
            (start,) = weights(torch.float32, ((length,),))
            cut = [torch.nn.Parameter(part.clone()) for part in torch.split(start.detach(), sizes)]
            rows = [list(torch.split(row[0], sizes)) for row in gradients(2, ((length,),))]
            with threads(1 + number):
                run(subject(cut), rows)
            same_bits([torch.cat([p.detach() for p in cut])], whole, f"cut into tensors of {sizes}, weights change")

    def test_gradient_is_untouched(self, subject: Subject) -> None:
        """Clipping, the sign and L2 are applied on the way: the gradient in memory stays what it was."""
        decay = {"weight_decay": 0.1} if decay_kind(subject.rule) != "none" else {}
        made = subject(weights(torch.float64, SHAPES), clip_norm=0.1, clip_value=0.5, maximize=True, **decay)
        params = params_of(made)
        give(params, gradients(1, SHAPES)[0])
        before = [(p.grad, _copy(p.grad), _version(p.grad)) for p in params]
        made.step()
        require(
            all(p.grad is g for p, (g, _, _) in zip(params, before, strict=True)),
            "the step has put another tensor in the place of the gradient",
        )
        same_bits([_copy(g) for g, _, _ in before], [copy for _, copy, _ in before], "the step has written to .grad")
        require(all(_version(g) == v for g, _, v in before), "the step has raised the gradient's version: it wrote")

    def test_autograd_is_told(self, subject: Subject) -> None:
        """A graph that still needs the weights as they were must notice: their version is raised, and only theirs."""
        for clip_norm in (None, 1.0):
            with case(f"clip_norm={clip_norm}"):
                params = weights(torch.float32)
                made = subject(params, clip_norm=clip_norm)
                give(params, [*gradients(1)[0][:-1], None])
                before = [p._version for p in params]
                made.step()
                raised = [p._version > version for p, version in zip(params, before, strict=True)]
                require(
                    all(raised[:-1]),
                    "the step has changed weights without raising their version: backward() would "
                    "silently use the new ones in a graph of the old",
                )
                require(not raised[-1], "the step has raised the version of a weight that had no gradient")


def served(made: Optimizer) -> list[str]:
    """For each parameter why no kernel serves it, now that it has been stepped; "" if one does."""
    reasons = []
    for p in params_of(made):
        states = {
            key: value for key, value in made.state[p].items() if value.shape == p.shape and value.dim() == p.dim()
        }
        types = reading.kernel_types(p, states)
        reasons.append(types if isinstance(types, str) else "")
    return reasons


def _copy(grad: torch.Tensor | None) -> torch.Tensor:
    assert grad is not None
    return grad.clone()


def _version(grad: torch.Tensor | None) -> int:
    assert grad is not None
    return grad._version
