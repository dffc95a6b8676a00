"""What there is by row and by column: the language, the oracle by hand, the text, and where it is worked out."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import pytest
import torch

from formula_follower import follow
from thalweg.formula import (
    FormulaError,
    Hyper,
    Rule,
    Scalar,
    Shaped,
    State,
    Sum,
    Switch,
    Wrapper,
    like,
    mean,
    sqrt,
    torch_reader,
    wrapped,
)
from thalweg.formula.chain import NO_DECAY
from thalweg.formula.check import check
from thalweg.formula.compose import program, usual_switches
from thalweg.formula.geometry import matrices, summed
from thalweg.formula.lines import placed
from thalweg.formula.rule import shaped, text
from thalweg.formula.text import usual_story
from thalweg.formula.typeset import latex_of, mathml_of
from thalweg.rules import CATALOGUE
from thalweg.wrappers import Cautious, ClipUpdate

ADAFACTOR, CAME = CATALOGUE["adafactor"], CATALOGUE["came"]


class RowNormalised(Rule):
    """Divides each row of the gradient by its root mean square, a column by its norm's average."""

    lr = Hyper(0.1)
    of_row = Sum("row")
    of_column = Sum("column")
    seen = State("seen", shape="column", start=1.0)

    @staticmethod
    def sums(g):
        return {"of_row": g * g, "of_column": g * g}

    @staticmethod
    def after(of_row, of_column, seen, columns):
        return {"size": sqrt(of_row / columns), "seen": (seen + sqrt(of_column)) / 2}

    @staticmethod
    def step(g, size, seen, lr):
        return lr * g / (size * seen)


def test_a_step_by_hand() -> None:
    # Rows (3, 4) and (0, 2): root mean squares 5 / sqrt 2 and sqrt 2. Columns (3, 0) and (4, 2): norms 3 and sqrt 20,
    # so `seen` is (1 + 3) / 2 = 2 and (1 + sqrt 20) / 2.
    w, g = torch.ones(2, 2, dtype=torch.float64), torch.tensor([[3.0, 4.0], [0.0, 2.0]], dtype=torch.float64)
    values = torch_reader.values_of(RowNormalised)
    now = torch_reader.step(RowNormalised, torch_reader.begin(RowNormalised, w, values), g, values)
    half = (1 + 20**0.5) / 2
    torch.testing.assert_close(now.states["seen"], torch.tensor([[2.0, half]], dtype=torch.float64))
    moved = [[0.3 / (5 / 2**0.5 * 2), 0.4 / (5 / 2**0.5 * half)], [0.0, 0.2 / (2**0.5 * half)]]
    torch.testing.assert_close(w - now.weight, torch.tensor(moved, dtype=torch.float64))


@pytest.mark.parametrize("shape", [(), (3,)])
def test_a_vector_is_one_row(shape: tuple[int, ...]) -> None:
    w, g = torch.zeros(shape, dtype=torch.float64), torch.full(shape, 2.0, dtype=torch.float64)
    values = torch_reader.values_of(RowNormalised)
    now = torch_reader.step(RowNormalised, torch_reader.begin(RowNormalised, w, values), g, values)
    # The row's root mean square is 2, each column's norm 2, so seen is 1.5 and the step 0.1 / 1.5.
    assert now.weight.shape == shape
    torch.testing.assert_close(now.weight, torch.full(shape, -0.1 / 1.5, dtype=torch.float64))


