"""What is tested: an optimizer class, and the settings it is tried with."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import pytest
import torch

from thalweg.formula import Rule
from thalweg.formula.rule import once
from thalweg.optim import Optimizer, optimizer

from .judging import Tensors, close
from .subject import Subject, default_settings

SameName = Literal["same name"]


class Suite:
    """What every set of tests may ask for; `Conformance` says what the attributes mean."""

    optimizer: ClassVar[type[Optimizer] | type[Rule]]
    settings: ClassVar[Sequence[Mapping[str, Any]] | None] = None
    reference: ClassVar[type[torch.optim.Optimizer] | SameName | None] = "same name"
    reference_tolerance: ClassVar[float] = 1e-10
    tolerance: ClassVar[Mapping[torch.dtype, float]] = {torch.float64: 1e-12, torch.float32: 2e-5}
    steps: ClassVar[int] = 100

    def close(self, found: Tensors, expected: Tensors, otherwise: str, dtype: torch.dtype = torch.float64) -> None:
        """Weights are as near as this class demands."""
        __tracebackhide__ = True
        close(found, expected, self.tolerance[dtype], otherwise)

    @pytest.fixture(autouse=True)
    def _one_thread(self) -> Iterator[None]:
        """Tensors this small are not worth the others, least of all on a busy machine."""
        with threads(1):
            yield

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Called by pytest: a test that asks for a ``subject`` is run with each setting."""
        if "subject" in metafunc.fixturenames:
            subjects = self.subjects()
            metafunc.parametrize("subject", subjects, ids=[subject.name for subject in subjects])

    @classmethod
    def subjects(cls) -> list[Subject]:
        """The optimizer under each setting."""
        made = cls.made()
        settings = default_settings(made.rule) if cls.settings is None else cls.settings
        if not settings:
            raise pytest.UsageError(f"{cls.__name__}.settings is empty: leave it out, or write [{{}}]")
        return [Subject(made, arguments) for arguments in settings]

    @classmethod
    def made(cls) -> type[Optimizer]:
        """The optimizer class."""
        given = getattr(cls, "optimizer", None)
        if isinstance(given, type) and issubclass(given, Optimizer) and hasattr(given, "rule"):
            return given
        if isinstance(given, type) and issubclass(given, Rule) and given is not Rule:
            return _optimizer_of(given)
        raise pytest.UsageError(
            f"{cls.__name__}.optimizer must be an optimizer class made from a rule, or a rule; it is {given!r}"
        )


@once
def _optimizer_of(rule: type[Rule]) -> type[Optimizer]:
    return optimizer(rule)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Within, torch works with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
