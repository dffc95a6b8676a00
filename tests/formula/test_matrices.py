"""Words on whole matrices, in every library and as `optim` multiplies stacks; what a rule may write with them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from thalweg.formula import FormulaError, Rule, chain, compose, matrices, torch_reader
from thalweg.formula.expression import apply, constant, number, weight
from thalweg.formula.geometry import Geometry, geometry, kept_shape, seen
from thalweg.formula.rule import handed, of_matrices, wrapped
from thalweg.formula.stages import staged
from thalweg.formula.text import sections, usual_story
from thalweg.optim.multiply import compiled
from thalweg.rules import SOAP

Define = Callable[..., type[Rule]]

DRAWN = np.random.default_rng(0)
STACK = DRAWN.normal(size=(3, 4, 6))
SQUARE = DRAWN.normal(size=(3, 5, 5))
SYMMETRIC = SQUARE + SQUARE.swapaxes(1, 2)

# Each word on a stack, and what NumPy makes of it, matrix by matrix.
WORDS: dict[str, tuple[Any, Any, Callable[[Any], Any]]] = {
    "transpose": (matrices.transpose, STACK, lambda x: x.T),
    "norm": (matrices.norm, STACK, lambda x: np.sqrt((x**2).sum()).reshape(1, 1)),
    "row_sums": (matrices.row_sums, STACK, lambda x: x.sum(1)[:, None]),
    "column_sums": (matrices.column_sums, STACK, lambda x: x.sum(0)[None, :]),
    "total": (matrices.total, STACK, lambda x: x.sum().reshape(1, 1)),
    "trace": (matrices.trace, SQUARE, lambda x: np.trace(x).reshape(1, 1)),
    "identity": (matrices.identity, SQUARE, lambda x: np.eye(len(x))),
    "eigenvalues": (lambda x: matrices.eigh(x)[0], SYMMETRIC, lambda x: np.linalg.eigvalsh(x)[None, ::-1]),
    "eigenvectors": (
        lambda x: abs(matrices.eigh(x)[1]), SYMMETRIC, lambda x: np.abs(np.linalg.eigh(x)[1][:, ::-1])
    ),
    "qr": (matrices.qr, SQUARE, lambda x: np.linalg.qr(x)[0]),
    "descending": (matrices.descending, SQUARE, lambda x: np.eye(len(x))[:, np.argsort(-np.diag(x), kind="stable")]),
}  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_words(word: str) -> None:
    function, stack, plain = WORDS[word]
    expected = np.stack([plain(x) for x in stack])
    np.testing.assert_allclose(function(stack), expected, atol=1e-12)
    np.testing.assert_allclose(function(torch.tensor(stack)).numpy(), expected, atol=1e-12)
    code = compiled({"o": function(weight("x")) if "vectors" not in word else matrices.eigh(weight("x"))[1]}, *EXACT)
    found = torch.as_tensor(code.run({"x": torch.tensor(stack)}, ())["o"]).numpy()
    np.testing.assert_allclose(np.abs(found) if "vectors" in word else found, expected, atol=1e-12)


@pytest.mark.parametrize("word", WORDS)
def test_words_in_jax(word: str) -> None:
    jax = pytest.importorskip("jax")
    function, stack, plain = WORDS[word]
    expected = np.stack([plain(x) for x in stack])
    narrow = jax.numpy.asarray(stack, jax.numpy.float32)
    np.testing.assert_allclose(function(narrow), expected, atol=1e-4)


EXACT = (torch.float64, torch.float64)


def test_descending_sorts_the_diagonal() -> None:
    p = matrices.descending(SQUARE)
    diagonals = np.diagonal(p.swapaxes(1, 2) @ SQUARE @ p, axis1=1, axis2=2)
    assert (np.diff(diagonals) <= 0).all()


def test_eigenvalues_of_what_is_not_finite_are_nan_and_no_error() -> None:
    """And those of the matrices beside it are right."""
    stack = torch.tensor(SYMMETRIC)
    stack[1, 0, 0] = torch.inf
    values, vectors = matrices.eigh(stack)
    assert values[1].isnan().all()
    assert vectors[1].isnan().all()
    np.testing.assert_allclose(values[2, 0], np.linalg.eigvalsh(SYMMETRIC[2])[::-1])


def test_products_with_what_is_added() -> None:
    """One operation where nobody else asks for the product, and right in each arrangement."""
    x, y = weight("x"), weight("y")
    stacks = {"x": torch.tensor(SQUARE), "y": torch.tensor(SYMMETRIC)}
    a, b = SQUARE, SYMMETRIC
    k = number("k")
    product = apply("@", x, y)
    cases = {
        "scaled": (2.0 * x + k * (x @ y), 2 * a + 3 * (a @ b)),
        "plain": (x + x @ y, a + a @ b),
        "product first": (product + k * y, a @ b + 3 * b),
        "asked twice": (product + k * (product @ x), a @ b + 3 * (a @ b @ a)),
        "a number": (product + constant(1.0), a @ b + 1),
        "by the identity": (matrices.identity(x) @ y + y @ matrices.identity(x), 2 * b),
        "two products": (x @ y + y @ x, a @ b + b @ a),
    }
    for name, (value, expected) in cases.items():
        code = compiled({"o": value}, *EXACT)
        hosts = [3.0 if e.op == "number" else float(e.arguments[0]) for e in code.hosts]
        found = torch.as_tensor(code.run(stacks, hosts)["o"])
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, err_msg=name)


def test_a_repeat_is_its_body_for_each_entry() -> None:
    def body(x: Any, y: Any, a: Any, b: Any) -> Any:
        return a * x + y, b * y

    assert matrices.repeat(body, ((2.0, 3.0), (5.0, 7.0)), 1.0, 10.0) == (5.0 * (2.0 + 10.0) + 30.0, 210.0)
    told = matrices.repeat(body, matrices.Named("entries", 2), weight("u"), weight("v"))
    assert [e.op for e in told] == ["repeat", "repeat"]
    assert told[0].arguments[0] == number("entries")


def test_parameters_as_matrices() -> None:
    assert geometry((3, 4, 6)) == Geometry(3, 4, 6)
    assert geometry((8, 3, 2, 2), flat=True) == Geometry(1, 8, 12)
    assert [seen(shape, {}).of for shape in ((4, 6), (3, 4, 6), (8, 3, 2, 2))] == [
        Geometry(1, 4, 6), Geometry(3, 4, 6), Geometry(1, 8, 12),
    ]  # fmt: skip
    assert seen((3, 4, 6), {"flat": True}).of == Geometry(1, 3, 24)
    assert seen((3, 4, 6), {"transposed": True}).of == Geometry(3, 6, 4)
    told = {
        ((2, 6, 4), (3, 3), False): (Geometry(4, 3, 4), [(0, 3)]),
        ((6, 4), (4, 1, 1), False): (Geometry(1, 6, 4), [(0, 4), (4, 5), (5, 6)]),
        ((4, 6), (3, 3), True): (Geometry(1, 6, 4), [(0, 3), (3, 6)]),
    }
    for (shape, sizes, transposed), (whole, ends) in told.items():
        how = seen(shape, {"split_sizes": sizes, "transposed": transposed})
        assert (how.whole, [(each.start, each.stop) for each in how.blocks]) == (whole, ends)
    assert kept_shape((3, 4, 6), "least") == (3, 4, 4)
    assert kept_shape((8, 3, 2, 2), "right", seen((8, 3, 2, 2), {})) == (12, 12)
    assert kept_shape((3, 4, 6), "row", seen((3, 4, 6), {"transposed": True})) == (3, 6, 1)
    split = seen((12, 8), {"split_sizes": (4, 4, 4)})
    assert [kept_shape((12, 8), side, split) for side in ("left", "right", "row", "column")] == [
        (3, 4, 4), (3, 8, 8), (12, 1), (3, 1, 8),
    ]  # fmt: skip


ABOVE = """
from thalweg.formula import *
def twice(x, a, b):
    y = x @ transpose(x)
    return a * x + b * (y @ x)
