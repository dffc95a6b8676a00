"""Formulas to read: they are true, they are Python, and they are what the author wrote."""

import cProfile
import sys
from math import inf
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from formula_follower import FUNCTIONS, follow
from thalweg.formula import Hyper, Rule, Scalar, State, Sum, Switch, compose, sqrt, torch_reader, vocabulary, where
from thalweg.formula.chain import NO_DECAY
from thalweg.formula.expression import Expression, apply, constant, number, weight
from thalweg.formula.kernel import passes
from thalweg.formula.rule import decay_kind, parts, wrapped
from thalweg.formula.text import Story, decay_terms, story, written
from thalweg.rules import CATALOGUE, LAMB, Adan, NAdam, Prodigy
from thalweg.wrappers import Cautious, WeightAverage

IDLE = {
    "unscale": constant(1.0), "clip_value": constant(inf), "clip_scale": constant(1.0),
    **decay_terms("none"),
}  # fmt: skip


def switches_of(rule: type[Rule], values: dict[str, Any]) -> dict[str, bool]:
    switches = {name: bool(values[name]) for name in parts(rule, Switch)}
    return {**switches, **{name: values[name] != 0 for name in compose.tested(rule)}, "clear": values["clear"]}


def told(rule: type[Rule], norms: Any = (), clip: str | None = None, chain: Any = None, **given: Any) -> Story:
    """A rule's story, with defaults but for what is given."""
    values = torch_reader.values_of(rule, **given)
    return story(rule, switches_of(rule, values), {**IDLE, **(chain or {})}, norms, clip)


def lines(told: Story) -> list[str]:
    """The last pass."""
    return [str(line) for line in told.walks[-1].lines]


# -- the text is true

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9, "dampening": 0.3}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("momentum", {}),
    ("adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.1}),
    ("rmsprop", {}),
    ("rmsprop", {"momentum": 0.9, "centered": True}),
    ("adam", {}),
    ("adam", {"amsgrad": True, "beta2": 0.5}),
    ("adamw", {}),
    ("lion", {}),
]
RULES = [(CATALOGUE[name], values) for name, values in SETTINGS]
RULES += [(CATALOGUE[name], {}) for name in ("nadam", "adabound", "prodigy", "lamb", "adan")]
RULES += [(wrapped(CATALOGUE[name], Cautious), {}) for name in ("adamw", "lion")]
RULES += [(wrapped(CATALOGUE[name], WeightAverage), {"ema": 0.9}) for name in ("adamw", "sgd")]
RULES += [(wrapped(wrapped(LAMB, Cautious), WeightAverage), {"ema": 0.9})]
CHAINS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1},
    {"unscale": -1.0, "weight_decay": 0.1},
    {"clip_value": 0.5},
    {"unscale": 1 / 128, "clip_value": 0.01, "clip_norm": 0.05, "weight_decay": 0.1},
    {"clip_norm": 0.5, "clear": True},
]


def truth(rule: type[Rule], now: torch_reader.Trained, g: torch.Tensor, values: dict[str, Any]) -> torch_reader.Trained:
    """A step of the oracle, with the clip by norm that it leaves to its caller."""
    if "clip_norm" in values:
        limited = (values["unscale"] * g).clamp(-values["clip_value"], values["clip_value"])
        values = {**values, "clip_scale": min(1.0, values["clip_norm"] / (float(limited.norm()) + values["clip_eps"]))}
    return torch_reader.step(rule, now, g, values)


