"""Rules in JAX: against the float64 oracle and optax, under jit, vmap and grad."""

import importlib
import math
import sys
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import optax
import pytest
import torch
from jax import numpy as jnp

import thalweg.jax
from thalweg import schedules
from thalweg.formula import Hyper, Rule, chain, torch_reader, wrapped
from thalweg.formula.rule import decay_kind
from thalweg.rules import BY_WEIGHT, CATALOGUE
from thalweg.testing import oracle
from thalweg.testing.judging import case
from thalweg.wrappers import GPA, Cautious, Hyperball, Lookahead, WeightAverage
from thalweg.wrappers.readouts import Readouts

SHAPES = ((3, 4), (5,), ())
# No state; states and a step count; sums of the rule's and of a wrapper's; scalars, and other weights to test.
SPAN = [CATALOGUE["sgd"], CATALOGUE["adamw"], wrapped(CATALOGUE["lamb"], Cautious), CATALOGUE["schedulefreeadamw"]]
OTHERS = [rule for rule in BY_WEIGHT.values() if rule not in SPAN]


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


def drawn(count: int) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    """Weights, and the gradients of some steps."""
    chance = np.random.default_rng(0)
    return [chance.normal(size=s) for s in SHAPES], [[chance.normal(size=s) for s in SHAPES] for _ in range(count)]


def trained(tx: Any, weights: list[np.ndarray], rows: list[list[np.ndarray]]) -> tuple[list[Any], Any]:
    params = [jnp.asarray(w) for w in weights]
    state = tx.init(params)

    @jax.jit
    def step(grads: Any, state: Any, params: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for row in rows:
        params, state = step([jnp.asarray(g) for g in row], state, params)
    return params, state


def expected(rule: type[Rule], weights: list[np.ndarray], rows: list[list[np.ndarray]], **given: Any) -> list[Any]:
    """The oracle's weights; ``kind`` and a learning rate for each step may be given."""
    kind, rates = given.pop("kind", decay_kind(rule)), given.pop("rates", None)

    def at(step: int) -> dict[str, Any]:
        values = torch_reader.values_of(rule, **given)
        if rates is not None:
            values["lr"] = rates[step]
        if kind not in ("own", "none"):
            first = values["lr"] if rates is None else rates[0]
            values |= chain.decay(kind, values["lr"], first, values["weight_decay"])
        return values

    tensors = [[torch.tensor(g) for g in row] for row in rows]
    return oracle.trained(rule, [torch.tensor(w) for w in weights], tensors, at)


def apart(found: Any, weights: list[Any]) -> float:
    """The largest difference, over the largest weight."""
    largest = max(float(w.abs().max()) for w in weights)
    return max(float(np.abs(np.asarray(a) - b.numpy()).max()) for a, b in zip(found, weights, strict=True)) / largest


def agrees(rule: type[Rule], steps: int) -> None:
    weights, rows = drawn(steps)
    found, _ = trained(thalweg.jax.transformation(rule), weights, rows)
    assert apart(found, oracle.weights_of(expected(rule, weights, rows))) < 1e-12


@pytest.mark.parametrize("rule", SPAN)
def test_agrees_with_the_oracle(rule: type[Rule]) -> None:
    agrees(rule, 60)


@pytest.mark.slow
@pytest.mark.parametrize("rule", [*OTHERS, *(wrapped(CATALOGUE["adam"], x) for x in (Lookahead, Hyperball, GPA))])
def test_every_rule_agrees_with_the_oracle(rule: type[Rule]) -> None:
    agrees(rule, 60)


def test_the_chain() -> None:
    weights, rows = drawn(20)
    rule = wrapped(CATALOGUE["adam"], WeightAverage)
    for options, given in (
        ({"clip_value": 0.3, "maximize": True}, {"clip_value": 0.3, "unscale": -1.0}),
        ({"decay": "independent", "weight_decay": 0.1}, {"kind": "independent", "weight_decay": 0.1}),
        ({"decay": "decoupled", "weight_decay": 0.1}, {"kind": "decoupled", "weight_decay": 0.1}),
        ({"weight_decay": 0.1, "amsgrad": True, "betas": (0.8, 0.9)},
         {"weight_decay": 0.1, "amsgrad": True, "beta1": 0.8, "beta2": 0.9}),
        ({"ema": 0.9}, {"ema": 0.9}),
    ):  # fmt: skip
        with case(options):
            tx = thalweg.jax.adam(0.01, **options)
            found, state = trained(tx, weights, rows)
            oracles = expected(rule, weights, rows, lr=0.01, **given)
            assert apart(found, oracle.weights_of(oracles)) < 1e-12
            if "ema" in options:
                assert apart(tx.evaluate(state, found), [each.states["average"] for each in oracles]) < 1e-12


@pytest.mark.parametrize("scope", ["all", "tensor"])
def test_clips_by_norm_as_optax(scope: str) -> None:
    weights, rows = drawn(5)
    found, _ = trained(thalweg.jax.sgd(0.1, clip_norm=1.0, clip_scope=scope, clip_eps=0.0), weights, rows)
    if scope == "all":
        theirs, _ = trained(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)), weights, rows)
    else:
        theirs = [jnp.asarray(w) for w in weights]
        for row in rows:
            theirs = [w - 0.1 * g * min(1.0, 1.0 / np.linalg.norm(g)) for w, g in zip(theirs, row, strict=True)]
    for a, b in zip(found, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (thalweg.jax.adamw(0.01, weight_decay=0.1), optax.adamw(0.01, weight_decay=0.1)),
        (thalweg.jax.lion(0.01, betas=(0.9, 0.99), weight_decay=0.1), optax.lion(0.01, weight_decay=0.1)),
        (thalweg.jax.adam(optax.cosine_decay_schedule(0.1, 20)), optax.adam(optax.cosine_decay_schedule(0.1, 20))),
        (thalweg.jax.sgd(0.1, momentum=0.9), optax.sgd(0.1, momentum=0.9)),
        (thalweg.jax.adagrad(0.1), optax.adagrad(0.1, 0.0, 1e-10)),
    ],
)
def test_agrees_with_optax(ours: Any, theirs: Any) -> None:
    weights, rows = drawn(30)
    for a, b in zip(trained(ours, weights, rows)[0], trained(theirs, weights, rows)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["independent", "palm", "cautious", "strictly-cautious"])