def twisted(x, a):
    return repeat(twice, entries, x)
def wide(rows, columns):
    return columns > rows
def fine(entries):
    return None
"""
HEAD = """
lr = Hyper(0.1)
entries = Coefficients("two", {"two": ((1.0, 2.0), (0.5, 0.25)), "one": ((3.0, 1.0),)}, fine)
turned = BySize(wide)
m = State("m")
side = State("side", shape="left")
@staticmethod
def enter(g, m):
    m = 0.5 * m + g
    return {"u": m, "m": m}
@staticmethod
def matrix(u, side, entries, turned, rows):
"""
TAIL = """
@staticmethod
def step(o, lr):
    return lr * o
"""
FINE = ("side = side + u @ transpose(u)", "x = repeat(twice, entries, u)", "return {'o': x / rows, 'side': side}")


def rule_of(define: Define, *body: str, head: str = HEAD, tail: str = TAIL, above: str = ABOVE) -> type[Rule]:
    return define(head + "\n".join("    " + line for line in body) + tail, above)


def test_a_rule_of_matrices(define: Define) -> None:
    """Its step by hand, on a stack of two; what it hands on, and its text."""
    rule = rule_of(define, *FINE)
    assert of_matrices(rule)
    assert (handed(rule, "enter"), handed(rule, "matrix")) == (("u",), ("o",))
    g = torch.tensor(STACK[:2])
    values = torch_reader.values_of(rule, lr=1.0)
    now = torch_reader.step(rule, torch_reader.begin(rule, torch.zeros_like(g), values), g, values)
    x = STACK[:2]
    for a, b in ((1.0, 2.0), (0.5, 0.25)):
        x = a * x + b * (x @ x.swapaxes(1, 2) @ x)
    np.testing.assert_allclose(-now.weight, x / 4, rtol=1e-12)
    np.testing.assert_allclose(now.states["side"], STACK[:2] @ STACK[:2].swapaxes(1, 2), rtol=1e-12)
    np.testing.assert_array_equal(now.states["m"], STACK[:2])
    told = [(heading, [str(line) for line in lines]) for heading, lines in sections(usual_story(rule))]
    assert told[1] == (
        "for every matrix",
        [
            "x = u",
            "for a, b in entries:  # two: (1, 2), (0.5, 0.25)",
            "    y = x @ transpose(x)",
            "    x = a * x + b * (y @ x)",
            "o = x / rows",
            "side <- side + u @ transpose(u)",
        ],
    )


def test_every_stage_is_a_pass_of_its_own(define: Define) -> None:
    rule = rule_of(define, *FINE)
    traced = compose.program(rule, {**compose.usual_switches(rule), **chain.NO_DECAY})
    assert traced.enter is not None
    assert (traced.enter.operands, [*traced.enter.writes]) == (("g", "m", "u"), ["u", "m"])
    assert (traced.update.operands, [*traced.update.writes]) == (("w", "g", "o"), ["w"])
    assert staged(rule, {**torch_reader.values_of(rule), "w": torch.zeros(0, 3)}).keys() == {"o"}


REFUSED = {
    "a list as a value": (("x = entries * u", *FINE[2:]), "'entries' is a list of coefficients; write repeat"),
    "no list": (("x = repeat(twice, u, u)", *FINE[2:]), "write repeat.*; the lists are entries"),
    "no body": (("x = repeat(u, entries, u)", *FINE[2:]), "its body is no function that stands above the rule"),
    "in a helper": (("x = twisted(u, rows)", *FINE[2:]), "only matrix itself knows the lists"),
    "a part by a number of one's own": (("x = repeat(twice, entries[:rows], u)", *FINE[2:]), "coefficients"),
    "two values": (("x = transpose(u, u)", *FINE[2:]), "'transpose' takes 1 value, got 2"),
    "if on a size": (("x = u if rows > 2 else u", *FINE[2:]), "may only test a switch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(define: Define, name: str) -> None:
    body, message = REFUSED[name]
    with pytest.raises(FormulaError, match=message):
        rule_of(define, *body)


BY_ROW = """\
class W(Wrapper):
    of_row = Sum("row")
    @staticmethod
    def sums(d):
        return {"of_row": d * d}
    @staticmethod
    def after(of_row):
        return {"size": sqrt(of_row)}
    @staticmethod
    def step(d, size):
        return d / size
