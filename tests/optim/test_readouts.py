"""Averages that are read out by name: by hand, against torch's, in one pass, and the same after a resume."""

import copy
import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import thalweg
from thalweg.formula import torch_reader, wrapped
from thalweg.optim import Optimizer
from thalweg.rules import CATALOGUE, AdamW
from thalweg.testing import oracle
from thalweg.wrappers import WRAPPERS
from thalweg.wrappers.readouts import Readouts

FOUR = {
    "long": thalweg.averaged(horizon=8),
    "half": thalweg.averaged(horizon=8, blend=0.5),
    "tail": thalweg.averaged(start=15),
    "short": thalweg.averaged(horizon=3, start=4),
    "all": thalweg.averaged(),
    "lawa": thalweg.window(3, every=4),
}


def downhill(readouts: Mapping[str, Any], dtype: torch.dtype = torch.float64) -> tuple[torch.nn.Parameter, Optimizer]:
    """A weight that is -1, -2, -3 ... after its steps."""
    weight = torch.nn.Parameter(torch.zeros(3, dtype=dtype))
    return weight, thalweg.SGD([weight], lr=1.0, readouts=readouts)


def network(dtype: torch.dtype = torch.float32) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.Tanh(), torch.nn.Linear(9, 2)).to(dtype)


def train(model: torch.nn.Module, made: Any, first: int, last: int, after: Callable[[], None] = lambda: None) -> None:
    """The steps from ``first`` to ``last``, each with a gradient of its own."""
    for step in range(first, last + 1):
        generator = torch.Generator().manual_seed(step)
        for p in model.parameters():
            p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p.dtype)
        made.step()
        after()


def read(made: Optimizer, weight: torch.Tensor, name: str) -> float:
    with made.readout(name):
        return float(weight.detach().flatten()[0])


def everything(made: Optimizer, names: Any = FOUR) -> list[torch.Tensor]:
    """All weights under every readout, and as they are trained."""
    params = [p for group in made.param_groups for p in group["params"]]
    found = [p.detach().clone() for p in params]
    for name in names:
        with made.readout(name):
            found += [p.detach().clone() for p in params]
    return found


