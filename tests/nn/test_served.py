"""Wherever torch follows a tensor in its own ways, the layers are torch's: kernels stay away, or are right."""

import copy
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from norm_cases import FAMILIES, LAYERS, SIZES, Layer, apart, by_kernels, compared, drawn
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import forked
import thalweg.nn
from thalweg.nn import functional

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    # torch's own forward derivatives script a function, its RMSNorm warns of bfloat16 inputs, its tracer of Python.
    pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning"),
]
each_family = pytest.mark.parametrize("layer", FAMILIES, ids=str)
F64 = torch.float64


def dx_of(module: torch.nn.Module, x: Tensor, dy: Tensor) -> list[Tensor]:
    leaf = x.detach().requires_grad_()
    y = module(leaf)
    return [y.detach(), *torch.autograd.grad(y, (leaf, *module.parameters()), dy)]


def same(layer: Layer, ask: Callable[[torch.nn.Module], Any], allowed: float = 1e-11) -> None:
    """Both modules give the same numbers, each once from fresh buffers."""
    found = [ask(module) for module in layer.pair(F64)]
    leaves = [torch.utils._pytree.tree_leaves(numbers) for numbers in found]
    assert len(leaves[0]) == len(leaves[1]) > 0
    for mine, theirs in zip(*leaves, strict=True):
        if isinstance(theirs, Tensor):
            assert apart(mine, theirs) < allowed
        else:
            assert mine == theirs


class Marked(torch.Tensor):
    """A subclass that keeps its class."""


