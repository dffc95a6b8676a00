"""Every rule's first moves, to eight digits, from numbers that this project did not compute.

One float64 weight that starts at 0 sees the gradients below. The numbers of the rules that torch has are
torch 2.13.0's (its conventions: first momentum buffer whole, eps outside the root); the first moves of those that it
has not are worked by hand beside them, and the rest are their authors' packages', or the formulas of by_hand.py.
"""

import itertools
from typing import Any

import pytest
import torch

from thalweg.formula import Rule, like, torch_reader, wrapped
from thalweg.formula.check import check
from thalweg.formula.rule import hypers, of_matrices
from thalweg.optim import OPTIMIZERS, Optimizer
from thalweg.rules import CATALOGUE
from thalweg.wrappers import WRAPPERS

GRADIENTS = (1.0, 1.0, -0.5, 0.25, 1.0, 2.0, -1.0, 0.5)

# rule, arguments, the first four moves (six decimals), the weight after eight steps (eight decimals)
GOLDEN: list[tuple[str, dict[str, Any], tuple[float, ...], float]] = [
    ("sgd", {}, (-1.0, -1.0, 0.5, -0.25), -4.25),
    ("sgd", {"momentum": 0.9}, (-1.0, -1.9, -1.21, -1.339), -17.05233890),
    ("sgd", {"momentum": 0.9, "dampening": 0.9}, (-1.0, -1.0, -0.85, -0.79), -6.83102900),
    ("sgd", {"momentum": 0.9, "nesterov": True}, (-1.9, -2.71, -0.589, -1.4551), -19.59710501),
    ("nag", {}, (-1.9, -2.71, -0.589, -1.4551), -19.59710501),
    # v = .9 v + .1 g: .1, .19, .121, .1339, .22051, .398459, .2586131, .28275179; the moves are -v.
    ("momentum", {}, (-0.1, -0.19, -0.121, -0.1339), -1.70523389),
    ("momentum", {"heavy_ball": True}, (-1.0, -1.9, -1.21, -1.339), -17.05233890),
    ("rprop", {}, (-1.0, -1.2, 0.0, -0.6), -4.81600000),
    ("adagrad", {}, (-1.0, -0.707107, 0.333333, -0.164399), -2.65124250),
    ("adagrad", {"initial_accumulator_value": 0.1}, (-0.953463, -0.690066, 0.326164, -0.160956), -2.57935227),
    ("adadelta", {}, (-0.003162, -0.003244, 0.001941, -0.001036), -0.01246290),
    ("rmsprop", {}, (-9.999999, -7.088812, 3.355704, -1.662828), -26.63302368),
    ("rmsprop", {"alpha": 0.9}, (-3.162278, -2.294157, 1.129385, -0.584965), -8.77201317),
    ("rmsprop", {"momentum": 0.9}, (-9.999999, -16.088811, -11.124225, -11.674631), -119.39852755),
    ("adam", {}, (-1.0, -1.0, -0.515653, -0.512277), -5.39399064),
    ("adamax", {}, (-1.0, -1.0, -0.446941, -0.390137), -4.29757895),
    ("nadam", {}, (-1.056452, -0.783684, 0.283712, -0.269394), -3.79388423),
    # Decoupled, so that the first step from 0 is Adam's; afterwards the weight also shrinks by 1% a step.
    ("adamw", {"weight_decay": 0.0}, (-1.0, -1.0, -0.515653, -0.512277), -5.39399064),
    ("adamw", {}, (-1.0, -0.99, -0.495753, -0.48742), -5.18255802),
    # From w = 0 the local rate is 1: b = 1. Then w = -1, local = .001 * 1 / (1 + .0001) = .0009999, and
    # b = .9 + .0009999 (1 - .0001) = .9009998; the moves are -b.
    ("lars", {}, (-1.0, -0.901, -0.808999, -0.730803), -5.72193938),
    ("amsgrad", {"betas": (0.9, 0.5)}, (-1.0, -1.0, -0.482269, -0.435315), -4.73289816),
    # The averages are momentum's above, all of them above 0.
    ("signum", {}, (-1.0, -1.0, -1.0, -1.0), -8.00000000),
    # From w = 0 the ratio is 1: .5 of Adam's move, 1 / (1 + 1e-6). Then each move is half the weight: -.25, -.375, ...
    ("lamb", {"lr": 0.5}, (-0.5, -0.25, -0.375, -0.562499), -8.54296021),
    ("lamb", {"weight_decay": 0.0}, (-0.999999, -0.999999, -0.515653, -0.512276), -5.39398504),
    # Below the threshold for five steps: the corrected average alone, .1/.1, .19/.19, .121/.271, .1339/.3439.
    ("radam", {}, (-1.0, -1.0, -0.446494, -0.389357), -3.42767721),
    # m is momentum's above; Adam's rates, 10, 5.26, 4.26, ... are held below 1 + 1 / (.999 t): 2.001 * .1,
    # 1.5005 * .19, 1.33367 * .121.
    ("adabound", {"final_lr": 1.0, "gamma": 0.999}, (-0.2001, -0.285095, -0.161374, -0.167409), -2.15729482),
    # Likewise, below .5 (1 + 4 / t): 2.5 * .1, 1.5 * .19, 1.16667 * .121, 1 * .1339.
    (
        "amsbound",
        {"betas": (0.9, 0.5), "final_lr": 0.5, "gamma": 0.25},
        (-0.25, -0.285, -0.141167, -0.1339),
        -1.75583468,
    ),
    # g / sqrt(v corrected): 1, 1, -.5 / sqrt(.749750) = -.577446, so m = .171 - .057745 = .113255, corrected by
    # 1 - .9^3: .417916.
    ("laprop", {}, (-1.0, -1.0, -0.417916, -0.392039), -5.28757643),
    ("adabelief", {}, (-1.0, -1.0, -0.446494, -0.389357), -3.43601508),
    # m = .1, so s = .001 * .9^2, corrected .81: 1 / .9.
    ("adabelief", {"rectify": False}, (-1.111111, -1.168005, -0.568377, -0.570385), -6.16444882),
    # Third: the change is -1.5, its average corrected -.12 / .221312 = -.542221, m corrected .028808 / .058808 =
    # .489865, n corrected (.99 * .0199 + .01 * 1.88^2) / .029701 = 1.853305: (.92 * .542221 - .489865) / 1.361362.
    ("adan", {}, (-1.0, -1.0, 0.006595, -0.208696), -3.54071850),
    # c = .9 m + .1 g, m = .99 m + .01 g: m is 0, .01, .0199, .014701, ...; c is .1, .109, -.03209, .0382309, then +, +,
    # -.0621..., +, so the moves are -1 -1 +1 -1 and -1 -1 +1 -1.
    ("lion", {}, (-1.0, -1.0, 1.0, -1.0), -4.0),
    # g^2 / v is 1, then 1: lr is not shortened. Adam's first move with eps 1e-6, then the weight's hundredth less.
    ("stableadamw", {}, (-0.999999, -0.989999, -0.496534, -0.489208), -4.74575602),
    # d = .1: m = .01, v = 1e-5, so .1 * .01 / .00316228 = .316228. Then m = .019, v = 1.999e-5, and still
    # .1 * .019 / .00447102 = .424959: the larger d, .1 * .316228 / (.1 * .9995 + .1), counts from the third on.
    ("prodigy", {"d0": 0.1}, (-0.316228, -0.424959, -0.283898, -0.367016), -6.88168152),
    # z = -1, -2, -1.5, -1.75; x is its mean so far, -1, -1.5, -1.5, -1.5625; y = .9 x + .1 z.
    ("schedulefreesgd", {}, (-1.0, -0.55, 0.05, -0.08125), -2.87187500),
    # z = -1, -2, then -2 + .5 / sqrt(.74975) = -1.42256; x = -1, -1.5, -1.47419; y = .9 x + .1 z = -1.46902.
    ("schedulefreeadamw", {}, (-1.0, -0.55, 0.080979, -0.095284), -2.93046461),
    # Adam's m and five times the slow average, 1e-4, then 1.9999e-4: 1 + .0005, 1 + .001.
    ("ademamix", {}, (-1.0005, -1.001, -0.516519, -0.513428), -5.40511857),
    # v = 1 from the first gradient, without a move. Then 1 / 1: m = .1; -.5 / 1: m = .09 - .05;
    # .25 / sqrt(.999925): m = .036 + .025001.
    ("adopt", {}, (0.0, -0.1, -0.04, -0.061001), -0.99898267),
    # c = 1, then 1, then -.5 + .475 * -1.5 = -1.2125, limited to -1: m = .95 * .0975 - .05 = .042625, corrected by
    # 1 - .95^3 = .142625: .298861; v corrected is 1.
    ("mars", {}, (-1.0, -1.0, -0.298861, -0.416614), -4.73263513),
    # Adam's moves, 1 / (1 + 1e-6) of them, turned where they do not go down the gradient: the third, .515653 up.
    ("grams", {}, (-0.999999, -0.999999, 0.515653, -0.512276), -3.45326158),
    # v = 1, then 1: the rate is a thousandth of 1 / sqrt(t), as the weight is small. Then v = 1 - .75 / 3^.8.
    ("adafactor", {}, (-0.001, -0.000707, 0.000594, -0.0002), -0.00210230),
    (
        "adafactor",
        {"like": "transformers", "relative_step": False, "scale_parameter": False},
        (-1.0, -1.0, 0.602555, -0.360079),
        -3.36317865,
    ),
    # v = .001: the update, 31.6, is clipped to 1, and so is the next; m = .1, .19, then .171 - .1.
    ("came", {}, (-0.1, -0.19, -0.071, -0.1639), -1.55708689),
]