@pytest.mark.parametrize("chain", CHAINS, ids=str)
@pytest.mark.parametrize(("rule", "given"), RULES, ids=lambda x: getattr(x, "__name__", str(x)))
def test_following_the_text_is_taking_the_step(rule: type[Rule], given: dict[str, Any], chain: dict[str, Any]) -> None:
    chain = {k: v for k, v in chain.items() if k != "weight_decay" or decay_kind(rule) != "none"}
    values = {**torch_reader.values_of(rule, **given), "clip_eps": 1e-6, **chain}
    replaced = dict(IDLE)
    if abs(values["unscale"]) != 1:
        replaced["unscale"] = number("unscale")
    else:
        replaced["unscale"] = constant(values["unscale"])
    if values["clip_value"] < inf:
        replaced["clip_value"] = number("clip_value")
    if decay_kind(rule) == "l2":
        values["l2"], replaced["l2"] = values["weight_decay"], number("weight_decay")
    if decay_kind(rule) == "decoupled":
        values["shrink"] = values["lr"] * values["weight_decay"]
        replaced["shrink"] = number("lr") * number("weight_decay")
    clips = "clip_norm" in values
    text = story(
        rule, switches_of(rule, values), replaced, ("limited_norm",) if clips else (), "all" if clips else None
    )
    assert not {*text.numbers} & {"squares", "norm", *parts(rule, Sum)}

    seeded = torch.Generator().manual_seed(1)
    now = torch_reader.begin(rule, torch.randn(33, generator=seeded, dtype=torch.float64), values)
    memory = {name: tensor.numpy() for name, tensor in {"w": now.weight, **now.states}.items()}
    scalars = dict(now.scalars)
    for t in range(1, 5):
        g = torch.randn(33, generator=seeded, dtype=torch.float64)
        g[:3] = 0.0
        numbers = {name: v for name, v in {**values, **scalars, "t": t}.items() if name in text.numbers}
        assert numbers.keys() == {*text.numbers}
        memory, stored = follow(text, {**memory, "g": g.numpy()}, numbers)
        scalars |= stored
        now = truth(rule, now, g, values)
        assert memory.pop("g") == pytest.approx(0.0 if values["clear"] else g.numpy(), abs=0)
        expected = {name: tensor.numpy() for name, tensor in {"w": now.weight, **now.states}.items()}
        assert memory.keys() == expected.keys()
        for name, tensor in expected.items():
            np.testing.assert_allclose(memory[name], tensor, rtol=1e-12, atol=1e-15, err_msg=f"{name} at step {t}")
        for name, scalar in now.scalars.items():
            assert float(scalars[name]) == pytest.approx(float(scalar), rel=1e-12)


@pytest.mark.parametrize(("rule", "given"), RULES, ids=lambda x: getattr(x, "__name__", str(x)))
def test_passes_are_those_of_the_kernels(rule: type[Rule], given: dict[str, Any]) -> None:
    values = torch_reader.values_of(rule, **given)
    switches = (*switches_of(rule, values).items(), *NO_DECAY.items())
    kernels = passes(rule, switches, tuple((name, "float32") for name in ("w", "g", *parts(rule, State))))
    walks = told(rule, ("norm",), **given).walks
    for walk, kernel in zip(walks, (kernels.norm, *kernels.sums, kernels.update), strict=True):
        # A kernel always asks where the gradient is, even if no formula reads it.
        assert {*walk.reads, *walk.writes, "g"} == {*kernel.operands}
        assert [line.name for line in walk.lines if line.text.startswith("sum(")] in (["squares"], [*kernel.totals])


# -- the text is Python

LEAVES = st.sampled_from([weight("w"), weight("g"), number("lr"), number("t")])
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 2.0, 0.5, -3.25, 1e-8, 1e22, inf, -inf]).map(constant)
BINARY = st.sampled_from(["+", "-", "*", "/", "**", "maximum", "minimum"])


