"""The layers are torch's: what they are made of, what they compute and keep, and what they refuse."""

import copy
import io
import math
import pickle
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from norm_cases import CHANNELS, FAMILIES, LAYERS, TOKENS, Layer, apart, by_kernels, compared, drawn, exactly, results
from torch import Tensor

import thalweg.nn
from thalweg.nn import functional

pytestmark = pytest.mark.usefixtures("kernels")

AFFINE_OFF = {"elementwise_affine": False}
CLOSE = 1e-5


def outputs(module: torch.nn.Module, *xs: Tensor) -> list[Tensor]:
    """Of inputs one after the other, then what the module keeps."""
    return [*(module(x).detach() for x in xs), *module.state_dict().values()]


def agree(found: list[Tensor], expected: list[Tensor], allowed: float = CLOSE) -> None:
    assert len(found) == len(expected)
    for i, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert ours.dtype == theirs.dtype
        assert apart(ours, theirs) < allowed, i


@pytest.mark.parametrize("layer", LAYERS, ids=str)
class TestAsTorch:
    def test_what_it_is_made_of(self, layer: Layer) -> None:
        ours, torchs = layer.pair()
        assert isinstance(ours, type(torchs))
        assert repr(ours) == repr(torchs)
        assert list(ours.state_dict()) == list(torchs.state_dict())
        assert [name for name, _ in ours.named_parameters()] == [name for name, _ in torchs.named_parameters()]
        fresh = [kind(*layer.args) for kind in (type(ours), type(torchs))]
        for mine, theirs in zip(*(m.state_dict().values() for m in fresh), strict=True):
            assert torch.equal(mine, theirs)

    def test_states_go_both_ways(self, layer: Layer) -> None:
        ours, torchs = layer.pair()
        for made in (ours, torchs):
            made(layer.x())
        for giver, kind in ((ours, type(torchs)), (torchs, type(ours))):
            taker = kind(*layer.args)
            taker.load_state_dict(giver.state_dict(), strict=True)
            for given, taken in zip(giver.state_dict().values(), taker.state_dict().values(), strict=True):
                assert torch.equal(given, taken)

    def test_numbers_and_gradients(self, layer: Layer) -> None:
        """In float32, beside torch in float64: torch's own BatchNorm over channels that lie last is off by 1e-5."""
        x, dy = layer.x(), drawn(layer.shape, 1, torch.float32)
        exact = exactly(layer, x, dy)
        ours, torchs = compared(layer, x, dy)
        assert by_kernels(ours[0])
        for mine, theirs, true in zip(ours, torchs, exact, strict=True):
            assert mine.dtype == theirs.dtype
            assert apart(mine, true) < max(2e-6, 2 * apart(theirs, true))

    def test_train_and_eval(self, layer: Layer) -> None:
        xs = [layer.x(seed) + 3 for seed in range(3)]
        found = []
        for made in layer.pair():
            seen = outputs(made, *xs)
            seen += outputs(made.eval(), *xs)
            found.append(seen + outputs(made.train(), *xs))
        agree(*found)

    def test_float64(self, layer: Layer) -> None:
        agree(*compared(layer, layer.x(0, torch.float64), drawn(layer.shape, 1)), allowed=1e-12)

    def test_no_input_is_written(self, layer: Layer) -> None:
        ours, _ = layer.pair()
        x, dy = layer.x(), drawn(layer.shape, 1, torch.float32)
        parameters = list(ours.parameters())
        before = [t.detach().clone() for t in (x, dy, *parameters)]
        versions = [t._version for t in (x, dy, *parameters)]
        results(ours, x, dy, parameters)
        assert [t._version for t in (x, dy, *parameters)] == versions
        for kept, now in zip(before, (x, dy, *parameters), strict=True):
            assert torch.equal(kept, now)

    def test_the_output_is_laid_out_as_torchs(self, layer: Layer) -> None:
        ours, torchs = layer.pair()
        x = layer.x()
        anew = layer.layout == "channels last" and x.dim() in (3, 5)  # by torch itself
        assert anew or ours(x).stride() == torchs(x).stride()

    def test_copies(self, layer: Layer) -> None:
        ours, _ = layer.pair()
        x = layer.x()
        stored = io.BytesIO()
        torch.save(ours, stored)
        stored.seek(0)
        copies = [copy.deepcopy(ours), pickle.loads(pickle.dumps(ours)), torch.load(stored, weights_only=False)]
        expected = outputs(ours, x)
        for made in copies:
            assert type(made) is type(ours)
            for mine, theirs in zip(outputs(made, x), expected, strict=True):
                assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    "layer",
    [
        Layer("RMSNorm", (769,), (701, 769)),
        Layer("LayerNorm", (63,), (9001, 63)),
        Layer("LayerNorm", (300_000,), (3, 300_000)),
        Layer("BatchNorm1d", (257,), (2001, 257)),
        Layer("BatchNorm2d", (5,), (33, 5, 57, 57)),
        Layer("BatchNorm2d", (65,), (8, 65, 31, 31), "channels last"),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_bits_for_any_number_of_threads(layer: Layer, dtype: torch.dtype) -> None:
    """And from run to run."""
    before = torch.get_num_threads()
    x, dy = layer.x(0, dtype), drawn(layer.shape, 1, dtype)
    try:
        runs = []
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(threads)
            runs.append(compared(layer, x, dy)[0])
    finally:
        torch.set_num_threads(before)
    assert by_kernels(runs[0][0])
    for run in runs[1:]:
        for one, other in zip(runs[0], run, strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        *((layer, AFFINE_OFF) for layer in TOKENS),
        *((layer, {"eps": 0.5}) for layer in LAYERS),
        *((layer, {"bias": False}) for layer in TOKENS if layer.name == "LayerNorm"),
        *((layer, {"affine": False}) for layer in CHANNELS),
        *((layer, {"momentum": momentum}) for layer in CHANNELS for momentum in (None, 0.0, 0.5, 1.0)),
        *((layer, {"track_running_stats": False}) for layer in CHANNELS),
        *((layer, {"affine": False, "track_running_stats": False, "eps": 1e-3}) for layer in CHANNELS),
    ],
    ids=str,
)
def test_options(layer: Layer, options: dict[str, Any]) -> None:
    ours, torchs = layer.pair(**options)
    assert repr(ours) == repr(torchs)
    assert list(ours.state_dict()) == list(torchs.state_dict())
    agree(*compared(layer, layer.x(), drawn(layer.shape, 1, torch.float32), **options))
    xs = [layer.x(seed) + 3 for seed in range(3)]
    agree(*(outputs(m, *xs) + outputs(m.eval(), *xs) for m in (ours, torchs)))