class Passing(TorchDispatchMode):
    """Counts, and lets through."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


class Watching(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(getattr(func, "__name__", ""))
        return func(*args, **(kwargs or {}))


@each_family
class TestTransforms:
    """torch.func and forward mode."""

    def pure(self, layer: Layer, module: torch.nn.Module) -> Callable[..., Any]:
        """Without running statistics, which no transform may change."""
        if layer.of_batches:
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
        return lambda parameters, x: functional_call(module, parameters, (x,))

    def ask(self, layer: Layer, transform: Callable[[Callable[..., Any], Any, Tensor], Any]) -> None:
        def asked(module: torch.nn.Module) -> Any:
            parameters = {name: p.detach() for name, p in module.named_parameters()}
            return transform(self.pure(layer, module), parameters, layer.x(0, F64))

        same(layer, asked)

    def test_grad(self, layer: Layer) -> None:
        self.ask(layer, lambda f, p, x: grad(lambda p, x: f(p, x).pow(3).sum(), (0, 1))(p, x))

    def test_vjp_and_jvp(self, layer: Layer) -> None:
        self.ask(layer, lambda f, p, x: vjp(f, p, x)[1](x))
        self.ask(layer, lambda f, p, x: jvp(lambda x: f(p, x), (x,), (x.sin(),)))

    def test_jacobians(self, layer: Layer) -> None:
        self.ask(layer, lambda f, p, x: jacrev(f, (0, 1))(p, x))
        self.ask(layer, lambda f, p, x: jacfwd(lambda x: f(p, x))(x))

    def test_hessian(self, layer: Layer) -> None:
        self.ask(layer, lambda f, p, x: hessian(lambda x: f(p, x).pow(3).sum())(x))

    def test_vmap(self, layer: Layer) -> None:
        xs = torch.stack([layer.x(seed, F64) for seed in range(3)])
        self.ask(layer, lambda f, p, x: vmap(lambda x: f(p, x))(xs))
        self.ask(layer, lambda f, p, x: vmap(grad(lambda p, x: f(p, x).pow(3).sum()), (None, 0))(p, xs))

    def test_a_layer_called_outside(self, layer: Layer) -> None:
        """Its graph is walked inside."""

        def asked(module: torch.nn.Module) -> Any:
            x = layer.x(0, F64).requires_grad_()
            y = module(x)
            rows = drawn((3, *layer.shape), 2)
            return vmap(lambda dy: torch.autograd.grad(y, x, dy, retain_graph=True)[0])(rows)

        same(layer, asked)

    def test_forward_mode(self, layer: Layer) -> None:
        def asked(module: torch.nn.Module) -> Any:
            with forward_ad.dual_level():
                dual = forward_ad.make_dual(layer.x(0, F64), drawn(layer.shape, 1))
                return forward_ad.unpack_dual(module(dual))

        same(layer, asked)

    def test_forward_over_an_earlier_graph(self, layer: Layer) -> None:
        def asked(module: torch.nn.Module) -> Any:
            x = layer.x(0, F64).requires_grad_()
            y = module(x)
            with forward_ad.dual_level():
                dual = forward_ad.make_dual(drawn(layer.shape, 1), drawn(layer.shape, 2))
                return forward_ad.unpack_dual(torch.autograd.grad(y, x, dual)[0]).tangent

        same(layer, asked)


@each_family
class TestModes:
    def test_dispatch_and_function_modes_see_torchs_function(self, layer: Layer) -> None:
        for mode in (Passing, Watching):
            seen = []
            for module in layer.pair():
                with mode() as watching:
                    y = module(layer.x().requires_grad_())
                assert not by_kernels(y)
                seen.append(watching.seen)
            assert seen[1]
            assert set(seen[1]) <= set(seen[0])

    def test_backward_under_a_mode(self, layer: Layer) -> None:
        for mode in (Passing, Watching):

            def asked(module: torch.nn.Module, mode: Any = mode) -> Any:
                x = layer.x(0, F64).requires_grad_()
                y = module(x)
                with mode():
                    return torch.autograd.grad(y, (x, *module.parameters()), drawn(layer.shape, 1))

            same(layer, asked)

    def test_another_default_device(self, layer: Layer) -> None:
        def asked(module: torch.nn.Module) -> Any:
            x, dy = layer.x(0, F64).requires_grad_(), drawn(layer.shape, 1)
            y = module(x)
            with torch.device("meta"):
                return torch.autograd.grad(y, (x, *module.parameters()), dy)

        same(layer, asked)

    def test_autocast(self, layer: Layer) -> None:
        found = []
        for module in layer.pair():
            x = layer.x().requires_grad_()
            with torch.autocast("cpu", torch.bfloat16):
                y = module(x)
                half = module(x.bfloat16())
            loss = y.float().pow(3).sum()
            found.append([y, half, torch.autograd.grad(loss, x)[0]])
        for mine, theirs in zip(*found, strict=True):
            assert mine.dtype == theirs.dtype
            assert torch.equal(mine, theirs)

    def test_fake_tensors_and_meta(self, layer: Layer) -> None:
        for module in layer.pair():
            with FakeTensorMode(allow_non_fake_inputs=True):
                assert module(torch.empty(layer.shape)).shape == layer.shape
        for home in layer.pair():
            y = home.to("meta")(torch.empty(layer.shape, device="meta", requires_grad=True))
            assert y.is_meta
            assert not by_kernels(y)
            y.sum().backward()

    def test_subclasses(self, layer: Layer) -> None:
        for module in layer.pair():
            y = module(layer.x().as_subclass(Marked))
            assert type(y) is Marked
            assert not by_kernels(y)
        expected = layer.pair()[1](layer.x())
        assert torch.equal(layer.pair()[0](layer.x().as_subclass(Marked)).as_subclass(torch.Tensor), expected)

    def test_a_gradient_of_a_subclass(self, layer: Layer) -> None:
        def asked(module: torch.nn.Module) -> Any:
            x = layer.x(0, F64).requires_grad_()
            dy = drawn(layer.shape, 1).as_subclass(Marked)
            return torch.autograd.grad(module(x), x, dy)[0].as_subclass(torch.Tensor)

        same(layer, asked)

    def test_no_graph(self, layer: Layer) -> None:
        ours, torchs = layer.pair()
        for guard in (torch.no_grad, torch.inference_mode):
            with guard():
                found = ours(layer.x())
                assert apart(found, torchs(layer.x())) < 1e-5
            assert found.is_inference() == (guard is torch.inference_mode)

    def test_an_inference_tensor_cannot_be_saved(self, layer: Layer) -> None:
        with torch.inference_mode():
            x = layer.x().clone(memory_format=torch.preserve_format)
        with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
            layer.pair()[0](x)


@each_family
class TestRecorded:
    """Programs that torch makes of a model."""

    def net(self, layer: Layer) -> list[torch.nn.Module]:
        return [torch.nn.Sequential(module, torch.nn.Tanh()) for module in layer.pair()]

    def test_make_fx(self, layer: Layer) -> None:
        x, dy = layer.x(0, F64), drawn(layer.shape, 1)

        def asked(module: torch.nn.Module) -> Any:
            def step(x: Tensor) -> Any:
                leaf = x.detach().requires_grad_()
                return torch.autograd.grad(module(leaf), leaf, dy)[0]

            return make_fx(step)(x)(x + 1)

        same(layer, asked)

    @pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
    def test_jit_trace(self, layer: Layer) -> None:
        def asked(module: torch.nn.Module) -> Any:
            module.eval()
            return torch.jit.trace(module, (layer.x(0, F64),), check_trace=False)(layer.x(1, F64))

        same(layer, asked)

    def test_export(self, layer: Layer) -> None:
        def asked(module: torch.nn.Module) -> Any:
            program = torch.export.export(module.eval(), (layer.x(0, F64),))
            return program.module()(layer.x(1, F64))

        same(layer, asked)

    def test_symbolic_trace(self, layer: Layer, request: pytest.FixtureRequest) -> None:
        if layer.of_batches:
            reason = "its checks ask a proxy for its dimensions: only torch.nn's own modules are leaves to torch.fx"
            request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
        ours, torchs = (torch.fx.symbolic_trace(net) for net in self.net(layer)[::-1])
        assert apart(ours(layer.x()), torchs(layer.x())) < 1e-5

    @pytest.mark.slow
    @pytest.mark.parametrize("backend", ["eager", "aot_eager"])
    def test_compile(self, layer: Layer, backend: str) -> None:
        def asked(module: torch.nn.Module) -> Any:
            torch.compiler.reset()
            made = torch.compile(module, backend=backend, fullgraph=True)
            return dx_of(made, layer.x(0, F64), drawn(layer.shape, 1)), module.state_dict()

        same(layer, asked)


@pytest.mark.slow
@pytest.mark.parametrize("layer", [layer for layer in FAMILIES if not layer.of_batches], ids=str)
def test_compile_around_a_residual(layer: Layer) -> None:
    torch.compiler.reset()
    module = layer.pair()[0]
    made = torch.compile(module, backend="aot_eager", fullgraph=True)
    for mine, theirs in zip(made(layer.x(), layer.x(1)), module(layer.x(), layer.x(1)), strict=True):
        assert apart(mine, theirs) < 1e-5


@each_family
class TestMemory:
    """Checkpoints, replicas, threads, processes."""

    @pytest.mark.parametrize("reentrant", [False, True])
    def test_checkpoint(self, layer: Layer, reentrant: bool) -> None:
        def asked(module: torch.nn.Module) -> Any:
            x = layer.x(0, F64).requires_grad_()
            y = checkpoint(module, x, use_reentrant=reentrant)
            y.backward(drawn(layer.shape, 1))
            # Otherwise the second run ends with the last saved tensor, which is before or after the statistics' update.
            kept = module.state_dict() if reentrant else None
            return [y, x.grad, *(p.grad for p in module.parameters()), kept]

        same(layer, asked)

    def test_functional_call(self, layer: Layer) -> None:
        def asked(module: torch.nn.Module) -> Any:
            state = {name: (value * 2).clone() for name, value in module.state_dict().items()}
            y = functional_call(module, state, (layer.x(0, F64),))
            return y, state, module.state_dict()

        same(layer, asked)

    def test_replicas(self, layer: Layer) -> None:
        """As DataParallel makes them: attributes are shared, parameters are plain tensors of a graph."""

        def asked(module: torch.nn.Module) -> Any:
            replica = module._replicate_for_data_parallel()
            replica._former_parameters = {}
            for name, parameter in module.named_parameters():
                setattr(replica, name, parameter * 1)
            y = replica(layer.x(0, F64))
            return y, torch.autograd.grad(y, tuple(module.parameters()), drawn(layer.shape, 1)), module.state_dict()

        same(layer, asked)

    def test_threads(self, layer: Layer) -> None:
        dy = drawn(layer.shape, 1, torch.float32)
        expected = [compared(layer, layer.x(seed), dy)[0] for seed in range(2)]
        found: dict[int, bool] = {}

        def work(seed: int) -> None:
            found[seed] = all(
                torch.equal(mine, theirs)
                for _ in range(20)
                for mine, theirs in zip(compared(layer, layer.x(seed), dy)[0], expected[seed], strict=True)
            )

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {0: True, 1: True}

    def test_backward_on_another_thread(self, layer: Layer) -> None:
        dy = drawn(layer.shape, 1, torch.float32)
        expected = compared(layer, layer.x(), dy)[0][1]
        module, x = layer.pair()[0], layer.x().requires_grad_()
        y = module(x)
        thread = threading.Thread(target=lambda: y.backward(dy))
        thread.start()
        thread.join()
        assert x.grad is not None
        assert torch.equal(x.grad, expected)


def test_a_forked_child() -> None:
    """Which has no threads of its parent's, and large tensors to work on."""
    run(
        "import os\n"
        "layer, x = thalweg.nn.LayerNorm(512), torch.randn(2048, 512)\n"
        "torch.set_num_threads(2)\n"
        "expected = layer(x)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    y = layer(x)\n"
        "    torch.set_num_threads(1)  # for torch's own comparison\n"
        "    os._exit(not torch.equal(y, expected))\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )


def run(script: str) -> None:
    sizes = "".join(f"functional.{size} = 1\n" for size in SIZES)
    start = f"import torch, thalweg.nn\nfrom thalweg.nn import functional\n{sizes}"
    forked.code(start + script)


ZERO = "torch._efficientzerotensor((4, 16))"


@pytest.mark.parametrize(
    "script",
    [
        f"functional.layer_norm({ZERO}, (16,))",
        f"functional.batch_norm({ZERO}, None, None, None, None, True)",
        f"x = torch.randn(4, 16, requires_grad=True)\ntorch.autograd.grad(functional.rms_norm(x, (16,)), x, {ZERO})",
    ],
)
def test_zeros_without_memory(script: str) -> None:
    run(script)


def test_saved_tensors_that_come_back_in_another_type() -> None:
    run(
        "x = torch.randn(8192, 512, requires_grad=True)\n"
        "with torch.autograd.graph.saved_tensors_hooks(lambda t: t.bfloat16(), lambda t: t):\n"
        "    y = functional.add_layer_norm(x, torch.zeros(8192, 512), (512,))[0]\n"
        "dy = torch.randn(8192, 512)\n"
        "y.backward(dy)\n"
        "other = x.detach().clone().requires_grad_()\n"
        "torch.nn.functional.layer_norm(other, (512,)).backward(dy)\n"
        "assert (x.grad - other.grad).norm() < 0.01 * other.grad.norm()\n"
    )


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_nested_tensors() -> None:
    rows = [drawn((2, 8), 1, torch.float32), drawn((3, 8), 2, torch.float32)]
    for home in (torch.nn, thalweg.nn):
        found = home.LayerNorm(8)(torch.nested.nested_tensor(rows))
        for mine, theirs in zip(found.unbind(), rows, strict=True):
            assert apart(mine, torch.nn.LayerNorm(8)(theirs)) < 1e-6


def test_the_inputs_name() -> None:
    for layer in LAYERS:
        for module in reversed(layer.pair()):
            (argument, *_) = inspect.signature(type(module).forward).parameters.keys() - {"self", "residual"}
            assert argument in inspect.signature(type(layer.pair()[1]).forward).parameters
            module(**{argument: layer.x()})


def test_layouts_that_are_not_strided() -> None:
    for make in (lambda x: x.to_sparse(), lambda x: x.to_mkldnn()):
        fates = []
        for home in (thalweg.nn, torch.nn):
            try:
                fates.append(type(home.LayerNorm(8)(make(torch.ones(2, 8)))))
            except Exception as error:
                fates.append(type(error))
        assert fates[0] == fates[1]


def test_types_that_kernels_do_not_know() -> None:
    for dtype in (torch.float16, torch.complex64):
        x = drawn((4, 16), 1).to(dtype)
        assert torch.equal(functional.rms_norm(x, (16,)), torch.nn.functional.rms_norm(x, (16,)))
    x = drawn((4, 16), 1, torch.float16).requires_grad_()
    y = thalweg.nn.LayerNorm(16, dtype=torch.float16)(x)
    assert not by_kernels(y)


def test_a_copy_on_write_tensor_is_not_written() -> None:
    for layer in FAMILIES:
        x = layer.x()
        lazy = torch._lazy_clone(x)
        module = layer.pair()[0]
        assert torch.equal(module(lazy), copy.deepcopy(module)(x))
        assert torch.equal(lazy, x)
