"""Compiled passes against the same formula on plain tensors, on random formulas and on the numbers that are special."""

import inspect
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels import coefficients, made, task_of
from thalweg.formula import Rule, torch_reader, vocabulary
from thalweg.formula.compose import Pass
from thalweg.formula.expression import Expression, apply, constant, leaves, number, weight
from thalweg.formula.host import host_function
from thalweg.formula.lower import lower
from thalweg.optim import build

Define = Callable[..., type[Rule]]
Array = NDArray[np.float64]
INF, NAN = math.inf, math.nan

# Formulas in two layers, so that a difference can only be an error. Inside, sums and products of small dyadic numbers:
# exact in float64 whatever the order, so comparisons decide alike. Around it, roots, quotients and powers of those,
# multiplied: each is off by a rounding or two, and nothing cancels.
EXACT_LEAVES = ("w", "g", "m", "lr", "k", "0.5", "-2.0", "3.0", "1.0", "0.0")
WEIGHTS_LEAVES = ("w", "g", "m")


def exact() -> st.SearchStrategy[str]:
    def wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda x: f"({x[0]} {x[1]} {x[2]})"),
            st.tuples(st.sampled_from(("maximum", "minimum")), inner, inner).map(lambda x: f"{x[0]}({x[1]}, {x[2]})"),
            st.tuples(st.sampled_from(("abs", "sign", "floor", "-")), inner).map(lambda x: f"{x[0]}({x[1]})"),
            st.tuples(inner, inner).map(lambda x: f"clip({x[0]}, -abs({x[1]}), abs({x[1]}))"),
            st.tuples(inner, st.sampled_from(("<", "<=", ">", ">=")), inner, inner, inner).map(
                lambda x: f"where({x[0]} {x[1]} {x[2]}, {x[3]}, {x[4]})"
            ),
        )

    return st.recursive(st.sampled_from(EXACT_LEAVES), wider, max_leaves=6)


def smooth() -> st.SearchStrategy[str]:
    inside = exact()
    core = st.one_of(
        inside,
        inside.map(lambda x: f"sqrt({x})"),
        inside.map(lambda x: f"exp(clip({x}, -20, 20))"),
        inside.map(lambda x: f"log({x})"),
        st.tuples(inside, st.sampled_from(("0.5", "1", "2", "3"))).map(lambda x: f"maximum({x[0]}, w) ** {x[1]}"),
    )

    def wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, inner).map(lambda x: f"({x[0]} * {x[1]})"),
            st.tuples(inner, inner).map(lambda x: f"({x[0]} / abs({x[1]} + zero))"),
            inner.map(lambda x: f"({x} / k)"),
            inner.map(lambda x: f"(lr * {x})"),
            inner.map(lambda x: f"sqrt(abs({x}))"),
            st.tuples(inner, inner).map(lambda x: f"(abs({x[0]}) + abs({x[1]}))"),
            st.tuples(inside, inside, inner, inner).map(lambda x: f"where({x[0]} < {x[1]}, {x[2]}, {x[3]})"),
        )

    return st.recursive(core, wider, max_leaves=4)


# Small dyadic numbers, and the special ones, together in one tensor with a tail.
VALUES = [0.0, -0.0, 1.0, -1.0, 0.5, -1.5, 3.0, -2.25, INF, -INF, NAN, 0.125, 7.0, -6.5, 2.0, -0.75, 1.25]


def operand(seed: int) -> torch.Tensor:
    """All values, in another order for each seed, several times: every pair of special values meets."""
    drawn = np.random.default_rng(seed).choice(VALUES, size=16 * len(VALUES) + 5)
    return torch.tensor(drawn, dtype=torch.float64)


HEAD = "lr = Hyper(0.25)\nk = Hyper(4.0)\nzero = Hyper(0.0)\nm = State('m')\n"
HEAD += "@staticmethod\ndef step(w, g, m, lr, k, zero):\n"


