"""Wrappers around rules: cautious steps against their paper's formula, and one around another."""

import copy
import pickle
import types
from functools import reduce
from typing import Any

import cloudpickle
import dill
import pytest
import torch

import forked
import thalweg
import thalweg.optim.making
from thalweg.formula import FormulaError, Hyper, Rule, State, like, torch_reader
from thalweg.formula.rule import Wrapper, decay_kind, text, wrapped
from thalweg.optim import OPTIMIZERS, Optimizer, optimizer, wrap
from thalweg.optim.making import _unpickled
from thalweg.rules import BY_WEIGHT, CATALOGUE, AdamW
from thalweg.testing import oracle
from thalweg.wrappers import WRAPPERS, Cautious, Lookahead, WeightAverage

SHAPES = [(7, 5), (64,), (), (3,)]


class Halved(Wrapper):
    """Takes half of every step, and remembers how many it has seen."""

    share = Hyper(0.5)
    seen = State("seen")

    @staticmethod
    def step(d, seen, share):  # type: ignore[no-untyped-def]
        seen = seen + 1
        return share * d, seen


def gradients(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


def start(dtype: torch.dtype = torch.float64) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(g.to(dtype)) for g in gradients(99)]


def train(made: Optimizer, params: list[torch.nn.Parameter], steps: int = 12) -> list[torch.Tensor]:
    for seed in range(steps):
        for p, g in zip(params, gradients(seed), strict=True):
            p.grad = g.to(p.dtype)
        made.step()
    return [p.detach().double() for p in params]


def test_cautious_adamw_as_its_authors_write_it() -> None:
    """Algorithm 2 of Liang et al. 2024 by hand: mask the step by the gradient's sign, enlarge by the share left."""
    lr, b1, b2, eps, decay = 0.05, 0.9, 0.99, 1e-8, 0.1
    params = start()
    found = train(wrap(thalweg.AdamW, Cautious)(params, lr=lr, betas=(b1, b2), weight_decay=decay), params)
    expected = [p.detach().clone() for p in start()]
    m, v = ([torch.zeros_like(w) for w in expected] for _ in range(2))
    for t in range(1, 13):
        for i, g in enumerate(gradients(t - 1)):
            m[i] = b1 * m[i] + (1 - b1) * g
            v[i] = b2 * v[i] + (1 - b2) * g * g
            step = lr * (m[i] / (1 - b1**t)) / ((v[i] / (1 - b2**t)).sqrt() + eps)
            mask = (m[i] * g > 0).double()
            expected[i] = expected[i] - lr * decay * expected[i] - step * mask / mask.mean().clamp(min=1e-3)
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-11)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_wrapper_goes_around(name: str) -> None:
    """No rule and wrapper take one another's names; what a rule has around it of its own goes around it once."""
    rule = CATALOGUE[name]
    others = [wrapper for wrapper in WRAPPERS.values() if wrapper not in rule.around]
    for wrapper in others:
        assert wrapped(rule, wrapper).wrappers == (wrapper,)
    reduce(wrapped, others, rule)
    for wrapper in {*WRAPPERS.values()} - {*others}:
        with pytest.raises(FormulaError, match=f"{wrapper.__name__} is around {rule.__name__} already"):
            wrapped(rule, wrapper)


