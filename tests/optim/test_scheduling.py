"""Numbers that follow a schedule: what is set, counted, kept in checkpoints, told, and refused."""

import copy
import io
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

import thalweg
from thalweg import schedules
from thalweg.optim import NonFiniteGradient

STEPS = 40
ALL = {
    "lr": schedules.WSD(STEPS, warmup=5, cooldown=0.3),
    "weight_decay": schedules.Cosine(STEPS),
    "momentum": schedules.Trapezoid(STEPS, last=0.5),
}


def problem() -> tuple[torch.nn.Linear, torch.Tensor]:
    torch.manual_seed(3)
    return torch.nn.Linear(7, 5), torch.randn(STEPS, 16, 7)


def take(model: torch.nn.Module, optimizer: torch.optim.Optimizer, batches: torch.Tensor) -> None:
    for batch in batches:
        optimizer.zero_grad()
        (model(batch) ** 2).mean().backward()
        optimizer.step()


def bits(model: torch.nn.Module) -> list[bytes]:
    return [p.detach().numpy().tobytes() for p in model.parameters()]


def one_step(optimizer: torch.optim.Optimizer, gradient: float = 1.0) -> None:
    for group in optimizer.param_groups:
        for param in group["params"]:
            param.grad = torch.full_like(param, gradient)
    optimizer.step()


def weight() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.ones(3))


def test_a_scheduled_rate_is_that_of_torchs_scheduler() -> None:
    """The whole path, to the last bits of the rates, of two groups."""
    ways = []
    for ours in (True, False):
        model, batches = problem()
        weights, bias = model.parameters()
        groups = [{"params": [weights]}, {"params": [bias], "lr": 0.02}]
        given: dict[str, Any] = {"schedule": schedules.Cosine(STEPS)} if ours else {}
        optimizer = thalweg.AdamW(groups, lr=0.1, **given)
        scheduler = None if ours else torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
        rates = []
        for batch in batches:
            take(model, optimizer, batch[None])
            rates.append([group["lr"] for group in optimizer.param_groups])
            if scheduler:
                scheduler.step()
        ways.append((rates, [p.detach().clone() for p in model.parameters()]))
    (mine, w), (theirs, v) = ways
    for a, b in zip(mine, theirs, strict=True):
        assert a == pytest.approx(b, rel=1e-12, abs=1e-15)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(w, v, strict=True))


def test_three_numbers_are_the_first_ones_times_their_factors() -> None:
    optimizer = thalweg.AdamW([weight()], lr=0.1, betas=(0.8, 0.99), weight_decay=0.3, schedule=ALL)
    assert optimizer.schedule == {{"momentum": "beta1"}.get(name, name): each for name, each in ALL.items()}
    for step in range(1, STEPS + 5):
        one_step(optimizer)
        (group,) = optimizer.param_groups
        assert group["lr"] == 0.1 * ALL["lr"].at(step)
        assert group["betas"] == (0.8 * ALL["momentum"].at(step), 0.99)
        assert group["weight_decay"] == 0.3 * ALL["weight_decay"].at(step)
        assert group["scheduled_steps"] == step
    assert (group["initial_lr"], group["initial_beta1"], group["initial_weight_decay"]) == (0.1, 0.8, 0.3)


def test_momentum_is_that_of_the_rule_or_its_beta1() -> None:
    halved = schedules.Linear(2)
    sgd = thalweg.SGD([weight()], lr=0.1, momentum=0.8, schedule={"momentum": halved})
    lion = thalweg.Lion([weight()], schedule={"beta2": halved})
    for _ in range(2):
        one_step(sgd)
        one_step(lion)
    assert sgd.param_groups[0]["momentum"] == 0.4
    assert lion.param_groups[0]["betas"] == (0.9, 0.99 / 2)


def test_the_step_that_is_taken_has_the_numbers_of_its_step() -> None:
    """By hand: SGD with rates 0.5 and 0.25 on gradients of 1."""
    param = weight()
    optimizer = thalweg.SGD([param], lr=0.5, schedule=schedules.Linear(2))
    one_step(optimizer)
    assert param.tolist() == [0.5] * 3
    one_step(optimizer)
    assert param.tolist() == [0.25] * 3


