"""Rules as JavaScript: what a page's browser trains is what the float64 oracle trains."""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, reduce
from itertools import count
from operator import add
from typing import Any

import numpy as np
import pytest
import torch

from thalweg.formula import (
    Decay,
    Hyper,
    Rule,
    Scalar,
    Shaped,
    State,
    Sum,
    Switch,
    abs,
    chain,
    compose,
    exp,
    like,
    sqrt,
    torch_reader,
    vocabulary,
    wrapped,
)
from thalweg.formula.expression import Expression, apply, constant, number, weight
from thalweg.formula.host import host_function
from thalweg.formula.javascript import form, function
from thalweg.formula.rule import decay_kind, hypers, parts
from thalweg.formula.torch_reader import Trained
from thalweg.rules import BY_WEIGHT, CATALOGUE
from thalweg.testing import cases, oracle
from thalweg.wrappers import Cautious, Lookahead, WeightAverage

STEPS, WEIGHTS = 200, 5
STOPS = (1, 2, 3, 10, 50, STEPS)
KINDS = ("l2", "decoupled", "cautious", "strictly-cautious", "independent", "corrected", "palm")
# Where the default of a hyperparameter without a search box hides what it does.
SEEN = {"warmup": 20.0, "warmup_steps": 20.0, "ema": 0.9, "momentum": 0.9, "r": 0.5, "threshold": 4.5}


# -- the text


def step_of(text: str) -> list[str]:
    """The lines of step, without the chain's clips and their indentation."""
    lines = [line.removeprefix("    ") for line in text[text.index("  step(") : text.index("  evaluate(")].splitlines()]
    first = next(i for i, line in enumerate(lines) if ".clip_value" in line)
    last = next(i for i, line in enumerate(lines) if "scale * x" in line) + 1
    return [*lines[1:first], *lines[last + 1 : -1]]


# What decay takes a share of.
FINITE = "Math.abs(s.w[i]) < Infinity ? s.w[i] : 0"


def test_adamw() -> None:
    assert step_of(form(CATALOGUE["adamw"])) == [
        "const {lr, beta1, beta2, eps, weight_decay} = n;",
        "s.t += 1;",
        "const c1 = 1 - beta1 ** s.t;",
        "const c2 = 1 - beta2 ** s.t;",
        "for (let i = 0; i < s.w.length; i++) {",
        "  const g = gradient[i];",
        "  const m = beta1 * s.m[i] + (1 - beta1) * g;",
        "  const v = beta2 * s.v[i] + (1 - beta2) * g * g;",
        "  const d = lr * (m / c1) / (Math.sqrt(v / c2) + eps);",
        f"  const w = s.w[i] - (d + lr * weight_decay * ({FINITE}));",
        "  s.d[i] = s.w[i] - w;",
        "  s.w[i] = w;",
        "  s.m[i] = m;",
        "  s.v[i] = v;",
        "}",
    ]


def test_the_clips_stand_before_the_rule() -> None:
    assert """
    if (n.clip_value != null) {
      const most = n.clip_value;
      gradient = gradient.map((x) => x < -most ? -most : x > most ? most : x);
    }
    if (n.clip_norm != null) {
      const squares = gradient.reduce((sum, x) => sum + x * x, 0);
      const scale = Math.min(1, n.clip_norm / (Math.sqrt(squares) + (n.clip_eps ?? 1e-6)));
      gradient = gradient.map((x) => scale * x);
    }
""" in form(CATALOGUE["sgd"])


def test_what_is_kept() -> None:
    text = form(wrapped(CATALOGUE["adagrad"], Lookahead))
    assert text.startswith("""{
  begin(n, w) {
    return {
      t: 0,
      w: Float64Array.from(w),
      d: new Float64Array(w.length),
      total: new Float64Array(w.length).fill(n.initial_accumulator_value),
      slow: Float64Array.from(w),
      scalars: {},
    };
  },
""")
    assert text.endswith("  evaluate(n, s) {\n    return s.w;\n  }\n}")
    assert "scalars: {mu_product: 1}," in form(CATALOGUE["nadam"])
    assert "scalars: {base_lr: n.lr}," in form(CATALOGUE["adabound"])
    assert "top" not in form(CATALOGUE["adam"])
    assert "top: new" in form(CATALOGUE["adam"], {"amsgrad": True})


