"""What may be written in a rule, what may not, and what the refusal says."""

import re
from collections.abc import Callable

import pytest
import torch

from thalweg.formula import FormulaError, Rule
from thalweg.optim import optimizer, wrap
from thalweg.wrappers import Cautious

Define = Callable[..., type[Rule]]

HEAD = """
lr = Hyper(0.1)
flag = Switch(False)
m = State("m")
@staticmethod
def step(g, m, lr, flag):
"""


def lines(*body: str) -> str:
    return HEAD + "\n".join("    " + line for line in body)


def line_of(text: str, wanted: str, above: str = "from thalweg.formula import *") -> int:
    """Where a line of a rule's body stands in its file: below one import line, ``above`` and the class line."""
    start = 1 + len(above.strip().splitlines()) + 1
    return start + next(i for i, line in enumerate(text.strip().splitlines(), 1) if line.strip() == wanted)


REFUSED = {
    "for": (
        ("for i in (1, 2):", "    m = m + g", "return g, m"),
        "`for` is not in the language: write the formula for one weight",
    ),
    "while": (("while flag:", "    m = m + g", "return g, m"), "While is not in the language"),
    "if on a weight": (("if m > 0:", "    m = m + g", "return g, m"), "may only test a switch"),
    "if on a state": (("if m:", "    m = m + g", "return g, m"), "may only test a switch"),
    "ternary on a weight": (("d = lr if g > 0 else g", "return d, m"), "may only test a switch"),
    "update in place": (("m += g", "return g, m"), "write x = x + y"),
    "lambda": (("f = lambda x: x", "return g, m"), "Lambda is not in the language"),
    "attribute": (("d = g.real", "return d, m"), "Attribute is not in the language"),
    "method": (("d = g.abs()", "return d, m"), "write abs(...), with from thalweg.formula import abs"),
    "index": (("d = g[0]", "return d, m"), "Subscript is not in the language"),
    "list": (("d = [g]", "return d, m"), "List is not in the language"),
    "equality": (("d = where(g == 0, 0, lr)", "return d, m"), "compare two values with < <= > or >="),
    "two comparisons": (("d = where(0 < g < 1, 0, lr)", "return d, m"), "compare two values"),
    "and": (("d = where(g > 0 and m > 0, 0, lr)", "return d, m"), "`and` and `or` are not in the language"),
    "a type": (("d: float = g", "return d, m"), "write x = ..., without a type"),
    "equal": (("d = where(g == 0, 0, lr)", "return d, m"), "== and chains like 0 < x < 1 are not in the language"),
    "a mean": (
        ("d = g - mean(g)", "return d, m"),
        "mean is over the rows or columns of a matrix, which are known in after(...) only",
    ),
    "a switch misspelt": (("d = g if flagg else m", "return d, m"), "; did you mean 'flag'?"),
    "not on a weight": (("d = where(not g > 0, 0, lr)", "return d, m"), "operator Not"),
    "modulo": (("d = g % lr", "return d, m"), "operator Mod"),
    "whole division": (("d = g // lr", "return d, m"), "operator FloorDiv"),
    "matrix product": (("d = g @ m", "return d, m"), "@ is of whole matrices: write it in matrix"),
    "keyword call": (("d = where(g > 0, x=0, y=lr)", "return d, m"), "without keywords"),
    "unknown function": (("d = softsign(g)", "return d, m"), "define a helper above the rule"),
    "python's max": (("d = max(g, m)", "return d, m"), "'max' is not a function of the language"),
    "too few values": (("d = maximum(g)", "return d, m"), "'maximum' takes 2 values, got 1"),
    "too many values": (("d = sqrt(g, m)", "return d, m"), "'sqrt' takes 1 values, got 2"),
    "unknown name": (("d = lr * gradient", "return d, m"), "'gradient' is not a parameter"),
    "used before it is assigned": (("d = lr * x", "x = g", "return d, m"), "'x' is not a parameter"),
    "string": (("d = 'g'", "return d, m"), "'g' is not a number"),
    "complex number": (("d = 2j", "return d, m"), "2j is not a number"),
    "star": (("a, *b = g, m", "return a, m"), "assign to plain names"),
    "early return": (("if flag:", "    return g, m", "return g, m"), "one return, at its end"),
    "empty return": (("return",), "return a value"),
    "import": (("import math", "return g, m"), "Import is not in the language"),
    "print": (("print(g)", "return g, m"), "Expr is not in the language"),
    "assert": (("assert flag", "return g, m"), "Assert is not in the language"),
    "nested function": (("def f(x):", "    return x", "return f(g), m"), "FunctionDef is not in the language"),
    "walrus": (("d = (x := g)", "return d, m"), "NamedExpr is not in the language"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_file_and_line(define: Define, case: str) -> None:
    body, message = REFUSED[case]
    text = lines(*body)
    with pytest.raises(FormulaError, match=re.escape(message)) as refusal:
        define(text)
    said = re.match(r"(.*\.py):(\d+): in R\.step: ", str(refusal.value))
    assert said, refusal.value
    with open(said[1], encoding="utf-8") as file:
        blamed = file.read().splitlines()[int(said[2]) - 1].strip()
    # The line that is blamed is one of the body, and not just its last.
    assert blamed in [line.strip() for line in body]
    assert blamed == body[-1].strip() or not blamed.startswith("return") or "early" in case


def test_refusal_lists_what_is_allowed(define: Define) -> None:
    with pytest.raises(FormulaError) as refusal:
        define(lines("while flag:", "    m = m + g", "return g, m"))
    for word in ["abs", "clip", "exp", "floor", "log", "maximum", "minimum", "sign", "sqrt", "where"]:
        assert re.search(rf"\b{word}\b", str(refusal.value))


def test_line_number_is_exact(define: Define) -> None:
    text = lines("a = g", "", "# a comment", "b = a @ a", "return b, m")
    with pytest.raises(FormulaError, match=rf":{line_of(text, 'b = a @ a')}: in R\.step"):
        define(text)


def test_missing_import_is_named(define: Define) -> None:
    above = "import math"
    with pytest.raises(FormulaError, match=r"'sqrt' is not a function.*; import it: from thalweg.formula import sqrt"):
        define(lines("return sqrt(g), m"), above)
    with pytest.raises(FormulaError, match="'sqrt' is not a function of the language"):
        define(lines("return sqrt(g), m"), "from math import sqrt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = Hyper(0.1)", "R has no step"),
        ("lr = Hyper(0.1)\ndef step(g, lr):\n    return lr * g", r"R\.step: put @staticmethod above it"),
        (
            "lr = Hyper(0.1)\n@staticmethod\ndef step(g, lr, momentum):\n    return lr * g",
            "it asks for 'momentum', which is none of: columns, first_lr, g, lr, precision, rows, w",
        ),
        ("lr = Hyper(0.1)\n@staticmethod\ndef step(g, lr, t):\n    return lr * g", "asks for 't'"),
        ("lr = Hyper(0.1)\n@staticmethod\ndef prepare(g):\n    return {'c': g}", "R has no step"),
        (
            "lr = Hyper(0.1)\n@staticmethod\ndef prepare(g):\n    return {'c': g}\n"
            "@staticmethod\ndef step(g, lr):\n    return lr * g",
            "it asks for 'g'",
        ),
        ("lr = Hyper(0.1)\n@staticmethod\ndef step(g, lr):\n    d = lr * g", "a formula ends with return"),
        ("lr = Hyper(0.1)\n@staticmethod\ndef step(g, lr):\n    'only words'", "a formula ends with return"),
        ("lr = Hyper(0.1)\n@staticmethod\ndef step(g, lr=1):\n    return lr * g", "plain parameters"),
        ("lr = Hyper(0.1)\n@staticmethod\ndef step(g, *lr):\n    return g", "plain parameters"),
        ("lr = Hyper(0.1)\n@staticmethod\ndef step(*, g):\n    return g", "plain parameters"),
        ("lr = Hyper(0.1)\n@staticmethod\nasync def step(g):\n    return g", "written with def"),
        ("lr = Hyper(0.1)\nstep = staticmethod(lambda g: g)", "written with def"),
        (lines("return lr * g, n"), "'n' is not a parameter"),
        (lines("n = g", "return lr * g, n"), "return states by their names .*; 'n' is none"),
        (lines("return lr * g, m + g"), "return states by their names"),
        (lines("return {'d': g}"), r"R\.step returns the step, and states by their names"),
        (
            "lr = Hyper(0.1)\n@staticmethod\ndef prepare(lr):\n    return 2 * lr\n"
            "@staticmethod\ndef step(g):\n    return g",
            r"R\.prepare returns a dictionary",
        ),
        (
            "lr = Hyper(0.1)\n@staticmethod\ndef prepare(lr):\n    key = lr\n    return {key: 2 * lr}\n"
            "@staticmethod\ndef step(g):\n    return g",
            "plain strings",
        ),
        (
            "lr = Hyper(0.1)\n@staticmethod\ndef prepare(lr):\n    return {'lr': 2 * lr}\n"
            "@staticmethod\ndef step(g, lr):\n    return lr * g",
            "the coefficient 'lr' has the name of a declared part",
        ),
        (
            "lr = Hyper(0.1)\n@staticmethod\ndef prepare(lr):\n    return {'w': 2 * lr}\n"
            "@staticmethod\ndef step(g, lr):\n    return lr * g",
            "the coefficient 'w' has the name",
        ),
    ],
)
def test_refused_functions(define: Define, text: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        define(text)


STEP = "\n@staticmethod\ndef step(g, lr):\n    return lr * g"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = Hyper(0.1)\nw = Hyper(1.0)", r"R\.w: w, g, t mean"),
        ("lr = Hyper(0.1)\ng = State('g')", r"R\.g: w, g, t mean"),
        ("lr = Hyper(0.1)\nt = Scalar(0.0, 'all')", r"R\.t: w, g, t mean"),
        ("lr = Hyper(0.1)\nunscale = Hyper(1.0)", "the chain around every rule uses this name"),
        ("lr = Hyper(0.1)\nshrink = Switch(True)", "the chain around every rule uses this name"),
        ("lr = Hyper(1.0, log_uniform(1e-3, 0.1))", r"R\.lr: its default 1 lies outside its search"),
        ("lr = Hyper(1.0, choice(0.1, 0.2))", "its default 1 lies outside its search: one of 0.1, 0.2"),
        ("lr = Hyper(1.0, log_uniform(1e-3, 2.0, over='mu'))", "divided by 1 - mu, which is not"),
        ("lr = Hyper(-1.0)", "its default must be at least 0"),
        ("lr = Hyper(1.0, below=1.0)", "its default must be at least 0 and below 1, got 1"),
        ("lr = Hyper(float('nan'))", "its default must be"),
        ("lr = Hyper(0.1)\nm = State('m', when='nesterov')", "when='nesterov' is neither a switch nor"),
        ("lr = Hyper(0.1)\nm = State('m', start='eps')", "start='eps' is neither a hyperparameter nor"),
        ("lr = Hyper(0.1)\nd = Scalar('d0', 'all')", "start='d0' is not a hyperparameter"),
        ("lr = Hyper(0.1)\nd = Scalar(0.0, 'every')", "its scope is one of tensor, group, all, not 'every'"),
        ("lr = Hyper(0.1)\nwd = Decay('l2', 0.1)", "declared under the name weight_decay"),
        (
            "lr = Hyper(0.1)\nweight_decay = Decay('L2', 0.1)",
            "the kind of decay is one of l2, decoupled, cautious, .*, palm, own, not 'L2'",
        ),
        ("lr = Hyper(0.1)\nm = State('x')\nn = State('x')", r"R\.m: its key 'x' is taken"),
        ("lr = Hyper(0.1)\nm = State('step')", r"R\.m: its key 'step' is taken"),
        ("lr = Hyper(0.1)\nm = State('mu')\nmu = Scalar(1.0, 'tensor')", r"R\.m: its key 'mu' is taken"),
        ("lr = Hyper(0.1)\ntotal = Sum('all')", "one is there without the other"),
        (
            "lr = Hyper(0.1)\n@staticmethod\ndef sums(g):\n    return {'total': g * g}",
            "one is there without the other",
        ),
        (
            "lr = Hyper(0.1)\ntotal = Sum('all')\n@staticmethod\ndef sums(g):\n    return {'total': g * g}",
            "come together",
        ),
        (
            "lr = Hyper(0.1)\ntotal = Sum('all')\n@staticmethod\ndef sums(g):\n    return {'sum': g * g}\n"
            "@staticmethod\ndef after(total):\n    return {'c': total}",
            "sums returns sum; declared are total",
        ),
        (
            "lr = Hyper(0.1)\ntotal = Sum('group')\n@staticmethod\ndef sums(g):\n    return {'total': g * g}\n"
            "@staticmethod\ndef after(total):\n    return {'c': total}",
            "its scope is one of tensor, all, row, column, not 'group'",
        ),
    ],
)
def test_refused_declarations(define: Define, text: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        define(text + STEP)


def test_decay_needs_lr(define: Define) -> None:
    with pytest.raises(FormulaError, match="declare lr"):
        define("rate = Hyper(0.1)\nweight_decay = Decay('decoupled', 0.1)\n@staticmethod\ndef step(g):\n    return g")


def test_weight_decay_reaches_only_its_owner(define: Define) -> None:
    text = "lr = Hyper(0.1)\nweight_decay = Decay({!r}, 0.1)\n@staticmethod\ndef step(w, g, lr, weight_decay):\n"
    text += "    return lr * (g + weight_decay * w)"
    with pytest.raises(FormulaError, match="it asks for 'weight_decay'"):
        define(text.format("l2"))
    define(text.format("own"))


@pytest.mark.parametrize(
    ("helper", "message"),
    [
        ("def again(x):\n    return again(x)", r":\d+: in R\.again: 'again' calls itself"),
        ("def again(x):\n    return other(x)\ndef other(x):\n    return again(x)", "in R.other: 'again' calls itself"),
        ("def again(x):\n    if x:\n        x = 2 * x\n    return x", "in R.again: an `if` may only test"),
        ("def again(x):\n    for i in x:\n        x = x\n    return x", "in R.again: `for` is not"),
        ("def again(x, y=1):\n    return x", "in R.again: a formula takes plain parameters"),
        ("def again(x):\n    y = x", "in R.again: a formula ends with return"),
        ("def again(x, y):\n    return x * y", "'again' takes 2 values, got 1"),
        ("class again:\n    pass", "'again' is not a function of the language"),
        ("from math import fsum as again", "'again' is not a function of the language"),
    ],
)
def test_helpers_are_checked(define: Define, helper: str, message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        define(lines("return again(g), m"), "from thalweg.formula import *\n" + helper)


def test_source_must_be_readable() -> None:
    with pytest.raises(FormulaError, match="its source text cannot be read"):
        exec(
            "class Typed(Rule):\n    @staticmethod\n    def step(g):\n        return g\n",
            {"Rule": Rule, "__name__": "x"},
        )


def test_a_rule_is_not_an_optimizer(define: Define) -> None:
    with pytest.raises(TypeError, match=r"thalweg\.optimizer\(R\) makes the optimizer class"):
        define(lines("return lr * g, m"))()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (("return lr * (g > 0), m",), "a comparison is the condition of a where"),
        (("return g > 0, m",), "a comparison is the condition of a where"),
        (("return where(g, lr, 0.0), m",), "a comparison is the condition of a where"),
        (("return g ** lr, m",), "a power of a weight must be one of"),
        (("return g ** 5, m",), "a power of a weight must be one of"),
        (("return 2 ** g, m",), "a power of a weight must be one of"),
        (("if flag:", "    d = g", "return d, m"), "'d'"),
    ],
)
def test_refused_when_made(define: Define, body: tuple[str, ...], message: str) -> None:
    """What the text alone does not show is refused before there is an optimizer, in the language's own words."""
    rule = define(lines(*body))
    with pytest.raises(FormulaError, match=message):
        optimizer(rule)
    with pytest.raises(FormulaError, match=rf"\.{rule.__qualname__}: "):
        wrap(rule, Cautious)