def moves(name: str, arguments: dict[str, Any], gradients: tuple[float, ...] = GRADIENTS) -> list[float]:
    weight = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimizer = OPTIMIZERS[name]([weight], **{"lr": 1.0, **arguments})
    at = [0.0]
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        at.append(weight.item())
    return [b - a for a, b in itertools.pairwise(at)]


@pytest.mark.parametrize(("name", "arguments", "first", "last"), GOLDEN, ids=lambda x: str(x))
def test_golden(name: str, arguments: dict[str, Any], first: tuple[float, ...], last: float) -> None:
    found = moves(name, arguments)
    assert found[:4] == pytest.approx(first, abs=6e-7)
    assert sum(found) == pytest.approx(last, abs=6e-9)


def test_every_rule_has_golden_numbers() -> None:
    """But for those of matrices, which have theirs in test_orthogonalising.py and test_matrix_rules.py."""
    assert {name for name, *_ in GOLDEN} == {name for name, rule in CATALOGUE.items() if not of_matrices(rule)}


def test_adamw_by_hand() -> None:
    """Adam's move, and lr * decay * (the weight before it)."""
    adam, at = moves("adam", {}), 0.0
    for move, found in zip(adam, moves("adamw", {"weight_decay": 0.1}), strict=True):
        assert found == pytest.approx(move - 0.1 * at, abs=1e-12)
        at += found


