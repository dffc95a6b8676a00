"""What a comparison tells while it runs. Workers never print: the caller shows these as it likes."""

from dataclasses import dataclass

from .cells import Run


@dataclass(frozen=True)
class Started:
    """The comparison begins: of ``total`` runs, ``done`` are in the store already.

    ``total`` counts the re-runs of two configurations a rule; it falls if a rule's default wins its search.
    """

    total: int
    done: int


@dataclass(frozen=True)
class Phase:
    """A phase begins: ``search`` (every rule's trials) or ``re-runs`` (with fresh seeds).

    ``stored``   the runs of it that are there already.
    """

    name: str
    total: int
    stored: tuple[Run, ...] = ()

    @property
    def done(self) -> int:
        """How many of its runs are there."""
        return len(self.stored)


@dataclass(frozen=True)
class Finished:
    """A run has ended and is in the store."""

    run: Run
    done: int
    total: int


Event = Started | Phase | Finished
