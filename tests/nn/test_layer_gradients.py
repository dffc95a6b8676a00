"""Gradients, gradients of gradients, and what autograd must notice."""

import gc
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from norm_cases import FAMILIES, LAYERS, LAYOUTS, TOKENS, Layer, apart, by_kernels, compared, drawn, exactly
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

import thalweg.nn
from thalweg.nn import functional

pytestmark = pytest.mark.usefixtures("kernels")

HALVES = ("y", "sum", "both")


def small(layer: Layer) -> Layer:
    """Fewer numbers, since each is moved apart; planes keep as many as kernels need."""
    shape = (2, 2, *layer.shape[2:]) if layer.of_batches else (2, *layer.shape[1:])
    if layer.shape[2:] == () and layer.of_batches:
        shape = (4, 2)
    if layer.shape[2:] == (17,):
        shape = (2, 2, 16)
    return Layer(layer.name, (2,) if layer.of_batches else layer.args, shape, layer.layout)


def leaves(layer: Layer, module: torch.nn.Module) -> list[Tensor]:
    parameters = [p.detach().requires_grad_() for p in module.parameters()]
    return [layer.x(0, torch.float64).requires_grad_(), *parameters]


def as_function(module: torch.nn.Module, lay: Callable[[Tensor], Tensor] = lambda x: x) -> Callable[..., Any]:
    """Of x and the parameters, from the same buffers each time."""
    names = [name for name, _ in module.named_parameters()]
    kept = {name: buffer.clone() for name, buffer in module.named_buffers()}

    def function(x: Tensor, *parameters: Tensor) -> Any:
        state = dict(zip(names, parameters, strict=True)) | {name: b.clone() for name, b in kept.items()}
        return functional_call(module, state, (lay(x),))

    return function