FORGOTTEN = [
    ("m = State('x')", "step(g, m)", "    m = 0.5 * m + g\n    return m", "no formula returns its next value"),
    ("m = State('x')", "step(g)", "    return g", "no formula asks for this state"),
    ("m = State('x', start='w')", "step(g)", "    return g", "no formula asks for this state"),
    ("b = Scalar(1.0, 'tensor')", "step(g, b)", "    return b * g", "do not return its next value, so it stays 1"),
    ("k = Hyper(1.0)", "step(g)", "    return g", "no formula asks for it, so it would do nothing"),
    ("on = Switch(True)", "step(g)", "    return g", "no formula asks for it"),
    ("weight_decay = Decay('own', 0.1)", "step(g)", "    return g", r"R\.weight_decay: no formula asks for it"),
]


@pytest.mark.parametrize(("declared", "signature", "body", "message"), FORGOTTEN)
def test_what_is_forgotten_is_refused(define: Define, declared: str, signature: str, body: str, message: str) -> None:
    """Training would go on, and look plausible."""
    with pytest.raises(FormulaError, match=message):
        define(f"{declared}\n@staticmethod\ndef {signature}:\n{body}")


def test_what_is_only_read_may_be(define: Define) -> None:
    """The weights or the gradient at the start, and a scalar that starts at a hyperparameter."""
    declared = "lr = Hyper(0.1)\nfirst = Scalar('lr', 'group')\np0 = State('p0', start='w')\n"
    rule = define(declared + "@staticmethod\ndef step(w, g, p0, first):\n    return first * g + 0 * (w - p0)")
    assert stepped(rule) == pytest.approx(0.8)


