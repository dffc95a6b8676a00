"""Parameters that no kernel serves, updated many at once: against kernels, the oracle, torch's classes, and counted."""

import io
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import thalweg
from thalweg.formula import maximum, minimum, sqrt, where
from thalweg.formula.expression import Expression, coefficient, weight
from thalweg.optim import OPTIMIZERS, Optimizer, flat_launch, flat_memory, reading
from thalweg.optim.evaluating import Computation
from thalweg.optim.flat_memory import BLOCK, FlatMemory
from thalweg.rules import BY_WEIGHT
from thalweg.testing import cases
from thalweg.testing.agreement import Agreement
from thalweg.testing.cases import Row, Shape, gradients, transposed, weights
from thalweg.testing.judging import case, close, same_bits, same_state
from thalweg.testing.suite import Suite
from thalweg.wrappers import WRAPPERS

# A single number, none, ends of a row.
SHAPES: tuple[Shape, ...] = ((), (0,), (17,), (31, 33), (5, 3), (BLOCK,), (BLOCK + 1,))
TYPES = (torch.float32, torch.bfloat16, torch.float16)
Made = Callable[..., Optimizer]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def without_kernels() -> Iterator[pytest.MonkeyPatch]:
    """On the CPU kernels serve nearly everything: here they are not to be had, until somebody undoes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "available", lambda: False)
        yield patch


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors as small as these are computed with in parts, some rows at a time."""
    monkeypatch.setitem(flat_memory.AT_A_TIME, "cpu", 4)


def kinds(made: Optimizer) -> list[str]:
    assert made._plan is not None
    return [type(x).__name__ for x in made._plan.launches]


def trained(make: Made, params: Sequence[torch.Tensor], rows: Iterable[Row], **options: Any) -> Optimizer:
    """Two groups with rates of their own, gradients missing here and there, so that step counts differ."""
    groups = [{"params": params[::2], "lr": 0.02}, {"params": params[1::2], "lr": 0.01}]
    made = make(groups, **options)
    for number, row in enumerate(rows):
        for i, (p, g) in enumerate(zip(params, row, strict=True)):
            p.grad = None if g is None or (number + i) % 5 == 0 else g.to(p.dtype, copy=True)
        made.step()
    return made


def laid_out(dtype: torch.dtype) -> list[torch.Tensor]:
    """Weights of every size, one with its axes the other way round in memory."""
    found = weights(dtype, SHAPES)
    found[3] = torch.nn.Parameter(transposed(found[3].detach()))
    return found


MAKES: dict[str, Made] = {name: OPTIMIZERS[name] for name in BY_WEIGHT}
MAKES |= {f"adam under {name}": thalweg.wrap(thalweg.Adam, wrapper) for name, wrapper in WRAPPERS.items()}
# Those that span what there is: nothing kept, averages, sums of tensors, numbers that follow from sums, a wrapper.
FEW = ("sgd", "adamw", "lamb", "prodigy", "nadam", "adam under cautious")
CHAINS: tuple[dict[str, Any], ...] = (
    {},
    {"clip_norm": 1.0, "clip_value": 0.5, "clear": True},
    {"clip_norm": 0.1, "clip_scope": "tensor", "maximize": True, "ema": 0.9},
)


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize(
    "name", [name if name in FEW else pytest.param(name, marks=pytest.mark.slow) for name in MAKES]
)
def test_bits_of_the_kernel(name: str, without_kernels: pytest.MonkeyPatch) -> None:
    """Computed in float32, weights and states are the kernel's, bit for bit."""
    for options in CHAINS:
        for dtype in TYPES if not options else TYPES[:1]:
            with case(f"{dtype}, {options}"):
                rows = gradients(4, SHAPES, spikes=True)
                ours, theirs = laid_out(dtype), laid_out(dtype)
                flat = trained(MAKES[name], ours, rows, **options)
                assert {*kinds(flat)} == {"FlatLaunch"}
                with pytest.MonkeyPatch.context() as again:
                    again.setattr(reading, "available", lambda: True)
                    kernel = trained(MAKES[name], theirs, rows, **options)
                assert {*kinds(kernel)} == {"KernelLaunch"}
                same_bits(ours, theirs, "weights differ from the kernel's")
                same_state(flat.state_dict()["state"], kernel.state_dict()["state"], "states differ from the kernel's")
                for p, q in zip(ours, theirs, strict=True):
                    assert p.grad is None or q.grad is None or torch.equal(p.grad, q.grad)


