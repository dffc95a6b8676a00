"""Faults that people reported of optimizers, mended by their kind: each as small as it came, with its relatives."""

import abc
import contextlib
import copy
import inspect
import io
import os
import pickle
import warnings
from typing import Any, Protocol

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

import forked
import thalweg
from thalweg.formula import Hyper, Rule, Switch
from thalweg.optim import OPTIMIZERS

CONST = 0.01


def stepped(made: torch.optim.Optimizer, count: int, value: float = CONST, seed: int | None = None) -> None:
    """Steps along gradients of one size, or drawn with that deviation."""
    chance = None if seed is None else torch.Generator().manual_seed(seed)
    for _ in range(count):
        for group in made.param_groups:
            for p in group["params"]:
                drawn = torch.full_like(p, value)
                p.grad = drawn if chance is None else (value * torch.randn(p.shape, generator=chance)).to(p.dtype)
        made.step()


class TestHalfPrecisionCheckpoints:
    @pytest.mark.parametrize("saved", [torch.bfloat16, torch.float16])
    def test_go_on_in_the_parameters_type(self, saved: torch.dtype) -> None:
        """Averages of squares that stay in bfloat16 stand still: 0.999 of a number rounds to the number."""
        before = torch.optim.AdamW([torch.nn.Parameter(torch.ones(50, dtype=saved))], lr=1e-3)
        stepped(before, 20, 0.5)
        state = copy.deepcopy(before.state_dict())
        found = []
        for made_by in (thalweg.AdamW, torch.optim.AdamW):
            made = made_by([torch.nn.Parameter(torch.ones(50))], lr=1e-3)
            made.load_state_dict(copy.deepcopy(state))
            stepped(made, 3000, seed=1)
            found.append(made.state_dict()["state"][0]["exp_avg_sq"])
        assert found[0].dtype == torch.float32
        torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=0)

    def test_are_no_reason_to_narrow(self) -> None:
        made = thalweg.AdamW([torch.nn.Parameter(torch.ones(5, dtype=torch.bfloat16))])
        stepped(made, 2)
        wide = made.state_dict()
        for kept in wide["state"].values():
            kept["exp_avg"] = kept["exp_avg"].float()
        again = thalweg.AdamW([torch.nn.Parameter(torch.ones(5, dtype=torch.bfloat16))])
        again.load_state_dict(wide)
        assert again.state_dict()["state"][0]["exp_avg"].dtype == torch.float32

    def test_are_as_wide_as_the_rule_wants(self) -> None:
        made = thalweg.ScheduleFreeSGD([torch.nn.Parameter(torch.ones(5, dtype=torch.bfloat16))])
        stepped(made, 2)
        narrow = made.state_dict()
        narrow["state"][0]["z"] = narrow["state"][0]["z"].bfloat16()
        made.load_state_dict(narrow)
        assert made.state_dict()["state"][0]["z"].dtype == torch.float32

    def test_of_single_numbers(self) -> None:
        before = torch.optim.SGD([torch.nn.Parameter(torch.tensor(1.0, dtype=torch.bfloat16))], lr=0.1, momentum=0.9)
        stepped(before, 2)
        made = thalweg.SGD([torch.nn.Parameter(torch.tensor(1.0))], lr=0.1, momentum=0.9)
        made.load_state_dict(before.state_dict())
        assert made.state_dict()["state"][0]["momentum_buffer"].dtype == torch.float32


def named(*names: str) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, torch.nn.Parameter(torch.full((3,), float(i)))) for i, name in enumerate(names)]


def moments(made: torch.optim.Optimizer) -> dict[int, float]:
    """The average at each parameter, by the parameter's first value at the start."""
    return {n: float(kept["exp_avg"][0]) for n, kept in made.state_dict()["state"].items()}