def test_what_is_tested() -> None:
    averaged = wrapped(CATALOGUE["sgd"], WeightAverage)
    assert "return s.w;" in form(averaged)
    assert "return s.average;" in form(averaged, {"ema": True})
    mixed = "Math.abs(s.w[i]) < Infinity ? s.w[i] + x1 * (s.z[i] - s.w[i]) : s.w[i]"
    assert f"return s.w.map((_, i) => {mixed});" in form(CATALOGUE["schedulefreesgd"])


@pytest.mark.parametrize(
    ("decay", "line"),
    [
        ("l2", "const g = gradient[i] + (weight_decay > 0 ? weight_decay * s.w[i] : 0);"),
        ("decoupled", f"const w = s.w[i] - (d + lr * weight_decay * ({FINITE}));"),
        ("independent", "const x1 = lr / first_lr * weight_decay;"),
        ("corrected", "const x1 = lr * (lr / first_lr * weight_decay);"),
    ],
)
def test_each_kind_of_decay(decay: str, line: str) -> None:
    text = form(CATALOGUE["adam"], decay=decay)
    assert line in text
    assert ("const first_lr = n.first_lr || lr || 1;" in text) == ("first_lr" in line)
    assert ("gradient[i] +" in text) == (decay == "l2")
    assert (f"lr * weight_decay * ({FINITE})" in text) == (decay == "decoupled")


def test_what_a_rule_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="AdamW has no switch 'nesterov'; it has: amsgrad, eps_hat"):
        form(CATALOGUE["adamw"], {"nesterov": True})
    with pytest.raises(ValueError, match="Lion has no switch 'measured'; it has: none"):
        form(CATALOGUE["lion"], {"measured": True})
    with pytest.raises(
        ValueError,
        match=r"decay of AdamW is one of l2, decoupled, cautious, .*, palm, not 'own'",
    ):
        form(CATALOGUE["adamw"], decay="own")
    with pytest.raises(ValueError, match="decay of LAMB is one of own, not 'l2'"):
        form(CATALOGUE["lamb"], decay="l2")
    with pytest.raises(ValueError, match="decay of Rprop is one of none, not 'decoupled'"):
        form(CATALOGUE["rprop"], decay="decoupled")
    with pytest.raises(ValueError, match="Muon sees whole matrices"):
        form(CATALOGUE["muon"])
    with pytest.raises(ValueError, match="ByRow sees rows and columns"):
        form(ByRow)


def test_of_a_rule_by_rows_and_columns_what_it_does_with_vectors() -> None:
    text = form(CATALOGUE["adafactor"])
    assert "r:" not in text.split("step(")[0]
    assert "const v = s.v[i] + fresh * (g * g - s.v[i]);" in text
    assert "const least = eps1 > 0 ? eps1 : 2.220446049250313e-16;" in text
    # Nothing is added up by row or by column.
    assert text.count("for (let i") == 3


def test_all_rules_are_short_and_made_at_once() -> None:
    begun = time.perf_counter()
    texts = {name: form(rule) for name, rule in BY_WEIGHT.items()}
    assert time.perf_counter() - begun < 3
    assert max(map(len, texts.values())) < 2200
    assert sum(map(len, texts.values())) / len(texts) < 1500
    assert max(len(line) for text in texts.values() for line in text.splitlines()) <= 160


class ByRow(Rule):
    """Divides by the size of a row, also of a vector, which is one."""

    lr = Hyper(0.1)
    squares = Sum("row")

    @staticmethod
    def sums(g):
        return {"squares": g * g}

    @staticmethod
    def after(squares):
        return {"length": sqrt(squares)}

    @staticmethod
    def step(g, length, lr):
        return lr * g / length


class Awkward(Rule):
    """Names that JavaScript keeps for itself, and those of the text's own variables."""

    lr = Hyper(0.1)
    new = Hyper(0.5)
    arguments = Hyper(0.25)
    weight_decay = Decay("l2", 0.01)
    let = Switch(True)
    this = Scalar("new", "tensor")
    enlarged = Scalar(2.0, "tensor")
    var = Sum("tensor")
    n = State("n")
    s = State("s", start="new")
    i = State("i", start=1.5)
    d = State("d", start="w")
    d2 = State("d2")
    scalars = State("scalars")
    gradient = State("gradient", start="g")
    x1 = State("x1")
    most = State("most")
    switch = State("switch")

    @staticmethod
    def prepare(t, this, enlarged, new):
        return {"Math": sqrt(1 + new / t), "this": enlarged, "enlarged": this, "index": 1 / (t + new)}

    @staticmethod
    def sums(g, d, n):
        return {"var": abs(g + n) * abs(d - n)}

    @staticmethod
    def after(var, let):
        return {"state": (2 if let else 3) / (1 + var)}

    @staticmethod
    def step(g, n, s, i, d, d2, scalars, gradient, x1, most, switch, arguments, lr, this, Math, index, state):
        n = 0.5 * n + g
        s, i = i, s
        d2 = 0.9 * d2 + (g - gradient) * index
        d = d + 0.1 * n
        scalars = scalars + g * state
        gradient = g
        x1 = x1 + (scalars + d) * (scalars + d)
        most = lr
        switch = arguments
        step = lr * this * Math * (n + d2) / (sqrt(x1) + s + i)
        return step, n, s, i, d, d2, scalars, gradient, x1, most, switch