"""
BY_SIZE = """\
class W(Wrapper):
    @staticmethod
    def prepare(t, rows):
        return {"size": t * rows}
    @staticmethod
    def step(d, size):
        return d / size
"""


@pytest.mark.parametrize(("text", "named"), [(BY_ROW, "of_row"), (BY_SIZE, "rows")])
def test_no_lines_around_matrices(define: Define, text: str, named: str) -> None:
    """Such a wrapper goes around a rule by weight alone: of a step of whole matrices no row's totals are taken."""
    plain: Any = define("@staticmethod\ndef step(g):\n    return g\n", ABOVE + text)
    wrapper = plain.step.__globals__["W"]
    assert wrapped(plain, wrapper).wrappers == (wrapper,)
    with pytest.raises(FormulaError, match=f"W has {named}, and the step of R is of whole matrices"):
        wrapped(rule_of(define, *FINE), wrapper)
    with pytest.raises(FormulaError, match=f"W has {named}, and the step of R is of whole matrices"):
        rule_of(define, *FINE, head="around = (W,)\n" + HEAD, above=ABOVE + text)


def test_steps_are_counted_by_whole_numbers(define: Define) -> None:
    due = 'every = Hyper(3.0, low=1.0, whole=True)\nnow = Due(every="every")\nlr ='
    body = ("side = side + u @ transpose(u) if now else side", *FINE[1:])
    head = HEAD.replace("lr =", due, 1).replace("entries, turned", "entries, now, turned")
    assert rule_of(define, *body, head=head) is not None
    with pytest.raises(FormulaError, match=r"R\.now: it counts steps by every: declare that with whole=True"):
        rule_of(define, *body, head=head.replace(", whole=True", ""))
    with pytest.raises(ValueError, match=r"frequency must be a whole number, got 2\.5"):
        thalweg.SOAP([torch.nn.Parameter(torch.ones(2, 2))], frequency=2.5)