def operations(parts: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    right = st.one_of(st.tuples(parts, parts), st.tuples(parts, NUMBERS))
    either = st.one_of(right, st.tuples(NUMBERS, parts))
    choice = st.tuples(st.sampled_from(["<", "<=", ">", ">="]), right, parts, parts)
    return st.one_of(
        st.builds(lambda op, ab: apply(op, *ab), BINARY, either),
        st.builds(apply, st.sampled_from(["neg", "sqrt", "abs", "exp", "log", "cos", "sin", "floor"]), parts),
        choice.map(lambda c: apply("where", apply(c[0], *c[1]), c[2], c[3])),
    )


@given(st.recursive(LEAVES, operations, max_leaves=12))
def test_python_reads_the_same_expression(expression: Expression) -> None:
    """Every bracket that is needed is there: read back with symbols, the tree is the same."""
    symbols = {name: make(name) for make, names in ((weight, "wg"), (number, ("lr", "t"))) for name in names}
    words = {name: getattr(vocabulary, name) for name in vocabulary.__all__}
    assert eval(written(expression), {**words, **symbols, "inf": inf}) == expression


@pytest.mark.parametrize(
    "text",
    [
        "a - b - c", "a - (b - c)", "a / (b * c)", "a / b * c", "a * (b / c)", "(a + b) * c", "-(a + b)", "-a * b",
        "-(a * b)", "(-a) ** b", "-a ** b", "a ** b ** c", "(a ** b) ** c", "a ** -b", "a * -b", "a - -b", "a < b",
        "where(a + 1 < b, sqrt(a), -1)", "2 * a", "a ** 0.5", "1 - a ** b", "0 ** a",
    ],
)  # fmt: skip
def test_no_bracket_too_many(text: str) -> None:
    found = eval(text, {**{name: number(name) for name in "abc"}, "where": where, "sqrt": sqrt})
    assert written(found) == text


# -- it is what the author wrote


def test_adamw() -> None:
    found = told(
        CATALOGUE["adamw"], ("limited_norm",), "all", {"shrink": number("lr") * number("weight_decay")}, clip_norm=1.0
    )
    norm, update = found.walks
    assert ([*map(str, norm.lines)], norm.reads, norm.writes) == (
        ["squares = sum(g * g)  # of all parameters"], ("g",), ()
    )  # fmt: skip
    assert [*map(str, update.before)] == [
        "norm = sqrt(squares)",
        "clip_scale = minimum(1, clip_norm / (norm + clip_eps))",
        "c1 = 1 - beta1 ** t",
        "c2 = 1 - beta2 ** t",
    ]
    assert lines(found) == [
        "g = clip_scale * g",
        "m <- beta1 * m + (1 - beta1) * g",
        "v <- beta2 * v + (1 - beta2) * g * g",
        "v_hat = v / c2",
        "d = lr * (m / c1) / (sqrt(v_hat) + eps)",
        "w <- w - (d + lr * weight_decay * w)",
    ]
    assert (update.reads, update.writes) == (("w", "g", "m", "v"), ("w", "m", "v"))
    assert found.numbers == ("beta1", "beta2", "clip_eps", "clip_norm", "eps", "lr", "t", "weight_decay")


def test_what_does_nothing_is_left_out() -> None:
    assert lines(told(CATALOGUE["sgd"])) == ["d = lr * g", "w <- w - d"]
    assert told(CATALOGUE["sgd"]).numbers == ("lr",)


def test_each_clip_of_the_chain_is_a_line() -> None:
    chain = {"clip_value": number("clip_value"), "unscale": constant(-1.0), "l2": number("weight_decay")}
    found = told(CATALOGUE["sgd"], ("limited_norm",), "tensor", chain)
    assert [*map(str, found.walks[0].lines)] == [
        "g = clip(-g, -clip_value, clip_value)",
        "squares = sum(g * g)  # of each parameter",
    ]
    assert lines(found)[:2] == ["g = clip(-g, -clip_value, clip_value)", "g = clip_scale * g + weight_decay * w"]


def test_switches_are_resolved() -> None:
    assert "top <- maximum(top, v)" in lines(told(CATALOGUE["adamw"], amsgrad=True))
    assert not any("top" in line for line in lines(told(CATALOGUE["adamw"])))
    assert lines(told(CATALOGUE["rmsprop"], momentum=0.9, centered=True)) == [
        "v <- alpha * v + (1 - alpha) * g * g",
        "mean <- alpha * mean + (1 - alpha) * g",
        "variance = maximum(v - mean * mean, 0)",
        "scaled = g / (sqrt(variance) + eps)",
        "b <- momentum * b + scaled",
        "d = lr * b",
        "w <- w - d",
    ]


def test_a_state_is_read_before_it_is_replaced() -> None:
    """Lion's step asks for the old average."""
    assert lines(told(CATALOGUE["lion"])) == [
        "d = lr * sign(beta1 * m + (1 - beta1) * g)",
        "m <- beta2 * m + (1 - beta2) * g",
        "w <- w - d",
    ]


def test_wrappers_and_clear() -> None:
    rule = wrapped(wrapped(CATALOGUE["lion"], Cautious), WeightAverage)
    found = told(rule, ema=0.9, clear=True)
    assert [*map(str, found.walks[0].lines)] == [
        "d = lr * sign(beta1 * m + (1 - beta1) * g)",
        "taken = sum(where(d * g > 0, 1, 0))  # of each parameter",
        "there = sum(1)  # of each parameter",
    ]
    assert [*map(str, found.walks[1].before)] == [
        "ema_now = minimum(ema, (1 + t) / (10 + t))",
        "enlarged = there / maximum(taken, 0.001 * there)",
    ]
    assert lines(found)[-4:] == [
        "d = where(d * g > 0, enlarged * d, 0)",
        "w <- w - d",
        "average <- average + (1 - ema_now) * (w - average)",
        "g <- 0",
    ]


def test_scalars_and_sums() -> None:
    found = told(NAdam)
    assert "product = mu_product * mu" in [*map(str, found.walks[0].before)]
    assert [*map(str, found.after)] == ["mu_product <- product  # of each parameter"]
    assert [str(line) for line in told(LAMB).walks[0].lines][-2:] == [
        "of_w = sum(w * w)  # of each parameter",
        "of_step = sum(d * d)  # of each parameter",
    ]
    assert "m = beta1 * m + (1 - beta1) * g" in [*map(str, told(LAMB).walks[0].lines)]  # nothing is written there


def test_a_rules_own_d_is_not_the_step() -> None:
    found = told(Prodigy)
    assert lines(found)[-2:] == ["step = rate * (m / (sqrt(v) + damping) + weight_decay * w)", "w <- w - step"]
    assert str(found.after[0]) == "d <- step  # of all parameters"


def test_a_state_that_starts_as_the_gradient() -> None:
    found = lines(told(Adan))
    assert found[1] == "difference = g - where(t <= 1, g, previous)"
    assert found[-2:] == ["w <- w - d", "previous <- g"]


class Swapping(Rule):
    """Two states change places: neither can be written first."""

    lr = Hyper(0.1)
    a = State("first", start=1.0)
    b = State("second", start=2.0)

    @staticmethod
    def step(g, a, b, lr):
        a, b = b, a
        return lr * g, a, b


class Hiding(Rule):
    """Names that are taken: a state called squares, a scalar's next value under its own name, lr put to other use."""

    lr = Hyper(0.1)
    squares = State("square_avg")
    rate = Scalar("lr", "tensor")
    norm = Sum("tensor")

    @staticmethod
    def prepare(t, lr, rate):
        lr = lr / t
        return {"now": lr * rate, "rate": rate + lr * lr}

    @staticmethod
    def sums(g, squares):
        squares = squares + g * g
        return {"norm": squares}

    @staticmethod
    def after(norm):
        return {"scale": 1 / (1 + sqrt(norm))}

    @staticmethod
    def step(g, squares, now, rate, scale):
        lr = g * now * rate * scale
        squares = squares + g * g
        g = lr * sqrt(squares + lr + 1)
        return g / (sqrt(squares + lr + 1) + 2), squares


@pytest.mark.parametrize("rule", [Swapping, Hiding])
def test_names_in_each_others_way(rule: type[Rule]) -> None:
    test_following_the_text_is_taking_the_step(rule, {}, {"clip_norm": 0.5, "clear": True})


def test_a_swap_keeps_the_old_value() -> None:
    assert lines(told(Swapping)) == ["d = lr * g", "w <- w - d", "old_a = a", "a <- b", "b <- old_a"]


def test_a_part_that_is_needed_twice_is_written_once() -> None:
    assert lines(told(Hiding)) == [
        "squares <- squares + g * g",
        "lr = g * now * next_rate * scale",
        "x = sqrt(squares + lr + 1)",
        "g = lr * x",
        "d = g / (x + 2)",
        "w <- w - d",
    ]


def test_a_profiler_goes_on() -> None:
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        told(CATALOGUE["adamw"])
        assert sys.getprofile() is profiler
    finally:
        profiler.disable()


def test_the_follower_knows_every_word() -> None:
    # What the last three guard against is not told.
    assert {*vocabulary.__all__} - {"share", "times", "towards"} <= {*FUNCTIONS}