class Resting(Rule):
    """A step of 0: weights are passed on."""

    lr = Hyper(0.1)
    m = State("m")

    @staticmethod
    def step(g, m, lr):
        m = lr * g
        return 0, m


# What a state is called in a page, if not by its name.
KEPT_AS = {"d": "d_", "scalars": "scalars_"}


def test_names_in_the_way() -> None:
    text = form(Awkward)
    assert "const {lr, new: new2, arguments: arguments2, weight_decay} = numbers;" in text
    assert "step(numbers, state, gradient2) {" in text
    assert "d_: Float64Array.from(w)," in text
    assert "scalars: {this: n.new, enlarged: 2}," in text


# -- functions of numbers

X, Y, IN = number("x"), number("y"), number("in")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (X + Y - 1, "x + y - 1"),
        (X - (Y - 1), "x - (y - 1)"),
        (X / (Y * X) * Y, "x / (y * x) * y"),
        (X**2 + Y**0.5, "x * x + Math.sqrt(y)"),
        (X**3, "x ** 3"),
        ((-X) ** Y, "(-x) ** y"),
        (-(X**Y), "-(x ** y)"),
        (X**-Y, "x ** -y"),
        ((X**Y) ** X, "(x ** y) ** x"),
        (X ** (Y**X), "x ** y ** x"),
        (constant(-2.0) ** X, "(-2) ** x"),
        (X - -Y, "x - -y"),
        (-X * Y, "-x * y"),
        (-(X * Y), "-(x * y)"),
        (apply("neg", constant(-0.0) * X), "-(-0 * x)"),
        (X + 1e-8, "x + 1e-08"),
        (X * 1e22 + 1e300, "x * 1e+22 + 1e+300"),
        (apply("minimum", X, math.inf), "Math.min(x, Infinity)"),
        (apply("maximum", X, -math.inf), "Math.max(x, -Infinity)"),
        (X * math.nan, "x * NaN"),
        (apply("where", X < Y, X, apply("where", X >= 1, Y, 0)), "x < y ? x : x >= 1 ? y : 0"),
        (apply("where", X + 1 > Y, apply("where", X <= 1, Y, 0), X), "x + 1 > y ? (x <= 1 ? y : 0) : x"),
        (1 + apply("where", X > Y, X, 1), "1 + (x > y ? x : 1)"),
        (exp(apply("log", apply("abs", apply("floor", X)))), "Math.exp(Math.log(Math.abs(Math.floor(x))))"),
    ],
    ids=range(24),
)
def test_functions_are_short(value: Expression, text: str) -> None:
    assert function(("x", "y"), [value]) == f"(x, y) => [{text}]"


def test_what_is_needed_twice_is_worked_out_once() -> None:
    assert function(("x1", "y"), [exp(number("x1")) * Y, exp(number("x1"))]) == (
        "(x1, y) => {\n  const x2 = Math.exp(x1);\n  return [x2 * y, x2];\n}"
    )
    assert function(("x", "in"), [(X + IN * X) ** 2]) == (
        "(x, in2) => {\n  const x1 = x + in2 * x;\n  return [x1 * x1];\n}"
    )


@pytest.mark.parametrize("other", [number("z"), weight("w")])
def test_a_function_knows_its_parameters(other: Expression) -> None:
    with pytest.raises(ValueError, match=r"'[zw]' is none of the parameters: x, y"):
        function(("x", "y"), [X + other])


# -- trainings


@dataclass(frozen=True)
class Case:
    """A training: what is trained how, the learning rate of each step, and whether gradients know the weights."""

    rule: type[Rule]
    switches: dict[str, bool]
    decay: str
    numbers: dict[str, float]
    clips: dict[str, float]
    seed: int
    bowl: bool
    rates: list[float]

    def __str__(self) -> str:
        on = {**self.switches, **self.numbers, **self.clips}
        return f"{self.rule.__name__} {self.decay} {'bowl' if self.bowl else 'noise'} {self.seed} {on}"