def same(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    return len(one) == len(two) and all(map(torch.equal, one, two))


# By hand


def test_an_exponential_average_begins_as_the_mean() -> None:
    """Horizon 3: -1; the mean of 1, 2; of 1, 2, 3; then two thirds of itself and a third of the weight."""
    weight, made = downhill({"short": thalweg.averaged(horizon=3)})
    expected = [-1.0, -1.5, -2.0, -2 * 2 / 3 - 4 / 3, (-2 * 2 / 3 - 4 / 3) * 2 / 3 - 5 / 3]
    for value in expected:
        weight.grad = torch.ones_like(weight)
        made.step()
        assert read(made, weight, "short") == pytest.approx(value, rel=1e-15)


def test_a_mean_begins_at_its_start() -> None:
    weight, made = downhill({"tail": thalweg.averaged(start=2)})
    for value in [-1.0, -2.0, -3.0, -3.5, -4.0]:  # the weights themselves; then the mean of those after step 2
        weight.grad = torch.ones_like(weight)
        made.step()
        assert read(made, weight, "tail") == value


def test_a_blend_is_on_the_way_to_the_average() -> None:
    weight, made = downhill(
        {
            "whole": thalweg.averaged(),
            "quarter": thalweg.averaged(blend=0.25),
        }
    )
    for _ in range(5):
        weight.grad = torch.ones_like(weight)
        made.step()
    assert [read(made, weight, name) for name in ("whole", "quarter")] == [-3.0, -4.5]
    assert weight.tolist() == [-5.0] * 3


def test_a_window_is_the_mean_of_the_last_copies() -> None:
    """One kept after each second step, two of them."""
    weight, made = downhill({"lawa": thalweg.window(2, every=2)})
    for value in [-1.0, -2.0, -2.0, -3.0, -3.0, -5.0, -5.0, -7.0]:
        weight.grad = torch.ones_like(weight)
        made.step()
        assert read(made, weight, "lawa") == value


def test_each_average_is_its_own() -> None:
    """Of 1 to 5: all of them, those after the first, the last, those after the third."""
    weight, made = downhill(
        {
            "all": thalweg.averaged(),
            "later": thalweg.averaged(start=1),
            "last": thalweg.averaged(horizon=1),
            "tail": thalweg.averaged(start=3),
        }
    )
    for _ in range(5):
        weight.grad = torch.ones_like(weight)
        made.step()
    assert [read(made, weight, name) for name in ("all", "later", "last", "tail")] == [-3.0, -3.5, -5.0, -4.5]


def test_what_is_kept_of_a_weight_stays_without_a_step() -> None:
    moving, resting = (torch.nn.Parameter(torch.zeros(2, dtype=torch.float64)) for _ in range(2))
    made = thalweg.SGD([moving, resting], lr=1.0, readouts={"lawa": thalweg.window(1, every=2)})
    for step in range(4):
        moving.grad = torch.ones_like(moving)
        resting.grad = torch.ones_like(resting) if step < 2 else None
        made.step()
        resting.data.sub_(float(step == 1))  # by hand, after what is kept
    with made.readout("lawa"):
        assert [p.tolist()[0] for p in (moving, resting)] == [-4.0, -2.0]


def test_a_count_that_is_written_to_is_noticed() -> None:
    weight, made = downhill({"lawa": thalweg.window(2, every=100)})
    for step in range(5):
        if step == 3:
            made.state[weight]["step"].fill_(99.0)
        weight.grad = torch.ones_like(weight)
        made.step()
    assert read(made, weight, "lawa") == -4.0


def test_each_weight_goes_by_its_own_steps() -> None:
    whole, late, never = (torch.nn.Parameter(torch.zeros(2, dtype=torch.float64)) for _ in range(3))
    readouts = {"tail": thalweg.averaged(start=1), "lawa": thalweg.window(2, every=2)}
    made = thalweg.SGD([whole, late, never], lr=1.0, readouts=readouts)
    for step in range(6):
        whole.grad, late.grad = torch.ones_like(whole), torch.ones_like(late) if step >= 3 else None
        made.step()
    with made.readout("tail"):
        assert [p.tolist()[0] for p in (whole, late, never)] == [-4.0, -2.5, 0.0]
    with made.readout("lawa"):
        assert [p.tolist()[0] for p in (whole, late, never)] == [-5.0, -2.0, 0.0]


def test_an_infinite_weight_stays_alone() -> None:
    weight = torch.nn.Parameter(torch.tensor([float("-inf"), 0.0]))
    made = thalweg.SGD([weight], lr=1.0, readouts=FOUR)
    for _ in range(20):
        weight.grad = torch.tensor([0.0, 1.0])
        made.step()
    for name in FOUR:
        with made.readout(name):
            infinite, finite = weight.tolist()
            assert infinite == float("-inf"), name
            assert -20 <= finite < -8, name


# Against torch


def test_the_plain_mean_is_torchs() -> None:
    model = network(torch.float64)
    made = thalweg.AdamW(model.parameters(), lr=0.1, readouts={"tail": thalweg.averaged(start=5)})
    train(model, made, 1, 5)
    theirs = AveragedModel(model)  # the running mean
    train(model, made, 6, 40, lambda: theirs.update_parameters(model))
    with made.readout("tail"):
        for own, other in zip(model.parameters(), theirs.module.parameters(), strict=True):
            torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-14)


def test_the_exponential_average_is_torchs() -> None:
    """From where both have the weights: with a start one step back, the horizon is a decay at once."""
    model = network(torch.float64)
    made = thalweg.AdamW(model.parameters(), lr=0.1, readouts={"long": thalweg.averaged(horizon=2)})
    train(model, made, 1, 2)
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    with made.readout("long"):
        theirs.update_parameters(model)  # it begins as a copy
    train(model, made, 3, 40, lambda: theirs.update_parameters(model))
    with made.readout("long"):
        for own, other in zip(model.parameters(), theirs.module.parameters(), strict=True):
            torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_rule_has_room_for_them(name: str) -> None:
    """No rule has a name of theirs; and alone they change nothing that could be compared."""
    assert wrapped(CATALOGUE[name], Readouts).wrappers == (Readouts,)
    assert Readouts not in WRAPPERS.values()