@settings(max_examples=60)
@given(step=smooth(), state=exact(), seed=st.integers(0, 10**6), lr=st.sampled_from([0.25, 0.0, 3.0]))
def test_kernel_is_the_formula(define: Define, step: str, state: str, seed: int, lr: float) -> None:
    # The next state is exact, and returned beside a step that is not.
    rule = define(f"{HEAD}    d = {step}\n    m = {state}\n    return d, m\n")
    w, g, m = (operand(seed + i) for i in range(3))
    known = torch_reader.values_of(rule, lr=lr)
    known |= {name: torch.tensor(known[name], dtype=torch.float64) for name in ("lr", "k", "zero")}  # never raise
    begun = torch_reader.begin(rule, w.clone(), known)
    direct = torch_reader.step(rule, torch_reader.Trained(begun.weight, {"m": m}, {}), g, known)

    parameter = torch.nn.Parameter(torch.zeros_like(w))
    optimizer = build(rule, [parameter], {"lr": lr})
    parameter.grad = torch.zeros_like(w)
    parameter.data.copy_(w)
    optimizer.state[parameter]["m"] = m.clone()
    parameter.grad.copy_(g)
    optimizer.step()

    found = optimizer.state[parameter]["m"]
    expected = torch.as_tensor(direct.states["m"], dtype=torch.float64).expand_as(m)
    assert torch.equal(torch.nan_to_num(found, nan=1e99), torch.nan_to_num(expected, nan=1e99))
    # The step is seen through w - d: only as exactly as the larger of the two allows.
    tolerance = 1e-12 * torch.maximum((w - direct.weight).abs(), w.abs()).nan_to_num(0.0, 0.0)
    same = (parameter.detach() == direct.weight) | (parameter.detach().isnan() & direct.weight.isnan())
    assert bool((same | ((parameter.detach() - direct.weight).abs() <= tolerance)).all()), (
        step, parameter[~same][:4], direct.weight[~same][:4]
    )  # fmt: skip


def kernel(expression: Expression, numbers: dict[str, float], real: str = "float64", **operands: Array) -> Array:
    """What a compiled pass writes for an expression."""
    kept = {name: np.ascontiguousarray(value, real) for name, value in operands.items()}
    size = len(next(iter(kept.values())))
    kept["out"] = np.full(size + 1, 777.0, real)
    kept.setdefault("g", kept["out"])  # a kernel skips what has no gradient
    walk = made(Pass({}, {"out": expression}), dict.fromkeys(kept, real), real)
    columns = {name: [kept[name][:size]] for name in walk.operands}
    task_of(walk, columns, {name: numbers[name] for name in walk.names}).run(1)
    assert kept["out"][size] == 777.0  # nothing is written past the end
    return kept["out"][:size]


SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.3, -2.7, INF, -INF, NAN, 1e-310, 1e300, -1e300, 5.0])
PAIRS = np.array([(a, b) for a in SPECIAL for b in SPECIAL]).T


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("name", ["sqrt", "abs", "exp", "log", "floor", "sign"])
def test_words_of_one_value(name: str, real: str) -> None:
    with np.errstate(over="ignore"):
        x = SPECIAL.astype(real).astype(np.float64)
    found = kernel(getattr(vocabulary, name)(weight("x")), {}, real, x=x)
    expected = getattr(torch, name)(torch.tensor(x, dtype=getattr(torch, real))).numpy()
    if name == "sign":
        assert found[SPECIAL == 0.0].tolist() == [0.0, 0.0]
        assert found[np.isnan(SPECIAL)].tolist() == [0.0]
    np.testing.assert_allclose(found, expected, rtol=1e-6 if real == "float32" else 1e-14)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_words_of_two_values(name: str) -> None:
    a, b = PAIRS
    found = kernel(getattr(vocabulary, name)(weight("a"), weight("b")), {}, a=a, b=b)
    np.testing.assert_array_equal(found, getattr(np, name)(a, b))
    assert np.isnan(found[np.isnan(a) | np.isnan(b)]).all()