SEEDS = count()


def case(rule: type[Rule], decay: str | None = None, bowl: bool | None = None, **switches: bool) -> Case:
    """A training with hyperparameters drawn from the rule's search boxes."""
    seed = next(SEEDS)
    bowl = seed % 7 < 3 if bowl is None else bowl
    drawn = random.Random(seed)
    switches = {**own_switches(rule), **switches}
    numbers: dict[str, float] = {}
    for name, hyper in hypers(rule).items():
        known = {each: h.default for each, h in hypers(rule).items()} | numbers
        numbers[name] = hyper.search.value(drawn.random(), known) if hyper.search else hyper.default
        if hyper.search is None and drawn.random() < 0.5:
            numbers[name] = SEEN.get(name, hyper.default or drawn.choice([0.0, 0.3]))
        if name in switches:
            numbers[name] = (numbers[name] or SEEN.get(name, 0.01)) if switches[name] else 0.0
    clips = {"clip_value": drawn.uniform(0.3, 1)} if seed % 3 == 0 else {}
    clips |= {"clip_norm": drawn.uniform(0.3, 2), **drawn.choice([{}, {"clip_eps": 0.0}])} if seed % 2 == 0 else {}
    lr = numbers.get("lr", 0.0)
    rates = [lr * (1 - 0.5 * t / STEPS) if seed % 4 < 2 else lr for t in range(STEPS)]
    numbers |= {"first_lr": 0.7 * lr} if seed % 5 == 0 else {}
    kind = decay_kind(rule) if decay is None else decay
    return Case(rule, switches, kind, numbers, clips, seed, bowl, rates)


def own_switches(rule: type[Rule]) -> dict[str, bool]:
    """Those that no shape decides."""
    return {name: on for name, on in compose.usual_switches(rule).items() if name not in parts(rule, Shaped)}


@cache
def trainings() -> list[Case]:
    """Every rule: as it is, each switch the other way round, as others have it, wrapped, with each kind of decay."""
    found = []
    for place, rule in enumerate([*BY_WEIGHT.values(), Awkward, Resting, CATALOGUE["adafactor"], CATALOGUE["came"]]):
        found += [case(rule, bowl=bowl) for bowl in (False, True)]
        found += [case(rule, **{name: not on}) for name, on in own_switches(rule).items()]
        # Conventions that are numbers alone have the usual formula.
        others = {name: each for name, each in rule.conventions.items() if not {*each} <= {*hypers(rule)}}
        found += [case(like(rule, name)) for name in others]
        found += [case(rule, kind) for kind in KINDS if decay_kind(rule) in KINDS and kind != decay_kind(rule)]
        wrapper = [Cautious, Lookahead, WeightAverage][place % 3]
        found += [case(wrapped(rule, wrapper), **{"ema": True} if wrapper is WeightAverage else {})]
    found += [case(wrapped(wrapped(CATALOGUE["adamw"], Cautious), Lookahead))]
    found += [case(wrapped(wrapped(CATALOGUE["schedulefreesgd"], Cautious), WeightAverage), ema=True)]
    found += [case(wrapped(wrapped(CATALOGUE["lamb"], Lookahead), WeightAverage), ema=True)]
    return found


# A bowl, its lowest point, and how its sides are coupled.
CURVATURE = [0.1, 0.3, 1.0, 2.0, 5.0]
LOWEST = [1.0, -0.5, 0.0, 2.0, 0.25]
START = [0.5, -1.0, 2.0, 0.0, -0.125]
NOISE = [
    torch.stack([row[0].double() for row in cases.gradients(STEPS, ((WEIGHTS,),), seed=seed, spikes=True)])
    for seed in range(4)
]

TRAIN = """({each, noise, bowl, stops}) => each.map(({text, n, w, rates, table, falls}) => {
  const rule = new Function(`"use strict"; return ${text}`)();
  n.lr = rates[0];
  const s = rule.begin(n, w), found = [];
  rates.forEach((lr, t) => {
    n.lr = lr;
    const slope = s.w.map((x, i) => bowl[0][i] * (x - bowl[1][i]) + 0.1 * (s.w[(i + 1) % s.w.length] - x));
    rule.step(n, s, falls ? slope : Float64Array.from(noise[table][t]));
    if (!stops.includes(s.t)) return;
    const arrays = Object.entries(s).filter(([, x]) => x instanceof Float64Array).map(([k, x]) => [k, Array.from(x)]);
    const scalars = Object.values(s.scalars), tested = Array.from(rule.evaluate(n, s));
    found.push({...Object.fromEntries(arrays), scalars, tested});
  });
  return found;
})"""

