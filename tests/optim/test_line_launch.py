"""Rules that keep something by row or column, through the optimizer: kernels against the oracle, and what lasts."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import thalweg
from thalweg.formula import Hyper, Rule, Scalar, State, Sum, Wrapper, maximum, mean, sqrt, where
from thalweg.formula.geometry import geometry
from thalweg.formula.line_code import BLOCK
from thalweg.optim.layout import LONGEST, line_layout
from thalweg.optim.line_launch import LineLaunch
from thalweg.testing import oracle
from thalweg.testing.agreement import Agreement
from thalweg.testing.cases import gradients, run, weights
from thalweg.testing.judging import close, same_bits
from thalweg.testing.subject import Subject
from thalweg.testing.suite import threads
from thalweg.wrappers import Cautious

# One row, one column; more columns than are gone through at a time; rows in several tiles; stacks of small matrices, of
# which several are in a tile, and of large ones; and vectors beside them.
SHAPES = (
    (1, 40), (40, 1), (3, BLOCK + 5), (700, 33), (257, 200), (9, 4, 3), (2, 130, 65), (4, 3, 3, 3), (17,), (),
    (0, 4), (5, 0),
)  # fmt: skip


class Everything(Rule):
    """What a formula may do with rows and columns: in sums too, of scalars, numbers and totals of all kinds.

    Source:  nowhere.
    """

    lr = Hyper(0.01)
    decline = Hyper(0.9, below=1.0)
    in_row = Sum("row")
    in_column = Sum("column")
    over_all = Sum("all")
    own = Sum("tensor")
    kept = Scalar(1.0, "tensor")
    r = State("of_rows", shape="row", start=1.0)
    c = State("of_columns", shape="column")
    m = State("average")

    @staticmethod
    def prepare(t, decline, rows, columns):
        return {"late": 1 - decline**t, "wide": columns / (rows + columns)}

    @staticmethod
    def sums(w, g, r, m, decline):
        m = decline * m + (1 - decline) * g
        return {"in_row": m * m / r, "in_column": g, "over_all": w * w * r, "own": 1}

    @staticmethod
    def after(in_row, in_column, over_all, own, kept, r, c, columns, rows, decline, late):
        r = decline * r + (1 - decline) * (1 + in_row / columns)
        c = decline * c + (1 - decline) * in_column / rows
        level = mean(r) + mean(c * c)
        return {
            "r": r,
            "c": c,
            "level": level,
            "tall": where(in_row > 1, 2, 1),
            "of_all": over_all / (over_all + maximum(own, 1)),
            "kept": decline * kept + (1 - decline) * late,
        }

    @staticmethod
    def step(w, g, m, r, c, lr, decline, level, tall, of_all, kept, wide):
        m = decline * m + (1 - decline) * g
        d = lr * tall * m / (sqrt(r / level) * (1 + abs(c)))
        return d + lr * of_all * kept * wide * w * r, m


class Totals(Rule):
    """Hands on its totals as they are.

    Source:  nowhere.
    """

    lr = Hyper(0.01)
    of_row = Sum("row")
    of_column = Sum("column")

    @staticmethod
    def sums(g):
        return {"of_row": g * g, "of_column": abs(g)}

    @staticmethod
    def after(of_row, of_column):
        return {"along": of_row, "across": of_column}

    @staticmethod
    def step(g, along, across, lr):
        return lr * g / (1 + sqrt(along)) + lr * 1e-3 * across


class ByRow(Rule):
    """Keeps the mean square of each row, and waits for nothing else.

    Source:  nowhere.
    """

    lr = Hyper(0.01)
    beta = Hyper(0.9, below=1.0)
    of_row = Sum("row")
    v = State("of_rows", shape="row")
    m = State("average")

    @staticmethod
    def sums(g):
        return {"of_row": g * g}

    @staticmethod
    def after(of_row, v, columns, beta, t):
        v = beta * v + (1 - beta) * of_row / columns
        return {"v": v, "size": sqrt(v / (1 - beta**t)) + 1e-8}

    @staticmethod
    def step(g, m, size, beta, lr):
        m = beta * m + (1 - beta) * g
        return lr * m / size, m


class Squares(Rule):
    """Takes off each weight the sum of its row's squares.

    Source:  nowhere.
    """

    lr = Hyper(1.0)
    of_row = Sum("row")

    @staticmethod
    def sums(g):
        return {"of_row": g * g}

    @staticmethod
    def after(of_row):
        return {"taken": of_row}

    @staticmethod
    def step(taken, lr):
        return lr * taken


class AllSquares(Squares):
    """Takes off each weight the sum of all squares of the parameter.

    Source:  nowhere.
    """

    own = Sum("tensor")

    @staticmethod
    def sums(g):
        return {"of_row": g * g, "own": g * g}

    @staticmethod
    def after(of_row, own):
        return {"taken": own + 0 * of_row}


class RowClip(Wrapper):
    """Shortens the step of each row to a root mean square.

    Source:  nowhere.
    """

    most = Hyper(0.5)
    of_row = Sum("row")

    @staticmethod
    def sums(d):
        return {"of_row": d * d}

    @staticmethod
    def after(of_row, columns, most):
        return {"too_long": maximum(1, sqrt(of_row / columns) / most)}

    @staticmethod
    def step(d, too_long):
        return d / too_long


MADE = {
    "everything": thalweg.optimizer(Everything),
    "totals": thalweg.optimizer(Totals),
    "adafactor": thalweg.Adafactor,
    "came": thalweg.CAME,
    "by row": thalweg.optimizer(ByRow),
}


@pytest.mark.parametrize("name", MADE)
def test_kernels_take_the_oracles_step(name: str) -> None:
    subject = Subject(MADE[name], {"lr": 0.02})
    rows = gradients(6, SHAPES, spikes=True)
    for dtype, near in ((torch.float64, 1e-12), (torch.float32, 2e-5)):
        params = weights(dtype, SHAPES)
        made = subject(params)
        run(made, rows)
        served = [kind for kind in made._stepper.plan.launches if isinstance(kind, LineLaunch)]
        assert sum(len(launch.members.params) for launch in served) >= sum(len(s) > 1 for s in SHAPES)
        truth = oracle.trained(subject.rule, weights(torch.float64, SHAPES), rows, subject.values(precision=dtype))
        close(params, oracle.weights_of(truth), near, f"{name} in {dtype}")
        for p, each in zip(params, truth, strict=True):
            for state, tensor in each.states.items():
                key = subject.rule.declared[state].key  # type: ignore[union-attr]
                assert made.state[p][key].shape == tensor.shape
                close([made.state[p][key]], [tensor], 50 * near, f"the state {key} of {name}", unit=1e-6)


@pytest.mark.parametrize("name", MADE)
def test_other_memory_takes_the_same_step(name: str) -> None:
    shapes = ((33, 20), (3, 5, 7), (2, 3, 4, 4))
    plain = weights(torch.float32, shapes)
    turned = [torch.nn.Parameter(p.detach().transpose(-1, -2).contiguous().transpose(-1, -2)) for p in plain]
    kernel, other = MADE[name](plain, lr=0.02), MADE[name](turned, lr=0.02)
    for row in gradients(5, shapes):
        for p, q, g in zip(plain, turned, row, strict=True):
            p.grad, q.grad = g.clone(), g.clone()
        kernel.step()
        other.step()
    assert not any(isinstance(launch, LineLaunch) for launch in other._stepper.plan.launches)
    assert "its rows do not lie one after the other in memory" in str(other.explain())
    close(turned, plain, 1e-6, f"{name} by torch's operations")


@pytest.mark.parametrize("name", MADE)
def test_threads_change_no_bit(name: str) -> None:
    shapes = ((900, 310), (40, 30, 50), (6, 9000), (70,))
    found = {}
    for count in (1, 2, 3):
        params = weights(torch.float32, shapes)
        with threads(count):
            run(MADE[name](params, lr=0.02, clip_norm=1.0), gradients(2, shapes))
        found[count] = params
    for count in (2, 3):
        same_bits(found[count], found[1], f"with {count} threads {name} moves the weights elsewhere")


@pytest.mark.parametrize("rule", [Squares, AllSquares])
def test_totals_are_added_in_one_order(rule: type[Rule]) -> None:
    """In float64, where the order shows: by 16 lanes, a block of columns after the other; of a row, or of all rows."""
    g = torch.randn((3, 2 * BLOCK + 70), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    p = torch.nn.Parameter(torch.zeros_like(g))
    run(thalweg.optimizer(rule)([p]), [[g]])

    def lanes(so_far: NDArray[np.float64], row: NDArray[np.float64]) -> NDArray[np.float64]:
        for vector in np.pad(row, (0, -len(row) % 16)).reshape(-1, 16):
            so_far = so_far + vector
        return so_far

    def total(of: NDArray[np.float64]) -> float:
        while len(of) > 1:
            of = of[: len(of) // 2] + of[len(of) // 2 :]
        return float(of[0])

    blocks = np.split(g.numpy() ** 2, [BLOCK, 2 * BLOCK], axis=1)
    if rule is Squares:
        expected = [sum(total(lanes(np.zeros(16), block[row])) for block in blocks) for row in range(3)]
    else:
        every = np.zeros(16)
        for block in blocks:
            for row in block:
                every = lanes(every, row)
        expected = [total(every)] * 3
    assert (-p.detach()).numpy().tolist() == [[each] * g.shape[1] for each in expected]
    # Another order is another number, or this would show nothing.
    assert expected != [float((g[row] if rule is Squares else g).square().sum()) for row in range(3)]


def test_half_precision_is_computed_in_float32() -> None:
    """As the weights and gradients were in float32, rounded once; a bfloat16 has 8 bits."""
    shapes = ((70, 41), (3, 5, 7))
    for name, more in (("adafactor", {"eps": (1e-3, 1e-3)}), ("came", {})):
        params, wide = weights(torch.bfloat16, shapes), weights(torch.float32, shapes)
        made, other = MADE[name](params, lr=0.02, **more), MADE[name](wide, lr=0.02, **more)
        row = [g.bfloat16().float() for g in gradients(1, shapes)[0]]
        for each in (made, other):
            run(each, [row])
        for p, q in zip(params, wide, strict=True):
            assert torch.equal(p, q.bfloat16())
            key = "row_var" if name == "adafactor" else "exp_avg_sq_row"
            assert made.state[p][key].dtype == torch.float32
            torch.testing.assert_close(made.state[p][key], other.state[q][key], rtol=1e-6, atol=0)


def test_an_absent_gradient_leaves_everything_as_it_was() -> None:
    shapes = ((40, 30), (300, 200), (5,))
    for made_by in MADE.values():
        params = weights(torch.float32, shapes)
        made = made_by(params, lr=0.02)
        run(made, gradients(2, shapes))
        before = copy.deepcopy([(p.detach(), made.state[p]) for p in params])
        run(made, [[gradients(3, shapes)[2][0], None, None]])
        for p, (weight, state) in list(zip(params, before, strict=True))[1:]:
            same_bits([p, *_tensors(made.state[p])], [weight, *_tensors(state)], "without a gradient it has moved")
        assert not torch.equal(params[0], before[0][0])
        assert float(made.state[params[0]]["step"]) == 3
        assert float(made.state[params[1]]["step"]) == 2


def test_a_step_of_small_matrices_is_one_call_of_machine_code() -> None:
    made = thalweg.Adafactor(weights(torch.float32, ((30, 20), (20,))), clip_norm=1.0)
    run(made, gradients(2, ((30, 20), (20,))))
    plan: Any = made._stepper.plan
    assert plan.direct
    assert all(steps.locked for steps in plan._steps.values())


def test_around_it_and_beside_it() -> None:
    """With a wrapper, decay, a clip by norm and an average: the oracle's weights, and its average."""
    shapes = ((33, 20), (2, 5, 7), (9,))
    made_by = thalweg.wrap(thalweg.CAME, Cautious)
    rows = gradients(5, shapes)
    params = weights(torch.float64, shapes)
    made = made_by(params, lr=0.02, weight_decay=0.1, ema=0.9)
    run(made, rows)
    rule = made.whole
    subject = Subject(made_by, {"lr": 0.02, "weight_decay": 0.1})
    truth = oracle.trained(
        rule, weights(torch.float64, shapes), rows, {**subject.values(), "ema": 0.9, "ema_warmup": True}
    )
    close(params, oracle.weights_of(truth), 1e-12, "Cautious CAME")
    close([made.state[p]["ema"] for p in params], [now.states["average"] for now in truth], 1e-12, "its average")


