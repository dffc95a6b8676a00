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
        steps = self.steps
        self._even = bool((steps == steps[0]).all())
        self._known = steps.tobytes()
        return self._even

    def unchanged(self) -> bool:
        """Whether all counts are the same, and nobody else has written to them since the last step."""
        # Comparing bytes is the quickest way to know.
        return self._even and self.steps.tobytes() == self._known

    def advance(self) -> None:
        """One more step for those who took part."""
        self.kept.write(self.steps + np.float32(1), self.present)

    def advanced(self) -> None:
        """Take note that the counts of those who took part are one higher."""
        if self.present is not None:
            self._even = False
        elif self.asked:
            self._known = self.steps.tobytes()
