"""Many small models of one kind, trained in one process: each as if it were alone, to the last bit.

    stack = thalweg.lockstep(make_model, "adamw", settings=[{"lr": 1e-3}, {"lr": 3e-3}], seeds=[0, 1])
    losses = stack.step(loss, images, classes)      # loss(model, images, classes) of one member; inputs of all

Parameters stand in one piece of memory, a model after the other, so that a product of matrices is one call for all
models, and an update one kernel with a row of numbers for each.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.formula import Rule
from thalweg.formula.rule import of_matrices
from thalweg.optim import Optimizer
from thalweg.optim.factory import optimizer_class

from .stack import Lockstep as Lockstep


def lockstep(
    make_model: Callable[[], nn.Module],
    rule: str | type | Callable[..., torch.optim.Optimizer],
    *,
    settings: Sequence[Mapping[str, Any]] = ({},),
    seeds: Sequence[int] = (0,),
) -> Lockstep:
    """Models to be trained in lockstep, each with its own seed and hyperparameters.

    ``make_model``  makes one; called for each member after ``torch.manual_seed(seed)``. What its training draws
                    (dropout) goes on from there, as it would in a process of its own.
    ``rule``        of the updates: a name from `thalweg rules`, a Rule, or an optimizer class, of any library.
    ``settings``    of each member, what the optimizer takes by name: ``[{"lr": 1e-3}, {"lr": 3e-3}]``; of a rule for
                    matrices also ``others``: ``[{"lr": 0.02, "others": thalweg.AdamW(lr=3e-4)}]``.
    ``seeds``       of each member. Of settings and seeds the one may be a single one, for all.

    torch's global generator is as before afterwards. Raises ValueError where settings and seeds are not as many.
    """
    count = max(len(settings), len(seeds))
    if {len(settings), len(seeds)} - {1, count} or not count:
        raise ValueError(
            f"settings and seeds are one for each member, or a single one for all; got {len(settings)} settings and "
            f"{len(seeds)} seeds"
        )
    each_settings = [*settings] * (count // len(settings))
    # Another library's optimizer is made as it is; a name, or a rule, has a class of ours.
    other = callable(rule) and not (isinstance(rule, type) and issubclass(rule, Rule | Optimizer))
    kind: Any = rule if other else optimizer_class(rule)
    # A rule for matrices tells from the model which of its parameters those are.
    whole = not other and of_matrices(kind.rule)
    members, generators = models(make_model, [*seeds] * (count // len(seeds)))
    return Lockstep(
        members, lambda k, model: kind(model if whole else model.parameters(), **each_settings[k]), generators
    )


def models(make_model: Callable[[], nn.Module], seeds: Sequence[int]) -> tuple[list[nn.Module], list[torch.Generator]]:
    """A model for each seed, and the generator as it is left behind for the model's training."""
    members, generators = [], []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(seed)
            members.append(make_model())
            generators.append(torch.Generator())
            generators[-1].set_state(torch.get_rng_state())
    return members, generators


def rows(table: Tensor, index: Tensor) -> Tensor:
    """``table[index]``, (members, batch, ...), several times as fast as torch does that.

    ``table``  (examples, ...), shared by all members; ``index``: whole numbers, (members, batch).
    """
    return table.index_select(0, index.flatten()).view(*index.shape, *table.shape[1:])