def test_a_schedule_scales_each_kind_of_decay(kind: str) -> None:
    weights, rows = drawn(15)
    rates = [0.1 * 0.5**i for i in range(15)]
    tx = thalweg.jax.adamw(lambda count: 0.1 * 0.5**count, weight_decay=0.1, decay=kind)
    oracles = expected(CATALOGUE["adamw"], weights, rows, kind=kind, weight_decay=0.1, rates=rates)
    assert apart(trained(tx, weights, rows)[0], oracle.weights_of(oracles)) < 1e-12


def test_averages_are_read_out_as_in_torch() -> None:
    weights, rows = drawn(30)
    tx = thalweg.jax.transformation(
        wrapped(CATALOGUE["adamw"], Readouts), 0.1, average_horizons=(5.0, 1e18, 0, 0), average_starts=(0, 20, 0, 0)
    )
    params, state = trained(tx, weights, rows)
    own = [torch.nn.Parameter(torch.tensor(w)) for w in weights]
    made = thalweg.AdamW(
        own,
        lr=0.1,
        readouts={"long": thalweg.averaged(5, blend=0.25), "tail": thalweg.averaged(start=20)},
    )
    for row in rows:
        for p, g in zip(own, row, strict=True):
            p.grad = torch.tensor(g)
        made.step()
    for name, given in {"long": (1, 0.25), "tail": (2,)}.items():
        found = thalweg.jax.readout(state, params, *given)
        with made.readout(name):
            for p, x in zip(own, found, strict=True):
                np.testing.assert_allclose(np.asarray(x), p.detach().numpy(), rtol=1e-12, atol=1e-14)
    assert "average3" not in state.states


