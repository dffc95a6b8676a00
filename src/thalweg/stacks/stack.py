"""Many small models of one kind, trained in one process as one stack of parameters."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from thalweg.optim.together import hand_back, together

from .batched import members as batched
from .layers import stacked
from .refusals import in_words
from .watch import watch

Loss = Callable[..., Tensor]

# Copies of the last member at the end of a stack, which nobody trains. torch computes the last few numbers of a tensor
# one by one, others as vectors, and their bits may differ: so the end of every tensor is a ghost's.
GHOSTS = 2
# Whole data sets are evaluated for so many members at a time as their inputs have room in this.
EVALUATED_BYTES = 2**26


class Lockstep:
    """Models of one kind that take their steps at the same time; made by `lockstep`.

    ``members``     the models. Their parameters and buffers are slices of the stack's memory: what is done to one is
                    done to the stack, and the other way round.
    ``optimizers``  of the members, one each. Their groups may be changed at any time, as by a scheduler.
    ``stepped``     what takes their steps: one optimizer for all of a rule, where the rule allows it; else their own.
    ``seconds``     that the updates of each step took, of all members together.

    **What a member becomes does not depend on how many others there are, nor on which**: to the last bit. The first
    time that a function gets inputs of new shapes, this is put to the test: where copies of a member differ, all are
    trained, or evaluated, one by one from there on.
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        optimizers: Callable[[int, nn.Module], torch.optim.Optimizer],
        generators: Sequence[torch.Generator],
    ) -> None:
        """``optimizers`` makes that of a member, by its number; ``generators``: what each draws from in training."""
        self.members = tuple(members)
        for model in self.members[1:]:
            _check_alike(self.members[0], model)
        self._one = deepcopy(self.members[0])
        self._places = _places(self._one)
        parameters = _stack(self.members, nn.Module.named_parameters)
        self._buffers = _stack(self.members, nn.Module.named_buffers)
        self._tensors = {**parameters, **self._buffers}
        self._trained = {name: x for name, x in parameters.items() if x.requires_grad}
        self._slices = [dict(model.named_parameters()) for model in self.members]
        self._generators = tuple(generators)
        self.optimizers = [optimizers(k, model) for k, model in enumerate(self.members)]
        self.stepped = together(self.optimizers)
        self._frozen: set[int] = set()
        self._gradients = {name: torch.empty_like(x) for name, x in self._trained.items()}
        self._present: list[str] = []  # the parameters that had a gradient in the last step
        self._assigned: list[tuple[Tensor, Tensor]] = []  # parameters and gradients of members, while they learn
        self._tested: set[tuple[object, ...]] = set()  # whether in training, of what, and the shapes of its inputs
        self._alone: set[bool] = set()  # whether in training
        self.seconds: list[float] = []

    def __len__(self) -> int:
        return len(self.members)

    @property
    def alone(self) -> bool:
        """Whether members are trained one by one: torch computes the model in a way that depends on neighbours."""
        return True in self._alone

    def step(self, loss: Loss, *inputs: Tensor) -> Tensor:
        """One step of every member on its own loss. The losses before it, (members,).

        ``loss``    ``loss(model, *inputs)`` of one member: a tensor with one element.
        ``inputs``  tensors with a dimension more than that, the first: one entry for each member.

        Raises TypeError or ValueError for inputs and losses that are not so, RuntimeError where a model has no form
        for a stack.
        """
        self._check(inputs)
        if not self._one.training:
            self._one.train()
        losses: Tensor = self._values(loss, inputs, len(self))
        if losses.numel() != len(self):
            raise ValueError(
                f"a member's loss is one number; got {tuple(losses.shape[1:])}: take the mean, or what else it is to be"
            )
        losses = losses.view(len(self))
        each = torch.autograd.grad(losses, [*self._trained.values()], torch.ones_like(losses), allow_unused=True)
        present = {name: gradient for name, gradient in zip(self._trained, each, strict=True) if gradient is not None}
        # A member's gradient may have been taken away, as by zero_grad().
        if [*present] != self._present or any(parameter.grad is not own for parameter, own in self._assigned):
            self._present = [*present]
            self._assign()
        # Into the memory that the members' gradients are slices of.
        torch._foreach_copy_([self._gradients[name] for name in present], [*present.values()])
        started = perf_counter()
        for optimizer in self.stepped:
            optimizer.step()
        self.seconds.append(perf_counter() - started)
        return losses.detach()

    def evaluate(self, function: Callable[..., Any], *inputs: Tensor) -> Any:
        """``function(model, *inputs)`` of every member, in evaluation mode and without gradients, stacked.

        ``inputs`` as in `step`; the result, a tensor or a tuple or dictionary of some, has a dimension more, the first.
        """
        self._check(inputs)
        self._one.eval()
        size = sum(x[0].numel() * x.element_size() for x in inputs)
        with torch.no_grad():
            return self._values(function, inputs, max(EVALUATED_BYTES // max(size, 1), 1))

    def freeze(self, members: Iterable[int]) -> None:
        """From now on these members keep their weights. Their losses go on being computed."""
        if not self._frozen.issuperset(frozen := set(members)):
            self._frozen |= frozen
            self._assign()

    def hand_back(self) -> None:
        """Give each member's optimizer its states, which the stack keeps while it trains."""
        hand_back(self.stepped, self.optimizers)

    def _check(self, inputs: Iterable[Tensor]) -> None:
        for x in inputs:
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"inputs are tensors, with a number for each member; got a {type(x).__name__}: "
                    f"torch.full(({len(self)},), ...), or let the loss itself know it"
                )
            if x.ndim == 0 or len(x) != len(self):
                raise ValueError(
                    f"inputs have one entry for each of the {len(self)} members, as their first dimension; got "
                    f"{tuple(x.shape)}: what all share is x.expand({len(self)}, *x.shape)"
                )

    def _values(self, function: Callable[..., Any], inputs: Sequence[Tensor], count: int) -> Any:
        """The function of every member, stacked; of ``count`` at a time."""
        training, ghosts = self._one.training, GHOSTS
        asked = (training, _text(function), *(x.shape for x in inputs))
        if asked not in self._tested and training not in self._alone:
            if not self._is_independent(function, inputs):
                self._alone.add(training)
            self._tested.add(asked)
        if training in self._alone:
            count, ghosts = 1, 0
        parts = []
        for start in range(0, len(self), count):
            end = min(start + count, len(self))
            own = slice(start, end)
            # Of all nothing is sliced, which would be differentiated.
            whole = ghosts == GHOSTS and len(self) <= count
            tensors = self._tensors if whole else self._some(own, ghosts)
            parts.append(self._call(function, tensors, self._generators[own], [x[own] for x in inputs]))
            for name in () if whole else self._buffers:
                self._tensors[name][own] = tensors[name][: end - start]
        return parts[0] if len(parts) == 1 else tree_map(lambda *each: torch.cat(each), *parts)

    def _some(self, own: slice, ghosts: int) -> dict[str, Tensor]:
        """The tensors of some members. The next ones in memory are their ghosts, and keep their buffers as they are."""
        which = slice(own.start, own.stop + ghosts)
        return {name: x[which].clone() if name in self._buffers else x[which] for name, x in self._tensors.items()}

    def _call(
        self, function: Callable[..., Any], tensors: Mapping[str, Tensor], generators: Sequence[torch.Generator],
        inputs: Sequence[Tensor],
    ) -> Any:  # fmt: skip
        """The function of members, from their tensors by name, with or without ghosts, and inputs without them."""
        ghosts = len(next(iter(tensors.values()))) - len(generators)
        given = [torch.cat([x, x[-1:].expand(ghosts, *x.shape[1:])]) if ghosts else x for x in inputs]
        with in_words(), batched(len(generators) + ghosts) as every, stacked(every, generators):
            for own, key, name in self._places:
                own[key] = every.one(tensors[name])
            result = function(self._one, *map(every.one, given))
            if isinstance(result, Tensor):
                return every.every(result)[: len(generators)]
            if other := [x for x in tree_leaves(result) if not isinstance(x, Tensor)]:
                raise TypeError(f"a member's function gives a tensor, or several; got {type(other[0]).__name__}")
            return tree_map(lambda x: every.every(x)[: len(generators)], result)

    def _is_independent(self, function: Callable[..., Any], inputs: Sequence[Tensor]) -> bool:
        """Whether copies of one member have the same values and gradients, to the last bit, however many there are."""
        alike = []
        for copies in (1, 2, 5):
            with watch(copies + GHOSTS, GHOSTS) as seen:
                alike.append(self._of_copies(function, inputs, copies))
            if seen.depends:
                return False
        first = [x[0] for x in alike[0]]
        return all(torch.equal(one, x) for each in alike for one, of in zip(first, each, strict=True) for x in of)

    def _of_copies(self, function: Callable[..., Any], inputs: Sequence[Tensor], copies: int) -> list[Tensor]:
        """Values, and gradients where they are losses, of copies of the first member, each (copies, ...); nan as 0."""

        def repeated(x: Tensor, times: int) -> Tensor:
            return x[:1].detach().expand(times, *x.shape[1:]).clone()

        tensors = {name: repeated(x, copies + GHOSTS) for name, x in self._tensors.items()}
        trained = [tensors[name].requires_grad_() for name in self._trained]
        generators = [torch.Generator().set_state(self._generators[0].get_state()) for _ in range(copies)]
        values = self._call(function, tensors, generators, [repeated(x, copies) for x in inputs])
        gradients = torch.autograd.grad(values.sum(), trained, allow_unused=True) if self._one.training else ()
        return [x.detach()[:copies].nan_to_num() for x in (*tree_leaves(values), *gradients) if x is not None]

    def _assign(self) -> None:
        """Every member's gradients: slices of the stack's, where there are any, and the member still learns."""
        self._assigned = []
        for k, slices in enumerate(self._slices):
            present = [] if k in self._frozen else self._present
            for name, parameter in slices.items():
                parameter.grad = None
                if name in present:
                    parameter.grad = self._gradients[name][k]
                    self._assigned.append((parameter, parameter.grad))


def _text(function: Any) -> object:
    """What a function computes, as far as one knows: the same where it is made anew at each step, as a lambda is."""
    if isinstance(function, partial):
        return (_text(function.func), *(_text(x) for x in (*function.args, *function.keywords.values()) if callable(x)))
    within = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    return (_code(function), *(_code(x) for x in within if callable(x)))


def _code(function: Any) -> object:
    return getattr(function, "__code__", function)


def _check_alike(first: nn.Module, other: nn.Module) -> None:
    """Raise ValueError for models that differ in more than parameters and buffers, which alone are a member's own."""
    if [type(module) for module in first.modules()] != [type(module) for module in other.modules()]:
        raise ValueError(f"the members are not models of one kind: {first} and {other}")
    for (place, one), two in zip(first.named_modules(), other.modules(), strict=True):
        for name, value in vars(one).items():
            its = vars(two).get(name)
            if isinstance(value, Tensor):
                differs = not isinstance(its, Tensor) or value.shape != its.shape or not torch.equal(value, its)
            else:
                differs = isinstance(value, bool | int | float | str | tuple) and value != its
            if differs:
                raise ValueError(
                    f"the members are not models of one kind: {f'{place}.{name}'.lstrip('.')} is not the same in all. "
                    "A member's own are parameters and buffers alone: self.register_buffer makes a tensor one"
                )


def _places(model: nn.Module) -> list[tuple[dict[str, Any], str, str]]:
    """Where a model's modules keep parameters and buffers: the dictionary, the key, and the name of what stands there.

    What stands in several places has its name from the first of them.
    """
    names = {id(x): name for name, x in (*model.named_parameters(), *model.named_buffers())}
    kept = [own for module in model.modules() for own in (module._parameters, module._buffers)]
    return [(own, key, names[id(x)]) for own in kept for key, x in own.items() if x is not None]


def _stack(
    members: Sequence[nn.Module], named: Callable[[nn.Module], Iterator[tuple[str, Tensor]]]
) -> dict[str, Tensor]:
    """The members' tensors of each name as one, of which theirs become slices. ValueError for models that differ."""
    every = [dict(named(model)) for model in members]
    stacked_ = {}
    for name in sorted({name for own in every for name in own}):
        if not all(name in own for own in every):
            raise ValueError(f"the members are not models of one kind: {name} is not in all of them")
    for name, first in every[0].items():
        if any((own[name].shape, own[name].dtype) != (first.shape, first.dtype) for own in every):
            raise ValueError(f"the members are not models of one kind: {name} is not of one shape and type in all")
        whole = torch.stack([own[name].detach() for own in (*every, *[every[-1]] * GHOSTS)])
        for own, part in zip(every, whole, strict=False):
            own[name].data = part
        stacked_[name] = whole.requires_grad_(first.requires_grad)
    return stacked_
