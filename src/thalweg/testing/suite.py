"""What is tested: an optimizer class, and the settings it is tried with."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, TypeVar

import pytest
import torch

from thalweg.formula import Rule
from thalweg.formula.rule import of_matrices, once
from thalweg.optim import Optimizer, PlainOperationsWarning, optimizer

from .cases import as_matrices
from .judging import Tensors, close
from .subject import Subject, default_settings

SameName = Literal["same name"]
Applies = Callable[[type["Suite"], Subject], bool]
Test = TypeVar("Test", bound=Callable[..., None])


def only(applies: Applies) -> Callable[[Test], Test]:
    """A test for those subjects of which this holds: where a class has none, the test is not there to be skipped."""

    def marked(test: Test) -> Test:
        vars(test)["applies"] = applies
        return test

    return marked


class Suite:
    """What every set of tests may ask for; `Conformance` says what the attributes mean."""

    optimizer: ClassVar[type[Optimizer] | type[Rule]]
    settings: ClassVar[Sequence[Mapping[str, Any]] | None] = None
    reference: ClassVar[type[torch.optim.Optimizer] | SameName | None] = "same name"
    reference_tolerance: ClassVar[float] = 1e-10
    tolerance: ClassVar[Mapping[torch.dtype, float]] = {torch.float64: 1e-12, torch.float32: 2e-5}
    steps: ClassVar[int] = 100

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if getattr(cls, "optimizer", None) is None:
            return
        try:
            subjects = cls.subjects()
        except pytest.UsageError:  # said again when pytest collects the class
            return
        # What was left out for a base class may apply here.
        written = {
            name: test for base in reversed(cls.__mro__) for name, test in vars(base).items() if test is not None
        }
        for name, test in written.items():
            if name not in vars(cls) and (applies := _applies(test)):
                setattr(cls, name, test if any(applies(cls, subject) for subject in subjects) else None)

    def close(self, found: Tensors, expected: Tensors, otherwise: str, dtype: torch.dtype = torch.float64) -> None:
        """Weights are as near as this class demands."""
        __tracebackhide__ = True
        close(found, expected, self.tolerance[dtype], otherwise)

    @pytest.fixture(autouse=True)
    def _as_tests_want_it(self) -> Iterator[None]:
        """Tests this small are not worth more threads; and where torch operations serve, they are meant to."""
        with threads(1), as_matrices(of_matrices(self.made().rule)), warnings.catch_warnings():
            warnings.simplefilter("ignore", PlainOperationsWarning)
            yield

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Called by pytest: a test that asks for a ``subject`` is run with each setting."""
        if "subject" in metafunc.fixturenames:
            applies = _applies(metafunc.function) or (lambda _suite, _subject: True)
            subjects = [subject for subject in self.subjects() if applies(type(self), subject)]
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


def _applies(test: Any) -> Any:
    """What `only` was given for a test, or None."""
    return getattr(test, "applies", None) if callable(test) else None


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