def test_the_plain_mean_over_all_batches() -> None:
    """momentum=None; and the count goes on from a loaded one."""
    layer = CHANNELS[1]
    ours, torchs = layer.pair(momentum=None)
    xs = [layer.x(seed) + seed for seed in range(4)]
    agree(*(outputs(m, *xs) for m in (ours, torchs)))
    assert int(ours.num_batches_tracked) == 4
    assert apart(ours.running_mean, torch.stack([x.mean((0, 2)) for x in xs]).mean(0)) < CLOSE
    for made in (ours, torchs):
        made.reset_running_stats()
    agree(*(outputs(m, *xs[:2]) for m in (ours, torchs)))


def test_statistics_of_a_module_without_a_count() -> None:
    """As loaded from long ago, and as left by hand."""
    found = []
    for made in CHANNELS[1].pair():
        made.num_batches_tracked = None
        found.append([made(CHANNELS[1].x()).detach(), made.running_mean, made.running_var])
    agree(*found)


@pytest.mark.parametrize("leading", [(), (1,), (3,), (2, 3), (2, 1, 3), (0,), (2, 0)])
@pytest.mark.parametrize("inner", [(6,), (2, 3), (1,), (1, 1)])
@pytest.mark.parametrize("name", ["RMSNorm", "LayerNorm"])
def test_leading_and_normalised_shapes(name: str, inner: tuple[int, ...], leading: tuple[int, ...]) -> None:
    layer = Layer(name, (inner,), (*leading, *inner))
    for ours, torchs in zip(*compared(layer, layer.x(0, torch.float64), drawn(layer.shape, 1)), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-9, atol=1e-9)  # a single feature's gradient is 0


@pytest.mark.parametrize("shape", [(0, 4), (0, 4, 3), (2, 4, 0)])
def test_batches_of_nothing(shape: tuple[int, ...]) -> None:
    agree(*(outputs(home.BatchNorm1d(shape[1]), torch.ones(shape)) for home in (thalweg.nn, torch.nn)))