def test_refused_around_it(define: Define) -> None:
    for text, message in (
        (HEAD.replace("def enter(", "def entered("), r"enter\(...\), which makes matrices, and matrix"),
        (HEAD.replace('State("m")', 'State("m", start="g")'), "no state starts as the first gradient"),
        (HEAD.replace('"two", {"two"', '"three", {"two"'), "default 'three' is none of two, one"),
        (HEAD.replace("BySize(wide)", 'BySize(wide, when="wide")'), "when='wide' is not a switch"),
    ):
        with pytest.raises(FormulaError, match=message):
            rule_of(define, *FINE, head=text)
    plain = TAIL.replace("step(o, lr)", "step(g, lr)").replace("lr * o", "lr * g")
    with pytest.raises(FormulaError, match="what enter and matrix hand on, 'u', has a name of its own"):
        rule_of(define, "return {'u': u / rows, 'side': u @ transpose(u)}", tail=plain)
    with pytest.raises(FormulaError, match="enter hands matrices to matrix, and that hands some to step"):
        rule_of(define, "return {'side': u @ transpose(u)}", tail=plain)
    with pytest.raises(FormulaError, match="'transpose' is of whole matrices: write it in matrix"):
        rule_of(define, *FINE, tail=TAIL.replace("lr * o", "lr * transpose(o)"))
    with pytest.raises(FormulaError, match="asks for 'side', which is none of"):  # a number of a weight it is not
        rule_of(define, *FINE, tail=TAIL.replace("step(o, lr)", "step(o, lr, side)"))
    with pytest.raises(FormulaError, match=r"R\.entries: only matrix\(...\) could ask for it"):
        define(
            HEAD.split("@staticmethod")[0].replace("lr =", "lr =", 1) + "@staticmethod\ndef step(g): return g", ABOVE
        )