for _name in BY_WEIGHT:

    @pytest.mark.usefixtures("in_parts")
    class _Flat(Suite):
        """The formula in float64, as the torch reader reads it."""

        test_agrees_with_the_oracle = Agreement.test_agrees_with_the_oracle
        optimizer = OPTIMIZERS[_name]
        settings = ({"prodigy": {"d0": 1e-3}, "sgd": {"lr": 0.1, "momentum": 0.9, "nesterov": True}}.get(_name, {}),)
        steps = 30

    if _name == "prodigy":  # as in test_conformance.py
        _Flat.tolerance = {**Suite.tolerance, torch.float32: 1e-4}
    if _name not in FEW:
        _Flat.pytestmark = [*_Flat.pytestmark, pytest.mark.slow]
    globals()[f"Test{OPTIMIZERS[_name].__name__}"] = type(f"Test{OPTIMIZERS[_name].__name__}", (_Flat,), {})
del _Flat


class Counting(TorchDispatchMode):
    """Counts torch's operations."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counted[str(function)] += 1
        return function(*args, **(kwargs or {}))


# What would wait for a device; on the CPU the last of them are no operations.
WAITS = ("item", "tolist", "cpu", "numpy", "__float__", "__bool__", "__int__")


def refused(*_arguments: Any) -> None:
    raise AssertionError("this would wait for the device")


MANY = 500  # tensors; a plan for them takes a quarter of a second


def counted(make: Made, tensors: int, waits: bool = False, **options: Any) -> Counter[str]:
    """The operations of a step of so many tensors, whose numbers differ, and of which one has no gradient.

    ``waits``: whether it may; the first step, which makes a plan, does.
    """
    types = (torch.float32, torch.float32, torch.float64, torch.bfloat16)
    params = [torch.nn.Parameter(torch.randn(12, dtype=types[i % 4])) for i in range(tensors)]
    made = make([{"params": params[::2], "lr": 0.02}, {"params": params[1::2]}], **options)
    for step in range(3):
        if step:
            made.step()
        for i, p in enumerate(params):
            p.grad = None if i == step else torch.randn_like(p)
    with Counting() as mode, pytest.MonkeyPatch.context() as patch:
        for name in () if waits else WAITS:
            patch.setattr(torch.Tensor, name, refused)
        made.step()
    assert kinds(made) == ["FlatLaunch"] * 2  # one of them in float64
    return mode.counted


def test_nothing_is_done_by_tensor_and_nothing_waits() -> None:
    waits = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal.default")
    clipped = {"clip_norm": 1.0}
    for make, options, tensors in [
        (thalweg.SGD, {}, 50), (thalweg.AdamW, {**clipped, "clip_value": 0.1, "clear": True}, MANY),
        (thalweg.AdamW, {}, 50), (thalweg.AdamW, {**clipped, "clip_scope": "tensor"}, 50),
        (thalweg.LAMB, {**clipped, "ema": 0.9}, MANY), (thalweg.NAdam, clipped, 50),
        (thalweg.wrap(thalweg.LAMB, WRAPPERS["cautious"]), {}, 50),
    ]:  # fmt: skip
        with case(f"{make.__name__} {options}"):
            few, many = counted(make, 10, **options), counted(make, tensors, **options)
            assert few == many
            assert not [name for name in many for wait in waits if wait in name]


@pytest.mark.parametrize("make", [thalweg.Adafactor, thalweg.CAME])
def test_rules_of_rows_and_columns_do_not_wait(make: Made) -> None:
    """They are updated one by one, and what each adds up stays on its device."""
    params = [torch.nn.Parameter(torch.randn(4, 6)), torch.nn.Parameter(torch.randn(5))]
    made = make(params)
    for _ in range(3):
        for p in params:
            p.grad = torch.randn_like(p)
        with Counting() as mode:
            made.step()
    assert kinds(made) == ["TorchLaunch"] * 2
    assert not [name for name in mode.counted if "_local_scalar_dense" in name]


def test_scalars_of_sums_wait_once() -> None:
    """Prodigy's d is a number of the host."""
    few, many = counted(thalweg.Prodigy, 10, True), counted(thalweg.Prodigy, MANY, True)
    assert few == many


