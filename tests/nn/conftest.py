import pytest
from norm_cases import SIZES

from thalweg.nn import functional


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels serve small tensors, too."""
    for size in SIZES:
        monkeypatch.setattr(functional, size, 1)