def test_decay_that_is_scaled_by_the_schedule_knows_the_first_rate() -> None:
    """(lr / first lr) * weight_decay * w is 0.5 * 0.5 * 1 at the second step, beside a rate of 0."""
    param = weight()
    optimizer = thalweg.AdamW(
        [param], lr=1e-12, weight_decay=0.5, decay="independent", schedule=schedules.WarmUp(4, warmup=4)
    )
    one_step(optimizer, 0.0)
    assert param.tolist() == pytest.approx([1 - 0.5 / 4] * 3)


@pytest.mark.parametrize("again", [False, True])
def test_so_it_does_where_the_first_rate_is_changed(again: bool) -> None:
    """The decay is weight_decay at the factor 1, whatever the rate: 0.01 of weights of 1; after a checkpoint too."""
    param = weight()
    given: dict[str, Any] = {"weight_decay": 0.01, "decay": "independent", "schedule": schedules.Constant(100)}
    optimizer = thalweg.AdamW([param], lr=0.1, **given)
    optimizer.param_groups[0]["initial_lr"] = 0.01
    if again:
        changed, optimizer = optimizer, thalweg.AdamW([param], lr=0.1, **given)
        optimizer.load_state_dict(changed.state_dict())
    one_step(optimizer, 0.0)
    assert optimizer.param_groups[0]["lr"] == 0.01
    assert param.tolist() == pytest.approx([0.99] * 3)


def test_so_it_does_after_a_checkpoint_that_notes_another_peak() -> None:
    """OneCycleLR leaves max_lr in the group; what is scheduled here multiplies initial_lr."""
    source = thalweg.AdamW([weight()], lr=0.1, weight_decay=0.01, decay="independent")
    torch.optim.lr_scheduler.OneCycleLR(source, max_lr=0.5, total_steps=9, cycle_momentum=False)
    param = weight()
    optimizer = thalweg.AdamW([param], decay="independent", schedule=schedules.Constant(9))
    optimizer.load_state_dict(source.state_dict())
    one_step(optimizer, 0.0)
    assert param.tolist() == pytest.approx([0.99] * 3)


def trained(kind: Any, schedule: Any, given: dict[str, Any]) -> tuple[torch.nn.Module, Any, torch.Tensor]:
    model, batches = problem()
    return model, kind(model.parameters(), schedule=schedule, **given), batches


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (thalweg.AdamW, {"lr": 0.05, "weight_decay": 0.1}),
        (thalweg.SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
    ],
)
def test_resumed_at_every_tenth_step_the_bits_are_the_same(kind: Any, given: dict[str, Any]) -> None:
    model, optimizer, batches = trained(kind, ALL, given)
    take(model, optimizer, batches)
    expected = bits(model)
    for stop in range(0, STEPS, 10):
        first, optimizer, _ = trained(kind, ALL, given)
        take(first, optimizer, batches[:stop])
        file = io.BytesIO()
        torch.save({"model": first.state_dict(), "optimizer": optimizer.state_dict()}, file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        again, fresh, _ = trained(kind, ALL, given)
        again.load_state_dict(saved["model"])
        fresh.load_state_dict(saved["optimizer"])
        take(again, fresh, batches[stop:])
        assert bits(again) == expected, stop
        # So for a copy and a pickle, which have the schedule too.
        if stop == 20:
            for copied in (copy.deepcopy((first, optimizer)), pickle.loads(pickle.dumps((first, optimizer)))):
                take(*copied, batches[stop:])
                assert bits(copied[0]) == expected


TRAINS = """
    import os, sys, torch, thalweg
    from thalweg import schedules
    path, until = sys.argv[1], int(sys.argv[2])
    torch.manual_seed(3)
    model, batches = torch.nn.Linear(7, 5), torch.randn(40, 16, 7)
    optimizer = thalweg.AdamW(model.parameters(), lr=0.05, weight_decay=0.1, schedule={
        "lr": schedules.WSD(40, warmup=5), "weight_decay": schedules.Cosine(40), "momentum": schedules.Linear(40, last=0.5),
    })
    done = 0
    if os.path.exists(path):
        saved = torch.load(path, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        done = saved["done"]
    for step in range(done, 40):
        optimizer.zero_grad()
        (model(batches[step]) ** 2).mean().backward()
        optimizer.step()
        if step == until:
            print("there", flush=True)
            import time; time.sleep(60)
        if (step + 1) % 10 == 0:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "done": step + 1}, path + ".new")
            os.replace(path + ".new", path)
    print(b"".join(p.detach().numpy().tobytes() for p in model.parameters()).hex())
"""  # noqa: E501


@pytest.mark.slow
def test_killed_in_mid_training_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    script = tmp_path / "trains.py"
    script.write_text(textwrap.dedent(TRAINS))

    def run(name: str, until: int) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(tmp_path / name), str(until)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    whole, killed = run("whole.pt", -1), run("killed.pt", 27)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "there\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    again, _ = run("killed.pt", -1).communicate()
    expected, _ = whole.communicate()
    assert len(expected) > 200
    assert again == expected


def test_a_step_that_is_not_taken_does_not_count() -> None:
    optimizer = thalweg.AdamW([weight()], lr=0.1, nonfinite="skip", schedule=schedules.Linear(4))
    one_step(optimizer)
    before = dict(optimizer.param_groups[0])
    one_step(optimizer, float("nan"))
    assert optimizer.skipped_steps == 1
    assert optimizer.param_groups[0] == before
    optimizer.found_inf = torch.tensor(1.0)  # as torch.amp.GradScaler says it
    one_step(optimizer)
    assert optimizer.param_groups[0] == before
    optimizer.found_inf, optimizer.nonfinite = None, "raise"
    with pytest.raises(NonFiniteGradient):
        one_step(optimizer, float("inf"))
    assert optimizer.param_groups[0] == before
    one_step(optimizer)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["scheduled_steps"]) == (0.1 * 0.75, 2)