Snapshot = dict[str, Any]


Take = Callable[[type[Rule], Trained, Any, dict[str, Any]], Trained]


def in_torch(rule: type[Rule], now: Trained, g: torch.Tensor, values: dict[str, Any]) -> Trained:
    """A step of the oracle."""
    with torch.inference_mode():
        return oracle.step(rule, [now], [g], values)[0]


def in_numpy(rule: type[Rule], now: Trained, g: Any, values: dict[str, Any]) -> Trained:
    """The same with NumPy: its roots and quotients are rounded as IEEE 754 says, torch's are not all.

    Totals are added up from the first weight to the last. So a page differs by nothing that grows where the weights
    decide on the gradients.
    """
    known = {**values, **now.scalars, **now.states, "w": now.weight, "g": g, "t": now.steps + 1}
    with np.errstate(all="ignore"):
        for layer in compose.summing(rule):
            added = compose.layer_totals(rule, known, layer)
            known |= {name: reduce(add, np.broadcast_to(x, WEIGHTS), np.float64(0)) for name, x in added.items()}
        written, settled = compose.updated(rule, known), compose.settled(rule, known)
    weight, scalars = written.pop("w"), {name: settled[name] for name in now.scalars}
    return Trained(weight, {**now.states, **written}, scalars, now.steps + 1)


def expected(of: Case, take: Take, made: Any) -> tuple[list[Snapshot], list[Snapshot]]:
    """What there is at each stop, and how large each of it has been by then. ``made``: torch or numpy."""
    numbers = {name: value for name, value in of.numbers.items() if name != "first_lr"}
    own = {name: on for name, on in of.switches.items() if name in parts(of.rule, Switch)}
    begun = torch.tensor(START, dtype=torch.float64)
    values = torch_reader.of_tensor(of.rule, begun)
    values |= torch_reader.values_of(of.rule, **own, **{**numbers, "lr": of.rates[0]})
    values["clip_value"] = of.clips.get("clip_value", math.inf)
    weight_decay = numbers.get("weight_decay", 0.0)
    if of.decay == "l2":
        values["l2"] = weight_decay
    now = torch_reader.begin(of.rule, begun, values)
    states = {name: made.asarray(state) for name, state in now.states.items()}
    now = Trained(made.asarray(begun), states, now.scalars)
    curvature, lowest, noise = (made.asarray(x) for x in (CURVATURE, LOWEST, NOISE[of.seed % len(NOISE)]))
    found: list[Snapshot] = []
    scales: list[Snapshot] = []
    for t, lr in enumerate(of.rates):
        w = now.weight
        g = curvature * (w - lowest) + 0.1 * (made.roll(w, -1) - w) if of.bowl else noise[t]
        values["lr"] = lr
        if of.decay in KINDS[1:]:
            values |= chain.decay(of.decay, lr, of.numbers.get("first_lr", lr), weight_decay)
        if "clip_norm" in of.clips:
            squares = reduce(add, (chain.limited(g, 1.0, values["clip_value"]) ** 2).tolist())
            values["clip_scale"] = chain.norm_scale(squares, of.clips["clip_norm"], of.clips.get("clip_eps", 1e-6))
        now = take(of.rule, now, g, values)
        if t + 1 in STOPS:
            known = {**values, **now.scalars, **now.states, "w": now.weight, "t": now.steps}
            each = {KEPT_AS.get(name, name): state for name, state in now.states.items()}
            each |= {"w": now.weight, "d": w - now.weight, "scalars": [*now.scalars.values()]}
            each["tested"] = compose.evaluated(of.rule, known)
            found.append({name: np.asarray(x, np.float64) for name, x in each.items()})
            sizes = {name: np.abs(x) if name == "scalars" else np.abs(x).max() for name, x in found[-1].items()}
            before = scales[-1] if scales else sizes
            scales.append({name: np.maximum(before[name], size) for name, size in sizes.items()})
            scales[-1]["d"] = scales[-1]["w"]
    return found, scales


