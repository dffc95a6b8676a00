"""A drop-in optimizer: what may be done to one besides what `thalweg.testing` asks of all, against torch doing it."""

import collections
import copy
import inspect
import pickle
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch

import forked
import thalweg
from thalweg.formula import Hyper, Rule, State
from thalweg.optim import OPTIMIZERS, Optimizer, surface

SHARED = ("SGD", "Adagrad", "RMSprop", "Adam", "AdamW")
SHAPES = ((3, 4), (), (17,))


@thalweg.optimizer
class Drifting(Rule):
    """A rule of a user's own, in his own module."""

    lr = Hyper(0.1)
    m = State("average")

    @staticmethod
    def step(g, m, lr):
        m = 0.5 * m + g
        return lr * m, m


def weights(dtype: torch.dtype = torch.float64, shapes: tuple[tuple[int, ...], ...] = SHAPES) -> list[torch.Tensor]:
    seeded = torch.Generator().manual_seed(5)
    return [torch.nn.Parameter(torch.randn(s, generator=seeded, dtype=torch.float64).to(dtype)) for s in shapes]


def give(params: Iterable[torch.Tensor], seed: int) -> None:
    """Gradients, the same for the same seed."""
    seeded = torch.Generator().manual_seed(seed)
    for p in params:
        p.grad = torch.randn(p.shape, generator=seeded, dtype=torch.float64).to(p.dtype)


def run(made: torch.optim.Optimizer, steps: Iterable[int] = range(4)) -> torch.optim.Optimizer:
    for seed in steps:
        give([p for group in made.param_groups for p in group["params"]], seed)
        made.step()
    return made


def at(made: torch.optim.Optimizer) -> torch.Tensor:
    """All weights."""
    return torch.cat([p.detach().double().reshape(-1) for group in made.param_groups for p in group["params"]])


def close(ours: torch.optim.Optimizer, theirs: torch.optim.Optimizer, tolerance: float = 1e-12) -> bool:
    distance = (at(ours) - at(theirs)).norm() / at(theirs).norm()
    return bool(distance < tolerance)


def pair(name: str, **arguments: Any) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Ours and torch's on equal weights."""
    return OPTIMIZERS[name.lower()](weights(), **arguments), getattr(torch.optim, name)(
        weights(), foreach=False, **arguments
    )