class TestGradcheck:
    @pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
    @pytest.mark.parametrize("layer", LAYERS, ids=str)
    def test_every_layer_and_mode(self, layer: Layer, training: bool) -> None:
        layer = small(layer)
        module = layer.pair(torch.float64)[0]
        module(layer.x(3, torch.float64))
        function, inputs = as_function(module.train(training)), leaves(layer, module)
        assert by_kernels(function(*inputs)) == (training or not layer.of_batches)
        assert gradcheck(function, inputs, fast_mode=layer.of_batches and not training)
        assert gradgradcheck(function, inputs, fast_mode=True)

    @pytest.mark.slow
    @pytest.mark.parametrize("layer", LAYERS, ids=str)
    def test_every_entry_of_the_second(self, layer: Layer) -> None:
        module = small(layer).pair(torch.float64)[0]
        assert gradgradcheck(as_function(module), leaves(small(layer), module))

    def test_many_at_a_time(self) -> None:
        for layer in map(small, FAMILIES):
            module = layer.pair(torch.float64)[0]
            inputs = leaves(layer, module)
            assert gradcheck(as_function(module), inputs, check_batched_grad=True, fast_mode=True)
            assert gradgradcheck(as_function(module), inputs, check_batched_grad=True, fast_mode=True)

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("layer", FAMILIES, ids=str)
    def test_every_layout(self, layer: Layer, layout: str) -> None:
        layer = small(layer)
        module = layer.pair(torch.float64)[0]
        function, inputs = as_function(module, LAYOUTS[layout]), leaves(layer, module)
        assert gradcheck(function, inputs, fast_mode=True)
        assert gradgradcheck(function, inputs, fast_mode=True)

    @pytest.mark.parametrize(
        "options",
        [{"affine": False}, {"track_running_stats": False}, {"affine": False, "track_running_stats": False}],
        ids=str,
    )
    def test_batchnorm_without(self, options: dict[str, bool]) -> None:
        for layer in map(small, FAMILIES[2:]):
            for training in (True, False):
                module = layer.pair(torch.float64, **options)[0].train(training)
                function, inputs = as_function(module), leaves(layer, module)
                assert gradcheck(function, inputs, fast_mode=True)
                assert gradgradcheck(function, inputs, fast_mode=True)

    def test_tokens_without(self) -> None:
        for layer, options in (
            (TOKENS[0], {"elementwise_affine": False}),
            (TOKENS[2], {"elementwise_affine": False}),
            (TOKENS[2], {"bias": False}),
        ):
            module = small(layer).pair(torch.float64, **options)[0]
            function, inputs = as_function(module), leaves(small(layer), module)
            assert gradcheck(function, inputs, fast_mode=True)
            assert gradgradcheck(function, inputs, fast_mode=True)

    def test_bias_alone(self) -> None:
        """The functions can be called so. torch 2.13's own second derivative is wrong there: the bias's by dy is 0."""
        x, bias = drawn((3, 5)).requires_grad_(), drawn((5,), 1).requires_grad_()
        for function in (
            lambda x, bias: functional.layer_norm(x, (5,), None, bias),
            lambda x, bias: functional.batch_norm(x, None, None, None, bias, True),
        ):
            assert by_kernels(function(x, bias))
            assert gradcheck(function, (x, bias))

    @pytest.mark.parametrize("half", HALVES)
    @pytest.mark.parametrize("layer", TOKENS[::2], ids=str)
    def test_residuals(self, layer: Layer, half: str) -> None:
        layer = small(layer)
        module = layer.pair(torch.float64)[0]
        names = [name for name, _ in module.named_parameters()]

        def function(x: Tensor, residual: Tensor, *parameters: Tensor) -> Any:
            both = functional_call(module, dict(zip(names, parameters, strict=True)), (x, residual))
            assert by_kernels(*both)
            return both if half == "both" else both[HALVES.index(half)]

        x, *parameters = leaves(layer, module)
        inputs = (x, layer.x(1, torch.float64).requires_grad_(), *parameters)
        assert gradcheck(function, inputs)
        assert gradgradcheck(function, inputs, fast_mode=True)

        def summed(x: Tensor, residual: Tensor, *parameters: Tensor) -> Tensor:
            y, total = functional_call(module, dict(zip(names, parameters, strict=True)), (x, residual))
            return y * total.square()

        assert gradgradcheck(summed, inputs, fast_mode=True)

    def test_a_residual_that_is_x(self) -> None:
        for layer in map(small, TOKENS[::2]):
            module = layer.pair(torch.float64)[0]
            x = layer.x(0, torch.float64).requires_grad_()
            assert gradcheck(lambda x, module=module: module(x, x), (x,), fast_mode=True)
            assert gradgradcheck(lambda x, module=module: module(x, x), (x,), fast_mode=True)


@pytest.mark.parametrize("layer", FAMILIES, ids=str)
class TestFrozen:
    """Each combination of what wants a gradient."""

    def test_each_gets_what_it_wants(self, layer: Layer) -> None:
        dy = drawn(layer.shape, 1, torch.float32)
        whole = compared(layer, layer.x(), dy)[1]
        parameters = len(list(layer.pair()[0].parameters()))
        for wants in itertools.product((True, False), repeat=1 + parameters):
            module = layer.pair()[0]
            tensors = [layer.x(), *module.parameters()]
            for tensor, want in zip(tensors, wants, strict=True):
                tensor.requires_grad_(want)
            y = module(tensors[0])
            assert y.requires_grad == any(wants)
            if any(wants):
                assert by_kernels(y)
                y.backward(dy)
            for tensor, want, expected in zip(tensors, wants, whole[1:], strict=False):
                assert (tensor.grad is not None) == want
                if want:
                    assert apart(tensor.grad, expected) < 1e-5

    def test_second_gradients(self, layer: Layer) -> None:
        for wants in ((True, False), (False, True), (True, True)):
            found = []
            for module in layer.pair(torch.float64):
                tensors = [layer.x(0, torch.float64), module.weight]
                for tensor, want in zip(tensors, wants, strict=True):
                    tensor.requires_grad_(want)
                wanted = [tensor for tensor in tensors if tensor.requires_grad]
                first = torch.autograd.grad(module(tensors[0]).pow(3).sum(), wanted, create_graph=True)
                second = torch.autograd.grad(sum(g.square().sum() for g in first), wanted, materialize_grads=True)
                found.append([*first, *second])
            for mine, theirs in zip(*found, strict=True):
                assert apart(mine, theirs) < 1e-11


