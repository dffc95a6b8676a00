"""Every operation in every reader, against Python's own mathematics. A new one is a line of `REFERENCE`."""

import math
import operator
from collections.abc import Callable
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from kernels import coefficients, made, task_of
from thalweg.formula import vocabulary
from thalweg.formula.compose import Pass
from thalweg.formula.derivative import derivative
from thalweg.formula.expression import COMPARISONS, Expression, apply, constant, number, weight
from thalweg.formula.host import host_function
from thalweg.formula.javascript import function
from thalweg.formula.layout import written
from thalweg.formula.operations import OPERATIONS
from thalweg.formula.text import Line
from thalweg.formula.typeset import unicode

inf, nan = math.inf, math.nan


def extreme(sign: int) -> Callable[[float, float], float]:
    return lambda a, b: nan if nan in (a, b) or a != a or b != b else sign * max(sign * a, sign * b)


# What each is of floats. Where Python raises, IEEE 754 has an answer, which `by_ieee` takes from NumPy's float64.
REFERENCE: dict[str, Callable[..., Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": math.pow, "neg": operator.neg,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "where": lambda c, a, b: a if c else b, "maximum": extreme(1), "minimum": extreme(-1),
    "sqrt": math.sqrt, "abs": math.fabs, "exp": math.exp, "log": math.log, "cos": math.cos, "sin": math.sin,
    "floor": math.floor,
}  # fmt: skip
IEEE = {
    "/": np.divide, "**": np.power, "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "floor": np.floor,
    "cos": np.cos, "sin": np.sin,
}  # fmt: skip
VALUES = [0.0, -0.0, 1.0, -1.0, 0.5, -1.5, 3.0, -2.25, 17.5, 1e-3, inf, -inf, nan]
NAMES = sorted(REFERENCE)


def expected(name: str, values: tuple[float, ...]) -> float:
    try:
        return float(REFERENCE[name](*values))
    except (ArithmeticError, ValueError):
        with np.errstate(all="ignore"):
            return float(IEEE[name](*map(np.float64, values)))


def cases(name: str) -> list[tuple[float, ...]]:
    """Arguments; a condition is one of two comparisons that are decided by its number."""
    first = [0.0, 1.0] if name == "where" else VALUES
    return list(product(first, *[VALUES] * (OPERATIONS[name].arity - 1)))


def expressed(name: str, leaf: Callable[[str], Expression]) -> Expression:
    """The operation on leaves a, b, c; of a condition and of a comparison, as 1 and 0."""
    a = [leaf(each) for each in "abc"[: OPERATIONS[name].arity]]
    if name == "where":
        a[0] = apply(">", a[0], 0.5)
    made = apply(name, *a)
    return apply("where", made, 1.0, 0.0) if name in COMPARISONS else made


def close(found: Any, name: str, values: tuple[float, ...], rtol: float = 0.0) -> bool:
    # 0 to the power of a negative number may be called by either sign's infinity.
    return bool(np.isclose(float(found), expected(name, values), rtol=rtol, atol=1e-300, equal_nan=True))


def judged(name: str, of: Callable[[tuple[float, ...]], Any], rtol: float = 0.0) -> None:
    wrong = [
        (values, float(found), expected(name, values))
        for values in cases(name)
        if not close(found := of(values), name, values, rtol)
    ]
    assert not wrong, f"{name}: {wrong[:3]}"


def test_the_table_is_whole() -> None:
    """Every row is judged here, and every function of the language that is not made of others has one."""
    assert OPERATIONS.keys() == REFERENCE.keys()
    assert {name for name in OPERATIONS if name.isalpha()} - {"neg"} <= {*vocabulary.__all__}
    for name, row in OPERATIONS.items():
        assert row.name == name
        assert row.llvm.startswith("llvm.") or "{v}" in row.llvm


@pytest.mark.parametrize("name", NAMES)
def test_on_the_host(name: str) -> None:
    """One row of numbers, many, and many in machine code: the same bits."""
    of = host_function([expressed(name, number)])
    rows = np.array(cases(name), np.float64).T
    named = dict(zip("abc", rows, strict=False))
    for many in (of(named)[0], coefficients([expressed(name, number)], named)[0]):
        for values, found in zip(cases(name), np.broadcast_to(many, rows.shape[1]), strict=True):
            one = of(dict(zip("abc", values, strict=False)))[0]
            assert np.float64(one) == np.float64(found) or (one != one and found != found), values
    judged(name, lambda values: of(dict(zip("abc", values, strict=False)))[0])


@pytest.mark.parametrize("name", [name for name in NAMES if name.isalpha() and name != "neg"])
def test_of_floats_arrays_and_constants(name: str) -> None:
    call = getattr(vocabulary, name)
    exact = OPERATIONS[name].exact
    condition = (lambda c: c > 0.5) if name == "where" else (lambda c: c)
    with np.errstate(all="ignore"):
        judged(name, lambda v: call(condition(v[0]), *v[1:]), 1e-15)
        judged(name, lambda v: call(condition(np.array(v[:1])), *(np.array([x]) for x in v[1:]))[0], 1e-15)
    # torch and JAX reach the last digit or the one before.
    judged(name, lambda v: call(condition(torch.tensor(v[0], dtype=torch.float64)), *v[1:]), 0.0 if exact else 1e-15)
    if find_spec("jax"):  # not in the environments of `make test-torch`
        of_jax(name, call, condition)
    if exact and name != "where":
        folded = [call(*map(constant, values)) for values in cases(name)]
        judged(name, lambda v: folded[cases(name).index(v)].arguments[0] if nan not in v else expected(name, v))


def of_jax(name: str, call: Callable[..., Any], condition: Callable[[Any], Any]) -> None:
    import jax

    with jax.enable_x64(True):
        judged(name, lambda v: call(condition(jax.numpy.float64(v[0])), *map(jax.numpy.float64, v[1:])), 1e-14)
        traced = jax.jit(lambda *v: call(condition(v[0]), *v[1:]))
        judged(name, lambda v: traced(*v), 1e-14)


@pytest.mark.parametrize("real", ["float64", "float32"])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "**"])
def test_in_machine_code(name: str, real: str) -> None:
    rows = np.array(cases(name), real).T
    columns = {each: np.ascontiguousarray(row) for each, row in zip("abc", rows, strict=False)}
    columns |= {"g": np.ones(rows.shape[1], real), "out": np.full(rows.shape[1], nan, real)}
    walk = made(Pass({}, {"out": expressed(name, weight)}), dict.fromkeys([*columns], real), real)
    task_of(walk, {n: [column] for n, column in columns.items()}).run(1)
    rtol = {"float64": 0.0 if OPERATIONS[name].exact else 1e-15, "float32": 2.5e-7}[real]
    for values, value in zip(rows.T.astype(np.float64).tolist(), columns["out"], strict=True):
        want, least = expected(name, tuple(values)), 1e-38 if real == "float32" else 0.0
        assert np.isclose(float(value), want, rtol=rtol, atol=least, equal_nan=True), values


