"""A drop-in optimizer: everything around torch.optim that may be done to one, against torch doing the same."""

import collections
import copy
import inspect
import io
import pickle
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch

import thalweg
from contract_rules import NAdamLike, ProdigyLike
from thalweg.formula import Hyper, Rule, State
from thalweg.optim import OPTIMIZERS, Optimizer, optimizer, surface

SHARED = ("SGD", "Adagrad", "RMSprop", "Adam", "AdamW")
# Each: the class, and arguments under which every state it can have exists.
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.1}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9, "centered": True, "alpha": 0.9}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "betas": (0.8, 0.5)}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.3}),
]
SHAPES = ((3, 4), (), (17,))
each_setting = pytest.mark.parametrize(("name", "arguments"), SETTINGS, ids=lambda x: str(x))


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
    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_is_torchs(self, name: str) -> None:
        made = OPTIMIZERS[name](weights())
        assert isinstance(made, torch.optim.Optimizer)
        assert isinstance(made, thalweg.Optimizer)
        assert "lr" in made.param_groups[0]
        assert "lr" in made.defaults

    @pytest.mark.parametrize("name", SHARED)
    def test_names_stand_as_in_torch(self, name: str) -> None:
        ours = inspect.signature(getattr(thalweg, name)).parameters
        theirs = inspect.signature(getattr(torch.optim, name)).parameters
        extra = (*surface.CHAIN, *surface.WHOLE)
        own = [key for key in ours if key not in extra]
        assert own == list(theirs)[: len(own)]
        for key in own[1:]:
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
            (lambda p: thalweg.AdamW(p, momentum=0.9), TypeError, "it takes lr, betas, eps, weight_decay, amsgrad"),
            (lambda p: thalweg.AdamW(p, fused=True), TypeError, "takes no 'fused': every thalweg optimizer is fused"),
            (lambda p: thalweg.SGD(p, foreach=True), TypeError, "takes no 'foreach'"),
            (lambda p: thalweg.Adam(p, capturable=False), TypeError, "takes no 'capturable'"),
            (lambda p: thalweg.Adam(p, 1e-3, lr=1e-2), TypeError, "got 'lr' twice"),
            (lambda p: thalweg.Adam(p, 1e-3, (0.9, 0.9), 1e-8, 0.0, False, "l2"), TypeError, "at most 5 arguments"),
            (lambda p: thalweg.AdamW(p, lr=-1e-3), ValueError, "AdamW: lr must be at least 0 and finite, got -0.001"),
            (lambda p: thalweg.AdamW(p, lr=float("nan")), ValueError, "lr must be"),
            (lambda p: thalweg.AdamW(p, lr=float("inf")), ValueError, "lr must be"),
            (lambda p: thalweg.AdamW(p, lr="fast"), TypeError, "lr must be a number, got 'fast'"),
            (lambda p: thalweg.AdamW(p, lr=None), TypeError, "lr must be a number, got None"),
            (lambda p: thalweg.AdamW(p, eps="tiny"), TypeError, "eps must be a number, got 'tiny'"),
            (lambda p: thalweg.AdamW(p, betas=(0.9, "much")), TypeError, "beta2 must be a number, got 'much'"),
            (lambda p: thalweg.AdamW(p, lr=torch.ones(2)), TypeError, "lr must be a number"),
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
            (lambda p: thalweg.AdamW(p, decay="L2"), ValueError, "decay must be 'l2' or 'decoupled'"),
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
    @each_setting
    def test_tensor(self, name: str, arguments: dict[str, Any]) -> None:
        given = torch.tensor(arguments["lr"], dtype=torch.float64)
        ours, theirs = pair(name, **arguments)
        with_tensor = OPTIMIZERS[name.lower()](weights(), **{**arguments, "lr": given})
        for made in (ours, theirs, with_tensor):
            run(made, range(2))
        with_tensor.param_groups[0]["lr"].fill_(0.5)
        ours.param_groups[0]["lr"] = theirs.param_groups[0]["lr"] = 0.5
        for made in (ours, theirs, with_tensor):
            run(made, range(2, 4))
        assert torch.equal(at(ours), at(with_tensor))
        assert close(ours, theirs)

    @pytest.mark.parametrize(
        "schedule",
        [
            lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.5),
            lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
            lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=8),
            lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
            lambda o: torch.optim.lr_scheduler.SequentialLR(
                o,
                [torch.optim.lr_scheduler.LinearLR(o), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)],
                milestones=[3],
            ),
            lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.3),
        ],
        ids=["StepLR", "LambdaLR", "OneCycleLR", "WarmRestarts", "SequentialLR", "ReduceLROnPlateau"],
    )
    @pytest.mark.parametrize("name", ["AdamW", "SGD"])
    def test_schedulers(self, name: str, schedule: Callable[[Any], Any]) -> None:
        arguments = {"momentum": 0.9} if name == "SGD" else {}
        ours, theirs = pair(name, lr=0.01, **arguments)
        rates = []
        for made in (ours, theirs):
            scheduler = schedule(made)
            plateau = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
            seen = []
            for seed in range(7):
                seen.append((made.param_groups[0]["lr"], made.param_groups[0].get("betas")))
                run(made, [seed])
                scheduler.step(1.0) if plateau else scheduler.step()
            rates.append(seen)
        assert rates[0] == rates[1]
        assert len({lr for lr, _ in rates[0]}) > 2
        assert close(ours, theirs)

    def test_momentum_scheduled_through_zero(self) -> None:
        """A hyperparameter that an `if` tests may change between 0 and not 0 while training."""
        ours, theirs = pair("SGD", lr=0.1)
        for made in (ours, theirs):
            for seed, momentum in enumerate((0.0, 0.9, 0.9, 0.0, 0.9)):
                made.param_groups[0]["momentum"] = momentum
                run(made, [seed])
        assert close(ours, theirs)

    def test_every_number_is_read_each_step(self) -> None:
        ours, theirs = pair("AdamW", lr=0.1)
        for made in (ours, theirs):
            run(made, [0])
            made.param_groups[0].update(lr=0.01, betas=(0.5, 0.7), eps=0.1, weight_decay=0.5)
            run(made, [1, 2])
        assert close(ours, theirs)