def test_who_else_changes_the_number_is_told_so() -> None:
    optimizer = thalweg.SGD([weight()], lr=0.1, schedule=schedules.Linear(10))
    one_step(optimizer)
    optimizer.param_groups[0]["lr"] = 0.05
    with pytest.raises(RuntimeError) as caught:
        one_step(optimizer)
    assert str(caught.value) == (
        "SGD: lr of group 0 follows schedule=Linear(steps=10), which left it at 0.1, and it has been set to 0.05 since "
        "(as a scheduler of torch's does). To change what the factor multiplies, set param_groups[0]['initial_lr']; "
        "else leave out one of the two"
    )
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.param_groups[0]["initial_lr"] = 0.05
    one_step(optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.05 * 0.9


def test_so_is_who_changes_a_tensor_in_place() -> None:
    rate = torch.tensor(0.1)
    optimizer = thalweg.SGD([weight()], lr=rate, schedule=schedules.Linear(4))
    one_step(optimizer)
    rate.fill_(5.0)
    with pytest.raises(RuntimeError, match=r"which left it at 0\.1, and it has been set to 5 since"):
        one_step(optimizer)


def test_so_is_who_adds_a_group_after_it() -> None:
    optimizer = thalweg.SGD([weight()], lr=0.1, schedule=schedules.Linear(4))
    one_step(optimizer)
    optimizer.param_groups[0]["lr"] = 5.0
    optimizer.add_param_group({"params": [weight()]})
    with pytest.raises(RuntimeError, match="it has been set to 5 since"):
        one_step(optimizer)


def test_numbers_that_are_tensors_are_filled_in_place() -> None:
    """Whoever holds them sees them; betas stay tensors, all of them."""
    rate, betas = torch.tensor(0.5), (torch.tensor(0.5), torch.tensor(0.75))
    halved = schedules.Linear(2)
    optimizer = thalweg.AdamW([weight()], lr=rate, betas=betas, schedule={"lr": halved, "momentum": halved})
    one_step(optimizer)
    assert "lr is 0.5 times 0.5, at step 2 of 2" in str(optimizer.explain())
    assert (float(rate), float(betas[0])) == (0.5, 0.5)  # it changes nothing
    one_step(optimizer)
    (group,) = optimizer.param_groups
    assert group["lr"] is rate
    assert group["betas"][0] is betas[0]
    assert [float(x) for x in (rate, *betas)] == [0.25, 0.25, 0.75]
    optimizer.nonfinite = "skip"
    group["scheduled_steps"] = 0
    one_step(optimizer, float("nan"))
    assert [float(x) for x in (rate, *betas)] == [0.25, 0.25, 0.75]


def test_groups_that_share_a_tensor_go_each_its_own_way() -> None:
    """A default is the same tensor in all groups, those that come later included."""
    optimizer = thalweg.SGD(
        [{"params": [weight()]}, {"params": [weight()]}], lr=torch.tensor(0.5), schedule=schedules.Linear(4)
    )
    optimizer.param_groups[1]["initial_lr"] = 4.0
    for _ in range(3):
        one_step(optimizer)
    optimizer.add_param_group({"params": [weight()]})
    one_step(optimizer)
    assert [float(group["lr"]) for group in optimizer.param_groups] == [0.125, 1.0, 0.125]


def test_so_is_who_uses_a_scheduler_of_torchs_beside_it() -> None:
    optimizer = thalweg.SGD([weight()], lr=0.1, schedule=schedules.Linear(10))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)
    one_step(optimizer)
    scheduler.step()
    with pytest.raises(RuntimeError, match="leave out one of the two"):
        one_step(optimizer)