class TestNames:
    """A checkpoint finds its parameters by name, however they are ordered and grouped."""

    def trained(self, groups: list[list[tuple[str, torch.nn.Parameter]]], made_by: Any = thalweg.Adam) -> Any:
        made = made_by([{"params": pairs} for pairs in groups], lr=0.1)
        for i, p in enumerate(p for group in made.param_groups for p in group["params"]):
            p.grad = torch.full_like(p, i + 1.0)
        made.step()
        return made

    def test_that_occur_in_two_groups(self) -> None:
        saved = self.trained([named("weight", "bias"), named("weight", "bias")]).state_dict()
        made = thalweg.Adam([{"params": named("bias", "weight")}, {"params": named("bias", "weight")}], lr=0.1)
        made.load_state_dict(saved)
        found = [float(made.state_dict()["state"][i]["exp_avg"][0]) for i in range(4)]
        assert found == pytest.approx([0.2, 0.1, 0.4, 0.3])

    def test_that_tell_nothing_are_refused(self) -> None:
        saved = self.trained([named("weight", "bias"), named("weight", "bias")]).state_dict()
        made = thalweg.Adam([{"params": named("weight")}, {"params": named("bias")}], lr=0.1)
        with pytest.raises(ValueError, match="stand in several groups"):
            made.load_state_dict(saved)
        made = thalweg.Adam([{"params": named("weight", "bias")}, {"params": named("weight", "x")}], lr=0.1)
        with pytest.raises(ValueError, match="other parameters"):
            made.load_state_dict(saved)

    @pytest.mark.parametrize("made_by", [thalweg.Adam, torch.optim.Adam])
    def test_across_groupings(self, made_by: Any) -> None:
        """From one group into those of `create`: the states by name, the numbers the optimizer's own."""
        saved = self.trained([named("a", "b", "c")], made_by).state_dict()
        groups = [{"params": named("c"), "weight_decay": 0.0}, {"params": named("b", "a"), "lr": 0.25}]
        made = thalweg.Adam(groups, lr=0.125)
        made.load_state_dict(saved)
        found = [float(made.state_dict()["state"][i]["exp_avg"][0]) for i in range(3)]
        assert found == pytest.approx([0.3, 0.2, 0.1])
        assert [group["lr"] for group in made.param_groups] == [0.125, 0.25]
        assert {float(kept["step"]) for kept in made.state_dict()["state"].values()} == {1.0}

    def test_across_groupings_of_a_real_model(self) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 1))
        before = torch.optim.AdamW(model.named_parameters(), lr=0.1)
        stepped(before, 3)
        made = thalweg.create("adamw", model, lr=0.1)
        made.load_state_dict(before.state_dict())
        assert len(made.param_groups) == 2
        for p in model.parameters():
            assert torch.equal(made.state[p]["exp_avg"], before.state[p]["exp_avg"])


def hogwild(shared: Any, weight: torch.Tensor, steps: int) -> None:
    made = thalweg.SGD([weight], lr=0.1, momentum=0.5)
    made.state[weight] = shared
    for _ in range(steps):
        weight.grad = torch.ones_like(weight)
        made.step()