@pytest.mark.parametrize("name", NAMES)
def test_as_text_and_on_paper(name: str) -> None:
    """The text is Python that gives the value; what is typeset has all that it is of."""
    e = expressed(name, number)
    text = written(e)
    known = {**vars(math), "abs": abs, "where": REFERENCE["where"], **{n: REFERENCE[n] for n in NAMES if n.isalpha()}}
    few = [values for values in cases(name) if all(map(math.isfinite, values))]
    for values in few:
        try:
            found = eval(text, {**known, **dict(zip("abc", values, strict=False))})
        except (ArithmeticError, ValueError):
            continue
        assert isinstance(found, complex) or close(found, name, values, 1e-15), values
    assert all(each in unicode(Line("x", e)) for each in "abc"[: OPERATIONS[name].arity])


@pytest.mark.parametrize("name", NAMES)
def test_the_derivative_is_the_slope(name: str) -> None:
    points = {1: [(0.7,), (2.3,)], 2: [(0.7, 2.3), (2.3, 0.7)], 3: [(0.0, 0.7, 2.3), (1.0, 0.7, 2.3)]}
    e = expressed(name, number)
    for point in points[OPERATIONS[name].arity]:
        for place, by in enumerate("abc"[: len(point)]):
            steps = [[x + sign * 1e-6 * (i == place) for i, x in enumerate(point)] for sign in (1, -1)]
            up, down = (host_function([e])(dict(zip("abc", each, strict=False)))[0] for each in steps)
            found = host_function([derivative(e, by)])(dict(zip("abc", point, strict=False)))[0]
            assert found == pytest.approx((up - down) / 2e-6, rel=1e-6, abs=1e-9), (point, by)


@pytest.mark.slow
def test_in_a_browser(browser: Any) -> None:
    page = browser.new_page()
    for name in NAMES:
        text = function("abc"[: OPERATIONS[name].arity], [expressed(name, number)])
        of = [[str(x) for x in values] for values in cases(name)]
        called = f"v => v.map(each => String(({text})(...each.map(x => Number(x.replace('inf', 'Infinity'))))[0]))"
        for values, said in zip(cases(name), page.evaluate(called, of), strict=True):
            # JavaScript's power of 1 by an infinity, or by nan, is nan.
            if name != "**" or abs(values[0]) != 1 or math.isfinite(values[1]):
                value = float(said.replace("Infinity", "inf").replace("NaN", "nan"))
                assert close(value, name, values, 0.0 if OPERATIONS[name].exact else 1e-15), (name, values)
    page.close()