TOLD: dict[str, Any] = {
    "transpose": np.transpose, "qr": lambda x: np.linalg.qr(x)[0], "sqrt": np.sqrt,
    "eigenvectors": lambda x: np.linalg.eigh(x)[1][:, ::-1],
    "descending": lambda x: np.eye(len(x))[:, np.argsort(-np.diag(x), kind="stable")],
}  # fmt: skip


def followed(lines: Any, names: dict[str, Any]) -> dict[str, Any]:
    """What names hold after the lines, read as Python from the first to the last."""
    found = dict(names)
    for line in lines:
        found[line.name] = eval(line.text, {"__builtins__": {}}, {**TOLD, **found})
    return found


def test_what_is_due_is_told() -> None:
    """SOAP's three forms, followed as they are written, against its authors' steps."""
    drawn = np.random.default_rng(5)
    u, m, v = drawn.normal(size=(4, 3)), drawn.normal(size=(4, 3)), drawn.normal(size=(4, 3)) ** 2
    axes_l, axes_r = np.linalg.qr(drawn.normal(size=(4, 4)))[0], np.linalg.qr(drawn.normal(size=(3, 3)))[0]
    before_l, before_r = (x @ x.T for x in (drawn.normal(size=(4, 4)), drawn.normal(size=(3, 3))))
    names = {"u": u, "m": m, "v": v, "left": before_l, "right": before_r, "axes_l": axes_l, "axes_r": axes_r}
    names |= {"beta1": 0.9, "beta2": 0.8, "beta_axes": 0.7, "eps": 0.1}
    story = usual_story(SOAP)
    told = dict(sections(story))
    assert "frequency" in story.numbers
    left, right = 0.7 * before_l + 0.3 * u @ u.T, 0.7 * before_r + 0.3 * u.T @ u
    turned = axes_l.T @ u @ axes_r
    new_m, new_v = 0.9 * m + 0.1 * turned, 0.8 * v + 0.2 * turned**2
    o = axes_l @ (new_m / (np.sqrt(new_v) + 0.1)) @ axes_r.T
    kept = {"left": left, "right": right}
    usual = {**kept, "o": o, "m": new_m, "v": new_v, "axes_l": axes_l, "axes_r": axes_r}
    first = {**kept, "o": 0.0, "m": m, "v": v, "axes_l": np.linalg.eigh(left)[1][:, ::-1]}
    rows, columns = (np.argsort(-np.diag(a.T @ s @ a)) for a, s in ((axes_l, left), (axes_r, right)))
    later_l, later_r = np.linalg.qr(left @ axes_l[:, rows])[0], np.linalg.qr(right @ axes_r[:, columns])[0]
    turning = {**kept, "o": o, "axes_l": later_l, "axes_r": later_r, "v": new_v[rows][:, columns]}
    turning["m"] = later_l.T @ axes_l @ new_m @ axes_r.T @ later_r
    for when, expected in (
        ("", usual), (", in the first step", first), (", every frequency steps after the first", turning),
    ):  # fmt: skip
        found = followed(told["for every matrix" + when], names)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-12, err_msg=name + when)


def test_states_that_change_places_are_told(define: Define) -> None:
    head = HEAD.replace('side = State("side"', 'other = State("other", shape="left")\nside = State("side"', 1)
    body = ("x = repeat(twice, entries, u)", "return {'o': x / rows, 'side': other, 'other': side}")
    rule = rule_of(define, *body, head=head.replace("(u, side,", "(u, side, other,"))
    lines = dict(sections(usual_story(rule)))["for every matrix"][-3:]
    assert {k: v for k, v in followed(lines, {"side": 1, "other": 2}).items() if k in ("side", "other")} == {
        "side": 2, "other": 1,
    }  # fmt: skip