class TestSharedStates:
    """What is in shared memory is somebody else's too: it is written to where it is."""

    def test_step_counts_too(self) -> None:
        weight = torch.nn.Parameter(torch.zeros(4))
        made = thalweg.Adam([weight], lr=0.1)
        stepped(made, 1)
        for value in made.state[weight].values():
            value.share_memory_()
        held = made.state[weight]["step"]
        stepped(made, 3)
        assert made.state[weight]["step"] is held
        assert float(held) == 4.0

    def test_scalars_of_a_tensor_too(self) -> None:
        """NAdam's product, in float64."""
        results = []
        for share in (False, True):
            weight = torch.nn.Parameter(torch.ones(4))
            made = thalweg.NAdam([weight], lr=0.1)
            stepped(made, 1)
            for value in made.state[weight].values():
                if share:
                    value.share_memory_()
            held = made.state[weight]["mu_product"]
            stepped(made, 3)
            assert made.state[weight]["mu_product"] is held or not share
            results.append((weight.detach().clone(), float(made.state[weight]["mu_product"])))
        assert torch.equal(results[0][0], results[1][0])
        assert results[0][1] == results[1][1]

    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
    def test_by_two_processes(self) -> None:
        """The recipe of A3C: weights, averages and step counts are everybody's."""
        weight = torch.nn.Parameter(torch.zeros(4))
        made = thalweg.SGD([weight], lr=0.1, momentum=0.5)
        stepped(made, 1, 1.0)
        weight.share_memory_()
        for value in made.state[weight].values():
            value.share_memory_()
        context = mp.get_context("fork")
        for _ in range(2):
            child = context.Process(target=hogwild, args=(made.state[weight], weight, 3))
            child.start()
            child.join()
            assert child.exitcode == 0
        stepped(made, 1, 1.0)
        alone = torch.nn.Parameter(torch.zeros(4))
        expected = torch.optim.SGD([alone], lr=0.1, momentum=0.5)
        stepped(expected, 8, 1.0)
        torch.testing.assert_close(weight, alone)
        assert float(made.state[weight]["step"]) == 8.0

    @pytest.mark.parametrize("count", [1, 500])
    def test_a_state_saved_by_itself_brings_no_others_along(self, count: int) -> None:
        params = [torch.nn.Parameter(torch.zeros(64)) for _ in range(count)]
        made = thalweg.NAdam(params)
        stepped(made, 1)
        file = io.BytesIO()
        torch.save(made.state[params[-1]], file)
        assert file.tell() < 4000


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_that_are_only_pretended(name: str) -> None:
    """FakeTensorMode, as planners of memory use it: the states that training would have, without memory."""
    from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

    real = torch.nn.Parameter(torch.ones(3, 5))
    trained = OPTIMIZERS[name]([real])
    stepped(trained, 2)
    with FakeTensorMode():
        weight = torch.nn.Parameter(torch.ones(3, 5))
        made = OPTIMIZERS[name]([weight])
        stepped(made, 2)
    assert made.state[weight].keys() == trained.state[real].keys()
    for key, value in made.state[weight].items():
        assert value.shape == trained.state[real][key].shape
        assert isinstance(value, FakeTensor) == (value.dim() > 0)
    with FakeTensorMode(allow_non_fake_inputs=True), pytest.raises(RuntimeError, match="these weights are real"):
        trained.step()


class TestNumbersInOtherClothes:
    def test_sequences_and_numbers_are_kept_as_plain_python(self) -> None:
        class Listed(list[float]):
            """As configuration libraries have them."""

        p = torch.nn.Parameter(torch.ones(2))
        for betas in (np.array([0.8, 0.9]), [0.8, 0.9], Listed([0.8, 0.9]), (np.float32(0.5), np.float64(0.9))):
            made = thalweg.AdamW([p], lr=np.float64(0.1), betas=betas, clip_norm=np.float32(1), clip_value=np.int64(1))
            kept = made.param_groups[0]["betas"]
            assert type(kept) is tuple
            assert [type(value) for value in kept] == [float, float]
            assert (type(made.param_groups[0]["lr"]), type(made.clip_norm)) == (float, float)
            made.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))], "betas": betas, "lr": np.float32(0.5)})
            assert made.param_groups[1]["betas"] == kept
            assert type(made.param_groups[1]["lr"]) is float

    @pytest.mark.parametrize(
        "arguments",
        [{"lr": "1e-3"}, {"betas": ("0.9", "0.99")}, {"eps": "1e-8"}, {"clip_norm": "1"}, {"clip_value": "1"}],
    )
    def test_strings_are_refused(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match=r"must be a number, got the string '.*': leave out its quotes"):
            thalweg.AdamW([torch.nn.Parameter(torch.ones(2))], **arguments)
        group = {"params": [torch.nn.Parameter(torch.ones(2))], **arguments}
        if not {"clip_norm"} & arguments.keys():
            with pytest.raises(TypeError, match="must be a number"):
                thalweg.AdamW([group])

    def test_options_that_ask_for_nothing(self) -> None:
        nothing = {"foreach": None, "fused": False, "capturable": False, "differentiable": False}
        p = torch.nn.Parameter(torch.ones(2))
        made = thalweg.AdamW([p], lr=0.1, **nothing)
        assert not {*nothing} & made.param_groups[0].keys()
        made.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], **nothing})
        assert not {*nothing} & made.param_groups[1].keys()
        # The groups of one of torch's.
        theirs = torch.optim.AdamW([p], lr=0.25)
        assert thalweg.AdamW(theirs.param_groups).param_groups[0]["lr"] == 0.25
        for key, why in (
            ("differentiable", "part of a graph"),
            ("fused", "fused already"),
        ):
            with pytest.raises(TypeError, match=f"takes no {key}=True: .*{why}"):
                thalweg.AdamW([p], **{key: True})
        with pytest.raises(TypeError, match="'capturable' belongs to the optimizer as a whole"):
            thalweg.AdamW([{"params": [p], "capturable": True}])