def test_adafactors_first_step_in_figures() -> None:
    # r = (14 / 3, 77 / 3), c = (8.5, 14.5, 22.5); u = g / sqrt(r c / mean(r)); its root mean square is below 1, so
    # nothing is clipped. The rate is 1.
    g = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)
    expected = torch.tensor(
        [[0.6183469424, 0.9468641529, 1.1401754251], [1.0546560886, 1.0093605785, 0.9723448696]], dtype=torch.float64
    )
    for rule in (ADAFACTOR, like(ADAFACTOR, "paper")):
        values = torch_reader.values_of(rule, lr=1.0, relative_step=False, scale_parameter=False)
        now = torch_reader.step(rule, torch_reader.begin(rule, torch.zeros_like(g), values), g, values)
        torch.testing.assert_close(-now.weight, expected, rtol=0, atol=1e-10)
        assert float(now.weight.square().mean().sqrt()) == pytest.approx(0.9708645, abs=1e-7)
        torch.testing.assert_close(now.states["r"], torch.tensor([[14 / 3], [77 / 3]], dtype=torch.float64))


def test_cames_first_step_by_hand() -> None:
    # With beta2 = 0 the u of Adafactor; m = 0.1 u; off = 0.9 u, whose rows and columns of squares have means R and C
    # (beta3 = 0); the step is lr m / sqrt(R C / mean(R)).
    g = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)
    values = torch_reader.values_of(CAME, lr=1.0, beta2=0.0, beta3=0.0)
    now = torch_reader.step(CAME, torch_reader.begin(CAME, torch.zeros_like(g), values), g, values)
    u = np.array([[0.6183469424, 0.9468641529, 1.1401754251], [1.0546560886, 1.0093605785, 0.9723448696]])
    off = (0.9 * u) ** 2
    rows, columns = off.mean(1, keepdims=True), off.mean(0, keepdims=True)
    expected = 0.1 * u / np.sqrt(rows * columns / rows.mean())
    np.testing.assert_allclose(-now.weight.numpy(), expected, rtol=1e-9)


# -- what is refused


def rule_of(body: Callable[[], type[Rule]]) -> Callable[[], None]:
    def made() -> None:
        check(body())

    return made


def meeting() -> type[Rule]:
    class Meeting(Rule):
        """Has a row and a column meet where neither is known of a weight."""

        lr = Hyper(0.1)
        a = Sum("row")
        b = Sum("column")

        @staticmethod
        def sums(g):
            return {"a": g * g, "b": g * g}

        @staticmethod
        def after(a, b):
            return {"v": a * b}

        @staticmethod
        def step(g, v, lr):
            return lr * g / sqrt(v)

    return Meeting


def kept_otherwise() -> type[Rule]:
    class KeptOtherwise(Rule):
        """Keeps by column what it has by row."""

        lr = Hyper(0.1)
        a = Sum("row")
        r = State("r", shape="column")

        @staticmethod
        def sums(g):
            return {"a": g * g}

        @staticmethod
        def after(a):
            return {"r": a}

        @staticmethod
        def step(g, r, lr):
            return lr * g / sqrt(r)

    return KeptOtherwise


def one_number() -> type[Rule]:
    class OneNumber(Rule):
        """Keeps one number, and has one a row."""

        lr = Hyper(0.1)
        a = Sum("row")
        s = Scalar(0.0, "tensor")

        @staticmethod
        def sums(g):
            return {"a": g * g}

        @staticmethod
        def after(a, s):
            return {"s": s + a}

        @staticmethod
        def step(g, s, lr):
            return lr * g / sqrt(s)

    return OneNumber


def returned_by_step() -> type[Rule]:
    class ReturnedByStep(Rule):
        """Has the step return what is kept by row."""

        lr = Hyper(0.1)
        r = State("r", shape="row")

        @staticmethod
        def step(g, r, lr):
            r = r + g
            return lr * g, r

    return ReturnedByStep


def mean_over_weights() -> type[Rule]:
    class MeanOverWeights(Rule):
        """Takes a mean in the step."""

        lr = Hyper(0.1)

        @staticmethod
        def step(g, lr):
            return lr * (g - mean(g))

    return MeanOverWeights


def mean_of_one() -> type[Rule]:
    class MeanOfOne(Rule):
        """Takes a mean of one number."""

        lr = Hyper(0.1)
        a = Sum("tensor")

        @staticmethod
        def sums(g):
            return {"a": g * g}

        @staticmethod
        def after(a):
            return {"v": mean(a)}

        @staticmethod
        def step(g, v, lr):
            return lr * g / sqrt(v)

    return MeanOfOne