class TestClosure:
    def test_loss_is_returned_and_gradients_are_on(self) -> None:
        weight = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
        made = thalweg.SGD([weight], lr=0.25)

        def closure() -> torch.Tensor:
            assert torch.is_grad_enabled()
            made.zero_grad()
            loss = (weight**2).sum()
            loss.backward()
            return loss

        with torch.no_grad():
            loss = made.step(closure)  # type: ignore[call-overload]
            assert not torch.is_grad_enabled()
        assert loss.item() == 4.0
        assert weight.item() == 1.0
        assert made.step() is None
        assert weight.item() == 0.0

    def test_skipped_step_returns_the_loss_too(self) -> None:
        weight = torch.nn.Parameter(torch.ones(1))
        made = thalweg.SGD([weight], lr=1.0, nonfinite="skip")

        def closure() -> float:
            weight.grad = torch.full((1,), float("nan"))
            return 7.0

        assert made.step(closure) == 7.0
        assert weight.item() == 1.0

    def test_no_graph_is_recorded(self) -> None:
        made = run(thalweg.AdamW(weights(), lr=0.1))
        for state in made.state.values():
            assert all(not v.requires_grad and v.grad_fn is None for v in state.values())
        assert all(p.is_leaf and p.requires_grad for p in made.param_groups[0]["params"])