def test_operations_round_as_numpys() -> None:
    """Also with a number on either side, and of numbers alone."""
    x, y = (torch.rand(4_000, generator=torch.Generator().manual_seed(seed)) * 9 - 3 for seed in (1, 2))
    a, b = x.numpy(), y.numpy()
    c = np.float32(1.7)
    v, w, n = weight("v"), weight("w"), coefficient(0)
    with np.errstate(all="ignore"):
        expected: list[tuple[Any, Any]] = [
            (v + w, a + b), (n - v, c - a), (v * n, a * c), (v / w, a / b), (n / v, c / a), (v / n, a / c), (-v, -a),
            (sqrt(v), np.sqrt(a)), (maximum(v, n), np.maximum(a, c)), (minimum(n, v), np.minimum(c, a)),
            (where(v > n, w, 0.5), np.where(a > c, b, np.float32(0.5))), (where(n > 0.5, v, w), a),
            (n * n / v, c * c / a),
        ]  # fmt: skip
    known: dict[Expression, Any] = {v: x, w: y, n: float(c)}
    found = Computation([e for e, _ in expected]).of(known.__getitem__, x)
    for (e, right), value in zip(expected, found, strict=True):
        with case(e.op):
            same_bits([torch.as_tensor(value)], [torch.from_numpy(right)], "not what NumPy gives")


def test_sums_by_tensor() -> None:
    """Exact sums of whole numbers, of tensors of every size, up to three levels of sums."""
    sizes = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 0, BLOCK * BLOCK, BLOCK * BLOCK + 1, 2_500_000, 5]
    tensors = [torch.empty(size, dtype=torch.float64) for size in sizes]
    memory = FlatMemory(tensors, torch.device("cpu"))
    whole, slices = memory.made(torch.float64)
    for i, view in enumerate(slices):
        view.copy_((torch.arange(view.numel()) * 7 + i) % 11)
    found = memory.sums(whole.sum(1))
    assert found.tolist() == [float(((np.arange(size) * 7 + i) % 11).sum()) for i, size in enumerate(sizes)]
    empty = FlatMemory([torch.empty(0), torch.empty(2, 0)], torch.device("cpu"))
    assert empty.sums(empty.made(torch.float32)[0].sum(1)).tolist() == [0.0, 0.0]


def test_no_square_is_lost() -> None:
    """The norm of gradients whose squares float32 cannot hold."""
    params = [torch.nn.Parameter(torch.zeros(3)) for _ in range(2)]
    made = thalweg.SGD(params, lr=1.0, clip_norm=1.0, clip_eps=0.0)
    for p, size in zip(params, (3e30, 4e30), strict=True):
        p.grad = torch.tensor([size, 0.0, 0.0])
    made.step()
    assert [p[0].item() for p in params] == pytest.approx([-0.6, -0.8], rel=1e-6)