def test_a_wrapper_may_look_at_rows() -> None:
    """Around a rule that has none: every row of AdamW's step, by hand, is shortened where it is too long."""
    (p,), (q,) = weights(torch.float64, ((50, 30),)), weights(torch.float64, ((50, 30),))
    made = thalweg.wrap(thalweg.AdamW, RowClip)([p], lr=0.1, most=0.08, weight_decay=0.0)
    plain = torch.optim.AdamW([q], lr=0.1, weight_decay=0.0)
    shortened = 0
    for row in gradients(4, ((50, 30),)):
        before, other = p.detach().clone(), q.detach().clone()
        for each in (made, plain):
            run(each, [row])
        step = other - q.detach()
        sizes = step.square().mean(1, keepdim=True).sqrt() / 0.08
        torch.testing.assert_close(before - p.detach(), step / sizes.clamp_min(1), rtol=1e-9, atol=1e-12)
        shortened += int((sizes > 1).sum())
    assert 0 < shortened < 4 * 50


def test_norms_are_those_of_the_step() -> None:
    params = weights(torch.float64, ((60, 35), (7,)))
    made = thalweg.Adafactor(params, lr=0.1, weight_decay=0.1)
    watched = made.watch(every=1)
    for row in gradients(3, ((60, 35), (7,))):
        before = [p.detach().clone() for p in params]
        run(made, [row])
        norms = watched.read("tensor")
        for (_, found), p, old, g in zip(norms.items(), params, before, row, strict=True):
            assert found.gradient == pytest.approx(float(g.double().norm()), rel=1e-12)
            assert found.step == pytest.approx(float((p.detach() - old).norm()), rel=1e-9)