def test_sixty_four_learning_rates_in_one_call() -> None:
    weights, rows = drawn(4)
    rates = jnp.logspace(-4, 0, 64)

    def losses(lr: Any) -> Any:
        tx = thalweg.jax.adamw(lr, weight_decay=0.1, clip_norm=1.0)
        params = [jnp.asarray(w) for w in weights]
        state = tx.init(params)
        for row in rows:
            updates, state = tx.update([jnp.asarray(g) for g in row], state, params)
            params = optax.apply_updates(params, updates)
        return sum(jnp.sum(p**2) for p in params)

    together = jax.jit(jax.vmap(losses))(rates)
    for i in (0, 31, 63):
        assert float(together[i]) == pytest.approx(float(losses(rates[i])), rel=1e-12)
    # And the slope by one of them.
    slope = float(jax.grad(losses)(0.01))
    assert slope == pytest.approx((float(losses(0.01 + 1e-6)) - float(losses(0.01 - 1e-6))) / 2e-6, rel=1e-4)


def test_half_precision_and_infinite_weights() -> None:
    params = {"w": jnp.array([1.0, -jnp.inf], jnp.bfloat16)}
    tx = thalweg.jax.adamw(0.1, weight_decay=0.1, ema=0.9)
    state = tx.init(params)
    updates, state = tx.update({"w": jnp.zeros(2, jnp.bfloat16)}, state, params)
    params = optax.apply_updates(params, updates)
    assert params["w"].dtype == updates["w"].dtype == jnp.bfloat16
    assert params["w"].tolist() == [0.98828125, -math.inf]
    assert state.states["average"]["w"].dtype == jnp.float32
    assert tx.evaluate(state, params)["w"].tolist() == pytest.approx([1 - 9 / 11 * 0.01, -math.inf], abs=0.004)