@pytest.mark.parametrize("op", ["<", "<=", ">", ">="])
def test_where(op: str) -> None:
    """nan compares false, and the value that is not chosen does not leak."""
    a, b = PAIRS
    condition = apply(op, weight("a"), weight("b"))
    found = kernel(vocabulary.where(condition, weight("a") / weight("b"), 2.0), {}, a=a, b=b)
    with np.errstate(all="ignore"):
        holds = {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]
        np.testing.assert_array_equal(found, np.where(holds, a / b, 2.0))


@pytest.mark.parametrize("low", [-1.0, -INF])
def test_clip(low: float) -> None:
    found = kernel(vocabulary.clip(weight("x"), number("low"), -number("low")), {"low": low}, x=SPECIAL)
    np.testing.assert_array_equal(found, torch.tensor(SPECIAL).clamp(low, -low).numpy())


@pytest.mark.parametrize("size", [0, 1, 3, 15, 16, 17, 31, 32, 33, 1023])
def test_every_length(size: int) -> None:
    x = np.arange(size, dtype=np.float64)
    found = kernel(2.0 * weight("x") + weight("y"), {}, x=x, y=np.ones(size))
    np.testing.assert_array_equal(found, 2 * x + 1)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 33, 100])
def test_totals_ignore_what_is_past_the_end(size: int) -> None:
    """The last vector is masked: 1 / 0 in its empty places must not reach the sum."""
    memory = np.full(size + 32, NAN)
    memory[:size] = np.arange(1, size + 1)
    walk = made(Pass({"inverse": 1.0 / weight("x"), "count": weight("x") * 0.0 + 1.0}, {}), {"x": "float64",
                    "g": "float64"}, "float64")  # fmt: skip
    task = task_of(walk, {key: [memory[:size]] for key in "xg"})
    task.run(1)
    assert task.sums[0] == pytest.approx([(1 / memory[:size]).sum(), size], rel=1e-14)


def test_tasks_begin_on_cache_lines_of_their_own() -> None:
    """Threads hammer a task's first word: others' words beside it would wait for it."""
    walk = made(Pass({}, {"x": weight("x") * 2.0}), {"x": "float64", "g": "float64"}, "float64")
    tasks = [task_of(walk, {key: [np.zeros(1)] for key in "xg"}) for _ in range(20)]
    assert {task.words.ctypes.data % 64 for task in tasks} == {0}


def test_a_row_for_each_tensor() -> None:
    memory = [np.ones(20), np.ones(3), np.ones(17)]
    walk = made(
        Pass({}, {"x": weight("x") * (number("a") / 2.0) + number("b")}), {"x": "float64", "g": "float64"}, "float64"
    )
    numbers = {"a": np.array([2.0, 4.0]), "b": 0.5}
    task = task_of(walk, dict.fromkeys("xg", memory), numbers, [1, 0, 1], [(0, 2), (2, 3)])
    task.run(1)
    assert [m.tolist() for m in memory] == [[2.5] * 20, [1.5] * 3, [2.5] * 17]
    task.numbers.lay(1)  # and back to one row for all
    task.numbers.put({"a": 0.0, "b": 9.0})
    task.run(1)
    assert [m.tolist() for m in memory] == [[9.0] * 20, [9.0] * 3, [9.0] * 17]