def in_page(page: Any, of: list[Case]) -> list[list[Snapshot]]:
    """What the browser has at each stop, of many trainings."""
    each = [
        {
            "text": form(one.rule, one.switches, one.decay), "n": {**one.numbers, **one.clips}, "w": START,
            "rates": one.rates, "table": one.seed % len(NOISE), "falls": one.bowl,
        }
        for one in of
    ]  # fmt: skip
    shared = {"noise": [table.tolist() for table in NOISE], "bowl": [CURVATURE, LOWEST], "stops": list(STOPS)}
    found: list[list[Snapshot]] = page.evaluate(TRAIN, {"each": each, **shared})
    return found


def apart(found: Snapshot, other: Snapshot, scale: Snapshot) -> dict[str, float]:
    """By how much of its scale each thing is off."""
    assert found.keys() == other.keys()
    off = {}
    for name, theirs in other.items():
        ours = np.asarray(found[name], np.float64)
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        with np.errstate(all="ignore"):
            off[name] = float(np.where(same, 0.0, np.abs(ours - theirs) / scale[name]).max(initial=0.0))
    return off


def judge(page: Any, of: list[Case], take: Take, made: Any) -> None:
    for one, found in zip(of, in_page(page, of), strict=True):
        for stop, ours, theirs, scale in zip(STOPS, found, *expected(one, take, made), strict=True):
            off = apart(ours, theirs, scale)
            assert all(each <= 1e-12 for each in off.values()), f"{one}, step {stop}: {off}"


@pytest.fixture(scope="module")
def page(browser: Any) -> Any:
    opened = browser.new_page()
    yield opened
    opened.close()


@pytest.mark.slow
def test_trains_as_the_oracle(page: Any) -> None:
    judge(page, [one for one in trainings() if not one.bowl], in_torch, torch)


@pytest.mark.slow
def test_trains_alike_where_the_weights_decide_on_the_gradients(page: Any) -> None:
    judge(page, [one for one in trainings() if one.bowl], in_numpy, np)


# -- functions in the page

EXACT = ("+", "-", "*", "/", "maximum", "minimum")


def drawn_formula(drawn: random.Random, depth: int) -> Expression:
    """A formula of operations that IEEE 754 defines to the last bit; a constant meets only what is none."""
    if depth == 0 or drawn.random() < 0.1:
        return drawn.choice([X, Y, IN])
    a, b, c, d = (drawn_formula(drawn, depth - 1) for _ in range(4))
    literal = constant(drawn.choice([0.3, 2.0, -1.5, 1e-8, 1.0, -1.0]))
    kind = drawn.random()
    if kind < 0.5:
        return apply(drawn.choice(EXACT), *drawn.choice([(a, b), (a, literal), (literal, b)]))
    if kind < 0.8:
        return apply(drawn.choice(["neg", "sqrt", "abs", "floor"]), a)
    return a**2 if kind < 0.85 else apply("where", apply(drawn.choice(["<", "<=", ">", ">="]), a, b), c, d)


@pytest.mark.slow
def test_functions_are_what_the_host_computes(page: Any) -> None:
    drawn = random.Random(1)
    formulas = [[drawn_formula(drawn, 4), drawn_formula(drawn, 3)] for _ in range(600)]
    points = [[drawn.choice([-2.0, -0.5, 0.25, 1.0, 3.0, math.inf, math.nan]) for _ in range(3)] for _ in range(30)]
    texts = [function(("x", "y", "in"), each) for each in formulas]
    found = page.evaluate(
        "([texts, points]) => texts.map((text) => { const f = new Function(`return ${text}`)(); "
        "return points.map((point) => f(...point)); })",
        [texts, points],
    )
    assert any("const" in text for text in texts)
    known = dict(zip(("x", "y", "in"), np.array(points).T, strict=True))
    for each, text, values in zip(formulas, texts, found, strict=True):
        expected = np.stack(np.broadcast_arrays(*host_function(each)(known), known["x"])[:-1], axis=1)
        np.testing.assert_array_equal(np.array(values, np.float64), expected, err_msg=text)


@pytest.mark.slow
def test_functions_that_are_rounded_otherwise(page: Any) -> None:
    values = [exp(X), vocabulary.log(Y), X**Y, X**-3, (-X) ** Y, -(Y**X), Y ** (X**2)]
    for x, y in [(0.5, 2.0), (3.0, -1.0), (-2.0, 3.0), (0.1, 0.3)]:
        found = page.evaluate(f"({function(('x', 'y'), values)})({x}, {y})")
        expected = host_function(values)({"x": x, "y": y})
        np.testing.assert_allclose(np.array(found, np.float64), np.array(expected), rtol=1e-15)