class TestTorchsArguments:
    @pytest.mark.parametrize("name", ["Adam", "NAdam", "RAdam"])
    def test_decoupled_weight_decay(self, name: str) -> None:
        ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 9, dtype=torch.float64)) for _ in range(2))
        made, other = (
            getattr(of, name)([p], lr=0.1, weight_decay=0.3, decoupled_weight_decay=True)
            for of, p in ((thalweg, ours), (torch.optim, theirs))
        )
        stepped(made, 8)
        stepped(other, 8)
        near = 1e-6 if name == "NAdam" else 1e-10  # torch keeps NAdam's product in float32
        torch.testing.assert_close(ours, theirs, rtol=near, atol=near / 100)
        # And through checkpoints, both ways.
        mine, its = torch.nn.Parameter(ours.detach().clone()), torch.nn.Parameter(theirs.detach().clone())
        here = getattr(thalweg, name)([mine], lr=0.1, weight_decay=0.3)
        here.load_state_dict(copy.deepcopy(other.state_dict()))
        assert here.param_groups[0]["decay"] == "decoupled"
        there = getattr(torch.optim, name)([its], lr=0.1, weight_decay=0.3)
        there.load_state_dict(copy.deepcopy(made.state_dict()))
        assert there.param_groups[0]["decoupled_weight_decay"] is True
        for each in (made, other, here, there):
            stepped(each, 3)
        for p in (theirs, mine, its):
            torch.testing.assert_close(p, ours, rtol=near, atol=near / 100)

    def test_said_twice(self) -> None:
        p = torch.nn.Parameter(torch.ones(2))
        assert thalweg.Adam([p], decoupled_weight_decay=False).param_groups[0]["decay"] == "l2"
        with pytest.raises(TypeError, match="give one of them"):
            thalweg.Adam([p], decoupled_weight_decay=True, decay="l2")
        with pytest.raises(TypeError, match="takes no 'decoupled_weight_decay'"):
            thalweg.Lion([p], decoupled_weight_decay=True)

    def test_unknown_names_are_answered_with_all_that_there_are(self) -> None:
        with pytest.raises(
            TypeError, match=r"takes no 'momentum'; it takes lr, betas, .*clip_norm, .*nonfinite, .*like"
        ):
            thalweg.AdamW([torch.nn.Parameter(torch.ones(2))], momentum=0.9)