class TestProductsOrder:
    """What the host knows becomes one coefficient, computed in float64 and rounded once."""

    def test_one_coefficient_for_all_host_factors(self) -> None:
        product = number("lr") * (weight("m") / number("c")) * number("k") / weight("v")
        lowered = lower(Pass({}, {"w": product}))
        assert len(lowered.coefficients) == 1
        numbers = {"lr": 0.3, "c": 0.7, "k": 11.0}
        assert host_function(lowered.coefficients)(numbers)[0] == pytest.approx(0.3 / 0.7 * 11, rel=1e-15)

    def test_sums_are_not_reordered(self) -> None:
        a, b = np.array([1e16]), np.array([-1e16])
        assert kernel((weight("a") + weight("b")) + number("c"), {"c": 1.0}, a=a, b=b).tolist() == [1.0]
        assert kernel(weight("a") + (weight("b") + number("c")), {"c": 1.0}, a=a, b=b).tolist() == [0.0]

    def test_weights_keep_their_order(self) -> None:
        """(a * b) / c with a b too large for the format, and a / c * b without that."""
        a, b, c = np.array([1e200]), np.array([1e200]), np.array([1e200])
        assert kernel(weight("a") * weight("b") / weight("c"), {}, a=a, b=b, c=c).tolist() == [INF]
        assert kernel(weight("a") / weight("c") * weight("b"), {}, a=a, b=b, c=c).tolist() == [1e200]

    def test_multiplication_and_addition_are_not_contracted(self) -> None:
        """A fused multiply-add would give the product's rounding error instead of 0."""
        x = np.array([0.1] * 20)
        assert kernel(weight("x") * weight("x") - weight("y"), {}, x=x, y=x * x).tolist() == [0.0] * 20

    @pytest.mark.parametrize("c", [0.0, -0.0, INF, -INF, NAN, 2.0])
    def test_division_by_a_host_number(self, c: float) -> None:
        """x / c is computed as x times 1 / c: the same infinities and nans."""
        x = np.array([0.0, 1.0, -3.0, INF, -INF, NAN])
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(kernel(weight("x") / number("c"), {"c": c}, x=x), x / np.float64(c))

    def test_a_condition_on_the_host(self) -> None:
        chosen = vocabulary.where(number("t") <= 1.0, weight("x"), weight("y"))
        for t, expected in ((1.0, 3.0), (2.0, 4.0), (NAN, 4.0)):
            assert kernel(chosen, {"t": t}, x=np.array([3.0]), y=np.array([4.0])).tolist() == [expected]

    def test_equal_parts_are_one(self) -> None:
        a, b = number("a") * weight("x"), number("a") * weight("x")
        assert a == b
        assert a is not b
        assert hash(a) == hash(b)
        assert a != weight("x") * number("a")
        assert constant(0.0) != constant(-0.0)
        assert leaves([a + b], "weight") == {"x"}
        assert leaves([a + b], "number") == {"a"}


HOST: dict[str, Callable[..., object]] = {
    "divide": lambda a, b: a / b,
    "multiply": lambda a, b: a * b,
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "power": lambda a, b: a**b,
    "root": lambda a, b: vocabulary.sqrt(a) + b,
    "log": lambda a, b: vocabulary.log(a) - b,
    "exp": lambda a, b: vocabulary.exp(a) * b,
    "floor": lambda a, b: vocabulary.floor(a) * b,
    "abs": lambda a, b: vocabulary.abs(a) + b,
    "neg": lambda a, b: -a / b,
    "maximum": vocabulary.maximum,
    "minimum": vocabulary.minimum,
    "sign": lambda a, b: vocabulary.sign(a) * b,
    "clip": lambda a, b: vocabulary.clip(a, -1.0, b),
    "less": lambda a, b: vocabulary.where(a < b, a, -b),
    "at least": lambda a, b: vocabulary.where(a >= b, a, -b),
    "nested": lambda a, b: vocabulary.where(a > 0.0, vocabulary.sqrt(a / b), 1.0 - a**b),
}


@pytest.mark.parametrize("name", HOST)
def test_host_numbers_follow_ieee(name: str) -> None:
    """Floats one by one and arrays at once: NumPy's answer, also where Python would raise; machine code's bits."""
    formula = HOST[name]
    traced = formula(number("a"), number("b"))
    assert isinstance(traced, Expression)
    host = host_function([traced, number("b")])
    a, b = PAIRS
    with np.errstate(all="ignore"):
        expected = formula(a, b)
    many = host({"a": a, "b": b})
    np.testing.assert_array_equal(many[1], b)
    one = [host({"a": float(x), "b": float(y)})[0] for x, y in PAIRS.T]
    np.testing.assert_array_equal(many[0], one)
    np.testing.assert_array_equal(coefficients([traced], {"a": a, "b": b})[0], one)
    # math.pow and math.exp differ from NumPy's vectorised ones by a rounding.
    np.testing.assert_allclose(one, expected, rtol=4e-16)