def test_lion_does_not_move_without_gradient() -> None:
    assert moves("lion", {}, (0.0, -0.0)) == [0.0, 0.0]


def test_amsgrad_by_hand() -> None:
    """With beta2 = 0.5 and a quiet tail the maximum matters: of the raw v, corrected afterwards."""
    gradients = (2.0, 0.5, 0.0)
    m = v = top = 0.0
    expected = []
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.5 * v + 0.5 * g * g
        top = max(top, v)
        expected.append(-(m / (1 - 0.9**t)) / ((top / (1 - 0.5**t)) ** 0.5 + 1e-8))
    found = moves("adam", {"betas": (0.9, 0.5), "amsgrad": True}, gradients)
    assert found == pytest.approx(expected, abs=1e-12)
    assert abs(found[2] - moves("adam", {"betas": (0.9, 0.5)}, gradients)[2]) > 0.1


@pytest.mark.parametrize("rule", CATALOGUE.values(), ids=lambda rule: rule.__name__)
class TestCatalogue:
    def test_documented(self, rule: type[Rule]) -> None:
        assert rule.__doc__
        first, blank, *rest = rule.__doc__.splitlines()
        assert first.endswith(".")
        assert not blank.strip()
        assert any(line.strip().startswith("Source:") for line in rest)
        assert rule.year is not None
        assert 1951 <= rule.year <= 2026

    def test_default_is_inside_its_search(self, rule: type[Rule]) -> None:
        numbers = hypers(rule)
        defaults = {name: hyper.default for name, hyper in numbers.items()}
        searched = {name: hyper.search for name, hyper in numbers.items() if hyper.search is not None}
        assert "lr" in searched
        assert searched["lr"].trials == 0
        for name, search in searched.items():
            # Weight decay may be off by default: 0 is on no logarithmic scale.
            assert defaults[name] == 0 or 0 <= search.position(defaults[name], defaults) <= 1
            for draw in (0.0, 0.37, 0.999):
                assert numbers[name].problem(search.value(draw, defaults)) is None

    def test_formulas_hold_under_every_switch(self, rule: type[Rule]) -> None:
        """The catalogue is not tried when it is imported, as a user's rule is when its optimizer is made."""
        for each in (rule, *(like(rule, convention) for convention in rule.conventions)):
            check(each)
            for wrapper in {*WRAPPERS.values()} - {*rule.around}:
                check(wrapped(each, wrapper))

    def test_made_into_an_optimizer(self, rule: type[Rule]) -> None:
        made = OPTIMIZERS[rule.__name__.lower()]
        assert issubclass(made, Optimizer)
        assert made.rule is rule
        assert (made.__name__, made.__doc__) == (rule.__name__, rule.__doc__)

    def test_differentiable_through_the_torch_reader(self, rule: type[Rule]) -> None:
        """The oracle is plain torch: without decay the next weight has the derivative 1 by the weight before."""
        weight = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
        # A rate in proportion to the weight has a slope of its own.
        known = {**torch_reader.values_of(rule), "weight_decay": 0.0, "scale_parameter": False}
        after = torch_reader.step(rule, torch_reader.begin(rule, weight, known), torch.ones_like(weight), known)
        (slope,) = torch.autograd.grad(after.weight.sum(), weight)
        assert slope.item() == pytest.approx(1.0)