def test_what_is_not_scheduled_may_be_changed() -> None:
    optimizer = thalweg.SGD([weight()], lr=0.1, momentum=0.9, schedule={"momentum": schedules.Linear(10)})
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    for _ in range(3):
        one_step(optimizer)
        scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.1 / 8
    assert optimizer.param_groups[0]["momentum"] == 0.9 * 0.8


def test_a_checkpoint_may_come_from_another_schedule_or_none() -> None:
    plain = thalweg.SGD([weight()], lr=0.3)
    one_step(plain)
    longer = thalweg.SGD([weight()], lr=0.1, schedule=schedules.Linear(4))
    one_step(longer)
    longer.load_state_dict(plain.state_dict())  # whose rate replaces that given, as ever
    one_step(longer)
    assert (longer.param_groups[0]["lr"], longer.param_groups[0]["scheduled_steps"]) == (0.3 * 3 / 4, 2)
    other = thalweg.SGD([weight()], lr=0.1, schedule=schedules.Linear(8))
    other.load_state_dict(longer.state_dict())
    one_step(other)
    assert (other.param_groups[0]["lr"], other.param_groups[0]["scheduled_steps"]) == (0.3 * 6 / 8, 3)
    plain.load_state_dict(other.state_dict())
    one_step(plain)
    assert plain.param_groups[0]["lr"] == 0.3 * 6 / 8


@pytest.mark.parametrize("kind", [torch.optim.Adam, thalweg.Adam])
def test_a_checkpoint_that_counts_no_scheduled_steps_begins_where_its_states_are(kind: Any) -> None:
    late = weight()
    source = kind([{"params": [weight()]}, {"params": [late]}], lr=0.2)
    for step in range(3):
        one_step(source)
        if step == 0:
            del source.state[late]  # it counts one less
    scheduled = thalweg.Adam([{"params": [weight()]}, {"params": [weight()]}], schedule=schedules.Linear(10))
    one_step(scheduled)  # what it has counted itself is no part of the checkpoint
    scheduled.load_state_dict(source.state_dict())
    one_step(scheduled)
    assert [group["scheduled_steps"] for group in scheduled.param_groups] == [4, 4]
    assert [group["lr"] for group in scheduled.param_groups] == [0.2 * (1 - 3 / 10)] * 2


def test_so_does_one_whose_groups_are_others() -> None:
    """By name; the hyperparameters are then the optimizer's own, the steps are the checkpoint's."""
    source = thalweg.Adam([("a", weight()), ("b", weight())], lr=0.2)
    for _ in range(3):
        one_step(source)
    groups = [{"params": [("a", weight())]}, {"params": [("b", weight())]}]
    scheduled = thalweg.Adam(groups, lr=0.1, schedule=schedules.Linear(10))
    scheduled.load_state_dict(source.state_dict())
    one_step(scheduled)
    assert [group["lr"] for group in scheduled.param_groups] == [0.1 * (1 - 3 / 10)] * 2


def test_a_group_that_is_added_takes_part() -> None:
    optimizer = thalweg.SGD([weight()], lr=0.1, schedule=schedules.Linear(4))
    one_step(optimizer)
    optimizer.add_param_group({"params": [weight()], "lr": 1.0})
    one_step(optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1 * 0.75, 0.75]