class TestArguments:
    @pytest.mark.parametrize("name", SHARED)
    def test_names_stand_as_in_torch(self, name: str) -> None:
        ours = inspect.signature(getattr(thalweg, name)).parameters
        theirs = inspect.signature(getattr(torch.optim, name)).parameters
        extra = (*surface.CHAIN, *surface.WHOLE, "like")
        # What torch chooses by an argument of its own is decay= here.
        others = (*surface.OF_TORCHS_GROUPS, "maximize", "decoupled_weight_decay")
        torchs = [key for key in theirs if key not in others]
        own = [key for key in ours if key not in extra]
        # Conventions that torch does not have stand after what it has.
        assert own[: len(torchs)] == torchs
        for key in torchs[1:]:
            assert ours[key].default == theirs[key].default, key
        assert all(ours[key].kind is inspect.Parameter.KEYWORD_ONLY for key in extra if key in ours)

    def test_by_place(self) -> None:
        made = thalweg.Adam(weights(), 0.1, (0.5, 0.6), 1e-3, 0.2, True)
        for key, value in {"lr": 0.1, "betas": (0.5, 0.6), "eps": 1e-3, "weight_decay": 0.2, "amsgrad": True}.items():
            assert made.param_groups[0][key] == value
        assert thalweg.SGD(weights(), 0.1, 0.9, 0.5, 0.01, False).param_groups[0]["dampening"] == 0.5

    @pytest.mark.parametrize(
        ("make", "error", "message"),
        [
            (lambda p: thalweg.AdamW(p, lr=1e-3, weight_deacy=0.1), TypeError, "AdamW takes no 'weight_deacy'; it tak"),
            (
                lambda p: thalweg.AdamW(p, momentum=0.9),
                TypeError,
                "it takes lr, betas, eps, weight_decay, amsgrad, eps_root",
            ),
            (
                lambda p: thalweg.AdamW(p, fused=True),
                TypeError,
                "takes no fused=True: every thalweg optimizer is",
            ),
            (lambda p: thalweg.SGD(p, foreach=True), TypeError, "takes no foreach=True"),
            (lambda p: thalweg.Adam(p, capturable="yes"), TypeError, "capturable is True or False, got the string"),
            (lambda p: thalweg.Adam(p, 1e-3, lr=1e-2), TypeError, "got 'lr' twice"),
            (
                lambda p: thalweg.Adam(p, 1e-3, (0.9, 0.9), 1e-8, 0.0, False, 0.0, False, False, True, "l2"),
                TypeError,
                "at most 9 arguments",
            ),
            (lambda p: thalweg.AdamW(p, lr=-1e-3), ValueError, "AdamW: lr must be at least 0 and finite, got -0.001"),
            (lambda p: thalweg.AdamW(p, lr=float("nan")), ValueError, "lr must be"),
            (lambda p: thalweg.AdamW(p, lr=float("inf")), ValueError, "lr must be"),
            (lambda p: thalweg.AdamW(p, lr="fast"), TypeError, "lr must be a number, got the string 'fast'"),
            (lambda p: thalweg.AdamW(p, lr=None), TypeError, "lr must be a number, got None"),
            (lambda p: thalweg.AdamW(p, eps="tiny"), TypeError, "eps must be a number, got the string 'tiny'"),
            (
                lambda p: thalweg.AdamW(p, betas=(0.9, "much")),
                TypeError,
                "beta2 must be a number, got the string 'much'",
            ),
            (lambda p: thalweg.AdamW(p, lr=torch.ones(2)), ValueError, "lr must be one number"),
            (lambda p: thalweg.AdamW(p, betas=(0.9, 1.0)), ValueError, "beta2 must be at least 0 and below 1, got 1"),
            (lambda p: thalweg.AdamW(p, betas=(-0.1, 0.9)), ValueError, "beta1 must be at least 0 and below 1"),
            (lambda p: thalweg.AdamW(p, betas=(0.9,)), ValueError, "betas must be 2 numbers, like"),
            (lambda p: thalweg.AdamW(p, betas=(0.9, 0.9, 0.9)), ValueError, "betas must be 2 numbers"),
            (lambda p: thalweg.AdamW(p, betas=0.9), ValueError, "betas must be 2 numbers"),
            (lambda p: thalweg.AdamW(p, eps=-1e-8), ValueError, "eps must be at least 0"),
            (lambda p: thalweg.AdamW(p, weight_decay=-1), ValueError, "weight_decay must be at least 0"),
            (lambda p: thalweg.RMSprop(p, alpha=1.0), ValueError, "alpha must be at least 0 and below 1"),
            (lambda p: thalweg.SGD(p, nesterov=True), ValueError, "nesterov needs momentum above 0"),
            (lambda p: thalweg.SGD(p, momentum=0.9, dampening=0.1, nesterov=True), ValueError, "dampening 0"),
            (lambda p: thalweg.AdamW(p, clip_norm=0.0), ValueError, "clip_norm must be above 0"),
            (lambda p: thalweg.AdamW(p, clip_norm=float("nan")), ValueError, "clip_norm must be above 0"),
            (lambda p: thalweg.AdamW(p, clip_value=-1.0), ValueError, "clip_value must be above 0"),
            (
                lambda p: thalweg.AdamW(p, decay="L2"),
                ValueError,
                "decay must be one of l2, decoupled, cautious, strictly-cautious, independent, corrected, palm",
            ),
            (lambda p: thalweg.AdamW(p, nonfinite="ignore"), ValueError, "nonfinite must be one of raise, skip, pass"),
            (lambda p: thalweg.AdamW([{"params": p, "lr": -1.0}]), ValueError, "lr must be at least 0"),
            (lambda p: thalweg.AdamW([]), ValueError, "empty"),
            (lambda p: thalweg.AdamW(p[0]), TypeError, "iterable"),
            (lambda p: thalweg.optimizer(thalweg.AdamW), TypeError, "takes a Rule"),
        ],
    )
    def test_refused_in_words(
        self, make: Callable[[list[torch.Tensor]], object], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            make(weights())

    def test_a_generator_of_parameters(self) -> None:
        made = thalweg.SGD((p for p in weights()), lr=0.1)
        assert len(made.param_groups[0]["params"]) == len(SHAPES)

    def test_named_parameters(self) -> None:
        model = torch.nn.Linear(2, 3)
        made = thalweg.AdamW(model.named_parameters(), lr=0.1)
        assert made.param_groups[0]["param_names"] == ["weight", "bias"]
        run(made)
        assert made.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


class TestLearningRate:
    def test_momentum_scheduled_through_zero(self) -> None:
        """A hyperparameter that an `if` tests may change between 0 and not 0 while training."""
        ours, theirs = pair("SGD", lr=0.1)
        for made in (ours, theirs):
            for seed, momentum in enumerate((0.0, 0.9, 0.9, 0.0, 0.9)):
                made.param_groups[0]["momentum"] = momentum
                run(made, [seed])
        assert close(ours, theirs)


class TestClosure:
    def test_skipped_step_returns_the_loss_too(self) -> None:
        weight = torch.nn.Parameter(torch.ones(1))
        made = thalweg.SGD([weight], lr=1.0, nonfinite="skip")

        def closure() -> float:
            weight.grad = torch.full((1,), float("nan"))
            return 7.0

        assert made.step(closure) == 7.0
        assert weight.item() == 1.0


def same(a: Any, b: Any) -> bool:
    """Equal state_dicts, to the bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


class TestGroups:
    def test_own_numbers_and_switches(self) -> None:
        def grouped(made: type[torch.optim.Optimizer], **options: Any) -> torch.optim.Optimizer:
            a, b, c = weights()
            groups = [
                {"params": [a], "lr": 0.1, "amsgrad": True, "betas": (0.5, 0.5)},
                {"params": [b], "weight_decay": 0.5},
                {"params": [c], "maximize": True, "name": "the last"},
            ]
            return run(made(groups, lr=0.01, **options))

        assert close(grouped(thalweg.Adam), grouped(torch.optim.Adam, foreach=False))
        assert close(grouped(thalweg.AdamW), grouped(torch.optim.AdamW, foreach=False))

    @pytest.mark.parametrize("copied", ["loaded", "deepcopy", "pickle"])
    def test_added_after_a_copy(self, copied: str) -> None:
        made = run(thalweg.AdamW(weights(), lr=0.1), [0])
        if copied == "loaded":
            made.load_state_dict(made.state_dict())
        else:
            made = copy.deepcopy(made) if copied == "deepcopy" else pickle.loads(pickle.dumps(made))
        made.add_param_group({"params": [torch.nn.Parameter(torch.ones(2, dtype=torch.float64))]})
        assert set(made.param_groups[0]) == set(made.param_groups[1])
        run(made, [1])

    def test_added_with_mistakes(self) -> None:
        made = thalweg.AdamW(weights())
        with pytest.raises(ValueError, match="lr must be at least 0"):
            made.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))], "lr": -1.0})
        with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
            made.add_param_group({"params": made.param_groups[0]["params"][:1]})
        assert len(made.param_groups) == 1

    def test_late_group_takes_part_in_what_all_have_reached(self) -> None:
        made = thalweg.Prodigy([torch.nn.Parameter(torch.full((50,), 3.0))])
        run(made, [0])
        reached = made.param_groups[0]["d"] = 0.25  # its estimate only grows, from 1e-6
        late = torch.nn.Parameter(torch.ones(3))
        made.add_param_group({"params": [late]})
        late.grad = torch.zeros(3)
        made.step()
        assert made.param_groups[1]["d"] == made.param_groups[0]["d"] >= reached

    def test_parameter_put_in_anothers_place(self) -> None:
        """As when a model is pruned or grown: the group's list is changed, and the state is not touched."""
        ours, theirs = pair("SGD", lr=0.1, momentum=0.9)
        for made in (ours, theirs):
            run(made, [0, 1])
            made.param_groups[0]["params"][0] = torch.nn.Parameter(torch.ones(3, 4, dtype=torch.float64))
            run(made, [2, 3])
        assert close(ours, theirs)

    def test_parameter_and_state_put_in_anothers_place(self) -> None:
        ours, theirs = pair("Adam", lr=0.1)
        for made in (ours, theirs):
            run(made, [0, 1])
            old = made.param_groups[0]["params"][0]
            kept = made.state.pop(old)
            new = torch.nn.Parameter(torch.cat([old.detach(), torch.ones(2, 4, dtype=torch.float64)]))
            for key in ("exp_avg", "exp_avg_sq"):
                kept[key] = torch.cat([kept[key], torch.zeros(2, 4, dtype=torch.float64)])
            made.param_groups[0]["params"][0] = new
            made.state[new] = kept
            run(made, [2, 3])
        assert close(ours, theirs)


class TestCopies:
    def test_skipped_steps_are_kept(self) -> None:
        made = thalweg.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1, nonfinite="skip")
        made.param_groups[0]["params"][0].grad = torch.full((1,), float("inf"))
        made.step()
        assert copy.deepcopy(made).skipped_steps == made.skipped_steps == 1