class TestMissingGradients:
    @each_setting
    def test_as_torch_with_the_same_pattern(self, name: str, arguments: dict[str, Any]) -> None:
        ours, theirs = pair(name, **arguments)
        for made in (ours, theirs):
            params = made.param_groups[0]["params"]
            for seed, present in enumerate(("abc", "a", "bc", "", "c", "abc", "ab", "abc")):
                give(params, seed)
                for letter, p in zip("abc", params, strict=True):
                    if letter not in present:
                        p.grad = None
                made.step()
        assert close(ours, theirs)
        ours_at, theirs_at = (
            [float(s["step"]) for s in made.state_dict()["state"].values() if "step" in s] for made in (ours, theirs)
        )
        assert ours_at == theirs_at or name == "SGD"  # torch's SGD keeps no count
        assert ours_at == [5.0, 5.0, 5.0]

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
    def test_gradient_that_goes_away(self, dtype: torch.dtype) -> None:
        params = weights(dtype)
        made = thalweg.AdamW(params, lr=0.1)
        run(made, [0, 1])
        before = params[1].detach().clone()
        give(params, 2)
        params[1].grad = None
        made.step()
        assert torch.equal(params[1].detach(), before)
        assert [float(made.state[p]["step"]) for p in params] == [3.0, 2.0, 3.0]

    @pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0}, {"nonfinite": "raise"}, {"clip_value": 1.0}])
    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_no_gradient_at_all(self, name: str, options: dict[str, Any]) -> None:
        made = OPTIMIZERS[name](weights(), **options)
        before = at(made)
        made.step()
        assert torch.equal(at(made), before)
        assert made.state_dict()["state"] == {}
        run(made, [0])
        for p in made.param_groups[0]["params"]:
            p.grad = None
        before, state = at(made), copy.deepcopy(made.state_dict())
        made.step()
        assert torch.equal(at(made), before)
        assert same(made.state_dict(), state)


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

    def test_own_momentum(self) -> None:
        def grouped(made: type[torch.optim.Optimizer], **options: Any) -> torch.optim.Optimizer:
            a, b, c = weights()
            groups = [
                {"params": [a]},
                {"params": [b], "momentum": 0.9},
                {"params": [c], "momentum": 0.5, "nesterov": True},
            ]
            return run(made(groups, lr=0.1, **options))

        assert close(grouped(thalweg.SGD), grouped(torch.optim.SGD, foreach=False))

    @pytest.mark.parametrize("name", ["AdamW", "SGD"])
    def test_added_later(self, name: str) -> None:
        ours, theirs = pair(name, lr=0.1)
        for made in (ours, theirs):
            run(made, [0, 1])
            late = torch.nn.Parameter(torch.ones(5, dtype=torch.float64))
            made.add_param_group({"params": [late], "lr": 0.5})
            run(made, [2, 3])
        assert close(ours, theirs)
        assert ours.param_groups[1]["weight_decay"] == ours.param_groups[0]["weight_decay"]

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
        made = optimizer(ProdigyLike)([torch.nn.Parameter(torch.full((50,), 3.0))])
        run(made, [0])
        reached = made.param_groups[0]["d"] = 0.25  # its estimate only grows, from 0.001
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


