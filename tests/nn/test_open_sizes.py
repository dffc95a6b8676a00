"""Models that are recorded with sizes left open: whether a tensor is large enough for kernels is no question then."""

from typing import Any

import pytest
import torch

import thalweg.nn
import thalweg.nn.recurrent

pytestmark = pytest.mark.slow

LAYERS = {
    "RMSNorm": (lambda: thalweg.nn.RMSNorm(64), (4, 16, 64), (64, 128, 64)),
    "LayerNorm": (lambda: thalweg.nn.LayerNorm(64), (4, 16, 64), (512, 256, 64)),
    "BatchNorm1d": (lambda: thalweg.nn.BatchNorm1d(64), (4, 64, 16), (128, 64, 64)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_exported_and_compiled_once(name: str) -> None:
    make, small, large = LAYERS[name]
    model: Any = torch.nn.Sequential(make(), torch.nn.Tanh())
    inputs = [torch.randn(small), torch.randn(large), torch.randn(large)]
    batch, length = torch.export.Dim.DYNAMIC, torch.export.Dim.DYNAMIC
    sizes = {0: batch, 2 if name == "BatchNorm1d" else 1: length}
    program = torch.export.export(model, (inputs[0],), dynamic_shapes=(sizes,)).module()
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(model, dynamic=True, backend="aot_eager")
    for x in inputs:
        expected = model(x)
        torch.testing.assert_close(program(x), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(compiled(x), expected, rtol=1e-4, atol=1e-4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_a_recurrent_layer_for_batches_of_any_size() -> None:
    model = thalweg.nn.recurrent.LayerNormGRU(8, 6).eval()
    sizes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(model, (torch.randn(4, 5, 8),), dynamic_shapes=sizes).module()
    x = torch.randn(9, 5, 8)
    torch.testing.assert_close(program(x)[0], model(x)[0], rtol=1e-4, atol=1e-5)