class TestSlipsInGroups:
    @pytest.mark.parametrize(
        ("made", "group", "message"),
        [
            (thalweg.AdamW, {"wieght_decay": 0.5}, "AdamW: a group has 'wieght_decay'; did you mean 'weight_decay'"),
            (thalweg.Lion, {"beta": (0.5, 0.9)}, "did you mean 'betas'"),
            (thalweg.Rprop, {"weight_decay": 0.1}, "Rprop takes no weight decay, but a group has weight_decay=0.1"),
        ],
    )
    def test_slips_are_refused(self, made: Any, group: dict[str, Any], message: str) -> None:
        with pytest.raises(TypeError, match=message):
            made([{"params": weights(), **group}])

    def test_keys_of_ones_own_are_kept(self) -> None:
        own = {"name": "head", "lr_scale": 0.5, "layer": 3, "initial_lr": 0.1, "swa_lr": 0.1, "weight_decay": 0.0}
        made = thalweg.Rprop([{"params": weights(), **own}])
        assert own.items() <= made.param_groups[0].items()


class TestCheckpoints:
    @pytest.mark.parametrize("flag", ["fused", "foreach", "capturable", "differentiable"])
    def test_implementation_does_not_come_back(self, flag: str) -> None:
        theirs = torch.optim.AdamW(weights(), lr=0.1, **({flag: True} if flag in ("fused", "foreach") else {}))
        assert flag in theirs.param_groups[0]
        ours = thalweg.AdamW(weights(), lr=0.1)
        saved = run(theirs).state_dict()
        saved["param_groups"][0][flag] = True  # which not every one can be on a CPU
        ours.load_state_dict(saved)
        assert flag not in ours.param_groups[0]
        assert flag not in ours.defaults
        run(ours, [5])

    def test_older_checkpoint(self) -> None:
        """A group that lacks what later versions have, and a step count that is a plain number."""
        made = run(thalweg.Adam(weights(), lr=0.1), range(2))
        saved = copy.deepcopy(made.state_dict())
        for key in ("maximize", "clip_value", "decay", "amsgrad"):
            del saved["param_groups"][0][key]
        for state in saved["state"].values():
            state["step"] = int(state["step"])
        twin = thalweg.Adam([torch.nn.Parameter(p.detach().clone()) for p in made.param_groups[0]["params"]])
        twin.load_state_dict(saved)
        assert torch.equal(at(run(made, [2, 3])), at(run(twin, [2, 3])))

    def test_steps_are_numbers_of_their_own(self) -> None:
        made = run(thalweg.AdamW(weights(), lr=0.1), range(3))
        state = made.state_dict()["state"]
        steps = [s["step"] for s in state.values()]
        assert all(s.shape == () and s.dtype == torch.float32 for s in steps)
        assert len({s.data_ptr() for s in steps}) == len(steps)
        steps[0].fill_(50.0)
        assert [float(s) for s in steps] == [50.0, 3.0, 3.0]
        run(made, [3])
        # Like torch's, the result of state_dict() shows the state itself.
        assert [float(s["step"]) for s in made.state_dict()["state"].values()] == [51.0, 4.0, 4.0]

    def test_replacing_in_a_state_dict_replaces_nothing_here(self) -> None:
        made = run(thalweg.AdamW(weights(), lr=0.1), range(2))
        expected = run(copy.deepcopy(made), [2])
        for state in made.state_dict()["state"].values():
            for key in list(state):
                state[key] = torch.zeros(())
        assert torch.equal(at(run(made, [2])), at(expected))
        assert same(made.state_dict(), expected.state_dict())

    def test_other_models_checkpoint(self) -> None:
        made = run(thalweg.AdamW(weights(), lr=0.1))
        other = thalweg.AdamW(weights(shapes=((4, 3), (), (17,))), lr=0.1)
        with pytest.raises(ValueError, match=r"'exp_avg(_sq)?' has the shape \(3, 4\), its parameter \(4, 3\)"):
            other.load_state_dict(made.state_dict())
        assert not other.state
        assert torch.equal(at(run(other)), at(run(thalweg.AdamW(weights(shapes=((4, 3), (), (17,))), lr=0.1))))
        with pytest.raises(ValueError, match=r"different number of parameter groups|size of optimizer's group"):
            thalweg.AdamW(weights()[:2]).load_state_dict(made.state_dict())