def test_a_scalar_of_a_group_is_not_made_from_one_tensor(define: Define) -> None:
    def text(scalar: str, total: str) -> str:
        return (
            f"b = Scalar(0.0, '{scalar}')\na = Sum('{total}')\n"
            "@staticmethod\ndef sums(g):\n    return {'a': g * g}\n"
            "@staticmethod\ndef after(a, b):\n    return {'b': a + b}\n"
            "@staticmethod\ndef step(g, b):\n    return b * g"
        )

    for scalar in ("group", "all"):
        with pytest.raises(FormulaError, match=r"R\.b: it is kept for .* but made from a, which differs by tensor"):
            optimizer(define(text(scalar, "tensor")))
        optimizer(define(text(scalar, "all")))
    optimizer(define(text("tensor", "tensor")))


def stepped(rule: type[Rule], gradient: float = 2.0, **options: object) -> float:
    """Where one float64 weight is after a step from 1."""
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    made = optimizer(rule)([weight], **options)
    weight.grad = torch.full((1,), gradient, dtype=torch.float64)
    made.step()
    return weight.item()


ACCEPTED = {
    "helper": (("return lr * half(g), m",), "def half(x):\n    return x / TWO\nTWO = 2", 0.9),
    "helper of helpers": (("return lr * quarter(g), m",), "def half(x):\n    return x / 2\ndef quarter(x):\n    "
                          "y = half(x)\n    return half(y)", 0.95),
    "helper with several results": (("a, m = both(g, m)", "return lr * a, m"), "def both(x, y):\n    return x, x + y",
                                    0.8),
    "constant of the module": (("return RATE * g, m",), "RATE = 0.25", 0.5),
    "ternary on a switch": (("return (lr if flag else 2 * lr) * g, m",), "", 0.6),
    "not": (("if not flag:", "    g = 2 * g", "return lr * g, m"), "", 0.6),
    "if and else": (("if flag:", "    d = g", "else:", "    d = 3 * g", "return lr * d, m"), "", 0.4),
    "docstring": (('"""Steps."""', "return lr * g, m"), "", 0.8),
    "builtin abs": (("return lr * abs(-g), m",), "del abs", 0.8),
    "power": (("return lr * g**3, m",), "", 0.2),
    "root as a power": (("return lr * (8 * g) ** 0.5, m",), "", 0.6),
    "negative number": (("return -lr * -g, m",), "", 0.8),
    "chained assignment": (("a = b = g", "return lr * (a + b), m"), "", 0.6),
    "a name again": (("g = g + 1", "g = g + 1", "return lr * g, m"), "", 0.6),
    "a state as it is": (("return lr * g, m",), "", 0.8),
    "a constant step": (("return lr, m",), "", 0.9),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(define: Define, case: str) -> None:
    body, above, expected = ACCEPTED[case]
    rule = define(lines(*body), "from thalweg.formula import *\n" + above)
    assert stepped(rule) == pytest.approx(expected, abs=1e-15)


def test_switch_chooses_the_form(define: Define) -> None:
    rule = define(lines("return (lr if flag else 2 * lr) * g, m"))
    assert stepped(rule, flag=False) == pytest.approx(0.6)
    assert stepped(rule, flag=True) == pytest.approx(0.8)


def test_a_hyperparameter_tested_for_zero_stays_a_number(define: Define) -> None:
    text = "lr = Hyper(0.1)\nmu = Hyper(0.0)\n@staticmethod\ndef step(g, lr, mu):\n"
    text += "    return lr * (g + mu) if mu else 5 * lr * g"
    rule = define(text)
    assert stepped(rule, mu=0.0) == pytest.approx(0.0)
    assert stepped(rule, mu=0.5) == pytest.approx(0.75)


def test_inherited_formulas(define: Define) -> None:
    rule = define(
        "lr = Hyper(0.2)",
        "class Base(Rule):\n    lr = Hyper(0.1)\n    @staticmethod\n    def step(g, lr):\n        return lr * g\n"
        "Rule = Base",
    )
    assert stepped(rule) == pytest.approx(0.6)


def test_signed_zeros_are_two_numbers(define: Define) -> None:
    """1 / 0.0 is not 1 / -0.0: equal parts of a formula are computed once, these are not equal."""
    assert stepped(define(lines("return where(lr / (g * 0.0) > lr / (g * -0.0), lr, 0.0), m"))) == pytest.approx(0.9)


@pytest.mark.parametrize("name", ["clip_norm", "schedule", "scheduled_steps"])
def test_names_of_the_surface_are_taken(define: Define, name: str) -> None:
    rule = define(f"lr = Hyper(0.1)\n{name} = Hyper(1.0)\n@staticmethod\ndef step(g, lr, {name}):\n    return lr * g")
    with pytest.raises(TypeError, match=rf"R\.{name} has the name of an argument every optimizer takes"):
        optimizer(rule)