class TestResidualGradients:
    def test_frozen(self) -> None:
        layer = TOKENS[2]
        dy, dsum = drawn(layer.shape, 1, torch.float32), drawn(layer.shape, 2, torch.float32)
        for wants in itertools.product((True, False), repeat=3):
            if not any(wants):
                continue
            found = []
            for ours in (True, False):
                module = layer.pair()[not ours]
                module.bias.requires_grad_(False)
                tensors = [layer.x(), layer.x(5), module.weight]
                for tensor, want in zip(tensors, wants, strict=True):
                    tensor.requires_grad_(want)
                total = tensors[0] + tensors[1]
                y, total = module(*tensors[:2]) if ours else (module(total), total)
                loss = (y * dy).sum() + (total * dsum).sum()
                loss.backward()
                found.append([tensor.grad for tensor in tensors])
            for mine, theirs in zip(*found, strict=True):
                assert (mine is None) == (theirs is None)
                assert mine is None or apart(mine, theirs) < 1e-5

    def test_a_sum_of_what_wants_no_gradient(self) -> None:
        module = TOKENS[2].pair()[0]
        _, total = module(TOKENS[2].x(), TOKENS[2].x(1))
        assert not total.requires_grad

    def test_gradients_have_memory_of_their_own(self) -> None:
        for half in HALVES:
            x, residual = (TOKENS[2].x(seed).requires_grad_() for seed in range(2))
            y, total = TOKENS[2].pair()[0](x, residual)
            loss = {"y": y.pow(3), "sum": total.square(), "both": y.pow(3) + total}[half]
            loss.sum().backward()
            assert x.grad is not None
            assert residual.grad is not None
            kept = residual.grad.clone()
            x.grad.zero_()
            assert torch.equal(residual.grad, kept)


GRADIENT_LAYOUTS = {name: lay for name, lay in LAYOUTS.items() if name != "expanded"} | {
    "one number": lambda dy: dy.flatten()[:1].expand(dy.shape).view(dy.shape) if dy.dim() == 1 else dy.mean() + 0 * dy,
    "from a sum": lambda dy: torch.ones(()).to(dy.dtype).expand(dy.shape),
    "by line": lambda dy: dy[..., :1].expand(dy.shape),
    "by example": lambda dy: dy[:1].expand(dy.shape),
    "zeros": torch.zeros_like,
    "a leaf": lambda dy: dy.clone().requires_grad_(),
}


@pytest.mark.parametrize("layer", FAMILIES, ids=str)
@pytest.mark.parametrize("layout", GRADIENT_LAYOUTS)
def test_layouts_of_the_given_gradient(layer: Layer, layout: str) -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        dy = GRADIENT_LAYOUTS[layout](drawn(layer.shape, 1, dtype))
        kept = dy.detach().clone()
        exact = exactly(layer, layer.x(0, dtype), dy)
        ours, torchs = compared(layer, layer.x(0, dtype), dy)
        floor = 1e-2 if dtype is torch.bfloat16 else 1e-5
        for mine, theirs, true in zip(ours[1:], torchs[1:], exact[1:], strict=True):
            assert mine.dtype == theirs.dtype
            assert (mine.detach() - true).double().norm() <= floor * (
                dy.detach().double().norm() + true.double().norm()
            )
        assert torch.equal(dy, kept)