class TestStateTouchedFromOutside:
    """torch's optimizers look up their state at every step. Ours remember where it is, and must notice."""

    def compared(self, touch: Callable[[Any], object], name: str = "Adam", **arguments: Any) -> None:
        ours, theirs = pair(name, **{"lr": 0.1, **arguments})
        for made in (ours, theirs):
            run(made, [0, 1])
            touch(made)
            run(made, [2, 3])
            touch(made)
            run(made, [4])
        assert close(ours, theirs)

    def test_tensor_replaced(self) -> None:
        def touch(made: Any) -> None:
            first = made.param_groups[0]["params"][0]
            made.state[first]["exp_avg"] = torch.full((3, 4), 0.5, dtype=torch.float64)

        self.compared(touch)

    def test_step_replaced(self) -> None:
        def touch(made: Any) -> None:
            made.state[made.param_groups[0]["params"][1]]["step"] = torch.tensor(40.0)

        self.compared(touch)

    def test_step_written(self) -> None:
        self.compared(lambda made: made.state[made.param_groups[0]["params"][1]]["step"].fill_(40.0))

    @pytest.mark.parametrize("only", ["step", "exp_avg", ""])
    def test_data_moved(self, only: str) -> None:
        def touch(made: Any) -> None:
            for s in made.state.values():
                for k, v in s.items():
                    if only in k:
                        v.data = v.clone()

        self.compared(touch)
        # The states are still the ones that are counted and averaged in.
        ours = thalweg.Adam(weights(), lr=0.1)
        run(ours, [0, 1])
        touch(ours)
        run(ours, [2, 3])
        assert [float(s["step"]) for s in ours.state_dict()["state"].values()] == [4.0] * 3

    def test_all_cleared(self) -> None:
        self.compared(lambda made: made.state.clear())

    def test_one_deleted(self) -> None:
        self.compared(lambda made: made.state.pop(made.param_groups[0]["params"][2]))

    def test_inside_cleared(self) -> None:
        self.compared(lambda made: made.state[made.param_groups[0]["params"][2]].clear())

    def test_another_mapping(self) -> None:
        def touch(made: Any) -> None:
            made.state = collections.defaultdict(dict)

        self.compared(touch)

    def test_another_mapping_that_is_kept(self) -> None:
        def touch(made: Any) -> None:
            made.state = collections.defaultdict(dict, {p: dict(s) for p, s in made.state.items()})

        self.compared(touch)

    @pytest.mark.parametrize("name", ["Adam", "SGD"])
    def test_kept_references(self, name: str) -> None:
        """Somebody looked inside once, long ago, and uses what he got later."""
        arguments = {"momentum": 0.9} if name == "SGD" else {}
        key = "momentum_buffer" if name == "SGD" else "exp_avg"
        ours, theirs = pair(name, lr=0.1, **arguments)
        for made in (ours, theirs):
            run(made, [0])
            inside = made.state[made.param_groups[0]["params"][0]]
            tensor = next(iter(made.state.values()))[key]
            run(made, [1, 2])
            tensor.mul_(0.5)
            run(made, [3])
            tensor.data = torch.ones_like(tensor)
            run(made, [4])
            inside[key] = torch.zeros_like(tensor)
            run(made, [5, 6])
        assert close(ours, theirs)

    def test_copies_of_the_mapping(self) -> None:
        made = run(thalweg.Adam(weights(), lr=0.1))
        for other in (made.state.copy(), copy.copy(made.state), dict(made.state)):
            assert list(other) == made.param_groups[0]["params"]
            assert all(a is b for a, b in zip(other.values(), made.state.values(), strict=True))
        assert all(torch.equal(a["exp_avg"], b["exp_avg"]) for a, b in zip(
            copy.deepcopy(made.state).values(), made.state.values(), strict=True))  # fmt: skip

    @pytest.mark.parametrize(
        "way_in",
        [
            lambda s, ps: s.copy(),
            lambda s, ps: copy.copy(s),
            lambda s, ps: dict(s),
            lambda s, ps: {**s},
            lambda s, ps: dict(s.items()),
            lambda s, ps: dict(zip(ps, s.values(), strict=True)),
            lambda s, ps: s | {},
            lambda s, ps: {} | s,
            lambda s, ps: {p: s[p] for p in ps},
            lambda s, ps: {p: s.get(p) for p in ps},
            lambda s, ps: {p: s.setdefault(p, {}) for p in ps},
        ],
    )
    def test_every_way_in_is_noticed(self, way_in: Callable[[Any, list[torch.Tensor]], dict[Any, Any]]) -> None:
        ours, theirs = pair("Adam", lr=0.1)
        for made in (ours, theirs):
            run(made, [0, 1])
            inside = way_in(made.state, made.param_groups[0]["params"])
            run(made, [2])
            for state in inside.values():
                state["exp_avg"] = torch.ones_like(state["exp_avg"])
            run(made, [3])
        assert close(ours, theirs)

    def test_hooks_of_state_dict(self) -> None:
        ours, theirs = pair("Adam", lr=0.1)
        for made in (ours, theirs):
            run(made, [0, 1])

            def hook(made: Any) -> None:
                for state in made.state.values():
                    state["exp_avg"] = torch.zeros_like(state["exp_avg"])

            handle = made.register_state_dict_pre_hook(hook)
            made.state_dict()
            handle.remove()
            run(made, [2])
        assert close(ours, theirs)

    def test_scalar_of_a_tensor_replaced(self) -> None:
        made = run(thalweg.NAdam(weights()), range(3))
        first = made.param_groups[0]["params"][0]
        before = float(made.state[first]["mu_product"])
        made.state[first]["mu_product"] = torch.tensor(1.0, dtype=torch.float64)
        run(made, [3])
        found = [float(s["mu_product"]) for s in made.state.values()]
        assert found[1] < before
        assert found[0] == pytest.approx(found[1] / before)

    def test_state_in_another_type(self) -> None:
        made = run(thalweg.Adam(weights(torch.float32), lr=0.1), [0])
        exact = run(thalweg.Adam(weights(torch.float32), lr=0.1), [0])
        for state in made.state.values():
            for key in ("exp_avg", "exp_avg_sq"):
                state[key] = state[key].double()
        run(made, [1, 2])
        assert made.state[made.param_groups[0]["params"][0]]["exp_avg"].dtype == torch.float64
        assert close(made, run(exact, [1, 2]), 1e-6)