def test_the_step_that_creates_states_to_load_into_does_not_count() -> None:
    """torch.distributed.checkpoint takes it at the rate 0, and a shard that is loaded goes on where it was."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

    model, batches = problem()
    optimizer = thalweg.AdamW(model.parameters(), lr=0.1, schedule=schedules.Linear(STEPS))
    before = bits(model)
    get_optimizer_state_dict(model, optimizer)
    assert bits(model) == before
    other = thalweg.AdamW(model.parameters(), lr=0.1, weight_decay=0.3, schedule={"weight_decay": schedules.Linear(3)})
    get_optimizer_state_dict(model, other)
    assert (other.param_groups[0]["weight_decay"], other.param_groups[0]["scheduled_steps"]) == (0.3, 0)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["scheduled_steps"]) == (0.1, 0)
    take(model, optimizer, batches[:3])
    twin, _ = problem()
    twin.load_state_dict(model.state_dict())
    fresh = thalweg.AdamW(twin.parameters(), lr=0.1, schedule=schedules.Linear(STEPS))
    set_optimizer_state_dict(twin, fresh, copy.deepcopy(get_optimizer_state_dict(model, optimizer)))
    assert fresh.param_groups[0]["scheduled_steps"] == 3
    take(model, optimizer, batches[3:6])
    take(twin, fresh, batches[3:6])
    assert bits(twin) == bits(model)


def test_a_first_step_at_the_rate_0_counts() -> None:
    """As of a warm-up of torch's from 0, beside a decay that is scheduled."""
    optimizer = thalweg.AdamW([weight()], weight_decay=0.3, schedule={"weight_decay": schedules.Linear(3)})
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 4)
    assert optimizer.param_groups[0]["lr"] == 0
    one_step(optimizer)
    assert optimizer.param_groups[0]["scheduled_steps"] == 1


def test_small_models_in_lockstep_have_each_its_own() -> None:
    """As alone: what is scheduled is stepped by itself."""

    stack = thalweg.lockstep(
        lambda: torch.nn.Linear(3, 2),
        thalweg.AdamW,
        settings=[{"lr": 0.1, "schedule": schedules.Linear(steps)} for steps in (4, 5)],
    )
    for _ in range(2):
        stack.step(lambda model, x: (model(x) ** 2).mean(), torch.ones(2, 5, 3))
    rates = [optimizer.param_groups[0]["lr"] for optimizer in stack.optimizers]
    assert rates == pytest.approx([0.1 * 3 / 4, 0.1 * 4 / 5])


def test_explain_says_what_is_scheduled() -> None:
    optimizer = thalweg.SGD([weight()], lr=0.2, schedule=schedules.Cosine(100, warmup=10))
    for _ in range(3):
        one_step(optimizer)
    said = str(optimizer.explain()).splitlines()
    place = next(i for i, line in enumerate(said) if line.startswith("  schedule"))
    assert said[place - 1] == "  numbers        lr=0.08"
    assert said[place : place + 3] == [
        "  schedule       lr is 0.2 times 0.4, at step 4 of 100",
        "                 factor = where(t <= warmup, t / warmup, (1 + cos(pi * (t - 1 - warmup) / (T - warmup))) / 2)",
        "                 warmup=10",
    ]
    assert optimizer.param_groups[0]["lr"] == 0.2 * 0.3  # nothing has changed
    plain = thalweg.SGD([weight()], lr=0.2)
    assert "schedule" not in str(plain.explain())
    optimizer.param_groups[0]["scheduled_steps"] = 100
    assert "lr is 0.2 times 0.0003045" in str(optimizer.explain())
    assert "after the last of 100 steps" in str(optimizer.explain())
    assert "schedule: {'lr': Cosine(steps=100, warmup=10)}" in repr(optimizer)


def test_explain_says_it_by_group_where_these_are_at_other_steps() -> None:
    groups = [{"params": [weight()], "name": "early"}, {"params": [weight()]}, {"params": [weight()]}]
    optimizer = thalweg.SGD(groups, lr=0.2, schedule=schedules.Linear(10))
    one_step(optimizer)
    optimizer.param_groups[1]["scheduled_steps"] = 5
    said = str(optimizer.explain()).splitlines()
    place = next(i for i, line in enumerate(said) if line.startswith("  schedule"))
    assert said[place : place + 3] == [
        "  schedule       group 0 (early), group 2: lr is 0.2 times 0.9, at step 2 of 10",
        "                 group 1: lr is 0.2 times 0.5, at step 6 of 10",
        "                 factor = 1 - (t - 1) / T",
    ]