@pytest.mark.parametrize("layer", FAMILIES, ids=str)
class TestAutograd:
    def test_in_place_changes_are_noticed(self, layer: Layer) -> None:
        """Of x and weight, as torch notices them; the output may be changed."""
        for what in ("x", "weight"):
            for module in layer.pair():
                x = layer.x().requires_grad_()
                moved = x * 1
                y = module(moved)
                with torch.no_grad():
                    (moved if what == "x" else module.weight).add_(1)
                with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                    y.sum().backward()
        found = []
        for module in layer.pair():
            x = layer.x().requires_grad_()
            y = module(x)
            y.mul_(2).add_(y)
            found.append(torch.autograd.grad(y, x, drawn(layer.shape, 1, torch.float32))[0])
        assert apart(*found) < 1e-5

    def test_a_second_backward_needs_the_graph(self, layer: Layer) -> None:
        module = layer.pair()[0]
        x = layer.x().requires_grad_()
        y = module(x)
        first, second = (torch.autograd.grad(y, x, torch.ones_like(y), retain_graph=keep)[0] for keep in (True, False))
        assert torch.equal(first, second)
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            torch.autograd.grad(y, x, torch.ones_like(y))

    def test_the_graph_goes_with_the_output(self, layer: Layer) -> None:
        module = layer.pair()[0]
        x = layer.x()
        gone = weakref.ref(x)
        gc.disable()
        try:
            y = module(x.requires_grad_())
            del x, y
            assert gone() is None
        finally:
            gc.enable()

    def test_gradients_add_up(self, layer: Layer) -> None:
        found = []
        for module in layer.pair():
            x = layer.x().requires_grad_()
            for seed in range(2):
                module(module(x)).backward(drawn(layer.shape, seed, torch.float32))
            found.append([x.grad, *(p.grad for p in module.parameters())])
        for mine, theirs in zip(*found, strict=True):
            assert apart(mine, theirs) < 3e-5

    def test_hooks_see_the_gradient_once(self, layer: Layer) -> None:
        found = []
        for module in layer.pair():
            x = layer.x().requires_grad_()
            moved = x * 1
            moved.register_hook(lambda g: 2 * g)
            moved.retain_grad()
            module.weight.register_hook(lambda g: 3 * g)
            module(moved).pow(3).sum().backward()
            found.append([x.grad, moved.grad, module.weight.grad])
        for mine, theirs in zip(*found, strict=True):
            assert apart(mine, theirs) < 1e-5

    def test_hooks_see_a_differentiable_gradient_once(self, layer: Layer) -> None:
        found = []
        for module in layer.pair(torch.float64):
            x = layer.x(0, torch.float64).requires_grad_()
            moved = x * 1
            moved.register_hook(lambda g: 2 * g)
            module.weight.register_hook(lambda g: 3 * g)
            loss = module(moved).pow(3).sum()
            found.append(torch.autograd.grad(loss, (x, module.weight), create_graph=True))
        for mine, theirs in zip(*found, strict=True):
            assert apart(mine, theirs) < 1e-11

    def test_saved_tensors_that_come_back_laid_out_anew(self, layer: Layer) -> None:
        def anew(t: Tensor) -> Tensor:
            return LAYOUTS["transposed"](t) if layer.layout == "contiguous" else t.contiguous()

        found = []
        for module in layer.pair():
            x = layer.x().requires_grad_()
            with torch.autograd.graph.saved_tensors_hooks(lambda t: t, anew):
                y = module(x)
            found.append(torch.autograd.grad(y, x, drawn(layer.shape, 1, torch.float32))[0])
        assert apart(*found) < 1e-5

    def test_saved_tensors_that_come_back_as_they_were(self, layer: Layer) -> None:
        expected = compared(layer, layer.x(), drawn(layer.shape, 1, torch.float32))[0]
        module = layer.pair()[0]
        for pack, unpack in (
            (lambda t: t.clone(), lambda t: t),
            (lambda t: t.detach().numpy().copy(order="K"), torch.from_numpy),
            (lambda t: (t.double(), t.dtype), lambda kept: kept[0].to(kept[1])),
        ):
            x = layer.x().requires_grad_()
            with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
                y = module(x)
            assert by_kernels(y)
            found = torch.autograd.grad(y, (x, *module.parameters()), drawn(layer.shape, 1, torch.float32))
            for mine, theirs in zip(found, expected[1:], strict=False):
                assert torch.equal(mine, theirs)

    def test_save_on_cpu_and_anomalies(self, layer: Layer) -> None:
        expected = compared(layer, layer.x(), drawn(layer.shape, 1, torch.float32))[0][1]
        module = layer.pair()[0]
        x = layer.x().requires_grad_()
        with (
            pytest.warns(UserWarning, match="Anomaly Detection"),
            torch.autograd.graph.save_on_cpu(),
            torch.autograd.detect_anomaly(),
        ):
            found = torch.autograd.grad(module(x), x, drawn(layer.shape, 1, torch.float32))[0]
        assert torch.equal(found, expected)