class TestWeightsAndGradientsMoved:
    def compared(self, touch: Callable[[list[torch.Tensor]], object], **arguments: Any) -> None:
        """``touch`` is called when gradients are there, before the step."""
        ours, theirs = pair("Adam", lr=0.1, **arguments)
        for made in (ours, theirs):
            params = made.param_groups[0]["params"]
            for seed in range(5):
                give(params, seed)
                if seed in (2, 4):
                    touch(params)
                made.step()
        assert close(ours, theirs)

    def test_data_replaced(self) -> None:
        def touch(params: list[torch.Tensor]) -> None:
            for p in params:
                p.data = p.data * 2 + 1

        self.compared(touch)

    def test_data_replaced_by_another_layout(self) -> None:
        def touch(params: list[torch.Tensor]) -> None:
            params[0].data = params[0].data.t().contiguous().t()

        self.compared(touch)

    def test_gradient_replaced(self) -> None:
        def touch(params: list[torch.Tensor]) -> None:
            for p in params:
                p.grad = torch.ones_like(p)

        self.compared(touch)

    def test_gradient_set(self) -> None:
        def touch(params: list[torch.Tensor]) -> None:
            for p in params:
                assert p.grad is not None
                p.grad.set_(torch.full_like(p, 2.0))

        self.compared(touch)

    def test_gradient_data_replaced(self) -> None:
        def touch(params: list[torch.Tensor]) -> None:
            for p in params:
                assert p.grad is not None
                p.grad.data = torch.full_like(p, 2.0)

        self.compared(touch)

    def test_gradients_freed_and_reallocated(self) -> None:
        """Gradients at the addresses that other parameters' gradients had before."""
        ours, theirs = pair("Adam", lr=0.1)
        kept = torch.randn(6, 12, dtype=torch.float64)
        for made in (ours, theirs):
            params = made.param_groups[0]["params"]
            for step in range(6):
                rows = kept.roll(step, 0)
                for p, row in zip(params, (rows[0].view(3, 4), rows[1, :1].view(()), torch.cat([rows[2], rows[3, :5]])),
                                  strict=True):  # fmt: skip
                    p.grad = row
                made.step()
        assert close(ours, theirs)

    def test_gradients_that_persist(self) -> None:
        ours, theirs = pair("Adam", lr=0.1)
        for made in (ours, theirs):
            params = made.param_groups[0]["params"]
            give(params, 0)
            for _ in range(4):
                for p in params:
                    p.grad.mul_(0.5).add_(0.1)
                made.step()
        assert close(ours, theirs)

    def test_model_in_another_type(self) -> None:
        results = []
        for made_by in (thalweg.Adam, torch.optim.Adam):
            torch.manual_seed(0)
            model = torch.nn.Linear(4, 3)
            made = made_by(model.parameters(), lr=0.1)
            for step in range(4):
                if step == 2:
                    model.double()
                    # torch's averages have to follow; ours may stay as exact as they were
                    for state in made.state.values() if made_by is torch.optim.Adam else ():
                        state.update({k: v.double() for k, v in state.items() if k != "step"})
                made.zero_grad()
                model(torch.ones(2, 4, dtype=model.weight.dtype)).pow(2).sum().backward()
                made.step()
            assert model.weight.dtype == torch.float64
            results.append(at(made))
        assert torch.allclose(*results, rtol=1e-5)

    def test_model_in_another_memory_format(self) -> None:
        results = []
        for made_by in (thalweg.Adam, torch.optim.Adam):
            torch.manual_seed(0)
            model = torch.nn.Conv2d(3, 4, 3).double()
            made = made_by(model.parameters(), lr=0.1)
            for step in range(4):
                if step == 2:
                    model.to(memory_format=torch.channels_last)
                made.zero_grad()
                model(torch.linspace(-1, 1, 2 * 3 * 25, dtype=torch.float64).view(2, 3, 5, 5)).pow(2).sum().backward()
                made.step()
            results.append(torch.cat([p.detach().contiguous().reshape(-1) for p in model.parameters()]))
        assert torch.allclose(*results, rtol=1e-10)

    @pytest.mark.parametrize(
        "dense",
        [
            pytest.param(False, id="gradient of the new layout"),
            pytest.param(True, id="gradient of the old layout"),
        ],
    )
    def test_transposed_in_place(self, dense: bool) -> None:
        """Same memory, other strides: no address changes."""
        results = []
        for made_by in (thalweg.Adam, torch.optim.Adam):
            weight = torch.nn.Parameter(torch.arange(9, dtype=torch.float64).view(3, 3))
            made = made_by([weight], lr=0.1)
            for seed in range(4):
                if seed == 2:
                    weight.data = weight.data.t()
                give([weight], seed)
                if not dense and seed >= 2:
                    weight.grad = torch.empty_like(weight).copy_(weight.grad)
                made.step()
            results.append(weight.detach().clone())
        assert torch.allclose(*results, rtol=1e-10)

    def test_gradient_that_does_not_fit(self) -> None:
        weight = torch.nn.Parameter(torch.ones(4))
        made = thalweg.SGD([("w", weight)], lr=0.1)
        weight.grad = torch.ones(4)
        weight.data = torch.ones(6)
        with pytest.raises(RuntimeError, match=r"'w' is \(6,\) torch.float32, its gradient \(4,\)"):
            made.step()
        assert torch.equal(weight.detach(), torch.ones(6))

    def test_another_default_device(self) -> None:
        made = thalweg.AdamW(weights(), lr=0.1)
        expected = run(thalweg.AdamW(weights(), lr=0.1))
        for seed in range(4):
            give(made.param_groups[0]["params"], seed)
            with torch.device("meta"):
                made.step()
        assert torch.equal(at(made), at(expected))


def test_the_base_class_is_typed_as_torchs() -> None:
    assert issubclass(Optimizer, torch.optim.Optimizer)
    assert Drifting.rule.__name__ == "Drifting"
    assert isinstance(Drifting, type)


def test_a_step_draws_no_random_numbers() -> None:
    """Not even the first of a process, which finds out how to ask torch."""
    script = (
        "import torch, thalweg\n"
        "weight = torch.nn.Parameter(torch.ones(3)); weight.grad = torch.ones(3)\n"
        "torch.manual_seed(0); before = torch.get_rng_state()\n"
        "optimizer = thalweg.AdamW([weight], clip_norm=1.0); optimizer.step(); print(optimizer.explain())\n"
        "assert torch.equal(torch.get_rng_state(), before)\n"
    )
    forked.code(script)