class TestCountsElsewhere:
    """Libraries that count steps once for a group (apex, Megatron, pytorch_optimizer)."""

    def checkpoint(self, name: str, **of_group: Any) -> dict[str, Any]:
        made = getattr(thalweg, name)([torch.nn.Parameter(torch.ones(4))], lr=0.1)
        stepped(made, 10)
        saved = copy.deepcopy(made.state_dict())
        for kept in saved["state"].values():
            del kept["step"]
        saved["param_groups"][0].update(of_group)
        return saved

    @pytest.mark.parametrize("name", ["AdamW", "RAdam", "Lion", "SGD"])
    @pytest.mark.parametrize("count", [10, torch.tensor(10.0)])
    def test_are_taken_from_the_group(self, name: str, count: Any) -> None:
        made = getattr(thalweg, name)([torch.nn.Parameter(torch.ones(4))], lr=0.1)
        made.load_state_dict(self.checkpoint(name, step=count))
        assert float(made.state_dict()["state"][0]["step"]) == 10.0
        assert "step" not in made.param_groups[0]

    @pytest.mark.parametrize("name", ["AdamW", "RAdam", "NAdam"])
    def test_are_missed_where_they_matter(self, name: str) -> None:
        made = getattr(thalweg, name)([torch.nn.Parameter(torch.ones(4))], lr=0.1)
        with pytest.raises(KeyError, match=r"step: the checkpoint has .* but not how many steps"):
            made.load_state_dict(self.checkpoint(name))

    def test_are_not_missed_of_torchs_sgd(self) -> None:
        theirs = torch.optim.SGD([torch.nn.Parameter(torch.ones(4))], lr=0.1, momentum=0.9)
        stepped(theirs, 3)
        made = thalweg.SGD([torch.nn.Parameter(torch.ones(4))], lr=0.1, momentum=0.9)
        made.load_state_dict(theirs.state_dict())
        stepped(made, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_constant_gradient_leaves_no_variance_below_0(dtype: torch.dtype) -> None:
    """Centred RMSProp's is a difference of squares."""
    for options in ({}, {"eps_inside": True}, {"momentum": 0.9}):
        weight = torch.nn.Parameter(torch.zeros(64, dtype=dtype))
        made = thalweg.RMSprop([weight], centered=True, **options)
        for _ in range(4000):
            weight.grad = torch.linspace(1e-4, 30, 64).to(dtype)
            made.step()
        assert weight.isfinite().all(), options


class Registered(abc.ABC):
    """An abstract class that somebody wants of his optimizers."""

    @abc.abstractmethod
    def name(self) -> str: ...


class Named(Protocol):
    def name(self) -> str: ...


class Both(Registered, thalweg.AdamW):
    def name(self) -> str:
        return "both"


class TestClasses:
    def test_may_be_abstract_too(self) -> None:
        made = Both([torch.nn.Parameter(torch.ones(2))], lr=0.25)
        assert (made.name(), made.param_groups[0]["lr"]) == ("both", 0.25)
        assert pickle.loads(pickle.dumps(made)).name() == "both"
        stepped(made, 1)

    def test_say_their_arguments_to_who_reads_init(self) -> None:
        import inspect

        for name, made in OPTIMIZERS.items():
            of_init = [*inspect.signature(made.__init__).parameters]
            assert of_init == ["self", *inspect.signature(made).parameters], name

    def test_are_configured_by_jsonargparse(self) -> None:
        """As LightningCLI does."""
        jsonargparse = pytest.importorskip("jsonargparse")
        parser = jsonargparse.ArgumentParser()
        parser.add_subclass_arguments(torch.optim.Optimizer, "optimizer", skip={"params"}, instantiate=False)
        words = ["--optimizer", "thalweg.AdamW", "--optimizer.lr", "0.01", "--optimizer.betas", "[0.8, 0.9]"]
        found = parser.parse_args([*words, "--optimizer.clip_norm", "1.0", "--optimizer.amsgrad", "true"])
        made = thalweg.AdamW([torch.nn.Parameter(torch.ones(2))], **found.optimizer.init_args.as_dict())
        assert made.param_groups[0]["lr"] == 0.01
        assert made.param_groups[0]["betas"] == (0.8, 0.9)
        assert (made.clip_norm, made.param_groups[0]["amsgrad"]) == (1.0, True)

    def test_have_conventions_by_jsonargparse(self) -> None:
        """Which hands over every argument, chosen or not."""
        jsonargparse = pytest.importorskip("jsonargparse")
        parser = jsonargparse.ArgumentParser()
        parser.add_subclass_arguments(torch.optim.Optimizer, "optimizer", skip={"params"}, instantiate=False)
        found = parser.parse_args(
            ["--optimizer", "thalweg.RMSprop", "--optimizer.like", "tf1", "--optimizer.alpha", "0.5"]
        )
        weight = torch.nn.Parameter(torch.ones(2))
        made = thalweg.RMSprop([weight], **found.optimizer.init_args.as_dict()).param_groups[0]
        wanted = thalweg.RMSprop([weight], like="tf1", alpha=0.5).param_groups[0]
        assert {key: made[key] for key in wanted if key != "params"} == {
            key: wanted[key] for key in wanted if key != "params"
        }
        assert made["eps_inside"]
        # One argument that is given is meant, whatever its value.
        assert thalweg.RMSprop([weight], like="tf1", lr=0.01).param_groups[0]["lr"] == 0.01


def test_plain_operations_are_said_once() -> None:
    """One warning for a reason, where most weights are served by them; none where few are."""
    from thalweg.optim import PlainOperationsWarning, plan

    def apart(size: int) -> torch.nn.Parameter:
        return torch.nn.Parameter(torch.ones(size, 2)[:, 0])

    plan._warn_of_plain_operations.cache_clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        stepped(thalweg.SGD([torch.nn.Parameter(torch.ones(50)), apart(9)]), 1)
        assert not said
        for _ in range(2):
            stepped(thalweg.SGD([torch.nn.Parameter(torch.ones(50)), apart(90)]), 2)
    (only,) = said
    assert only.category is PlainOperationsWarning
    assert "since of the first its memory has gaps: right, and many times slower" in str(only.message)


class Momentumless(Rule):
    """A user's switch that is called as SGD's is, and means something else."""

    lr = Hyper(0.1)
    nesterov = Switch(True)

    @staticmethod
    def step(g, lr, nesterov):  # type: ignore[no-untyped-def]
        return lr * (2 * g if nesterov else g)


def test_a_users_rule_is_under_no_other_rules_law() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    stepped(thalweg.optimizer(Momentumless)([weight]), 1, 1.0)
    assert weight.tolist() == pytest.approx([-0.2, -0.2])
    for arguments in ({}, {"momentum": 0.9, "dampening": 0.1}):
        with pytest.raises(ValueError, match="nesterov needs momentum above 0 and dampening 0"):
            thalweg.SGD([weight], nesterov=True, **arguments)
    with pytest.raises(ValueError, match="nesterov needs momentum above 0"):
        thalweg.NAG([weight], momentum=0.0)


NO_HOME = """
import os, torch, thalweg
from thalweg.doctor.command import cleared
from thalweg.formula.machine import cache_folder, cache_problem, cached

def step(made_by):
    weight = torch.nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    made_by([weight], lr=0.5).step()
    return weight.tolist()

step(thalweg.Adam)  # loads what only root may read here
for name in ("HOME", "THALWEG_CACHE", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
os.setuid(54321)
print(step(thalweg.SGD), cache_folder(), cached(), cache_problem())
cleared(as_json=False)
"""


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root may become a user without an account")
def test_a_user_without_a_home() -> None:
    assert forked.code(NO_HOME).splitlines() == [
        "[0.5, 0.5, 0.5] None [] this user has no home folder: set THALWEG_CACHE to a folder of its own",
        "Removed 0 kernels, 0 kB from nowhere: there is no cache.",
    ]


def test_print_shows_what_belongs_to_the_whole_optimizer() -> None:
    made = thalweg.AdamW([torch.nn.Parameter(torch.ones(2))], clip_norm=2.0, nonfinite="skip", clear=True)
    shown = str(made).splitlines()
    torchs = str(torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])).splitlines()
    assert shown[:2] == torchs[:2]
    assert shown[shown.index("All Groups") :] == [
        "All Groups", "    amp_fused: False", "    capturable: False", "    clear: True", "    clip_eps: 1e-06",
        "    clip_norm: 2.0", "    clip_scope: all", "    nonfinite: skip", ")",
    ]  # fmt: skip


