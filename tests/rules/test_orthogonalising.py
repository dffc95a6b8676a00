"""Lists of coefficients: where each takes a singular value, by numbers worked out elsewhere, and which are refused."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import thalweg
from thalweg.rules.muon import Muon, nvidia, original, rms, spectral
from thalweg.rules.orthogonalising import LISTS, uphill

AT = (1.0, 0.6, 0.3, 0.1, 0.01, 0.001)
# Each map in float64 at these values, computed apart from the library, and its range on [0.01, 1].
MAPS: dict[str, tuple[tuple[float, ...], tuple[float, float]]] = {
    "keller": ((0.6964, 0.7229, 1.0796, 0.7121, 0.6989, 0.4705), (0.682, 1.134)),
    "you": ((0.9783, 1.0186, 0.9962, 1.0190, 1.0180, 0.4750), (0.978, 1.032)),
    "polar-express": ((0.8591, 0.8713, 0.9831, 1.0592, 1.0271, 0.8589), (0.859, 1.141)),
    "polar-express-1.05": ((1.0190, 1.1058, 1.0933, 0.8787, 0.9060, 0.7290), (0.846, 1.124)),
    "polar-express-1.01": ((1.0273, 0.9128, 0.9098, 0.8744, 1.0660, 0.8462), (0.870, 1.124)),
    "cans": ((1.0051, 0.9059, 1.0106, 0.9163, 1.1132, 0.8865), (0.884, 1.120)),
    "simple12": ((1.0, 1.0, 1.0, 1.0, 1.0, 1.0), (1.0, 1.0)),
    "deepseek": ((1.0, 1.0001, 1.0001, 1.0001, 1.0, 1.0), (1.0, 1.0005)),
}
# NVIDIA's older four steps.
AOL = ((4.0098, -7.0585, 2.4635), (3.4585, -5.5479, 2.5959), (2.7573, -3.2939, 1.4254), (2.7215, -3.0494, 1.3169))
GRADIENT = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def mapped(entries: Any, s: Any) -> Any:
    for a, b, c in entries:
        s = a * s + b * s**3 + c * s**5
    return s


def stepped(gradient: Any, **options: Any) -> np.ndarray:
    """What a first step of lr 1, in float64, takes off weights of 0."""
    g = torch.as_tensor(gradient, dtype=torch.float64)
    weight = torch.nn.Parameter(torch.zeros_like(g))
    made = thalweg.Muon([weight], **{"lr": 1.0, "weight_decay": 0.0, "scale": "none", **options})
    weight.grad = g
    made.step()
    found: np.ndarray = -weight.detach().numpy()
    return found


@pytest.mark.parametrize("name", MAPS)
def test_scalar_map(name: str) -> None:
    values, (low, high) = MAPS[name]
    np.testing.assert_allclose([mapped(LISTS[name], s) for s in AT], values, atol=6e-5)
    everywhere = mapped(LISTS[name], np.linspace(0.01, 1, 20_001))
    assert (everywhere.min(), everywhere.max()) == pytest.approx((low, high), abs=1e-3)


def test_scalar_map_of_turbo() -> None:
    found = [mapped(LISTS["turbo"], s) for s in AT[:5]]
    np.testing.assert_allclose(found, (0.9438, 1.0124, 1.0028, 1.0310, 1.0142), atol=6e-5)


@pytest.mark.parametrize("name", LISTS)
def test_a_matrix_goes_where_its_singular_values_do(name: str) -> None:
    """By numpy's decomposition; plainly and in the Gram form, either way up."""
    g = np.random.default_rng(5).normal(size=(5, 12))
    u, s, v = np.linalg.svd(g, full_matrices=False)
    expected = u @ np.diag(mapped(LISTS[name], s / np.linalg.norm(s))) @ v
    for gram in (False, True):
        for turned in (False, True):
            given = g.T if turned else g
            found = stepped(given, coefficients=name, safety=1.0, eps=0.0, gram=gram, momentum=0.0)
            np.testing.assert_allclose(found.T if turned else found, expected, atol=1e-10)


def test_golden_matrix() -> None:
    """[[1, 2, 3], [4, 5, 6]], by numbers computed elsewhere in float64."""
    exact = stepped(GRADIENT, coefficients="simple12", safety=1.0, eps=0.0)
    polar = [[-0.5777918268, 0.1151166951, 0.8080252170], [0.7067460210, 0.5657574391, 0.4247688571]]
    np.testing.assert_allclose(exact, polar, atol=2e-10)
    five = {"coefficients": "keller", "safety": 1.0, "eps": 1e-7, "heavy_ball": True, "nesterov": False}
    np.testing.assert_allclose(
        stepped(GRADIENT, **five),
        [[-0.5682900921, 0.0577419433, 0.6837739786], [0.5633546843, 0.4056128236, 0.2478709628]],
        atol=2e-8,
    )
    shared = {"coefficients": "polar-express", "safety": 1.02, "eps": 1e-6, "heavy_ball": True, "nesterov": False}
    np.testing.assert_allclose(
        stepped(GRADIENT, **shared),
        [[-0.5577634353, 0.0930534407, 0.7438703166], [0.6393244981, 0.4970105447, 0.3546965914]],
        atol=1e-9,
    )