def test_torchs_words() -> None:
    """None is the element type's own epsilon; d is the clip's threshold, also in a checkpoint."""
    (p,) = weights(torch.float32, ((4, 3),))
    made = thalweg.Adafactor([p], d=0.5)
    assert (made.param_groups[0]["clip_threshold"], made.param_groups[0]["eps"]) == (0.5, (None, 1e-3))
    saved = made.state_dict()["param_groups"][0]
    assert (saved["d"], saved["clip_threshold"]) == (0.5, 0.5)
    with pytest.raises(TypeError, match=r"clip_threshold=2.0 and d=0.5: give one of them"):
        thalweg.Adafactor([p], d=0.5, clip_threshold=2.0)
    with pytest.raises(TypeError, match="lr must be a number, got None"):
        thalweg.Adafactor([p], lr=None)
    theirs = torch.optim.Adafactor([p], d=2.5, eps=(1e-3, 1e-2))
    made.load_state_dict(theirs.state_dict())
    assert (made.param_groups[0]["clip_threshold"], made.param_groups[0]["eps"]) == (2.5, (1e-3, 1e-2))
    assert "d" not in made.param_groups[0]


def test_the_parameters_shape_decides_what_is_kept() -> None:
    params = weights(torch.float32, ((4, 3), (5, 2, 3), (7,), ()))
    made = thalweg.Adafactor(params)
    run(made, gradients(1, ((4, 3), (5, 2, 3), (7,), ())))
    kept = [{key: tuple(t.shape) for key, t in made.state[p].items() if key != "step"} for p in params]
    assert kept == [
        {"row_var": (4, 1), "col_var": (1, 3)}, {"row_var": (5, 2, 1), "col_var": (5, 1, 3)},
        {"variance": (7,)}, {"variance": ()},
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(3000, 700), (2, 1100, 300), (3, LONGEST), (50_000, 9, 3)])
def test_every_row_is_in_one_tile(shape: tuple[int, ...]) -> None:
    of = geometry(shape)
    found = line_layout([of])
    rows: list[int] = []
    for _, matrix, many, row, count, all_rows, columns in found.tiles.tolist():
        assert (all_rows, columns) == (of.rows, of.columns)
        assert many == 1 or count == all_rows
        rows += [i * all_rows + row + k for i in range(matrix, matrix + many) for k in range(count)]
    assert rows == list(range(of.count * of.rows))
    assert [tile for first, last in found.claims.tolist() for tile in range(first, last)] == [*range(len(found.tiles))]
    matrices = [i for _, first, many, *_ in found.groups.tolist() for i in range(first, first + many)]
    assert matrices == list(range(of.count))
    # Totals by column weigh little beside the weights that they are of.
    assert found.parts <= of.count * of.rows * of.columns / 8


def _tensors(state: dict[str, Any]) -> Sequence[torch.Tensor]:
    return [value for value in state.values() if isinstance(value, torch.Tensor)]


class TestEverything(Agreement):
    """Element types, sizes, layouts and gradients that are missing."""

    optimizer = MADE["everything"]
    settings = ({"lr": 0.05},)