def test_batchnorms_bias_may_change_before_backward() -> None:
    for layer in FAMILIES[2:]:
        for module in reversed(layer.pair()):
            y = module(layer.x().requires_grad_())
            with torch.no_grad():
                module.bias.add_(1)
            y.sum().backward()


def test_running_statistics_may_move_before_backward() -> None:
    """Two batches, then the gradients of both: a discriminator's training."""
    for layer in FAMILIES[2:]:
        found = []
        for module in layer.pair():
            x = layer.x().requires_grad_()
            (module(x).pow(3).sum() + module(x + 1).pow(2).sum()).backward()
            found.append(x.grad)
        assert apart(*found) < 1e-4


def test_outputs_of_a_residual_call_may_change() -> None:
    """The norm may; the sum is saved, and autograd says so."""
    module = TOKENS[2].pair()[0]
    x = TOKENS[2].x().requires_grad_()
    y, _ = module(x, TOKENS[2].x(1))
    y.mul_(2)
    y.sum().backward()
    y, total = module(x, TOKENS[2].x(1))
    total.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_hessians_and_jacobians() -> None:
    for layer in map(small, FAMILIES):
        ours, torchs = (as_function(module) for module in layer.pair(torch.float64))
        inputs = tuple(t.detach() for t in leaves(layer, layer.pair(torch.float64)[0]))
        assert apart(
            torch.cat([h.reshape(h.numel()) for row in hessian(ours, inputs) for h in row]),
            torch.cat([h.reshape(h.numel()) for row in hessian(torchs, inputs) for h in row]),
        ) < 1e-11  # fmt: skip
        found, expected = (torch.autograd.functional.jacobian(function, inputs) for function in (ours, torchs))
        for mine, theirs in zip(found, expected, strict=True):
            assert apart(mine, theirs) < 1e-11


def test_many_gradients_at_a_time() -> None:
    """is_grads_batched, and the vectorised Jacobian that rests on it."""
    for layer in map(small, FAMILIES):
        found = []
        for module in layer.pair(torch.float64):
            x = layer.x(0, torch.float64).requires_grad_()
            rows = drawn((3, *layer.shape), 2)
            batched = torch.autograd.grad(module(x), (x, *module.parameters()), rows, is_grads_batched=True)
            inputs = (x.detach(), *(p.detach() for p in module.parameters()))
            jacobian = torch.autograd.functional.jacobian(as_function(module), inputs, vectorize=True)
            found.append([*batched, *jacobian])
        for mine, theirs in zip(*found, strict=True):
            assert apart(mine, theirs) < 1e-11


def hessian(function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Any:
    return torch.autograd.functional.hessian(lambda *args: function(*args).pow(3).sum(), inputs)


def test_a_third_derivative() -> None:
    for layer in map(small, FAMILIES):
        found = []
        for module in layer.pair(torch.float64):
            x = layer.x(0, torch.float64).requires_grad_()
            value = module(x).pow(4).sum()
            for _ in range(2):
                (slope,) = torch.autograd.grad(value, x, create_graph=True)
                value = slope.pow(2).sum()
            try:
                found.append(torch.autograd.grad(value, x)[0])
            except RuntimeError as refused:  # by torch 2.14, of its own BatchNorm
                found.append(str(refused))
        assert found[0] == found[1] if isinstance(found[1], str) else apart(*found) < 1e-10


def test_only_what_is_large_enough_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for layer in FAMILIES:
        y = layer.pair()[0](layer.x().requires_grad_())
        assert not by_kernels(y)
    large = thalweg.nn.RMSNorm(64)
    assert by_kernels(large(torch.ones(functional.RMS_FROM // 64, 64)))
    assert not by_kernels(large(torch.ones(functional.RMS_FROM // 64 - 1, 64)))