def test_golden_diagonal() -> None:
    five = {"coefficients": "keller", "safety": 1.0, "heavy_ball": True, "nesterov": False}
    assert stepped([[3.0, 0.0], [0.0, 4.0]], eps=1e-7, **five)[0, 0] == pytest.approx(0.7228761296, abs=1e-10)
    assert stepped([[3.0, 0.0], [0.0, 4.0]], eps=0.0, **five)[0, 0] == pytest.approx(0.7228761686, abs=1e-10)


def test_scales() -> None:
    sizes = ((768, 768), (3072, 768), (128, 4096))
    assert [rms(*size) for size in sizes] == pytest.approx([5.543, 11.085, 12.8], abs=1e-3)
    assert [original(*size) for size in sizes] == pytest.approx([1, 2, 1])
    assert [spectral(*size) for size in sizes] == pytest.approx([1, 2, 0.1768], abs=1e-4)
    assert [nvidia(*size) for size in sizes] == pytest.approx([math.sqrt(768), math.sqrt(3072), 64])


@pytest.mark.parametrize("name", LISTS)
def test_no_list_goes_uphill(name: str) -> None:
    assert uphill(LISTS[name]) is None


def test_lists_that_go_uphill_are_refused() -> None:
    assert mapped(AOL, 1.0) == pytest.approx(-0.9935, abs=1e-4)
    weight = torch.nn.Parameter(torch.ones(2, 2))
    with pytest.raises(
        ValueError, match=r"Muon: coefficients=\(\(4.0098.* takes the singular value 0.88\d* to -.*up the"
    ):
        thalweg.Muon([weight], coefficients=AOL)
    with pytest.raises(ValueError, match="grows without bound from the singular value"):
        thalweg.Muon([weight], coefficients=[(30.0, 30.0, 30.0)] * 5)
    with pytest.raises(ValueError, match="must be a list of triples"):
        thalweg.Muon([weight], coefficients=[(3.4445, -4.775)])
    with pytest.raises(ValueError, match=r"one of keller, .* got 'kelller'; did you mean 'keller'\?"):
        thalweg.Muon([weight], coefficients="kelller")
    with pytest.raises(TypeError, match="name of a list, or a list of tuples of numbers"):
        thalweg.Muon([weight], coefficients=[3.4445, -4.775, 2.0315])


def test_a_list_of_ones_own() -> None:
    own = [[3.4445, -4.775, 2.0315]] * 5
    np.testing.assert_array_equal(stepped(GRADIENT, coefficients=own), stepped(GRADIENT, coefficients="keller"))


INPUTS = {
    "rank 1": np.outer([1.0, -2.0, 0.5], [3.0, 1.0, -1.0, 2.0]),
    "one row": np.array([[1.0, -2.0, 0.0, 3.0]]),
    "one column": np.array([[1.0], [-2.0], [3.0]]),
    "orthogonal": np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0],
}


@pytest.mark.parametrize("name", INPUTS)
def test_every_first_step_goes_down(name: str) -> None:
    """Along the gradient: with every list, every convention, in both element types."""
    g = INPUTS[name]
    for options in [*({"coefficients": each} for each in LISTS), *({"like": each} for each in Muon.conventions)]:
        for dtype in (torch.float64, torch.float32):
            weight = torch.nn.Parameter(torch.zeros(g.shape, dtype=dtype))
            made = thalweg.Muon([weight], lr=1.0, products="bfloat16", **options)
            weight.grad = torch.as_tensor(g, dtype=dtype)
            made.step()
            assert -(weight.detach() * weight.grad).sum() > 0, options


@pytest.mark.parametrize("rule", ["NorMuon", "Shampoo", "SOAP"])
@pytest.mark.parametrize("name", INPUTS)
def test_every_rule_goes_down(name: str, rule: str) -> None:
    """SOAP's first step only finds its axes; the second goes."""
    weight = torch.nn.Parameter(torch.zeros(INPUTS[name].shape, dtype=torch.float64))
    made = getattr(thalweg, rule)([weight], lr=1.0)
    for _ in range(2):
        weight.grad = torch.as_tensor(INPUTS[name])
        made.step()
    assert -(weight.detach() * weight.grad).sum() > 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_no_gradient_no_step(dtype: torch.dtype) -> None:
    """Of a gradient of 0 every first step is exactly 0, and no number is nan."""
    for options in [{}, *({"coefficients": each} for each in LISTS), *({"like": each} for each in Muon.conventions)]:
        still(thalweg.Muon, dtype, products="bfloat16", **options)
    for made in (thalweg.NorMuon, thalweg.Shampoo, thalweg.SOAP):
        still(made, dtype)


def still(made: Any, dtype: torch.dtype, **options: Any) -> None:
    weights = [torch.nn.Parameter(torch.ones(shape, dtype=dtype)) for shape in ((3, 5), (5, 3), (1, 4), (4, 1), (2, 2))]
    optimizer = made(weights, **{**options, "weight_decay": 0.0, "lr": 1.0})
    for _ in range(3):
        for weight in weights:
            weight.grad = torch.zeros_like(weight)
        optimizer.step()
    for weight in weights:
        assert torch.equal(weight, torch.ones_like(weight)), options
        assert all(torch.isfinite(state).all() for state in optimizer.state[weight].values()), options
