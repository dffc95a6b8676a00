"""A tensor that moved costs itself: the plan is corrected, and made anew only where it does not fit any more."""

from collections.abc import Callable

import pytest
import torch

import thalweg
from attacking import MODES, use, weights
from thalweg.optim import Optimizer

Event = Callable[[Optimizer, list[torch.Tensor]], None]


def other_memory(made: Optimizer, params: list[torch.Tensor]) -> None:
    params[0].data = params[0].detach() * 0.5


def all_have_other_memory(made: Optimizer, params: list[torch.Tensor]) -> None:
    torch.nn.utils.vector_to_parameters(torch.nn.utils.parameters_to_vector(params).detach().clone(), params)


def a_state(made: Optimizer, params: list[torch.Tensor]) -> None:
    made.state[params[1]]["exp_avg"] = torch.full_like(params[1], 0.25)


def a_state_dictionary(made: Optimizer, params: list[torch.Tensor]) -> None:
    made.state[params[0]] = {key: value.clone() for key, value in made.state[params[0]].items()}


def a_step_count(made: Optimizer, params: list[torch.Tensor]) -> None:
    made.state[params[0]]["step"] = torch.tensor(7.0)


def another_list(made: Optimizer, params: list[torch.Tensor]) -> None:
    made.param_groups[0]["params"] = [*made.param_groups[0]["params"]]


def groups_made_anew(made: Optimizer, params: list[torch.Tensor]) -> None:
    made.param_groups = [{**group, "params": [*group["params"]]} for group in made.param_groups]


def another_order(made: Optimizer, params: list[torch.Tensor]) -> None:
    made.param_groups[0]["params"] = made.param_groups[0]["params"][::-1]


def another_type(made: Optimizer, params: list[torch.Tensor]) -> None:
    params[0].data = params[0].detach().float()
    params[0].grad = torch.ones_like(params[0])


def a_state_of_another_type(made: Optimizer, params: list[torch.Tensor]) -> None:
    made.state[params[0]]["exp_avg"] = made.state[params[0]]["exp_avg"].float()


def memory_of_another(made: Optimizer, params: list[torch.Tensor]) -> None:
    both = torch.cat([params[0].detach().flatten(), params[1].detach()])
    params[0].data = both[:9].view(3, 3)
    params[1].data = both[8:13]


CORRECTED = (other_memory, a_state, a_state_dictionary, a_step_count, another_list, groups_made_anew)
MADE_ANEW = (another_order, another_type, a_state_of_another_type, memory_of_another)


def trained(made: Optimizer, params: list[torch.Tensor], event: Event) -> bool:
    """Steps before and after an event; whether the plan is still the same."""

    def step(seed: int) -> None:
        for p in params:
            seeded = torch.Generator().manual_seed(seed)
            p.grad = torch.randn(p.shape, generator=seeded, dtype=torch.float64).to(p.dtype)
        made.step()

    for seed in range(3):
        step(seed)
    plan = made._plan
    event(made, params)
    for seed in range(3, 6):
        step(seed)
    return made._plan is plan


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("event", [*CORRECTED, *MADE_ANEW, all_have_other_memory])
def test_the_weights_are_those_of_a_plan_made_anew(event: Event, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the event does to an optimizer whose plan is thrown away before every step is the reference."""
    options = use(mode, monkeypatch)
    found = weights()
    kept = trained(thalweg.AdamW(found, lr=0.1, **options), found, event)
    again = weights()
    forgetful = thalweg.AdamW(again, lr=0.1, **options)
    forgetful.register_step_pre_hook(lambda made, *_: setattr(made, "_plan", None))
    trained(forgetful, again, event)
    assert all(torch.equal(p, q) for p, q in zip(found, again, strict=True))
    if event is not all_have_other_memory:
        assert kept == (event in CORRECTED)


def test_weights_that_move_into_one_memory_are_corrected_where_they_do_not_overlap() -> None:
    params = weights()
    assert trained(thalweg.AdamW(params, lr=0.1), params, all_have_other_memory)