@pytest.mark.parametrize("moved", ["weight", "state", "gradient", "every weight"])
@pytest.mark.parametrize("name", ["SGD", "AdamW", "RMSprop"])
def test_tensors_that_are_replaced_before_each_step(name: str, moved: str) -> None:
    """As SAM, vector_to_parameters and offloading do: the numbers are torch's."""
    found = []
    options = {"lr": 0.05, **({"momentum": 0.9} if name == "SGD" else {})}
    for module in (thalweg, torch.optim):
        params = [torch.nn.Parameter(torch.linspace(-1, 1, 5 + i, dtype=torch.float64)) for i in range(30)]
        made = getattr(module, name)(params, **options)
        for step in range(12):
            for i, p in enumerate(params):
                p.grad = torch.sin(p.detach() * (step + 1) + i)
            p = params[7 * step % 30]
            if moved == "weight":
                p.data = p.detach() * 0.5
            elif moved == "every weight":
                torch.nn.utils.vector_to_parameters(torch.nn.utils.parameters_to_vector(params).detach(), params)
            elif moved == "gradient":
                p.grad = p.grad.clone()
            elif step:
                key = next(k for k, v in made.state[p].items() if torch.is_tensor(v) and v.shape == p.shape)
                made.state[p][key] = made.state[p][key].clone()
            made.step()
        found.append(torch.cat([p.detach() for p in params]))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