class TestSmallThings:
    def test_zero_size_and_single_numbers(self) -> None:
        for shapes in (((0,),), ((),), ((0, 3), (), (2,), (4, 0))):
            ours = run(thalweg.AdamW(weights(shapes=shapes), lr=0.1, clip_norm=1.0, nonfinite="raise"))
            theirs = torch.optim.AdamW(weights(shapes=shapes), lr=0.1, foreach=False)
            params = theirs.param_groups[0]["params"]
            for seed in range(4):
                give(params, seed)
                torch.nn.utils.clip_grad_norm_(params, 1.0)
                theirs.step()
            assert torch.allclose(at(ours), at(theirs), rtol=1e-12, atol=0)

    def test_hooks(self) -> None:
        calls: list[str] = []
        made = thalweg.AdamW(weights(), lr=0.1)
        made.register_step_pre_hook(lambda *_: calls.append("before"))
        made.register_step_post_hook(lambda *_: calls.append("after"))
        run(made, [0, 1])
        assert calls == ["before", "after"] * 2

    @pytest.mark.parametrize("to_none", [True, False])
    def test_zero_grad(self, to_none: bool) -> None:
        made = run(thalweg.AdamW(weights(), lr=0.1), [0])
        made.zero_grad(set_to_none=to_none)
        grads = [p.grad for p in made.param_groups[0]["params"]]
        assert all(g is None for g in grads) if to_none else all(g is not None and not g.any() for g in grads)

    def test_step_is_a_method_that_can_be_patched(self) -> None:
        made = thalweg.AdamW(weights(), lr=0.1)
        assert made.step.__self__ is made
        assert callable(made.step.__func__)

    def test_gradients_are_not_written(self) -> None:
        made = thalweg.AdamW(weights(), lr=0.1, clip_norm=0.1, clip_value=0.01, weight_decay=0.5, maximize=True)
        params = made.param_groups[0]["params"]
        give(params, 0)
        before = [(p.grad, p.grad.clone(), p.grad._version) for p in params]
        made.step()
        for p, (grad, content, version) in zip(params, before, strict=True):
            assert p.grad is grad
            assert torch.equal(grad, content)
            assert grad._version == version

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
    def test_autograd_notices(self, dtype: torch.dtype) -> None:
        """A graph that needs the weights as they were must fail, not use the new ones."""
        weight = torch.nn.Parameter(torch.ones(3, dtype=dtype))
        made = thalweg.SGD([weight], lr=0.1)
        loss = (weight * weight).sum()
        weight.grad = torch.ones(3, dtype=dtype)
        version = weight._version
        made.step()
        assert weight._version > version
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()

    def test_grad_scaler(self) -> None:
        """Scaled, unscaled, clipped; the step with an infinity is left out whole, and the next is the first."""
        params = weights(torch.float32)
        plain = weights(torch.float32)
        made = thalweg.SGD(params, lr=0.1, momentum=0.9)
        theirs = torch.optim.SGD(plain, lr=0.1, momentum=0.9, foreach=False)
        for o, ps in ((made, params), (theirs, plain)):
            scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
            for seed in range(3):
                give(ps, seed)
                for p in ps:
                    p.grad.mul_(scaler.get_scale())
                if seed == 0:
                    ps[0].grad[0, 0] = float("inf")
                scaler.scale(torch.ones(1))
                scaler.step(o)
                scaler.update()
        assert close(made, theirs, 1e-6)
        assert at(made).isfinite().all()


class TestCopies:
    @pytest.mark.parametrize("way", ["deepcopy", "pickle", "state_dict", "file"])
    @pytest.mark.parametrize(
        "make",
        [
            *(lambda p, n=n, a=a: getattr(thalweg, n)(p, **a) for n, a in SETTINGS),
            lambda p: thalweg.Lion(p, lr=0.1),
            lambda p: thalweg.Momentum(p, lr=0.1),
            lambda p: thalweg.AdamW(p, lr=torch.tensor(0.1), clip_norm=0.5, nonfinite="skip", maximize=True),
            Drifting,
        ],
        ids=[*(f"{n}{len(a)}" for n, a in SETTINGS), "Lion", "Momentum", "options", "user's"],
    )
    def test_continues_to_the_bit(self, make: Callable[[Any], Any], way: str) -> None:
        made = run(make(weights(torch.float32)), range(3))
        if way in ("deepcopy", "pickle"):
            twin = copy.deepcopy(made) if way == "deepcopy" else pickle.loads(pickle.dumps(made))
            assert type(twin) is type(made)
            assert (twin.clip_norm, twin.nonfinite) == (made.clip_norm, made.nonfinite)
        else:
            saved = made.state_dict()
            if way == "file":
                file = io.BytesIO()
                torch.save(saved, file)
                file.seek(0)
                saved = torch.load(file, weights_only=True)
            else:
                saved = copy.deepcopy(saved)
            fresh = [torch.nn.Parameter(p.detach().clone()) for p in made.param_groups[0]["params"]]
            twin = make(fresh)
            twin.load_state_dict(saved)
        assert torch.equal(at(twin), at(made))
        assert same(twin.state_dict(), made.state_dict())
        run(made, range(3, 6))
        assert not torch.equal(at(twin), at(made))  # they share no memory
        run(twin, range(3, 6))
        assert torch.equal(at(twin), at(made))
        assert same(twin.state_dict(), made.state_dict())

    def test_copy_before_the_first_step(self) -> None:
        made = thalweg.AdamW(weights(), lr=0.1)
        twin = pickle.loads(pickle.dumps(made))
        assert torch.equal(at(run(made)), at(run(twin)))

    def test_skipped_steps_are_kept(self) -> None:
        made = thalweg.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1, nonfinite="skip")
        made.param_groups[0]["params"][0].grad = torch.full((1,), float("inf"))
        made.step()
        assert copy.deepcopy(made).skipped_steps == made.skipped_steps == 1