@pytest.mark.parametrize("gaps", [False, True], ids=["kernel", "torch"])
def test_what_is_kept_is_the_oracles(gaps: bool) -> None:
    rule = wrapped(AdamW, Readouts)
    start = torch.randn(70, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = [[torch.randn(70, generator=torch.Generator().manual_seed(i), dtype=torch.float64)] for i in range(12)]
    numbers = {"lr": 0.1, "weight_decay": 0.0, "horizon1": 3.0, "horizon3": 1e18, "start3": 4.0}
    values = torch_reader.values_of(rule, **numbers)
    weight = torch.nn.Parameter(start.clone() if not gaps else start.repeat_interleave(2)[::2])
    made = thalweg.optim.build(rule, [weight], numbers)
    for (g,) in rows:
        weight.grad = g
        made.step()
    (now,) = oracle.trained(rule, [start], rows, values)
    for name in ("average1", "average3"):
        torch.testing.assert_close(made.state[weight][name], now.states[name], rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(weight.detach(), now.weight, rtol=1e-13, atol=1e-15)


# One pass


def test_several_are_kept_in_one_pass() -> None:
    model = network()
    told = str(thalweg.AdamW(model.parameters(), readouts=FOUR).explain())
    assert "pass 1 of 1    reads w g m v average1 average2 average3 average4" in " ".join(told.split("\n"))
    assert "float32: 60 bytes a weight" in told  # AdamW's 28, and 8 for each average
    assert "28 bytes a weight" in str(thalweg.AdamW(model.parameters()).explain())
    assert "average1 <- where(newest1 < 1, average1 + newest1 * (w - average1), w)" in told
    for name in FOUR:
        assert repr(name) in told


def test_the_trained_weights_are_the_same_with_any_of_them() -> None:
    found = []
    for readouts in (None, {"tail": FOUR["tail"]}, {"lawa": FOUR["lawa"]}, FOUR):
        model = network()
        train(model, thalweg.AdamW(model.parameters(), lr=0.1, ema=0.9, readouts=readouts), 1, 20)
        found.append([p.detach().clone() for p in model.parameters()])
    assert all(same(found[0], each) for each in found[1:])


def test_an_optimizer_without_is_as_it_was() -> None:
    model = network()
    plain, kept = (thalweg.AdamW(model.parameters(), readouts=given) for given in (None, FOUR))
    assert plain.whole is type(plain).whole is type(kept).whole is not kept.whole
    assert not {"readouts", "average_horizons", "average_starts"} & plain.param_groups[0].keys()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_averages_of_half_precision_are_float32(dtype: torch.dtype) -> None:
    """1, -1, 1, ...: in bfloat16 a mean of a thousand would not move any more."""
    weight = torch.nn.Parameter(torch.ones(40, dtype=dtype))
    readouts = {"all": thalweg.averaged(), "lawa": thalweg.window(3, every=1)}
    made = thalweg.SGD([weight], lr=1.0, readouts=readouts)
    for _ in range(1000):
        weight.grad = torch.full_like(weight, 2.0 if float(weight.detach()[0]) > 0 else -2.0)
        made.step()
    assert made.state[weight]["average1"].dtype == torch.float32
    assert float(made.state[weight]["average1"][0]) == pytest.approx(0.0, abs=1e-6)
    assert read(made, weight, "lawa") == float(torch.tensor(1 / 3).to(dtype))


# Checkpoints and copies


def through_disk(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_goes_on_to_the_bit_after_every_tenth_step(dtype: torch.dtype) -> None:
    model = network(dtype)
    made = thalweg.AdamW(model.named_parameters(), lr=0.1, readouts=FOUR)
    at = {0: (copy.deepcopy(model.state_dict()), through_disk(made.state_dict()))}
    for step in range(1, 41):
        train(model, made, step, step)
        if step % 10 == 0:
            at[step] = (copy.deepcopy(model.state_dict()), through_disk(made.state_dict()))
    expected = everything(made)
    for step, (weights, state) in at.items():
        other = network(dtype)
        other.load_state_dict(weights)
        resumed = thalweg.AdamW(other.named_parameters(), lr=0.1, readouts=FOUR)
        resumed.load_state_dict(state)
        train(other, resumed, step + 1, 40)
        assert same(everything(resumed), expected), step


def pickled(both: tuple[torch.nn.Module, Optimizer]) -> Any:
    return pickle.loads(pickle.dumps(both))


@pytest.mark.parametrize("again", [copy.deepcopy, pickled])
def test_copies_have_all_of_it(again: Any) -> None:
    model = network()
    made = thalweg.AdamW(model.parameters(), lr=0.1, readouts=FOUR)
    train(model, made, 1, 17)
    other, copied = again((model, made))
    assert same(everything(copied), everything(made))
    train(model, made, 18, 30)
    train(other, copied, 18, 30)
    assert same(everything(copied), everything(made))


def test_a_checkpoint_of_torch_begins_the_averages() -> None:
    """They are of what follows: the mean of the weights after the checkpoint, not of one that counts for all before."""
    model = network(torch.float64)
    theirs = torch.optim.AdamW(model.parameters(), lr=0.1)
    train(model, theirs, 1, 20)
    made = thalweg.AdamW(model.parameters(), lr=0.1, readouts=FOUR)
    made.load_state_dict(theirs.state_dict())
    seen: list[torch.Tensor] = []
    train(model, made, 21, 26, lambda: seen.append(model[0].weight.detach().clone()))
    for name, expected in (("all", seen), ("tail", seen), ("short", seen[:0]), ("lawa", [seen[3]])):
        with made.readout(name):
            if expected:
                torch.testing.assert_close(model[0].weight.detach(), torch.stack(expected).mean(0))


def test_a_checkpoint_brings_its_own_and_leaves_ours() -> None:
    model = network()
    made = thalweg.AdamW(model.parameters(), lr=0.1, readouts={"a": FOUR["long"], "lawa": FOUR["lawa"]})
    train(model, made, 1, 20)
    saved = through_disk(made.state_dict())
    plain = thalweg.AdamW(model.parameters())
    plain.load_state_dict(saved)  # goes on with what it brings, as with ema
    more = thalweg.AdamW(model.parameters(), readouts={"tail": thalweg.averaged(start=22), "a": FOUR["tail"]})
    more.load_state_dict(saved)
    assert more.param_groups[0]["average_horizons"] == (8.0, 1e18, 0.0, 0.0)
    assert same(everything(more, ["a", "lawa"]), everything(made, ["a", "lawa"]))
    own = [copy.deepcopy(model) for _ in range(3)]
    for each, mine in zip((made, plain, more), own, strict=True):
        each.param_groups[0]["params"], old = [*mine.parameters()], each.param_groups[0]["params"]
        for new, before in zip(mine.parameters(), old, strict=True):
            each.state[new] = each.state.pop(before)
        train(mine, each, 21, 30)
    results = [everything(each, ["a", "lawa"]) for each in (made, plain, more)]
    assert same(results[0], results[1])
    assert same(results[0], results[2])


def test_an_old_checkpoint_without_them_keeps_those_asked_for() -> None:
    model = network()
    plain = thalweg.AdamW(model.parameters(), lr=0.1)
    train(model, plain, 1, 20)
    made = thalweg.AdamW(model.parameters(), readouts={"late": thalweg.averaged(start=100), "all": thalweg.averaged()})
    made.load_state_dict(through_disk(plain.state_dict()))
    assert made.param_groups[0]["average_starts"] == (100.0, 20.0, 0.0, 0.0)
    assert same(everything(made, ["all"])[4:], [p.detach() for p in model.parameters()])


def test_regrouped_by_name_they_find_their_averages() -> None:
    model = network()
    made = thalweg.AdamW(model.named_parameters(), lr=0.1, readouts=FOUR)
    train(model, made, 1, 20)
    named = dict(model.named_parameters())
    groups = [
        {"params": [(name, p) for name, p in named.items() if "bias" in name], "weight_decay": 0.0},
        {"params": [(name, p) for name, p in named.items() if "weight" in name]},
    ]
    other = thalweg.AdamW(groups, lr=0.1, readouts={"tail": FOUR["tail"]})  # fewer, and in another slot
    other.load_state_dict(through_disk(made.state_dict()))
    for name in FOUR:
        with made.readout(name):
            expected = [p.detach().clone() for p in named.values()]
        with other.readout(name):
            assert same([p.detach().clone() for p in named.values()], expected), name


def test_groups_added_later_take_part() -> None:
    first, late = (torch.nn.Parameter(torch.zeros(2, dtype=torch.float64)) for _ in range(2))
    made = thalweg.SGD([first], lr=1.0, readouts={"lawa": thalweg.window(2, every=3), "all": thalweg.averaged()})
    for step in range(8):
        if step == 2:
            made.add_param_group({"params": [late]})
        for p in (first, late):
            p.grad = torch.ones_like(p)
        made.step()
    with made.readout("lawa"):
        assert [p.tolist()[0] for p in (first, late)] == [-4.5, -4.5]
    with made.readout("all"):
        assert [p.tolist()[0] for p in (first, late)] == [-4.5, -3.5]


# In place, and back


def test_trained_weights_come_back_and_batch_norm_is_refreshed() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.BatchNorm1d(9)).double()
    batch = torch.randn(32, 6, dtype=torch.float64)
    made = thalweg.SGD(model.parameters(), lr=0.5, readouts={"all": thalweg.averaged()})
    train(model, made, 1, 5)
    own = {name: value.clone() for name, value in model.state_dict().items()}

    def fail() -> None:
        with made.readout("all", model, [batch]):
            torch.testing.assert_close(model[1].running_mean, model[0](batch).mean(0).detach())
            assert not torch.equal(model[0].weight, own["0.weight"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert same([*model.state_dict().values()], [*own.values()])


def test_mistakes_are_named() -> None:
    model = network()
    with pytest.raises(RuntimeError, match=r"make the optimizer with AdamW\(\.\.\., readouts=\{\.\.\.\}\)"):
        thalweg.AdamW(model.parameters()).readout("tail").__enter__()
    made = thalweg.AdamW(model.parameters(), readouts=FOUR)
    with pytest.raises(ValueError, match="no readout 'tale'; did you mean 'tail'\\? There are 'long', 'half', 'tail'"):
        made.readout("tale").__enter__()
    train(model, made, 1, 1)
    with made.readout("tail"):
        with pytest.raises(RuntimeError, match="take steps outside"):
            made.step()
        with pytest.raises(RuntimeError, match="in place already"):
            made.readout("tail").__enter__()
    five = {str(k): thalweg.averaged(start=k) for k in range(5)}
    with pytest.raises(ValueError, match=r"AdamW keeps at most 4 averages.*leave '4' out"):
        thalweg.AdamW(model.parameters(), readouts=five)
    with pytest.raises(ValueError, match="ScheduleFreeSGD tests other weights of its own"):
        thalweg.ScheduleFreeSGD(model.parameters(), readouts=FOUR)
    with pytest.raises(TypeError, match=r"the readout 'tail' is .*; got 0\.9"):
        thalweg.AdamW(model.parameters(), readouts={"tail": 0.9})
    with pytest.raises(TypeError, match="readouts are averages by name"):
        thalweg.AdamW(model.parameters(), readouts=[thalweg.averaged()])
    with pytest.raises(TypeError, match="'readouts' belongs to the optimizer as a whole"):
        thalweg.AdamW([{"params": model.parameters(), "readouts": FOUR}])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: thalweg.averaged(0.5), "horizon is a number of steps, at least 1"),
        (lambda: thalweg.averaged(float("inf")), "horizon is a number of steps, at least 1"),
        (lambda: thalweg.averaged("10"), "horizon must be a number"),
        (lambda: thalweg.averaged(blend=0.0), "blend is above 0"),
        (lambda: thalweg.averaged(blend=1.5), "blend is above 0"),
        (lambda: thalweg.averaged(start=-1), "start must be at least 0"),
        (lambda: thalweg.averaged(start=0.8), "start must be a whole number"),
        (lambda: thalweg.window(0, every=1), "count must be at least 1"),
        (lambda: thalweg.window(5, every=0), "every must be at least 1"),
        (lambda: thalweg.window(True, every=1), "count must be a whole number"),
    ],
)
def test_what_is_asked_for_is_checked(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        wrong()