def taken_name() -> type[Rule]:
    class TakenName(Rule):
        """Calls a number as the parameter's own."""

        lr = Hyper(0.1)
        rows = Hyper(1.0)

        @staticmethod
        def step(g, lr, rows):
            return lr * rows * g

    return TakenName


def set_by_shape() -> type[Rule]:
    class SetByShape(Rule):
        """Has a convention set what the shape decides."""

        conventions: ClassVar = {"other": {"matrix": False}}
        lr = Hyper(0.1)
        matrix = Shaped(least=2)

        @staticmethod
        def step(g, lr, matrix):
            return lr * g if matrix else g

    return SetByShape


REFUSED = {
    meeting: "made of a value by row and one by column, so it is a number per weight",
    kept_otherwise: "r is kept by column, and its next value is by row",
    one_number: "s is one number, and its next value is by row",
    returned_by_step: "r is kept by row; after returns its next value",
    mean_over_weights: "mean is over the rows or columns of a matrix",
    mean_of_one: "mean is over one matrix, of a value by row or by column; this is one by number",
    taken_name: "a formula asks by this name for a number of the parameter itself",
    set_by_shape: "'matrix' is neither a hyperparameter nor a switch nor a choice nor decay",
}


@pytest.mark.parametrize("body", REFUSED, ids=lambda body: body.__name__)
def test_refused(body: Callable[[], type[Rule]]) -> None:
    with pytest.raises(FormulaError, match=REFUSED[body]):
        rule_of(body)()


# -- layers of a rule's own


class Halved(Wrapper):
    """Halves the step."""

    share_of_it = Hyper(0.5)
    other_way = Switch(False)

    @staticmethod
    def step(d, share_of_it, other_way):
        return -share_of_it * d if other_way else share_of_it * d


class Layered(Rule):
    """A step of lr, halved."""

    around = (Halved,)
    lr = Hyper(1.0)
    share_of_it = Hyper(0.25)

    @staticmethod
    def step(g, lr):
        return lr * g


def test_layers_of_its_own_are_the_rules() -> None:
    w, g = torch.zeros(1), torch.ones(1)
    values = torch_reader.values_of(Layered)
    assert (values["share_of_it"], values["other_way"]) == (0.25, False)
    now = torch_reader.step(Layered, torch_reader.begin(Layered, w, values), g, values)
    assert now.weight.item() == -0.25
    assert "class Halved(Wrapper)" in text(Layered)
    # What is wrapped around it later comes after its own.
    clipped = wrapped(Layered, ClipUpdate)
    values = torch_reader.values_of(clipped, clip_threshold=0.1)
    assert torch_reader.step(clipped, torch_reader.begin(clipped, w, values), g, values).weight.item() == pytest.approx(
        -0.1
    )
    assert "class ClipUpdate(Wrapper)" in text(clipped)


def test_layers_of_its_own_that_clash_are_refused() -> None:
    class Again(Wrapper):
        """Another."""

        share_of_it = Hyper(2.0)

        @staticmethod
        def step(d, share_of_it):
            return share_of_it * d

    with pytest.raises(FormulaError, match="Halved and Again both declare 'share_of_it'"):

        class Twice(Rule):
            """Both."""

            around = (Halved, Again)
            lr = Hyper(1.0)

            @staticmethod
            def step(g, lr):
                return lr * g


# -- where it is worked out


def test_a_total_that_waits_for_nothing_is_taken_in_the_first_pass() -> None:
    traced = placed(ADAFACTOR, program(ADAFACTOR, {**NO_DECAY, **usual_switches(ADAFACTOR)}))
    totals = [[*stage.weights.totals] for stage in traced.sums]
    assert totals == [["by_row", "by_column", "in_update", "of_w", "in_w"], ["of_update"], []]
    assert traced.sums[1].weights.operands == ("g", "column 1", "row 1")
    written = {name for walk in traced.last for name in walk.writes}
    assert written == {"r", "c"}
    before = [*traced.sums, traced.update]
    assert not written & {name for stage in before for walk in stage.lines for name in walk.writes}