class TestOtherGroups:
    """A checkpoint of named parameters in another grouping."""

    def parameters(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(name, torch.nn.Parameter(torch.linspace(-1, 1, 4))) for name in "wb"]

    def apart(self, made_by: Any, named: list[tuple[str, Any]], **options: Any) -> Any:
        return made_by([{"params": [each]} for each in named], **options)

    @pytest.mark.parametrize("name", ["ScheduleFreeSGD", "ScheduleFreeAdamW", "Prodigy"])
    def test_keeps_what_groups_keep(self, name: str) -> None:
        """Schedule-Free's sum of weights, Prodigy's estimate: judged by the same checkpoint in its own grouping."""
        made_by = getattr(thalweg, name)
        made = made_by(self.parameters(), lr=0.1)
        stepped(made, 20, 0.3, seed=0)
        state, found = made.state_dict(), []
        for again in (made_by(self.parameters(), lr=0.1), self.apart(made_by, self.parameters(), lr=0.1)):
            again.load_state_dict(copy.deepcopy(state))
            stepped(again, 2, 0.3, seed=1)
            params = [p for group in again.param_groups for p in group["params"]]
            with again.averaged() if "Free" in name else contextlib.nullcontext():
                found.append(torch.cat([p.detach().clone() for p in params]))
        torch.testing.assert_close(*found)

    def test_refuses_groups_that_have_gone_different_ways(self) -> None:
        made = self.apart(thalweg.ScheduleFreeSGD, self.parameters(), lr=0.1)
        made.param_groups[1]["lr"] = 0.4
        stepped(made, 3)
        together = thalweg.ScheduleFreeSGD(self.parameters(), lr=0.1)
        with pytest.raises(ValueError, match="its groups have gone different ways"):
            together.load_state_dict(made.state_dict())

    def test_takes_a_count_of_the_whole_group(self) -> None:
        made = thalweg.AdamW(self.parameters())
        stepped(made, 10)
        state = made.state_dict()
        for kept in state["state"].values():
            del kept["step"]
        state["param_groups"][0]["step"] = 10
        again = self.apart(thalweg.AdamW, self.parameters())
        again.load_state_dict(state)
        assert [float(kept["step"]) for kept in again.state_dict()["state"].values()] == [10.0, 10.0]

    def test_without_names_is_told_what_is_wrong(self) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4))
        theirs = torch.optim.AdamW(model.parameters())
        stepped(theirs, 1)
        with pytest.raises(
            ValueError, match=r"1 group of 4 parameters, the optimizer 2 groups of 1, 3.*save with names"
        ):
            thalweg.create("adamw", model).load_state_dict(theirs.state_dict())
        named = torch.optim.AdamW(model.named_parameters())
        stepped(named, 1)
        thalweg.create("adamw", model).load_state_dict(named.state_dict())


def test_two_optimizers_checkpoints_become_one() -> None:
    """Of one who had an optimizer for the weights and one for the biases: goes on as both would have."""
    sizes, found = (5, 3, 4), []
    for module in (torch.optim, thalweg):
        params = [torch.nn.Parameter(torch.linspace(-1, 1, n, dtype=torch.float64)) for n in sizes]
        both = [torch.optim.AdamW(params[:2], lr=0.1), torch.optim.AdamW(params[2:], lr=0.01, weight_decay=0.0)]
        for made in both:
            stepped(made, 5, 0.3, seed=1)
        if module is thalweg:
            one = thalweg.AdamW([{"params": params[:2]}, {"params": params[2:]}])
            one.load_state_dict(thalweg.joined_checkpoints(*(made.state_dict() for made in both)))
            assert [group["lr"] for group in one.param_groups] == [0.1, 0.01]
            both = [one]
        for made in both:
            stepped(made, 5, 0.3)
        found.append(torch.cat([p.detach() for p in params]))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layout", ["gaps", "transposed"])
def test_moments_that_are_shared_stay_shared_in_any_layout(layout: str) -> None:
    base = torch.zeros(6, 4).share_memory_()
    weight = torch.nn.Parameter(base[::2] if layout == "gaps" else base.t())
    made = thalweg.Adam([weight], lr=0.1)
    kept = {"step": torch.tensor(0.0), "exp_avg": torch.zeros(weight.shape), "exp_avg_sq": torch.zeros(weight.shape)}
    kept = {key: value.share_memory_() for key, value in kept.items()}
    made.state[weight] = dict(kept)
    theirs = torch.nn.Parameter(torch.zeros(weight.shape))
    other = torch.optim.Adam([theirs], lr=0.1)
    for step in range(5):
        weight.grad, theirs.grad = torch.full(weight.shape, 1.0 + step), torch.full(weight.shape, 1.0 + step)
        made.step()
        other.step()
        made.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))]})  # plans anew
    torch.testing.assert_close(weight.detach(), theirs.detach())
    for key, value in kept.items():
        assert made.state[weight][key].data_ptr() == value.data_ptr(), key
        torch.testing.assert_close(value, other.state[theirs][key])


