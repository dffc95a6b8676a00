"""Attacks on an optimizer's state: whoever holds a tensor of it may do with it what he likes, at any time."""

import collections
import copy
import pickle
from typing import Any

import pytest
import torch

import thalweg
from attacking import Attack, Attacks, Run, compare, fresh, use, weights

attack = Attacks()


@attack()
def state_tensors_replaced(run: Run) -> None:
    run.step(0)
    for place in range(3):
        state = run.state(place)
        state["exp_avg"] = torch.full_like(state["exp_avg"], 0.5)
        state["exp_avg_sq"] = state["exp_avg_sq"].clone()
    run.step(1)
    run.state(0)["exp_avg"].data = torch.zeros(3, 3, dtype=torch.float64)
    run.step(2)
    run.state(1)["exp_avg"].set_(torch.ones(5, dtype=torch.float64))
    run.step(3)


@attack()
def state_dictionaries_replaced(run: Run) -> None:
    run.step(0)
    for p in run.params[:2]:
        run.made.state[p] = {key: value.clone() for key, value in run.made.state[p].items()}
    run.step(1)
    run.made.state[run.params[2]] = {}
    run.step(2)
    run.made.state = collections.defaultdict(dict, {p: run.made.state[p] for p in run.params[1:]})
    run.step(3)


@attack()
def step_counts_replaced(run: Run) -> None:
    run.step(0)
    run.state(0)["step"] = torch.tensor(40.0)
    run.step(1)
    run.state(1)["step"] = torch.tensor(7.0, dtype=torch.float64)
    run.step(2)
    run.state(2)["step"].fill_(90.0)
    run.step(3)
    run.state(0)["step"].data = torch.tensor(3.0)
    run.step(4)


@attack()
def state_of_other_strides(run: Run) -> None:
    run.step(0)
    state = run.state(0)
    state["exp_avg"] = state["exp_avg"].t().contiguous().t()
    state["exp_avg_sq"] = torch.tensor(0.5, dtype=torch.float64).expand(3, 3).clone().t()
    run.step(1, 2)


@attack()
def state_transposed_in_place(run: Run) -> None:
    run.step(0)
    run.state(0)["exp_avg"].t_()
    run.step(1)


@attack()
def negative_state(run: Run) -> None:
    run.step(0)
    state = run.state(0)
    state["exp_avg"] = torch._neg_view(state["exp_avg"].clone())
    run.step(1)


@attack()
def one_state_tensor_of_two_parameters(run: Run) -> None:
    run.made.param_groups[0]["params"].append(fresh())
    run.step(0)
    run.state(0)["exp_avg"] = run.state(3)["exp_avg"]
    run.step(1, 2)


@attack(fails="parameters that share a state dictionary count one step together; torch counts both")
def one_state_dictionary_of_two_parameters(run: Run) -> None:
    run.made.param_groups[0]["params"].append(fresh())
    run.step(0)
    run.made.state[run.params[0]] = run.made.state[run.everyone[3]]
    run.step(1, 2)


@attack()
def state_is_the_gradient(run: Run) -> None:
    run.step(0)
    for seed in (1, 2):
        run.give(seed)
        run.state(0)["exp_avg"] = run.params[0].grad
        run.made.step()


@attack()
def memory_of_states_taken_and_given_back(run: Run) -> None:
    """As when states are moved out of the way between steps."""
    run.step(0)
    for seed in (1, 2):
        tensors = [t for p in run.params for t in run.made.state[p].values() if t.dim()]
        for t in tensors:
            kept, size = t.clone(), t.untyped_storage().nbytes()
            t.untyped_storage().resize_(0)
            others = [torch.full_like(kept, 7.0) for _ in range(20)]
            t.untyped_storage().resize_(size)
            t.copy_(kept)
        run.step(seed)
        assert all(bool((o == 7.0).all()) for o in others)


@attack()
def states_set_aside_and_restored(run: Run) -> None:
    run.step(0)
    kept = run.made.state
    run.made.state = collections.defaultdict(dict)
    run.step(1, 2)
    run.made.state = kept
    run.step(3)


def shown(run: Run, place: int, key: str = "exp_avg") -> torch.Tensor:
    """A state's own tensor, as state_dict shows it."""
    found: torch.Tensor = run.made.state_dict()["state"][place][key]
    return found


@attack()
def shown_state_written(run: Run) -> None:
    run.step(0, 1)
    shown(run, 0).mul_(0.5)
    run.step(2)
    shown(run, 1, "step").fill_(40.0)
    run.step(3)


@attack()
def shown_state_moved(run: Run) -> None:
    run.step(0, 1)
    kept = shown(run, 0)
    kept.data = torch.ones(3, 3, dtype=torch.float64)
    run.step(2)


@attack()
def shown_state_set(run: Run) -> None:
    run.step(0, 1)
    shown(run, 0).set_(torch.ones(3, 3, dtype=torch.float64))
    run.step(2)


@attack()
def shown_step_moved(run: Run) -> None:
    run.step(0, 1)
    kept = shown(run, 0, "step")
    kept.data = torch.tensor(40.0)
    run.step(2)


@attack()
def lazily_cloned_shown_state(run: Run) -> None:
    """A snapshot that costs nothing until somebody writes: the step must not write into it."""
    run.step(0, 1)
    lazy = torch._lazy_clone(shown(run, 0))
    kept = lazy.clone()
    run.step(2)
    assert torch.equal(lazy, kept)


@attack()
def loaded_in_the_middle(run: Run) -> None:
    run.step(0)
    run.made.load_state_dict(copy.deepcopy(run.made.state_dict()))
    run.step(1)
    saved = copy.deepcopy(run.made.state_dict())
    run.step(2, 3)
    run.made.load_state_dict(saved)
    run.step(4)


@attack()
def copied_in_the_middle(run: Run) -> None:
    """What is done to a copy is nothing to the original, and what is done to the original nothing to the copy."""
    run.step(0, 1)
    twin = copy.deepcopy(run.made)
    Run(twin, []).step(2, 3)
    run.step(4)
    twin = pickle.loads(pickle.dumps(run.made))
    run.step(5)
    before = [p.detach().clone() for p in run.params]
    Run(twin, []).step(6)
    assert all(torch.equal(p.detach(), b) for p, b in zip(run.params, before, strict=True))
    run.made = twin


@attack(fails="a shallow copy and its original count steps and average gradients each for itself; in torch they share")
def shallow_copy(run: Run) -> None:
    run.step(0)
    twin = copy.copy(run.made)
    for seed in (1, 2):
        run.step(seed)
        Run(twin, []).step(seed)


@pytest.mark.parametrize(("function", "settings", "mode"), attack.cases())
def test_as_torch(function: Attack, settings: dict[str, Any], mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(function, use(mode, monkeypatch), **settings)


def test_copies_keep_the_scale_of_the_loss() -> None:
    made = thalweg.SGD(weights(), lr=0.1)
    made.grad_scale = 8.0
    assert copy.deepcopy(made).grad_scale == 8.0