def test_a_division_by_lines_is_a_product_for_the_weights() -> None:
    rule = like(ADAFACTOR, "transformers")
    traced = placed(rule, program(rule, {**NO_DECAY, **usual_switches(rule)}))
    (value,) = traced.update.weights.writes.values()

    def operations(e: object) -> set[str]:
        arguments = getattr(e, "arguments", ())
        return {getattr(e, "op", "")} | {op for a in arguments for op in operations(a)}

    assert "/" not in operations(value)
    assert "sqrt" not in operations(value)


def test_a_vector_has_no_lines() -> None:
    flat = {**NO_DECAY, **usual_switches(ADAFACTOR), **shaped(ADAFACTOR, torch.zeros(3))}
    assert not program(ADAFACTOR, flat).by_lines
    assert program(RowNormalised, {**NO_DECAY}).by_lines


# -- the text


@pytest.mark.parametrize("rule", [RowNormalised, ADAFACTOR, like(ADAFACTOR, "transformers"), CAME], ids=str)
@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4)])
def test_following_the_text_is_taking_the_step(rule: type[Rule], shape: tuple[int, ...]) -> None:
    told = usual_story(rule, decay="none" if rule is CAME else None)
    seeded = torch.Generator().manual_seed(3)
    values = torch_reader.values_of(rule)
    now = torch_reader.begin(rule, torch.randn(shape, generator=seeded, dtype=torch.float64), values)
    memory = {"w": now.weight.numpy(), **{name: state.numpy() for name, state in now.states.items()}}
    lines = {name for name, state in rule.declared.items() if isinstance(state, State) and state.shape != "weight"}
    own = {"rows": float(shape[-2]), "columns": float(shape[-1]), "precision": torch.finfo(torch.float64).eps}
    for t in (1, 2, 3):
        g = torch.randn(shape, generator=seeded, dtype=torch.float64)
        numbers = {name: v for name, v in {**values, **own, "t": t}.items() if name in told.numbers}
        memory, after = follow(told, {**memory, "g": g.numpy()}, {**numbers, **{n: memory[n] for n in lines}})
        memory |= {name: after[name] for name in lines}
        now = torch_reader.step(rule, now, g, values)
        for name, tensor in {"w": now.weight, **now.states}.items():
            np.testing.assert_allclose(memory[name], tensor.numpy(), rtol=1e-12, atol=1e-15, err_msg=f"{name} at {t}")


def test_a_sum_over_a_row_has_the_columns_index() -> None:
    told = usual_story(ADAFACTOR)
    assert r"\sum_j \mathrm{squares} \quad \text{(of each row)}" in latex_of(told)
    assert r"\sum_i \mathrm{squares} \quad \text{(of each column)}" in latex_of(told)
    assert "<munder><mo>∑</mo><mi>j</mi></munder>" in mathml_of(told)


# -- arrays


def test_sums_and_means_of_arrays() -> None:
    x = np.arange(6.0).reshape(1, 2, 3)
    assert summed(x, "row").tolist() == [[[3.0], [12.0]]]
    assert summed(x, "column").tolist() == [[[3.0, 5.0, 7.0]]]
    assert summed(x, "tensor") == 15.0
    assert mean(summed(x, "row")).tolist() == [[[7.5]]]
    assert matrices(torch.zeros(4)).shape == (1, 4)
    assert matrices(torch.zeros(())).shape == (1, 1)


def test_shapes_decide() -> None:
    assert [Shaped(least=2).holds(n) for n in range(4)] == [False, False, True, True]
    assert [Shaped(most=1).holds(n) for n in range(4)] == [True, True, False, False]
    check(wrapped(ADAFACTOR, Cautious))