def test_powers_have_pythons_bits() -> None:
    """NumPy's own differ from the C library's in a few of a hundred: how many rows there are changes no weight."""
    beta, t = number("beta"), number("t")
    formulas = [beta**t, vocabulary.exp(-t * beta), vocabulary.log(t + beta), vocabulary.sqrt(t) / beta, beta**2.0]
    betas, steps = np.linspace(0.5, 0.99999, 500), np.arange(1.0, 501.0)
    pairs = list(zip(betas.tolist(), steps.tolist(), strict=True))
    expected = [
        [b**s for b, s in pairs], [math.exp(-s * b) for b, s in pairs], [math.log(s + b) for b, s in pairs],
        [math.sqrt(s) / b for b, s in pairs], [b**2.0 for b, s in pairs],
    ]  # fmt: skip
    for found in (
        host_function(formulas)({"beta": betas, "t": steps}),
        coefficients(formulas, {"beta": betas, "t": steps}),
    ):
        for values, want in zip(found, expected, strict=True):
            assert values.tolist() == want


def test_a_condition_that_is_known_before_any_number() -> None:
    a = number("a")
    formulas = [vocabulary.where(constant(x) > 1.0, a, a * 2.0) for x in (0.0, 2.0)]
    assert [found[0] for found in coefficients(formulas, {"a": 3.0})] == [6.0, 3.0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (1.0 / number("zero"), INF),
        (-1.0 / number("zero"), -INF),
        (number("zero") / number("zero"), NAN),
        (vocabulary.sqrt(number("zero") - 1.0), NAN),
        (vocabulary.log(number("zero")), -INF),
        ((number("zero") - 8.0) ** 0.5, NAN),
        (number("zero") ** -1.0, INF),
        (vocabulary.exp(number("zero") + 1e4), INF),
        ((number("zero") + 10.0) ** 400.0, INF),
        (1.0 - 0.9 ** (number("zero") + 3.0), 1 - 0.9**3),
        (vocabulary.floor(1.0 / number("zero")), INF),
    ],
)
def test_host_never_raises(expression: Expression, expected: float) -> None:
    (found,) = host_function([expression])({"zero": 0.0})
    assert found == pytest.approx(expected, nan_ok=True, rel=1e-15)
    assert coefficients([expression], {"zero": 0.0})[0][0] == pytest.approx(expected, nan_ok=True, rel=1e-15)


def test_constants_fold() -> None:
    folded = constant(1.0) / constant(0.0)
    assert folded.op == "constant"
    assert folded.arguments == (INF,)
    assert vocabulary.sqrt(constant(4.0)) == constant(2.0)


def test_traced_formula_has_no_truth() -> None:
    with pytest.raises(TypeError, match=r"write where\(condition, x, y\)"):
        bool(weight("g") > 0.0)


@pytest.mark.parametrize("name", [name for name in vocabulary.__all__ if name != "mean"])  # of no single numbers
def test_words_agree_on_floats_arrays_and_tensors(name: str) -> None:
    count = len(inspect.signature(getattr(vocabulary, name)).parameters)
    for x in (-1.5, 0.0, 2.5):
        values = (x, -1.0, 1.0)[:count]
        if name == "where":
            values = (x > 0.0, -1.0, 1.0)
        word = getattr(vocabulary, name)
        plain = word(*values)
        assert isinstance(plain, float)
        assert word(*map(np.asarray, values)) == pytest.approx(plain, nan_ok=True)
        tensor = word(*(torch.tensor(v) for v in values))
        assert isinstance(tensor, torch.Tensor)
        assert tensor.item() == pytest.approx(plain, nan_ok=True)