class TestCheckpoints:
    @pytest.mark.parametrize("direction", ["torch to ours", "ours to torch"])
    @each_setting
    def test_between_torch_and_ours(self, name: str, arguments: dict[str, Any], direction: str) -> None:
        first, second = pair(name, **arguments)
        if direction == "torch to ours":
            first, second = second, first
        run(first, range(3))
        with torch.no_grad():
            for mine, other in zip(second.param_groups[0]["params"], first.param_groups[0]["params"], strict=True):
                mine.copy_(other)
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        run(first, range(3, 7))
        run(second, range(3, 7))
        assert close(first, second)

    def test_state_has_torchs_keys(self) -> None:
        for name, arguments in SETTINGS:
            ours, theirs = pair(name, **arguments)
            a, b = run(ours).state_dict(), run(theirs).state_dict()
            assert {k for k in a["state"][0] if k != "step"} == {
                k for k, v in b["state"].get(0, {}).items() if k != "step" and v is not None
            }
            for number, state in b["state"].items():
                for key, value in state.items():
                    if value is not None:
                        torch.testing.assert_close(a["state"][number][key], value, rtol=1e-12, atol=1e-14)
            assert a["state"][0]["step"].dtype == torch.float32

    @pytest.mark.parametrize("flag", ["fused", "foreach", "capturable", "differentiable"])
    def test_implementation_does_not_come_back(self, flag: str) -> None:
        theirs = torch.optim.AdamW(weights(), lr=0.1, **({flag: True} if flag in ("fused", "foreach") else {}))
        assert flag in theirs.param_groups[0]
        ours = thalweg.AdamW(weights(), lr=0.1)
        ours.load_state_dict(run(theirs).state_dict())
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

    def test_loading_is_the_identity(self) -> None:
        made = run(thalweg.AdamW(weights(torch.float32), lr=0.1), range(3))
        expected = run(copy.deepcopy(made), range(3, 6))
        made.load_state_dict(made.state_dict())
        assert torch.equal(at(run(made, range(3, 6))), at(expected))

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
        other.load_state_dict(made.state_dict())
        with pytest.raises(ValueError, match=r"'exp_avg' has the shape \(3, 4\), its parameter \(4, 3\)"):
            run(other)
        with pytest.raises(ValueError, match=r"different number of parameter groups|size of optimizer's group"):
            thalweg.AdamW(weights()[:2]).load_state_dict(made.state_dict())

    def test_distributed_checkpoint_initialises_without_moving(self) -> None:
        """torch.distributed.checkpoint steps a fresh optimizer with zero gradients and lr = 0 to create its state."""
        from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

        model = torch.nn.Linear(3, 2)
        made = thalweg.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
        before = at(made)
        saved = get_optimizer_state_dict(model, made)
        assert torch.equal(at(made), before)
        assert set(saved["state"]["weight"]) == {"step", "exp_avg", "exp_avg_sq"}
        set_optimizer_state_dict(model, made, saved)
        assert made.param_groups[0]["lr"] == 0.1
        run(made)

    def test_scalars_keep_their_precision(self) -> None:
        made = run(optimizer(NAdamLike)(weights(torch.float32)), range(3))
        twin = optimizer(NAdamLike)([torch.nn.Parameter(p.detach().clone()) for p in made.param_groups[0]["params"]])
        twin.load_state_dict(copy.deepcopy(made.state_dict()))
        assert same(made.state_dict(), twin.state_dict())


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
        made = run(optimizer(NAdamLike)(weights()), range(3))
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