class TestResidual:
    @pytest.mark.parametrize("layer", TOKENS, ids=str)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
    def test_norm_of_the_sum_and_the_sum(self, layer: Layer, dtype: torch.dtype) -> None:
        ours, _ = layer.pair(dtype)
        x, residual = layer.x(0, dtype), layer.x(1, dtype)
        y, total = ours(x.requires_grad_(), residual)
        assert by_kernels(y, total)
        assert torch.equal(total, x + residual)
        assert torch.equal(y, ours(total.detach()))

    @pytest.mark.parametrize("layer", TOKENS, ids=str)
    def test_others_than_kernels_serve(self, layer: Layer) -> None:
        """Another shape, another type, gaps in memory."""
        ours, _ = layer.pair()
        x = layer.x()
        for residual in (x[:1], layer.x(1, torch.float64), torch.stack((x, x), -1)[..., 0]):
            if residual.dtype == x.dtype:
                y, total = ours(x, residual)
                assert torch.equal(total, x + residual)
                assert torch.equal(y, ours(x + residual))
        wide = type(ours)(*layer.args, dtype=torch.float64)
        y, total = wide(x, layer.x(1, torch.float64))
        assert total.dtype == y.dtype == torch.float64

    def test_a_residual_that_is_x(self) -> None:
        for layer in TOKENS:
            ours, torchs = layer.pair()
            x = layer.x().requires_grad_()
            y, total = ours(x, x)
            expected = torchs(x + x)
            assert torch.equal(total, x + x)
            dy = drawn(layer.shape, 1, torch.float32)
            found, wanted = (torch.autograd.grad(out, x, dy)[0] for out in (y, expected))
            assert apart(found, wanted) < CLOSE

    def test_shapes_that_do_not_agree(self) -> None:
        with pytest.raises(RuntimeError, match="must match the size"):
            thalweg.nn.LayerNorm(4)(torch.ones(2, 4), torch.ones(3, 4))


def raised(call: Callable[[], Any]) -> tuple[type[BaseException], str]:
    try:
        call()
    except Exception as error:
        return type(error), str(error)
    raise AssertionError("nothing was raised")


WRONG_INPUTS: list[tuple[str, tuple[Any, ...], Callable[[], Tensor]]] = [
    ("RMSNorm", (4,), lambda: torch.ones(2, 5)),
    ("RMSNorm", ((2, 4),), lambda: torch.ones(4)),
    ("LayerNorm", (4,), lambda: torch.ones(2, 5)),
    ("LayerNorm", ((2, 4),), lambda: torch.ones(4)),
    ("LayerNorm", (4,), lambda: torch.ones(2, 4, dtype=torch.int64)),
    ("BatchNorm1d", (4,), lambda: torch.ones(4)),
    ("BatchNorm1d", (4,), lambda: torch.ones(2, 4, 3, 3)),
    ("BatchNorm1d", (4,), lambda: torch.ones(2, 5)),
    ("BatchNorm1d", (4,), lambda: torch.ones(1, 4)),
    ("BatchNorm1d", (4,), lambda: torch.ones(1, 4, 1)),
    ("BatchNorm2d", (4,), lambda: torch.ones(2, 4, 3)),
    ("BatchNorm2d", (4,), lambda: torch.ones(2, 3, 4, 4)),
    ("BatchNorm2d", (4,), lambda: torch.ones(1, 4, 1, 1)),
    ("BatchNorm2d", (4,), lambda: torch.ones(2, 4, 3, 3, dtype=torch.int64)),
    ("BatchNorm3d", (4,), lambda: torch.ones(2, 4, 3, 3)),
    ("BatchNorm3d", (4,), lambda: torch.ones(1, 4, 1, 1, 1)),
]


class TestRefused:
    @pytest.mark.parametrize(("name", "args", "x"), WRONG_INPUTS)
    def test_inputs_in_torchs_words(self, name: str, args: tuple[Any, ...], x: Callable[[], Tensor]) -> None:
        ours, torchs = (getattr(home, name)(*args) for home in (thalweg.nn, torch.nn))
        assert raised(lambda: ours(x())) == raised(lambda: torchs(x()))

    def test_one_value_a_channel_in_training(self) -> None:
        for made, shape in ((thalweg.nn.BatchNorm1d(3), (1, 3)), (thalweg.nn.BatchNorm2d(3), (1, 3, 1, 1))):
            with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
                made(torch.ones(shape))
            assert made.eval()(torch.ones(shape)).isfinite().all()

    def test_types_that_torch_refuses_together(self) -> None:
        kinds = (torch.float32, torch.float64, torch.bfloat16)
        wrong = []
        for a in kinds:
            for b in (None, *kinds):
                for c in (None, *kinds):
                    x = torch.ones(4, 3, 16, dtype=a)
                    tokens = [None if d is None else torch.ones(16, dtype=d) for d in (b, c)]
                    channels = [None if d is None else torch.ones(3, dtype=d) for d in (b, c)]
                    for call in (
                        lambda home, x=x, p=tokens: home.layer_norm(x, (16,), *p),
                        lambda home, x=x, p=channels: home.batch_norm(x, None, None, *p, True),
                        lambda home, x=x, p=channels: home.batch_norm(
                            x, *(None if t is None else t.clone() for t in p), None, None, True
                        ),
                    ):
                        fates = []
                        for home in (functional, torch.nn.functional):
                            try:
                                fates.append(call(home).dtype)
                            except (RuntimeError, ValueError) as error:
                                fates.append(type(error))
                        if fates[0] != fates[1]:
                            wrong.append((a, b, c, *fates))
        assert not wrong


