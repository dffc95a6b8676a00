"""What a comparison tells while it runs. Workers never print: the caller shows these as it likes."""

from dataclasses import dataclass

from .cells import Cell, Run


@dataclass(frozen=True)
class Started:
    """The comparison on a task begins: of ``total`` runs, ``done`` are in the store already.

    ``total`` counts the most re-runs that there can be; it falls where a rule's default does well in its search.
    ``task``, ``of``   which task it is of those compared on, "2 of 3".
    ``matters``        the smallest difference that matters, as it was said.
    ``changed``        the files of the script that are others than they were when the store was written last, by name:
                       what was computed with those is not used.
    ``rounded``        the number of trials that was asked for, and the larger one that each rule has; None: as asked.
    """

    total: int
    done: int
    task: str = ""
    of: tuple[int, int] = (1, 1)
    changed: tuple[str, ...] = ()
    rounded: tuple[int, int] | None = None
    matters: float | None = None


@dataclass(frozen=True)
class Phase:
    """A phase begins: ``search`` (every rule's trials) or ``re-runs`` (with fresh seeds).

    ``stored``   the trainings of it that are there already, each with its run.
    """

    name: str
    total: int
    stored: tuple[tuple[Cell, Run], ...] = ()

    @property
    def done(self) -> int:
        """How many of its runs are there."""
        return len(self.stored)


@dataclass(frozen=True)
class Finished:
    """A training has ended, and its run is in the store."""

    cell: Cell
    run: Run
    done: int
    total: int


Event = Started | Phase | Finished
