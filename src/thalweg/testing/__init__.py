"""Every property of a drop-in optimizer, as tests that a rule of your own inherits; they run under pytest.

    from thalweg.testing import Conformance

    class TestSignMomentum(Conformance):
        optimizer = SignMomentum

What each of them proves, and what can be set: docs/testing.md.
"""

try:
    import pytest  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("thalweg.testing runs under pytest: pip install pytest", name="pytest") from error

from .conformance import Conformance

__all__ = ["Conformance"]