@pytest.mark.parametrize(
    ("kind", "given", "error", "words"),
    [
        (thalweg.SGD, schedules.Cosine, TypeError, "write Cosine(steps=...)"),
        (thalweg.SGD, 0.5, TypeError, "SGD: schedule is one of the learning rate, such as thalweg.schedules.Cosine"),
        (thalweg.SGD, {"beta1": schedules.Cosine(9)}, TypeError, "SGD has no 'beta1' to schedule; it has lr, momentum"),
        (thalweg.Prodigy, {"momentom": schedules.Cosine(9)}, TypeError, "Prodigy has no 'momentom' to schedule"),
        (thalweg.SGD, {3: schedules.Cosine(9)}, TypeError, "SGD has no 3 to schedule; it has lr, momentum"),
        (thalweg.Rprop, schedules.Cosine(9), TypeError, "Rprop: its formulas ask for lr at no step"),
        (thalweg.SGD, {"weight_decay": schedules.Cosine(9)}, ValueError, "SGD: weight_decay is 0 in every group"),
        (
            thalweg.AdamW,
            {"momentum": schedules.Cosine(9), "beta1": schedules.Cosine(9)},
            TypeError,
            "AdamW: schedule has beta1 twice, as 'momentum' and by its name",
        ),
    ],
)
def test_what_cannot_be_scheduled_is_refused(kind: Any, given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        kind([weight()], schedule=given)
    assert words in str(caught.value)


@pytest.mark.parametrize("turned", [False, True])
def test_a_number_by_its_own_name_is_not_another_rules(turned: bool) -> None:
    """In the third of 4 steps SGD's momentum is 0.9 * 3/4, AdamW's beta1 0.8 * 1/2."""
    said = {"momentum": schedules.Linear(steps=4, last=0.5), "beta1": schedules.Linear(steps=4)}
    groups = [{"params": [weight()]}, {"params": [weight()], "rule": thalweg.AdamW(betas=(0.8, 0.9))}]
    if turned:  # AdamW is the optimizer's own, and SGD beside it
        groups = [{"params": [weight()], "rule": thalweg.SGD(momentum=0.9)}, {"params": [weight()]}]
        made: Any = thalweg.AdamW(groups, betas=(0.8, 0.9), schedule=dict(reversed(said.items())))
        assert made.schedule == {"beta1": said["beta1"]}
    else:
        made = thalweg.SGD(groups, momentum=0.9, schedule=said)
        assert made.schedule == said
    for _ in range(3):
        for group in made.param_groups:
            group["params"][0].grad = torch.ones_like(group["params"][0])
        made.step()
    by_sgd, by_adamw = made.param_groups
    assert (by_sgd["momentum"], by_adamw["betas"]) == (pytest.approx(0.9 * 0.75), (pytest.approx(0.8 * 0.5), 0.9))


def test_a_schedule_belongs_to_the_optimizer_as_a_whole() -> None:
    with pytest.raises(TypeError, match="'schedule' belongs to the optimizer as a whole"):
        thalweg.SGD([{"params": [weight()], "schedule": schedules.Cosine(9)}])


def test_a_factor_that_leads_out_of_the_range_is_refused_before_anything_changes() -> None:
    class Grows(thalweg.Schedule):
        @staticmethod
        def factor(t):  # type: ignore[no-untyped-def]
            return t

    param = weight()
    optimizer = thalweg.AdamW([param], betas=(0.6, 0.9), schedule={"beta1": Grows(9)})
    one_step(optimizer)
    before = dict(optimizer.param_groups[0]), param.tolist()
    with pytest.raises(ValueError, match=r"Grows\(steps=9\): at step 2 beta1 must be at least 0 and below 1, got 1.2"):
        one_step(optimizer)
    assert (dict(optimizer.param_groups[0]), param.tolist()) == before
    said = " ".join(str(optimizer.explain()).split())
    assert "schedule beta1 cannot be set, so a step would be refused: Grows(steps=9): at step 2 beta1 must be" in said
    assert "beta1=0.6" in said  # as it is now
