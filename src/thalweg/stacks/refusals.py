"""What a stack of models cannot do, in words."""

from collections.abc import Iterator
from contextlib import contextmanager

SINGLY = "or train these models one by one: without train_stack, in a comparison"
# By what torch.vmap says.
_MEANT = {
    "randomness error mode": (
        "random numbers are drawn by something else than nn.Dropout, so members would not draw what each draws alone. "
        f"Draw them outside and give them as inputs, use nn.Dropout, {SINGLY}"
    ),
    ".item()": (
        "a number is asked of a tensor (float(x), x.item(), x.tolist()), which holds one for each member. "
        f"Leave it a tensor, {SINGLY}"
    ),
    "data-dependent control flow": (
        f"an if or a while asks a tensor, whose answer may differ from member to member. Write torch.where, {SINGLY}"
    ),
}


@contextmanager
def in_words() -> Iterator[None]:
    """Within, what torch.vmap refuses is raised as a RuntimeError that says what to do."""
    try:
        yield
    except RuntimeError as problem:
        for said, meant in _MEANT.items():
            if said in str(problem):
                raise RuntimeError(f"a stack of models cannot train this: {meant}") from problem
        if "vmap" in str(problem):
            raise RuntimeError(f"a stack of models cannot train this: {problem}; {SINGLY}") from problem
        raise
