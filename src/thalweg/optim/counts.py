"""How many steps the parameters of a launch have taken."""

import numpy as np
from numpy.typing import NDArray

from .kept import Kept


class Counts:
    """Step counts, and who takes part in the step at hand.

    ``asked`` says whether the rule wants to know; every state holds the count all the same.
    """

    def __init__(self, kept: Kept, asked: bool) -> None:
        self.kept, self.asked = kept, asked
        self.present: NDArray[np.bool_] | None = None
        """Which have a gradient; None if all have."""
        self._even = False
        self._known = b""

    @property
    def steps(self) -> NDArray[np.float32]:
        """The counts, float32, one a parameter."""
        return self.kept.read()

    def take(self, present: NDArray[np.bool_]) -> None:
        """Say who takes part."""
        self.present = None if present.all() else present

    def even(self) -> bool:
        """Whether all counts are the same."""
        # Asked anew only if somebody else has written to them: comparing bytes is the quickest way to know.
        steps = self.steps
        if not self._even or steps.tobytes() != self._known:
            self._even = bool((steps == steps[0]).all())
        return self._even

    def advance(self) -> None:
        """One more step for those who took part."""
        self.kept.write(self.steps + np.float32(1), self.present)
        if self.present is not None:
            self._even = False
        self._known = self.steps.tobytes()
