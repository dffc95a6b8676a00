"""torch.compile around the whole training step: the numbers of the plain loop, and nothing of ours traced."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from small_training import EVERY, MADE, SPAN, batch, distance, loss_of, network, train, weights

import thalweg

# torch's own: dynamo's first look at a function imports torch.utils.mkldnn, which uses torch.jit.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")

BACKENDS = ["eager", "aot_eager"]


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


def compiled(
    made_by: Callable[[Any], torch.optim.Optimizer], backend: str, schedule: bool = False, steps: int = 6
) -> torch.Tensor:
    """Train with one compiled function that does everything; the weights it ends with."""
    model = network()
    made = made_by(model.parameters())
    annealing = torch.optim.lr_scheduler.ExponentialLR(made, 0.8) if schedule else None

    @torch.compile(backend=backend)
    def step(x: torch.Tensor, y: torch.Tensor) -> None:
        made.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        made.step()

    for number in range(steps):
        step(*batch(number))
        if annealing is not None:
            annealing.step()
    return weights(model)


def graphs() -> int:
    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


@pytest.mark.slow
class TestNumbers:
    @pytest.mark.parametrize("name", [*SPAN, "adamw", "joined"])
    def test_are_the_plain_loops(self, name: str) -> None:
        """The second backend does all that the first does."""
        model = network()
        plain = train(model, MADE[name](model.parameters(), **EVERY[name]))
        for backend in BACKENDS if name in SPAN else BACKENDS[1:]:
            assert torch.equal(compiled(lambda ps: MADE[name](ps, **EVERY[name]), backend), plain), backend

    def test_of_every_option(self) -> None:
        options: dict[str, Any] = {"clip_norm": 0.05, "clip_value": 0.01, "nonfinite": "raise"}
        model = network()
        plain = train(model, thalweg.AdamW(model.parameters(), lr=0.05, **options))
        assert torch.equal(compiled(lambda ps: thalweg.AdamW(ps, lr=0.05, **options), "aot_eager"), plain)

    @pytest.mark.parametrize("lr", [0.05, torch.tensor(0.05)], ids=["float", "tensor"])
    def test_follow_a_schedule(self, lr: Any) -> None:
        model = network()
        made = thalweg.AdamW(model.parameters(), lr=0.05)
        plain = train(model, made, after=torch.optim.lr_scheduler.ExponentialLR(made, 0.8).step)
        found = compiled(lambda ps: thalweg.AdamW(ps, lr=lr), "aot_eager", schedule=True)
        assert distance(found, plain) < 1e-5

    def test_of_the_step_alone(self) -> None:
        """As in torch's recipe for compiled optimizers."""
        model, other = network(), network()
        plain = train(model, thalweg.AdamW(model.parameters(), lr=0.05))
        made = thalweg.AdamW(other.parameters(), lr=0.05)
        step = torch.compile(made.step, backend="aot_eager")
        for number in range(6):
            loss_of(other, number).backward()
            step()
            made.zero_grad()
        assert torch.equal(weights(other), plain)

    @pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
    def test_with_inductor(self) -> None:
        """Its kernels for the forward and backward passes round differently."""
        model = network()
        plain = train(model, thalweg.AdamW(model.parameters(), lr=0.05))
        assert distance(compiled(lambda ps: thalweg.AdamW(ps, lr=0.05), "inductor"), plain) < 1e-3


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_model_and_plain_step(backend: str) -> None:
    """The usual way: only the model is compiled."""
    model, other = network(), network()
    plain = train(model, thalweg.AdamW(model.parameters(), lr=0.05))
    wrapped = torch.compile(other, backend=backend)
    assert torch.equal(train(wrapped, thalweg.AdamW(wrapped.parameters(), lr=0.05)), plain)


def test_only_the_model_is_a_graph() -> None:
    """The step is one opaque call: model and loss are compiled and nothing else, however often lr changes."""
    compiled(lambda ps: thalweg.AdamW(ps, lr=0.05, clip_norm=1.0), "eager", schedule=True, steps=4)
    assert graphs() == 1