@pytest.mark.parametrize("name", ["Adam", "NAdam", "RAdam"])
def test_a_users_rule_may_be_called_as_torchs(name: str) -> None:
    def step(g, lr):  # type: ignore[no-untyped-def]
        return lr * g

    rule = type(name, (Rule,), {"lr": Hyper(0.1), "step": staticmethod(step), "__module__": __name__})
    made = thalweg.optimizer(rule)([torch.nn.Parameter(torch.ones(2))])
    stepped(made, 1)
    made.load_state_dict(made.state_dict())


def test_torchs_choice_of_decay_by_place() -> None:
    for name, place in (("NAdam", (2e-3, (0.9, 0.999), 1e-8, 0.1, 4e-3)), ("RAdam", (2e-3, (0.9, 0.999), 1e-8, 0.1))):
        found = []
        for module in (thalweg, torch.optim):
            weight = torch.nn.Parameter(torch.linspace(-1, 1, 5, dtype=torch.float64))
            made = getattr(module, name)([weight], *place, True)
            stepped(made, 10, 0.3, seed=3)
            found.append(weight.detach())
        torch.testing.assert_close(*found, rtol=1e-7, atol=1e-9)
        assert made.param_groups[0]["decoupled_weight_decay"] is True


def test_what_was_saved_before_averages_warmed_up_goes_on_as_it_was() -> None:
    weight = torch.nn.Parameter(torch.zeros(3))
    made = thalweg.SGD([weight], lr=1.0, ema=0.99, ema_warmup=False)
    stepped(made, 20, 1.0)
    state, pickled = made.state_dict(), made.__getstate__()
    for groups in (state["param_groups"], pickled["param_groups"], [pickled["defaults"]]):
        for group in groups:
            del group["ema_warmup"]
    loaded = thalweg.SGD([torch.nn.Parameter(weight.detach().clone())], lr=1.0, ema=0.99)
    loaded.load_state_dict(state)
    restored = thalweg.SGD.__new__(thalweg.SGD)
    restored.__setstate__(copy.deepcopy(pickled))
    plain = pickle.loads(pickle.dumps(thalweg.SGD([torch.nn.Parameter(torch.ones(1))], ema=None)))
    assert plain.param_groups[0]["ema_warmup"] is True
    before = float(state["state"][0]["ema"][0])
    for again in (loaded, restored):
        assert again.param_groups[0]["ema_warmup"] is False
        stepped(again, 1, 1.0)
        (kept,) = again.state_dict()["state"].values()
        assert float(kept["ema"][0]) == pytest.approx(0.99 * before + 0.01 * -21.0, rel=1e-5)


@pytest.mark.parametrize("key", ["maximize", "nesterov", "ema_warmup"])
def test_a_choice_is_no_string(key: str) -> None:
    with pytest.raises(TypeError, match=f"SGD: {key} is True or False, got the string 'false'"):
        thalweg.SGD([torch.nn.Parameter(torch.ones(2))], momentum=0.9, **{key: "false"})


@pytest.mark.parametrize("nonfinite", ["raise", "skip"])
def test_steps_that_are_only_pretended_are_guarded(nonfinite: str) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        weight = torch.nn.Parameter(torch.ones(3))
        weight.grad = torch.ones(3)
        thalweg.AdamW([weight], nonfinite=nonfinite).step()


def test_a_subclass_shows_its_own_signature() -> None:
    class Mine(thalweg.AdamW):
        def __init__(self, params: Any, extra: int = 1, **options: Any) -> None:
            super().__init__(params, **options)

    assert [*inspect.signature(Mine).parameters] == ["params", "extra", "options"]
    assert "betas" in inspect.signature(thalweg.AdamW).parameters