def test_part_of_a_chain_of_optax() -> None:
    weights, rows = drawn(4)
    chained, _ = trained(optax.chain(optax.scale(2.0), thalweg.jax.sgd(0.1)), weights, rows)
    alone, _ = trained(thalweg.jax.sgd(0.2), weights, rows)
    for a, b in zip(chained, alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_mistakes_are_named() -> None:
    class Plain(Rule):
        lr = Hyper(0.1)

        @staticmethod
        def step(g, lr):  # type: ignore[no-untyped-def]
            return lr * g

    for make, error, said in (
        (lambda: thalweg.jax.adamw(beta_1=0.9), TypeError, "AdamW takes no 'beta_1'; did you mean 'beta1'"),
        (lambda: thalweg.jax.adamw(betas=(0.9,)), ValueError, "betas are 2 numbers"),
        (lambda: thalweg.jax.adamw(-1.0), ValueError, "learning_rate must be at least 0"),
        (lambda: thalweg.jax.adamw(decay="own"), ValueError, "decay is one of l2, decoupled, cautious, str"),
        (lambda: thalweg.jax.transformation(Plain, weight_decay=0.1), TypeError, "takes no 'weight_decay'"),
        (lambda: thalweg.jax.sgd(clip_norm=1.0, clip_scope="group"), ValueError, "clip_scope is all or tensor"),
        (lambda: thalweg.jax.adamq, AttributeError, "did you mean 'adam"),
    ):
        with case(said), pytest.raises(error) as caught:
            make()
        assert said in str(caught.value)
    tx = thalweg.jax.sgd(0.1)
    with pytest.raises(ValueError, match="need the parameters"):
        tx.update([jnp.ones(2)], tx.init([jnp.ones(2)]))


def test_options_are_taken_as_the_optimizers_take_them() -> None:
    """None for the eps that is 0, and lists where there are tuples."""
    weight, grad = np.arange(1.0, 9.0).reshape(4, 2), np.arange(8.0).reshape(4, 2) ** 2
    lists: Any = {"coefficients": [[3.4445, -4.7750, 2.0315]] * 5, "split_sizes": [2, 2], "products": "float32"}
    for name, made, options in (
        ("adafactor", thalweg.Adafactor, {"eps": (None, 1e-3)}), ("muon", thalweg.Muon, lists),
    ):  # fmt: skip
        param = torch.nn.Parameter(torch.tensor(weight))
        param.grad = torch.tensor(grad)
        made([param], lr=0.1, **options).step()
        (found,), _ = trained(getattr(thalweg.jax, name)(0.1, **options), [weight], [[grad]])
        np.testing.assert_allclose(found, param.detach().numpy(), rtol=1e-10, err_msg=name)
    with pytest.raises(ValueError, match=r"Muon: split_sizes=\(2, 3\) are 5 rows together, and .* \(4, 2\) has 4"):
        thalweg.jax.muon(split_sizes=(2, 3)).init([jnp.asarray(weight)])


def test_without_jax_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optax", None)
    monkeypatch.delitem(sys.modules, "thalweg.jax")
    with pytest.raises(ModuleNotFoundError, match=r"needs the package optax: pip install 'thalweg\[jax\]'"):
        importlib.import_module("thalweg.jax")


def test_a_schedule_is_optaxs_of_the_same_name() -> None:
    weights, rows = drawn(8)
    ours = thalweg.jax.adamw(0.1, schedule=schedules.Cosine(6), weight_decay=0.1)
    theirs = optax.adamw(optax.cosine_decay_schedule(0.1, 6), weight_decay=0.1)
    # After the last step optax's is 0, and here the last factor stays.
    (a, _), (b, _) = (trained(tx, weights, rows[:6]) for tx in (ours, theirs))
    assert all(np.allclose(x, y, rtol=1e-12, atol=1e-12) for x, y in zip(a, b, strict=True))
    rate = optax.warmup_cosine_decay_schedule(0.0, 1.0, 3, 9)
    schedule = schedules.Cosine(9, warmup=3)
    for t in range(4, 10):  # whose warm-up is a step late
        assert float(schedule.of(jnp.float64(t))) == pytest.approx(float(rate(t - 1)), abs=1e-12)
        assert float(schedule.of(jnp.float64(t))) == pytest.approx(schedule.at(t), abs=1e-14)


def test_scheduled_numbers_are_those_of_the_optimizer() -> None:
    weights, rows = drawn(7)
    given: Any = {
        "lr": schedules.WSD(6, warmup=2, shape="linear"),
        "weight_decay": schedules.Linear(6),
        "momentum": schedules.Trapezoid(6, last=0.5),
    }
    options: Any = {"weight_decay": 0.1, "decay": "independent", "schedule": given}
    found, _ = trained(thalweg.jax.adamw(0.1, **options), weights, rows)
    params = [torch.nn.Parameter(torch.tensor(w)) for w in weights]
    optimizer = thalweg.AdamW(params, lr=0.1, **options)
    for row in rows:
        for param, grad in zip(params, row, strict=True):
            param.grad = torch.tensor(grad)
        optimizer.step()
    assert all(np.allclose(a, b.detach(), rtol=1e-12, atol=1e-12) for a, b in zip(found, params, strict=True))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"momentum": 0.9, "schedule": {"momentum": schedules.Cosine(9)}}, "momentum decides a form of the rule"),
        ({"learning_rate": lambda count: 0.1, "schedule": schedules.Cosine(9)}, "learning_rate is a schedule already"),
        ({"schedule": {"beta": schedules.Cosine(9)}}, "SGD has no 'beta' to schedule"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        thalweg.jax.sgd(**options)