def test_one_clip_for_all_that_is_in_the_optimizer(without_kernels: pytest.MonkeyPatch) -> None:
    """A kernel's parameters, some in memory with gaps, a subclass, and other element types: torch's clip and AdamW."""
    without_kernels.undo()

    class Marked(torch.Tensor):
        pass

    def made_of(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        dense = [torch.randn(6, 4, dtype=kind) for kind in (torch.float32, torch.float64, torch.float32)]
        gaps = [torch.randn(6, 8, dtype=kind)[:, ::2] for kind in (torch.float32, torch.float32, torch.float64)]
        return [*dense, *gaps]

    ours = [torch.nn.Parameter(p) for p in made_of(1)]
    ours[2] = torch.nn.Parameter(made_of(1)[2].as_subclass(Marked))
    theirs = [torch.nn.Parameter(p.clone()) for p in made_of(1)]
    made = thalweg.AdamW(ours, lr=0.1, clip_norm=0.5)
    torchs = torch.optim.AdamW(theirs, lr=0.1)
    for step in range(4):
        for p, q, g in zip(ours, theirs, made_of(step), strict=True):
            p.grad, q.grad = g.clone(), g.clone()
        torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        made.step()
        torchs.step()
    assert Counter(kinds(made)) == {"KernelLaunch": 2, "FlatLaunch": 2, "TorchLaunch": 1}
    close([p.as_subclass(torch.Tensor) for p in ours], theirs, 1e-6, "not what torch's clip and AdamW give")


def test_weights_that_share_memory() -> None:
    """One after the other, as torch's loop; also when a pass over their sums has read the weights before."""
    for name, options in (("SGD", {"momentum": 0.9}), ("Adam", {})):
        ours, theirs = torch.arange(8.0), torch.arange(8.0)
        pairs = [[torch.nn.Parameter(x[:6]), torch.nn.Parameter(x[2:])] for x in (ours, theirs)]
        plain = getattr(thalweg, name)(pairs[0], lr=0.1, **options)
        torchs = getattr(torch.optim, name)(pairs[1], lr=0.1, foreach=False, **options)
        for params in pairs:
            for p in params:
                p.grad = torch.ones(6)
        plain.step()
        torchs.step()
        assert kinds(plain) == ["FlatLaunch", "FlatLaunch"]
        close([ours], [theirs], 1e-6, f"{name} of weights that share memory")
    ends = []
    for available in (False, True):
        whole = torch.arange(1.0, 9.0)
        with pytest.MonkeyPatch.context() as again:
            again.setattr(reading, "available", lambda known=available: known)
            params = [torch.nn.Parameter(whole[:6]), torch.nn.Parameter(whole[2:])]
            lamb = thalweg.LAMB(params, lr=0.1)
            cases.run(lamb, gradients(2, ((6,), (6,))))
        assert kinds(lamb) == ["KernelLaunch" if available else "FlatLaunch"] * 2
        ends.append(whole)
    same_bits(ends[:1], ends[1:], "a pass over sums has read weights that another update has moved since")


def test_turns_elsewhere_than_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an address need not count bytes, what shares a storage is told by its offsets."""
    whole, other = torch.zeros(10), torch.zeros(10)
    params = [torch.nn.Parameter(x) for x in (whole[:6], other, whole[4:], whole[6:])]
    expected = reading.turns(params)
    monkeypatch.setattr(reading, "plain", lambda param: False)
    assert reading.turns(params) == expected == [0, 0, 1, 2]


def test_states_are_tensors_of_their_own() -> None:
    """One that is saved by itself brings no other along; one that is put in its place is gone on from."""
    shapes = ((5,), (9_000,))
    params = weights(torch.float32, shapes)
    made = thalweg.Adam(params, lr=0.1)
    rows = gradients(3, shapes)
    cases.run(made, rows[:2])
    assert kinds(made) == ["FlatLaunch"]
    saved = io.BytesIO()
    torch.save(made.state[params[0]], saved)
    assert saved.tell() < 5_000
    for kind in (torch.float32, torch.float64):  # the same plan, and another
        start = [p.detach().clone() for p in params]
        made.state[params[0]]["exp_avg"] = torch.zeros(5, dtype=kind)
        made.state[params[0]]["exp_avg_sq"] = torch.full((5,), 1.0, dtype=kind)
        count = float(made.state[params[0]]["step"]) + 1
        cases.run(made, rows[2:])
        g = rows[2][0]
        assert g is not None
        m, v = 0.1 * g / (1 - 0.9**count), (0.999 + 0.001 * g * g) / (1 - 0.999**count)
        close([params[0]], [start[0] - 0.1 * m / (v.sqrt() + 1e-8)], 1e-6, f"after a state was replaced by {kind}")


def test_states_that_two_parameters_share() -> None:
    """They are updated in turn, as by torch's loop: here by hand, of a momentum buffer that both add to."""
    params = [torch.nn.Parameter(torch.zeros(3)) for _ in range(2)]
    made = thalweg.SGD(params, lr=1.0, momentum=0.5)
    shared = torch.full((3,), 4.0)
    for p in params:
        made.state[p]["momentum_buffer"] = shared
        made.state[p]["step"] = torch.tensor(1.0)
        p.grad = torch.ones(3)
    made.step()
    assert [p[0].item() for p in params] == [-3.0, -2.5]
    assert shared.tolist() == [2.5] * 3


def test_weights_that_come_to_share_memory() -> None:
    """Of weights that have moved a new plan is made."""
    whole = torch.zeros(6)
    params = [torch.nn.Parameter(torch.zeros(4)) for _ in range(2)]
    made = thalweg.SGD(params, lr=1.0)
    for data in (None, (whole[:4], whole[2:])):
        if data is not None:
            params[0].data, params[1].data = data
        for p in params:
            p.grad = torch.ones(4)
        made.step()
    assert whole.tolist() == [-1.0, -1.0, -2.0, -2.0, -1.0, -1.0]


def test_weights_and_gradients_of_another_type_later() -> None:
    """A new plan: nothing is rounded on the way."""
    param = torch.nn.Parameter(torch.ones(3))
    made = thalweg.SGD([param], lr=1.0)
    param.grad = torch.ones(3)
    made.step()
    param.data = torch.full((3,), 1 + 2.0**-40, dtype=torch.float64)
    param.grad = torch.full((3,), 2.0**-45, dtype=torch.float64)
    made.step()
    assert param.tolist() == [1 + 2.0**-40 - 2.0**-45] * 3
    param.data = torch.ones(2, 2)
    param.grad = torch.full((2, 2), 0.5)
    made.step()
    assert param.tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_steps_in_modes() -> None:
    """What is kept from one step to the next was made as outside of all modes."""
    params = [torch.nn.Parameter(torch.zeros(3)) for _ in range(2)]
    made = thalweg.SGD(params, lr=1.0, clip_norm=1.0, clip_eps=0.0)
    for number, mode in enumerate((torch.inference_mode(), torch.no_grad(), torch.device("meta"), torch.enable_grad())):
        for p in params:
            p.grad = torch.tensor([3.0, 0.0, 4.0])
        with mode:
            made.step()
        moved = [-(number + 1) * share / math.sqrt(2) for share in (0.6, 0.0, 0.8)]
        assert params[1].tolist() == pytest.approx(moved, rel=1e-6)


def test_gradients_that_nothing_can_be_copied_into() -> None:
    """One number for all, and cleared; and one gradient of two parameters."""
    params = [torch.nn.Parameter(torch.ones(4)) for _ in range(3)]
    made = thalweg.SGD(params, lr=1.0, clear=True)
    params[0].grad = torch.tensor(0.5).expand(4)
    params[1].grad = params[2].grad = torch.full((4,), 0.25)
    made.step()
    assert [p.tolist() for p in params] == [[0.5] * 4, [0.75] * 4, [0.75] * 4]
    assert [p.grad.tolist() for p in params if p.grad is not None] == [[0.0] * 4] * 3


def test_what_is_not_finite_stops_the_step() -> None:
    for nonfinite in ("raise", "skip"):
        params = weights(torch.float32, ((3,), (5,)))
        start = [p.detach().clone() for p in params]
        made = thalweg.Adam(params, lr=0.1, nonfinite=nonfinite, clip_norm=1.0)
        watched = made.watch(1)
        cases.give(params, gradients(1, ((3,), (5,)))[0])
        assert params[1].grad is not None
        params[1].grad[2] = math.inf
        if nonfinite == "raise":
            with pytest.raises(thalweg.NonFiniteGradient, match="parameter 1"):
                made.step()
        else:
            made.step()
        same_bits(params, start, "a step that was stopped moved a weight")
        assert not dict.get(made.state, params[0])
        cases.run(made, gradients(1, ((3,), (5,))))
        assert watched.read("tensor")["parameter 1 of group 0 (5)"].nonfinite == 1


def test_norms_that_people_log() -> None:
    """Of gradient, weight and step by hand; how often was clipped, of all and by tensor."""
    for scope, share in (("all", [1.0, 1.0]), ("tensor", [1.0, 0.0])):
        params = [torch.nn.Parameter(torch.full((4,), 3.0)), torch.nn.Parameter(torch.zeros(1))]
        made = thalweg.SGD(params, lr=0.5, clip_norm=1.0, clip_scope=scope, clip_eps=0.0)
        watched = made.watch(1)
        params[0].grad, params[1].grad = torch.full((4,), 1.5), torch.zeros(1)
        made.step()
        assert kinds(made) == ["FlatLaunch"]
        found = [*watched.read("tensor").values()]
        assert [n.gradient for n in found] == [3.0, 0.0]
        assert [n.weight for n in found] == [6.0, 0.0]
        assert [n.step for n in found] == pytest.approx([0.5, 0.0])
        assert [n.clipped for n in found] == share


def test_who_is_served_and_how() -> None:
    """The plan's launches, and what the words say."""
    params = weights(torch.float32, ((3, 4), (5,)))
    for make, kind, said in (
        (thalweg.AdamW, "FlatLaunch", "many at once, as kernels cannot be compiled here: 2 parameters"),
        (thalweg.Adafactor, "TorchLaunch", "one by one, as kernels cannot be compiled here: 1 parameter"),
    ):
        made = make(params, lr=0.1)
        cases.run(made, gradients(1, ((3, 4), (5,))))
        assert {*kinds(made)} == {kind}
        assert said in str(made.explain())
    large = weights(torch.float32, ((flat_launch.ALONE_ABOVE + 1,), (5,)))
    made = thalweg.AdamW(large, lr=0.1)
    cases.run(made, gradients(1, ((flat_launch.ALONE_ABOVE + 1,), (5,))))
    assert kinds(made) == ["TorchLaunch", "FlatLaunch"]
