"""How many steps the parameters of a launch have taken."""

import numpy as np
from numpy.typing import NDArray


class Counts:
    """Step counts, which the states hold views of, and who takes part in the step at hand.

    ``asked`` says whether the rule wants to know; every state holds the count all the same.
    """

    def __init__(self, steps: NDArray[np.float32], asked: bool) -> None:
        self.steps, self.asked = steps, asked
        self.present: NDArray[np.bool_] | None = None
        """Which have a gradient; None if all have."""
        self._even = False
        self._known = b""

    def take(self, present: NDArray[np.bool_]) -> None:
        """Say who takes part."""
        self.present = None if present.all() else present

    def even(self) -> bool:
        """Whether all counts are the same."""
        # Asked anew only if somebody else has written to them: comparing bytes is the quickest way to know.
        if not self._even or self.steps.tobytes() != self._known:
            self._even = bool((self.steps == self.steps[0]).all())
        return self._even

    def advance(self) -> None:
        """One more step for those who took part."""
        if self.present is None:
            np.add(self.steps, 1, out=self.steps)
        else:
            np.add(self.steps, 1, out=self.steps, where=self.present)
            self._even = False
        self._known = self.steps.tobytes()