class TestExtremes:
    """No NaN wherever torch gives none, and no infinity either."""

    @pytest.mark.parametrize("layer", LAYERS, ids=str)
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_values(self, layer: Layer, dtype: torch.dtype) -> None:
        dy = drawn(layer.shape, 1, dtype)
        away = layer.x(0, torch.float64).abs().clamp(max=1)
        for value in (0.0, -3.0, 1e10, 1e30, -1e34, 1e-45):
            for spread in (0.0, 1e-6, 1.0):
                x = (value * (1 - spread * away)).to(dtype)
                ours, torchs = compared(layer, x, dy)
                for i, (mine, theirs) in enumerate(zip(ours, torchs, strict=True)):
                    assert not bool((mine.isnan() & ~theirs.isnan()).any()), (value, spread, i)
                    if abs(value) < 1e15:  # squares of more than that are infinite in float32
                        assert not bool((mine.isinf() & theirs.isfinite()).any()), (value, spread, i)

    def test_the_variance_of_large_constants(self) -> None:
        for layer in (CHANNELS[0], CHANNELS[1]):
            for made in layer.pair():
                made(torch.full(layer.shape, 1e30))
                assert made.running_var.isfinite().all(), type(made)

    @pytest.mark.parametrize("layer", LAYERS, ids=str)
    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    def test_what_is_not_finite_stays_in_its_line(self, layer: Layer, bad: float) -> None:
        x = layer.x()
        x[(0,) * x.dim()] = bad
        ours, torchs = layer.pair()
        assert torch.equal(ours(x).isnan(), torchs(x).isnan())

    @pytest.mark.parametrize("layer", FAMILIES, ids=str)
    def test_far_from_0(self, layer: Layer) -> None:
        """As good as torch where the mean is 1000 deviations."""
        x = layer.x() + 1000
        dy = drawn(layer.shape, 1, torch.float32)
        exact = exactly(layer, x, dy)
        for mine, theirs, true in zip(*compared(layer, x, dy), exact, strict=True):
            assert apart(mine, true) < max(1e-6, 2 * apart(theirs, true))

    def test_batch_1_in_eval(self) -> None:
        for layer in CHANNELS:
            found = []
            for made in layer.pair():
                made(layer.x())
                found.append(made.eval()(layer.x()[:1]))
                assert found[-1].isfinite().all()
            assert apart(*found) < CLOSE


class TestBfloat16:
    """Computed in float32 and rounded once."""

    # torch's RMSNorm with float32 weights gives float32.
    @pytest.mark.parametrize(
        ("layer", "weights"),
        [
            (layer, weights)
            for layer, weights in product(LAYERS, (torch.bfloat16, torch.float32))
            if layer.name != "RMSNorm" or weights is torch.bfloat16
        ],
        ids=str,
    )
    def test_a_unit_in_the_last_place(self, layer: Layer, weights: torch.dtype) -> None:
        x, dy = layer.x(0, torch.bfloat16), drawn(layer.shape, 1, torch.bfloat16)
        options = {"eps": 1e-5}
        half = layer.pair(weights, **options)[0]
        exact = layer.pair(weights, **options)[1].double()
        found = results(half, x, dy, list(half.parameters()))
        expected = results(exact, x.double(), dy.double(), list(exact.parameters()))
        assert by_kernels(found[0])
        for mine, true in zip(found, expected, strict=True):
            unit = 2.0**-8 if mine.dtype is torch.bfloat16 else 2.0**-16
            error = (mine.double() - true).abs()
            # Half a unit is the rounding; gradients are differences of terms as large as the largest.
            assert bool((error <= unit * true.abs() + 1e-5 * true.abs().max()).all())

    def test_rms_norm_without_eps(self) -> None:
        x = 1e-3 * drawn((2, 16))
        for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
            found, expected = (home.rms_norm(x.to(dtype), (16,)) for home in (functional, torch.nn.functional))
            assert apart(found, expected) < 1e-2

    def test_running_statistics(self) -> None:
        layer = Layer("BatchNorm1d", (400,), (8, 400, 40))
        ours, _ = layer.pair(torch.bfloat16)
        x = layer.x(0, torch.bfloat16) + 3
        mean = ours.running_mean.fill_(1.0).double()
        ours(x)
        expected = (0.9 * mean + 0.1 * x.double().mean((0, 2))).bfloat16()
        assert bool((ours.running_mean == expected).double().mean() > 0.99)