@pytest.mark.parametrize("name", BY_WEIGHT)
@pytest.mark.parametrize("wrapper", [Cautious, Lookahead], ids=lambda wrapper: wrapper.__name__)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), pytest.param(torch.float32, 2e-5, marks=pytest.mark.slow)]
)
def test_around_every_rule(name: str, wrapper: type[Wrapper], dtype: torch.dtype, tolerance: float) -> None:
    params, kind = start(dtype), decay_kind(CATALOGUE[name])
    decay: dict[str, Any] = {} if kind == "none" else {"weight_decay": 0.1} | ({"decay": "l2"} if kind != "own" else {})
    found = train(wrap(OPTIMIZERS[name], wrapper)(params, lr=0.01, **decay), params)
    rule = wrapped(CATALOGUE[name], wrapper)
    own = {"weight_decay": 0.1} if kind == "own" else {"l2": 0.1} if decay else {}
    values = torch_reader.values_of(rule, lr=0.01, **own)
    rows = [[g.to(dtype).double() for g in gradients(seed)] for seed in range(12)]
    for result, now in zip(found, oracle.trained(rule, start(dtype), rows, values), strict=True):
        assert float((result - now.weight).norm()) <= tolerance * max(float(now.weight.norm()), 1e-3)


def test_wrappers_compose() -> None:
    """Half of a cautious step, in one kernel, against one after the other by hand."""
    made = wrap(wrap(thalweg.SGD, Cautious), Halved)
    weight = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    built = made([weight], lr=1.0, momentum=1.0, share=0.25)
    weight.grad = torch.tensor([1.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    built.step()
    assert weight.tolist() == [-0.25] * 4
    weight.grad = torch.tensor([1.0, -3.0, -4.0, 1.0], dtype=torch.float64)
    built.step()  # the sums are 2, -2, -3, 2: all four agree with the gradient's signs
    assert weight.tolist() == [-0.75, 0.25, 0.5, -0.75]
    weight.grad = torch.tensor([-1.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    built.step()  # the sums are 1, -1, -2, 3: only the last agrees, and is enlarged four times
    assert weight.tolist() == [-0.75, 0.25, 0.5, -0.75 - 0.25 * 4 * 3]
    assert built.state[weight]["seen"].tolist() == [3.0] * 4


def test_around_a_rule_that_takes_sums() -> None:
    """LAMB's own totals come first, then those of its wrapper: one pass each."""
    rule = wrapped(thalweg.LAMB.rule, Cautious)
    params = start()
    made = wrap(thalweg.LAMB, Cautious)(params, lr=0.1, clip_norm=1e9)
    found = train(made, params)
    assert made._plan is not None
    assert [len(launch.stages) for launch in made._plan.launches] == [2]
    values = torch_reader.values_of(rule, lr=0.1)
    for i, (result, weight) in enumerate(zip(found, start(), strict=True)):
        now = torch_reader.begin(rule, weight.detach(), values)
        for seed in range(12):
            now = torch_reader.step(rule, now, gradients(seed)[i], values)
        assert torch.allclose(result, now.weight, rtol=1e-11)


def test_the_average_follows_the_wrapped_step() -> None:
    weight = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    made = wrap(thalweg.SGD, Halved)([weight], lr=1.0, ema=0.5, ema_warmup=False)
    weight.grad = torch.tensor([2.0, -2.0], dtype=torch.float64)
    made.step()
    with made.averaged():
        assert weight.tolist() == [-0.5, 0.5]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_copies_continue_to_the_bit(again: Any) -> None:
    params = start()
    made = wrap(wrap(thalweg.AdamW, Cautious), Halved)(params, lr=0.1, share=0.7, clip_norm=3.0)
    train(made, params, 3)
    twin = again(made)
    assert type(twin) is type(made)
    assert twin.clip_norm == 3.0
    theirs = [p for group in twin.param_groups for p in group["params"]]
    for a, b in zip(train(made, params, 3), train(twin, theirs, 3), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_of_a_wrapped_optimizer() -> None:
    params, others = start(), start()
    made, loaded = (wrap(thalweg.Lion, Halved)(p, lr=0.1) for p in (params, others))
    train(made, params, 3)
    for p, q in zip(params, others, strict=True):
        q.data.copy_(p.data)
    loaded.load_state_dict(made.state_dict())
    for a, b in zip(train(made, params, 2), train(loaded, others, 2), strict=True):
        assert torch.equal(a, b)


def test_its_own_arguments_and_words() -> None:
    made = wrap(thalweg.AdamW, Halved)
    assert made.__name__ == "HalvedAdamW"
    assert "Halved around it" in (made.__doc__ or "")
    assert "class Halved(Wrapper)" in text(made.rule)
    assert "class AdamW(" in text(made.rule)
    assert made([torch.zeros(1)], share=0.1).param_groups[0]["share"] == 0.1
    assert wrap(thalweg.AdamW, Halved) is made is wrap(AdamW, Halved)
    with pytest.raises(ValueError, match="share must be at least 0"):
        made([torch.zeros(1)], share=-1.0)


def test_mistakes_are_named() -> None:
    with pytest.raises(FormulaError, match="both declare 'share'"):
        wrap(wrap(thalweg.SGD, Halved), Halved)
    with pytest.raises(TypeError, match="takes an optimizer and a Wrapper"):
        wrap(thalweg.SGD, thalweg.AdamW)  # type: ignore[arg-type]


@thalweg.optimizer
class Decorated(Rule):
    """Steps down the gradient."""

    lr = Hyper(0.5)

    @staticmethod
    def step(g, lr):  # type: ignore[no-untyped-def]
        return lr * g


class Plain(Rule):
    """Steps down the gradient; no optimizer stands in its place."""

    lr = Hyper(0.5)

    @staticmethod
    def step(g, lr):  # type: ignore[no-untyped-def]
        return lr * g


KINDS = [
    Decorated, thalweg.LAMB, wrap(Decorated, Halved), wrap(thalweg.LAMB, Halved), thalweg.AdamW, optimizer(Plain),
    wrap(wrap(thalweg.AdamW, Cautious), Lookahead), wrap(wrap(thalweg.AdamW, Lookahead), Cautious),
    optimizer(like(thalweg.RMSprop.rule, "tf1")), wrap(like(thalweg.RMSprop.rule, "tf1"), Cautious),
    optimizer(like(wrapped(thalweg.RMSprop.rule, Cautious), "tf1")),
]  # fmt: skip


@pytest.mark.parametrize("by", [pickle, dill, cloudpickle])
@pytest.mark.parametrize("made", KINDS)
def test_classes_and_optimizers_through_pickle(made: type[Optimizer], by: Any) -> None:
    assert by.loads(by.dumps(made)) is made
    params = start()
    built = made(params, lr=0.25)
    train(built, params, 1)
    twin = by.loads(by.dumps(built))
    assert type(twin) is made
    assert twin.param_groups[0]["lr"] == 0.25
    train(twin, twin.param_groups[0]["params"], 2)
    train(built, params, 2)
    assert all(map(torch.equal, params, twin.param_groups[0]["params"]))


def test_another_process_finds_what_was_wrapped() -> None:
    made = wrap(like(thalweg.RMSprop.rule, "tf1"), Cautious)
    sent = dill.dumps(made(start()))
    found = forked.code(
        f"import dill\nmade = type(dill.loads({sent!r}))\nprint(made, made.rule.wrappers, made.rule.followed)"
    )
    assert found == f"{made} {made.rule.wrappers} tf1"
    assert repr(made) == "<class 'thalweg.rules.rmsprop.CautiousRMSprop'>"


def test_wrapped_optimizers_pickled_by_version_0_1_0() -> None:
    """They say how they are made again as a call."""
    made = _unpickled("thalweg.rules.rmsprop", "RMSprop", (Cautious,), "tf1")
    assert made is optimizer(like(wrapped(thalweg.RMSprop.rule, Cautious), "tf1"))
    assert _unpickled("thalweg.rules.adamw", "AdamW", (Cautious, Lookahead)) is wrap(
        wrap(thalweg.AdamW, Cautious), Lookahead
    )


def test_a_rule_that_nobody_can_find_again() -> None:
    class Local(Rule):
        lr = Hyper(0.5)

        @staticmethod
        def step(g, lr):  # type: ignore[no-untyped-def]
            return lr * g

    with pytest.raises(pickle.PicklingError, match=r"write the rule in a module"):
        pickle.dumps(optimizer(Local)(start()))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = thalweg.optim.making.nothing


NAMES = sorted(
    {
        name
        for each in (*CATALOGUE.values(), *WRAPPERS.values())
        for function in ("prepare", "after", "enter", "matrix")
        if function in each.formulas
        for name in each.formulas[function].returned
        if name not in each.declared
    }
)
"""What the shipped formulas call what they make on the way: coefficients, and matrices that are handed on."""
BETWEEN = [name for name in WRAPPERS if WRAPPERS[name] is not WeightAverage]  # which is around every optimizer


@pytest.fixture(scope="module")
def namesake(tmp_path_factory: pytest.TempPathFactory) -> type[Wrapper]:
    """A wrapper that leaves every step alone, and calls its own coefficients by every name that is used elsewhere."""
    made = ", ".join(f'"{name}": 7.0 + 0 * t' for name in NAMES)
    lines = [
        "from thalweg.formula import Wrapper, where",
        "class Namesake(Wrapper):",
        "    @staticmethod",
        "    def prepare(t):",
        f"        return {{{made}}}",
        "    @staticmethod",
        f"    def step(d, {', '.join(NAMES)}):",
        f"        return where({' + '.join(NAMES)} < {6.5 * len(NAMES)}, 0, d)",
    ]
    path = tmp_path_factory.mktemp("namesake") / "namesakes.py"
    path.write_text("\n".join(lines) + "\n")
    module = types.ModuleType("namesakes")
    exec(compile(path.read_text(), str(path), "exec"), vars(module))
    found: type[Wrapper] = module.Namesake
    return found


def matrix_steps(made: type[Optimizer]) -> torch.Tensor:
    weight = torch.nn.Parameter(torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4))
    built = made([weight])
    for seed in range(3):
        weight.grad = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        built.step()
    return weight.detach()


@pytest.mark.parametrize("name", CATALOGUE)
def test_coefficients_belong_to_their_layer(name: str, namesake: type[Wrapper]) -> None:
    """A wrapper's own numbers are none of its rule's, whatever it calls them."""
    assert {"c1", "back", "enlarged", "rate", "o"} <= {*NAMES}
    assert matrix_steps(wrap(OPTIMIZERS[name], namesake)).equal(matrix_steps(OPTIMIZERS[name]))


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("name", BETWEEN)
def test_coefficients_of_wrappers_are_their_own(name: str, inside: bool, namesake: type[Wrapper]) -> None:
    order = (namesake, WRAPPERS[name]) if inside else (WRAPPERS[name], namesake)
    alone = matrix_steps(wrap(thalweg.SGD, WRAPPERS[name]))
    assert matrix_steps(reduce(wrap, order, thalweg.SGD)).equal(alone)


@pytest.mark.parametrize("name", [name for name in BETWEEN if WRAPPERS[name] is not Lookahead])
def test_lookahead_around_each_wrapper(name: str) -> None:
    """Against Lookahead by hand: every third step, half the way back to where the last such step has ended."""
    kept = [torch.nn.Parameter(torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)) for _ in range(2)]
    inner = wrap(thalweg.Adam, WRAPPERS[name])
    ours, by_hand = wrap(inner, Lookahead)(kept[:1], lr=0.1, k=3, slow_step=0.5), inner(kept[1:], lr=0.1)
    slow = kept[1].detach().clone()
    for step in range(1, 8):
        for p in kept:
            p.grad = torch.randn(3, 4, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
        ours.step()
        by_hand.step()
        if step % 3 == 0:
            slow = slow + 0.5 * (kept[1].detach() - slow)
            with torch.no_grad():
                kept[1].copy_(slow)
        torch.testing.assert_close(kept[0], kept[1], rtol=1e-12, atol=1e-14)
