"""A number that each of many parameters keeps in its state: as tensors for everybody, as one array for the step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .modes import ordinary


class Kept:
    """One number of many parameters, read and written at once.

    The states' 0-d tensors lie side by side in one array, so that counting 500 parameters' steps is one addition; each
    in a storage of its own, so that a state saved by itself brings nobody else's along. Tensors in shared memory are
    somebody else's too, and are left where they are.
    """

    def __init__(self, states: Sequence[dict[str, Any]], key: str, dtype: type[np.floating[Any]]) -> None:
        shared = any(state[key].is_shared() for state in states)
        with ordinary():  # a tensor made under a mode might be no memory
            self._memory = np.array([float(state[key]) for state in states], dtype)
            for i, state in enumerate([] if shared else states):
                state[key] = torch.from_numpy(self._memory[i : i + 1]).view(())
        self.tensors: list[torch.Tensor] = [state[key] for state in states]
        self._shared = shared

    @property
    def memory(self) -> NDArray[Any] | None:
        """The array that all of them lie in, shape (parameters,); None where they do not."""
        return None if self._shared else self._memory

    def adopt(self, states: Sequence[dict[str, Any]], key: str) -> bool:
        """Adopt tensors that have been put in the place of ours; False if that cannot be done one by one."""
        for i, state in enumerate(states):
            now = state.get(key)
            if now is self.tensors[i]:
                continue
            if (
                self._shared
                or not isinstance(now, torch.Tensor)
                or now.numel() != 1
                or now.untyped_storage().is_shared()
            ):
                return False
            with ordinary():
                self._memory[i] = float(now)
                self.tensors[i] = state[key] = torch.from_numpy(self._memory[i : i + 1]).view(())
        return True

    def read(self) -> NDArray[Any]:
        """The numbers now; not to be written to."""
        return np.array([float(t) for t in self.tensors], self._memory.dtype) if self._shared else self._memory

    def write(self, values: NDArray[Any], present: NDArray[np.bool_] | None) -> None:
        """Set the numbers of those that are ``present`` (None: of all)."""
        if not self._shared:
            np.copyto(self._memory, values, where=True if present is None else present)
            return
        with torch.no_grad():
            for i, tensor in enumerate(self.tensors):
                if present is None or present[i]:
                    tensor.fill_(float(values[i]))
